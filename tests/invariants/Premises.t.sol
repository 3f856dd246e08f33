// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {AuditedAssurance} from "../../contracts/assurance/AuditedAssurance.sol";
import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {OptimisticAssurance} from "../../contracts/assurance/OptimisticAssurance.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {IOptimisticAssurance} from "../../contracts/interfaces/IOptimisticAssurance.sol";
import {IStakeVault} from "../../contracts/interfaces/IStakeVault.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {ModelRegistry} from "../../contracts/oracle/ModelRegistry.sol";
import {DevelopmentBeacon} from "../../contracts/random/DevelopmentBeacon.sol";
import {Status} from "../../contracts/types/Status.sol";
import {OptimisticInvariants} from "./Optimistic.t.sol";
import {ParrotMarket} from "./Parrots.sol";
import {VM} from "./Vm.sol";

/// @notice The premises of "nobody honest is slashed", but for one: that inputs are known cannot fail,
///         since the oracle takes them whole.
enum Premise {
    Proving, // a proof takes no longer than was declared
    Landing, // transactions land within the clocks: here the whole chain halts
    Verifier // the verifier takes true proofs only
}

/// @notice A market in which one premise fails now and then. It remembers for which claims.
contract UnluckyMarket is ParrotMarket {
    bytes internal constant FORGED = "forged";

    Premise public immutable premise;
    mapping(bytes32 requestId => bool) public unlucky;

    constructor(
        InferenceOracle oracle_,
        StakeVault vault_,
        OptimisticAssurance tier_,
        GuardedVerifier guard_,
        DevelopmentBeacon beacon_,
        bytes32 modelId_,
        OptimisticAssurance second_,
        Premise premise_
    ) ParrotMarket(oracle_, vault_, tier_, guard_, beacon_, modelId_, second_) {
        premise = premise_;
    }

    /// @dev The verifier proves what is false, against whatever stands.
    function deceive(uint256 which, uint256 who, uint8 luck) external {
        if (premise != Premise.Verifier || _jobs.length == 0 || luck % 4 != 0) return;
        Job memory job = _jobs[_pick(which)];
        bytes32 id = oracle.idOf(job.request);
        (Status status,,) = oracle.statusOf(id);
        if (status != Status.Provisional) return;
        address liar = actor(who);
        bytes32 proof =
            keccak256(abi.encode(modelId, oracle.contextOf(job.request, liar), INPUT, FORGED));
        bytes memory evidence = abi.encode(job.payee, keccak256(job.stands), proof);
        if (_answer(job.request, liar, liar, FORGED, evidence)) unlucky[id] = true;
    }

    /// @dev No block for a while: every clock goes on, and nobody can move. Then somebody is first.
    function halt(uint32 time) external {
        if (premise != Premise.Landing) return;
        uint256 to = block.timestamp + time % 9 days;
        for (uint256 i; i < _jobs.length; ++i) {
            Job memory job = _jobs[i];
            if (_isDue(job, to)) unlucky[oracle.idOf(job.request)] = true;
        }
        VM.warp(to);
        if (time % 2 == 0) return;
        for (uint256 i; i < _jobs.length; ++i) {
            Job memory job = _jobs[i];
            if (job.payee == actor(0)) _answer(job.request, actor(1), job.payee, job.stands, "");
        }
    }

    function _isInTime(bytes32 id, uint256 luck) internal override returns (bool) {
        if (premise != Premise.Proving || luck % 3 != 0) return true;
        unlucky[id] = true;
        return false;
    }
}

/// @notice With one premise broken, all else holds as before; and the honest lose at most the locks
///         of the claims that were struck, each once; where claims are audited, their whole stake.
abstract contract PremisesInvariants is OptimisticInvariants {
    function _premise() internal pure virtual returns (Premise);

    function _market(GuardedVerifier verifier, DevelopmentBeacon beacon, bytes32 modelId)
        internal
        override
        returns (ParrotMarket)
    {
        return new UnluckyMarket(oracle, vault, tier, verifier, beacon, modelId, second, _premise());
    }

    function invariant_claims_settle_once_and_nobody_honest_is_slashed() public view override {
        _claimsSettleOnce(); // that a slash takes one lock, too
        bool forfeited = vault.isForfeited(market.actor(0));
        bool lapsed;
        for (uint256 i; i < market.jobCount(); ++i) {
            bytes32 id = _id(i);
            if (market.jobAt(i).payee != market.actor(0)) continue;
            IOptimisticAssurance.Outcome outcome = tier.caseOf(id).outcome;
            bool late = outcome == IOptimisticAssurance.Outcome.Lapsed;
            bool slashed = late || outcome == IOptimisticAssurance.Outcome.Overturned;
            if (!forfeited && market.cost(id) != 0) slashed = true;
            if (slashed && !UnluckyMarket(address(market)).unlucky(id)) {
                revert Broken("slashed without cause", 0, i);
            }
            if (late) lapsed = true;
        }
        if (forfeited && !lapsed) revert Broken("forfeited without cause", 0, 1);
    }
}

contract SlowProofsInvariants is PremisesInvariants {
    function _premise() internal pure override returns (Premise) {
        return Premise.Proving;
    }
}

/// @notice Claims are drawn for audits, and the proof of one comes late: that costs the operator its whole
///         stake, and nobody else anything (OptimisticInvariants: a stake pays for its own claims).
contract LateAuditsInvariants is SlowProofsInvariants {
    /// @notice What the handlers are to do, they can: of seven claims that are due, half are drawn; the first
    ///         that is handed in takes all that is free, the others their locks.
    function test_a_late_proof_costs_the_whole_stake() public {
        for (uint256 i; i < 7; ++i) {
            market.ask(1, 1e6, 60, 1 days, 1); // by another actor than the operator
        }
        uint256 whole = vault.accountOf(market.actor(0)).stake;
        market.pass(1 days);
        for (uint256 i; i < 28; i += 4) {
            market.publish(i);
        }
        market.pass(1 days);
        for (uint256 i; i < 28; i += 4) {
            market.settle(i, 1);
        }
        IStakeVault.Account memory account = vault.accountOf(market.actor(0));
        if (!vault.isForfeited(market.actor(0))) revert Broken("forfeited", 1, 0);
        if (account.stake != account.locked) revert Broken("free", 0, account.stake);
        for (uint256 a = 1; a < market.actorCount(); ++a) {
            uint256 left = vault.accountOf(market.actor(a)).stake;
            if (left != whole) revert Broken("another lost", whole, left); // all put in the same
        }
        invariant_claims_settle_once_and_nobody_honest_is_slashed();
        invariant_vault_holds_what_it_owes_and_backs_every_lock();
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

contract HaltedChainInvariants is PremisesInvariants {
    function _premise() internal pure override returns (Premise) {
        return Premise.Landing;
    }
}

contract FalseProofsInvariants is PremisesInvariants {
    function _premise() internal pure override returns (Premise) {
        return Premise.Verifier;
    }
}
