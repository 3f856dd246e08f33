// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @title Statements of a TPM 2.0.
/// @notice TCG, Trusted Platform Module Library, Part 2: 10.12 (TPMS_ATTEST), 12.2 (TPMT_PUBLIC).
library Tpm {
    bytes4 internal constant GENERATED = 0xff544347;
    bytes2 internal constant QUOTE = 0x8018;
    bytes2 internal constant CERTIFY = 0x8017;
    /// @dev clock (8), resets (4), restarts (4), safe (1), firmware (8)
    uint256 internal constant CLOCK = 25;
    /// @dev P-256 for ECDSA with SHA-256, unrestricted; fixedTPM, fixedParent, sensitiveDataOrigin,
    ///      userWithAuth, sign: made in this TPM, and never outside of it.
    bytes internal constant KEY = hex"0023000b00040072000000100018000b00030010";

    /// @dev What a statement is about, after its head; empty if it is none of that kind and nonce.
    function body(bytes memory data, bytes2 kind, bytes32 nonce)
        internal
        pure
        returns (bytes memory)
    {
        uint256 at = 8 + _number(data, 6); // magic, kind, the signer's name
        if (data.length < at + 2 + 32 + CLOCK) return "";
        if (bytes4(_word(data, 0)) != GENERATED || bytes2(_word(data, 4)) != kind) return "";
        if (_number(data, at) != 32 || _word(data, at + 2) != nonce) return "";
        return _from(data, at + 2 + 32 + CLOCK);
    }

    /// @dev Whether the body of a certification names that P-256 key, with KEY's attributes.
    function names(bytes memory certified, bytes32 x, bytes32 y) internal pure returns (bool) {
        bytes memory area = abi.encodePacked(KEY, uint16(32), x, uint16(32), y);
        return certified.length > 36 && bytes4(_word(certified, 0)) == 0x0022000b
            && _word(certified, 4) == sha256(area);
    }

    function _number(bytes memory data, uint256 at) private pure returns (uint256) {
        return data.length < at + 2 ? 0 : uint16(bytes2(_word(data, at)));
    }

    /// @dev The caller has seen that enough bytes are there; beyond them the value is not used.
    function _word(bytes memory data, uint256 at) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), at))
        }
    }

    function _from(bytes memory data, uint256 at) private pure returns (bytes memory rest) {
        rest = new bytes(data.length - at);
        assembly ("memory-safe") {
            mcopy(add(rest, 0x20), add(add(data, 0x20), at), mload(rest))
        }
    }
}
