// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {slice, wordAt} from "./Bytes.sol";
import {Der} from "./Der.sol";

/// @notice What is read of a certificate of a P-256 key, signed by ECDSA with SHA-256.
/// @param digest SHA-256 over what is signed
/// @param since first and `until` last second of its validity
/// @param authority whether it may sign certificates; else it may sign data
/// @param own value of the extension that the reader asked for; empty if there is none
struct Certificate {
    bytes32 digest;
    bytes32 r;
    bytes32 s;
    uint256 serial;
    uint256 since;
    uint256 until;
    bytes32 x;
    bytes32 y;
    bool authority;
    bytes own;
}

/// @title X.509 certificates, version 3.
/// @notice RFC 5280, 4.1 and 4.2; RFC 5480 (keys), RFC 5758 (signatures). Names are not read: who
///         checks a chain by its keys needs none.
library X509 {
    /// @dev ecdsa-with-SHA256, as the whole AlgorithmIdentifier.
    bytes12 internal constant ECDSA_SHA256 = 0x300a06082a8648ce3d040302;
    /// @dev A SubjectPublicKeyInfo up to the coordinates: P-256, an uncompressed point.
    bytes27 internal constant P_256 = 0x3059301306072a8648ce3d020106082a8648ce3d03010703420004;
    bytes5 internal constant VERSION_3 = 0xa003020102;
    bytes3 internal constant BASIC_CONSTRAINTS = 0x551d13;
    bytes3 internal constant KEY_USAGE = 0x551d0f;
    bytes3 internal constant TRUE = 0x0101ff;
    bytes1 internal constant SIGNS_DATA = 0x80;
    bytes1 internal constant SIGNS_CERTIFICATES = 0x04;

    /// @notice Not a certificate as above, or one that contradicts itself.
    error WrongCertificate(uint256 at);

    /// @dev `wanted`: an extension's object identifier, of `size` bytes.
    function read(bytes memory data, bytes32 wanted, uint256 size)
        internal
        pure
        returns (Certificate memory found)
    {
        uint256 from = Der.only(data, 0, data.length, Der.SEQUENCE);
        (uint256 inner, uint256 end) = Der.open(data, from, data.length, Der.SEQUENCE);
        found.digest = sha256(slice(data, from, end));
        _readSigned(found, data, inner, end, wanted, size);
        uint256 at = _expect(data, end, data.length, ECDSA_SHA256, 12);
        at = Der.only(data, at, data.length, Der.BITS);
        if (at == data.length || data[at] != 0) revert Der.NotDer(at); // whole bytes
        at = Der.only(data, at + 1, data.length, Der.SEQUENCE);
        uint256 number;
        (number, at) = Der.number(data, at, data.length);
        found.r = bytes32(number);
        (number, at) = Der.number(data, at, data.length);
        found.s = bytes32(number);
        if (at != data.length) revert Der.NotDer(at);
    }

    /// @dev TBSCertificate, data[at:end] being its contents.
    function _readSigned(
        Certificate memory found,
        bytes memory data,
        uint256 at,
        uint256 end,
        bytes32 wanted,
        uint256 size
    ) private pure {
        at = _expect(data, at, end, VERSION_3, 5);
        (found.serial, at) = Der.number(data, at, end);
        at = _expect(data, at, end, ECDSA_SHA256, 12);
        (, at) = Der.open(data, at, end, Der.SEQUENCE); // issuer
        (uint256 validity, uint256 after_) = Der.open(data, at, end, Der.SEQUENCE);
        (found.since, at) = Der.time(data, validity, after_);
        (found.until, at) = Der.time(data, at, after_);
        if (at != after_) revert Der.NotDer(at);
        (, at) = Der.open(data, at, end, Der.SEQUENCE); // subject
        at = _expect(data, at, end, P_256, 27);
        if (at + 64 > end) revert WrongCertificate(at);
        (found.x, found.y) = (wordAt(data, at), wordAt(data, at + 32));
        at = Der.only(data, at + 64, end, 0xa3);
        at = Der.only(data, at, end, Der.SEQUENCE);
        _readExtensions(found, data, at, end, wanted, size);
    }

    /// @dev Each extension at most once; none that is critical and not understood.
    function _readExtensions(
        Certificate memory found,
        bytes memory data,
        uint256 at,
        uint256 end,
        bytes32 wanted,
        uint256 size
    ) private pure {
        bytes memory constraints;
        bytes memory usage;
        while (at < end) {
            uint256 begin = at;
            uint256 next;
            (at, next) = Der.open(data, at, end, Der.SEQUENCE);
            uint256 name;
            (name, at) = Der.open(data, at, next, Der.OBJECT);
            uint256 length = at - name;
            bytes32 id = wordAt(data, name);
            bool critical = at < next && data[at] == Der.BOOLEAN;
            if (critical) at = _expect(data, at, next, TRUE, 3);
            bytes memory value = slice(data, Der.only(data, at, next, Der.OCTETS), next);
            if (value.length == 0) revert WrongCertificate(begin);
            if (length == 3 && bytes3(id) == BASIC_CONSTRAINTS) {
                if (constraints.length != 0) revert WrongCertificate(begin);
                constraints = value;
            } else if (length == 3 && bytes3(id) == KEY_USAGE) {
                if (usage.length != 0) revert WrongCertificate(begin);
                usage = value;
            } else if (length == size && (id ^ wanted) >> (256 - 8 * size) == 0) {
                if (found.own.length != 0) revert WrongCertificate(begin);
                found.own = value;
            } else if (critical) {
                revert WrongCertificate(begin);
            }
            at = next;
        }
        found.authority = _isAuthority(constraints);
        bytes1 needed = found.authority ? SIGNS_CERTIFICATES : SIGNS_DATA;
        uint256 bits = Der.only(usage, 0, usage.length, Der.BITS);
        if (usage.length < bits + 2 || usage[bits + 1] & needed == 0) {
            revert WrongCertificate(end);
        }
    }

    /// @dev BasicConstraints: absent or empty for what is no authority. How many authorities may follow
    ///      is not read: the chains of which this is a part have one.
    function _isAuthority(bytes memory value) private pure returns (bool) {
        if (value.length == 0) return false;
        uint256 at = Der.only(value, 0, value.length, Der.SEQUENCE);
        if (at == value.length) return false;
        at = _expect(value, at, value.length, TRUE, 3);
        if (at < value.length) (, at) = Der.number(value, at, value.length);
        if (at != value.length) revert Der.NotDer(at);
        return true;
    }

    /// @dev The `size` bytes that must be at `at`; where they end.
    function _expect(bytes memory data, uint256 at, uint256 end, bytes32 bytes_, uint256 size)
        private
        pure
        returns (uint256 to)
    {
        to = at + size;
        if (to > end || (wordAt(data, at) ^ bytes_) >> (256 - 8 * size) != 0) {
            revert WrongCertificate(at);
        }
    }
}
