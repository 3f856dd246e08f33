// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {P} from "./Field.sol";

/// @notice Products and sums of products of values (docs/protocol/format.md#values), which is how
///         terms become tiles' weights. Pairs of ids are eight a word, in memory from `at` to `end`,
///         written out one by one: a loop over them would cost half as much again.
library Circuit {
    /// @dev The offset of a word that 15 bits name.
    uint256 private constant OFFSET = 0xfffe0;

    /// @dev Writes the products. A field is taken five bits too high, so as the offset of a word.
    ///      Returns the address after.
    function products(uint256 at, uint256 end, uint256 values, uint256 out)
        internal
        pure
        returns (uint256 after_)
    {
        assembly ("memory-safe") {
            for {} lt(at, end) { at := add(at, 0x20) } {
                let word := mload(at)
                mstore(
                    out,
                    mulmod(
                        mload(add(values, and(shr(235, word), OFFSET))),
                        mload(add(values, and(shr(219, word), OFFSET))),
                        P
                    )
                )
                mstore(
                    add(out, 0x20),
                    mulmod(
                        mload(add(values, and(shr(203, word), OFFSET))),
                        mload(add(values, and(shr(187, word), OFFSET))),
                        P
                    )
                )
                mstore(
                    add(out, 0x40),
                    mulmod(
                        mload(add(values, and(shr(171, word), OFFSET))),
                        mload(add(values, and(shr(155, word), OFFSET))),
                        P
                    )
                )
                mstore(
                    add(out, 0x60),
                    mulmod(
                        mload(add(values, and(shr(139, word), OFFSET))),
                        mload(add(values, and(shr(123, word), OFFSET))),
                        P
                    )
                )
                mstore(
                    add(out, 0x80),
                    mulmod(
                        mload(add(values, and(shr(107, word), OFFSET))),
                        mload(add(values, and(shr(91, word), OFFSET))),
                        P
                    )
                )
                mstore(
                    add(out, 0xa0),
                    mulmod(
                        mload(add(values, and(shr(75, word), OFFSET))),
                        mload(add(values, and(shr(59, word), OFFSET))),
                        P
                    )
                )
                mstore(
                    add(out, 0xc0),
                    mulmod(
                        mload(add(values, and(shr(43, word), OFFSET))),
                        mload(add(values, and(shr(27, word), OFFSET))),
                        P
                    )
                )
                mstore(
                    add(out, 0xe0),
                    mulmod(
                        mload(add(values, and(shr(11, word), OFFSET))),
                        mload(add(values, and(shl(5, word), OFFSET))),
                        P
                    )
                )
                out := add(out, 0x100)
            }
            after_ := out
        }
    }

    /// @dev Writes the sums; the top bit of a pair says that it is its sum's last. Five summands are
    ///      less than 2^256: what is left of a sum is reduced after every four pairs.
    function sums(uint256 at, uint256 end, uint256 values, uint256 out) internal pure {
        assembly ("memory-safe") {
            let sum := 0
            for {} lt(at, end) { at := add(at, 0x20) } {
                let word := mload(at)
                sum := add(
                    sum,
                    mulmod(
                        mload(add(values, and(shr(235, word), OFFSET))),
                        mload(add(values, and(shr(219, word), OFFSET))),
                        P
                    )
                )
                if slt(word, 0) {
                    mstore(out, mod(sum, P))
                    out := add(out, 0x20)
                    sum := 0
                }
                sum := add(
                    sum,
                    mulmod(
                        mload(add(values, and(shr(203, word), OFFSET))),
                        mload(add(values, and(shr(187, word), OFFSET))),
                        P
                    )
                )
                if and(word, shl(223, 1)) {
                    mstore(out, mod(sum, P))
                    out := add(out, 0x20)
                    sum := 0
                }
                sum := add(
                    sum,
                    mulmod(
                        mload(add(values, and(shr(171, word), OFFSET))),
                        mload(add(values, and(shr(155, word), OFFSET))),
                        P
                    )
                )
                if and(word, shl(191, 1)) {
                    mstore(out, mod(sum, P))
                    out := add(out, 0x20)
                    sum := 0
                }
                sum := add(
                    sum,
                    mulmod(
                        mload(add(values, and(shr(139, word), OFFSET))),
                        mload(add(values, and(shr(123, word), OFFSET))),
                        P
                    )
                )
                if and(word, shl(159, 1)) {
                    mstore(out, mod(sum, P))
                    out := add(out, 0x20)
                    sum := 0
                }
                sum := mod(sum, P)
                sum := add(
                    sum,
                    mulmod(
                        mload(add(values, and(shr(107, word), OFFSET))),
                        mload(add(values, and(shr(91, word), OFFSET))),
                        P
                    )
                )
                if and(word, shl(127, 1)) {
                    mstore(out, mod(sum, P))
                    out := add(out, 0x20)
                    sum := 0
                }
                sum := add(
                    sum,
                    mulmod(
                        mload(add(values, and(shr(75, word), OFFSET))),
                        mload(add(values, and(shr(59, word), OFFSET))),
                        P
                    )
                )
                if and(word, shl(95, 1)) {
                    mstore(out, mod(sum, P))
                    out := add(out, 0x20)
                    sum := 0
                }
                sum := add(
                    sum,
                    mulmod(
                        mload(add(values, and(shr(43, word), OFFSET))),
                        mload(add(values, and(shr(27, word), OFFSET))),
                        P
                    )
                )
                if and(word, shl(63, 1)) {
                    mstore(out, mod(sum, P))
                    out := add(out, 0x20)
                    sum := 0
                }
                sum := add(
                    sum,
                    mulmod(
                        mload(add(values, and(shr(11, word), OFFSET))),
                        mload(add(values, and(shl(5, word), OFFSET))),
                        P
                    )
                )
                if and(word, shl(31, 1)) {
                    mstore(out, mod(sum, P))
                    out := add(out, 0x20)
                    sum := 0
                }
                sum := mod(sum, P)
            }
        }
    }
}
