// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../interfaces/IAssurance.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {WrongLength} from "../types/ProofErrors.sol";
import {Terms, toTerms} from "../types/Terms.sol";
import {IStrategy} from "./IStrategy.sol";
import {InferenceConsumer} from "./InferenceConsumer.sol";
import {TwoStrategies} from "./TwoStrategies.sol";

/// @title Shares an owner's ether out as an allocation model says; for the optimistic tier.
/// @notice Anyone may ask, but nobody chooses the input: it is read from the strategies. An answer
///         moves funds only once it is final, while it is fresh, once, and never more than a
///         twentieth of all, nor more than COVERAGE: a lie then moves no more than what its operator
///         burns where it is refuted in time. Once it is final nothing pays back what it moved.
contract RebalancingVault is InferenceConsumer, TwoStrategies {
    event Aimed(bytes32 indexed requestId, uint256 share);

    error StillPending(bytes32 requestId);
    error NotTheLatest(bytes32 requestId);
    error PaymentTooSmall(uint256 min, uint256 got);
    error WrongExponent(uint256 most, uint256 got);
    /// @notice No final answer since the last move, or it is too old.
    error NothingToDo(uint256 until, uint256 timestamp);

    /// @dev 32,000 measured.
    uint32 internal constant CALLBACK_GAS = 80_000;
    uint256 internal constant ANSWER_TIME = 1 hours;
    uint256 internal constant PROVING_SECONDS = 60;
    /// @notice The least fee: who asks holds up the next request, which should cost something.
    uint96 public constant LEAST_FEE = 0.001 ether;
    /// @notice An answer may be acted on for this long from when it was asked for.
    uint256 public constant FRESH = 2 days;
    /// @notice Wei that this vault gets if an answer is slashed, which moves nothing then.
    uint256 public constant COVERAGE = 1 ether;

    bytes32 public immutable modelId;
    /// @notice 1 is 2^exponent in the integers of the model's input, and of its output.
    uint8 public immutable inputExponent;
    uint8 public immutable outputExponent;
    bytes32 public latest;
    uint64 public askedAt;
    uint64 public until;
    /// @notice Of 10,000, what the first strategy shall hold.
    uint16 public share;

    constructor(
        IInferenceOracle oracle_,
        IAssurance assurance_,
        bytes32 modelId_,
        uint8[2] memory exponents,
        IStrategy[2] memory strategies_
    ) InferenceConsumer(oracle_, assurance_) TwoStrategies(strategies_) {
        if (exponents[0] > 14) revert WrongExponent(14, exponents[0]); // 1 must fit int16
        (modelId, inputExponent, outputExponent) = (modelId_, exponents[0], exponents[1]);
    }

    /// @notice Asks for a share. The value sent pays callback and fee, and returns to the sender if no
    ///         answer becomes final: none came, it was withdrawn, or there is none.
    function ask(uint64 callbackGasPrice) external payable locked returns (bytes32 requestId) {
        if (_isPending(latest)) revert StillPending(latest);
        uint256 least = oracle.cost(LEAST_FEE, CALLBACK_GAS, callbackGasPrice);
        if (msg.value < least) revert PaymentTooSmall(least, msg.value);
        (uint256 held,) = _held();
        bytes memory input =
            abi.encodePacked(_cell(strategies[0].rate()), _cell(strategies[1].rate()), _cell(held));
        requestId = _request(
            modelId,
            bytes32(Terms.unwrap(toTerms(uint40(COVERAGE / 1 gwei), PROVING_SECONDS, 0, 0))),
            input,
            uint96(msg.value - least + LEAST_FEE),
            CALLBACK_GAS,
            callbackGasPrice,
            uint64(block.timestamp + ANSWER_TIME),
            msg.sender
        );
        (latest, askedAt) = (requestId, uint64(block.timestamp));
    }

    /// @notice Moves towards the share last answered, once; by anyone.
    function rebalance() external locked {
        if (block.timestamp > until) revert NothingToDo(until, block.timestamp);
        until = 0;
        _towards(share, COVERAGE);
    }

    /// @dev Notes the share only: what moves funds may fail for reasons of its own.
    function _fulfil(bytes32 requestId, bytes calldata output) internal override {
        if (requestId != latest) revert NotTheLatest(requestId);
        if (output.length != 2) revert WrongLength(2, output.length);
        int256 raw = int16(uint16(bytes2(output)));
        uint256 part = raw < 0 ? 0 : (uint256(raw) * WHOLE) >> outputExponent;
        (share, until) = (uint16(part < WHOLE ? part : WHOLE), uint64(askedAt + FRESH));
        emit Aimed(requestId, share);
    }

    /// @dev Of WHOLE, as a cell of the model's input; never above 1, which is its range.
    function _cell(uint256 part) private view returns (bytes2) {
        return bytes2(uint16(((part < WHOLE ? part : WHOLE) << inputExponent) / WHOLE));
    }
}
