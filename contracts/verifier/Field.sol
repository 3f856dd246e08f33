// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {NonCanonicalScalar, PrecompileFailed} from "../types/ProofErrors.sol";

/// @dev The order of BN254's groups.
uint256 constant P = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
uint256 constant P_MINUS_2 =
    21888242871839275222246405745257275088548364400416034343698204186575808495615;
uint256 constant MODEXP = 5;

/// @dev An element of Fr, always canonical: `toFr` is the only way in for outside words.
type Fr is uint256;

using {add as +, subtract as -, multiply as *, isZero} for Fr global;

Fr constant ZERO = Fr.wrap(0);
Fr constant ONE = Fr.wrap(1);

/// @dev Reverts with NonCanonicalScalar at or above P.
function toFr(uint256 word) pure returns (Fr) {
    if (word >= P) revert NonCanonicalScalar(word);
    return Fr.wrap(word);
}

function add(Fr a, Fr b) pure returns (Fr c) {
    assembly ("memory-safe") {
        c := addmod(a, b, P)
    }
}

function subtract(Fr a, Fr b) pure returns (Fr c) {
    assembly ("memory-safe") {
        c := addmod(a, sub(P, b), P)
    }
}

function multiply(Fr a, Fr b) pure returns (Fr c) {
    assembly ("memory-safe") {
        c := mulmod(a, b, P)
    }
}

function isZero(Fr a) pure returns (bool) {
    return Fr.unwrap(a) == 0;
}

/// @dev x^(2^n).
function squareTimes(Fr x, uint256 n) pure returns (Fr y) {
    assembly ("memory-safe") {
        y := x
        for {} n { n := sub(n, 1) } { y := mulmod(y, y, P) }
    }
}

/// @dev x^exponent, by squaring; 1 if the exponent is 0.
function power(Fr x, uint256 exponent) pure returns (Fr y) {
    assembly ("memory-safe") {
        y := 1
        for {} exponent { exponent := shr(1, exponent) } {
            if and(exponent, 1) { y := mulmod(y, x, P) }
            x := mulmod(x, x, P)
        }
    }
}

/// @dev x^(P-2): the inverse, and 0 of 0. 4,080 gas and the call; batch what you can.
function invert(Fr x) view returns (Fr y) {
    bool success;
    assembly ("memory-safe") {
        let input := mload(0x40)
        mstore(input, 0x20)
        mstore(add(input, 0x20), 0x20)
        mstore(add(input, 0x40), 0x20)
        mstore(add(input, 0x60), x)
        mstore(add(input, 0x80), P_MINUS_2)
        mstore(add(input, 0xa0), P)
        success := staticcall(gas(), MODEXP, input, 0xc0, 0x00, 0x20)
        success := and(success, eq(returndatasize(), 0x20))
        y := mload(0x00)
    }
    if (!success) revert PrecompileFailed(MODEXP);
}
