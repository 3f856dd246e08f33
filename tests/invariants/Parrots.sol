// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {OptimisticAssurance} from "../../contracts/assurance/OptimisticAssurance.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {CommitteeAssurance} from "../../contracts/committee/CommitteeAssurance.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {DevelopmentBeacon} from "../../contracts/random/DevelopmentBeacon.sol";
import {Request} from "../../contracts/types/Request.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Terms, toTerms} from "../../contracts/types/Terms.sol";
import {Assembly} from "./Assembly.sol";
import {Market} from "./Market.sol";
import {VM} from "./Vm.sol";

/// @dev The same question, asked of a tier under another version of the verifier.
function twinOf(Request memory request, address tier, bytes32 pin, uint256 nonce)
    view
    returns (Request memory twin)
{
    twin = abi.decode(abi.encode(request), (Request)); // another one in memory
    uint256 proving = Terms.wrap(uint256(request.terms)).proving();
    (twin.assurance, twin.pin) = (tier, pin);
    twin.terms = bytes32(Terms.unwrap(toTerms(1, proving, 0, 0)));
    (twin.fee, twin.deadline, twin.nonce) = (0, uint64(block.timestamp + 1 hours), nonce);
}

/// @notice A market in which proofs and challengers' words are said again, for what they were not said of:
///         for another request or payee, or under another version of the verifier.
contract ParrotMarket is Market {
    /// @notice The same tier over another version, with a vault of its own.
    OptimisticAssurance public immutable second;
    /// @notice How often something was said again.
    uint256 public replays;
    mapping(bytes32 requestId => mapping(uint256 index => bool)) private _isCopy;

    constructor(
        InferenceOracle oracle_,
        StakeVault vault_,
        OptimisticAssurance tier_,
        GuardedVerifier guard_,
        DevelopmentBeacon beacon_,
        bytes32 modelId_,
        OptimisticAssurance second_
    ) Market(oracle_, vault_, tier_, guard_, beacon_, modelId_) {
        second = second_;
    }

    /// @dev Anyone hands in what proves the right answer for another payee, to another request, or to this
    ///      one's twin.
    function replayProof(uint256 which, uint256 from, uint256 who, uint256 whose) external {
        if (_jobs.length == 0 || guard.isStopped(modelId)) return; // then all is given back
        Job memory job = _jobs[_pick(which)];
        Request memory told = whose % 4 == 0 ? _twin(job.request) : _jobs[_pick(from)].request;
        (Status status,,) = oracle.statusOf(oracle.idOf(job.request));
        bool stands = status == Status.Provisional;
        bool same = keccak256(job.stands) == keccak256(RIGHT);
        address payee = stands && same ? job.payee : actor(who);
        address named = actor(whose >> 8);
        if (oracle.idOf(told) == oracle.idOf(job.request) && named == payee) return;
        bytes memory evidence = _proofOf(told, named);
        if (stands && !same) {
            evidence = abi.encodePacked(abi.encode(job.payee, keccak256(job.stands)), evidence);
        }
        if (_answer(job.request, actor(who), payee, RIGHT, evidence)) ++broken;
        ++replays;
    }

    /// @dev What proves the right answer here proves nothing of the twin; what proves it there does. Nor can
    ///      a request name this tier, and the other version.
    function crossOver(uint256 which, uint256 who) external {
        if (_jobs.length == 0) return;
        Request memory request = _jobs[_pick(which)].request;
        Request memory twin = _twin(request);
        VM.prank(twin.requester);
        oracle.request(twin, INPUT);
        if (_isTaken(twin, actor(who), _proofOf(request, actor(who)))) ++broken;
        if (!_isTaken(twin, actor(who), _proofOf(twin, actor(who)))) ++broken;
        (twin.assurance, twin.terms) = (request.assurance, request.terms);
        VM.prank(twin.requester);
        try oracle.request(twin, INPUT) {
            ++broken;
        } catch {}
        ++replays;
    }

    /// @dev A challenger's word is another's, or its own about another claim: it never opens.
    function copy(uint256 which, uint256 from, uint256 who, uint256 whose) external {
        if (_jobs.length == 0) return;
        Job memory job = _jobs[_pick(which)];
        bytes32 id = oracle.idOf(job.request);
        bytes32 told = oracle.idOf(_jobs[_pick(from)].request);
        if (told == id && actor(who) == actor(whose)) return;
        bytes32 word = tier.commitmentOf(told, actor(whose), keccak256(RIGHT), "salt");
        uint256 value = tier.bond(job.request.terms);
        VM.deal(actor(who), value);
        VM.prank(actor(who));
        try tier.dispute{value: value}(
            job.request, job.payee, keccak256(job.stands), word
        ) returns (
            uint256 index
        ) {
            bonds += value;
            _isCopy[id][index] = true;
        } catch {}
    }

    function openCopy(uint256 which, uint256 index) external {
        if (_jobs.length == 0) return;
        bytes32 id = oracle.idOf(_jobs[_pick(which)].request);
        uint256 count = tier.challengeCount(id);
        if (count == 0 || !_isCopy[id][index % count]) return;
        try tier.reveal(id, index % count, "salt") {
            ++broken;
        } catch {}
        ++replays;
    }

    function _twin(Request memory request) internal view returns (Request memory) {
        return twinOf(request, address(second), second.pin(), JOBS + replays);
    }

    function _proofOf(Request memory request, address payee) private view returns (bytes memory) {
        bytes32 context = oracle.contextOf(request, payee);
        return abi.encodePacked(keccak256(abi.encode(modelId, context, INPUT, RIGHT)));
    }

    function _isTaken(Request memory request, address payee, bytes memory proof)
        private
        returns (bool done)
    {
        VM.prank(payee);
        try oracle.answer(request, INPUT, payee, RIGHT, proof) {
            done = true;
        } catch {}
    }
}

