// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Request} from "../types/Request.sol";
import {IAssurance} from "./IAssurance.sol";
import {IStakedAssurance} from "./IStakedAssurance.sol";

/// @notice The optimistic tier for models too large to prove in one piece, with public weights and
///         inputs: a composition of registered models, each of which reads what the one before wrote.
///         A dispute narrows down to one segment, and a proof of that one settles it.
///
/// State i of a run is keccak256 of the bytes between segments i - 1 and i: state 0 of the input, the
/// last one of the output. A *span* [from, to) of segments stands for the sentence "from state `from`
/// follows state `to`". The answer is the sentence of the whole span. Its operator splits a span into
/// at most `arity` parts by publishing the states between them; anyone may demand a part, with a bond:
/// then the operator owes it, split again or, one segment long, proved. What nobody demands in time is
/// taken for true; one thing owed and not given in time is enough to lose.
///
/// Each span is owed once, whoever demands it, so no number of challengers multiplies the work, and
/// none can shield the operator by disputing badly: all others may still demand what they know to be
/// wrong. The reward is for who demanded what was not given, or refuted the claim. That may be the
/// operator's puppet, if it is first: what is burned is lost whoever catches it.
///
/// | standing | claim | evidence | what becomes of it (`InferenceOracle.answer`) |
/// | --- | --- | --- | --- |
/// | none | any output | empty | Provisional: the payee's stake is locked |
/// | none | 0x00 | segment (32), state (32) | likewise: the run halts there |
/// | a claim | the same | empty | after all clocks, or once every segment is proved: Final |
/// | a claim | the same | from (32), to (32) | that span is overdue: Retracted, slashed |
/// | a claim | the same | likewise, of a segment that is owed and was stopped | Retracted; stake free |
/// | any, once the verifier is stopped | any, or the same | not empty | Retracted; stake free |
///
/// The output 0x00 says, as in IOptimisticAssurance, that there is no provable answer. It names the
/// *halt*: the first segment without an output, and the state before it. What can be demanded is the
/// span up to there; a proof of any output of that segment from that state refutes the claim. Once all
/// clocks are over it is given back: Retracted, stake free.
interface IBisectionAssurance is IAssurance, IStakedAssurance {
    /// @notice How the contest of one claim ended.
    enum Outcome {
        None, // still open, or nothing was demanded
        Upheld, // all that was demanded was given: the bonds are lost
        Lapsed, // something was not: bonds return, the lock was slashed
        Void // no verdict: bonds return, nobody is slashed
    }

    /// @notice The contest of one claim.
    /// @param until last second at which anything can be demanded; 0: that of the window
    /// @param owed spans demanded, and neither split nor proved yet
    /// @param proved segments proved
    /// @param outcome how it ended
    /// @param payee of the claim, if Upheld: who gets `cost` of each bond
    /// @param cost wei
    struct Game {
        uint40 until;
        uint24 owed;
        uint24 proved;
        Outcome outcome;
        address payee;
        uint96 cost;
    }

    /// @notice Where a run without an answer halts.
    /// @param segment the first one without an output
    /// @param state before it
    struct Halt {
        uint256 segment;
        bytes32 state;
    }

    /// @notice One span of one claim.
    /// @param challenger who demanded it; zero: nobody
    /// @param bond wei
    /// @param states keccak256 of the states that split it, both ends included; of a segment, 1 once
    ///        it is proved; 0 before
    /// @param owedBy last second to give it
    /// @param demandBy last second to demand a part of it, once it is split
    struct Span {
        address challenger;
        uint96 bond;
        bytes32 states;
        uint40 owedBy;
        uint40 demandBy;
    }

    /// @notice Names a span: a part of one that is split, or the whole.
    /// @param from first segment of the parent
    /// @param to one past its last; from = to = 0 names the whole
    /// @param states that split the parent, both ends included; empty for the whole, or, of a claim of no
    ///        answer, the state before its halt
    /// @param part which part of it; 0 for the whole, or, of a claim of no answer, the halt's segment
    struct Place {
        uint256 from;
        uint256 to;
        bytes32[] states;
        uint256 part;
    }

    event Composed(bytes32 indexed modelId, bytes32[] segments);
    /// @notice A span is owed until `owedBy`.
    event Demanded(
        bytes32 indexed requestId,
        uint256 from,
        uint256 to,
        address indexed challenger,
        uint256 bond,
        uint256 owedBy
    );
    /// @notice A span is split; parts of it can be demanded until `demandBy`.
    event Published(
        bytes32 indexed requestId, uint256 from, uint256 to, bytes32[] states, uint256 demandBy
    );
    event SegmentProved(bytes32 indexed requestId, uint256 segment);
    /// @notice Its operator says that there is no answer: no output of that segment, from that state.
    event Halted(bytes32 indexed requestId, uint256 segment, bytes32 state);
    /// @notice There is one; that span is overdue from now on.
    event Refuted(bytes32 indexed requestId, uint256 segment, address indexed challenger);
    event Decided(bytes32 indexed requestId, Outcome outcome);
    event BondCollected(
        bytes32 indexed requestId, uint256 from, uint256 to, address by, uint256 amount
    );

