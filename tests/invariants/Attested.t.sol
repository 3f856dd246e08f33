// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {OptimisticAssurance} from "../../contracts/assurance/OptimisticAssurance.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {AttestationRegistry} from "../../contracts/attested/AttestationRegistry.sol";
import {AttestedAssurance} from "../../contracts/attested/AttestedAssurance.sol";
import {IAttestationRegistry} from "../../contracts/interfaces/IAttestationRegistry.sol";
import {IDcap} from "../../contracts/interfaces/IDcap.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {ModelRegistry} from "../../contracts/oracle/ModelRegistry.sol";
import {DevelopmentBeacon} from "../../contracts/random/DevelopmentBeacon.sol";
import {Request} from "../../contracts/types/Request.sol";
import {Status} from "../../contracts/types/Status.sol";
import {OptimisticInvariants} from "./Optimistic.t.sol";
import {ParrotMarket} from "./Parrots.sol";
import {VM} from "./Vm.sol";

address constant ATTESTER = address(0xA77E57E1);
address constant OTHER_ATTESTER = address(0xA77E57E2);

/// @notice A market whose answers on stake are signed by keys of the payee's hardware, of a kind that
///         two attesters decide on. Keys come and go: approved or not, vetoed, revoked, expired, shown
///         to have signed two outputs, stolen. Actor 0's hardware is honest: it signs what is right.
contract AttestedMarket is ParrotMarket {
    struct Key {
        uint256 readyAt;
        uint256 until;
        bool revoked;
    }

    uint256 internal constant KEYS = 4;
    uint256 internal constant DELAY = 2 hours;
    uint256 internal constant LIFE = 7 days;
    bytes internal constant EVIDENCE = "evidence";

    IAttestationRegistry public immutable attestations;

    /// @dev Beside the registry's own, from what happened: by actor and number.
    mapping(uint256 who => mapping(uint256 number => Key)) internal _keys;
    mapping(uint256 who => mapping(uint256 number => uint256)) internal _approvals;
    mapping(uint256 who => mapping(uint256 number => bool)) internal _vetoed;
    /// @dev When a key of an owner was last revoked.
    mapping(address owner => uint256) internal _revokedAt;
    /// @dev Whether the signature that was made last is one that counts.
    bool private _counts;

    constructor(
        InferenceOracle oracle_,
        StakeVault vault_,
        OptimisticAssurance tier_,
        GuardedVerifier guard_,
        DevelopmentBeacon beacon_,
        bytes32 modelId_,
        OptimisticAssurance second_
    ) ParrotMarket(oracle_, vault_, tier_, guard_, beacon_, modelId_, second_) {
        attestations = AttestedAssurance(address(tier_)).attestations();
        bytes32 build = attestations.buildStatement(
            IAttestationRegistry.Kind.Nitro, modelId_, bytes32("measured")
        );
        VM.prank(ATTESTER);
        attestations.approve(build, "");
        VM.prank(OTHER_ATTESTER);
        attestations.approve(build, "");
        for (uint256 who; who < ACTORS; ++who) {
            _admit(who, 0, true, true);
            _enrol(who, 0, actor(who), false);
        }
        VM.warp(block.timestamp + DELAY);
    }

    // --- keys -----------------------------------------------------------------------------------

    function admit(uint256 who, uint256 number, uint8 luck) external {
        _admit(who % ACTORS, number % KEYS, luck % 4 != 0, luck % 4 != 1);
    }

    /// @dev Mostly by the owner.
    function enrol(uint256 who, uint256 number, uint8 luck) external {
        address sender = actor(luck % 8 == 0 ? who + 1 : who);
        _enrol(who % ACTORS, number % KEYS, sender, luck % 8 == 1);
    }

    function veto(uint256 who, uint256 number, uint8 luck) external {
        if (luck % 8 != 0) return;
        bytes32 statement = _statement(_enrolment(who % ACTORS, number % KEYS, false));
        VM.prank(luck % 16 == 0 ? ATTESTER : actor(who));
        try attestations.veto(statement) {
            if (luck % 16 != 0) ++broken;
            _vetoed[who % ACTORS][number % KEYS] = true;
        } catch {}
    }

    /// @dev By its owner, by an attester, or by who may not; mostly the key of a claim that stands.
    function revoke(uint256 who, uint256 number, uint256 which, uint8 luck) external {
        if (luck % 4 == 0) return;
        (who, number) = (who % ACTORS, number % KEYS);
        if (luck % 16 < 12 && _jobs.length != 0) {
            address payee = _jobs[_pick(which)].payee;
            if (payee != address(0)) who = _indexOf(payee);
            number = _latest(who);
        }
        Key memory key = _keys[who][number];
        bool may = luck % 4 != 1;
        (bytes32 x, bytes32 y) = _public(who, number);
        VM.prank(luck % 4 == 2 ? actor(who) : may ? OTHER_ATTESTER : actor(who + 1));
        try attestations.revoke(actor(who), modelId, x, y) {
            if (!may) ++broken;
            _markRevoked(who, number);
        } catch {
            if (may && key.readyAt != 0 && !key.revoked) ++broken;
        }
    }

    /// @dev Anyone shows two outputs that one key signed, of one input. Actor 0's signed one: the other is
    ///      forged with another key, or was signed of another input.
    function contradict(uint256 who, uint256 number, uint256 which, uint8 luck) external {
        if (_jobs.length == 0) return;
        (who, number) = (who % ACTORS, number % KEYS);
        bytes32 id = oracle.idOf(_jobs[_pick(which)].request);
        bytes memory other = luck % 4 == 0 ? RIGHT : bytes("wrong");
        bool elsewhere = luck & 16 != 0;
        uint256 forger = !elsewhere && (luck % 4 == 1 || who == 0) ? who + 1 : who;
        (bytes32 x, bytes32 y) = _public(who, number);
        IAttestationRegistry.Said memory one = _said(who, number, who, id, RIGHT);
        IAttestationRegistry.Said memory two = elsewhere
            ? _saidOf("another input", who, number, who, id, other)
            : _said(forger, number, who, id, other);
        VM.prank(actor(luck));
        try attestations.contradict(actor(who), modelId, x, y, keccak256(INPUT), one, two) {
            bool same = keccak256(other) == keccak256(RIGHT);
            if (elsewhere || forger != who || same) ++broken;
            _markRevoked(who, number);
        } catch {}
    }

    /// @dev An owner hands in what its key signed of another request, to the other version, for another
    ///      owner, or of another output, as of this answer.
    function replaySignature(uint256 which, uint256 from, uint256 who, uint256 whose, uint8 kind)
        external
    {
        if (_jobs.length == 0) return;
        Job memory job = _jobs[_pick(which)];
        if (job.payee != address(0)) return;
        uint256 owner = 1 + who % (ACTORS - 1);
        Request memory told = job.request;
        if (kind % 4 == 0) told = _jobs[_pick(from)].request;
        if (kind % 4 == 1) told = _twin(job.request);
        uint256 named = kind % 4 == 2 ? whose % ACTORS : owner;
        bool other = kind % 4 == 3;
        if (!other && named == owner && oracle.idOf(told) == oracle.idOf(job.request)) return;
        bytes memory evidence = _signed(told, owner, named);
        bytes memory output = other ? bytes("wrong") : RIGHT;
        if (_answer(job.request, actor(owner), actor(owner), output, evidence)) ++broken;
        ++replays;
    }

    /// @dev An owner answers rightly, with its latest key.
    function sign(uint256 which, uint256 who) external {
        if (_jobs.length == 0) return;
        Job storage job = _jobs[_pick(which)];
        uint256 owner = 1 + who % (ACTORS - 1);
        if (job.payee != address(0)) return;
        Request memory request = job.request;
        bytes memory evidence = _signed(request, owner, owner);
        if (_answer(request, actor(owner), actor(owner), RIGHT, evidence)) {
            (job.payee, job.stands) = (actor(owner), RIGHT);
        }
    }

    /// @dev What attesters admitted of one enrolment is said to be of another: of another owner, model, or
    ///      key.
    function replayAdmission(uint256 who, uint256 number, uint256 whose, uint8 kind) external {
        (who, number) = (who % ACTORS, number % KEYS);
        IAttestationRegistry.Enrolment memory told = _enrolment(who, number, false);
        if (kind % 3 == 0) told.owner = actor(who + 1 + whose % (ACTORS - 1));
        if (kind % 3 == 1) told.modelId = keccak256(abi.encode(modelId));
        if (kind % 3 == 2) (told.x, told.y) = _public(who, KEYS + whose % KEYS); // the next owner's
        VM.prank(told.owner);
        try attestations.enrol(told, EVIDENCE) {
            ++broken;
        } catch {}
        ++replays;
    }

    /// @dev A window passes, and anyone hands the claim in.
    function outlast(uint256 which, uint256 who) external {
        if (_jobs.length == 0) return;
        this.pass(4 hours - 1);
        this.pass(4 hours - 1);
        Job memory job = _jobs[_pick(which)];
        if (job.payee == address(0)) return;
        _answer(job.request, actor(who), job.payee, job.stands, "");
    }

    function _admit(uint256 who, uint256 number, bool one, bool other) private {
        bytes32 statement = _statement(_enrolment(who, number, false));
        uint256 approvals = _approvals[who][number];
        if (one) {
            VM.prank(ATTESTER);
            attestations.approve(statement, EVIDENCE);
            approvals |= 1;
        }
        if (other) {
            VM.prank(OTHER_ATTESTER);
            attestations.approve(statement, EVIDENCE);
            approvals |= 2;
        }
        _approvals[who][number] = approvals;
    }

    function _enrol(uint256 who, uint256 number, address sender, bool debug) private {
        Key storage key = _keys[who][number];
        IAttestationRegistry.Enrolment memory told = _enrolment(who, number, debug);
        bool good = _approvals[who][number] == 3 && !_vetoed[who][number] && key.readyAt == 0
            && sender == actor(who) && !debug;
        VM.prank(sender);
        try attestations.enrol(told, EVIDENCE) {
            if (!good) ++broken;
            key.readyAt = block.timestamp + DELAY;
            key.until = key.readyAt + LIFE;
        } catch {
            if (good) ++broken;
        }
    }

    function _markRevoked(uint256 who, uint256 number) private {
        Key storage key = _keys[who][number];
        if (key.readyAt == 0 || key.revoked) ++broken;
        key.revoked = true;
        _revokedAt[actor(who)] = block.timestamp;
    }

    function _enrolment(uint256 who, uint256 number, bool debug)
        private
        view
        returns (IAttestationRegistry.Enrolment memory told)
    {
        (bytes32 x, bytes32 y) = _public(who, number);
        told = IAttestationRegistry.Enrolment({
            kind: IAttestationRegistry.Kind.Nitro,
            debug: debug,
            owner: actor(who),
            modelId: modelId,
            measurement: bytes32("measured"),
            x: x,
            y: y,
            until: type(uint64).max
        });
    }

    function _statement(IAttestationRegistry.Enrolment memory told) private view returns (bytes32) {
        return attestations.enrolmentStatement(told, keccak256(EVIDENCE));
    }

    // --- answers --------------------------------------------------------------------------------

    /// @dev Mostly the payee's own key, one of which it enrolled; else another actor's, or none. Actor
    ///      0's keys sign for itself and what is right, the others' anything.
    function _vouch(Request memory request, address sender, address payee, bytes memory output)
        internal
        override
        returns (bytes memory)
    {
        bytes32 id = oracle.idOf(request);
        uint256 luck = uint256(keccak256(abi.encode(id, sender, output)));
        uint256 owner = _indexOf(payee);
        uint256 signer = luck % 8 == 0 ? owner + 1 : owner;
        if (signer % ACTORS == 0 && sender != actor(0)) signer = 1;
        uint256 number = (luck >> 8) % 6 == 0 ? (luck >> 16) % KEYS : _latest(signer % ACTORS);
        (bytes32 x, bytes32 y) = _public(signer, number);
        IAttestationRegistry.Said memory said = _said(signer, number, owner, id, output);
        if (luck % 16 == 1) said.r = ~said.r;
        Key memory key = _keys[owner][number];
        _counts = signer % ACTORS == owner && key.readyAt != 0 && !key.revoked
            && key.readyAt <= block.timestamp && block.timestamp <= key.until && luck % 16 != 1;
        return luck % 32 == 2 ? bytes("") : abi.encode(x, y, said.r, said.s);
    }

    function _posted() internal override {
        if (!_counts) ++broken;
    }

    /// @dev What a key signed up to its revocation is not final by silence, and costs nobody anything.
    function _answer(
        Request memory request,
        address sender,
        address payee,
        bytes memory output,
        bytes memory evidence
    ) internal override returns (bool done) {
        bytes32 id = oracle.idOf(request);
        (Status status,, uint256 since) = oracle.claimOf(id);
        bool silent = status == Status.Provisional && evidence.length == 0;
        bool disputed = tier.caseOf(id).proveBy != 0;
        uint256 stake = vault.accountOf(payee).stake;
        done = super._answer(request, sender, payee, output, evidence);
        if (!done || !silent || since > _revokedAt[payee]) return done;
        (status,,) = oracle.statusOf(id);
        if (status != Status.Retracted) ++broken;
        if (!disputed && vault.accountOf(payee).stake != stake) ++broken;
    }

    /// @dev Signed by one's key, as a statement about another's answer.
    function _said(uint256 signer, uint256 number, uint256 owner, bytes32 id, bytes memory output)
        private
        view
        returns (IAttestationRegistry.Said memory)
    {
        return _saidOf(INPUT, signer, number, owner, id, output);
    }

    function _saidOf(
        bytes memory input,
        uint256 signer,
        uint256 number,
        uint256 owner,
        bytes32 id,
        bytes memory output
    ) private view returns (IAttestationRegistry.Said memory told) {
        bytes32 digest = attestations.said(
            address(tier), id, modelId, keccak256(input), actor(owner), keccak256(output)
        );
        (told.tier, told.requestId, told.outputHash) = (address(tier), id, keccak256(output));
        (told.r, told.s) = VM.signP256(_secret(signer, number), digest);
    }

    /// @dev An owner's latest key signs the right answer to a request, to its tier, for whom it names.
    function _signed(Request memory told, uint256 owner, uint256 named)
        private
        view
        returns (bytes memory)
    {
        uint256 number = _latest(owner);
        (bytes32 x, bytes32 y) = _public(owner, number);
        bytes32 digest = attestations.said(
            told.assurance,
            oracle.idOf(told),
            modelId,
            keccak256(INPUT),
            actor(named),
            keccak256(RIGHT)
        );
        (bytes32 r, bytes32 s) = VM.signP256(_secret(owner, number), digest);
        return abi.encode(x, y, r, s);
    }

    /// @dev The key that was enrolled last.
    function _latest(uint256 who) private view returns (uint256 number) {
        for (uint256 i = 1; i < KEYS; ++i) {
            if (_keys[who][i].readyAt > _keys[who][number].readyAt) number = i;
        }
    }

    function _indexOf(address owner) private pure returns (uint256 who) {
        while (actor(who) != owner) {
            ++who;
        }
    }

    function _public(uint256 who, uint256 number) private pure returns (bytes32, bytes32) {
        (uint256 x, uint256 y) = VM.publicKeyP256(_secret(who, number));
        return (bytes32(x), bytes32(y));
    }

    function _secret(uint256 who, uint256 number) private pure returns (uint256) {
        return 0xA77E57ED + who % ACTORS * KEYS + number;
    }
}

