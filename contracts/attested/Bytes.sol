// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @dev 32 bytes from `at`. The caller has seen that those it uses are there.
function wordAt(bytes memory data, uint256 at) pure returns (bytes32 word) {
    assembly ("memory-safe") {
        word := mload(add(add(data, 0x20), at))
    }
}

/// @dev A copy of data[from:to]. The caller has seen that from <= to <= data.length.
function slice(bytes memory data, uint256 from, uint256 to) pure returns (bytes memory part) {
    part = new bytes(to - from);
    assembly ("memory-safe") {
        mcopy(add(part, 0x20), add(add(data, 0x20), from), mload(part))
    }
}