/// @notice An assembly in which members' words are said again, for what they were not said of: for another
///         request, day, payee or output, under another version of the verifier, in another's name.
contract ParrotAssembly is Assembly {
    uint256 internal constant ALL = (1 << PLACES) - 1;

    /// @notice The same tier over another version, with a vault of its own and the same actors in its seats.
    CommitteeAssurance public immutable second;
    /// @notice How often something was said again.
    uint256 public replays;
    /// @dev 1 + whose place's word stands at a place.
    mapping(bytes32 requestId => mapping(uint256 place => uint256)) private _copied;
    /// @dev The second tier's members.
    mapping(uint256 epoch => bytes) private _others;

    constructor(
        InferenceOracle oracle_,
        StakeVault vault_,
        CommitteeAssurance tier_,
        GuardedVerifier guard_,
        DevelopmentBeacon beacon_,
        bytes32 modelId_,
        CommitteeAssurance second_
    ) Assembly(oracle_, vault_, tier_, guard_, beacon_, modelId_) {
        second = second_;
        StakeVault other = StakeVault(address(second_.vault()));
        for (uint256 i; i <= ACTORS; ++i) {
            VM.deal(actor(i), 2 ether);
            VM.prank(actor(i));
            other.stake{value: 2 ether}();
            VM.prank(actor(i));
            second_.enrol(i);
        }
    }

    /// @dev Today's members all gave their word, but not for this: that is no agreement.
    function replayWords(uint256 which, uint256 from, uint256 who, uint8 kind) external {
        uint256 today = block.timestamp / EPOCH;
        bytes memory members = membersOf[today];
        if (_jobs.length == 0 || members.length == 0 || guard.isStopped(modelId)) return;
        uint256 index = _pick(which);
        Request memory told = _jobs[index].request;
        (uint256 day, CommitteeAssurance at) = (today, tier);
        (address payee, bytes memory output) = (actor(0), RIGHT);
        kind %= 6;
        if (kind == 0) told = _jobs[_pick(from)].request;
        if (kind == 1) day = today - 1 - from % 3;
        if (kind == 2) payee = actor(1 + from % (ACTORS - 1));
        if (kind == 3) output = WRONG;
        if (kind == 4) at = second;
        if (kind == 5) (day, members) = (today - 1, membersOf[today - 1]);
        bool another = kind != 0 || told.nonce != _jobs[index].request.nonce;
        if (!another || members.length == 0) return;
        bytes memory quorum = _quorum(at, told, day, members, RIGHT, [ALL, 0, 0]);
        if (_answer(index, actor(who), payee, output, abi.encodePacked(uint8(1), quorum))) {
            ++broken;
        }
        ++replays;
    }

    /// @dev What members revealed on-chain about another request, or about this one on another day, is no
    ///      word of today's members about this one; the rest gave theirs.
    function replayReveals(uint256 which, uint256 from, uint256 who) external {
        uint256 today = block.timestamp / EPOCH;
        bytes memory members = membersOf[today];
        if (_jobs.length == 0 || members.length == 0 || guard.isStopped(modelId)) return;
        uint256 index = _pick(which);
        Request memory request = _jobs[index].request;
        bytes32 told = oracle.idOf(_jobs[_pick(from)].request);
        uint256 said;
        for (uint256 place; place < PLACES; ++place) {
            if (tier.revealedAt(told, place) != 0) said |= 1 << place;
        }
        if (said & ~_spoken(request, today, RIGHT) == 0) return;
        bytes memory quorum = _quorum(tier, request, today, members, RIGHT, [ALL & ~said, 0, said]);
        if (_answer(index, actor(who), actor(0), RIGHT, abi.encodePacked(uint8(1), quorum))) {
            ++broken;
        }
        ++replays;
    }

    /// @dev Of the twin: words of its members about this request, or to this tier, are no agreement there;
    ///      their words about itself are.
    function crossOver(uint256 which) external {
        uint256 today = block.timestamp / EPOCH;
        if (_jobs.length == 0 || second.committeeOf(today) == 0) return;
        Request memory request = _jobs[_pick(which)].request;
        Request memory twin = twinOf(request, address(second), second.pin(), JOBS + replays);
        VM.prank(twin.requester);
        oracle.request(twin, INPUT);
        if (_isTaken(twin, tier, request) || _isTaken(twin, tier, twin)) ++broken;
        if (_isTaken(twin, second, request) || !_isTaken(twin, second, twin)) ++broken;
        ++replays;
    }

    /// @dev A member that was summoned commits to what another did.
    function copy(uint256 which, uint256 place, uint256 from) external {
        if (_jobs.length == 0) return;
        bytes32 id = oracle.idOf(_jobs[_pick(which)].request);
        (uint32 epoch,,,) = tier.summonsOf(id);
        bytes memory members = membersOf[epoch];
        if (members.length == 0) return;
        (place, from) = (place % PLACES, from % PLACES);
        (uint256 who, address owner) = _holder(members, place);
        (, address author) = _holder(members, from);
        bytes32 word = tier.commitmentAt(id, from);
        if (who == 0 || owner == author || word == 0) return;
        VM.prank(owner);
        try tier.commit(id, members, place, word) {
            _copied[id][place] = 1 + from;
        } catch {}
    }

    /// @dev And opens it as the other does.
    function openCopy(uint256 which, uint256 place, bool lie) external {
        if (_jobs.length == 0) return;
        bytes32 id = oracle.idOf(_jobs[_pick(which)].request);
        place %= PLACES;
        if (_copied[id][place] == 0) return;
        uint256 from = _copied[id][place] - 1;
        if (tier.commitmentAt(id, place) != tier.commitmentAt(id, from)) return;
        (uint32 epoch,,,) = tier.summonsOf(id);
        bytes32 said = keccak256(lie ? WRONG : RIGHT);
        try tier.reveal(id, membersOf[epoch], place, actor(0), said, TRACE, bytes32(from)) {
            ++broken;
        } catch {}
        ++replays;
    }

    function _draw() internal override {
        super._draw();
        if (address(second) == address(0)) return; // not yet made
        try second.draw() returns (bytes memory members) {
            _others[_time / EPOCH] = members;
        } catch {}
    }

    /// @dev Whether the twin takes what its members signed about that request, as words to that tier.
    function _isTaken(Request memory twin, CommitteeAssurance at, Request memory told)
        private
        returns (bool done)
    {
        uint256 today = block.timestamp / EPOCH;
        bytes memory quorum = _quorum(at, told, today, _others[today], RIGHT, [ALL, 0, 0]);
        try oracle.answer(twin, INPUT, actor(0), RIGHT, abi.encodePacked(uint8(1), quorum)) {
            done = true;
        } catch {}
    }
}
