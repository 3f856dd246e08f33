// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BisectionAssurance} from "../../contracts/assurance/BisectionAssurance.sol";
import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {IBisectionAssurance} from "../../contracts/interfaces/IBisectionAssurance.sol";
import {IGuardedVerifier} from "../../contracts/interfaces/IGuardedVerifier.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {Request} from "../../contracts/types/Request.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Terms, toTerms} from "../../contracts/types/Terms.sol";
import {VM} from "./Vm.sol";

/// @notice Everyone around the bisection tier: four segments, halved. An input says at which of them its
///         run halts, 4 for nowhere. Actor 0 is an honest operator, which gives what it owes before
///         its clocks end; the others do as forge pleases, but nobody can prove what is false: that
///         is the verifier's part. Once in a while it is shown to fail, and stopped.
contract Bailiff {
    /// @dev `length`: how many segments the claim speaks of: all, or those up to its halt.
    struct Job {
        bytes32 id;
        Request request;
        address payee;
        bytes[5] run;
        uint256 length;
        bool refuted;
    }

    uint256 internal constant JOBS = 12;
    uint256 internal constant ACTORS = 4;
    uint256 internal constant SEGMENTS = 4;
    /// @dev The whole is 1, the halves of k are 2 k and 2 k + 1; then the segment that a run halts at.
    uint256 internal constant SPANS = 8;
    uint256 internal constant HALT = 8;

    InferenceOracle public immutable oracle;
    StakeVault public immutable vault;
    BisectionAssurance public immutable tier;
    GuardedVerifier public immutable guard;
    bytes32 public immutable modelId;

    /// @notice Broken promises that only show while something happens; zero for ever.
    uint256 public broken;
    /// @notice Wei of lost bonds that stay in the tier for ever.
    uint256 public kept;
    /// @notice How often a proof was handed in for what it does not prove.
    uint256 public replays;
    Job[] internal _jobs;

    constructor(
        InferenceOracle oracle_,
        StakeVault vault_,
        BisectionAssurance tier_,
        GuardedVerifier guard_,
        bytes32 modelId_
    ) {
        (oracle, vault, tier, modelId) = (oracle_, vault_, tier_, modelId_);
        guard = guard_;
        for (uint256 i; i < ACTORS; ++i) {
            VM.deal(actor(i), 20 ether);
            VM.prank(actor(i));
            vault.stake{value: 20 ether}();
        }
    }

    // --- actions --------------------------------------------------------------------------------

    /// @dev A request and its answer: actor 0's is right; of others', any states may be false, and so
    ///      may be that there is no answer.
    function ask(uint256 who, uint40 coverage, uint16 proving, uint8 lies, uint8 kind) external {
        if (_jobs.length == JOBS) return;
        address operator = actor(who);
        bool honest = operator == actor(0);
        Terms terms = toTerms(uint40(1 + coverage % 1e9), 1 + proving % 1 hours, 0, 0);
        Job storage job = _jobs.push();
        uint256 halt = kind % 8 < SEGMENTS ? kind % 8 : SEGMENTS;
        job.length = honest || lies & 1 == 0 ? halt : uint256(kind >> 3) % (SEGMENTS + 1);
        for (uint256 i; i <= SEGMENTS; ++i) {
            bool lie = i > halt || (i != 0 && !honest && lies & (1 << i) != 0);
            job.run[i] = lie ? bytes("lie!") : _truth(halt, i);
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
        bytes memory where;
        if (job.length != SEGMENTS) where = abi.encode(job.length, keccak256(job.run[job.length]));
        if (!_answer(_jobs.length - 1, operator, where)) job.payee = address(0);
    }

    function demand(uint256 which, uint256 span, uint256 who, uint64 more) external {
        if (_jobs.length == 0) return;
        Job memory job = _pick(which);
        span = 1 + span % (SPANS - 1);
        (uint256 from, uint256 to) = _bounds(job, span);
        if (from == to && span != 1) return;
        uint256 value = tier.bond(job.request.terms) * (more % 5 == 0 ? 0 : 1) + more % 1 gwei;
        VM.deal(actor(who), actor(who).balance + value);
        VM.prank(actor(who));
        try tier.demand{value: value}(
            job.request, job.payee, keccak256(_output(job)), _place(job, span)
        ) {
            if (from == to) ++broken; // it says nothing that has a proof
        } catch {}
    }

    /// @dev Mostly by the operator; a stranger that succeeds has put words into its mouth.
    function publish(uint256 which, uint256 span, uint256 who) external {
        if (_jobs.length == 0) return;
        Job memory job = _pick(which);
        _publish(job, 1 + span % (SPANS - 1), who % 4 == 0 ? actor(who / 4) : job.payee);
    }

    function prove(uint256 which, uint256 segment) external {
        if (_jobs.length != 0) _prove(_pick(which), segment % SEGMENTS);
    }

    /// @dev Anyone hands in what proves a segment of another claim, for another payee, or another segment.
    function replay(uint256 which, uint256 from, uint256 segment, uint256 who) external {
        if (_jobs.length == 0) return;
        (Job memory job, Job memory told) = (_pick(which), _pick(from));
        segment %= SEGMENTS;
        uint256 place = who % 3 == 0 ? (who >> 8) % SEGMENTS : segment;
        address payee = who % 3 == 1 ? actor(who >> 8) : job.payee;
        if (job.id == told.id && place == segment && payee == job.payee) return;
        if (_leafOf(job, segment) == HALT) return;
        bytes32 context = tier.contextOf(told.request, payee, place);
        if (_isProved(job, segment, context)) ++broken;
        ++replays;
    }

    /// @dev Anyone shows an output of the segment that a claim halts at, if there is one; with what
    ///      another proved, or for another output, now and then.
    function refute(uint256 which, uint256 who, uint8 luck) external {
        if (_jobs.length == 0) return;
        uint256 i = which % _jobs.length;
        Job memory job = _jobs[i];
        if (job.length == SEGMENTS) return;
        bytes memory state = job.run[job.length];
        (uint256 halt, bool known) = _haltsAt(state, job.length);
        bool exists = known && halt > job.length;
        address prover = luck % 4 == 1 ? actor(who + 1) : actor(who);
        bytes memory output = exists ? _truth(halt, job.length + 1) : bytes("none");
        bytes32 context = tier.contextOf(job.request, prover, job.length);
        bytes32 proof =
            keccak256(abi.encode(tier.segmentAt(modelId, job.length), context, state, output));
        if (luck % 4 == 2 || !exists) proof = ~proof; // what is false has none
        VM.prank(actor(who));
        try tier.refute(job.request, job.payee, state, output, abi.encodePacked(proof)) {
            if (job.payee == actor(0) || !exists || prover != actor(who)) ++broken;
            _jobs[i].refuted = true;
        } catch {}
    }

    /// @dev Anyone hands in what stands, with or without a span that may be overdue.
    function settle(uint256 which, uint256 span, uint256 who) external {
        if (_jobs.length == 0) return;
        uint256 i = which % _jobs.length;
        (uint256 from, uint256 to) = _bounds(_jobs[i], 1 + span % SPANS);
        _answer(i, actor(who), span % 3 == 0 ? bytes("") : abi.encode(from, to));
    }

    function collect(uint256 which, uint256 span) external {
        if (_jobs.length == 0) return;
        uint256 i = which % _jobs.length;
        (uint256 from, uint256 to) = _bounds(_jobs[i], 1 + span % SPANS);
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
        uint256 stake = vault.accountOf(job.payee).stake;
        try tier.close(job.request, job.payee, keccak256(_output(job)), from, to) {
            _checkEnd(job, stake);
        } catch {}
    }

    /// @dev Somebody finds the verifier broken, for all models or for one segment, and shows it.
    function stop(uint256 luck, uint256 segment) external {
        if (luck % 16 > 1 || isStopped(segment)) return;
        bytes32 id = tier.segmentAt(modelId, segment % SEGMENTS);
        if (luck % 16 == 0) {
            id = tier.segmentAt(modelId, 0);
            guard.stop(id, 0, "input", "false", _proven(id, "false").proof);
        } else {
            guard.stopModel(id, "input", _proven(id, "false"), _proven(id, "true"));
        }
    }

    /// @dev Time passes; the honest operator gives what it owes before that.
    function pass(uint32 time) external {
        uint256 to = block.timestamp + (time % 16 == 0 ? time % 9 days : time % 3 hours);
        for (uint256 i; i < _jobs.length; ++i) {
            if (_jobs[i].payee != actor(0) || !isLocked(i)) continue;
            for (uint256 span = 1; span <= SPANS; ++span) {
                if (!_isOwed(i, span) || !_isInTime(i, span, time)) continue;
                (uint256 from, uint256 end) = _bounds(_jobs[i], span);
                if (end - from > 1) _publish(_jobs[i], span, actor(0));
                else _prove(_jobs[i], from);
                bool mute = end - from == 1 && isStopped(from); // no proof is accepted
                if (_isOwed(i, span) && _isStanding(i) && !mute) ++broken;
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

    /// @notice keccak256 of what is claimed.
    function outputHash(uint256 i) external view returns (bytes32) {
        return keccak256(_output(_jobs[i]));
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
        for (uint256 span = 1; span <= SPANS; ++span) {
            (uint256 from, uint256 to) = _bounds(_jobs[i], span);
            IBisectionAssurance.Span memory held = tier.spanAt(idOf(i), from, to);
            bonds += held.bond;
            if (_isOwed(i, span)) ++owed;
            if (to - from == 1 && held.states != 0) ++proved;
        }
    }

    /// @notice Whether proofs of a segment are refused.
    function isStopped(uint256 segment) public view returns (bool) {
        return guard.isStopped(tier.segmentAt(modelId, segment % SEGMENTS));
    }

    /// @notice Whether all proofs are.
    function isAllStopped() public view returns (bool) {
        return guard.isStopped(modelId);
    }

    /// @notice A span that is owed; (0, 0) if none is.
    function overdue(uint256 i) public view returns (uint256 from, uint256 to) {
        for (uint256 span = 1; span <= SPANS; ++span) {
            if (_isOwed(i, span)) return _bounds(_jobs[i], span);
        }
    }

    // --- helpers --------------------------------------------------------------------------------

    /// @dev That the honest operator's moves land before their clocks end is a premise.
    function _isInTime(uint256, uint256, uint256) internal virtual returns (bool) {
        return true;
    }

    /// @dev State i of the run that halts at `halt`: there is none after it.
    function _truth(uint256 halt, uint256 i) private pure returns (bytes memory) {
        return abi.encodePacked(uint32(0x1000 + i), uint32(halt));
    }

    /// @dev Where the run halts that has this state before segment i, if any has.
    function _haltsAt(bytes memory state, uint256 i) private pure returns (uint256 halt, bool) {
        for (halt = i; halt <= SEGMENTS; ++halt) {
            if (keccak256(state) == keccak256(_truth(halt, i))) return (halt, true);
        }
        return (0, false);
    }

    function _output(Job memory job) private pure returns (bytes memory) {
        return job.length == SEGMENTS ? job.run[SEGMENTS] : bytes(hex"00");
    }

    /// @dev (0, 0) for a span that there is not.
    function _bounds(Job memory job, uint256 span)
        internal
        pure
        returns (uint256 from, uint256 to)
    {
        if (span == HALT) {
            return job.length == SEGMENTS ? (0, 0) : (job.length, job.length + 1);
        }
        to = job.length;
        uint256 depth = span < 2 ? 0 : span < 4 ? 1 : 2;
        while (depth != 0) {
            if (to - from < 2) return (0, 0);
            uint256 middle = from + (to - from) / 2;
            (from, to) = span >> --depth & 1 == 0 ? (from, middle) : (middle, to);
        }
    }

    function _place(Job memory job, uint256 span)
        private
        pure
        returns (IBisectionAssurance.Place memory place)
    {
        if (span == 1) {
            if (job.length == SEGMENTS) return place;
            (place.part, place.states) = (job.length, new bytes32[](1));
            place.states[0] = keccak256(job.run[job.length]);
            return place;
        }
        (place.from, place.to) = _bounds(job, span / 2);
        place.part = span % 2;
        place.states = _states(job, span / 2);
    }

    function _states(Job memory job, uint256 span) private pure returns (bytes32[] memory states) {
        (uint256 from, uint256 to) = _bounds(job, span);
        states = new bytes32[](3);
        states[0] = keccak256(job.run[from]);
        states[1] = keccak256(job.run[from + (to - from) / 2]);
        states[2] = keccak256(job.run[to]);
    }

    function _isOwed(uint256 i, uint256 span) private view returns (bool) {
        (uint256 from, uint256 to) = _bounds(_jobs[i], span);
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
        (uint256 from, uint256 to) = _bounds(job, span);
        if (to - from < 2) return;
        VM.prank(sender);
        try tier.publish(
            job.request, job.payee, keccak256(_output(job)), _place(job, span), _states(job, span)
        ) {
            if (sender != job.payee) ++broken;
        } catch {}
    }

    /// @dev Only what is true has a proof.
    function _prove(Job memory job, uint256 segment) private {
        (uint256 halt, bool known) = _haltsAt(job.run[segment], segment);
        if (!known || halt == segment) return;
        if (keccak256(job.run[segment + 1]) != keccak256(_truth(halt, segment + 1))) return;
        if (_leafOf(job, segment) == HALT) return; // the claim does not speak of it
        _isProved(job, segment, tier.contextOf(job.request, job.payee, segment));
    }

    /// @dev Which span a segment is, HALT if none.
    function _leafOf(Job memory job, uint256 segment) private pure returns (uint256 leaf) {
        for (leaf = 1; leaf < HALT; ++leaf) {
            (uint256 from, uint256 to) = _bounds(job, leaf);
            if (from == segment && to == segment + 1) break;
        }
    }

    /// @dev Whether what proves a segment of that context is taken for the claim's.
    function _isProved(Job memory job, uint256 segment, bytes32 context)
        private
        returns (bool done)
    {
        bytes32 id = tier.segmentAt(modelId, segment);
        bytes memory proof = abi.encodePacked(
            keccak256(abi.encode(id, context, job.run[segment], job.run[segment + 1]))
        );
        try tier.prove(
            job.request,
            job.payee,
            keccak256(_output(job)),
            _place(job, _leafOf(job, segment)),
            job.run[segment],
            job.run[segment + 1],
            proof
        ) {
            done = true;
        } catch {}
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
        try oracle.answer(job.request, job.run[0], job.payee, _output(job), evidence) {
            done = true;
        } catch {}
        (Status status,,) = oracle.statusOf(idOf(i));
        if (done && status == Status.Final && to != from) ++broken;
        uint256 taken = stake - vault.accountOf(job.payee).stake;
        (uint256 compensation, uint256 reward, uint256 burn) = tier.split(job.request.terms);
        if (taken != 0 && taken != compensation + reward + burn) ++broken;
        if (taken != 0 && vault.burned() - burned < compensation) ++broken;
        if (taken != 0 && status != Status.Retracted) ++broken;
        if (done) _checkEnd(job, stake);
    }

    /// @dev A claim has ended: what was refuted costs its lock, unless proofs were refused by then; and
    ///      once all are, nobody loses anything.
    function _checkEnd(Job memory job, uint256 stake) private {
        bool taken = vault.accountOf(job.payee).stake != stake;
        bool stopped;
        for (uint256 segment; segment < SEGMENTS; ++segment) {
            if (isStopped(segment)) stopped = true;
        }
        if (job.refuted && !taken && !stopped) ++broken;
        if (isAllStopped() && taken) ++broken;
    }

    /// @dev The double of the verifier takes this: here it stands for a proof of what may be false.
    function _proven(bytes32 id, bytes memory output)
        private
        pure
        returns (IGuardedVerifier.Proven memory)
    {
        bytes32 proof = keccak256(abi.encode(id, bytes32(0), bytes("input"), output));
        return IGuardedVerifier.Proven(0, output, abi.encodePacked(proof));
    }
}
