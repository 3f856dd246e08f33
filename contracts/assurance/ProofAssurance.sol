// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../interfaces/IAssurance.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {ITensorVerifier} from "../interfaces/ITensorVerifier.sol";
import {WrongSrs} from "../types/ProofErrors.sol";
import {Claim, Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";

/// @title The Proof tier: an answer is final in the transaction that proves it.
/// @notice Rests on one verifier and its SRS, named in `pin`, and on nobody. It keeps no state, no
///         stake and no clock, so each call is a view.
contract ProofAssurance is IAssurance {
    ITensorVerifier public immutable verifier;
    IModelRegistry public immutable registry;
    bytes32 public immutable srsId;

    constructor(ITensorVerifier verifier_, IModelRegistry registry_) {
        verifier = verifier_;
        registry = registry_;
        srsId = verifier_.srsId();
    }

    /// @inheritdoc IAssurance
    function admit(bytes32, Request calldata request) external view {
        _checkPin(request);
        if (request.terms != 0) revert WrongTerms(0, request.terms);
        bytes32 modelSrs = registry.srsIdOf(request.modelId);
        if (modelSrs != srsId) revert WrongSrs(srsId, modelSrs);
    }

    /// @inheritdoc IAssurance
    function judge(
        Request calldata request,
        Claim calldata claim,
        bytes calldata input,
        bytes calldata output,
        bytes calldata evidence
    ) external view returns (Status) {
        _checkPin(request);
        verifier.verify(request.modelId, claim.context, input, output, evidence);
        return Status.Final;
    }

    /// @inheritdoc IAssurance
    /// @dev The code hash is read anew each time: an address may come to hold other code.
    function pin() public view returns (bytes32) {
        return keccak256(abi.encode(address(verifier), address(verifier).codehash, srsId));
    }

    function _checkPin(Request calldata request) private view {
        bytes32 mine = pin();
        if (request.pin != mine) revert WrongPin(request.pin, mine);
    }
}
