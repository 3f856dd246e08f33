// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {StakeVault} from "../../../contracts/assurance/StakeVault.sol";
import {IStakeVault} from "../../../contracts/interfaces/IStakeVault.sol";

/// @notice A tier of the vault that locks, releases and slashes what anyone says.
contract Locker {
    StakeVault public immutable vault;

    constructor(StakeVault vault_) {
        vault = vault_;
    }

    function lock(address owner, address agent, uint256 amount, uint256 load, uint256 maxLoad)
        external
    {
        vault.lock(owner, agent, amount, load, maxLoad);
    }

    function release(address owner, uint256 amount, uint256 load) external returns (bool) {
        return vault.release(owner, amount, load);
    }

    function slash(IStakeVault.Division calldata division) external {
        vault.slash(division);
    }

    function fine(bytes32 id, address owner, uint256 amount) external {
        vault.fine(id, owner, amount);
    }

    function forfeit(address owner) external {
        vault.forfeit(owner);
    }
}
