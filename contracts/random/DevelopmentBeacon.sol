// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IRandomness} from "../interfaces/IRandomness.sol";
import {Beacon} from "./Beacon.sol";

/// @title A beacon for development chains: its values are hashes that anyone can compute ahead of time.
contract DevelopmentBeacon is Beacon {
    uint256 internal constant DEVELOPMENT_CHAIN = 31_337;

    /// @inheritdoc IRandomness
    bool public constant development = true;

    /// @notice This beacon decides nothing anywhere else.
    error DevelopmentOnly(uint256 expectedChain, uint256 chain);
    /// @notice Too early.
    error RoundNotMade(uint256 expected, uint256 timestamp);

    constructor() Beacon(1_692_803_367, 3) {
        if (block.chainid != DEVELOPMENT_CHAIN) {
            revert DevelopmentOnly(DEVELOPMENT_CHAIN, block.chainid);
        }
    }

    /// @dev The signature is empty.
    function _check(uint64 round, bytes memory signature) internal view override returns (bytes32) {
        if (signature.length != 0) revert WrongSignatureSize(0, signature.length);
        if (block.timestamp < timeOf(round)) revert RoundNotMade(timeOf(round), block.timestamp);
        return keccak256(abi.encode("einproof development beacon", round));
    }
}
