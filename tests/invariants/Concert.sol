// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {CombinedAssurance} from "../../contracts/assurance/CombinedAssurance.sol";
import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {OptimisticAssurance} from "../../contracts/assurance/OptimisticAssurance.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {IOptimisticAssurance} from "../../contracts/interfaces/IOptimisticAssurance.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {DevelopmentBeacon} from "../../contracts/random/DevelopmentBeacon.sol";
import {Request} from "../../contracts/types/Request.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Terms, toTerms} from "../../contracts/types/Terms.sol";
import {ALL, ATTESTED, AUDITED, Ensemble, LONGER, PARTS} from "./Ensemble.sol";
import {Keyring} from "./Keyring.sol";
import {VM} from "./Vm.sol";

/// @notice Everyone around a combination. Actor 0 is an honest operator: it answers what is right,
///         and proves what is drawn or disputed, in whichever part, before the clock ends. The
///         others do as forge pleases, but nobody can prove what is wrong.
contract Concert is Ensemble {
    uint256 internal constant JOBS = 24;

    /// @notice Wei of bonds that went into a part.
    mapping(uint256 index => uint256) public bonds;

    constructor(
        InferenceOracle oracle_,
        StakeVault vault_,
        CombinedAssurance combined_,
        GuardedVerifier guard_,
        DevelopmentBeacon beacon_,
        Keyring keyring_,
        bytes32 modelId_
    ) Ensemble(oracle_, vault_, combined_, guard_, beacon_, keyring_, modelId_) {
        for (uint256 i; i < ACTORS; ++i) {
            _stake(actor(i), 16 ether);
        }
    }

    // --- stake ----------------------------------------------------------------------------------

    function stake(uint256 who, uint64 gwei_) external {
        _stake(actor(who), (1 + gwei_ % 10e9) * 1 gwei);
    }

    function _stake(address owner, uint256 value) private {
        VM.deal(owner, value);
        VM.prank(owner);
        vault.stake{value: value}();
        staked[owner] += value / 1 gwei;
    }

    function queue(uint256 who, uint64 amount) external {
        uint256 held = vault.accountOf(actor(who)).stake;
        VM.prank(actor(who));
        vault.queueWithdrawal(held == 0 ? 0 : amount % (held + 1));
    }

    function leave(uint256 who) external {
        VM.prank(actor(who));
        try vault.leave(actor(who)) returns (uint256 amount) {
            staked[actor(who)] -= amount;
        } catch {}
    }

    function withdraw(uint256 who) external {
        try vault.withdrawFor(who % 2 == 0 ? CONSUMER : actor(who)) {} catch {}
    }

    // --- claims ---------------------------------------------------------------------------------

    function ask(uint256 who, uint40 coverage, uint16 proving, uint32 wait, uint8 kind) external {
        if (_jobs.length == JOBS) return;
        Terms terms = toTerms(uint40(1 + coverage % 5e8), 1 + proving % 10 minutes, 0, 0);
        Request memory request = Request({
            requester: CONSUMER,
            refundTo: CONSUMER,
            modelId: modelId,
            inputHash: keccak256(INPUT),
            assurance: address(combined),
            pin: combined.pin(),
            terms: bytes32(Terms.unwrap(terms)),
            fee: 1 gwei,
            callbackGasPrice: 0,
            callbackGas: 0,
            deadline: uint64(block.timestamp + 1 hours + wait % 2 days),
            nonce: _jobs.length
        });
        VM.deal(CONSUMER, CONSUMER.balance + 1 gwei);
        VM.prank(CONSUMER);
        oracle.request{value: 1 gwei}(request, INPUT);
        _jobs.push(Job(request, address(0), "", 0, 0, 0));
        if (kind % 5 != 0) _post(_jobs.length - 1, who, kind);
    }

    /// @dev An operator answers: rightly, wrongly, or that there is no answer.
    function post(uint256 which, uint256 who, uint8 kind) external {
        if (_jobs.length != 0) _post(_pick(which), who, kind);
    }

    function _post(uint256 which, uint256 who, uint8 kind) private {
        if (_jobs[which].since != 0) return;
        bool honest = actor(who) == actor(0);
        bytes memory output = RIGHT;
        if (!honest && kind % 3 == 1) output = "wrong";
        if (!honest && kind % 3 == 2) output = hex"00";
        Move memory move = _move(which, ALL, actor(who), output);
        (move.late, move.payee) = (false, actor(who));
        // Signed for its part; now and then for another one, or another request.
        uint256 signed = !honest && kind % 16 == 3 ? LONGER : ATTESTED;
        uint256 told = !honest && kind % 16 == 4 ? which / 2 : which;
        bytes32 r = keyring.said(
            address(part(signed)),
            oracle.idOf(_jobs[told].request),
            modelId,
            keccak256(INPUT),
            actor(who),
            keccak256(output)
        );
        move.each[ATTESTED] = abi.encode(bytes32(0), bytes32(0), r, bytes32(0));
        Status verdict = _play(move);
        bool bent = signed != ATTESTED || told != which;
        if (verdict == Status.Provisional && bent) ++broken;
    }

    /// @dev Anyone hands the standing claim in: the clocks decide.
    function settle(uint256 which, uint256 who) external {
        if (_jobs.length == 0) return;
        which = _pick(which);
        bool held = audited().drawnOf(_jobs[which].payee) != 0;
        Status verdict = _play(_move(which, ALL, actor(who), _jobs[which].stands));
        // A drawn claim that is to be proved holds its operator's others back.
        if (held && verdict == Status.Final) ++broken;
    }

    /// @dev Or in one part: the one that fails, or that has still its say.
    function turn(uint256 which, uint256 index, uint256 who, uint8 luck) external {
        if (_jobs.length == 0) return;
        which = _pick(which);
        Move memory move = _move(which, 1 << index % PARTS, actor(who), _jobs[which].stands);
        if (luck % 8 == 0) move.late = !move.late;
        _play(move);
    }

    /// @dev Anyone proves the right answer to all parts. Before finality that must make it final.
    function prove(uint256 which, uint256 who, uint8 luck) external {
        if (_jobs.length != 0 && luck % 4 == 0) _prove(_pick(which), ALL, actor(who));
    }

    /// @dev Or to one in which it stands after another gave it back. That must end it there.
    function proveLate(uint256 which, uint256 index, uint256 who) external {
        if (_jobs.length == 0) return;
        which = _pick(which);
        if (_isConcludable(which, index % PARTS)) _prove(which, 1 << index % PARTS, actor(who));
    }

    /// @dev Proofs for some parts, silence to others, a proof for the wrong payee, evidence as if
    ///      of another output: what comes of it is what the parts say.
    function mix(uint256 which, uint256 parts, uint256 who, uint256 kinds) external {
        if (_jobs.length == 0) return;
        which = _pick(which);
        parts = parts % (PARTS + 1) == PARTS ? ALL : 1 << parts % (PARTS + 1);
        Move memory move = _proving(which, parts, actor(who));
        bytes memory bent = _proof(which, actor(kinds >> 8));
        bytes memory named = abi.encode(_jobs[which].payee, keccak256(_jobs[which].stands));
        for (uint256 i; i < PARTS; ++i) {
            uint256 kind = kinds >> 3 * i & 7;
            if (kind < 3) move.each[i] = "";
            if (kind == 3) move.each[i] = bent;
            if (kind == 4) move.each[i] = abi.encodePacked(named, bent);
        }
        // (No answer at all is the oracle's to refuse: parts are asked nothing.)
        if (kinds >> 16 & 7 == 0 && _jobs[which].since != 0) move.output = _jobs[which].stands;
        if (parts != ALL && kinds >> 20 & 7 == 0) move.late = !move.late;
        _play(move);
    }

    /// @dev Evidence for all that says nothing to any: on a claim that stands it would pass for a
    ///      proof.
    function sayNothing(uint256 which) external {
        if (_jobs.length == 0) return;
        Job memory job = _jobs[_pick(which)];
        if (job.since == 0) return;
        bytes memory evidence = abi.encodePacked(uint8(0), abi.encode(new bytes[](PARTS)));
        try oracle.answer(job.request, INPUT, job.payee, job.stands, evidence) {
            ++broken;
        } catch {}
    }

    /// @dev In its window a claim can be disputed in every part where it stands, whatever others
    ///      said; and nowhere else.
    function dispute(uint256 which, uint256 index, uint256 who, uint256 luck) external {
        if (_jobs.length == 0) return;
        (which, index) = (_pick(which), index % PARTS);
        Job memory job = _jobs[which];
        OptimisticAssurance tier = part(index);
        bytes32 id = oracle.idOf(job.request);
        Request memory request = combined.requestFor(job.request, index);
        uint256 value = tier.bond(request.terms) * (luck % 7 == 0 ? 0 : 1);
        uint256 proveBy = tier.caseOf(id).proveBy;
        (uint256 window,) = tier.clocks(request.terms);
        bool stands = _stands(which, index) && keccak256(job.stands) != keccak256(hex"00");
        bool due = stands && luck % 7 != 0 && block.timestamp <= job.since + window
            && (proveBy == 0 || block.timestamp <= proveBy);
        bytes32 word = tier.commitmentOf(id, actor(who), keccak256(RIGHT), "salt");
        VM.deal(actor(who), value);
        VM.prank(actor(who));
        try tier.dispute{value: value}(request, job.payee, keccak256(job.stands), word) {
            if (!stands) ++broken;
            bonds[index] += value;
        } catch {
            if (due) ++broken;
        }
    }

    /// @dev Anyone publishes the round that decides about a claim.
    function publish(uint256 which) external {
        if (_jobs.length != 0) _publish(_pick(which));
    }

    function _publish(uint256 which) private {
        (uint64 round,,,) = audited().auditOf(seen(_jobs[which].request, AUDITED));
        try beacon.publish(round, "") {} catch {}
    }

    /// @dev Anyone says that a claim was drawn.
    function freeze(uint256 which) external {
        if (_jobs.length == 0) return;
        which = _pick(which);
        Job memory job = _jobs[which];
        Request memory request = combined.requestFor(job.request, AUDITED);
        try audited().freeze(request, job.payee, keccak256(job.stands)) {
            if (!_stands(which, AUDITED)) ++broken;
            ++_counts.freezes;
        } catch {}
    }

    /// @dev A key of an operator is revoked: mostly of one whose claim stands.
    function revoke(uint256 which, uint256 who, uint8 luck) external {
        if (luck % 4 != 0) return;
        address owner = actor(who);
        if (luck % 16 != 0 && _jobs.length != 0) owner = _jobs[_pick(which)].payee;
        keyring.revoke(owner, modelId);
    }

    /// @dev Once in a while somebody finds the verifier broken, and shows it.
    function stop(uint256 luck) external {
        if (luck % 16 != 0 || guard.isStopped(modelId)) return;
        bytes32 proof = keccak256(abi.encode(modelId, bytes32(0), INPUT, bytes("false")));
        guard.stop(modelId, 0, INPUT, "false", abi.encodePacked(proof));
    }

    // --- time -----------------------------------------------------------------------------------

    function refund(uint256 which) external {
        if (_jobs.length == 0) return;
        try oracle.refund(_jobs[_pick(which)].request) {} catch {}
    }

    /// @dev Anyone ends a part's lock after the week; that can wait for nothing but the audit's
    ///      round.
    function close(uint256 which, uint256 index) external {
        if (_jobs.length == 0) return;
        (which, index) = (which % _jobs.length, index % PARTS);
        Job memory job = _jobs[which];
        (Status status,,) = oracle.statusOf(oracle.idOf(job.request));
        bool over = block.timestamp > job.request.deadline + WEEK;
        bool due = over && job.open >> index & 1 != 0 && status > Status.Final;
        (, bool known,,) = audited().auditOf(seen(job.request, AUDITED));
        Before memory before = _before(job.payee);
        VM.recordLogs();
        Request memory request = combined.requestFor(job.request, index);
        try part(index).close(request, job.payee, keccak256(job.stands)) {
            if (!due) ++broken;
            _end(which, 1 << index, before);
            ++_counts.closed;
        } catch {
            if (due && (index != AUDITED || known)) ++broken;
        }
    }

    /// @dev Time passes; the honest operator proves what is due.
    function pass(uint32 time) external {
        _pass(time % 8 == 0 ? time % 9 days : time % 4 hours);
    }

    /// @dev All clocks of a claim end, its round is published, and the hour after that is over.
    function outlast(uint256 which, uint256 who) external {
        if (_jobs.length == 0) return;
        which = _pick(which);
        _pass(9 hours);
        _publish(which);
        _pass(1 hours + 1);
        _play(_move(which, ALL, actor(who), _jobs[which].stands));
    }

    function _pass(uint256 time) private {
        uint256 to = block.timestamp + time;
        for (uint256 i; i < _jobs.length; ++i) {
            for (uint256 index; index < PARTS; ++index) {
                if (!_isDue(i, index, to)) continue;
                _prove(i, _jobs[i].told == 0 ? ALL : 1 << index, actor(0));
            }
        }
        VM.warp(to);
    }

    /// @dev The honest operator's claim, of which a part wants a proof before then: it is
    ///      disputed, or drawn, or nobody may know if it is before the week ends.
    function _isDue(uint256 which, uint256 index, uint256 to) private view returns (bool) {
        Job memory job = _jobs[which];
        if (job.payee != actor(0) || job.open >> index & 1 == 0) return false;
        uint256 end = job.request.deadline + WEEK;
        if (block.timestamp > end) return false;
        IOptimisticAssurance.Case memory case_ = part(index).caseOf(oracle.idOf(job.request));
        if (case_.proveBy != 0 && case_.proveBy < to) return true;
        if (index != AUDITED) return false;
        (, bool known, bool drawn, uint256 until) = audited().auditOf(seen(job.request, AUDITED));
        if (known && until < end) end = until;
        return end < to && (drawn || !known);
    }

    // --- proofs ---------------------------------------------------------------------------------

    function _prove(uint256 which, uint256 parts, address sender) private {
        Job memory job = _jobs[which];
        (Status status,,) = oracle.statusOf(oracle.idOf(job.request));
        bool counts = status == Status.Provisional
            || (status == Status.Open && block.timestamp <= job.request.deadline);
        if (parts != ALL) {
            uint256 index;
            while (parts != 1 << index) ++index;
            counts = _isConcludable(which, index);
        }
        if (parts & 1 << AUDITED != 0 && _waitsForItsRound(which)) counts = false;
        Status verdict = _play(_proving(which, parts, sender));
        if (!guard.isStopped(modelId) && (verdict == Status.Final) != counts) ++broken;
    }

    /// @dev An audited claim is proved wrong after its window once its round is there: published
    ///      here, if it is made.
    function _waitsForItsRound(uint256 which) private returns (bool) {
        Job memory job = _jobs[which];
        bytes32 stands = keccak256(job.stands);
        Request memory request = seen(job.request, AUDITED);
        (uint256 window,) = audited().clocks(request.terms);
        bool late = job.since != 0 && block.timestamp > job.since + window;
        if (!late || stands == keccak256(RIGHT) || stands == keccak256(hex"00")) return false;
        _publish(which);
        (, bool known,,) = audited().auditOf(request);
        return !known;
    }

    /// @dev The right answer with its proof for each part, as what stands asks for it.
    function _proving(uint256 which, uint256 parts, address sender)
        private
        view
        returns (Move memory move)
    {
        Job memory job = _jobs[which];
        move = _move(which, parts, sender, RIGHT);
        bool other = job.since != 0 && keccak256(job.stands) != keccak256(RIGHT);
        if (other || job.since == 0) move.payee = sender;
        bytes memory proof = _proof(which, move.payee);
        if (other) {
            proof = abi.encodePacked(abi.encode(job.payee, keccak256(job.stands)), proof);
        }
        for (uint256 i; i < PARTS; ++i) {
            move.each[i] = proof;
        }
    }

    function _proof(uint256 which, address payee) private view returns (bytes memory) {
        bytes32 context = oracle.contextOf(_jobs[which].request, payee);
        return abi.encodePacked(keccak256(abi.encode(modelId, context, INPUT, RIGHT)));
    }

    /// @dev What stands, handed in without a word.
    function _move(uint256 which, uint256 parts, address sender, bytes memory output)
        private
        view
        returns (Move memory)
    {
        Job memory job = _jobs[which];
        bool late = parts != ALL && job.told != 0;
        address payee = job.since == 0 ? sender : job.payee;
        if (output.length == 0) output = RIGHT; // of a request without an answer
        return Move(which, parts, late, sender, payee, output, new bytes[](PARTS));
    }

    // --- helpers --------------------------------------------------------------------------------

    /// @dev Whether a part's lock is open, and the claim can be judged there.
    function _stands(uint256 which, uint256 index) private view returns (bool) {
        (Status status,,) = oracle.statusOf(oracle.idOf(_jobs[which].request));
        return
            _jobs[which].since != 0 && status == Status.Provisional || _isConcludable(which, index);
    }

    function _isConcludable(uint256 which, uint256 index) private view returns (bool) {
        Job memory job = _jobs[which];
        bool over = block.timestamp > job.request.deadline + WEEK;
        return job.told != 0 && job.open >> index & 1 != 0 && !over;
    }

    /// @dev Mostly one of the latest three: old ones are settled.
    function _pick(uint256 which) private view returns (uint256) {
        uint256 count = _jobs.length;
        return which % 4 == 0 || count < 3 ? which % count : count - 1 - which / 4 % 3;
    }
}
