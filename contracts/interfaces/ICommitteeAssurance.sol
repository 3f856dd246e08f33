// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";
import {IAssurance} from "./IAssurance.sol";

/// @notice The committee tier: m of n staked members, drawn for a day, computed the same output.
///
/// Seats. Whoever locks `seatStake` in the vault holds a seat from the next epoch (a day, UTC) whose list
/// is open on; lists close an hour before their epoch. The committee is drawn from the list, by the first
/// round of the beacon in the epoch: who takes a seat, gives it up or is fined acts on the draws of
/// epochs whose lists are open (`since`, `until`), and so on none whose seed may be known, unless
/// blocks' timestamps lag by an hour. Only who is slashed, for a wrong claim, is off every list at once.
///
/// Answers. Each member runs the model and signs, off-chain, a commitment to its answer; once all
/// have committed, they reveal. Whoever collected m openings hands them in:
///
///     commitment = keccak256(abi.encode(payee, output hash, trace root, salt, member))
///     signed     = EIP-712 Commit(bytes32 requestId,uint256 epoch,bytes32 commitment)
///
/// A member commits before it has seen an answer, so that it cannot copy one. Nobody can say for a
/// member what it did not sign, nor keep it from speaking: it may commit and reveal on-chain.
///
/// Silence. Whoever asked may summon the committee to do so, and pays a bond with that, a part for each
/// place: who reveals has earned its places' parts, whatever else becomes of the request, and all
/// other parts go back to who summoned. Each is credited once, and withdrawn from there.
///
/// How to hand claims in (`InferenceOracle.answer`); evidence begins with a byte that says what it is:
///
/// | standing | claim | evidence | what becomes of it |
/// | --- | --- | --- | --- |
/// | none | any | 0, proof | Final |
/// | none | any | 1, abi.encode(Quorum) | Provisional |
/// | a claim | the same | empty | after its window Final; if a member dissented, Retracted after its clock |
/// | a claim | the same | 0, proof | Final; dissenters pay the fine |
/// | a claim | other output | 2, abi.encode(payee, output hash, abi.encode(Quorum of what stands), proof) | Final; its members are slashed |
/// | none, once verifier or model is stopped | any | any | Retracted |
/// | a claim, likewise | the same | any | Retracted |
///
/// Coverage. A claim reserves (2 C + C / 10) / m of every seat, and the claims of an epoch and of the three
/// before, which is as long as one may stand, reserve together no more than a seat's stake less eight
/// fines: the same seats may be drawn every day. So at least 2 C is to be had from any m who signed
/// wrongly: C for the consumer, C / 10 for whoever proved it, the rest is burned.
interface ICommitteeAssurance is IAssurance {
    /// @notice Fixed when the tier is made.
    /// @param seats members of a committee, n
    /// @param quorum how many must agree, m
    /// @param seatStake gwei
    /// @param fine gwei that a member pays who was summoned and did not appear, or dissented wrongly
    /// @param window seconds in which a member can dissent
    /// @param grace seconds to commit, and again to reveal, after a summons
    struct Rules {
        uint8 seats;
        uint8 quorum;
        uint48 seatStake;
        uint48 fine;
        uint32 window;
        uint32 grace;
    }

    /// @notice One seat, in one slot.
    /// @param owner who holds it, and whose key signs; zero for a free one
    /// @param stake gwei that are left of it
    /// @param since first epoch it can be drawn for
    /// @param until first epoch for which it cannot any more; 0 for none
    struct Seat {
        address owner;
        uint48 stake;
        uint24 since;
        uint24 until;
    }

    /// @notice That a member of a committee committed to a claim.
    /// @param place of the member in its committee
    /// @param v of its signature; 0 if it revealed on-chain
    /// @param salt that opens its commitment
    /// @param r of its signature
    /// @param s of its signature
    struct Opening {
        uint8 place;
        uint8 v;
        bytes32 salt;
        bytes32 r;
        bytes32 s;
    }

    /// @notice Openings of one claim.
    /// @param members the epoch's committee, as `Drawn` said: seat (4) and owner (20), for each place
    /// @param traceRoot what they committed to beside the output
    /// @param openings at least m, places ascending
    struct Quorum {
        bytes members;
        bytes32 traceRoot;
        Opening[] openings;
    }

    event Enrolled(uint256 indexed seat, address indexed owner, uint256 since);
    event Retired(uint256 indexed seat, uint256 until);
    event SeatLeft(uint256 indexed seat);
    event Drawn(uint256 indexed epoch, bytes members);
    event Agreed(bytes32 indexed requestId, uint256 indexed epoch, uint256 places);
    /// @notice The Quorum of an agreement that was not a transaction of its sender's own to the oracle: who
    ///         refutes it needs these words, and would not find them in that transaction's calldata.
    event Spoken(bytes32 indexed requestId, bytes quorum);
    event Dissented(bytes32 indexed requestId, address indexed member, uint256 proveBy);
    event Summoned(bytes32 indexed requestId, uint256 indexed epoch, uint256 commitBy);
    event Committed(bytes32 indexed requestId, uint256 indexed place, bytes32 commitment);
    event Revealed(bytes32 indexed requestId, uint256 indexed place, address payee, bytes32 output);
    event Fined(bytes32 indexed requestId, uint256 indexed seat, uint256 amount);
    event Reclaimed(bytes32 indexed requestId, address indexed requester, uint256 amount);
    event Withdrawn(address indexed account, address indexed to, uint256 amount);

