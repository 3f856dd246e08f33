// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IStakeVault} from "./IStakeVault.sol";

/// @notice A stake vault in one ERC-20, fixed when it is made. What is staked is what arrives, by the
///         vault's balance before and after. Not for tokens whose balances change by themselves: once
///         less is there than was staked, the vault takes no more stake.
interface ITokenVault is IStakeVault {
    /// @notice Less came out of a transfer than was sent, or more.
    error WrongTransfer(uint256 expected, uint256 got);
    /// @notice The vault holds less of the token than is its due.
    error Shrunk(uint256 expected, uint256 got);
    /// @notice The token called back into the vault.
    error Reentered();

    /// @notice The token.
    function token() external view returns (IERC20);

    /// @notice Moves that much of the token, in its own smallest units, from the caller, and adds what
    ///         arrives, in whole `unit`s, to its stake. What is less than a unit stays here for ever.
    function stake(uint256 value) external;
}
