// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IGuardedVerifier} from "../interfaces/IGuardedVerifier.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {ITensorVerifier} from "../interfaces/ITensorVerifier.sol";
import {hasCommittedOutput} from "../types/Header.sol";

/// @title A verifier and its canary; the rules are in IGuardedVerifier.
contract GuardedVerifier is IGuardedVerifier {
    uint256 internal constant DEVELOPMENT_CHAIN = 31_337;

    ITensorVerifier public immutable inner;
    IModelRegistry public immutable registry;
    bytes32 public immutable innerHash;
    /// @inheritdoc IGuardedVerifier
    bytes32 public immutable canary;
    /// @inheritdoc ITensorVerifier
    bytes32 public immutable srsId;
    /// @inheritdoc ITensorVerifier
    bool public immutable srsDevelopment;

    /// @dev In one slot, so that asking costs one read as long as no model was ever stopped.
    bool private _version;
    bool private _models;
    mapping(bytes32 modelId => bool) private _stopped;

    /// @param canary_ keccak256(abi.encode(modelId, input, output)) of a false statement; the model
    ///        may be registered before or after
    constructor(ITensorVerifier inner_, IModelRegistry registry_, bytes32 canary_) {
        (inner, registry, canary) = (inner_, registry_, canary_);
        innerHash = address(inner_).codehash;
        (srsId, srsDevelopment) = (inner_.srsId(), inner_.srsDevelopment());
        if (srsDevelopment && block.chainid != DEVELOPMENT_CHAIN) {
            revert DevelopmentSrs(DEVELOPMENT_CHAIN, block.chainid);
        }
    }

    /// @inheritdoc ITensorVerifier
    function verify(
        bytes32 modelId,
        bytes32 context,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external view {
        if (isStopped(modelId)) revert Stopped(modelId);
        _verify(modelId, context, input, output, proof);
    }

    /// @inheritdoc IGuardedVerifier
    function stop(
        bytes32 modelId,
        bytes32 context,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external {
        bytes32 got = keccak256(abi.encode(modelId, input, output));
        if (got != canary) revert NotTheCanary(canary, got);
        _verify(modelId, context, input, output, proof);

        _version = true;

        emit VersionStopped();
    }

    /// @inheritdoc IGuardedVerifier
    function stopModel(
        bytes32 modelId,
        bytes calldata input,
        Proven calldata one,
        Proven calldata other
    ) external {
        bytes32 outputHash = keccak256(one.output);
        if (outputHash == keccak256(other.output)) revert SameOutput(outputHash);
        if (hasCommittedOutput(registry.headerOf(modelId))) revert OutputNotUnique(modelId);
        _verify(modelId, one.context, input, one.output, one.proof);
        _verify(modelId, other.context, input, other.output, other.proof);

        _models = true;
        _stopped[modelId] = true;

        emit ModelStopped(modelId);
    }

    /// @inheritdoc IGuardedVerifier
    function isStopped(bytes32 modelId) public view returns (bool) {
        return _version || (_models && _stopped[modelId]);
    }

    function _verify(
        bytes32 modelId,
        bytes32 context,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) private view {
        bytes32 held = address(inner).codehash;
        if (held != innerHash) revert InnerChanged(innerHash, held);
        inner.verify(modelId, context, input, output, proof);
    }
}
