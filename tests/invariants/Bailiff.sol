// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BisectionAssurance} from "../../contracts/assurance/BisectionAssurance.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {IBisectionAssurance} from "../../contracts/interfaces/IBisectionAssurance.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {Request} from "../../contracts/types/Request.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Terms, toTerms} from "../../contracts/types/Terms.sol";
import {VM} from "./Vm.sol";

/// @notice Everyone around the bisection tier: four segments, halved. Actor 0 is an honest operator,
///         which gives what it owes before its clocks end; the others do as forge pleases, but nobody
///         can prove what is false: that is the verifier's part.
contract Bailiff {
    struct Job {
        bytes32 id;
        Request request;
        address payee;
        bytes[5] run;
    }

    uint256 internal constant JOBS = 12;
    uint256 internal constant ACTORS = 4;
    /// @dev Spans of four segments, halved: 0-4, 0-2, 2-4, and the segments.
    uint256 internal constant SPANS = 7;

    InferenceOracle public immutable oracle;
    StakeVault public immutable vault;
    BisectionAssurance public immutable tier;
    bytes32 public immutable modelId;

    /// @notice Broken promises that only show while something happens; zero for ever.
    uint256 public broken;
    /// @notice Wei of lost bonds that stay in the tier for ever.
    uint256 public kept;
    Job[] internal _jobs;

    constructor(
        InferenceOracle oracle_,
        StakeVault vault_,
        BisectionAssurance tier_,
        bytes32 modelId_
    ) {
        (oracle, vault, tier, modelId) = (oracle_, vault_, tier_, modelId_);
        for (uint256 i; i < ACTORS; ++i) {
            VM.deal(actor(i), 20 ether);
            VM.prank(actor(i));
            vault.stake{value: 20 ether}();
        }
    }

    // --- actions --------------------------------------------------------------------------------

    /// @dev A request and its answer: actor 0's is right; of others', any states may be false.
    function ask(uint256 who, uint40 coverage, uint16 proving, uint8 lies) external {
        if (_jobs.length == JOBS) return;
        address operator = actor(who);
        Terms terms = toTerms(uint40(1 + coverage % 1e9), 1 + proving % 1 hours, 0, 0);
        Job storage job = _jobs.push();
        for (uint256 i; i < 5; ++i) {
            bool lie = i != 0 && operator != actor(0) && lies & (1 << i) != 0;
            job.run[i] = lie ? bytes("lie!") : _truth(i);
        }
        job.payee = operator;
        job.request = Request({
            requester: actor(who / 7),
            refundTo: actor(who / 7),
            modelId: modelId,
            inputHash: keccak256(job.run[0]),
            assurance: address(tier),
            pin: tier.pin(),
            terms: bytes32(Terms.unwrap(terms)),
            fee: 0,
            callbackGasPrice: 0,
            callbackGas: 0,
            deadline: uint64(block.timestamp + 1 hours),
            nonce: _jobs.length
        });
        VM.prank(job.request.requester);
        job.id = oracle.request(job.request, job.run[0]);
        if (!_answer(_jobs.length - 1, operator, "")) job.payee = address(0);
    }

    function demand(uint256 which, uint256 span, uint256 who, uint64 more) external {
        if (_jobs.length == 0) return;
        Job memory job = _pick(which);
        uint256 value = tier.bond(job.request.terms) * (more % 5 == 0 ? 0 : 1) + more % 1 gwei;
        VM.deal(actor(who), actor(who).balance + value);
        VM.prank(actor(who));
        try tier.demand{value: value}(
            job.request, job.payee, keccak256(job.run[4]), _place(job, span % SPANS)
        ) {}
            catch {}
    }

    /// @dev Mostly by the operator; a stranger that succeeds has put words into its mouth.
    function publish(uint256 which, uint256 span, uint256 who) external {
        if (_jobs.length == 0) return;
        Job memory job = _pick(which);
        _publish(job, span % 3, who % 4 == 0 ? actor(who / 4) : job.payee);
    }

    function prove(uint256 which, uint256 segment) external {
        if (_jobs.length != 0) _prove(_pick(which), segment % 4);
    }

    /// @dev Anyone hands in what stands, with or without a span that may be overdue.
    function settle(uint256 which, uint256 span, uint256 who) external {
        if (_jobs.length == 0) return;
        uint256 i = which % _jobs.length;
        (uint256 from, uint256 to) = _bounds(span % SPANS);
        _answer(i, actor(who), span % 3 == 0 ? bytes("") : abi.encode(from, to));
    }

    function collect(uint256 which, uint256 span) external {
        if (_jobs.length == 0) return;
        uint256 i = which % _jobs.length;
        (uint256 from, uint256 to) = _bounds(span % SPANS);
        uint256 bond = tier.spanAt(idOf(i), from, to).bond;
        uint256 before = address(tier).balance;
        try tier.collect(idOf(i), from, to) {
            uint256 paid = before - address(tier).balance;
            bool upheld = tier.gameOf(idOf(i)).outcome == IBisectionAssurance.Outcome.Upheld;
            if (paid > bond || (!upheld && paid != bond)) ++broken;
            kept += bond - paid;
        } catch {}
    }

    function refund(uint256 which) external {
        if (_jobs.length == 0) return;
        uint256 i = which % _jobs.length;
        try oracle.refund(_jobs[i].request) {} catch {}
        if (!isLocked(i)) return;
        (uint256 from, uint256 to) = overdue(i);
        Job memory job = _jobs[i];
        try tier.close(job.request, job.payee, keccak256(job.run[4]), from, to) {} catch {}
    }

    /// @dev Time passes; the honest operator gives what it owes before that.
    function pass(uint32 time) external {
        uint256 to = block.timestamp + (time % 16 == 0 ? time % 9 days : time % 3 hours);
        for (uint256 i; i < _jobs.length; ++i) {
            if (_jobs[i].payee != actor(0) || !isLocked(i)) continue;
            for (uint256 span; span < SPANS; ++span) {
                if (!_isOwed(i, span)) continue;
                if (span < 3) _publish(_jobs[i], span, actor(0));
                else _prove(_jobs[i], span - 3);
                if (_isOwed(i, span) && _isStanding(i)) ++broken;
            }
        }
        VM.warp(to);
    }

    // --- views ----------------------------------------------------------------------------------

    function jobCount() external view returns (uint256) {
        return _jobs.length;
    }

    function jobAt(uint256 i) external view returns (Job memory) {
        return _jobs[i];
    }

    function idOf(uint256 i) public view returns (bytes32) {
        return _jobs[i].id;
    }

    function actor(uint256 i) public pure returns (address) {
        return address(uint160(0xBA1000 + i % ACTORS));
    }

    function actorCount() external pure returns (uint256) {
        return ACTORS;
    }

    function isLocked(uint256 i) public view returns (bool) {
        (Status status, bytes32 digest,) = oracle.claimOf(idOf(i));
        bool undecided = tier.gameOf(idOf(i)).outcome == IBisectionAssurance.Outcome.None;
        return
            status == Status.Provisional || (status == Status.Refunded && digest != 0 && undecided);
    }

    function lockOf(uint256 i) external view returns (uint256) {
        (uint256 compensation, uint256 reward, uint256 burn) = tier.split(_jobs[i].request.terms);
        return compensation + reward + burn;
    }

    /// @notice What the spans of a claim say: bonds in wei, how many are owed, segments proved.
    function tally(uint256 i) external view returns (uint256 bonds, uint256 owed, uint256 proved) {
        for (uint256 span; span < SPANS; ++span) {
            (uint256 from, uint256 to) = _bounds(span);
            IBisectionAssurance.Span memory held = tier.spanAt(idOf(i), from, to);
            bonds += held.bond;
            if (_isOwed(i, span)) ++owed;
            if (to - from == 1 && held.states != 0) ++proved;
        }
    }

    /// @notice A span that is owed; (0, 0) if none is.
    function overdue(uint256 i) public view returns (uint256 from, uint256 to) {
        for (uint256 span; span < SPANS; ++span) {
            if (_isOwed(i, span)) return _bounds(span);
        }
    }

    // --- helpers --------------------------------------------------------------------------------

    function _truth(uint256 i) private pure returns (bytes memory) {
        return abi.encodePacked(uint32(0x1000 + i));
    }

    function _bounds(uint256 span) private pure returns (uint256 from, uint256 to) {
        if (span == 0) return (0, 4);
        if (span < 3) return (2 * span - 2, 2 * span);
        return (span - 3, span - 2);
    }

    function _place(Job memory job, uint256 span)
        private
        pure
        returns (IBisectionAssurance.Place memory place)
    {
        if (span == 0) return place;
        uint256 parent = span < 3 ? 0 : 1 + (span - 3) / 2;
        (place.from, place.to) = _bounds(parent);
        place.part = span < 3 ? span - 1 : (span - 3) % 2;
        place.states = _states(job, parent);
    }

    function _states(Job memory job, uint256 span) private pure returns (bytes32[] memory states) {
        (uint256 from, uint256 to) = _bounds(span);
        states = new bytes32[](3);
        for (uint256 i; i < 3; ++i) {
            states[i] = keccak256(job.run[from + i * (to - from) / 2]);
        }
    }

    function _isOwed(uint256 i, uint256 span) private view returns (bool) {
        (uint256 from, uint256 to) = _bounds(span);
        IBisectionAssurance.Span memory held = tier.spanAt(idOf(i), from, to);
        return held.owedBy != 0 && held.states == 0;
    }

    function _isStanding(uint256 i) private view returns (bool) {
        (Status status,,) = oracle.statusOf(idOf(i));
        return status == Status.Provisional;
    }

    function _pick(uint256 which) private view returns (Job memory) {
        return _jobs[which % _jobs.length];
    }

    function _publish(Job memory job, uint256 span, address sender) private {
        VM.prank(sender);
        try tier.publish(
            job.request, job.payee, keccak256(job.run[4]), _place(job, span), _states(job, span)
        ) {
            if (sender != job.payee) ++broken;
        } catch {}
    }

    /// @dev Only what is true has a proof.
    function _prove(Job memory job, uint256 segment) private {
        bool first = keccak256(job.run[segment]) == keccak256(_truth(segment));
        bool last = keccak256(job.run[segment + 1]) == keccak256(_truth(segment + 1));
        if (!first || !last) return;
        bytes32 context = tier.contextOf(job.request, job.payee, segment);
        bytes32 id = tier.segmentAt(modelId, segment);
        bytes memory proof = abi.encodePacked(
            keccak256(abi.encode(id, context, job.run[segment], job.run[segment + 1]))
        );
        try tier.prove(
            job.request,
            job.payee,
            keccak256(job.run[4]),
            _place(job, 3 + segment),
            job.run[segment],
            job.run[segment + 1],
            proof
        ) {}
            catch {}
    }

    /// @dev Hands the claim in; a lock that ends is released whole or divided, and a claim with a false
    ///      segment that is owed does not become final.
    function _answer(uint256 i, address sender, bytes memory evidence) private returns (bool done) {
        Job memory job = _jobs[i];
        if (job.payee == address(0)) return false;
        uint256 stake = vault.accountOf(job.payee).stake;
        uint256 burned = vault.burned();
        (uint256 from, uint256 to) = overdue(i);
        VM.prank(sender);
        try oracle.answer(job.request, job.run[0], job.payee, job.run[4], evidence) {
            done = true;
        } catch {}
        (Status status,,) = oracle.statusOf(idOf(i));
        if (done && status == Status.Final && to != from) ++broken;
        uint256 taken = stake - vault.accountOf(job.payee).stake;
        (uint256 compensation, uint256 reward, uint256 burn) = tier.split(job.request.terms);
        if (taken != 0 && taken != compensation + reward + burn) ++broken;
        if (taken != 0 && vault.burned() - burned < compensation) ++broken;
        if (taken != 0 && status != Status.Retracted) ++broken;
    }
}
