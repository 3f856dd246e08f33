// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {
    NonCanonicalCoordinate,
    PointAtInfinity,
    PointNotOnCurve,
    PrecompileFailed
} from "../types/ProofErrors.sol";
import {Fr} from "./Field.sol";

/// @notice G1 of BN254 and the pairing, over the precompiled contracts of EIP-196 and EIP-197.
///         Their failure always reverts: a swallowed one would make eth_estimateGas return too
///         little.
library Curve {
    /// @dev The modulus of the base field.
    uint256 internal constant Q =
        21888242871839275222246405745257275088696311157297823662689037894645226208583;
    uint256 internal constant ADD = 6;
    uint256 internal constant MULTIPLY = 7;
    uint256 internal constant PAIRING = 8;

    // The generator of G2, imaginary parts first.
    uint256 internal constant G2_X1 =
        11559732032986387107991004021392285783925812861821192530917403151452391805634;
    uint256 internal constant G2_X0 =
        10857046999023057135944570762232829481370756359578518086990519993285655852781;
    uint256 internal constant G2_Y1 =
        4082367875863433681332203403145435568316851327593401208105741076214120093531;
    uint256 internal constant G2_Y0 =
        8495653923123431417604973247489272438418190587263600148770280649306958101930;

    /// @dev A running sum and room for the next term, laid out as the precompiled contracts read:
    ///        x y | termX termY scalar
    ///      EcMul reads the last three and writes the term; EcAdd reads the first four.
    struct Sum {
        uint256 x;
        uint256 y;
        uint256 termX;
        uint256 termY;
        Fr scalar;
    }

    /// @dev Reverts unless (x, y) is canonical, finite and on the curve, whose order is prime.
    function check(uint256 x, uint256 y) internal pure {
        if (x >= Q) revert NonCanonicalCoordinate(x);
        if (y >= Q) revert NonCanonicalCoordinate(y);
        if (x == 0 && y == 0) revert PointAtInfinity();
        if (mulmod(y, y, Q) != addmod(mulmod(x, mulmod(x, x, Q), Q), 3, Q)) {
            revert PointNotOnCurve(x, y);
        }
    }

    /// @dev sum += scalar * (x, y); the point was checked.
    function addScaled(Sum memory sum, uint256 x, uint256 y, Fr scalar) internal view {
        bool success;
        assembly ("memory-safe") {
            let term := add(sum, 0x40)
            mstore(term, x)
            mstore(add(term, 0x20), y)
            mstore(add(term, 0x40), scalar)
            success := staticcall(gas(), MULTIPLY, term, 0x60, term, 0x40)
            success := and(success, eq(returndatasize(), 0x40))
        }
        if (!success) revert PrecompileFailed(MULTIPLY);
        _addTerm(sum);
    }

    /// @dev sum += (x, y); the point was checked.
    function add(Sum memory sum, uint256 x, uint256 y) internal view {
        (sum.termX, sum.termY) = (x, y);
        _addTerm(sum);
    }

    function _addTerm(Sum memory sum) private view {
        bool success;
        assembly ("memory-safe") {
            success := staticcall(gas(), ADD, sum, 0x80, sum, 0x40)
            success := and(success, eq(returndatasize(), 0x40))
        }
        if (!success) revert PrecompileFailed(ADD);
    }

    /// @dev -(x, y) has this y.
    function negate(uint256 y) internal pure returns (uint256) {
        unchecked {
            return y == 0 ? 0 : Q - y;
        }
    }

    /// @dev Whether e(A, B) e(C, D) = 1 for input A B C D, G2's coordinates imaginary part first.
    ///      EIP-197 checks curves and subgroups.
    function pairingHolds(uint256[12] memory input) internal view returns (bool holds) {
        bool success;
        assembly ("memory-safe") {
            success := staticcall(gas(), PAIRING, input, 0x180, 0x00, 0x20)
            success := and(success, eq(returndatasize(), 0x20))
            holds := eq(mload(0x00), 1)
        }
        if (!success) revert PrecompileFailed(PAIRING);
    }
}
