// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../interfaces/IAssurance.sol";
import {IGuardedVerifier} from "../interfaces/IGuardedVerifier.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {ITensorVerifier} from "../interfaces/ITensorVerifier.sol";
import {UnknownModel} from "../types/ProofErrors.sol";
import {Claim, Request} from "../types/Request.sol";

/// @title What every tier that takes proofs has in common: one verifier, named in `pin`.
abstract contract Pinned is IAssurance {
    ITensorVerifier public immutable verifier;
    IModelRegistry public immutable registry;
    bytes32 public immutable codeHash;
    bytes32 public immutable srsId;
    /// @inheritdoc IAssurance
    bytes32 public immutable pin;
    /// @notice Whether the verifier can be stopped (IGuardedVerifier).
    bool public immutable guarded;

    constructor(ITensorVerifier verifier_, IModelRegistry registry_) {
        verifier = verifier_;
        registry = registry_;
        codeHash = address(verifier_).codehash;
        srsId = verifier_.srsId();
        pin = keccak256(abi.encode(verifier, codeHash, srsId));
        try IGuardedVerifier(address(verifier_)).isStopped(0) returns (bool) {
            guarded = true;
        } catch {}
    }

    /// @dev That the model is committed under this SRS is left to the verifier: reading it here would
    ///      cost every request 2,600 gas, and who pins a model id has looked at the model. Nor are
    ///      stops looked at: what is asked of a stopped verifier can be given back at once.
    function _checkPinned(Request calldata request) internal view {
        if (request.pin != pin) revert WrongPin(request.pin, pin);
        if (!registry.isRegistered(request.modelId)) revert UnknownModel(request.modelId);
    }

    function _verify(
        Request calldata request,
        Claim calldata claim,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) internal view {
        bytes32 held = address(verifier).codehash;
        if (held != codeHash) revert VerifierChanged(codeHash, held);
        verifier.verify(request.modelId, claim.context, input, output, proof);
    }

    function _isStopped(bytes32 modelId) internal view returns (bool) {
        return guarded && _isUnchanged() && IGuardedVerifier(address(verifier)).isStopped(modelId);
    }

    function _isUnchanged() internal view returns (bool) {
        return address(verifier).codehash == codeHash;
    }
}