    error WrongArity(uint256 min, uint256 max, uint256 got);
    /// @notice A composition has at least two segments.
    error WrongSegmentCount(uint256 min, uint256 max, uint256 got);
    /// @notice A segment reads another number of bytes than the one before writes.
    error WrongBoundary(uint256 segment, uint256 expected, uint256 got);
    /// @notice A segment has committed inputs or outputs: their bytes have many blindings, so nobody
    ///         could tell from a state whether it is right.
    error CommittedBoundary(uint256 segment);
    /// @notice Evidence is nothing, a span, or, of a first claim of no answer, the halt.
    error WrongEvidence(uint256 expected, uint256 got);
    /// @notice Only the claim's payee or its agent says what its states are.
    error OnlyOperator(address payee, address got);
    /// @notice These are not the states that split the span, or not as many as split it, or its ends
    ///         are others.
    error WrongStates(bytes32 expected, bytes32 got);
    error NoSuchPart(uint256 parts, uint256 got);
    /// @notice One segment is proved, not split; more are split, not proved.
    error WrongLength(uint256 from, uint256 to);
    error AlreadyDemanded(uint256 from, uint256 to);
    /// @notice Split or proved before.
    error AlreadyGiven(uint256 from, uint256 to);
    /// @notice Nothing is owed there (any more).
    error NotOwed(uint256 from, uint256 to);
    /// @notice So many spans are owed still.
    error StillOwed(uint256 count);
    error WrongOutcome(Outcome got);
    error NothingLeft(bytes32 requestId, uint256 from, uint256 to);

    /// @notice Registers a composition; anyone. The same again does nothing.
    /// @param segments model ids, all of this tier's SRS, inputs and outputs public
    /// @return modelId keccak256(abi.encode(keccak256("einproof/composition/v1"), segments)): what
    ///         requests name
    function compose(bytes32[] calldata segments) external returns (bytes32 modelId);

    /// @notice Demands a span: the whole within the claim's window, a part within its parent's time.
    ///         Send `bond` at least; nothing is due if the operator is suspended, whose claims can be
    ///         disputed also after the window. By anyone, once a span; cannot be withdrawn.
    function demand(
        Request calldata request,
        address payee,
        bytes32 outputHash,
        Place calldata place
    ) external payable;

    /// @notice Splits a span, demanded or not, into min(arity, segments) parts: part i ends with
    ///         segment from + i (to - from) / parts. By the payee or its agent, before it is
    ///         overdue, or can be demanded no more.
    /// @param states the parts' ends, both ends of the span included
    function publish(
        Request calldata request,
        address payee,
        bytes32 outputHash,
        Place calldata place,
        bytes32[] calldata states
    ) external;

    /// @notice Proves one segment, demanded or not; by anyone, until the claim is settled.
    /// @param proof bound to `contextOf`
    function prove(
        Request calldata request,
        address payee,
        bytes32 outputHash,
        Place calldata place,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external;

    /// @notice Proves an output of the segment at which a claim of no answer says that the run halts.
    ///         That segment's span is overdue then: hand the claim in, and the reward is the caller's,
    ///         unless somebody was first with another span that is overdue. By anyone, once, until the
    ///         claim is settled.
    /// @param proof bound to `contextOf` with the caller as payee, so that a copy earns nothing
    function refute(
        Request calldata request,
        address payee,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external;

    /// @notice Ends the lock of a claim whose request the oracle refunded (7 days after its deadline);
    ///         by anyone. If anything was owed, name it: it is overdue.
    function close(
        Request calldata request,
        address payee,
        bytes32 outputHash,
        uint256 from,
        uint256 to
    ) external;

    /// @notice Pays a bond out when all is decided; by anyone. To the challenger, or, if the claim was
    ///         upheld, the cost of an answer to its payee; what is left stays here for ever.
    function collect(bytes32 requestId, uint256 from, uint256 to) external;

    /// @notice Most parts of a span.
    function arity() external view returns (uint256);

    /// @notice Number of a composition's segments; 0 if it is unknown.
    function segmentCount(bytes32 modelId) external view returns (uint256);

    function segmentAt(bytes32 modelId, uint256 segment) external view returns (bytes32);

    /// @notice Seconds to split a span, and to demand a part of one: proving time + 1 h + inclusion
    ///         delay. To prove a segment there is the prove clock.
    function moveTime(bytes32 terms) external view returns (uint256);

    /// @notice What a segment's proof is bound to: keccak256(abi.encode(the oracle's context of request
    ///         and payee, segment)).
    function contextOf(Request calldata request, address payee, uint256 segment)
        external
        view
        returns (bytes32);

    function gameOf(bytes32 requestId) external view returns (Game memory);

    /// @notice Zeros for a claim of an answer.
    function haltOf(bytes32 requestId) external view returns (Halt memory);

    function spanAt(bytes32 requestId, uint256 from, uint256 to) external view returns (Span memory);
}
