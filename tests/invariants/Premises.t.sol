// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {OptimisticAssurance} from "../../contracts/assurance/OptimisticAssurance.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {IOptimisticAssurance} from "../../contracts/interfaces/IOptimisticAssurance.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {DevelopmentBeacon} from "../../contracts/random/DevelopmentBeacon.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Market} from "./Market.sol";
import {OptimisticInvariants} from "./Optimistic.t.sol";
import {VM} from "./Vm.sol";

/// @notice The premises of "nobody honest is slashed", but for one: that inputs are known cannot fail,
///         since the oracle takes them whole.
enum Premise {
    Proving, // a proof takes no longer than was declared
    Landing, // transactions land within the clocks: here the whole chain halts
    Verifier // the verifier takes true proofs only
}

/// @notice A market in which one premise fails now and then. It remembers for which claims.
contract UnluckyMarket is Market {
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
        Premise premise_
    ) Market(oracle_, vault_, tier_, guard_, beacon_, modelId_) {
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
///         of the claims that were struck, each once.
abstract contract PremisesInvariants is OptimisticInvariants {
    function _premise() internal pure virtual returns (Premise);

    function _market(GuardedVerifier verifier, DevelopmentBeacon beacon, bytes32 modelId)
        internal
        override
        returns (Market)
    {
        return new UnluckyMarket(oracle, vault, tier, verifier, beacon, modelId, _premise());
    }

    function invariant_claims_settle_once_and_nobody_honest_is_slashed() public view override {
        _claimsSettleOnce(); // that a slash takes one lock, too
        for (uint256 i; i < market.jobCount(); ++i) {
            bytes32 id = _id(i);
            if (market.jobAt(i).payee != market.actor(0)) continue;
            IOptimisticAssurance.Outcome outcome = tier.caseOf(id).outcome;
            bool slashed = outcome == IOptimisticAssurance.Outcome.Lapsed
                || outcome == IOptimisticAssurance.Outcome.Overturned;
            if (slashed && !UnluckyMarket(address(market)).unlucky(id)) {
                revert Broken("slashed without cause", 0, i);
            }
        }
    }
}

contract SlowProofsInvariants is PremisesInvariants {
    function _premise() internal pure override returns (Premise) {
        return Premise.Proving;
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
