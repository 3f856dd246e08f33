// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @title expand_message_xmd (RFC 9380, section 5.3.1), up to four blocks of 32 bytes.
library Expand {
    /// @dev SHA-256, whose blocks are 64 bytes.
    function sha(bytes memory message, bytes memory tag, uint256 blocks)
        internal
        pure
        returns (bytes memory expanded)
    {
        bytes memory tail = abi.encodePacked(tag, uint8(tag.length));
        bytes32 first =
            sha256(abi.encodePacked(new bytes(64), message, uint16(32 * blocks), uint8(0), tail));
        bytes32 last;
        for (uint8 i = 1; i <= blocks; ++i) {
            last = sha256(abi.encodePacked(i == 1 ? first : first ^ last, i, tail));
            expanded = abi.encodePacked(expanded, last);
        }
    }

    /// @dev Keccak-256, whose blocks are 136 bytes.
    function keccak(bytes memory message, bytes memory tag, uint256 blocks)
        internal
        pure
        returns (bytes memory expanded)
    {
        bytes memory tail = abi.encodePacked(tag, uint8(tag.length));
        bytes32 first = keccak256(
            abi.encodePacked(new bytes(136), message, uint16(32 * blocks), uint8(0), tail)
        );
        bytes32 last;
        for (uint8 i = 1; i <= blocks; ++i) {
            last = keccak256(abi.encodePacked(i == 1 ? first : first ^ last, i, tail));
            expanded = abi.encodePacked(expanded, last);
        }
    }
}
