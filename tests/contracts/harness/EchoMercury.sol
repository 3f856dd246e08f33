// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice Stands where MercuryVerifier does, and reverts with what it was asked: so that a test sees
///         what the tensor verifier makes of any bytes, sound or not.
contract EchoMercury {
    bytes32 public immutable srsId;
    uint256 public constant kMax = 28;
    bool public constant srsDevelopment = true;

    error Asked(bytes32 state, uint256 x, uint256 y, uint256 value, uint256[] point, bytes proof);

    constructor(bytes32 srsId_) {
        srsId = srsId_;
    }

    function verify(
        bytes32 state,
        uint256 x,
        uint256 y,
        uint256 value,
        uint256[] calldata point,
        bytes calldata proof
    ) external pure {
        revert Asked(state, x, y, value, point, proof);
    }
}
