// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IStakeVault} from "./IStakeVault.sol";

/// @notice A stake vault in ETH.
interface IEtherVault is IStakeVault {
    /// @notice Adds msg.value to the caller's stake.
    function stake() external payable;
}
