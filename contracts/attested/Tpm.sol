// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {slice, wordAt} from "./Bytes.sol";

/// @title Statements of a TPM 2.0.
/// @notice TCG, Trusted Platform Module Library, Part 2: 10.12 (TPMS_ATTEST), 12.2 (TPMT_PUBLIC);
///         Part 3: 23.7 (TPM2_PolicyPCR).
library Tpm {
    bytes4 internal constant GENERATED = 0xff544347;
    bytes2 internal constant QUOTE = 0x8018;
    bytes2 internal constant CERTIFY = 0x8017;
    /// @dev clock (8), resets (4), restarts (4), safe (1), firmware (8)
    uint256 internal constant CLOCK = 25;
    /// @dev Unrestricted; fixedTPM, fixedParent, sensitiveDataOrigin, sign: made in this TPM, and
    ///      never outside of it. Not userWithAuth: no password lets it sign, only its policy.
    bytes internal constant KEY = hex"0023000b000400320020";
    /// @dev P-256 for ECDSA with SHA-256.
    bytes internal constant SCHEME = hex"00100018000b00030010";
    bytes4 internal constant POLICY_PCR = 0x0000017f;

    /// @dev What a statement is about, after its head; empty if it is none of that kind and nonce.
    function body(bytes memory data, bytes2 kind, bytes32 nonce)
        internal
        pure
        returns (bytes memory)
    {
        uint256 at = 8 + _number(data, 6); // magic, kind, the signer's name
        if (data.length < at + 2 + 32 + CLOCK) return "";
        if (bytes4(wordAt(data, 0)) != GENERATED || bytes2(wordAt(data, 4)) != kind) return "";
        if (_number(data, at) != 32 || wordAt(data, at + 2) != nonce) return "";
        return slice(data, at + 2 + 32 + CLOCK, data.length);
    }

    /// @dev Whether the body of a certification names that key, with KEY's attributes and the policy
    ///      that it signs only in the state of a quote's body: a selection of registers, and their
    ///      digest, which must be a SHA-256. A policy of zeros would be met in any state.
    function names(bytes memory certified, bytes memory measured, bytes32 x, bytes32 y)
        internal
        pure
        returns (bool)
    {
        if (measured.length < 2 + 32) return false;
        uint256 at = measured.length - 32;
        if (_number(measured, at - 2) != 32) return false;
        // TPM2_PolicyPCR on an empty policy
        bytes32 policy = sha256(
            abi.encodePacked(
                bytes32(0), POLICY_PCR, slice(measured, 0, at - 2), wordAt(measured, at)
            )
        );
        bytes memory area = abi.encodePacked(KEY, policy, SCHEME, uint16(32), x, uint16(32), y);
        return certified.length > 36 && bytes4(wordAt(certified, 0)) == 0x0022000b
            && wordAt(certified, 4) == sha256(area);
    }

    function _number(bytes memory data, uint256 at) private pure returns (uint256) {
        return data.length < at + 2 ? 0 : uint16(bytes2(wordAt(data, at)));
    }
}
