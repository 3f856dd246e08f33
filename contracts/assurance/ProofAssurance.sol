// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../interfaces/IAssurance.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {ITensorVerifier} from "../interfaces/ITensorVerifier.sol";
import {Claim, Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";
import {Pinned} from "./Pinned.sol";

/// @title The Proof tier: an answer is final in the transaction that proves it.
/// @notice Rests on one verifier and its SRS, named in `pin`, and on nobody. It keeps no state, no
///         stake and no clock, so each call is a view. Once the verifier or the model id is stopped,
///         any claim gives an open request's payment back.
contract ProofAssurance is Pinned {
    constructor(ITensorVerifier verifier_, IModelRegistry registry_) Pinned(verifier_, registry_) {}

    /// @inheritdoc IAssurance
    function admit(bytes32, Request calldata request) external view {
        if (request.terms != 0) revert WrongTerms(0, request.terms);
        _checkPinned(request);
    }

    /// @inheritdoc IAssurance
    function judge(
        Request calldata request,
        Claim calldata claim,
        bytes calldata input,
        bytes calldata output,
        bytes calldata evidence
    ) external view returns (Status) {
        if (_isStopped(request.modelId)) return Status.Retracted;
        _verify(request, claim, input, output, evidence);
        return Status.Final;
    }
}
