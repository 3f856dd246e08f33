// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Fr, P} from "./Field.sol";

/// @notice The Fiat-Shamir transcript of prover/transcript.py: a chain of Keccak-256 over a 32-byte
///         state. Whole words are absorbed, and one byte squeezes, so that the two never collide.
library Transcript {
    /// @dev keccak256(state || data); the caller sees to it that data is a positive number of
    ///      words.
    function absorb(bytes32 state, bytes calldata data) internal pure returns (bytes32 next) {
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore(input, state)
            calldatacopy(add(input, 0x20), data.offset, data.length)
            next := keccak256(input, add(data.length, 0x20))
        }
    }

    /// @dev keccak256(state || word).
    function absorb(bytes32 state, bytes32 word) internal pure returns (bytes32 next) {
        assembly ("memory-safe") {
            mstore(0x00, state)
            mstore(0x20, word)
            next := keccak256(0x00, 0x40)
        }
    }

    /// @dev keccak256(state || 0x01), and that modulo P.
    function challenge(bytes32 state) internal pure returns (bytes32 next, Fr value) {
        assembly ("memory-safe") {
            mstore(0x00, state)
            mstore8(0x20, 1)
            next := keccak256(0x00, 0x21)
            value := mod(next, P)
        }
    }

    /// @dev As many challenges as `point` has room for.
    function challenges(bytes32 state, uint256[] memory point)
        internal
        pure
        returns (bytes32 next)
    {
        assembly ("memory-safe") {
            mstore(0x00, state)
            mstore8(0x20, 1)
            let out := add(point, 0x20)
            for { let end := add(out, shl(5, mload(point))) } lt(out, end) { out := add(out, 0x20) }
            {
                mstore(0x00, keccak256(0x00, 0x21))
                mstore(out, mod(mload(0x00), P))
            }
            next := mload(0x00)
        }
    }
}
