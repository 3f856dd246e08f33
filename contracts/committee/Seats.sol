// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ICommitteeAssurance} from "../interfaces/ICommitteeAssurance.sol";
import {IRandomness} from "../interfaces/IRandomness.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";

/// @title Who may be drawn, and who is.
abstract contract Seats is ICommitteeAssurance {
    uint256 internal constant EPOCH = 1 days;
    /// @dev An epoch's list of seats closes so long before it.
    uint256 internal constant CLOSED = 1 hours;
    /// @dev After a seat's last epoch: W_max, and a day.
    uint256 internal constant LEAVE_DELAY = 8 days;
    uint256 internal constant MEMBER_BYTES = 24;
    /// @dev So many fines a seat can pay before it would have too little left for claims.
    uint256 internal constant FINES = 8;
    /// @dev Draws a place at most, before there are taken to be too few seats.
    uint256 internal constant TRIES = 128;

    IStakeVault public immutable vault;
    IRandomness public immutable randomness;
    uint256 internal immutable _places;
    uint256 internal immutable _quorum;
    uint256 internal immutable _seatStake;
    uint256 internal immutable _fine;
    uint256 internal immutable _window;
    uint256 internal immutable _grace;

    /// @inheritdoc ICommitteeAssurance
    mapping(uint256 epoch => bytes32) public committeeOf;
    Seat[] private _seats;
    /// @dev How many of them nobody holds.
    uint256 private _free;
    /// @dev 1 + the seats there were before the first that was added to this epoch's list.
    mapping(uint256 epoch => uint256) private _countBefore;

    constructor(IStakeVault vault_, IRandomness randomness_, Rules memory rules_) {
        if (
            uint256(rules_.quorum) * 2 <= rules_.seats || rules_.quorum > rules_.seats
                || rules_.seats > 64 || rules_.fine == 0
                || 2 * FINES * rules_.fine > rules_.seatStake || rules_.grace < 10 minutes
                || rules_.window < 1 hours || rules_.window > 36 hours
        ) revert WrongRules();
        if (!vault_.isTier(address(this))) revert NotATier(address(vault_));
        (vault, randomness) = (vault_, randomness_);
        (_places, _quorum) = (rules_.seats, rules_.quorum);
        (_seatStake, _fine) = (rules_.seatStake, rules_.fine);
        (_window, _grace) = (rules_.window, rules_.grace);
    }

    /// @inheritdoc ICommitteeAssurance
    function enrol(uint256 seat) public virtual {
        uint256 count = _seats.length;
        if (seat > count) revert NoSuchSeat(seat);
        uint256 since = _openEpoch();
        if (seat == count) {
            if (_free != 0) revert SeatsFree(_free);
            if (_countBefore[since] == 0) _countBefore[since] = count + 1;
            _seats.push();
        } else if (_seats[seat].owner != address(0)) {
            revert SeatTaken(seat);
        } else {
            --_free;
        }

        _seats[seat] = Seat(msg.sender, uint48(_seatStake), uint24(since), 0);

        emit Enrolled(seat, msg.sender, since);

        vault.lock(msg.sender, msg.sender, _seatStake, 0, type(uint24).max);
    }

    /// @inheritdoc ICommitteeAssurance
    /// @dev By anyone, if nothing of the seat returns to its owner, who then has nothing to lose by it.
    function retire(uint256 seat) external {
        Seat memory held = _held(seat);
        if (!vault.isForfeited(held.owner)) _checkOwner(held);
        uint256 until = _openEpoch();
        if (held.until != 0) revert SeatTaken(seat);

        _seats[seat].until = uint24(until);

        emit Retired(seat, until);
    }

    /// @inheritdoc ICommitteeAssurance
    function leave(uint256 seat) external {
        Seat memory held = _held(seat);
        _checkOwner(held);
        uint256 until = held.until * EPOCH + LEAVE_DELAY;
        if (held.until == 0 || block.timestamp <= until) revert TooEarly(until, block.timestamp);

        delete _seats[seat];
        ++_free;

        emit SeatLeft(seat);

        vault.release(held.owner, held.stake, 0);
    }

    /// @inheritdoc ICommitteeAssurance
    function draw() public virtual returns (bytes memory members) {
        uint256 epoch = _epoch();
        if (committeeOf[epoch] != 0) revert AlreadyDrawn(epoch);
        uint64 round = randomness.roundAfter(epoch * EPOCH);
        bytes32 seed = randomness.valueOf(round);
        if (seed == 0) revert SeedUnknown(round);
        uint256 count = _listed(epoch);
        if (count < _places) revert TooFewSeats(_places, count);
        uint256[] memory drawn = new uint256[](_places);
        uint256 filled;
        for (uint256 i; filled < _places; ++i) {
            if (i == TRIES * _places) revert TooFewSeats(_places, filled);
            uint256 seat = uint256(keccak256(abi.encode(seed, i))) % count;
            Seat memory held = _seats[seat];
            if (held.owner == address(0) || held.since > epoch) continue;
            if (held.until != 0 && held.until <= epoch) continue;
            if (_has(drawn, filled, seat)) continue;
            drawn[filled++] = seat;
            members = abi.encodePacked(members, uint32(seat), held.owner);
        }

        committeeOf[epoch] = keccak256(members);

        emit Drawn(epoch, members);
    }

    /// @inheritdoc ICommitteeAssurance
    function rules() external view returns (Rules memory) {
        return Rules(
            uint8(_places),
            uint8(_quorum),
            uint48(_seatStake),
            uint48(_fine),
            uint32(_window),
            uint32(_grace)
        );
    }

    /// @inheritdoc ICommitteeAssurance
    function seatCount() external view returns (uint256) {
        return _seats.length;
    }

    /// @inheritdoc ICommitteeAssurance
    function seatAt(uint256 seat) external view returns (Seat memory) {
        return _seats[seat];
    }

    // --- for the tier ---------------------------------------------------------------------------

    /// @dev Takes gwei of the seat of a member of that epoch, if it holds it still; it serves no more.
    function _take(uint256 epoch, bytes memory members, uint256 place, uint256 amount)
        internal
        returns (address owner, uint256 taken)
    {
        uint256 seat;
        (seat, owner) = _member(members, place);
        taken = _takeSeat(epoch, seat, owner, amount, 0);
    }

    /// @dev Down to `floor`; nothing, if the owner holds the seat anew. A seat that is slashed serves no
    ///      more, since it covers too little; one that is fined serves until the list that is open.
    function _takeSeat(uint256 epoch, uint256 seat, address owner, uint256 amount, uint256 floor)
        internal
        returns (uint256 taken)
    {
        Seat storage held = _seats[seat];
        if (held.owner != owner || held.since > epoch) return 0;
        uint256 most = held.stake > floor ? held.stake - floor : 0;
        taken = amount < most ? amount : most;
        uint256 until = floor == 0 ? _epoch() : _openEpoch();
        held.stake -= uint48(taken);
        if (held.until == 0 || held.until > until) held.until = uint24(until);
    }

    /// @dev What an epoch's claims may reserve of each seat: fines leave that much.
    function _reservable() internal view returns (uint256) {
        return _seatStake - FINES * _fine;
    }

    function _checkMembers(uint256 epoch, bytes memory members) internal view {
        bytes32 got = keccak256(members);
        if (got != committeeOf[epoch] || committeeOf[epoch] == 0) {
            revert WrongMembers(epoch, committeeOf[epoch], got);
        }
    }

    /// @dev Of members that were checked.
    function _member(bytes memory members, uint256 place)
        internal
        view
        returns (uint256 seat, address owner)
    {
        if (place >= _places) revert WrongPlace(place);
        uint256 word;
        assembly ("memory-safe") {
            word := mload(add(add(members, 0x20), mul(place, MEMBER_BYTES)))
        }
        return (word >> 224, address(uint160(word >> 64)));
    }

    function _count(uint256 places) internal pure returns (uint256 count) {
        for (; places != 0; places &= places - 1) {
            ++count;
        }
    }

    function _epoch() internal view returns (uint256) {
        return _epochOf(block.timestamp);
    }

    function _epochOf(uint256 timestamp) internal pure returns (uint256) {
        return timestamp / EPOCH;
    }

    /// @dev The first epoch whose list is open: the next, or in this one's last hour the one after it.
    function _openEpoch() private view returns (uint256) {
        return _epochOf(block.timestamp + CLOSED) + 1;
    }

    /// @dev Seats on the list of the epoch that runs: all but those added to the two lists that were open
    ///      since.
    function _listed(uint256 epoch) private view returns (uint256) {
        for (uint256 next = epoch + 1; next <= epoch + 2; ++next) {
            if (_countBefore[next] != 0) return _countBefore[next] - 1;
        }
        return _seats.length;
    }

    function _held(uint256 seat) private view returns (Seat memory) {
        if (seat >= _seats.length) revert NoSuchSeat(seat);
        return _seats[seat];
    }

    function _checkOwner(Seat memory held) private view {
        if (held.owner != msg.sender) revert OnlyOwner(held.owner, msg.sender);
    }

    function _has(uint256[] memory drawn, uint256 filled, uint256 seat)
        private
        pure
        returns (bool)
    {
        for (uint256 i; i < filled; ++i) {
            if (drawn[i] == seat) return true;
        }
        return false;
    }
}
