// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAttestationRegistry} from "./IAttestationRegistry.sol";

/// @notice Decides quotes of Intel SGX and TDX (DCAP, ECDSA over P-256) up to Intel's root key.
///
/// | who signs | what | checked against |
/// | --- | --- | --- |
/// | attestation key | header and report of the enclave, or of the virtual machine | SHA-256 of that key in the engine's report |
/// | PCK, a platform's key | report of the quoting engine | its certificate |
/// | authority over platforms | certificate of the PCK | its certificate |
/// | root | certificate of the authority | the key that this contract was made with |
///
/// All four signatures are checked here, the times of both certificates, that neither the enclave (or
/// machine) nor the quoting engine was under debugging. Revocation lists, and which levels of firmware
/// are good, are Intel's to say, day by day and not here: what they hang on is returned (`Quoted`), and
/// whoever asks compares it, and report data and measurement, with what it trusts. Source: Intel SGX and TDX
/// DCAP Quoting Library API, appendix A; Intel SGX PCK Certificate Specification, 1.3.
interface IDcap {
    /// @notice The parts of a quote, without its framing (lengths, which nothing signs), and the
    ///         certificates that it names, in DER.
    /// @param signed header and body: 48 + 384 bytes (SGX, version 3), 48 + 584 (TDX, version 4);
    ///        version 5 (TDX) has 6 bytes that describe the body in between, and bodies of 648 (TDX 1.5)
    /// @param key x and y of the attestation key
    /// @param engine report of the quoting engine, 384 bytes
    /// @param extra what the quoting engine binds besides its key
    /// @param until last second for which attesters admitted the level (`Quoted.level`)
    struct Evidence {
        bytes signed;
        bytes32[2] signature;
        bytes32[2] key;
        bytes engine;
        bytes32[2] engineSignature;
        bytes extra;
        bytes pck;
        bytes authority;
        uint64 until;
    }

    /// @notice What a quote shows.
    /// @param reportData what the enclave or machine says
    /// @param measurement SHA-256 of the report, without the platform's level and the report data
    /// @param level of the firmware that vouches
    /// @param certificates ids of the PCK's certificate and its authority's: what revocation lists name
    /// @param until last second at which both are valid, and no later than the level
    struct Quoted {
        bytes32[2] reportData;
        bytes32 measurement;
        IAttestationRegistry.Level level;
        bytes32[2] certificates;
        uint64 until;
    }

    /// @notice Of the evidence, what an error is about.
    enum Part {
        Quote,
        Engine,
        Pck,
        Authority
    }

    error NoP256();
    error WrongKind(IAttestationRegistry.Kind got);
    /// @notice A report of another size than its kind and version have.
    error WrongSize(Part part, uint256 expected, uint256 got);
    /// @notice Not a quote of that kind (SGX: version 3; TDX: 4 or 5) by Intel's engine with a P-256 key.
    error WrongHeader();
    /// @notice The engine's report is not of that attestation key.
    error KeyNotBound();
    error BadSignature(Part part);
    /// @notice Enclave, machine or engine could be looked into.
    error Debuggable(Part part);
    /// @notice An engine without the attributes of Intel's, or a TDX module that Intel did not sign.
    error WrongEngine();
    /// @notice The PCK's certificate is an authority's, or the authority's is not.
    error WrongAuthority(Part part);
    error OutOfTime(Part part, uint256 since, uint256 until, uint256 timestamp);

    /// @notice Decides `evidence`, abi.encode(Evidence), of SGX or TDX: reverts unless all of the above
    ///         holds now.
    function decide(IAttestationRegistry.Kind kind, bytes calldata evidence)
        external
        view
        returns (Quoted memory);

    /// @notice The key that all certificates go back to.
    function root() external view returns (bytes32 x, bytes32 y);
}
