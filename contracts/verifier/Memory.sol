// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

// Words of memory by address: what the verifier's tables and points are made of. Bounds are those
// of the program, which `Programs.check` has checked.

/// @dev A new array of so many words, which are not cleared: the caller writes them all.
function allocate(uint256 count) pure returns (uint256[] memory words) {
    assembly ("memory-safe") {
        words := mload(0x40)
        mstore(words, count)
        mstore(0x40, add(words, shl(5, add(count, 1))))
    }
}

/// @dev The address of an array's first word.
function addressOf(uint256[] memory words) pure returns (uint256 at) {
    assembly ("memory-safe") {
        at := add(words, 0x20)
    }
}

/// @dev The word at an address.
function load(uint256 at) pure returns (uint256 word) {
    assembly ("memory-safe") {
        word := mload(at)
    }
}

/// @dev The i-th word from an address on.
function load(uint256 at, uint256 i) pure returns (uint256 word) {
    assembly ("memory-safe") {
        word := mload(add(at, shl(5, i)))
    }
}

/// @dev Writes the word at an address.
function store(uint256 at, uint256 word) pure {
    assembly ("memory-safe") {
        mstore(at, word)
    }
}

/// @dev The i-th word from a place in calldata on.
function read(uint256 at, uint256 i) pure returns (uint256 word) {
    assembly ("memory-safe") {
        word := calldataload(add(at, shl(5, i)))
    }
}
