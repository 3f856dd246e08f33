// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {AuditedAssurance} from "../../contracts/assurance/AuditedAssurance.sol";
import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {OptimisticAssurance} from "../../contracts/assurance/OptimisticAssurance.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {IOptimisticAssurance} from "../../contracts/interfaces/IOptimisticAssurance.sol";
import {IStakeVault} from "../../contracts/interfaces/IStakeVault.sol";
import {IStakedAssurance} from "../../contracts/interfaces/IStakedAssurance.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {ModelRegistry} from "../../contracts/oracle/ModelRegistry.sol";
import {DevelopmentBeacon} from "../../contracts/random/DevelopmentBeacon.sol";
import {Request} from "../../contracts/types/Request.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Terms, toTerms} from "../../contracts/types/Terms.sol";
import {EchoVerifier} from "../contracts/harness/EchoVerifier.sol";
import {Market} from "./Market.sol";
import {registerModel} from "./Models.sol";
import {ParrotMarket} from "./Parrots.sol";
import {VM} from "./Vm.sol";

/// @notice What must hold whatever the market does.
contract OptimisticInvariants {
    /// @dev Constants: solc takes block.timestamp for one within a call, which warps belie.
    uint256 internal constant START = 1_750_000_000;
    uint256 internal constant END = START + 2_000 days;

    StakeVault internal vault;
    OptimisticAssurance internal tier;
    /// @dev The same under another version of the verifier, with a vault of its own.
    OptimisticAssurance internal second;
    InferenceOracle internal oracle;
    ParrotMarket internal market;

    error Broken(string what, uint256 expected, uint256 got);

    function setUp() public {
        VM.warp(START);
        ModelRegistry registry = new ModelRegistry();
        bytes32 modelId = registerModel(registry, 0);
        GuardedVerifier verifier = new GuardedVerifier(
            new EchoVerifier("srs"), registry, keccak256(abi.encode(modelId, "input", "false"))
        );
        oracle = new InferenceOracle();
        DevelopmentBeacon beacon = _beacon();
        address[] memory tiers = new address[](1);
        tiers[0] = VM.computeCreateAddress(address(this), _made() + 1);
        vault = new StakeVault(tiers);
        tier = _tier(verifier, registry, beacon);
        tiers[0] = VM.computeCreateAddress(address(this), VM.getNonce(address(this)) + 2);
        GuardedVerifier other = new GuardedVerifier(verifier.inner(), registry, verifier.canary());
        second = _second(other, registry, new StakeVault(tiers));
        market = _market(verifier, beacon, modelId);
    }

    function _market(GuardedVerifier verifier, DevelopmentBeacon beacon, bytes32 modelId)
        internal
        virtual
        returns (ParrotMarket)
    {
        return new ParrotMarket(oracle, vault, tier, verifier, beacon, modelId, second);
    }

    /// @dev Without audits in any case.
    function _second(GuardedVerifier verifier, ModelRegistry registry, StakeVault vault_)
        internal
        virtual
        returns (OptimisticAssurance)
    {
        return new OptimisticAssurance(oracle, verifier, registry, vault_, _parameters());
    }

    /// @dev No audits here.
    function _beacon() internal virtual returns (DevelopmentBeacon) {
        return DevelopmentBeacon(address(0));
    }

    /// @dev The nonce with which the vault is made: registry, verifier, guard and oracle came before.
    function _made() internal pure virtual returns (uint256) {
        return 5;
    }

    function _tier(GuardedVerifier verifier, ModelRegistry registry, DevelopmentBeacon)
        internal
        virtual
        returns (OptimisticAssurance)
    {
        return new OptimisticAssurance(oracle, verifier, registry, vault, _parameters());
    }

    function _parameters() internal pure returns (IStakedAssurance.Parameters memory) {
        return IStakedAssurance.Parameters({
            window: 4 hours,
            largeWindow: 24 hours,
            largeCoverage: 5e8,
            inclusionDelay: 0,
            challengerCost: 1e6,
            verifyGas: 1_000_000,
            gasPriceCap: 1 gwei,
            provingPrice: 1 gwei
        });
    }

    /// @dev forge reads this: it calls the market only.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(market);
    }

    /// @notice Proofs and challengers' words are said again where nothing else stands in their way: its own
    ///         proof makes the request final.
    function test_proofs_and_words_said_again_count_for_nothing() public {
        market.ask(1, 1e6, 60, 1 days, 0);
        market.ask(1, 1e6, 60, 1 days, 0);
        market.replayProof(0, 1, 1, 1 | 1 << 8); // of the other request
        market.replayProof(0, 0, 1, 1 | 2 << 8); // of another payee
        market.replayProof(0, 0, 1, 1 << 8); // of the twin
        market.crossOver(0, 1);
        _same("replays", 4, market.replays());
        market.post(1, 2, 1); // a lie
        market.copy(1, 0, 1, 1); // its word of the other request
        market.copy(1, 1, 1, 3); // another's of this one
        market.prove(1, 1, 0);
        market.openCopy(1, 0);
        market.openCopy(1, 1);
        _same("with copied words", 6, market.replays());
        market.prove(0, 1, 0);
        for (uint256 i; i < 2; ++i) {
            (Status status,,) = oracle.statusOf(_id(i));
            _same("status", uint256(Status.Final), uint256(status));
        }
        _same("broken", 0, market.broken());
    }

    /// @notice The vault holds stakes, credits and what was burned, to the wei; every lock is backed,
    ///         an owner's locks and loads are the sums over its open claims, and its stake is what it put
    ///         in, less what it took out and what its own claims cost.
    function invariant_vault_holds_what_it_owes_and_backs_every_lock() public view {
        uint256 owed = vault.burned() + vault.credit(address(tier));
        for (uint256 a; a < market.actorCount(); ++a) {
            address owner = market.actor(a);
            IStakeVault.Account memory account = vault.accountOf(owner);
            owed += account.stake + vault.credit(owner);
            if (account.locked > account.stake) {
                revert Broken("locked above stake", account.stake, account.locked);
            }
            uint256 locked;
            uint256 load;
            uint256 cost;
            for (uint256 i; i < market.jobCount(); ++i) {
                Market.Job memory job = market.jobAt(i);
                if (job.payee != owner) continue;
                cost += market.cost(_id(i));
                if (!market.isLocked(job.request)) continue;
                (uint256 more, uint256 seconds_) = market.lockOf(job.request);
                (locked, load) = (locked + more, load + seconds_);
            }
            _same("sum of locks", locked, account.locked);
            _same("sum of loads", load, account.load);
            _same("own stake", market.staked(owner), account.stake + cost);
        }
        _same("vault", owed * 1 gwei + market.forcedVault(), address(vault).balance);
    }

    /// @notice The tier holds every bond that was not collected, and can pay those that it owes.
    function invariant_tier_holds_the_bonds() public view {
        _same("tier", market.bonds() + market.forcedTier(), address(tier).balance);
        uint256 owed;
        for (uint256 i; i < market.jobCount(); ++i) {
            bytes32 id = _id(i);
            IOptimisticAssurance.Case memory case_ = tier.caseOf(id);
            uint256 count = tier.challengeCount(id);
            if (case_.outcome == IOptimisticAssurance.Outcome.Upheld) count = 1;
            for (uint256 c; c < count; ++c) {
                owed += tier.challengeAt(id, c).bond;
            }
        }
        if (owed > address(tier).balance) revert Broken("bonds", owed, address(tier).balance);
    }

    /// @notice A valid proof before finality wins; slashes divide one lock exactly; a lock ends once;
    ///         nobody honest was slashed.
    function invariant_claims_settle_once_and_nobody_honest_is_slashed() public view virtual {
        _claimsSettleOnce();
        if (vault.accountOf(market.actor(0)).suspended) revert Broken("honest, slashed", 0, 1);
    }

    /// @notice Whatever state the market was left in, anyone can end every claim once W_max is over; then
    ///         all bonds that return and all stakes can be had. forge calls this after each run.
    function afterInvariant() public {
        VM.warp(END);
        for (uint256 i; i < market.jobCount(); ++i) {
            Market.Job memory job = market.jobAt(i);
            bytes32 id = _id(i);
            (Status status,,) = oracle.statusOf(id);
            if (status < Status.Final) oracle.refund(job.request);
            if (market.isLocked(job.request)) {
                tier.close(job.request, job.payee, keccak256(job.stands));
            }
            bool lost = tier.caseOf(id).outcome == IOptimisticAssurance.Outcome.Upheld;
            for (uint256 c; c < tier.challengeCount(id); ++c) {
                if (!lost && tier.challengeAt(id, c).bond != 0) tier.collect(id, c);
            }
        }
        for (uint256 a; a < market.actorCount(); ++a) {
            address owner = market.actor(a);
            uint256 held = vault.accountOf(owner).stake;
            VM.prank(owner);
            vault.queueWithdrawal(held);
        }
        VM.warp(END + 14 days);
        for (uint256 a; a < market.actorCount(); ++a) {
            uint256 held = vault.accountOf(market.actor(a)).stake;
            if (held == 0) continue;
            address owner = market.actor(a);
            VM.prank(owner);
            _same("stake left", held, vault.leave(owner));
        }
    }

    function testFuzz_terms_any_come_back(
        uint40 coverage,
        uint16 proving,
        uint8 hours_,
        uint16 audits
    ) public pure {
        Terms terms = toTerms(coverage, proving & 0x7fff, hours_, audits & 0x3fff);
        _same("audits", audits & 0x3fff, terms.auditRate());
        _same("coverage", coverage, terms.coverage());
        _same("proving", proving & 0x7fff, terms.proving());
        _same("hours", hours_, terms.windowHours());
        if (terms.isComplete() != (coverage != 0 && proving & 0x7fff != 0)) {
            revert Broken("complete", 0, 1);
        }
    }

    function _claimsSettleOnce() internal view {
        _same("broken", 0, market.broken());
        for (uint256 i; i < market.jobCount(); ++i) {
            bytes32 id = _id(i);
            if (market.settled(id) > 1) revert Broken("settled", 1, market.settled(id));
        }
    }

    function _id(uint256 i) internal view returns (bytes32) {
        return oracle.idOf(market.jobAt(i).request);
    }

    function _same(string memory what, uint256 expected, uint256 got) internal pure {
        if (expected != got) revert Broken(what, expected, got);
    }
}

/// @notice The same, where half of all claims are drawn for audits.
contract AuditedInvariants is OptimisticInvariants {
    /// @notice What holds an operator back are its drawn claims, until they are proved.
    function invariant_drawn_claims_hold_others_back() public view {
        AuditedAssurance audited = AuditedAssurance(address(tier));
        for (uint256 a; a < market.actorCount(); ++a) {
            uint256 held;
            for (uint256 i; i < market.jobCount(); ++i) {
                if (market.jobAt(i).payee != market.actor(a)) continue;
                if (audited.isFrozen(_id(i))) ++held;
            }
            _same("held back by", held, audited.drawnOf(market.actor(a)));
        }
    }

    function _beacon() internal override returns (DevelopmentBeacon) {
        return new DevelopmentBeacon();
    }

    function _made() internal pure override returns (uint256) {
        return 6;
    }

    function _tier(GuardedVerifier verifier, ModelRegistry registry, DevelopmentBeacon beacon)
        internal
        override
        returns (OptimisticAssurance)
    {
        return new AuditedAssurance(oracle, verifier, registry, vault, _parameters(), beacon);
    }
}
