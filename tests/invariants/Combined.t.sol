// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {AuditedAssurance} from "../../contracts/assurance/AuditedAssurance.sol";
import {CombinedAssurance} from "../../contracts/assurance/CombinedAssurance.sol";
import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {OptimisticAssurance} from "../../contracts/assurance/OptimisticAssurance.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {AttestedAssurance} from "../../contracts/attested/AttestedAssurance.sol";
import {IAttestationRegistry} from "../../contracts/interfaces/IAttestationRegistry.sol";
import {ICombinedAssurance} from "../../contracts/interfaces/ICombinedAssurance.sol";
import {IOptimisticAssurance} from "../../contracts/interfaces/IOptimisticAssurance.sol";
import {IStakeVault} from "../../contracts/interfaces/IStakeVault.sol";
import {IStakedAssurance} from "../../contracts/interfaces/IStakedAssurance.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {ModelRegistry} from "../../contracts/oracle/ModelRegistry.sol";
import {DevelopmentBeacon} from "../../contracts/random/DevelopmentBeacon.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Terms, toTerms} from "../../contracts/types/Terms.sol";
import {EchoVerifier} from "../contracts/harness/EchoVerifier.sol";
import {Concert} from "./Concert.sol";
import {ALL, ATTESTED, AUDITED, Ensemble, LONGER, PARTS} from "./Ensemble.sol";
import {Keyring} from "./Keyring.sol";
import {registerModel} from "./Models.sol";
import {VM} from "./Vm.sol";

