// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {AuditedAssurance} from "../../contracts/assurance/AuditedAssurance.sol";
import {CombinedAssurance} from "../../contracts/assurance/CombinedAssurance.sol";
import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {OptimisticAssurance} from "../../contracts/assurance/OptimisticAssurance.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {IAssurance} from "../../contracts/interfaces/IAssurance.sol";
import {IStakeVault} from "../../contracts/interfaces/IStakeVault.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {DevelopmentBeacon} from "../../contracts/random/DevelopmentBeacon.sol";
import {Claim, Request} from "../../contracts/types/Request.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Terms} from "../../contracts/types/Terms.sol";
import {Keyring} from "./Keyring.sol";
import {VM, Vm} from "./Vm.sol";

uint256 constant PARTS = 3;
uint256 constant ALL = (1 << PARTS) - 1;
uint256 constant AUDITED = 0;
uint256 constant LONGER = 1;
uint256 constant ATTESTED = 2;

/// @notice Asks parts what they would say to a claim, as the combination does: one after the other.
contract Hearing {
    /// @notice What they all say; None if they differ.
    error Heard(Status said);

    /// @dev Reverts in any case, so that nothing of it stays.
    function hear(
        address combination,
        address[] calldata tiers,
        Request[] calldata seen,
        Claim calldata claim,
        bytes calldata input,
        bytes calldata output,
        bytes[] calldata each
    ) external {
        Status said;
        for (uint256 i; i < tiers.length; ++i) {
            VM.prank(combination);
            Status next = IAssurance(tiers[i]).judge(seen[i], claim, input, output, each[i]);
            if (i != 0 && next != said) revert Heard(Status.None);
            said = next;
        }
        revert Heard(said);
    }
}

