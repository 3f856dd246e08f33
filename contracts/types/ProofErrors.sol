// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

// What may be wrong with points, proofs and ids. The Python verifier raises errors of the same names.

/// @notice Bytes of another length than the statement calls for.
error WrongLength(uint256 expected, uint256 got);
/// @notice A point of another number of coordinates than 2 to `most`.
error UnsupportedSize(uint256 most, uint256 got);
/// @notice A scalar that is not below the order of the scalar field.
error NonCanonicalScalar(uint256 got);
/// @notice A coordinate that is not below the modulus of the base field.
error NonCanonicalCoordinate(uint256 got);
/// @notice A point that does not satisfy y^2 = x^3 + 3.
error PointNotOnCurve(uint256 x, uint256 y);
/// @notice The point at infinity where a commitment is due.
error PointAtInfinity();
/// @notice A challenge that hits a forbidden value; negligible for honest proofs.
error DegenerateChallenge();
/// @notice The final pairing equation does not hold.
error OpeningRejected();
/// @notice A precompiled contract failed: out of gas, or a chain without it.
error PrecompileFailed(uint256 precompile);
/// @notice No such model in the registry.
error UnknownModel(bytes32 modelId);
/// @notice The model was committed under another structured reference string.
error WrongSrs(bytes32 expected, bytes32 got);
/// @notice The program breaks a bound that the verifier relies on: docs/protocol/format.md, code.
error BadProgram(uint256 code);
