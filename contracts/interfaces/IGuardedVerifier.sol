// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ITensorVerifier} from "./ITensorVerifier.sol";

/// @notice A verifier that anyone can stop for ever by showing that it is broken, and that has no
///         other switch. Tiers pin the guard; each version of the verifier gets one of its own.
///
/// - The canary: one statement that is false, as everybody can compute, fixed when the guard is made.
///   Its proof stops this version.
/// - Two valid proofs of different outputs for one input of a model stop that model id: its program
///   does not determine its output, or the verifier is broken for it.
///
/// After a stop no proof counts here. What tiers then do: open requests and standing claims are given
/// back, disputes are void, nobody is slashed, bonds and stakes are free.
interface IGuardedVerifier is ITensorVerifier {
    event VersionStopped();
    event ModelStopped(bytes32 indexed modelId);

    /// @notice No proof counts any more: this version, or this model id, was stopped.
    error Stopped(bytes32 modelId);
    /// @notice This is not the canary's statement.
    error NotTheCanary(bytes32 expected, bytes32 got);
    /// @notice The guarded verifier's address holds other code than when the guard was made.
    error InnerChanged(bytes32 expected, bytes32 got);
    /// @notice The two outputs are the same.
    error SameOutput(bytes32 outputHash);
    /// @notice Committed outputs of this model are blinded, so that different ones can both be right.
    error OutputNotUnique(bytes32 modelId);
    /// @notice Anyone can forge proofs under the development SRS: for development chains only.
    error DevelopmentSrs(uint256 expectedChain, uint256 chain);

    /// @notice One proof of a model's output; for `stopModel`.
    struct Proven {
        bytes32 context;
        bytes output;
        bytes proof;
    }

    /// @notice Stops this version: by a proof, under any context, of the canary's statement.
    function stop(
        bytes32 modelId,
        bytes32 context,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external;

    /// @notice Stops a model id: by two proofs of different outputs for one input, under any contexts.
    function stopModel(
        bytes32 modelId,
        bytes calldata input,
        Proven calldata one,
        Proven calldata other
    ) external;

    /// @notice Whether this version or this model id was stopped.
    function isStopped(bytes32 modelId) external view returns (bool);

    /// @notice keccak256(abi.encode(modelId, input, output)) of the canary.
    function canary() external view returns (bytes32);

    /// @notice The verifier that is guarded.
    function inner() external view returns (ITensorVerifier);
}