/// @notice What holds of the optimistic tier holds here; and no answer stands that hardware which
///         counted then did not sign, none that a revoked key signed is final by silence.
contract AttestedInvariants is OptimisticInvariants {
    function _market(GuardedVerifier verifier, DevelopmentBeacon beacon, bytes32 modelId)
        internal
        override
        returns (ParrotMarket)
    {
        return new AttestedMarket(oracle, vault, tier, verifier, beacon, modelId, second);
    }

    /// @dev Of the same keys.
    function _second(GuardedVerifier verifier, ModelRegistry registry, StakeVault vault_)
        internal
        override
        returns (OptimisticAssurance)
    {
        IAttestationRegistry attestations = AttestedAssurance(address(tier)).attestations();
        return
            new AttestedAssurance(oracle, verifier, registry, vault_, _parameters(), attestations);
    }

    /// @notice Signatures and admissions are used again where nothing else stands in their way: a
    ///         signature of the answer itself lets it stand.
    function test_what_keys_signed_counts_for_nothing_elsewhere() public {
        market.ask(1, 1e6, 60, 1 days, 0);
        market.ask(1, 1e6, 60, 1 days, 0);
        AttestedMarket attested = AttestedMarket(address(market));
        for (uint8 kind; kind < 4; ++kind) {
            attested.replaySignature(0, 1, 0, 2, kind);
        }
        for (uint8 kind; kind < 3; ++kind) {
            attested.replayAdmission(2, 0, 0, kind);
        }
        _same("replays", 7, market.replays());
        _same("broken", 0, market.broken());
        attested.sign(0, 0);
        (Status status,,) = oracle.statusOf(_id(0));
        _same("status", uint256(Status.Provisional), uint256(status));
        _same("broken", 0, market.broken());
    }

    /// @dev The registry of keys is made between vault and tier.
    function _made() internal pure override returns (uint256) {
        return 6;
    }

    function _tier(GuardedVerifier verifier, ModelRegistry registry, DevelopmentBeacon)
        internal
        override
        returns (OptimisticAssurance)
    {
        address[] memory attesters = new address[](2);
        (attesters[0], attesters[1]) = (ATTESTER, OTHER_ATTESTER);
        IAttestationRegistry.Rules memory rules =
            IAttestationRegistry.Rules(attesters, 2, 2 hours, 7 days);
        // Nobody decides quotes here: attesters decide on Nitro's evidence.
        AttestationRegistry attestations =
            new AttestationRegistry(registry, rules, IDcap(address(0)));
        return new AttestedAssurance(oracle, verifier, registry, vault, _parameters(), attestations);
    }
}
