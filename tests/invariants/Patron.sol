// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Bounty} from "../../contracts/assurance/Bounty.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Bailiff} from "./Bailiff.sol";
import {VM} from "./Vm.sol";

/// @notice Who offers for the proofs of compositions' claims, who earns that and who takes it back.
contract Patron {
    uint256 internal constant SEGMENTS = 4;
    /// @dev The whole and its halves; `Bailiff.publish` counts from 0.
    uint256 internal constant SPLITS = 3;

    Bounty public immutable bounty;
    Bailiff public immutable bailiff;
    InferenceOracle public immutable oracle;

    /// @notice Broken promises that only show while something happens; zero for ever.
    uint256 public broken;
    /// @notice Wei offered, and neither earned nor returned.
    uint256 public held;
    /// @notice Offers that were earned, and that were returned.
    uint256 public earned;
    uint256 public returned;

    constructor(Bounty bounty_, Bailiff bailiff_) {
        (bounty, bailiff, oracle) = (bounty_, bailiff_, bailiff_.oracle());
    }

    // --- actions --------------------------------------------------------------------------------

    function offer(uint256 which, uint256 who, uint64 value) external {
        if (bailiff.jobCount() == 0) return;
        uint256 i = which % bailiff.jobCount();
        address giver = bailiff.actor(who);
        Bailiff.Job memory job = bailiff.jobAt(i);
        VM.deal(giver, giver.balance + value);
        VM.prank(giver);
        try bounty.offer{value: value}(job.request) {
            held += value;
        } catch {
            if (_statusOf(i) < Status.Final) ++broken;
        }
    }

    /// @dev Its operator publishes all states of a claim, whoever can proves all segments, or all but
    ///      one, and somebody hands it in: only what is true all along becomes final by that.
    function climb(uint256 which, uint256 who, uint8 luck) external {
        if (bailiff.jobCount() == 0) return;
        for (uint256 split; split < SPLITS; ++split) {
            bailiff.publish(which, split, 1);
        }
        for (uint256 segment; segment < SEGMENTS; ++segment) {
            if (luck % 16 != segment) bailiff.prove(which, segment);
        }
        bailiff.settle(which, 0, who);
    }

    function earn(uint256 which) external {
        if (bailiff.jobCount() != 0) _earn(which % bailiff.jobCount());
    }

    function reclaim(uint256 which, uint256 who) external {
        if (bailiff.jobCount() != 0) _reclaim(which % bailiff.jobCount(), who);
    }

    /// @notice Once every request is settled: all that was offered returns or is earned. Givers try
    ///         first, and get nothing that is another's.
    function finish() external {
        for (uint256 i; i < bailiff.jobCount(); ++i) {
            for (uint256 a; a < bailiff.actorCount(); ++a) {
                _reclaim(i, a);
            }
            _earn(i);
        }
    }

    // --- helpers --------------------------------------------------------------------------------

    function _earn(uint256 i) private {
        Bailiff.Job memory job = bailiff.jobAt(i);
        uint256 amount = bounty.offered(job.id);
        uint256 before = job.payee.balance;
        try bounty.earn(job.request, job.payee, job.run[SEGMENTS]) {
            if (!_isProved(i) || job.payee.balance - before != amount) ++broken;
            held -= amount;
            ++earned;
        } catch {
            if (_isProved(i) && amount != 0) ++broken;
        }
    }

    function _reclaim(uint256 i, uint256 who) private {
        Bailiff.Job memory job = bailiff.jobAt(i);
        address giver = bailiff.actor(who);
        uint256 given = bounty.givenBy(job.id, giver);
        uint256 before = giver.balance;
        bool due = given != 0 && _statusOf(i) >= Status.Final && !_isProved(i);
        try bounty.reclaim(job.request, giver) {
            if (!due || giver.balance - before != given) ++broken;
            held -= given;
            ++returned;
        } catch {
            if (due) ++broken;
        }
    }

    /// @dev By what its spans say, not by what is counted.
    function _isProved(uint256 i) private view returns (bool) {
        (,, uint256 proved) = bailiff.tally(i);
        return proved == SEGMENTS && _statusOf(i) == Status.Final;
    }

    function _statusOf(uint256 i) private view returns (Status status) {
        (status,,) = oracle.statusOf(bailiff.idOf(i));
    }
}
