// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice Which keys may sign answers, because measured hardware holds them.
///
/// A few attesters, fixed for ever, verify evidence off-chain (docs/attestation.md); a quorum of
/// their approvals admits a statement, the veto of one ends it. There are five kinds of statement:
///
/// | statement | what attesters looked at |
/// | --- | --- |
/// | a voucher: this P-256 key belongs to a piece of hardware | certificates up to the maker, revocation, firmware |
/// | a build: what measures so computes this model | the code, built again |
/// | a level of Intel's firmware (SGX, TDX) is good | Intel's lists of levels, and of its engines |
/// | a certificate of Intel's (SGX, TDX): its veto revokes it | revocation lists |
/// | an enrolment, of a kind that is not decided here | the evidence as a whole |
///
/// Whoever owns an answer key enrols it: its build must be admitted, and then the contract itself
/// decides by what a voucher signed (TPM), by a quote and its certificates up to Intel's root (SGX,
/// TDX: IDcap), or the enrolment must be admitted as well (the other kinds). Evidence is published in full; a key counts after a delay in which any attester can
/// revoke it, for a few days.
///
/// A key signs answers of one owner, whose stake vouches, for one model. Revoked by its owner, by an
/// attester, or by whoever shows that it signed two outputs of one input, it is so for ever, and all
/// that its owner claimed for that model up to then is not final by silence (IAttestedAssurance).
interface IAttestationRegistry {
    enum Kind {
        None,
        Sgx,
        Tdx,
        Snp,
        Nitro,
        Nvidia,
        Tpm
    }

    /// @notice Fixed when the registry is made.
    /// @param attesters 1 to 32 of them, all different
    /// @param quorum how many of them admit a statement
    /// @param delay seconds from enrolment until a key counts: 48 h
    /// @param life seconds for which it then does: 7 d at most
    struct Rules {
        address[] attesters;
        uint8 quorum;
        uint32 delay;
        uint32 life;
    }

    /// @notice A key in hardware that signs what it measures: for a TPM, the attestation key.
    /// @param software an emulation, which vouches for nothing; on chain id 31337 only
    /// @param until last second at which its certificates are valid
    struct Voucher {
        Kind kind;
        bool software;
        bytes32 x;
        bytes32 y;
        uint64 until;
    }

    /// @notice A level of the firmware that vouches for an enclave or a virtual machine (IDcap).
    /// @param platform SHA-256 of levels, PCE id and FMSPC, as elements of the PCK's certificate
    /// @param module TEE_TCB_SVN of TDX, and `laterModule` TEE_TCB_SVN_2; zero where there is none
    /// @param engineSigner MRSIGNER, `engineProduct` and `engineLevel` ISVPRODID and ISVSVN (as little
    ///        endian as in its report) of the quoting engine
    /// @param until last second for which attesters take it for good
    struct Level {
        Kind kind;
        bytes32 platform;
        bytes16 module;
        bytes16 laterModule;
        bytes32 engineSigner;
        bytes2 engineProduct;
        bytes2 engineLevel;
        uint64 until;
    }

    /// @notice An answer key.
    /// @param owner whose claims it signs
    /// @param measurement SHA-256 over what was measured (docs/attestation.md)
    /// @param debug whether the hardware could be looked into: never admitted
    /// @param until last second at which its evidence is valid
    struct Enrolment {
        Kind kind;
        bool debug;
        address owner;
        bytes32 modelId;
        bytes32 measurement;
        bytes32 x;
        bytes32 y;
        uint64 until;
    }

    /// @notice Evidence of an enrolment that is decided here (TPM).
    /// @param quote TPMS_ATTEST of TPM2_Quote with the enrolment's `binding` as its nonce
    /// @param certified TPMS_ATTEST of TPM2_Certify of the answer key, with the same nonce: its policy
    ///        (TPM2_PolicyPCR) must be that it signs in the quoted state only
    struct TpmEvidence {
        Voucher voucher;
        bytes quote;
        bytes32[2] quoteSignature;
        bytes certified;
        bytes32[2] certifiedSignature;
    }

    /// @notice What a key signed, as SHA-256 over the ABI encoding of `said`'s arguments.
    struct Said {
        address tier;
        bytes32 requestId;
        bytes32 outputHash;
        bytes32 r;
        bytes32 s;
    }

    /// @notice One key, in one slot.
    struct Key {
        uint40 readyAt;
        uint40 until;
        bool revoked;
        bool software;
        Kind kind;
    }

    event Approved(bytes32 indexed statement, address indexed attester, bytes evidence);
    event Vetoed(bytes32 indexed statement, address indexed attester);
    event Enrolled(
        bytes32 indexed keyId, address indexed owner, Enrolment enrolment, bytes evidence
    );
    event Revoked(
        bytes32 indexed keyId, address indexed owner, bytes32 indexed modelId, address by
    );

