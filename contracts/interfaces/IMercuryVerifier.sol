// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice Checks that a hiding commitment to a tile of 2^k cells opens, as a multilinear function,
///         to a value at a point of k coordinates. Mirrors `verify_opening` of prover/opening.py,
///         whose text has the protocol. It also is the one home of the SRS: whoever knows its secret
///         can forge, so it is fixed here and nobody who registers a model can choose it.
interface IMercuryVerifier {
    /// @notice The constructor got points that are not [s]_1 and [s]_2 of one s.
    error MalformedSrs();

    /// @notice Returns if the proof holds and reverts with a typed error (types/ProofErrors.sol) if
    ///         not. The caller must still check that `state` has absorbed whatever determines the
    ///         commitment, the point and the value.
    /// @param state the transcript so far
    /// @param x coordinate of the commitment
    /// @param y coordinate of the commitment
    /// @param value the claim
    /// @param point 2 to kMax coordinates, the first on the top bit of a cell's index
    /// @param proof 640 bytes: points h q g S D, six scalars, points W W'
    function verify(
        bytes32 state,
        uint256 x,
        uint256 y,
        uint256 value,
        uint256[] calldata point,
        bytes calldata proof
    ) external view;

    /// @notice keccak256("einproof/srs/v1" || [s]_1 || [s]_2).
    function srsId() external view returns (bytes32);

    /// @notice True if s is the published one of the development SRS: anyone can forge.
    function srsDevelopment() external view returns (bool);

    /// @notice Tiles hold at most 2^kMax cells.
    function kMax() external view returns (uint256);
}