/// @notice A combination under play: where each claim stands for each of its parts, and that every
///         move does what the parts say, ends their locks and no others, and pays what these locks
///         say.
/// @dev Parts have locks of three sizes, so that none is taken for another.
abstract contract Ensemble {
    /// @param open whose locks are, a bit a part
    /// @param told who had a say of its own: gave the claim back, or concluded it
    struct Job {
        Request request;
        address payee;
        bytes stands;
        uint256 since;
        uint256 open;
        uint256 told;
    }

    /// @dev A claim that is handed in.
    /// @param parts all, or the one that is asked
    /// @param late whether it is concluded there, not answered
    struct Move {
        uint256 which;
        uint256 parts;
        bool late;
        address sender;
        address payee;
        bytes output;
        bytes[] each;
    }

    struct Before {
        address owner;
        IStakeVault.Account account;
        uint256 consumer;
        uint256 credits;
        uint256 burned;
    }

    /// @notice How often what came to pass.
    struct Counts {
        uint256 silent; // final by clocks
        uint256 mixed; // final by a proof for some parts, and the clocks of others
        uint256 proved; // final by proofs for all parts
        uint256 refuted; // final for another output
        uint256 back; // given back by all
        uint256 failed; // by one
        uint256 freed; // and concluded then: final
        uint256 struck; // slashed
        uint256 spared; // given back without
        uint256 closed; // after the week
        uint256 slashes;
        uint256 freezes;
    }

    uint256 internal constant ACTORS = 5;
    uint256 internal constant WEEK = 7 days;
    bytes internal constant RIGHT = "right";
    bytes internal constant INPUT = "input";
    /// @dev Asks for all; it has nothing but what slashed locks pay it.
    address public constant CONSUMER = address(0xC0);

    InferenceOracle public immutable oracle;
    StakeVault public immutable vault;
    CombinedAssurance public immutable combined;
    GuardedVerifier public immutable guard;
    DevelopmentBeacon public immutable beacon;
    Keyring public immutable keyring;
    bytes32 public immutable modelId;

    /// @notice Broken promises that only show while something happens; zero for ever.
    uint256 public broken;
    /// @notice Gwei that an owner put in, less what it took out; and what its claims cost it.
    mapping(address owner => uint256) public staked;
    mapping(address owner => uint256) public cost;
    /// @notice Parts that were slashed for a request, a bit each.
    mapping(bytes32 requestId => uint256) public slashed;
    Job[] internal _jobs;
    Counts internal _counts;
    address[PARTS] private _tiers;
    bytes32[PARTS] private _fixed;
    Hearing private _hearing = new Hearing();

    constructor(
        InferenceOracle oracle_,
        StakeVault vault_,
        CombinedAssurance combined_,
        GuardedVerifier guard_,
        DevelopmentBeacon beacon_,
        Keyring keyring_,
        bytes32 modelId_
    ) {
        (oracle, vault, combined) = (oracle_, vault_, combined_);
        (guard, beacon, keyring, modelId) = (guard_, beacon_, keyring_, modelId_);
        for (uint256 i; i < PARTS; ++i) {
            (_tiers[i], _fixed[i]) = (combined_.partAt(i).tier, combined_.partAt(i).terms);
        }
    }

    function actor(uint256 i) public pure returns (address) {
        return address(uint160(0xAC7000 + i % ACTORS));
    }

    function actorCount() external pure returns (uint256) {
        return ACTORS;
    }

    function jobCount() external view returns (uint256) {
        return _jobs.length;
    }

    function jobAt(uint256 i) external view returns (Job memory) {
        return _jobs[i];
    }

    function counts() external view returns (Counts memory) {
        return _counts;
    }

    function part(uint256 index) public view returns (OptimisticAssurance) {
        return OptimisticAssurance(_tiers[index]);
    }

    /// @notice A request as a part has to see it.
    function seen(Request memory request, uint256 index)
        public
        view
        returns (Request memory view_)
    {
        view_ = abi.decode(abi.encode(request), (Request)); // another one in memory
        (view_.assurance, view_.pin) = (_tiers[index], part(index).pin());
        view_.terms = request.terms | _fixed[index];
    }

    /// @notice Gwei that these parts lock for a request.
    function lockOf(Request memory request, uint256 parts) public view returns (uint256 sum) {
        for (uint256 i; i < PARTS; ++i) {
            if (parts >> i & 1 == 0) continue;
            (uint256 compensation, uint256 reward, uint256 burn) = part(i).split(request.terms);
            sum += compensation + reward + burn;
        }
    }

    // --- moves ----------------------------------------------------------------------------------

    /// @dev What becomes of a claim is what the parts that are asked say; None: nothing.
    function _play(Move memory move) internal returns (Status verdict) {
        Job memory job = _jobs[move.which];
        verdict = _expected(move, job);
        Before memory before = _before(job.payee);
        (, bool known, bool drawn,) = audited().auditOf(seen(job.request, AUDITED));
        VM.recordLogs();
        bool done = move.late ? _conclude(move, job.request) : _answer(move, job.request);
        if (done != (verdict != Status.None)) ++broken;
        if (!done) return Status.None;
        if (!move.late) {
            (Status status,,) = oracle.statusOf(oracle.idOf(job.request));
            if (status != verdict) ++broken;
        }
        if (verdict == Status.Provisional) {
            Job storage stands = _jobs[move.which];
            (stands.payee, stands.stands) = (move.payee, move.output);
            (stands.since, stands.open) = (block.timestamp, ALL);
            return verdict;
        }
        bool other = keccak256(move.output) != keccak256(job.stands);
        uint256 struck = _end(move.which, job.open & move.parts, before);
        if (job.since != 0 && move.parts != ALL) _jobs[move.which].told |= move.parts;
        if (verdict == Status.Final) {
            if (struck != (other ? job.open & move.parts : 0)) ++broken;
            if (!other && move.payee != job.payee && job.since != 0) ++broken;
            _checkSilence(move, job, other, known && !drawn);
        }
        _count(move, job, verdict, struck);
    }

    /// @dev What a combination does, of which parts each say what they do.
    function _expected(Move memory move, Job memory job) private returns (Status said) {
        (Status status,,) = oracle.statusOf(oracle.idOf(job.request));
        bool one = move.parts != ALL;
        bool over = block.timestamp > job.request.deadline + WEEK;
        if (move.late) {
            if (job.told == 0 || job.open & move.parts == 0 || over) return Status.None;
        } else if (status != Status.Provisional) {
            bool open = status == Status.Open && block.timestamp <= job.request.deadline;
            if (!open) return Status.None;
        }
        said = _hear(move, job);
        if (said == Status.Provisional && (one || job.since != 0)) return Status.None;
        if (one && !move.late && said != Status.Retracted) return Status.None;
    }

    function _hear(Move memory move, Job memory job) private returns (Status said) {
        bytes32 id = oracle.idOf(job.request);
        Claim memory claim = Claim({
            requestId: id,
            context: oracle.contextOf(job.request, move.payee),
            sender: move.sender,
            payee: move.payee,
            standing: job.since == 0 ? bytes32(0) : oracle.claimDigest(job.payee, job.stands),
            since: job.since,
            digest: oracle.claimDigest(move.payee, move.output)
        });
        uint256 count = move.parts == ALL ? PARTS : 1;
        address[] memory tiers = new address[](count);
        Request[] memory views = new Request[](count);
        bytes[] memory each = new bytes[](count);
        for ((uint256 i, uint256 at) = (0, 0); i < PARTS; ++i) {
            if (move.parts >> i & 1 == 0) continue;
            (tiers[at], views[at], each[at]) = (_tiers[i], seen(job.request, i), move.each[i]);
            ++at;
        }
        try _hearing.hear(address(combined), tiers, views, claim, INPUT, move.output, each) {}
        catch (bytes memory reason) {
            if (bytes4(reason) != Hearing.Heard.selector) return Status.None;
            assembly ("memory-safe") {
                said := mload(add(reason, 36))
            }
        }
    }

    function _answer(Move memory move, Request memory request) private returns (bool done) {
        bytes memory evidence = abi.encodePacked(uint8(0), abi.encode(move.each));
        uint256 total;
        for (uint256 i; i < PARTS; ++i) {
            total += move.each[i].length;
            if (move.parts == 1 << i) evidence = abi.encodePacked(uint8(1 + i), move.each[i]);
        }
        if (move.parts == ALL && total == 0) evidence = "";
        VM.prank(move.sender);
        try oracle.answer(request, INPUT, move.payee, move.output, evidence) {
            done = true;
        } catch {}
    }

    function _conclude(Move memory move, Request memory request) private returns (bool done) {
        uint256 index;
        while (move.parts != 1 << index) ++index;
        VM.prank(move.sender);
        try combined.conclude(request, index, INPUT, move.payee, move.output, move.each[index]) {
            done = true;
        } catch {}
    }

    /// @dev Locks of these parts have ended, and no others: each was released whole, or divided,
    ///      once.
    function _end(uint256 which, uint256 parts, Before memory before)
        internal
        returns (uint256 struck)
    {
        Job storage job = _jobs[which];
        IStakeVault.Account memory account = vault.accountOf(before.owner);
        uint256 amount = lockOf(job.request, parts);
        if (account.locked + amount != before.account.locked) ++broken;
        if (parts & ~job.open != 0) ++broken;
        job.open &= ~parts;
        struck = _readSlashes(job);
        if (struck & ~parts != 0) ++broken;
        uint256 taken = before.account.stake - account.stake;
        cost[before.owner] += taken;
        // A failed audit takes what is free, too, and what is released later: other locks are left.
        bool forfeited = vault.isForfeited(before.owner);
        bool all = forfeited && (taken == amount || account.stake == account.locked);
        if (taken != lockOf(job.request, struck) && !all) ++broken;
        uint256 owed = before.consumer;
        for (uint256 i; i < PARTS; ++i) {
            if (struck >> i & 1 != 0) owed += Terms.wrap(uint256(job.request.terms)).coverage();
        }
        if (vault.credit(CONSUMER) != owed) ++broken;
        if (_credits() + vault.burned() != before.credits + before.burned + taken) ++broken;
    }

    /// @dev Which parts slashed since logs are recorded: its whole lock each, once, for this
    ///      request.
    function _readSlashes(Job storage job) private returns (uint256 struck) {
        bytes32 id = oracle.idOf(job.request);
        Vm.Log[] memory logs = VM.getRecordedLogs();
        for (uint256 l; l < logs.length; ++l) {
            if (logs[l].topics[0] != IStakeVault.Slashed.selector) continue;
            uint256 index;
            while (_tiers[index] != address(uint160(uint256(logs[l].topics[2])))) ++index;
            (, uint256 compensation,, uint256 reward, uint256 burn) =
                abi.decode(logs[l].data, (address, uint256, address, uint256, uint256));
            bool twice = slashed[id] >> index & 1 != 0;
            if (twice || logs[l].topics[3] != id) ++broken;
            if (address(uint160(uint256(logs[l].topics[1]))) != job.payee) ++broken;
            if (compensation + reward + burn != lockOf(job.request, 1 << index)) ++broken;
            slashed[id] |= 1 << index;
            struck |= 1 << index;
            ++_counts.slashes;
        }
    }

    /// @dev In a part that got no proof a claim is final only as it stood until its clock was
    ///      over: neither disputed nor drawn, and signed by no key that was revoked. Another
    ///      output needs proofs.
    function _checkSilence(Move memory move, Job memory job, bool other, bool spared) private {
        bytes32 output = keccak256(move.output);
        if (output == keccak256(hex"00") || (other && output != keccak256(RIGHT))) ++broken;
        for (uint256 i; i < PARTS; ++i) {
            if (move.parts >> i & 1 == 0 || move.each[i].length != 0) continue;
            Request memory request = seen(job.request, i);
            (uint256 window,) = part(i).clocks(request.terms);
            bool over = job.since != 0 && block.timestamp > job.since + window;
            if (!over || part(i).caseOf(oracle.idOf(job.request)).proveBy != 0) ++broken;
            if (i == AUDITED && !spared) ++broken;
            if (i == ATTESTED && keyring.revokedAt(job.payee, modelId) >= job.since) ++broken;
        }
    }

    function _count(Move memory move, Job memory job, Status verdict, uint256 struck) private {
        uint256 proofs;
        for (uint256 i; i < PARTS; ++i) {
            if (move.each[i].length != 0) ++proofs;
        }
        if (move.late) {
            if (struck != 0) ++_counts.struck;
            else if (verdict == Status.Final) ++_counts.freed;
            else ++_counts.spared;
        } else if (verdict == Status.Retracted) {
            if (move.parts == ALL) ++_counts.back;
            else ++_counts.failed;
        } else if (struck != 0) {
            ++_counts.refuted;
        } else if (proofs == 0) {
            ++_counts.silent;
        } else if (proofs == PARTS) {
            ++_counts.proved;
        } else if (job.since != 0) {
            ++_counts.mixed;
        }
    }

    // --- helpers --------------------------------------------------------------------------------

    function audited() public view returns (AuditedAssurance) {
        return AuditedAssurance(_tiers[AUDITED]);
    }

    function _before(address owner) internal view returns (Before memory) {
        return Before({
            owner: owner,
            account: vault.accountOf(owner),
            consumer: vault.credit(CONSUMER),
            credits: _credits(),
            burned: vault.burned()
        });
    }

    function _credits() internal view returns (uint256 sum) {
        sum = vault.credit(CONSUMER);
        for (uint256 i; i < ACTORS; ++i) {
            sum += vault.credit(actor(i));
        }
        for (uint256 i; i < PARTS; ++i) {
            sum += vault.credit(_tiers[i]);
        }
    }
}
