// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Fr, P} from "./Field.sol";

/// @dev 2P + 1: what keeps 1 - a - b + 2ab above zero for canonical a, b, and below 5P < 2^256.
uint256 constant TWICE_P_AND_ONE =
    43776485743678550444492811490514550177096728800832068687396408373151616991235;

/// @notice Multilinear weights at a point, most significant coordinate first. A point is a memory
///         address `at` and its number of coordinates `bits`. eq1(a, b) = a b + (1-a)(1-b).
library Multilinear {
    /// @dev Size of a heap of four coordinates.
    uint256 internal constant HEAP_BYTES = 1024;

    /// @dev prod eq1(left_i, right_i).
    function eq(uint256 left, uint256 right, uint256 bits) internal pure returns (Fr product) {
        assembly ("memory-safe") {
            product := 1
            let offset := sub(right, left)
            for { let end := add(left, shl(5, bits)) } lt(left, end) { left := add(left, 0x20) } {
                let a := mload(left)
                let b := mload(add(left, offset))
                let factor := sub(add(shl(1, mulmod(a, b, P)), TWICE_P_AND_ONE), add(a, b))
                product := mulmod(product, factor, P)
            }
        }
    }

    /// @dev Writes eq of the last 1, 2, ..., `bits` coordinates before two addresses; returns the
    ///      address after.
    function eqSuffixes(uint256 out, uint256 leftEnd, uint256 rightEnd, uint256 bits)
        internal
        pure
        returns (uint256 end)
    {
        assembly ("memory-safe") {
            let product := 1
            let offset := sub(rightEnd, leftEnd)
            end := add(out, shl(5, bits))
            if and(bits, 1) {
                leftEnd := sub(leftEnd, 0x20)
                let a := mload(leftEnd)
                let b := mload(add(leftEnd, offset))
                product := sub(add(shl(1, mulmod(a, b, P)), TWICE_P_AND_ONE), add(a, b))
                product := mod(product, P)
                mstore(out, product)
                out := add(out, 0x20)
            }
            // Two words at a time.
            let last := add(offset, 0x20)
            for {} lt(out, end) { out := add(out, 0x40) } {
                leftEnd := sub(leftEnd, 0x40)
                let a := mload(add(leftEnd, 0x20))
                let b := mload(add(leftEnd, last))
                let factor := sub(add(shl(1, mulmod(a, b, P)), TWICE_P_AND_ONE), add(a, b))
                product := mulmod(product, factor, P)
                mstore(out, product)
                a := mload(leftEnd)
                b := mload(add(leftEnd, offset))
                factor := sub(add(shl(1, mulmod(a, b, P)), TWICE_P_AND_ONE), add(a, b))
                product := mulmod(product, factor, P)
                mstore(add(out, 0x20), product)
            }
        }
    }

    /// @dev eq with the low `bits` bits of an integer.
    function eqConst(uint256 at, uint256 bits, uint256 value) internal pure returns (Fr product) {
        assembly ("memory-safe") {
            product := 1
            for { let i := bits } i { at := add(at, 0x20) } {
                i := sub(i, 1)
                let a := mload(at)
                if iszero(and(shr(i, value), 1)) { a := sub(add(P, 1), a) }
                product := mulmod(product, a, P)
            }
        }
    }

    /// @dev For every four coordinates a heap of 32 words: word 2^j + x, for j <= 4 and x < 2^j, is
    ///      eq of the first j of them with the bits of x; word 0 is 0, and words of coordinates that
    ///      are not there. Returns the address after.
    function prefixHeaps(uint256 heap, uint256 at, uint256 bits)
        internal
        pure
        returns (uint256 after_)
    {
        assembly ("memory-safe") {
            for { let end := add(at, shl(5, bits)) } lt(at, end) { at := add(at, 0x80) } {
                let left := sub(end, at)
                let a := mload(at)
                let entry
                let odd
                mstore(heap, 0)
                mstore(add(heap, 0x20), 1)
                mstore(add(heap, 0x40), sub(add(P, 1), a))
                mstore(add(heap, 0x60), a)
                if gt(left, 0x20) {
                    a := mload(add(at, 0x20))
                    entry := mload(add(heap, 0x40))
                    odd := mulmod(entry, a, P)
                    mstore(add(heap, 0x80), add(entry, sub(P, odd)))
                    mstore(add(heap, 0xa0), odd)
                    entry := mload(add(heap, 0x60))
                    odd := mulmod(entry, a, P)
                    mstore(add(heap, 0xc0), add(entry, sub(P, odd)))
                    mstore(add(heap, 0xe0), odd)
                }
                if gt(left, 0x40) {
                    a := mload(add(at, 0x40))
                    entry := mload(add(heap, 0x80))
                    odd := mulmod(entry, a, P)
                    mstore(add(heap, 0x100), add(entry, sub(P, odd)))
                    mstore(add(heap, 0x120), odd)
                    entry := mload(add(heap, 0xa0))
                    odd := mulmod(entry, a, P)
                    mstore(add(heap, 0x140), add(entry, sub(P, odd)))
                    mstore(add(heap, 0x160), odd)
                    entry := mload(add(heap, 0xc0))
                    odd := mulmod(entry, a, P)
                    mstore(add(heap, 0x180), add(entry, sub(P, odd)))
                    mstore(add(heap, 0x1a0), odd)
                    entry := mload(add(heap, 0xe0))
                    odd := mulmod(entry, a, P)
                    mstore(add(heap, 0x1c0), add(entry, sub(P, odd)))
                    mstore(add(heap, 0x1e0), odd)
                }
                if gt(left, 0x60) {
                    a := mload(add(at, 0x60))
                    entry := mload(add(heap, 0x100))
                    odd := mulmod(entry, a, P)
                    mstore(add(heap, 0x200), add(entry, sub(P, odd)))
                    mstore(add(heap, 0x220), odd)
                    entry := mload(add(heap, 0x120))
                    odd := mulmod(entry, a, P)
                    mstore(add(heap, 0x240), add(entry, sub(P, odd)))
                    mstore(add(heap, 0x260), odd)
                    entry := mload(add(heap, 0x140))
                    odd := mulmod(entry, a, P)
                    mstore(add(heap, 0x280), add(entry, sub(P, odd)))
                    mstore(add(heap, 0x2a0), odd)
                    entry := mload(add(heap, 0x160))
                    odd := mulmod(entry, a, P)
                    mstore(add(heap, 0x2c0), add(entry, sub(P, odd)))
                    mstore(add(heap, 0x2e0), odd)
                    entry := mload(add(heap, 0x180))
                    odd := mulmod(entry, a, P)
                    mstore(add(heap, 0x300), add(entry, sub(P, odd)))
                    mstore(add(heap, 0x320), odd)
                    entry := mload(add(heap, 0x1a0))
                    odd := mulmod(entry, a, P)
                    mstore(add(heap, 0x340), add(entry, sub(P, odd)))
                    mstore(add(heap, 0x360), odd)
                    entry := mload(add(heap, 0x1c0))
                    odd := mulmod(entry, a, P)
                    mstore(add(heap, 0x380), add(entry, sub(P, odd)))
                    mstore(add(heap, 0x3a0), odd)
                    entry := mload(add(heap, 0x1e0))
                    odd := mulmod(entry, a, P)
                    mstore(add(heap, 0x3c0), add(entry, sub(P, odd)))
                    mstore(add(heap, 0x3e0), odd)
                }
                if lt(left, 0x80) {
                    // Beyond the end calldata is zero.
                    let missing := add(heap, shl(shr(5, left), 0x40))
                    calldatacopy(missing, calldatasize(), sub(add(heap, HEAP_BYTES), missing))
                }
                heap := add(heap, HEAP_BYTES)
            }
            after_ := heap
        }
    }

    /// @dev eq(point, x) for x < 2^bits, as words of new memory: from the last coordinate, each gives
    ///      the words so far and their copies above them its two weights.
    function eqTable(uint256 at, uint256 bits) internal pure returns (uint256 table) {
        assembly ("memory-safe") {
            table := mload(0x40)
            mstore(table, 1)
            let end := add(table, 0x20)
            let i := add(at, shl(5, bits))
            if bits {
                i := sub(i, 0x20)
                let a := mload(i)
                mstore(table, addmod(1, sub(P, a), P))
                mstore(end, a)
                end := add(end, 0x20)
            }
            // Two words at a time.
            for {} gt(i, at) {} {
                i := sub(i, 0x20)
                let a := mload(i)
                let to := end
                for { let from := table } lt(from, end) { from := add(from, 0x40) } {
                    let word := mload(from)
                    let odd := mulmod(word, a, P)
                    mstore(to, odd)
                    mstore(from, addmod(word, sub(P, odd), P))
                    let next := add(from, 0x20)
                    word := mload(next)
                    odd := mulmod(word, a, P)
                    mstore(add(to, 0x20), odd)
                    mstore(next, addmod(word, sub(P, odd), P))
                    to := add(to, 0x40)
                }
                end := to
            }
            mstore(0x40, end)
        }
    }

    /// @dev sum_{x<count} words_x eq(point, x) for 0 < count <= 2^bits canonical words, which are
    ///      overwritten, with one after them: a coordinate, the last first, makes every two one.
    function fold(uint256 words, uint256 count, uint256 at, uint256 bits)
        internal
        pure
        returns (Fr total)
    {
        assembly ("memory-safe") {
            for { let i := add(at, shl(5, bits)) } gt(i, at) {} {
                i := sub(i, 0x20)
                let a := mload(i)
                let from := words
                let end := add(words, shl(5, count))
                mstore(end, 0) // beside the last of an odd number
                count := shr(1, add(count, 1))
                for { let to := words } lt(from, end) { to := add(to, 0x20) } {
                    let even := mload(from)
                    let rise := add(mload(add(from, 0x20)), sub(P, even))
                    mstore(to, addmod(even, mulmod(a, rise, P), P))
                    from := add(from, 0x40)
                }
            }
            total := mload(words)
        }
    }

    /// @dev [a < n] = sum_{x<n} eq(a, x), for n <= 2^bits.
    function cut(uint256 at, uint256 bits, uint256 n) internal pure returns (Fr total) {
        assembly ("memory-safe") {
            // From the low bits up: the weight of the suffixes below that of n.
            for { let i := add(at, shl(5, bits)) } gt(i, at) {} {
                i := sub(i, 0x20)
                let a := mload(i)
                let zero := sub(add(P, 1), a)
                switch and(n, 1)
                case 0 { total := mulmod(total, zero, P) }
                default { total := add(zero, mulmod(total, a, P)) }
                n := shr(1, n)
            }
            total := mod(total, P)
            if n { total := 1 }
        }
    }

    /// @dev E_n(a, b) = sum_{x<n} eq(a, x) eq(b, x), for n < 2^bits.
    function cutPair(uint256 left, uint256 right, uint256 bits, uint256 n)
        internal
        pure
        returns (Fr total)
    {
        assembly ("memory-safe") {
            let all := 1 // prod eq1 of the coordinates seen
            let offset := sub(right, left)
            for { let i := add(left, shl(5, bits)) } gt(i, left) {} {
                i := sub(i, 0x20)
                let a := mload(i)
                let b := mload(add(i, offset))
                let one := mulmod(a, b, P)
                let zero := sub(add(one, TWICE_P_AND_ONE), add(a, b))
                switch and(n, 1)
                case 0 { total := mulmod(total, zero, P) }
                default { total := add(mulmod(all, zero, P), mulmod(total, one, P)) }
                all := mulmod(all, add(one, zero), P)
                n := shr(1, n)
            }
            total := mod(total, P)
        }
    }

    /// @dev sum_{j < 2^bitsY} eq(left, j + d) eq(right, j), for d + 2^bitsY <= 2^bitsX. The bits of j + d
    ///      above those of j are d's, or where there is a carry those of the number after; so only the
    ///      weights of carry 0 and 1 are kept.
    function eqMoved(uint256 left, uint256 bitsX, uint256 right, uint256 bitsY, uint256 d)
        internal
        pure
        returns (Fr)
    {
        Fr all0;
        Fr all1;
        assembly ("memory-safe") {
            all0 := 1
            let i := add(left, shl(5, bitsX))
            for { let j := add(right, shl(5, bitsY)) } gt(j, right) {} {
                i := sub(i, 0x20)
                j := sub(j, 0x20)
                let x := mload(i)
                let y := mload(j)
                // The weights of equal bits of j and j + d, of 1 and 0, of 0 and 1.
                let both := mulmod(x, y, P)
                let same := sub(add(shl(1, both), TWICE_P_AND_ONE), add(x, y))
                let down := sub(add(y, P), both)
                let up := sub(add(x, P), both)
                switch and(d, 1)
                case 0 {
                    all0 := add(mulmod(all0, same, P), mulmod(all1, up, P))
                    all1 := mulmod(all1, down, P)
                }
                default {
                    all1 := add(mulmod(all1, same, P), mulmod(all0, down, P))
                    all0 := mulmod(all0, up, P)
                }
                d := shr(1, d)
            }
            all0 := mod(all0, P)
            all1 := mod(all1, P)
        }
        unchecked {
            // With the greatest d there is no carry: d + 1 has no bit too many.
            uint256 high = bitsX - bitsY;
            return all0 * eqConst(left, high, d) + all1 * eqConst(left, high, d + 1);
        }
    }

    /// @dev 2^-exponent, for exponent <= 56: P - 1 is 2^28 times an odd number, and stands for -1.
    function inversePowerOfTwo(uint256 exponent) internal pure returns (Fr) {
        unchecked {
            if (exponent <= 28) return Fr.wrap(P - ((P - 1) >> exponent));
            return Fr.wrap(P - ((P - 1) >> 28)) * Fr.wrap(P - ((P - 1) >> (exponent - 28)));
        }
    }
}
