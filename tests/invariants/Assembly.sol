// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {CommitteeAssurance} from "../../contracts/committee/CommitteeAssurance.sol";
import {ICommitteeAssurance} from "../../contracts/interfaces/ICommitteeAssurance.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {DevelopmentBeacon} from "../../contracts/random/DevelopmentBeacon.sol";
import {Request} from "../../contracts/types/Request.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Terms, toTerms} from "../../contracts/types/Terms.sol";
import {VM} from "./Vm.sol";

/// @notice Everyone around the committee tier. Actor 0 holds two seats and is honest: it signs and reveals
///         what is right only, speaks when it is summoned, and dissents from what is wrong only. The
///         others do as forge pleases, but nobody can prove what is wrong.
abstract contract Assembly {
    struct Job {
        Request request;
        bytes stands;
        bytes quorum;
        uint256 since;
        uint256 share;
        bool slashed;
    }

    uint256 internal constant JOBS = 24;
    uint256 internal constant ACTORS = 5;
    uint256 internal constant PLACES = 3;
    uint256 internal constant QUORUM = 2;
    uint256 internal constant EPOCH = 1 days;
    uint256 internal constant CLOSED = 1 hours;
    uint256 internal constant TRIES = 128 * PLACES;
    uint256 internal constant LONGEST = 3 days;
    bytes internal constant RIGHT = "right";
    bytes internal constant WRONG = "wrong";
    bytes internal constant INPUT = "input";
    bytes32 internal constant TRACE = "trace";

    InferenceOracle public immutable oracle;
    StakeVault public immutable vault;
    CommitteeAssurance public immutable tier;
    GuardedVerifier public immutable guard;
    DevelopmentBeacon public immutable beacon;
    bytes32 public immutable modelId;

    /// @notice Broken promises that only show while something happens; zero for ever.
    uint256 public broken;
    uint256 public slashes;
    uint256 public agreements;
    /// @notice Wei that vault and tier each got by force.
    uint256 public forced;
    /// @notice Wei of bonds that an actor earned or had returned, and that it took.
    mapping(address account => uint256) public earned;
    mapping(address account => uint256) public takenBy;
    bytes32[] private _summoned;
    /// @notice Gwei that actor 0 staked and took away again.
    uint256 public honestStake;
    /// @notice Gwei that it was fined.
    uint256 public honestFines;
    mapping(uint256 epoch => bytes) public membersOf;
    Job[] internal _jobs;
    uint256 internal _time;
    /// @dev Who held each seat when an epoch's list closed, zero for who had given it up; and how many
    ///      slashes there had been.
    mapping(uint256 epoch => address[]) private _lists;
    mapping(uint256 epoch => uint256) private _cutsThen;
    uint256 private _cuts;

    constructor(
        InferenceOracle oracle_,
        StakeVault vault_,
        CommitteeAssurance tier_,
        GuardedVerifier guard_,
        DevelopmentBeacon beacon_,
        bytes32 modelId_
    ) {
        (oracle, vault, tier, guard) = (oracle_, vault_, tier_, guard_);
        (beacon, modelId) = (beacon_, modelId_);
        for (uint256 i; i < ACTORS; ++i) {
            _stake(i, 4 ether);
            _admit(i);
            _enrol(i, i);
        }
        _enrol(0, ACTORS);
        _warp(block.timestamp + 1 days);
        _draw();
    }

    /// @dev What an actor does before it can take a seat.
    function _admit(uint256 who) internal virtual {}

    function jobCount() external view returns (uint256) {
        return _jobs.length;
    }

    function jobAt(uint256 i) external view returns (Job memory) {
        return _jobs[i];
    }

    function actorCount() external pure returns (uint256) {
        return ACTORS;
    }

    function actor(uint256 i) public pure returns (address) {
        return VM.addr(_key(i));
    }

    function _key(uint256 i) internal pure returns (uint256) {
        return 0xC0FFEE + i % ACTORS;
    }

    // --- stake and seats ------------------------------------------------------------------------

    function stake(uint256 who, uint64 gwei_) external {
        _stake(who, (1 + gwei_ % 2e9) * 1 gwei);
    }

    function _stake(uint256 who, uint256 value) internal {
        VM.deal(actor(who), value);
        VM.prank(actor(who));
        vault.stake{value: value}();
        if (who % ACTORS == 0) honestStake += value / 1 gwei;
    }

    function queue(uint256 who, uint64 amount) external {
        uint256 held = vault.accountOf(actor(who)).stake;
        VM.prank(actor(who));
        vault.queueWithdrawal(held == 0 ? 0 : amount % (held + 1));
    }

    function leaveVault(uint256 who) external {
        VM.prank(actor(who));
        try vault.leave(actor(who)) returns (uint256 amount) {
            if (who % ACTORS == 0) honestStake -= amount;
        } catch {}
    }

    function withdraw(uint256 who) external {
        try vault.withdrawFor(actor(who)) {} catch {}
    }

    function enrol(uint256 who, uint256 seat) external {
        uint256 count = tier.seatCount();
        _enrol(who, seat % 2 == 0 ? count : seat % (count + 1));
    }

    function _enrol(uint256 who, uint256 seat) internal {
        VM.prank(actor(who));
        try tier.enrol(seat) {} catch {}
    }

    /// @dev Seldom, or none are left.
    function retire(uint256 who, uint256 seat) external {
        if (who % 4 != 0) return;
        seat %= tier.seatCount();
        VM.prank(actor(who >> 8));
        try tier.retire(seat) {} catch {}
    }

    function leaveSeat(uint256 seat) external {
        seat %= tier.seatCount();
        VM.prank(tier.seatAt(seat).owner);
        try tier.leave(seat) {} catch {}
    }

    // --- claims ---------------------------------------------------------------------------------

    function ask(uint40 coverage, uint32 wait, uint8 kind, uint256 signers) external {
        if (_jobs.length == JOBS) return;
        Terms terms = toTerms(uint40(1 + coverage % 5e8), 1 + kind, 0, 0);
        address requester = actor(coverage);
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
            deadline: uint64(block.timestamp + 1 hours + wait % 9 days),
            nonce: _jobs.length
        });
        VM.deal(requester, 1 gwei);
        VM.prank(requester);
        oracle.request{value: 1 gwei}(request, INPUT);
        Job storage job = _jobs.push();
        job.request = request;
        if (kind % 4 != 0) _agree(_jobs.length - 1, signers, kind % 3 != 0);
    }

    function agree(uint256 which, uint256 signers, bool lie) external {
        if (_jobs.length != 0) _agree(_pick(which), signers, lie);
    }

    /// @dev Whoever holds these places of today's committee signs, but actor 0 no lie; who revealed the
    ///      same on-chain counts, too. Sometimes the collector adds a place whose member did not.
    function _agree(uint256 which, uint256 signers, bool lie) internal {
        Job storage job = _jobs[which];
        bytes memory output = lie ? WRONG : RIGHT;
        uint256 epoch = block.timestamp / EPOCH;
        bytes memory members = membersOf[epoch];
        if (members.length == 0) return;
        bool frame = signers >> 8 & 7 == 0;
        uint256 given;
        uint256 framed;
        for (uint256 place; place < PLACES; ++place) {
            if (signers >> place & 3 == 0) continue; // mostly all
            (uint256 who,) = _holder(members, place);
            if (who != 0 || !lie) given |= 1 << place;
            else if (frame) framed |= 1 << place;
        }
        uint256 spoken = _spoken(job.request, epoch, output) & ~given & ~framed;
        bytes memory quorum =
            _quorum(tier, job.request, epoch, members, output, [given, framed, spoken]);
        uint256 before = tier.reserved();
        (Status status,,) = oracle.statusOf(oracle.idOf(job.request));
        if (!_answer(
                which, actor(signers >> 16), actor(0), output, abi.encodePacked(uint8(1), quorum)
            )) {
            return;
        }
        if (guard.isStopped(modelId)) return; // then it was given back
        if (status != Status.Open || framed != 0 || _count(given | spoken) < QUORUM) ++broken;
        (job.stands, job.quorum, job.since) = (output, quorum, block.timestamp);
        job.share = tier.reserved() - before;
        ++agreements;
    }

    /// @dev What the members of the first places signed to a tier, actor 1 in the name of the second ones',
    ///      and the third ones' revealed on-chain.
    function _quorum(
        CommitteeAssurance at,
        Request memory request,
        uint256 epoch,
        bytes memory members,
        bytes memory output,
        uint256[3] memory places
    ) internal view virtual returns (bytes memory) {
        ICommitteeAssurance.Opening[] memory openings = new ICommitteeAssurance.Opening[](PLACES);
        uint256 count;
        for (uint256 place; place < PLACES; ++place) {
            (uint256 who,) = _holder(members, place);
            if (places[2] >> place & 1 != 0) {
                openings[count++] = ICommitteeAssurance.Opening(uint8(place), 0, 0, 0, 0);
            } else if ((places[0] | places[1]) >> place & 1 != 0) {
                if (places[1] >> place & 1 != 0) who = 1;
                openings[count++] = _opening(at, request, epoch, place, members, output, who);
            }
        }
        assembly ("memory-safe") {
            mstore(openings, count)
        }
        return abi.encode(ICommitteeAssurance.Quorum(members, TRACE, openings));
    }

    /// @dev Places that revealed this claim on-chain, when this epoch's committee was summoned.
    function _spoken(Request memory request, uint256 epoch, bytes memory output)
        internal
        view
        returns (uint256 places)
    {
        bytes32 id = oracle.idOf(request);
        bytes32 claim = keccak256(abi.encode(actor(0), keccak256(output), TRACE));
        (uint32 summoned,,,) = tier.summonsOf(id);
        if (summoned != epoch) return 0;
        for (uint256 place; place < PLACES; ++place) {
            if (tier.revealedAt(id, place) == claim) places |= 1 << place;
        }
    }

    function _count(uint256 places) private pure returns (uint256 count) {
        for (; places != 0; places &= places - 1) {
            ++count;
        }
    }

    function dissent(uint256 which, uint256 place) external {
        if (_jobs.length == 0) return;
        Job memory job = _jobs[_pick(which)];
        if (job.stands.length == 0) return;
        bytes memory members = membersOf[job.since / EPOCH];
        (uint256 who, address owner) = _holder(members, place % PLACES);
        if (who == 0 && keccak256(job.stands) == keccak256(RIGHT)) return;
        VM.prank(owner);
        try tier.dissent(job.request, actor(0), keccak256(job.stands), members, place % PLACES) {}
            catch {}
    }

    function settle(uint256 which, uint256 who) external {
        if (_jobs.length == 0) return;
        uint256 index = _pick(which);
        if (_jobs[index].stands.length != 0) {
            _answer(index, actor(who), actor(0), _jobs[index].stands, "");
        }
    }

    /// @dev A proof of what is right, in the way that what stands asks for. Before finality that must
    ///      make it final.
    function prove(uint256 which, uint256 who, uint8 luck) external {
        if (_jobs.length == 0 || luck % 3 != 0) return;
        uint256 index = _pick(which);
        Job memory job = _jobs[index];
        bytes32 id = oracle.idOf(job.request);
        (Status status,,) = oracle.statusOf(id);
        bool counts = status == Status.Provisional
            || (status == Status.Open && block.timestamp <= job.request.deadline);
        bool other = status == Status.Provisional && keccak256(job.stands) != keccak256(RIGHT);
        bytes memory proof = abi.encodePacked(
            keccak256(
                abi.encode(
                    modelId,
                    oracle.contextOf(job.request, other ? actor(who) : actor(0)),
                    INPUT,
                    RIGHT
                )
            )
        );
        bytes memory evidence = abi.encodePacked(uint8(0), proof);
        if (other) {
            evidence = abi.encodePacked(
                uint8(2), abi.encode(actor(0), keccak256(job.stands), job.quorum, proof)
            );
        }
        Sums memory before = _sums();
        uint256 owed = vault.credit(job.request.requester);
        bool stopped = guard.isStopped(modelId);
        bool done = _answer(index, actor(who), other ? actor(who) : actor(0), RIGHT, evidence);
        if (stopped) return;
        if (done != counts) ++broken;
        (status,,) = oracle.statusOf(id);
        if (counts && status != Status.Final) ++broken;
        if (!done || !other) return;
        _checkSlash(index, actor(who), before, owed);
    }

    /// @dev As long as it may have to stand a wrong claim is covered whole, from those who signed it; what is
    ///      taken is compensation, reward and what is burned, and of that there is no less than of the first.
    function _checkSlash(uint256 index, address prover, Sums memory before, uint256 owed) private {
        Job storage job = _jobs[index];
        Sums memory sums = _sums();
        uint256 taken = before.stakes - sums.stakes;
        uint256 burned = sums.burned - before.burned;
        if (sums.credits - before.credits + burned != taken) ++broken;
        if (job.slashed) ++broken;
        job.slashed = taken != 0;
        if (taken != 0) ++_cuts;
        bool covered = block.timestamp <= job.since + LONGEST;
        if (!covered && taken != 0) ++broken;
        if (!covered) return;
        ++slashes;
        uint256 coverage = Terms.wrap(uint256(job.request.terms)).coverage();
        uint256 got = vault.credit(job.request.requester) - owed;
        if (got < coverage || (prover != job.request.requester && got != coverage)) ++broken;
        if (burned < coverage) ++broken;
    }

    // --- silence --------------------------------------------------------------------------------

    /// @dev Actor 0 commits at once, in all of its places.
    function summon(uint256 which) external {
        if (_jobs.length == 0) return;
        Request memory request = _jobs[_pick(which)].request;
        uint256 bond = tier.summonsBond();
        VM.deal(request.requester, bond);
        VM.prank(request.requester);
        try tier.summon{value: bond}(request) {
            _summoned.push(oracle.idOf(request));
            bytes memory members = membersOf[block.timestamp / EPOCH];
            for (uint256 place; place < PLACES; ++place) {
                (uint256 who,) = _holder(members, place);
                if (who == 0 && _isHere(oracle.idOf(request))) {
                    _commit(request, members, place, RIGHT);
                }
            }
        } catch {}
    }

    function commit(uint256 which, uint256 place, bool lie) external {
        if (_jobs.length == 0) return;
        Request memory request = _jobs[_pick(which)].request;
        (uint32 epoch,,,) = tier.summonsOf(oracle.idOf(request));
        if (epoch == 0) return;
        (uint256 who,) = _holder(membersOf[epoch], place % PLACES);
        _commit(request, membersOf[epoch], place % PLACES, lie && who != 0 ? WRONG : RIGHT);
    }

    function reveal(uint256 which, uint256 place, bool lie) external {
        if (_jobs.length == 0) return;
        _reveal(_jobs[_pick(which)].request, place % PLACES, lie ? WRONG : RIGHT);
    }

    function fine(uint256 which, uint256 place) external {
        if (_jobs.length == 0) return;
        bytes32 id = oracle.idOf(_jobs[_pick(which)].request);
        (uint32 epoch,,,) = tier.summonsOf(id);
        uint256 burned = vault.burned();
        try tier.fineAbsent(id, membersOf[epoch], place % PLACES) {
            uint256 taken = vault.burned() - burned;
            if (taken > tier.rules().fine) ++broken;
            (uint256 who,) = _holder(membersOf[epoch], place % PLACES);
            if (who == 0) honestFines += taken;
            if (who == 0 && _isHere(id)) ++broken;
        } catch {}
    }

    function _commit(Request memory request, bytes memory members, uint256 place, bytes memory said)
        private
    {
        (, address owner) = _holder(members, place);
        bytes32 id = oracle.idOf(request);
        bytes32 word =
            keccak256(abi.encode(actor(0), keccak256(said), TRACE, bytes32(place), owner));
        VM.prank(owner);
        try tier.commit(id, members, place, word) {} catch {}
    }

    function _reveal(Request memory request, uint256 place, bytes memory said) private {
        bytes32 id = oracle.idOf(request);
        (uint32 epoch,,,) = tier.summonsOf(id);
        bytes memory members = membersOf[epoch];
        if (members.length == 0) return;
        (, address owner) = _holder(members, place);
        try tier.reveal(id, members, place, actor(0), keccak256(said), TRACE, bytes32(place)) {
            earned[owner] += tier.summonsBond() / PLACES;
        } catch {}
    }

    function reclaim(uint256 which) external {
        if (_jobs.length == 0) return;
        Request memory request = _jobs[_pick(which)].request;
        (,, uint40 revealBy, uint8 silent) = tier.summonsOf(oracle.idOf(request));
        try tier.reclaim(request) {
            earned[request.requester] += tier.summonsBond() / PLACES * silent;
            if (silent == 0 || block.timestamp <= revealBy) ++broken;
        } catch {}
    }

    /// @notice Bonds that were paid, and what of them is nobody's yet, in wei.
    function bonds() external view returns (uint256 paid, uint256 waiting) {
        uint256 bond = tier.summonsBond();
        for (uint256 i; i < _summoned.length; ++i) {
            (,,, uint8 silent) = tier.summonsOf(_summoned[i]);
            paid += bond;
            waiting += bond / PLACES * silent;
        }
    }

    function takeBond(uint256 who) external {
        uint256 before = actor(who).balance;
        VM.prank(actor(who));
        try tier.withdraw(actor(who)) returns (uint256 amount) {
            takenBy[actor(who)] += amount;
            if (actor(who).balance - before != amount) ++broken;
        } catch {}
    }

    // --- time -----------------------------------------------------------------------------------

    /// @dev Time passes; on its way actor 0 reveals what it committed to, when it may.
    function pass(uint32 time) external {
        uint256 start = _time;
        uint256 to = start + (time % 8 == 0 ? time % 5 days : time % 6 hours);
        // To the hour in which a list is closed and its seed unknown still.
        if (time % 4 == 1) to = ((start + CLOSED) / EPOCH + 1) * EPOCH - CLOSED + time % CLOSED;
        for (uint256 i; i < _jobs.length; ++i) {
            Request memory request = _jobs[i].request;
            (uint32 epoch, uint40 commitBy, uint40 revealBy,) = tier.summonsOf(oracle.idOf(request));
            if (epoch == 0 || commitBy >= to || revealBy < start) continue;
            _warp(commitBy < start ? start : commitBy + 1);
            for (uint256 place; place < PLACES; ++place) {
                (uint256 who,) = _holder(membersOf[epoch], place);
                if (who == 0 && _isHere(oracle.idOf(request))) _reveal(request, place, RIGHT);
            }
        }
        for (uint256 epoch = to / EPOCH; epoch <= (to + CLOSED) / EPOCH; ++epoch) {
            if (epoch * EPOCH > start + CLOSED) _close(epoch);
        }
        _warp(to);
        _draw();
    }

    /// @dev An hour before the epoch.
    function _close(uint256 epoch) private {
        _warp(epoch * EPOCH - CLOSED);
        _cutsThen[epoch] = _cuts;
        uint256 count = tier.seatCount();
        for (uint256 seat; seat < count; ++seat) {
            ICommitteeAssurance.Seat memory held = tier.seatAt(seat);
            _lists[epoch].push(held.until == 0 ? held.owner : address(0));
        }
    }

    /// @dev The time is kept here, too: solc takes block.timestamp for one within a call.
    function _warp(uint256 to) private {
        _time = to;
        VM.warp(to);
    }

    /// @dev The round's time comes a few seconds after midnight. Whatever was done since the list closed,
    ///      but for slashes, the draw is of that list.
    function _draw() internal virtual {
        uint256 epoch = _time / EPOCH;
        if (membersOf[epoch].length != 0) return;
        try beacon.publish(beacon.roundAfter(epoch * EPOCH), "") {} catch {}
        try tier.draw() returns (bytes memory members) {
            membersOf[epoch] = members;
            bool known = _lists[epoch].length != 0 && _cutsThen[epoch] == _cuts;
            if (known && keccak256(members) != keccak256(_drawn(epoch))) ++broken;
        } catch {}
    }

    function _drawn(uint256 epoch) private view returns (bytes memory members) {
        address[] memory list = _lists[epoch];
        bytes32 seed = beacon.valueOf(beacon.roundAfter(epoch * EPOCH));
        for (uint256 i; i < TRIES && members.length < 24 * PLACES; ++i) {
            uint256 seat = uint256(keccak256(abi.encode(seed, i))) % list.length;
            if (list[seat] == address(0)) continue;
            members = abi.encodePacked(members, uint32(seat), list[seat]);
            list[seat] = address(0); // it serves once
        }
    }

    function refund(uint256 which) external {
        if (_jobs.length == 0) return;
        try oracle.refund(_jobs[_pick(which)].request) {} catch {}
    }

    /// @dev Once in a while somebody finds the verifier broken, and shows it.
    function stop(uint256 luck) external {
        if (luck % 64 != 0 || guard.isStopped(modelId)) return;
        bytes32 proof = keccak256(abi.encode(modelId, bytes32(0), INPUT, bytes("false")));
        guard.stop(modelId, 0, INPUT, "false", abi.encodePacked(proof));
    }

    function force(uint64 amount) external {
        forced += amount;
        VM.deal(address(vault), address(vault).balance + amount);
        VM.deal(address(tier), address(tier).balance + amount);
    }

    // --- helpers --------------------------------------------------------------------------------

    /// @dev That the honest member speaks within its graces is a premise.
    function _isHere(bytes32) internal view virtual returns (bool) {
        return true;
    }

    struct Sums {
        uint256 stakes;
        uint256 credits;
        uint256 burned;
    }

    function _sums() private view returns (Sums memory sums) {
        for (uint256 i; i < ACTORS; ++i) {
            sums.stakes += vault.accountOf(actor(i)).stake;
            sums.credits += vault.credit(actor(i));
        }
        sums.burned = vault.burned();
    }

    function _opening(
        CommitteeAssurance at,
        Request memory request,
        uint256 epoch,
        uint256 place,
        bytes memory members,
        bytes memory output,
        uint256 who
    ) private view returns (ICommitteeAssurance.Opening memory) {
        (, address member) = _holder(members, place);
        bytes32 word =
            keccak256(abi.encode(actor(0), keccak256(output), TRACE, bytes32(place), member));
        bytes32 digest = at.digestOf(oracle.idOf(request), epoch, word);
        (uint8 v, bytes32 r, bytes32 s) = VM.sign(_key(who), digest);
        return ICommitteeAssurance.Opening(uint8(place), v, bytes32(place), r, s);
    }

    /// @dev Which actor holds a place, and its address.
    function _holder(bytes memory members, uint256 place)
        internal
        pure
        returns (uint256 who, address owner)
    {
        assembly ("memory-safe") {
            owner := shr(96, mload(add(add(members, 0x24), mul(place, 24))))
        }
        while (actor(who) != owner) ++who;
    }

    function _pick(uint256 which) internal view returns (uint256) {
        uint256 count = _jobs.length;
        return which % 4 == 0 || count < 3 ? which % count : count - 1 - which / 4 % 3;
    }

    function _answer(
        uint256 index,
        address sender,
        address payee,
        bytes memory output,
        bytes memory evidence
    ) internal returns (bool done) {
        VM.prank(sender);
        try oracle.answer(_jobs[index].request, INPUT, payee, output, evidence) {
            done = true;
        } catch {}
    }
}
