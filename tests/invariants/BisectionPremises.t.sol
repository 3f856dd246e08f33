// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BisectionAssurance} from "../../contracts/assurance/BisectionAssurance.sol";
import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {IBisectionAssurance} from "../../contracts/interfaces/IBisectionAssurance.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {Bailiff} from "./Bailiff.sol";
import {BisectionInvariants} from "./Bisection.t.sol";

/// @notice Which premise of the honest operator fails. That the verifier is stopped fails none:
///         BisectionInvariants has it, and there nobody loses anything.
enum Trouble {
    Landing, // a move comes late, once in a while
    Storage // the states between segments are lost: none is published, though segments are proved
}

/// @notice Bisection where one premise fails now and then. It remembers for which claims.
contract UnluckyBailiff is Bailiff {
    Trouble public immutable trouble;
    mapping(uint256 job => bool) public unlucky;

    constructor(
        InferenceOracle oracle_,
        StakeVault vault_,
        BisectionAssurance tier_,
        GuardedVerifier guard_,
        bytes32 modelId_,
        Trouble trouble_
    ) Bailiff(oracle_, vault_, tier_, guard_, modelId_) {
        trouble = trouble_;
    }

    /// @dev One of several moves that are owed, or of one claim in four all publications. What comes late
    ///      once may still come in time, if no more has passed than its clock.
    function _isInTime(uint256 i, uint256 span, uint256 luck) internal override returns (bool) {
        (uint256 from, uint256 to) = _bounds(_jobs[i], span);
        bool isSplit = to - from > 1;
        bool late = trouble == Trouble.Landing
            ? uint256(keccak256(abi.encode(i, span, luck))) % 4 == 0
            : i % 4 == 0 && isSplit;
        if (late) unlucky[i] = true;
        bool missed = block.timestamp > tier.spanAt(idOf(i), from, to).owedBy;
        return !late && !(unlucky[i] && isSplit && missed);
    }
}

/// @notice With one premise broken, all else holds as before: the honest operator loses at most the locks of
///         the claims that were struck, each once, and its standing; nobody else loses anything
///         (BisectionInvariants: a stake pays for its own claims).
abstract contract BisectionPremisesInvariants is BisectionInvariants {
    function _trouble() internal pure virtual returns (Trouble);

    function _bailiff(GuardedVerifier verifier, bytes32 modelId)
        internal
        override
        returns (Bailiff)
    {
        return new UnluckyBailiff(oracle, vault, tier, verifier, modelId, _trouble());
    }

    function invariant_honest_operator_keeps_its_stake() public view override {
        _same("broken", 0, bailiff.broken());
        bool struck;
        for (uint256 i; i < bailiff.jobCount(); ++i) {
            if (bailiff.jobAt(i).payee != bailiff.actor(0)) continue;
            bool lapsed = tier.gameOf(bailiff.idOf(i)).outcome == IBisectionAssurance.Outcome.Lapsed;
            if (lapsed && !UnluckyBailiff(address(bailiff)).unlucky(i)) {
                revert Broken("slashed without cause", 0, i);
            }
            if (lapsed) struck = true;
        }
        if (vault.accountOf(bailiff.actor(0)).suspended != struck) {
            revert Broken("suspended without cause", 0, 1);
        }
    }
}

contract LateMovesInvariants is BisectionPremisesInvariants {
    function _trouble() internal pure override returns (Trouble) {
        return Trouble.Landing;
    }
}

contract LostStatesInvariants is BisectionPremisesInvariants {
    /// @notice What the handlers are to do, they can: states that nobody publishes cost the claim's lock, and
    ///         no other's; whoever asked for them has its bond again.
    function test_lost_states_cost_one_lock() public {
        bailiff.ask(0, 1e6, 60, 0, 4);
        bailiff.ask(0, 1e6, 60, 0, 4);
        bailiff.demand(0, 0, 1, 1);
        bailiff.demand(1, 0, 1, 1);
        uint256 bonds = address(tier).balance;
        bailiff.pass(3 hours - 1);
        bailiff.settle(0, 8, 2); // the whole of the first is overdue, that of the second is not
        bailiff.settle(1, 8, 2);
        _same("lock", bailiff.lockOf(0), STAKE - vault.accountOf(bailiff.actor(0)).stake);
        for (uint256 a = 1; a < bailiff.actorCount(); ++a) {
            _same("another's", STAKE, vault.accountOf(bailiff.actor(a)).stake);
        }
        bailiff.collect(0, 0);
        _same("bonds", bonds / 2, address(tier).balance);
        invariant_honest_operator_keeps_its_stake();
        invariant_a_stake_pays_for_its_own_claims();
    }

    function _trouble() internal pure override returns (Trouble) {
        return Trouble.Storage;
    }
}
