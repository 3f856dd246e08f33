// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IEtherVault} from "../interfaces/IEtherVault.sol";
import {Vault} from "./Vault.sol";

/// @title Stakes in ETH, counted in gwei.
contract StakeVault is Vault, IEtherVault {
    /// @param tiers contracts that may lock, made before or after; zero for none
    constructor(address[] memory tiers) Vault(tiers, 1 gwei) {}

    /// @inheritdoc IEtherVault
    function stake() external payable {
        if (msg.value % unit != 0) revert WrongStake(msg.value);
        _stake(msg.value / unit);
    }

    /// @dev No return data is copied.
    function _push(address to, uint256 value) internal override {
        bool success;
        assembly ("memory-safe") {
            success := call(gas(), to, value, 0, 0, 0, 0)
        }
        if (!success) revert TransferFailed(to, value);
    }
}
