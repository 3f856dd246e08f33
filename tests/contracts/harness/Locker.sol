// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {StakeVault} from "../../../contracts/assurance/StakeVault.sol";

/// @notice A tier of the vault that locks, releases and slashes what anyone says.
contract Locker {
    StakeVault public immutable vault;

    constructor(StakeVault vault_) {
        vault = vault_;
    }

    function lock(bytes32 id, address owner, uint256 amount, uint256 load, uint256 maxLoad)
        external
    {
        vault.lock(id, owner, amount, load, maxLoad);
    }

    function contest(bytes32 id) external {
        vault.contest(id);
    }

    function release(bytes32 id) external {
        vault.release(id);
    }

    function slash(
        bytes32 id,
        address consumer,
        uint256 compensation,
        address challenger,
        uint256 reward
    ) external {
        vault.slash(id, consumer, compensation, challenger, reward);
    }
}
