// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Expand} from "./Expand.sol";

/// @title hash_to_curve to G1 of BN254: BN254G1_XMD:KECCAK-256_SVDW_RO_ (RFC 9380, sections 3 and 6.6.1,
///        with y^2 = x^3 + 3 and Z = 1).
library Bn254Hash {
    /// @dev The base field's modulus, and the exponents of an inverse and of a square root.
    uint256 internal constant Q =
        0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;
    uint256 internal constant INVERSE = Q - 2;
    uint256 internal constant ROOT = (Q + 1) / 4;
    /// @dev The section's constants: g(Z), -Z / 2, sqrt(-3 g(Z)) with sgn0 = 0, -4 g(Z) / 3.
    uint256 internal constant C1 = 4;
    uint256 internal constant C2 =
        0x183227397098d014dc2822db40c0ac2ecbc0b548b438e5469e10460b6c3e7ea3;
    uint256 internal constant C3 = 0x16789af3a83522eb353c98fc6b36d713d5d8d1cc5dffffffa;
    uint256 internal constant C4 =
        0x10216f7ba065e00de81ac1e7808072c9dd2b2385cd7b438469602eb24829a9bd;
    address internal constant MODEXP = address(0x05);
    address internal constant ADD = address(0x06);

    /// @notice The precompiled contract refused its input.
    error PrecompileRefused(address precompile);

    function hash(bytes memory message, bytes memory tag)
        internal
        view
        returns (uint256 x, uint256 y)
    {
        bytes memory expanded = Expand.keccak(message, tag, 3);
        (uint256 x0, uint256 y0) = map(_reduce(expanded, 0));
        (uint256 x1, uint256 y1) = map(_reduce(expanded, 48));
        return abi.decode(_call(ADD, abi.encode(x0, y0, x1, y1), 64), (uint256, uint256));
    }

    /// @dev map_to_curve of Shallue and van de Woestijne. Names are the section's.
    function map(uint256 u) internal view returns (uint256 x, uint256 y) {
        uint256 tv1 = mulmod(mulmod(u, u, Q), C1, Q);
        uint256 tv2 = addmod(1, tv1, Q);
        tv1 = addmod(1, Q - tv1, Q);
        uint256 tv3 = _power(mulmod(tv1, tv2, Q), INVERSE);
        uint256 tv4 = mulmod(mulmod(u, tv1, Q), mulmod(tv3, C3, Q), Q);
        bool square;
        x = addmod(C2, Q - tv4, Q);
        (y, square) = _lift(x);
        if (!square) {
            x = addmod(C2, tv4, Q);
            (y, square) = _lift(x);
        }
        if (!square) {
            x = mulmod(mulmod(tv2, tv2, Q), tv3, Q);
            x = addmod(mulmod(mulmod(x, x, Q), C4, Q), 1, Q);
            (y,) = _lift(x);
        }
        if (u % 2 != y % 2) y = Q - y;
    }

    /// @dev A root of x^3 + 3, if it has one.
    function _lift(uint256 x) private view returns (uint256 y, bool square) {
        uint256 g = addmod(mulmod(mulmod(x, x, Q), x, Q), 3, Q);
        y = _power(g, ROOT);
        square = mulmod(y, y, Q) == g;
    }

    function _power(uint256 base, uint256 exponent) private view returns (uint256) {
        return abi.decode(_call(MODEXP, abi.encode(32, 32, 32, base, exponent, Q), 32), (uint256));
    }

    /// @dev 48 bytes of `data` from there, modulo Q.
    function _reduce(bytes memory data, uint256 from) private pure returns (uint256) {
        uint256 high;
        uint256 low;
        assembly ("memory-safe") {
            high := shr(128, mload(add(add(data, 0x20), from)))
            low := mload(add(add(data, 0x30), from))
        }
        return addmod(mulmod(high, addmod(type(uint256).max % Q, 1, Q), Q), low % Q, Q);
    }

    function _call(address precompile, bytes memory input, uint256 size)
        private
        view
        returns (bytes memory output)
    {
        bool success;
        (success, output) = precompile.staticcall(input);
        if (!success || output.length != size) revert PrecompileRefused(precompile);
    }
}
