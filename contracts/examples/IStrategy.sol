// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice Where a vault puts ether to work.
interface IStrategy {
    function deposit() external payable;

    /// @notice Sends ether back to the caller, out of what the caller deposited.
    function withdraw(uint256 amount) external;

    /// @notice Wei that are there for the caller.
    function assets() external view returns (uint256);

    /// @notice What it earns, of 10,000 a year.
    function rate() external view returns (uint256);
}
