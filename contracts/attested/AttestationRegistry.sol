// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAttestationRegistry} from "../interfaces/IAttestationRegistry.sol";
import {IDcap} from "../interfaces/IDcap.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {hasCommittedOutput} from "../types/Header.sol";
import {hasP256, isSignedP256} from "./P256.sol";
import {Tpm} from "./Tpm.sol";

/// @title Keys that measured hardware holds; the rules are in IAttestationRegistry.
contract AttestationRegistry is IAttestationRegistry {
    uint256 internal constant DEVELOPMENT_CHAIN = 31_337;
    uint256 internal constant MOST_ATTESTERS = 32;
    uint256 internal constant LONGEST_LIFE = 7 days;
    uint256 internal constant LONGEST_DELAY = 30 days;
    bytes32 internal constant SAID = keccak256("einproof attested answer");
    bytes32 internal constant BINDING = keccak256("einproof answer key");
    bytes32 internal constant VOUCHER = keccak256("einproof voucher");
    bytes32 internal constant LEVEL = keccak256("einproof level");
    bytes32 internal constant CERTIFICATE = keccak256("einproof certificate");
    bytes32 internal constant BUILD = keccak256("einproof build");
    bytes32 internal constant ENROLMENT = keccak256("einproof enrolment");

    IModelRegistry public immutable models;
    IDcap public immutable dcap;
    uint256 public immutable quorum;
    uint256 public immutable delay;
    uint256 public immutable life;

    /// @dev 1 + an attester's number, which is its bit in `approvals`.
    mapping(address attester => uint256) private _numbers;
    mapping(bytes32 statement => Statement) private _statements;
    mapping(bytes32 keyId => Key) private _keys;
    /// @inheritdoc IAttestationRegistry
    mapping(address owner => mapping(bytes32 modelId => uint256)) public revokedAt;

    struct Statement {
        uint32 approvals;
        uint8 count;
        bool vetoed;
    }

    constructor(IModelRegistry models_, Rules memory rules, IDcap dcap_) {
        uint256 count = rules.attesters.length;
        if (
            count > MOST_ATTESTERS || rules.quorum == 0 || rules.quorum > count || rules.life == 0
                || rules.life > LONGEST_LIFE || rules.delay > LONGEST_DELAY
        ) revert WrongRules();
        for (uint256 i; i < count; ++i) {
            address attester = rules.attesters[i];
            if (attester == address(0) || _numbers[attester] != 0) revert WrongRules();
            _numbers[attester] = i + 1;
        }
        if (!hasP256()) revert NoP256();
        (models, dcap) = (models_, dcap_);
        (quorum, delay, life) = (rules.quorum, rules.delay, rules.life);
    }

    /// @inheritdoc IAttestationRegistry
    function approve(bytes32 statement, bytes calldata evidence) external {
        uint256 number = _attester();
        Statement memory held = _statements[statement];
        uint32 bit = uint32(1 << (number - 1));
        if (held.approvals & bit == 0) {
            _statements[statement] = Statement(held.approvals | bit, held.count + 1, held.vetoed);
        }

        emit Approved(statement, msg.sender, evidence);
    }

    /// @inheritdoc IAttestationRegistry
    function veto(bytes32 statement) external {
        _attester();
        _statements[statement].vetoed = true;

        emit Vetoed(statement, msg.sender);
    }

    /// @inheritdoc IAttestationRegistry
    function enrol(Enrolment calldata enrolment, bytes calldata evidence)
        external
        returns (bytes32 keyId)
    {
        if (msg.sender != enrolment.owner) revert NotTheOwner(enrolment.owner, msg.sender);
        if (enrolment.kind == Kind.None) revert WrongKind(enrolment.kind);
        if (enrolment.debug) revert DebugMode();
        keyId = keyIdOf(enrolment.owner, enrolment.modelId, enrolment.x, enrolment.y);
        if (_keys[keyId].readyAt != 0) revert KeyKnown(keyId);
        _checkAdmitted(buildStatement(enrolment.kind, enrolment.modelId, enrolment.measurement));
        uint256 until = enrolment.until;
        bool software;
        if (enrolment.kind == Kind.Tpm) {
            Voucher memory voucher = _decide(enrolment, abi.decode(evidence, (TpmEvidence)));
            software = voucher.software;
            if (until > voucher.until) until = voucher.until;
        } else if (enrolment.kind == Kind.Sgx || enrolment.kind == Kind.Tdx) {
            uint256 last = _decideQuote(enrolment, evidence);
            if (until > last) until = last;
        } else {
            _checkAdmitted(enrolmentStatement(enrolment, keccak256(evidence)));
        }
        uint256 readyAt = block.timestamp + delay;
        if (until <= readyAt) revert KeyExpired(until, readyAt);
        if (until > readyAt + life) until = readyAt + life;

        _keys[keyId] = Key(uint40(readyAt), uint40(until), false, software, enrolment.kind);

        emit Enrolled(keyId, enrolment.owner, enrolment, evidence);
    }

    /// @inheritdoc IAttestationRegistry
    function revoke(address owner, bytes32 modelId, bytes32 x, bytes32 y) external {
        if (msg.sender != owner && _numbers[msg.sender] == 0) {
            revert NotTheOwner(owner, msg.sender);
        }
        _revoke(owner, modelId, x, y);
    }

    /// @inheritdoc IAttestationRegistry
    function contradict(
        address owner,
        bytes32 modelId,
        bytes32 x,
        bytes32 y,
        bytes32 inputHash,
        Said calldata one,
        Said calldata other
    ) external {
        if (one.outputHash == other.outputHash) {
            revert SameOutput(one.outputHash);
        }
        if (hasCommittedOutput(models.headerOf(modelId))) revert OutputNotUnique(modelId);
        _checkSaid(owner, modelId, inputHash, x, y, one);
        _checkSaid(owner, modelId, inputHash, x, y, other);
        _revoke(owner, modelId, x, y);
    }

    // --- views ----------------------------------------------------------------------------------

    /// @inheritdoc IAttestationRegistry
    function check(
        address owner,
        bytes32 modelId,
        bytes32 inputHash,
        bytes32 x,
        bytes32 y,
        Said calldata answer
    ) external view {
        bytes32 keyId = keyIdOf(owner, modelId, x, y);
        Key memory key = _keys[keyId];
        if (key.readyAt == 0) revert KeyUnknown(keyId);
        if (key.revoked) revert KeyRevoked(keyId);
        if (block.timestamp < key.readyAt) revert KeyNotReady(key.readyAt, block.timestamp);
        if (block.timestamp > key.until) revert KeyExpired(key.until, block.timestamp);
        _checkSaid(owner, modelId, inputHash, x, y, answer);
    }

    /// @inheritdoc IAttestationRegistry
    function isAttester(address account) external view returns (bool) {
        return _numbers[account] != 0;
    }

    /// @inheritdoc IAttestationRegistry
    function keyOf(bytes32 keyId) external view returns (Key memory) {
        return _keys[keyId];
    }

    /// @inheritdoc IAttestationRegistry
    function isAdmitted(bytes32 statement) public view returns (bool) {
        Statement memory held = _statements[statement];
        return held.count >= quorum && !held.vetoed;
    }

    /// @inheritdoc IAttestationRegistry
    function isVetoed(bytes32 statement) public view returns (bool) {
        return _statements[statement].vetoed;
    }

    /// @inheritdoc IAttestationRegistry
    function said(
        address tier,
        bytes32 requestId,
        bytes32 modelId,
        bytes32 inputHash,
        address owner,
        bytes32 outputHash
    ) public view returns (bytes32) {
        return sha256(
            abi.encode(SAID, block.chainid, tier, requestId, modelId, inputHash, owner, outputHash)
        );
    }

    /// @inheritdoc IAttestationRegistry
    function binding(address owner, bytes32 modelId, bytes32 x, bytes32 y)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(BINDING, block.chainid, address(this), owner, modelId, x, y));
    }

    /// @inheritdoc IAttestationRegistry
    function voucherStatement(Voucher memory voucher) public view returns (bytes32) {
        return keccak256(abi.encode(VOUCHER, block.chainid, address(this), voucher));
    }

    /// @inheritdoc IAttestationRegistry
    function levelStatement(Level memory level) public view returns (bytes32) {
        return keccak256(abi.encode(LEVEL, block.chainid, address(this), level));
    }

    /// @inheritdoc IAttestationRegistry
    function certificateStatement(bytes32 certificate) public view returns (bytes32) {
        return keccak256(abi.encode(CERTIFICATE, block.chainid, address(this), certificate));
    }

    /// @inheritdoc IAttestationRegistry
    function buildStatement(Kind kind, bytes32 modelId, bytes32 measurement)
        public
        view
        returns (bytes32)
    {
        return
            keccak256(abi.encode(BUILD, block.chainid, address(this), kind, modelId, measurement));
    }

    /// @inheritdoc IAttestationRegistry
    function enrolmentStatement(Enrolment calldata enrolment, bytes32 evidenceHash)
        public
        view
        returns (bytes32)
    {
        return
            keccak256(abi.encode(ENROLMENT, block.chainid, address(this), enrolment, evidenceHash));
    }

    /// @inheritdoc IAttestationRegistry
    function keyIdOf(address owner, bytes32 modelId, bytes32 x, bytes32 y)
        public
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(owner, modelId, x, y));
    }

    // --- how ------------------------------------------------------------------------------------

    /// @dev A voucher that attesters admitted quoted what was measured, and certified the answer key,
    ///      which signs in that state only; both for this enrolment.
    function _decide(Enrolment calldata enrolment, TpmEvidence memory evidence)
        private
        view
        returns (Voucher memory voucher)
    {
        voucher = evidence.voucher;
        if (voucher.kind != Kind.Tpm) revert WrongKind(voucher.kind);
        if (voucher.software && block.chainid != DEVELOPMENT_CHAIN) {
            revert SoftwareOnly(DEVELOPMENT_CHAIN, block.chainid);
        }
        _checkAdmitted(voucherStatement(voucher));
        bytes32 nonce = binding(enrolment.owner, enrolment.modelId, enrolment.x, enrolment.y);
        bytes memory measured = Tpm.body(evidence.quote, Tpm.QUOTE, nonce);
        if (measured.length == 0 || sha256(measured) != enrolment.measurement) revert WrongQuote();
        bytes memory named = Tpm.body(evidence.certified, Tpm.CERTIFY, nonce);
        if (!Tpm.names(named, measured, enrolment.x, enrolment.y)) revert WrongQuote();
        _checkVoucher(voucher, evidence.quote, evidence.quoteSignature);
        _checkVoucher(voucher, evidence.certified, evidence.certifiedSignature);
    }

    /// @dev A quote up to Intel's root, for this enrolment, of a level that attesters admitted and by
    ///      certificates that none of them revoked; how long all of it lasts.
    function _decideQuote(Enrolment calldata enrolment, bytes calldata evidence)
        private
        view
        returns (uint256)
    {
        IDcap.Quoted memory quoted = dcap.decide(enrolment.kind, evidence);
        bytes32 bound = binding(enrolment.owner, enrolment.modelId, enrolment.x, enrolment.y);
        if (
            quoted.reportData[0] != bound || quoted.reportData[1] != 0
                || quoted.measurement != enrolment.measurement
        ) revert WrongQuote();
        _checkAdmitted(levelStatement(quoted.level));
        for (uint256 i; i < 2; ++i) {
            bytes32 statement = certificateStatement(quoted.certificates[i]);
            if (isVetoed(statement)) revert CertificateRevoked(statement);
        }
        return quoted.until;
    }

    function _checkVoucher(Voucher memory voucher, bytes memory data, bytes32[2] memory signature)
        private
        view
    {
        if (!isSignedP256(sha256(data), signature[0], signature[1], voucher.x, voucher.y)) {
            revert NotSigned();
        }
    }

    function _checkSaid(
        address owner,
        bytes32 modelId,
        bytes32 inputHash,
        bytes32 x,
        bytes32 y,
        Said calldata answer
    ) private view {
        bytes32 digest = said(
            answer.tier, answer.requestId, modelId, inputHash, owner, answer.outputHash
        );
        if (!isSignedP256(digest, answer.r, answer.s, x, y)) revert NotSigned();
    }

    function _revoke(address owner, bytes32 modelId, bytes32 x, bytes32 y) private {
        bytes32 keyId = keyIdOf(owner, modelId, x, y);
        Key storage key = _keys[keyId];
        if (key.readyAt == 0) revert KeyUnknown(keyId);
        if (key.revoked) revert KeyRevoked(keyId);

        key.revoked = true;
        revokedAt[owner][modelId] = block.timestamp;

        emit Revoked(keyId, owner, modelId, msg.sender);
    }

    function _attester() private view returns (uint256 number) {
        number = _numbers[msg.sender];
        if (number == 0) revert NotAnAttester(msg.sender);
    }

    function _checkAdmitted(bytes32 statement) private view {
        if (!isAdmitted(statement)) revert NotAdmitted(statement);
    }
}
