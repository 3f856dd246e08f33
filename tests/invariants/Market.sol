// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {OptimisticAssurance} from "../../contracts/assurance/OptimisticAssurance.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {IAuditedAssurance} from "../../contracts/interfaces/IAuditedAssurance.sol";
import {IOptimisticAssurance} from "../../contracts/interfaces/IOptimisticAssurance.sol";
import {IStakeVault} from "../../contracts/interfaces/IStakeVault.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {DevelopmentBeacon} from "../../contracts/random/DevelopmentBeacon.sol";
import {Request} from "../../contracts/types/Request.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Terms, toTerms} from "../../contracts/types/Terms.sol";
import {VM} from "./Vm.sol";

/// @notice Everyone around the optimistic tier. Actor 0 is an honest operator: it answers what is
///         right, and proves what is disputed before its clock ends. The others do as forge pleases,
///         but nobody can prove what is wrong: that is the verifier's part.
contract Market {
    struct Job {
        Request request;
        address payee;
        bytes stands;
    }

    uint256 internal constant JOBS = 24;
    uint256 internal constant ACTORS = 5;
    bytes internal constant RIGHT = "right";
    bytes internal constant INPUT = "input";

    InferenceOracle public immutable oracle;
    StakeVault public immutable vault;
    OptimisticAssurance public immutable tier;
    GuardedVerifier public immutable guard;
    /// @notice Of audits; zero for a tier without.
    DevelopmentBeacon public immutable beacon;
    bytes32 public immutable modelId;

    /// @notice Broken promises that only show while something happens; zero for ever.
    uint256 public broken;
    uint256 public slashes;
    uint256 public freezes;
    /// @notice Gwei that an owner put in, less what it took out; and what the end of a request's claim took
    ///         of its payee's.
    mapping(address owner => uint256) public staked;
    mapping(bytes32 requestId => uint256) public cost;
    /// @notice How often a request's lock ended: once at most.
    mapping(bytes32 requestId => uint256) public settled;
    uint256 public forcedVault;
    uint256 public forcedTier;
    /// @notice Wei of bonds that went into the tier, less what was collected.
    uint256 public bonds;
    Job[] internal _jobs;

    constructor(
        InferenceOracle oracle_,
        StakeVault vault_,
        OptimisticAssurance tier_,
        GuardedVerifier guard_,
        DevelopmentBeacon beacon_,
        bytes32 modelId_
    ) {
        guard = guard_;
        beacon = beacon_;
        (oracle, vault, tier, modelId) = (oracle_, vault_, tier_, modelId_);
        for (uint256 i; i < ACTORS; ++i) {
            _stake(actor(i), 8 ether);
        }
    }

    function jobCount() external view returns (uint256) {
        return _jobs.length;
    }

    function jobAt(uint256 i) external view returns (Job memory) {
        return _jobs[i];
    }

    function actor(uint256 i) public pure returns (address) {
        return address(uint160(0xAC7000 + i % ACTORS));
    }

    function actorCount() external pure returns (uint256) {
        return ACTORS;
    }

    // --- stake ----------------------------------------------------------------------------------

    function stake(uint256 who, uint64 gwei_) external {
        uint256 value = (1 + gwei_ % 10e9) * 1 gwei;
        _stake(actor(who), value);
    }

    function _stake(address owner, uint256 value) private {
        VM.deal(owner, value);
        VM.prank(owner);
        vault.stake{value: value}();
        staked[owner] += value / 1 gwei;
    }

    /// @dev Actor 0 lets nobody answer for its stake.
    function appoint(uint256 who, uint256 agent) external {
        if (actor(who) == actor(0)) return;
        VM.prank(actor(who));
        vault.appoint(actor(agent));
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
        try vault.withdrawFor(actor(who)) {} catch {}
    }

    // --- claims ---------------------------------------------------------------------------------

    function ask(uint256 who, uint40 coverage, uint16 proving, uint32 wait, uint8 kind) external {
        if (_jobs.length == JOBS) return;
        Terms terms = toTerms(uint40(1 + coverage % 1e9), 1 + proving % 2 hours, 0, _auditRate());
        address requester = actor(who);
        Request memory request = Request({
            requester: requester,
            refundTo: requester,
            modelId: modelId,
            inputHash: keccak256(INPUT),
            assurance: address(tier),
            pin: tier.pin(),
            terms: bytes32(Terms.unwrap(terms)),
            fee: 1 gwei,
            callbackGasPrice: 0,
            callbackGas: 0,
            deadline: uint64(block.timestamp + 1 hours + wait % 2 days),
            nonce: _jobs.length
        });
        VM.deal(requester, 1 gwei);
        VM.prank(requester);
        oracle.request{value: 1 gwei}(request, INPUT);
        _jobs.push(Job(request, address(0), ""));
        if (kind % 5 != 0) _post(_jobs.length - 1, who >> 16, kind);
    }

    /// @dev An operator answers: rightly, wrongly, or that there is no answer.
    function post(uint256 which, uint256 who, uint8 kind) external {
        if (_jobs.length != 0) _post(_pick(which), who, kind);
    }

    function _post(uint256 which, uint256 who, uint8 kind) private {
        Job storage job = _jobs[which];
        if (job.payee != address(0)) return;
        bool honest = actor(who) == actor(0);
        bytes memory output = RIGHT;
        if (!honest && kind % 3 == 1) output = "wrong";
        if (!honest && kind % 3 == 2) output = hex"00";
        // Mostly for its own stake; for another's only as its agent.
        address payee = who % 8 == 0 ? actor(who >> 8) : actor(who);
        bytes memory evidence = _vouch(job.request, actor(who), payee, output);
        if (_answer(job.request, actor(who), payee, output, evidence)) {
            (job.payee, job.stands) = (payee, output);
            _posted();
            if (actor(who) != payee && vault.agentOf(payee) != actor(who)) ++broken;
        }
    }

    /// @dev Anyone hands the standing claim in: the clock decides.
    function settle(uint256 which, uint256 who) external {
        if (_jobs.length == 0) return;
        Job memory job = _jobs[_pick(which)];
        if (job.payee == address(0)) return;
        bool held = drawnOf(job.payee) != 0;
        bool done = _answer(job.request, actor(who), job.payee, job.stands, "");
        (Status status,,) = oracle.statusOf(oracle.idOf(job.request));
        // A drawn claim that is to be proved holds its operator's others back.
        if (done && held && status == Status.Final) ++broken;
    }

    /// @dev Anyone proves the right answer. Before finality that must make it final.
    function prove(uint256 which, uint256 who, uint8 luck) external {
        if (_jobs.length == 0 || luck % 4 != 0) return;
        _prove(_jobs[_pick(which)], actor(who));
    }

    /// @dev Anyone proves what stands for another payee, as if it were another output.
    function steal(uint256 which, uint256 who) external {
        if (_jobs.length == 0) return;
        Job memory job = _jobs[_pick(which)];
        address thief = actor(who);
        if (job.payee == thief || keccak256(job.stands) != keccak256(RIGHT)) return;
        bytes32 proof =
            keccak256(abi.encode(modelId, oracle.contextOf(job.request, thief), INPUT, RIGHT));
        bytes memory evidence = abi.encode(job.payee, keccak256(RIGHT), proof);
        if (_answer(job.request, thief, thief, RIGHT, evidence)) ++broken;
    }

    function dispute(uint256 which, uint256 who, uint256 guess, uint64 more) external {
        if (_jobs.length == 0) return;
        Job memory job = _jobs[_pick(which)];
        bytes32 id = oracle.idOf(job.request);
        uint256 value = tier.bond(job.request.terms) * (guess % 7 == 0 ? 0 : 1) + more % 1 gwei;
        bytes32 word = guess % 2 == 0
            ? tier.commitmentOf(id, actor(who), keccak256(RIGHT), "salt")
            : bytes32(guess);
        VM.deal(actor(who), value);
        VM.prank(actor(who));
        try tier.dispute{value: value}(job.request, job.payee, keccak256(job.stands), word) {
            bonds += value;
        } catch {}
    }

    function reveal(uint256 which, uint256 index) external {
        if (_jobs.length == 0) return;
        bytes32 id = oracle.idOf(_jobs[_pick(which)].request);
        uint256 count = tier.challengeCount(id);
        if (count == 0) return;
        try tier.reveal(id, index % count, "salt") {} catch {}
    }

    function award(uint256 which) external {
        if (_jobs.length == 0) return;
        try tier.award(oracle.idOf(_jobs[_pick(which)].request)) {} catch {}
    }

    function collect(uint256 which, uint256 index) external {
        if (_jobs.length == 0) return;
        bytes32 id = oracle.idOf(_jobs[_pick(which)].request);
        uint256 before = address(tier).balance;
        uint256 count = tier.challengeCount(id);
        try tier.collect(id, count == 0 ? 0 : index % count) {
            bonds -= before - address(tier).balance;
        } catch {}
    }

    function refund(uint256 which) external {
        if (_jobs.length == 0) return;
        try oracle.refund(_jobs[_pick(which)].request) {} catch {}
    }

    function close(uint256 which) external {
        if (_jobs.length == 0) return;
        Job memory job = _jobs[_pick(which)];
        Before memory before = _before(job.request);
        try tier.close(job.request, job.payee, keccak256(job.stands)) {} catch {}
        _after(job.request, before);
    }

    /// @dev Time passes; the honest operator proves what is due, so far as it is admitted.
    function pass(uint32 time) external {
        uint256 to = block.timestamp + (time % 8 == 0 ? time % 9 days : time % 4 hours);
        for (uint256 i; i < _jobs.length; ++i) {
            Job memory job = _jobs[i];
            if (_isDue(job, to) && _isInTime(oracle.idOf(job.request), time)) {
                _prove(job, actor(0));
            }
        }
        VM.warp(to);
    }

    /// @dev Once in a while somebody finds the verifier broken, and shows it.
    function stop(uint256 luck) external {
        if (luck % 16 != 0 || guard.isStopped(modelId)) return;
        bytes32 proof = keccak256(abi.encode(modelId, bytes32(0), INPUT, bytes("false")));
        guard.stop(modelId, 0, INPUT, "false", abi.encodePacked(proof));
    }

    /// @dev Anyone publishes the round that decides about a claim.
    function publish(uint256 which) external {
        if (address(beacon) == address(0) || _jobs.length == 0) return;
        try beacon.publish(_round(_jobs[_pick(which)].request), "") {} catch {}
    }

    /// @dev Anyone says that a claim was drawn.
    function freeze(uint256 which, uint256 who) external {
        if (address(beacon) == address(0) || _jobs.length == 0) return;
        Job memory job = _jobs[_pick(which)];
        VM.prank(actor(who));
        try IAuditedAssurance(address(tier)).freeze(job.request, job.payee, keccak256(job.stands)) {
            ++freezes;
        } catch {}
    }

    /// @notice Drawn claims of an owner that hold its others back.
    function drawnOf(address owner) public view returns (uint256) {
        return address(beacon) == address(0) ? 0 : IAuditedAssurance(address(tier)).drawnOf(owner);
    }

    function force(uint64 amount, bool intoTier) external {
        if (intoTier) {
            forcedTier += amount;
            VM.deal(address(tier), address(tier).balance + amount);
        } else {
            forcedVault += amount;
            VM.deal(address(vault), address(vault).balance + amount);
        }
    }

    // --- helpers --------------------------------------------------------------------------------

    struct Before {
        bool open;
        address payee;
        uint256 stake;
        uint256 locked;
        uint256 credits;
        uint256 burned;
        bool forfeited;
    }

    /// @notice Whether some of its payee's stake is locked for a request's claim.
    function isLocked(Request memory request) public view returns (bool) {
        bytes32 id = oracle.idOf(request);
        (Status status, bytes32 digest,) = oracle.claimOf(id);
        bool undecided = tier.caseOf(id).outcome == IOptimisticAssurance.Outcome.None;
        return
            status == Status.Provisional || (status == Status.Refunded && digest != 0 && undecided);
    }

    /// @notice Gwei that a claim locks, and its seconds of proving.
    function lockOf(Request memory request) public view returns (uint256 amount, uint256 load) {
        (uint256 compensation, uint256 reward, uint256 burn) = tier.split(request.terms);
        return (compensation + reward + burn, Terms.wrap(uint256(request.terms)).proving());
    }

    /// @dev What the tier asks of an answer beside stake.
    function _vouch(Request memory, address, address, bytes memory)
        internal
        virtual
        returns (bytes memory)
    {
        return "";
    }

    /// @dev An answer stands that was vouched for just now.
    function _posted() internal virtual {}

    /// @dev The honest operator's claim, of which a proof is demanded before then.
    function _isDue(Job memory job, uint256 to) internal view returns (bool) {
        if (job.payee != actor(0)) return false;
        IOptimisticAssurance.Case memory case_ = tier.caseOf(oracle.idOf(job.request));
        bool open = case_.proveBy != 0 && case_.outcome == IOptimisticAssurance.Outcome.None;
        return open && case_.proveBy < to || _auditEnds(job.request) < to;
    }

    /// @dev That honest proofs land before their clocks end is a premise.
    function _isInTime(bytes32, uint256) internal virtual returns (bool) {
        return true;
    }

    /// @dev Mostly one of the latest three: old ones are settled.
    function _pick(uint256 which) internal view returns (uint256) {
        uint256 count = _jobs.length;
        return which % 4 == 0 || count < 3 ? which % count : count - 1 - which / 4 % 3;
    }

    function _prove(Job memory job, address sender) private {
        bytes32 id = oracle.idOf(job.request);
        (Status status,,) = oracle.statusOf(id);
        bool counts = status == Status.Provisional
            || (status == Status.Open && block.timestamp <= job.request.deadline);
        bool same = keccak256(job.stands) == keccak256(RIGHT);
        address payee = status == Status.Provisional && same ? job.payee : sender;
        bytes memory evidence = abi.encodePacked(
            keccak256(abi.encode(modelId, oracle.contextOf(job.request, payee), INPUT, RIGHT))
        );
        if (status == Status.Provisional && !same) {
            evidence = abi.encodePacked(abi.encode(job.payee, keccak256(job.stands)), evidence);
        }
        if (!same && _waitsForItsRound(job)) counts = false;
        bool done = _answer(job.request, sender, payee, RIGHT, evidence);
        if (guard.isStopped(modelId)) return;
        if (done != counts) ++broken;
        (status,,) = oracle.statusOf(id);
        if (counts && status != Status.Final) ++broken;
    }

    /// @dev An audited claim is proved wrong after its window once its round is there: published here, if it
    ///      is made.
    function _waitsForItsRound(Job memory job) private returns (bool) {
        if (address(beacon) == address(0) || keccak256(job.stands) == keccak256(hex"00")) {
            return false;
        }
        (,, uint256 since) = oracle.claimOf(oracle.idOf(job.request));
        (uint256 window,) = tier.clocks(job.request.terms);
        if (since == 0 || block.timestamp <= since + window) return false;
        uint64 round = _round(job.request);
        if (block.timestamp >= beacon.timeOf(round)) beacon.publish(round, "");
        return beacon.valueOf(round) == 0;
    }

    function _answer(
        Request memory request,
        address sender,
        address payee,
        bytes memory output,
        bytes memory evidence
    ) internal virtual returns (bool done) {
        Before memory before = _before(request);
        VM.prank(sender);
        try oracle.answer(request, INPUT, payee, output, evidence) {
            done = true;
        } catch {}
        _after(request, before);
    }

    function _before(Request memory request) private view returns (Before memory before) {
        before.open = isLocked(request);
        before.payee = _payeeOf(request);
        before.stake = vault.accountOf(before.payee).stake;
        before.locked = vault.accountOf(before.payee).locked;
        before.credits = _credits();
        before.burned = vault.burned();
        before.forfeited = vault.isForfeited(before.payee);
    }

    /// @dev A lock that is gone was released whole, or divided: with C credited, R credited or burned,
    ///      and B burned: C or more, and a third of it all or more.
    function _after(Request memory request, Before memory before) private {
        if (!before.open) return;
        bool open = isLocked(request);
        IStakeVault.Account memory account = vault.accountOf(before.payee);
        uint256 taken = before.stake - account.stake;
        uint256 burned = vault.burned() - before.burned;
        (uint256 amount,) = lockOf(request);
        if (before.locked - account.locked != (open ? 0 : amount)) ++broken;
        if (open && taken != 0) ++broken;
        if (!open) {
            (Status status,,) = oracle.statusOf(oracle.idOf(request));
            if (status < Status.Final) ++broken;
            ++settled[oracle.idOf(request)];
        }
        if (taken == 0) return;
        ++slashes;
        cost[oracle.idOf(request)] += taken;
        (uint256 compensation,,) = tier.split(request.terms);
        // A failed audit takes what is free, too: what is left then are other claims' locks.
        bool all = vault.isForfeited(before.payee) && account.stake == account.locked;
        if (taken != amount && !all) ++broken;
        // Nobody is slashed after a stop; of a stake forfeited before it, locks burn as they end.
        if (guard.isStopped(modelId) && (!before.forfeited || taken != amount)) ++broken;
        if (_credits() - before.credits + burned != taken) ++broken;
        if (burned < compensation || 3 * burned < taken) ++broken;
    }

    function _auditRate() private view returns (uint256) {
        return address(beacon) == address(0) ? 0 : 5000;
    }

    /// @dev The round that decides about a claim; 1 if there is none.
    function _round(Request memory request) private view returns (uint64) {
        (,, uint256 since) = oracle.claimOf(oracle.idOf(request));
        (uint256 window,) = tier.clocks(request.terms);
        return since == 0 ? 1 : beacon.roundAfter(since + window + 1 minutes);
    }

    /// @dev Last second to prove a claim, should it be drawn; for ever if there is nothing to prove.
    function _auditEnds(Request memory request) private view returns (uint256) {
        (Status status,,) = oracle.statusOf(oracle.idOf(request));
        if (address(beacon) == address(0) || status != Status.Provisional) {
            return type(uint256).max;
        }
        (, uint256 clock) = tier.clocks(request.terms);
        uint64 round = _round(request);
        uint256 known = beacon.knownSince(round);
        uint256 made = beacon.timeOf(round);
        uint256 until = (known > made ? known : made) + clock;
        uint256 week = request.deadline + 7 days;
        return known == 0 || until > week ? week : until;
    }

    function _payeeOf(Request memory request) private view returns (address) {
        return _jobs.length == 0 ? address(0) : _jobs[request.nonce].payee;
    }

    function _credits() private view returns (uint256 sum) {
        for (uint256 i; i < ACTORS; ++i) {
            sum += vault.credit(actor(i));
        }
        sum += vault.credit(address(tier));
    }
}
