// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../interfaces/IAssurance.sol";
import {IBisectionAssurance} from "../interfaces/IBisectionAssurance.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ITensorVerifier} from "../interfaces/ITensorVerifier.sol";
import {UnknownModel} from "../types/ProofErrors.sol";
import {Claim, Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";
import {Terms} from "../types/Terms.sol";
import {Compositions} from "./Compositions.sol";
import {Pinned} from "./Pinned.sol";
import {Staked} from "./Staked.sol";
import {Tariff} from "./Tariff.sol";

/// @title Answer at once, and prove the one segment that is disputed; the rules are in
///        IBisectionAssurance.
contract BisectionAssurance is Staked, Compositions {
    uint256 internal constant MIN_ARITY = 2;
    /// @dev So many states are 4 kB of calldata at most.
    uint256 internal constant MAX_ARITY = 128;
    bytes32 internal constant PROVED = bytes32(uint256(1));

    /// @inheritdoc IBisectionAssurance
    uint256 public immutable arity;

    mapping(bytes32 requestId => Game) private _games;
    mapping(bytes32 requestId => mapping(bytes32 bounds => Span)) private _spans;
    mapping(bytes32 requestId => Halt) private _halts;

    /// @dev What a move is about, once it has been checked.
    struct Move {
        bytes32 requestId;
        uint256 from;
        uint256 to;
        /// State before the span and after it.
        bytes32 start;
        bytes32 end;
        /// Last second to demand it; that of the claim's window.
        uint256 demandBy;
        uint256 windowEnd;
    }

    constructor(
        IInferenceOracle oracle_,
        ITensorVerifier verifier_,
        IModelRegistry registry_,
        IStakeVault vault_,
        Parameters memory parameters,
        uint256 arity_
    ) Tariff(parameters) Staked(oracle_, vault_) Pinned(verifier_, registry_) {
        if (arity_ < MIN_ARITY || arity_ > MAX_ARITY) {
            revert WrongArity(MIN_ARITY, MAX_ARITY, arity_);
        }
        arity = arity_;
    }

    /// @inheritdoc IAssurance
    function admit(bytes32, Request calldata request) external view {
        Terms terms = _terms(request);
        _checkTerms(terms);
        if (terms.auditRate() != 0) revert MalformedTerms(request.terms);
        if (request.pin != pin) revert WrongPin(request.pin, pin);
        uint256 count = segmentCount(request.modelId);
        if (count == 0) revert UnknownModel(request.modelId);
        uint256 most = MAX_CONTEST - MARGIN - _inclusionDelay;
        uint256 contest = _window(terms) + _proveClock(terms) + 2 * _depth(count) * _moveTime(terms);
        if (contest > most) revert ContestTooLong(most, contest);
    }

    /// @inheritdoc IAssurance
    function judge(
        Request calldata request,
        Claim calldata claim,
        bytes calldata,
        bytes calldata output,
        bytes calldata evidence
    ) external returns (Status) {
        if (msg.sender != address(oracle)) {
            revert OnlyOracle(address(oracle), msg.sender);
        }
        bool first = claim.standing == 0;
        bool none = output.length == 1 && output[0] == 0;
        if (first && evidence.length == 0 && !none) return _post(request, claim);
        if (!first && claim.digest != claim.standing) {
            revert WrongClaim(claim.standing, claim.digest);
        }
        if (_isStopped(request.modelId)) {
            if (!first) _void(request, claim.requestId, claim.payee);
            return Status.Retracted;
        }
        if (first && !none) revert WrongEvidence(0, evidence.length);
        if (!first && evidence.length == 0) return _settle(request, claim, none);
        if (evidence.length != 64) revert WrongEvidence(64, evidence.length);
        if (first) return _halt(request, claim, evidence);
        (uint256 from, uint256 to) = abi.decode(evidence, (uint256, uint256));
        _lapse(request, claim.requestId, claim.payee, from, to);
        return Status.Retracted;
    }

    // --- moves ----------------------------------------------------------------------------------

    /// @inheritdoc IBisectionAssurance
    function demand(
        Request calldata request,
        address payee,
        bytes32 outputHash,
        Place calldata place
    ) external payable {
        Move memory move = _locate(request, payee, outputHash, place);
        bool suspended = vault.isSuspended(payee);
        uint256 due = suspended ? 0 : _bond(_terms(request));
        if (msg.value < due) revert BondTooLow(due, msg.value);
        if (msg.value > type(uint96).max) revert BondTooHigh(type(uint96).max, msg.value);
        if (!suspended && block.timestamp > move.demandBy) {
            revert TooLate(move.demandBy, block.timestamp);
        }
        Span storage span = _spanOf(move);
        if (span.owedBy != 0) revert AlreadyDemanded(move.from, move.to);
        if (span.states != 0) revert AlreadyGiven(move.from, move.to);
        bool leaf = move.to - move.from == 1;
        uint256 owedBy =
            block.timestamp + (leaf ? _proveClock(_terms(request)) : _moveTime(_terms(request)));
        // Within the clocks this holds (see `admit`); a suspended operator's claims know none.
        uint256 last = request.deadline + MAX_CONTEST;
        if (owedBy > last) revert TooLate(last, owedBy);

        (span.challenger, span.bond) = (msg.sender, uint96(msg.value));
        span.owedBy = uint40(owedBy);
        ++_games[move.requestId].owed;

        emit Demanded(move.requestId, move.from, move.to, msg.sender, msg.value, owedBy);
    }

    /// @inheritdoc IBisectionAssurance
    function publish(
        Request calldata request,
        address payee,
        bytes32 outputHash,
        Place calldata place,
        bytes32[] calldata states
    ) external {
        if (msg.sender != payee && msg.sender != vault.agentOf(payee)) {
            revert OnlyOperator(payee, msg.sender);
        }
        Move memory move = _locate(request, payee, outputHash, place);
        Span storage span = _spanOf(move);
        uint256 parts = _parts(move.from, move.to);
        if (parts < MIN_ARITY) revert WrongLength(move.from, move.to);
        if (span.states != 0) revert AlreadyGiven(move.from, move.to);
        uint256 last = span.owedBy != 0 ? span.owedBy : move.demandBy;
        if (block.timestamp > last) revert TooLate(last, block.timestamp);
        if (states.length != parts + 1) revert NoSuchPart(parts + 1, states.length);
        if (states[0] != move.start) revert WrongStates(move.start, states[0]);
        if (states[parts] != move.end) revert WrongStates(move.end, states[parts]);
        uint256 demandBy = block.timestamp + _moveTime(_terms(request));
        if (demandBy < move.windowEnd) demandBy = move.windowEnd;

        Game storage game = _games[move.requestId];
        (span.states, span.demandBy) = (keccak256(abi.encodePacked(states)), uint40(demandBy));
        if (game.until < demandBy) game.until = uint40(demandBy);
        if (span.owedBy != 0) --game.owed;

        emit Published(move.requestId, move.from, move.to, states, demandBy);
    }

    /// @inheritdoc IBisectionAssurance
    function prove(
        Request calldata request,
        address payee,
        bytes32 outputHash,
        Place calldata place,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external {
        Move memory move = _locate(request, payee, outputHash, place);
        if (move.to - move.from != 1) revert WrongLength(move.from, move.to);
        Span storage span = _spanOf(move);
        if (span.states != 0) revert AlreadyGiven(move.from, move.to);
        if (keccak256(input) != move.start) revert WrongStates(move.start, keccak256(input));
        if (keccak256(output) != move.end) revert WrongStates(move.end, keccak256(output));
        _verifySegment(request, payee, move.from, input, output, proof);

        Game storage game = _games[move.requestId];
        span.states = PROVED;
        ++game.proved;
        if (span.owedBy != 0) --game.owed;

        emit SegmentProved(move.requestId, move.from);
    }

    /// @inheritdoc IBisectionAssurance
    function refute(
        Request calldata request,
        address payee,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external {
        (bytes32 requestId,) = _checkClaim(request, payee, UNANSWERABLE, Status.Provisional);
        Halt memory halt = _halts[requestId];
        Span storage span = _spans[requestId][_bounds(halt.segment, halt.segment + 1)];
        if (span.owedBy != 0) revert AlreadyDemanded(halt.segment, halt.segment + 1);
        if (keccak256(input) != halt.state) revert WrongStates(halt.state, keccak256(input));
        _verifySegment(request, msg.sender, halt.segment, input, output, proof);

        // Nobody can give that span any more: it is no part of the claim.
        (span.challenger, span.owedBy) = (msg.sender, uint40(block.timestamp - 1));
        ++_games[requestId].owed;

        emit Refuted(requestId, halt.segment, msg.sender);
    }

    /// @inheritdoc IBisectionAssurance
    function close(
        Request calldata request,
        address payee,
        bytes32 outputHash,
        uint256 from,
        uint256 to
    ) external {
        (bytes32 requestId,) = _checkClaim(request, payee, outputHash, Status.Refunded);
        Game storage game = _games[requestId];
        if (game.outcome != Outcome.None) revert WrongOutcome(game.outcome);
        if (game.owed == 0) _void(request, requestId, payee);
        else _lapse(request, requestId, payee, from, to);
    }

    /// @inheritdoc IBisectionAssurance
    function collect(bytes32 requestId, uint256 from, uint256 to) external {
        Game storage game = _games[requestId];
        if (game.outcome == Outcome.None) revert WrongOutcome(game.outcome);
        Span storage span = _spans[requestId][_bounds(from, to)];
        uint256 amount = span.bond;
        address by = span.challenger;
        if (game.outcome == Outcome.Upheld) {
            if (amount > game.cost) amount = game.cost;
            by = game.payee;
        }
        if (amount == 0) revert NothingLeft(requestId, from, to);

        span.bond = 0;

        emit BondCollected(requestId, from, to, by, amount);

        _send(by, amount);
    }

    // --- views ----------------------------------------------------------------------------------

    /// @inheritdoc IBisectionAssurance
    function moveTime(bytes32 terms) external view returns (uint256) {
        return _moveTime(Terms.wrap(uint256(terms)));
    }

    /// @inheritdoc IBisectionAssurance
    function gameOf(bytes32 requestId) external view returns (Game memory) {
        return _games[requestId];
    }

    /// @inheritdoc IBisectionAssurance
    function haltOf(bytes32 requestId) external view returns (Halt memory) {
        return _halts[requestId];
    }

    /// @inheritdoc IBisectionAssurance
    function spanAt(bytes32 requestId, uint256 from, uint256 to)
        external
        view
        returns (Span memory)
    {
        return _spans[requestId][_bounds(from, to)];
    }

    /// @inheritdoc IBisectionAssurance
    function contextOf(Request calldata request, address payee, uint256 segment)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(oracle.contextOf(request, payee), segment));
    }

    // --- verdicts -------------------------------------------------------------------------------

    /// @dev An operator answers: the payee's stake vouches. The declared time is that of all segments,
    ///      so all that can be demanded of it at once takes half the prove clock at most.
    function _post(Request calldata request, Claim calldata claim) private returns (Status) {
        Terms terms = _terms(request);
        vault.lock(
            claim.payee, claim.sender, _locked(terms), terms.proving(), _proveClock(terms) / 2
        );
        return Status.Provisional;
    }

    /// @dev An operator says that there is no answer, and where the run halts: what the claim stands
    ///      for is the span up to there, and that no output of that segment has a proof.
    function _halt(Request calldata request, Claim calldata claim, bytes calldata evidence)
        private
        returns (Status)
    {
        (uint256 segment, bytes32 state) = abi.decode(evidence, (uint256, bytes32));
        uint256 count = segmentCount(request.modelId);
        if (segment >= count) revert NoSuchPart(count, segment);
        if (segment == 0 && state != request.inputHash) {
            revert WrongStates(request.inputHash, state);
        }
        _halts[claim.requestId] = Halt(segment, state);

        emit Halted(claim.requestId, segment, state);

        return _post(request, claim);
    }

    /// @dev The standing claim handed in: final once all is proved, or silence has lasted long enough.
    ///      A claim of no answer is never proved: it leaves the last segments out.
    function _settle(Request calldata request, Claim calldata claim, bool none)
        private
        returns (Status)
    {
        Game storage game = _games[claim.requestId];
        bool proved = game.proved == segmentCount(request.modelId);
        if (!proved) {
            if (game.owed != 0) revert StillOwed(game.owed);
            uint256 until = claim.since + _window(_terms(request));
            if (until < game.until) until = game.until;
            if (block.timestamp <= until) revert TooEarly(until, block.timestamp);
        }
        bool suspended = _release(request, claim.payee);
        if (suspended && !proved && !none) revert OperatorSuspended(claim.payee);
        if (game.until != 0 || game.proved != 0) {
            (game.payee, game.cost) = (claim.payee, uint96(_bond(_terms(request))));
            _decide(claim.requestId, Outcome.Upheld);
        }
        return none ? Status.Retracted : Status.Final;
    }

    /// @dev What is owed did not come in time. Not the operator's fault if no proof could be accepted.
    function _lapse(
        Request calldata request,
        bytes32 requestId,
        address payee,
        uint256 from,
        uint256 to
    ) private {
        Span storage span = _spans[requestId][_bounds(from, to)];
        if (span.owedBy == 0 || span.states != 0) revert NotOwed(from, to);
        if (to == from + 1 && _isStopped(segmentAt(request.modelId, from))) {
            _void(request, requestId, payee);
            return;
        }
        if (block.timestamp <= span.owedBy) revert TooEarly(span.owedBy, block.timestamp);
        if (!_isUnchanged() || _isStopped(request.modelId)) {
            _void(request, requestId, payee);
            return;
        }
        _decide(requestId, Outcome.Lapsed);
        _slash(request, requestId, payee, span.challenger);
    }

    function _void(Request calldata request, bytes32 requestId, address payee) private {
        _decide(requestId, Outcome.Void);
        _release(request, payee);
    }

    function _decide(bytes32 requestId, Outcome outcome) private {
        _games[requestId].outcome = outcome;
        emit Decided(requestId, outcome);
    }

    // --- spans ----------------------------------------------------------------------------------

    /// @dev Which span of the standing claim a move names, and what it says.
    function _locate(
        Request calldata request,
        address payee,
        bytes32 outputHash,
        Place calldata place
    ) private view returns (Move memory move) {
        uint256 since;
        (move.requestId, since) = _checkClaim(request, payee, outputHash, Status.Provisional);
        move.windowEnd = since + _window(_terms(request));
        if (place.to == 0) {
            (move.to, move.end) = outputHash == UNANSWERABLE
                ? _claimedUpTo(move.requestId, place)
                : (segmentCount(request.modelId), outputHash);
            move.start = request.inputHash;
            move.demandBy = move.windowEnd;
            return move;
        }
        (uint256 from, uint256 to) = (place.from, place.to);
        Span storage parent = _spans[move.requestId][_bounds(from, to)];
        bytes32 got = keccak256(abi.encodePacked(place.states));
        if (got != parent.states) revert WrongStates(parent.states, got);
        uint256 parts = _parts(from, to);
        if (place.part >= parts) revert NoSuchPart(parts, place.part);
        move.from = from + place.part * (to - from) / parts;
        move.to = from + (place.part + 1) * (to - from) / parts;
        (move.start, move.end) = (place.states[place.part], place.states[place.part + 1]);
        move.demandBy = parent.demandBy;
    }

    /// @dev The whole of a claim of no answer ends where its run halts. Its digest does not say where, so
    ///      a move does: after a reorg the claim may name another halt.
    function _claimedUpTo(bytes32 requestId, Place calldata place)
        private
        view
        returns (uint256, bytes32)
    {
        Halt memory halt = _halts[requestId];
        if (halt.segment == 0) revert NothingToProve(requestId);
        bytes32 named = place.states.length == 1 ? place.states[0] : bytes32(0);
        if (place.part != halt.segment || named != halt.state) {
            revert WrongStates(halt.state, named);
        }
        return (halt.segment, halt.state);
    }

    function _verifySegment(
        Request calldata request,
        address payee,
        uint256 segment,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) private view {
        bytes32 held = address(verifier).codehash;
        if (held != codeHash) revert VerifierChanged(codeHash, held);
        bytes32 context = contextOf(request, payee, segment);
        verifier.verify(segmentAt(request.modelId, segment), context, input, output, proof);
    }

    function _spanOf(Move memory move) private view returns (Span storage) {
        return _spans[move.requestId][_bounds(move.from, move.to)];
    }

    function _bounds(uint256 from, uint256 to) private pure returns (bytes32) {
        return keccak256(abi.encode(from, to));
    }

    function _parts(uint256 from, uint256 to) private view returns (uint256) {
        return to - from < arity ? to - from : arity;
    }

    /// @dev How often the whole is split, down to segments.
    function _depth(uint256 count) private view returns (uint256 depth) {
        for (uint256 reach = 1; reach < count; reach *= arity) {
            ++depth;
        }
    }

    /// @dev E: what a move leaves its opponent.
    function _moveTime(Terms terms) private view returns (uint256) {
        return terms.proving() + MARGIN + _inclusionDelay;
    }
}
