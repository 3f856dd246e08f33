// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../interfaces/IAssurance.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {ITensorVerifier} from "../interfaces/ITensorVerifier.sol";
import {UnknownModel} from "../types/ProofErrors.sol";
import {Claim, Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";

/// @title The Proof tier: an answer is final in the transaction that proves it.
/// @notice Rests on one verifier and its SRS, named in `pin`, and on nobody. It keeps no state, no
///         stake and no clock, so each call is a view.
contract ProofAssurance is IAssurance {
    /// @notice The verifier's address holds other code than when this tier was made.
    error VerifierChanged(bytes32 expected, bytes32 got);

    ITensorVerifier public immutable verifier;
    IModelRegistry public immutable registry;
    bytes32 public immutable codeHash;
    bytes32 public immutable srsId;
    /// @inheritdoc IAssurance
    bytes32 public immutable pin;

    constructor(ITensorVerifier verifier_, IModelRegistry registry_) {
        verifier = verifier_;
        registry = registry_;
        codeHash = address(verifier_).codehash;
        srsId = verifier_.srsId();
        pin = keccak256(abi.encode(verifier, codeHash, srsId));
    }

    /// @inheritdoc IAssurance
    /// @dev That the model is committed under this SRS is left to the verifier: reading it here
    ///      would cost every request 2,600 gas, and who pins a model id has looked at the model.
    function admit(bytes32, Request calldata request) external view {
        if (request.pin != pin) revert WrongPin(request.pin, pin);
        if (request.terms != 0) revert WrongTerms(0, request.terms);
        if (!registry.isRegistered(request.modelId)) revert UnknownModel(request.modelId);
    }

    /// @inheritdoc IAssurance
    function judge(
        Request calldata request,
        Claim calldata claim,
        bytes calldata input,
        bytes calldata output,
        bytes calldata evidence
    ) external view returns (Status) {
        bytes32 held = address(verifier).codehash;
        if (held != codeHash) revert VerifierChanged(codeHash, held);
        verifier.verify(request.modelId, claim.context, input, output, evidence);
        return Status.Final;
    }
}