/// @notice What must hold of a combination of three tiers, audited, optimistic with a longer
///         window, and attested, whatever the concert does.
contract CombinedInvariants {
    uint256 internal constant START = 1_750_000_000;
    uint256 internal constant END = START + 2_000 days;
    /// @dev Kinds of answers; the claim that was asked for last; nearly a window.
    uint8 internal constant RIGHTLY = 6;
    uint8 internal constant WRONGLY = 1;
    uint8 internal constant NOT_AT_ALL = 2;
    uint256 internal constant LAST = 1;
    uint32 internal constant STEP = 4 hours - 1;

    InferenceOracle internal oracle;
    StakeVault internal vault;
    CombinedAssurance internal combined;
    Concert internal concert;

    error Broken(string what, uint256 expected, uint256 got);

    function setUp() public {
        VM.warp(START);
        ModelRegistry registry = new ModelRegistry();
        bytes32 modelId = registerModel(registry, 0);
        GuardedVerifier guard = new GuardedVerifier(
            new EchoVerifier("srs"), registry, keccak256(abi.encode(modelId, "input", "false"))
        );
        oracle = new InferenceOracle();
        DevelopmentBeacon beacon = new DevelopmentBeacon();
        Keyring keyring = new Keyring();
        uint256 nonce = VM.getNonce(address(this)) + 1;
        address[] memory tiers = new address[](PARTS);
        for (uint256 i; i < PARTS; ++i) {
            tiers[i] = VM.computeCreateAddress(address(this), nonce + i);
        }
        InferenceOracle seen =
            InferenceOracle(VM.computeCreateAddress(address(this), nonce + PARTS));
        vault = new StakeVault(tiers);
        new AuditedAssurance(seen, guard, registry, vault, _parameters(4 hours, 2e7), beacon);
        new OptimisticAssurance(seen, guard, registry, vault, _parameters(4 hours, 4e7));
        new AttestedAssurance(
            seen,
            guard,
            registry,
            vault,
            _parameters(2 hours, 6e7),
            IAttestationRegistry(address(keyring))
        );
        ICombinedAssurance.Part[] memory parts = new ICombinedAssurance.Part[](PARTS);
        for (uint256 i; i < PARTS; ++i) {
            parts[i].tier = tiers[i];
        }
        parts[AUDITED].terms = bytes32(Terms.unwrap(toTerms(0, 0, 0, 5000)));
        parts[LONGER].terms = bytes32(Terms.unwrap(toTerms(0, 0, 6, 0)));
        combined = new CombinedAssurance(oracle, parts);
        concert = new Concert(oracle, vault, combined, guard, beacon, keyring, modelId);
    }

    /// @dev Rewards are the challenger's costs, not a share of coverage: so locks differ.
    function _parameters(uint32 window, uint40 challengerCost)
        private
        pure
        returns (IStakedAssurance.Parameters memory)
    {
        return IStakedAssurance.Parameters({
            window: window,
            largeWindow: window * 3 / 2,
            largeCoverage: 4e8,
            inclusionDelay: 0,
            challengerCost: challengerCost,
            verifyGas: 1_000_000,
            gasPriceCap: 1 gwei,
            provingPrice: 1 gwei
        });
    }

    /// @dev forge reads this: it calls the concert only.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(concert);
    }

    // --- what the handlers are to do, they can ---

    /// @notice Of an honest operator: final by clocks, by a proof where it is drawn and clocks
    ///         elsewhere, and, where its key was revoked, given back and freed by the others' own
    ///         clocks.
    function test_an_honest_operator_loses_nothing_in_any_part() public {
        _stand(0, RIGHTLY, false);
        concert.outlast(LAST, 1);
        _stand(0, RIGHTLY, true);
        concert.pass(STEP);
        concert.pass(STEP);
        concert.publish(LAST);
        concert.freeze(LAST);
        concert.mix(LAST, PARTS, 1, 5 | 1 << 16 | 1 << 20);
        _stand(0, RIGHTLY, false);
        concert.revoke(LAST, 0, 4);
        concert.pass(STEP);
        concert.turn(LAST, ATTESTED, 1, 1);
        concert.pass(STEP);
        concert.publish(LAST);
        concert.pass(1 hours + 1);
        concert.turn(LAST, AUDITED, 1, 1);
        concert.turn(LAST, LONGER, 1, 1);
        Ensemble.Counts memory counts = concert.counts();
        _same("by clocks", 1, counts.silent);
        _same("said to be drawn", 1, counts.freezes);
        _same("by a proof and clocks", 1, counts.mixed);
        _same("failed by one part", 1, counts.failed);
        _same("freed by the others", 2, counts.freed);
        _same("slashes", 0, counts.slashes);
        afterInvariant();
    }

    /// @notice Of liars: one part after the other slashes its lock, by a dispute, by a proof and
    ///         after the week; all at once; by an audit.
    function test_a_lie_costs_each_part_s_lock_once() public {
        _stand(1, WRONGLY, false);
        concert.dispute(LAST, LONGER, 2, 1);
        concert.pass(STEP);
        concert.turn(LAST, LONGER, 3, 1);
        concert.proveLate(LAST, AUDITED, 3);
        _same("failed by one part", 1, concert.counts().failed);
        _same("slashed in another", 1, concert.counts().struck);
        _stand(2, WRONGLY, false);
        concert.prove(LAST, 3, 0);
        _same("refuted", 1, concert.counts().refuted);
        _same("slashes", 2 + PARTS, concert.counts().slashes);
        _stand(3, WRONGLY, true);
        concert.pass(STEP);
        concert.pass(STEP);
        concert.publish(LAST);
        concert.pass(STEP);
        concert.turn(LAST, AUDITED, 4, 1);
        _same("failed by two parts", 2, concert.counts().failed);
        if (!vault.isForfeited(concert.actor(3))) revert Broken("forfeited", 1, 0);
        _stand(4, NOT_AT_ALL, false);
        concert.pass(STEP);
        concert.pass(STEP);
        concert.settle(LAST, 0);
        _same("given back by all", 1, concert.counts().back);
        uint256 before = concert.counts().closed;
        afterInvariant();
        if (concert.counts().closed < before + 3) revert Broken("closed", 3, before);
    }

    // --- whatever happens -----------------------------------------------------------------------

    /// @notice The vault holds stakes, credits and what was burned, to the wei; what is locked are
    ///         the locks of parts in which claims stand; a stake is what was put in, less what
    ///         went out and what its own claims cost.
    function invariant_vault_holds_what_it_owes_and_backs_every_lock() public view {
        uint256 owed = vault.burned() + vault.credit(concert.CONSUMER());
        for (uint256 i; i < PARTS; ++i) {
            owed += vault.credit(address(concert.part(i)));
        }
        for (uint256 a; a < concert.actorCount(); ++a) {
            address owner = concert.actor(a);
            IStakeVault.Account memory account = vault.accountOf(owner);
            owed += account.stake + vault.credit(owner);
            (uint256 locked, uint256 load) = _locksOf(owner);
            _same("sum of locks", locked, account.locked);
            _same("sum of loads", load, account.load);
            _same("own stake", concert.staked(owner), account.stake + concert.cost(owner));
            if (account.locked > account.stake) {
                revert Broken("locked above stake", account.stake, account.locked);
            }
        }
        _same("vault", owed * 1 gwei, address(vault).balance);
    }

    /// @notice The oracle holds what unsettled requests paid: each was paid out once. Parts hold
    ///         the bonds.
    function invariant_payments_and_bonds_are_where_they_belong() public view {
        uint256 held;
        for (uint256 i; i < concert.jobCount(); ++i) {
            Ensemble.Job memory job = concert.jobAt(i);
            if (_statusOf(job) < Status.Final) held += job.request.fee;
        }
        _same("oracle", held, address(oracle).balance);
        for (uint256 i; i < PARTS; ++i) {
            _same("part", concert.bonds(i), address(concert.part(i)).balance);
        }
    }

    /// @notice What becomes of a claim is what its parts say; each lock ends once, by its part's
    ///         word, and pays what it says; nobody honest loses anything.
    function invariant_parts_decide_and_nobody_honest_is_slashed() public view {
        _same("broken", 0, concert.broken());
        _same("honest cost", 0, concert.cost(concert.actor(0)));
        if (vault.isSuspended(concert.actor(0))) revert Broken("honest, slashed", 0, 1);
    }

    /// @notice A part sees a claim that others gave back as its own until it had its say, or the
    ///         week is over.
    function invariant_each_part_sees_its_own_claim() public {
        for (uint256 i; i < concert.jobCount(); ++i) {
            Ensemble.Job memory job = concert.jobAt(i);
            bytes32 id = oracle.idOf(job.request);
            for (uint256 p; p < PARTS; ++p) {
                (Status status,, uint256 since) = combined.claimFor(id, p);
                VM.prank(address(concert.part(p)));
                (Status asked,,) = combined.claimOf(id);
                _same("asked", uint256(status), uint256(asked));
                _same("seen", uint256(_seen(job, p)), uint256(status));
                if (status == Status.Provisional) _same("since", job.since, since);
            }
        }
    }

    /// @notice What holds an operator back are its drawn claims, until they are proved.
    function invariant_drawn_claims_hold_others_back() public view {
        AuditedAssurance audited = concert.audited();
        for (uint256 a; a < concert.actorCount(); ++a) {
            uint256 held;
            for (uint256 i; i < concert.jobCount(); ++i) {
                Ensemble.Job memory job = concert.jobAt(i);
                bool own = job.payee == concert.actor(a);
                if (own && audited.isFrozen(oracle.idOf(job.request))) ++held;
            }
            _same("held back by", held, audited.drawnOf(concert.actor(a)));
        }
    }

    /// @notice Whatever state the concert was left in, anyone can end every lock once the week is
    ///         over, to which honest proofs came before; then all bonds that return and all stakes
    ///         can be had.
    function afterInvariant() public {
        concert.pass(8 days);
        concert.pass(8 days);
        VM.warp(END);
        for (uint256 i; i < concert.jobCount(); ++i) {
            Ensemble.Job memory job = concert.jobAt(i);
            if (_statusOf(job) < Status.Final) oracle.refund(job.request);
            for (uint256 p; p < PARTS; ++p) {
                concert.close(i, p);
                _collect(concert.part(p), oracle.idOf(job.request));
            }
            _same("open", 0, concert.jobAt(i).open);
        }
        invariant_parts_decide_and_nobody_honest_is_slashed();
        for (uint256 a; a < concert.actorCount(); ++a) {
            IStakeVault.Account memory account = vault.accountOf(concert.actor(a));
            _same("locked for ever", 0, account.locked);
            VM.prank(concert.actor(a));
            vault.queueWithdrawal(account.stake);
        }
        VM.warp(END + 14 days);
        for (uint256 a; a < concert.actorCount(); ++a) {
            address owner = concert.actor(a);
            uint256 held = vault.accountOf(owner).stake;
            if (held == 0) continue;
            VM.prank(owner);
            _same("stake left", held, vault.leave(owner));
        }
    }

    // --- helpers --------------------------------------------------------------------------------

    /// @dev An actor's claim that its round will draw, or will not.
    function _stand(uint256 who, uint8 kind, bool drawn) private {
        for (uint256 i; i < 8; ++i) {
            concert.ask(who, 1e6, 60, 1 days, kind);
            Ensemble.Job memory job = concert.jobAt(concert.jobCount() - 1);
            _same("answered", ALL, job.open);
            (uint64 round,,,) = concert.audited().auditOf(concert.seen(job.request, AUDITED));
            bytes32 value = keccak256(abi.encode("einproof development beacon", round));
            bytes32 lot = keccak256(abi.encode(value, oracle.idOf(job.request)));
            if (uint256(lot) % 10_000 < 5000 == drawn) return;
        }
        revert Broken("drawn", drawn ? 1 : 0, drawn ? 0 : 1);
    }

    function _collect(OptimisticAssurance part, bytes32 id) private {
        uint256 count = part.challengeCount(id);
        if (part.caseOf(id).outcome == IOptimisticAssurance.Outcome.Upheld) count = 1;
        for (uint256 c; c < count; ++c) {
            if (part.challengeAt(id, c).bond != 0) part.collect(id, c);
        }
    }

    function _locksOf(address owner) private view returns (uint256 locked, uint256 load) {
        for (uint256 i; i < concert.jobCount(); ++i) {
            Ensemble.Job memory job = concert.jobAt(i);
            if (job.payee != owner) continue;
            locked += concert.lockOf(job.request, job.open);
            uint256 proving = Terms.wrap(uint256(job.request.terms)).proving();
            for (uint256 p; p < PARTS; ++p) {
                load += proving * (job.open >> p & 1);
            }
        }
    }

    function _seen(Ensemble.Job memory job, uint256 p) private view returns (Status) {
        Status status = _statusOf(job);
        bool own = job.since != 0 && job.told != 0 && job.told >> p & 1 == 0;
        if (!own) return status;
        bool over = block.timestamp > job.request.deadline + 7 days;
        return over ? Status.Refunded : Status.Provisional;
    }

    function _statusOf(Ensemble.Job memory job) private view returns (Status status) {
        (status,,) = oracle.statusOf(oracle.idOf(job.request));
    }

    function _same(string memory what, uint256 expected, uint256 got) private pure {
        if (expected != got) revert Broken(what, expected, got);
    }
}
