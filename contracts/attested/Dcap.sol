// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAttestationRegistry} from "../interfaces/IAttestationRegistry.sol";
import {IDcap} from "../interfaces/IDcap.sol";
import {slice, wordAt} from "./Bytes.sol";
import {Der} from "./Der.sol";
import {hasP256, isSignedP256} from "./P256.sol";
import {Certificate, X509} from "./X509.sol";

/// @title Quotes of Intel SGX and TDX; what is checked is in IDcap.
contract Dcap is IDcap {
    uint256 internal constant HEADER = 48;
    uint256 internal constant ENCLAVE = 384;
    uint256 internal constant MACHINE = 584;
    uint256 internal constant MACHINE_1_5 = 648;
    /// @dev Of version 5: type (2) and size (4) of the body.
    uint256 internal constant DESCRIPTOR = 6;
    bytes6 internal constant EARLIER = 0x020048020000;
    bytes6 internal constant LATER = 0x030088020000;
    /// @dev Version, ECDSA over P-256, and whose report it is.
    bytes8 internal constant ENCLAVE_3 = 0x0300020000000000;
    bytes8 internal constant MACHINE_4 = 0x0400020081000000;
    bytes8 internal constant MACHINE_5 = 0x0500020081000000;
    /// @dev The engine's vendor: Intel.
    bytes16 internal constant INTEL = 0x939a7233f79c4ca9940a0db3957f0607;
    bytes1 internal constant DEBUG = 0x02;
    /// @dev INIT and PROVISION_KEY; whether it runs in 64 bits is left open, as Intel's identity does.
    bytes8 internal constant ENGINE = 0x1100000000000000;
    bytes8 internal constant ENGINE_MASK = 0xfbffffffffffffff;
    /// @dev 1.2.840.113741.1.13.1, with .2 (levels), .3 (PCE) and .4 (FMSPC) below it.
    bytes9 internal constant SGX = 0x2a864886f84d010d01;

    bytes32 internal immutable _x;
    bytes32 internal immutable _y;

    constructor(bytes32 x, bytes32 y) {
        if (!hasP256()) revert NoP256();
        (_x, _y) = (x, y);
    }

    /// @inheritdoc IDcap
    function root() external view returns (bytes32 x, bytes32 y) {
        return (_x, _y);
    }

    /// @inheritdoc IDcap
    function decide(IAttestationRegistry.Kind kind, bytes calldata evidence)
        external
        view
        returns (Quoted memory quoted)
    {
        Evidence memory given = abi.decode(evidence, (Evidence));
        quoted.level.kind = kind;
        (quoted.level.until, quoted.until) = (given.until, given.until);
        _readQuote(quoted, given.signed);
        _check(Part.Quote, sha256(given.signed), given.signature, given.key);
        _readEngine(quoted.level, given);
        Certificate memory pck = X509.read(given.pck, SGX, 9);
        _check(Part.Engine, sha256(given.engine), given.engineSignature, [pck.x, pck.y]);
        Certificate memory authority = X509.read(given.authority, SGX, 9);
        quoted.certificates = [
            _checkCertificate(quoted, Part.Pck, pck, authority.x, authority.y),
            _checkCertificate(quoted, Part.Authority, authority, _x, _y)
        ];
        quoted.level.platform = _platform(pck.own);
    }

    /// @dev Header and body: what was measured, and for whom.
    function _readQuote(Quoted memory quoted, bytes memory data) private pure {
        (uint256 body, uint256 size) = _bodyOf(quoted.level.kind, data);
        uint256 end = body + size;
        if (data.length != end) revert WrongSize(Part.Quote, end, data.length);
        uint256 reportData = body + (size == ENCLAVE ? 320 : 520);
        quoted.reportData = [wordAt(data, reportData), wordAt(data, reportData + 32)];
        if (size == ENCLAVE) {
            if (data[body + 48] & DEBUG != 0) revert Debuggable(Part.Quote);
            quoted.measurement = sha256(slice(data, body + 16, reportData));
            return;
        }
        // MRSIGNERSEAM and SEAMATTRIBUTES of a module by Intel
        if (wordAt(data, body + 64) != 0 || bytes24(wordAt(data, body + 96)) != 0) {
            revert WrongEngine();
        }
        if (data[body + 120] != 0) revert Debuggable(Part.Quote); // TUD: "TD under debug"
        quoted.level.module = bytes16(wordAt(data, body));
        bytes memory measured = slice(data, body + 120, reportData);
        if (size == MACHINE_1_5) {
            // TEE_TCB_SVN_2, MR_SERVICETD
            quoted.level.laterModule = bytes16(wordAt(data, body + MACHINE));
            measured = bytes.concat(measured, slice(data, body + MACHINE + 16, end));
        }
        quoted.measurement = sha256(measured);
    }

    /// @dev Where the body begins, and its size, by what the header says.
    function _bodyOf(IAttestationRegistry.Kind kind, bytes memory data)
        private
        pure
        returns (uint256 body, uint256 size)
    {
        bool enclave = kind == IAttestationRegistry.Kind.Sgx;
        if (!enclave && kind != IAttestationRegistry.Kind.Tdx) revert WrongKind(kind);
        (body, size) = (HEADER, enclave ? ENCLAVE : MACHINE);
        if (data.length < HEADER + ENCLAVE) revert WrongSize(Part.Quote, body + size, data.length);
        bytes8 head = bytes8(wordAt(data, 0));
        if (bytes16(wordAt(data, 12)) != INTEL) revert WrongHeader();
        if (head == (enclave ? ENCLAVE_3 : MACHINE_4)) return (body, size);
        if (head != MACHINE_5 || enclave) revert WrongHeader();
        body += DESCRIPTOR;
        bytes6 described = bytes6(wordAt(data, HEADER));
        if (described == LATER) size = MACHINE_1_5;
        else if (described != EARLIER) revert WrongHeader();
    }

    /// @dev The quoting engine's report: not under debugging, and of this attestation key.
    function _readEngine(IAttestationRegistry.Level memory level, Evidence memory given)
        private
        pure
    {
        bytes memory engine = given.engine;
        if (engine.length != ENCLAVE) revert WrongSize(Part.Engine, ENCLAVE, engine.length);
        if (engine[48] & DEBUG != 0) revert Debuggable(Part.Engine);
        if (bytes8(wordAt(engine, 48)) & ENGINE_MASK != ENGINE || bytes4(wordAt(engine, 16)) != 0) {
            revert WrongEngine();
        }
        if (
            wordAt(engine, 320) != sha256(abi.encodePacked(given.key, given.extra))
                || wordAt(engine, 352) != 0
        ) revert KeyNotBound();
        level.engineSigner = wordAt(engine, 128);
        level.engineProduct = bytes2(wordAt(engine, 256));
        level.engineLevel = bytes2(wordAt(engine, 258));
    }

    /// @dev Signature and time of a certificate, and whether it is an authority's; its id.
    function _checkCertificate(
        Quoted memory quoted,
        Part part,
        Certificate memory certificate,
        bytes32 x,
        bytes32 y
    ) private view returns (bytes32) {
        if (certificate.authority != (part == Part.Authority)) {
            revert WrongAuthority(part);
        }
        _check(part, certificate.digest, [certificate.r, certificate.s], [x, y]);
        if (block.timestamp < certificate.since || block.timestamp > certificate.until) {
            revert OutOfTime(part, certificate.since, certificate.until, block.timestamp);
        }
        if (quoted.until > certificate.until) quoted.until = uint64(certificate.until);
        return keccak256(abi.encode(x, y, certificate.serial));
    }

    /// @dev SHA-256 over the levels, the PCE's id and the FMSPC, as the PCK's certificate has them: all
    ///      that Intel's list of levels is looked up by.
    function _platform(bytes memory data) private pure returns (bytes32) {
        bytes[3] memory found;
        uint256 at = Der.only(data, 0, data.length, Der.SEQUENCE);
        while (at < data.length) {
            (uint256 name, uint256 next) = Der.open(data, at, data.length, Der.SEQUENCE);
            (uint256 from, uint256 value) = Der.open(data, name, next, Der.OBJECT);
            if (value - from == 10 && bytes9(wordAt(data, from)) == SGX) {
                uint256 number = uint8(data[from + 9]);
                if (number > 1 && number < 5) {
                    if (found[number - 2].length != 0) revert X509.WrongCertificate(at);
                    found[number - 2] = slice(data, value, next);
                }
            }
            at = next;
        }
        for (uint256 i; i < 3; ++i) {
            if (found[i].length == 0) revert X509.WrongCertificate(at);
        }
        return sha256(bytes.concat(found[0], found[1], found[2]));
    }

    function _check(Part part, bytes32 digest, bytes32[2] memory signature, bytes32[2] memory key)
        private
        view
    {
        if (!isSignedP256(digest, signature[0], signature[1], key[0], key[1])) {
            revert BadSignature(part);
        }
    }
}