    /// @notice This chain cannot check P-256: the precompiled contract at 0x100 failed a known case.
    error NoP256();
    error WrongRules();
    error NotAnAttester(address got);
    /// @notice Only the owner of a key, or an attester, may do this.
    error NotTheOwner(address owner, address got);
    /// @notice Attesters have not admitted that statement, or one of them took it back.
    error NotAdmitted(bytes32 statement);
    error WrongKind(Kind got);
    /// @notice The hardware was under debugging, so it vouches for nothing.
    error DebugMode();
    /// @notice Emulated hardware, on a chain where something could rest on it.
    error SoftwareOnly(uint256 expected, uint256 got);
    /// @notice Bytes that are no such statement of a TPM, or one about something else.
    error WrongQuote();
    /// @notice An attester revoked a certificate that the evidence rests on.
    error CertificateRevoked(bytes32 statement);
    error NotSigned();
    /// @notice Was enrolled before: make another key.
    error KeyKnown(bytes32 keyId);
    error KeyUnknown(bytes32 keyId);
    error KeyNotReady(uint256 readyAt, uint256 timestamp);
    error KeyExpired(uint256 until, uint256 timestamp);
    error KeyRevoked(bytes32 keyId);
    /// @notice The same output twice contradicts nothing.
    error SameOutput(bytes32 outputHash);
    /// @notice Outputs of this model are blinded: two of them contradict nothing.
    error OutputNotUnique(bytes32 modelId);

    // --- attesters --------------------------------------------------------------------------------

    /// @notice An attester admits a statement, and publishes what it looked at.
    function approve(bytes32 statement, bytes calldata evidence) external;

    /// @notice An attester ends a statement for ever. Keys that were enrolled by it are to be revoked
    ///         one by one.
    function veto(bytes32 statement) external;

    // --- owners, and anyone -----------------------------------------------------------------------

    /// @notice Enrols the caller's key. `evidence` is abi.encode(TpmEvidence) for a TPM and
    ///         abi.encode(IDcap.Evidence) for SGX and TDX, and decided here; for other kinds it is what
    ///         attesters decided on, and only published.
    function enrol(Enrolment calldata enrolment, bytes calldata evidence)
        external
        returns (bytes32 keyId);

    /// @notice Ends a key for ever, its owner's standing claims for the model with it.
    function revoke(address owner, bytes32 modelId, bytes32 x, bytes32 y) external;

    /// @notice The same by whoever shows that the key signed two outputs of one model and input.
    function contradict(
        address owner,
        bytes32 modelId,
        bytes32 x,
        bytes32 y,
        bytes32 inputHash,
        Said calldata one,
        Said calldata other
    ) external;

    // --- views ------------------------------------------------------------------------------------

    /// @notice Reverts unless the key counts now and signed this answer.
    function check(
        address owner,
        bytes32 modelId,
        bytes32 inputHash,
        bytes32 x,
        bytes32 y,
        Said calldata answer
    ) external view;

    /// @notice What a key signs of an answer: SHA-256 over the ABI encoding of the tag, the chain's id
    ///         and these.
    function said(
        address tier,
        bytes32 requestId,
        bytes32 modelId,
        bytes32 inputHash,
        address owner,
        bytes32 outputHash
    ) external view returns (bytes32);

    /// @notice What evidence must be bound to, as its nonce or report data: this chain, this registry,
    ///         owner, model and key.
    function binding(address owner, bytes32 modelId, bytes32 x, bytes32 y)
        external
        view
        returns (bytes32);

    function voucherStatement(Voucher calldata voucher) external view returns (bytes32);

    function levelStatement(Level calldata level) external view returns (bytes32);

    /// @param certificate keccak256 of its issuer's x and y and its serial number
    function certificateStatement(bytes32 certificate) external view returns (bytes32);

    function buildStatement(Kind kind, bytes32 modelId, bytes32 measurement)
        external
        view
        returns (bytes32);

    function enrolmentStatement(Enrolment calldata enrolment, bytes32 evidenceHash)
        external
        view
        returns (bytes32);

    function isAttester(address account) external view returns (bool);

    function isAdmitted(bytes32 statement) external view returns (bool);

    function isVetoed(bytes32 statement) external view returns (bool);

    function keyIdOf(address owner, bytes32 modelId, bytes32 x, bytes32 y)
        external
        pure
        returns (bytes32);

    function keyOf(bytes32 keyId) external view returns (Key memory);

    /// @notice When a key of that owner for that model was last revoked; 0 if none was.
    function revokedAt(address owner, bytes32 modelId) external view returns (uint256);
}
