// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../interfaces/IAssurance.sol";
import {IInferenceConsumer} from "../interfaces/IInferenceConsumer.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";

/// @title Base of contracts that ask one oracle under one tier.
/// @notice Inherit, call `_request` with the oracle's price, and take final outputs in `_fulfil`.
/// @dev What the tier vouches with is pinned at construction: should it ever change, requests are
///      refused rather than judged by something else.
abstract contract InferenceConsumer is IInferenceConsumer {
    /// @notice Only the oracle may deliver.
    error OnlyOracle(address expected, address got);
    /// @notice The output delivered is not final.
    error NotFinal(Status got);

    IInferenceOracle public immutable oracle;
    IAssurance public immutable assurance;
    bytes32 public immutable pin;
    /// @notice Nonce of the next request.
    uint256 public nextNonce;

    constructor(IInferenceOracle oracle_, IAssurance assurance_) {
        oracle = oracle_;
        assurance = assurance_;
        pin = assurance_.pin();
    }

    /// @inheritdoc IInferenceConsumer
    function onInference(bytes32 requestId, Status status, bytes calldata output) external {
        if (msg.sender != address(oracle)) revert OnlyOracle(address(oracle), msg.sender);
        if (status != Status.Final) revert NotFinal(status);
        _fulfil(requestId, output);
    }

    /// @notice What to do with an answer. May revert: the oracle then lets anyone retry it.
    function _fulfil(bytes32 requestId, bytes calldata output) internal virtual;

    /// @notice Whether the answer to this request is still to come.
    function _isPending(bytes32 requestId) internal view returns (bool) {
        (Status status,,) = oracle.statusOf(requestId);
        return status == Status.Open || status == Status.Judging || status == Status.Provisional;
    }

    /// @notice Whether the payment went back: there is no answer, and none will come.
    function _isReturned(bytes32 requestId) internal view returns (bool) {
        (Status status,,) = oracle.statusOf(requestId);
        return status == Status.Retracted || status == Status.Refunded;
    }

    /// @notice Asks, paying fee + callbackGas * callbackGasPrice from this contract's balance.
    /// @param modelId a model that this contract's author, or someone trusted, has audited
    /// @param terms what the tier is asked for (types/Terms.sol); zero for the Proof tier
    /// @param input the model's input bytes
    /// @param fee wei for whoever proves the answer
    /// @param callbackGas gas that `_fulfil` needs, checks and dispatch (some 2,000) included
    /// @param callbackGasPrice wei offered for a unit of it
    /// @param deadline last second at which an answer counts
    /// @param refundTo who gets the payment back if none comes
    function _request(
        bytes32 modelId,
        bytes32 terms,
        bytes memory input,
        uint96 fee,
        uint32 callbackGas,
        uint64 callbackGasPrice,
        uint64 deadline,
        address refundTo
    ) internal returns (bytes32 requestId) {
        Request memory request = Request({
            requester: address(this),
            refundTo: refundTo,
            modelId: modelId,
            inputHash: keccak256(input),
            assurance: address(assurance),
            pin: pin,
            terms: terms,
            fee: fee,
            callbackGasPrice: callbackGasPrice,
            callbackGas: callbackGas,
            deadline: deadline,
            nonce: nextNonce++
        });
        uint256 cost = oracle.cost(fee, callbackGas, callbackGasPrice);
        return oracle.request{value: cost}(request, input);
    }
}
