// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice A public beacon: numbered rounds, each with one value that nobody knows before its time and
///         anybody can hand in afterwards. Rounds are on a clock, so which one will decide something
///         can be fixed before there is a way to know it.
interface IRandomness {
    /// @notice A round's value is known here now.
    event Published(uint64 indexed round, bytes32 value);

    /// @notice The round's signature has another size.
    error WrongSignatureSize(uint256 expected, uint256 got);
    /// @notice Not the beacon's signature of this round.
    error WrongSignature(uint64 round);
    /// @notice Rounds begin at 1.
    error NoSuchRound(uint64 round);

    /// @notice Hands a round's signature in; anyone, at any time after the round, and again to no effect.
    function publish(uint64 round, bytes calldata signature) external returns (bytes32 value);

    /// @notice The first round whose time is later than that.
    function roundAfter(uint256 timestamp) external view returns (uint64 round);

    /// @notice When a round is made, in seconds.
    function timeOf(uint64 round) external view returns (uint256 timestamp);

    /// @notice A published round's value; zero if it was not published.
    function valueOf(uint64 round) external view returns (bytes32 value);

    /// @notice When a round was published, in seconds; zero if it was not. Who dates blocks back may have
    ///         that before its time.
    function knownSince(uint64 round) external view returns (uint256 timestamp);

    /// @notice True for a beacon whose values anyone can compute ahead of time.
    function development() external view returns (bool);
}
