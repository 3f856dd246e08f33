// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice Verifies one inference of any registered model. Free of charge through eth_call.
interface ITensorVerifier {
    /// @notice Returns if the proof holds and reverts with a typed error if not.
    /// @param modelId a model of the verifier's registry
    /// @param context an opaque word that the proof is bound to; against replay, the caller's duty
    /// @param input public input tensors (int16 big-endian, row-major, in declared order), then the
    ///        points of committed input tensors (64 bytes a tile)
    /// @param output likewise
    /// @param proof proof bytes
    function verify(
        bytes32 modelId,
        bytes32 context,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external view;

    /// @notice Id of the structured reference string that proofs are checked under.
    function srsId() external view returns (bytes32);

    /// @notice True if that string's secret is public, so that anyone can forge proofs.
    function srsDevelopment() external view returns (bool);
}
