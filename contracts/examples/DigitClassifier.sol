// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../interfaces/IAssurance.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {WrongLength} from "../types/ProofErrors.sol";
import {InferenceConsumer} from "./InferenceConsumer.sol";

/// @title Classifies handwritten digits through the oracle, and remembers the answers.
/// @notice An image is 64 quantised pixels; the answer is ten logits. Both are int16, big-endian.
contract DigitClassifier is InferenceConsumer {
    /// @notice An image was classified.
    event Classified(bytes32 indexed requestId, uint8 label);

    /// @notice The payment does not cover the prepaid callback.
    error PaymentTooSmall(uint256 min, uint256 got);
    /// @notice There is no answer to this request, or not yet.
    error NotClassified(bytes32 requestId);

    /// @dev One storage slot.
    struct Answer {
        bytes20 logits;
        uint8 label;
        bool known;
    }

    uint256 internal constant CLASSES = 10;
    /// @dev 27,000 measured; one fresh slot is most of it.
    uint32 internal constant CALLBACK_GAS = 60_000;

    bytes32 public immutable modelId;
    mapping(bytes32 requestId => Answer) private _answers;

    constructor(IInferenceOracle oracle_, IAssurance assurance_, bytes32 modelId_)
        InferenceConsumer(oracle_, assurance_)
    {
        modelId = modelId_;
    }

    /// @notice Asks for a digit. What is sent beyond the prepaid callback is the fee; all of it comes
    ///         back to the sender if nobody answers in time.
    /// @param image quantised pixels
    /// @param callbackGasPrice wei a unit of callback gas
    /// @param deadline last second at which an answer counts
    function classify(bytes calldata image, uint64 callbackGasPrice, uint64 deadline)
        external
        payable
        returns (bytes32 requestId)
    {
        uint256 prepaid = oracle.cost(0, CALLBACK_GAS, callbackGasPrice);
        if (msg.value < prepaid) revert PaymentTooSmall(prepaid, msg.value);
        return _request(
            modelId,
            0,
            image,
            uint96(msg.value - prepaid), // no more ether exists than 2^87 wei
            CALLBACK_GAS,
            callbackGasPrice,
            deadline,
            msg.sender
        );
    }

    /// @notice The digit, and the logits that it is the first maximum of.
    function answerOf(bytes32 requestId)
        external
        view
        returns (uint8 label, int16[10] memory logits)
    {
        Answer memory answer = _answers[requestId];
        if (!answer.known) revert NotClassified(requestId);
        for (uint256 i; i < CLASSES; ++i) {
            logits[i] = _logit(answer.logits, i);
        }
        return (answer.label, logits);
    }

    function _fulfil(bytes32 requestId, bytes calldata output) internal override {
        if (output.length != 2 * CLASSES) revert WrongLength(2 * CLASSES, output.length);
        bytes20 logits = bytes20(output);
        uint8 label;
        for (uint8 i = 1; i < CLASSES; ++i) {
            if (_logit(logits, i) > _logit(logits, label)) label = i;
        }
        _answers[requestId] = Answer({logits: logits, label: label, known: true});
        emit Classified(requestId, label);
    }

    function _logit(bytes20 logits, uint256 i) private pure returns (int16) {
        return int16(uint16(bytes2(logits << (16 * i))));
    }
}