    error WrongRules();
    error NotATier(address vault);
    error OnlyOracle(address expected, address got);
    error OnlyOwner(address expected, address got);
    error OnlyRequester(address expected, address got);
    error WrongTier(address expected, address got);
    /// @notice The seat is held, or its time is not over.
    error SeatTaken(uint256 seat);
    error NoSuchSeat(uint256 seat);
    /// @notice No seat is added while there are free ones to take.
    error SeatsFree(uint256 free);
    /// @notice Too early: `until` must have passed.
    error TooEarly(uint256 until, uint256 timestamp);
    /// @notice Too late: `until` has passed.
    error TooLate(uint256 until, uint256 timestamp);
    /// @notice The round that draws this epoch's committee is not made, or not published, yet.
    error SeedUnknown(uint64 round);
    error AlreadyDrawn(uint256 epoch);
    error TooFewSeats(uint256 needed, uint256 got);
    /// @notice These are not the members of that epoch's committee.
    error WrongMembers(uint256 epoch, bytes32 expected, bytes32 got);
    error NoQuorum(uint256 needed, uint256 got);
    /// @notice Places must ascend, and be places.
    error WrongPlace(uint256 got);
    /// @notice The signature is not this member's.
    error WrongSignature(uint256 place, address expected, address got);
    /// @notice The member did not reveal this on-chain.
    error NotRevealed(uint256 place);
    error WrongCommitment(bytes32 expected, bytes32 got);
    /// @notice A summons takes just this much, in wei.
    error WrongBond(uint256 expected, uint256 got);
    error NothingToWithdraw(address account);
    error ZeroAddress();
    error TransferFailed(address to, uint256 amount);
    /// @notice Seats have no stake left for so much coverage.
    error CoverageAboveStake(uint256 free, uint256 needed);
    error MalformedTerms(bytes32 got);
    error WrongEvidence(uint256 got);
    error WrongClaim(bytes32 expected, bytes32 got);
    error SameOutput(bytes32 outputHash);
    error OutputNotUnique(bytes32 modelId);
    error WrongStatus(bytes32 requestId, Status got);
    /// @notice Nothing to do here (any more).
    error NothingLeft(bytes32 requestId);

    // --- seats ------------------------------------------------------------------------------------

    /// @notice Takes a free seat, or where none is free a new one (`seat` = `seatCount`), for the caller,
    ///         from the next epoch on; in an epoch's last hour, from the one after that.
    function enrol(uint256 seat) external;

    /// @notice Serves this epoch still, and none after; in its last hour, one more. By the owner; by anyone,
    ///         if the owner forfeited its stake.
    function retire(uint256 seat) external;

    /// @notice Frees what is left of a retired seat's stake, when its claims are over.
    function leave(uint256 seat) external;

    /// @notice Draws the committee of the epoch that runs; anyone, once.
    function draw() external returns (bytes memory members);

    // --- members ----------------------------------------------------------------------------------

    /// @notice Says that the standing claim is not what this member computed: then only a proof makes
    ///         anything final. By the member, within the window.
    function dissent(
        Request calldata request,
        address payee,
        bytes32 outputHash,
        bytes calldata members,
        uint256 place
    ) external;

    /// @notice Demands of an open request's committee that it speaks on-chain; by the requester, with the
    ///         bond.
    function summon(Request calldata request) external payable;

    /// @notice Commits on-chain; by the member.
    function commit(bytes32 requestId, bytes calldata members, uint256 place, bytes32 commitment)
        external;

    /// @notice Opens a commitment made on-chain; by anyone who knows the salt. The member has earned its
    ///         place's part of the bond.
    function reveal(
        bytes32 requestId,
        bytes calldata members,
        uint256 place,
        address payee,
        bytes32 outputHash,
        bytes32 traceRoot,
        bytes32 salt
    ) external;

    /// @notice Fines a member that was summoned and did not reveal in time, of a request that nobody
    ///         answered; by anyone.
    function fineAbsent(bytes32 requestId, bytes calldata members, uint256 place) external;

    /// @notice Credits whoever summoned with the bond's parts of those who did not reveal in time; by
    ///         anyone.
    function reclaim(Request calldata request) external;

    /// @notice Sends the caller what it is credited with.
    function withdraw(address to) external returns (uint256 amount);

    // --- views ------------------------------------------------------------------------------------

    function rules() external view returns (Rules memory);

    function seatCount() external view returns (uint256);

    function seatAt(uint256 seat) external view returns (Seat memory);

    /// @notice keccak256 of an epoch's members; zero if it was not drawn.
    function committeeOf(uint256 epoch) external view returns (bytes32);

    /// @notice Gwei of every seat that claims have reserved which may stand still.
    function reserved() external view returns (uint256);

    /// @notice Wei that `summon` takes: a quarter of the fine for each place, as gwei.
    function summonsBond() external view returns (uint256);

    /// @notice Wei that an account can withdraw.
    function credit(address account) external view returns (uint256);

    /// @notice What a member signs (EIP-712).
    function digestOf(bytes32 requestId, uint256 epoch, bytes32 commitment)
        external
        view
        returns (bytes32);
}
