// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IRandomness} from "../interfaces/IRandomness.sol";

/// @title What all beacons share: rounds on a clock, and the values that were handed in.
abstract contract Beacon is IRandomness {
    /// @notice Second of round 1, and seconds from one to the next.
    uint256 public immutable genesis;
    uint256 public immutable period;

    /// @inheritdoc IRandomness
    mapping(uint64 round => bytes32) public valueOf;
    /// @inheritdoc IRandomness
    mapping(uint64 round => uint256) public knownSince;

    constructor(uint256 genesis_, uint256 period_) {
        (genesis, period) = (genesis_, period_);
    }

    /// @inheritdoc IRandomness
    function publish(uint64 round, bytes calldata signature) external returns (bytes32 value) {
        if (round == 0) revert NoSuchRound(round);
        value = _check(round, signature);
        if (knownSince[round] != 0) return value;

        (valueOf[round], knownSince[round]) = (value, block.timestamp);

        emit Published(round, value);
    }

    /// @inheritdoc IRandomness
    function roundAfter(uint256 timestamp) external view returns (uint64) {
        return timestamp < genesis ? 1 : uint64((timestamp - genesis) / period + 2);
    }

    /// @inheritdoc IRandomness
    function timeOf(uint64 round) public view returns (uint256) {
        if (round == 0) revert NoSuchRound(round);
        return genesis + (round - uint256(1)) * period;
    }

    /// @dev Reverts unless this is the one signature of that round; the round's value.
    function _check(uint64 round, bytes memory signature) internal view virtual returns (bytes32);
}
