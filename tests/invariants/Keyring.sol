// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAttestationRegistry} from "../../contracts/interfaces/IAttestationRegistry.sol";

/// @notice A test double of the registry of keys, as far as the attested tier asks it: a
///         "signature" is the hash of all that one is bound to.
contract Keyring {
    mapping(address owner => mapping(bytes32 modelId => uint256)) public revokedAt;

    error NotSigned(bytes32 expected);

    function revoke(address owner, bytes32 modelId) external {
        revokedAt[owner][modelId] = block.timestamp;
    }

    function check(
        address owner,
        bytes32 modelId,
        bytes32 inputHash,
        bytes32,
        bytes32,
        IAttestationRegistry.Said calldata told
    ) external pure {
        bytes32 expected =
            said(told.tier, told.requestId, modelId, inputHash, owner, told.outputHash);
        if (told.r != expected) revert NotSigned(expected);
    }

    function said(
        address tier,
        bytes32 requestId,
        bytes32 modelId,
        bytes32 inputHash,
        address payee,
        bytes32 outputHash
    ) public pure returns (bytes32) {
        return keccak256(abi.encode(tier, requestId, modelId, inputHash, payee, outputHash));
    }
}
