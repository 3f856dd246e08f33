// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {IOptimisticAssurance} from "../interfaces/IOptimisticAssurance.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";
import {Terms} from "../types/Terms.sol";
import {Staked} from "./Staked.sol";

/// @title Who demanded a proof of which claim, and what became of bond and reward.
abstract contract Disputes is Staked, IOptimisticAssurance {
    uint256 internal constant REVEAL_TIME = 1 days;

    mapping(bytes32 requestId => Case) internal _cases;
    mapping(bytes32 requestId => Challenge[]) internal _challenges;

    constructor(IInferenceOracle oracle_, IStakeVault vault_) Staked(oracle_, vault_) {}

    /// @inheritdoc IOptimisticAssurance
    function dispute(
        Request calldata request,
        address payee,
        bytes32 outputHash,
        bytes32 commitment
    ) external payable returns (uint256 index) {
        (bytes32 requestId, uint256 since) =
            _checkClaim(request, payee, outputHash, Status.Provisional);
        if (outputHash == UNANSWERABLE) revert NothingToProve(requestId);
        bool suspended = vault.isSuspended(payee);
        Terms terms = _terms(request);
        uint256 due = suspended ? 0 : _bond(terms);
        if (msg.value < due) revert BondTooLow(due, msg.value);
        if (msg.value > type(uint96).max) revert BondTooHigh(type(uint96).max, msg.value);
        Case storage case_ = _cases[requestId];
        uint256 proveBy = case_.proveBy == 0 ? block.timestamp + _proveClock(terms) : case_.proveBy;
        uint256 until = since + _window(terms);
        if (!suspended && block.timestamp > until) revert TooLate(until, block.timestamp);
        if (block.timestamp > proveBy) revert TooLate(proveBy, block.timestamp);
        // Within the window this holds (see `admit`); a suspended operator's claims know no window.
        until = request.deadline + MAX_CONTEST;
        if (proveBy > until) revert TooLate(until, proveBy);
        index = _challenges[requestId].length;

        case_.proveBy = uint40(proveBy);
        _challenges[requestId].push(Challenge(msg.sender, uint96(msg.value), commitment));

        emit Disputed(requestId, index, msg.sender, msg.value, commitment, proveBy);
    }

    /// @inheritdoc IOptimisticAssurance
    function reveal(bytes32 requestId, uint256 index, bytes32 salt) external {
        Case storage case_ = _cases[requestId];
        if (case_.outcome != Outcome.Overturned) revert WrongOutcome(case_.outcome);
        if (block.timestamp > case_.revealBy) revert TooLate(case_.revealBy, block.timestamp);
        Challenge storage challenge = _challenges[requestId][index];
        bytes32 opened = commitmentOf(requestId, challenge.challenger, case_.proved, salt);
        if (opened != challenge.commitment) revert WrongCommitment(challenge.commitment, opened);
        uint256 winner = case_.winner;
        if (winner != 0 && winner <= index + 1) revert NothingLeft(requestId, index);

        case_.winner = uint32(index + 1);

        emit Revealed(requestId, index);
    }

    /// @inheritdoc IOptimisticAssurance
    function award(bytes32 requestId) external {
        Case storage case_ = _cases[requestId];
        if (case_.outcome != Outcome.Overturned) revert WrongOutcome(case_.outcome);
        (uint256 winner, uint256 reward) = (case_.winner, case_.reward);
        if (winner != 1 && block.timestamp <= case_.revealBy) {
            revert TooEarly(case_.revealBy, block.timestamp);
        }
        if (winner == 0 || reward == 0) revert NothingLeft(requestId, winner);
        address challenger = _challenges[requestId][winner - 1].challenger;

        case_.reward = 0;

        emit Awarded(requestId, challenger, reward);

        vault.pay(challenger, reward);
    }

    /// @inheritdoc IOptimisticAssurance
    function collect(bytes32 requestId, uint256 index) external {
        Case storage case_ = _cases[requestId];
        Outcome outcome = case_.outcome;
        if (outcome == Outcome.None) revert WrongOutcome(outcome);
        Challenge storage challenge = _challenges[requestId][index];
        uint256 amount = challenge.bond;
        address to = challenge.challenger;
        if (outcome == Outcome.Upheld) {
            if (index != 0) revert NothingLeft(requestId, index);
            if (amount > case_.cost) amount = case_.cost;
            to = case_.payee;
        }
        if (amount == 0) revert NothingLeft(requestId, index);

        challenge.bond = 0;

        emit BondCollected(requestId, index, to, amount);

        _send(to, amount);
    }

    // --- views ----------------------------------------------------------------------------------

    /// @inheritdoc IOptimisticAssurance
    function caseOf(bytes32 requestId) external view returns (Case memory) {
        return _cases[requestId];
    }

    /// @inheritdoc IOptimisticAssurance
    function challengeCount(bytes32 requestId) external view returns (uint256) {
        return _challenges[requestId].length;
    }

    /// @inheritdoc IOptimisticAssurance
    function challengeAt(bytes32 requestId, uint256 index)
        external
        view
        returns (Challenge memory)
    {
        return _challenges[requestId][index];
    }

    /// @inheritdoc IOptimisticAssurance
    function commitmentOf(bytes32 requestId, address challenger, bytes32 outputHash, bytes32 salt)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(address(this), requestId, challenger, outputHash, salt));
    }

    // --- for the tier ---------------------------------------------------------------------------

    function _isDisputed(bytes32 requestId) internal view returns (bool) {
        return _cases[requestId].proveBy != 0;
    }

    function _decide(bytes32 requestId, Outcome outcome) internal {
        _cases[requestId].outcome = outcome;
        emit Decided(requestId, outcome);
    }

    /// @dev The reward waits here for commitments to be opened.
    function _overturnCase(bytes32 requestId, bytes32 proved, uint256 reward) internal {
        Case storage case_ = _cases[requestId];
        case_.proved = proved;
        case_.reward = uint64(reward);
        case_.revealBy = uint40(block.timestamp + REVEAL_TIME + _inclusionDelay);
        _decide(requestId, Outcome.Overturned);
    }
}
