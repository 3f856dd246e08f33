// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ITensorVerifier} from "../../../contracts/interfaces/ITensorVerifier.sol";

/// @notice A test double of the verifier: the "proof" is the hash of all that a proof is bound to.
contract EchoVerifier is ITensorVerifier {
    error ProofRefused(bytes32 expected);

    bytes32 public immutable srsId;
    bool public constant srsDevelopment = true;

    constructor(bytes32 srsId_) {
        srsId = srsId_;
    }

    function verify(
        bytes32 modelId,
        bytes32 context,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external pure {
        bytes32 expected = keccak256(abi.encode(modelId, context, input, output));
        if (proof.length != 32 || bytes32(proof) != expected) revert ProofRefused(expected);
    }
}
