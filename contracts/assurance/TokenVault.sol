// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {ITokenVault} from "../interfaces/ITokenVault.sol";
import {Vault} from "./Vault.sol";

/// @title Stakes in an ERC-20; the rules are in ITokenVault.
contract TokenVault is Vault, ITokenVault {
    using SafeERC20 for IERC20;

    /// @inheritdoc ITokenVault
    IERC20 public immutable token;
    /// @dev What came in, less what went out.
    uint256 private _held;
    bool private _busy;

    modifier alone() {
        if (_busy) revert Reentered();
        _busy = true;
        _;
        _busy = false;
    }

    /// @param tiers contracts that may lock, made before or after; zero for none
    /// @param token_ the coin
    /// @param unit_ of its smallest units, how many amounts are counted in: 10^9 for 18 decimals, 1 for 6
    constructor(address[] memory tiers, IERC20 token_, uint256 unit_) Vault(tiers, unit_) {
        if (address(token_).code.length == 0 || unit_ == 0) revert ZeroAddress();
        token = token_;
    }

    /// @inheritdoc ITokenVault
    function stake(uint256 value) external alone {
        uint256 before = token.balanceOf(address(this));
        if (before < _held) revert Shrunk(_held, before);
        token.safeTransferFrom(msg.sender, address(this), value);
        uint256 got = token.balanceOf(address(this)) - before;
        if (got > value) revert WrongTransfer(value, got);

        _held += got;
        _stake(got / unit);
    }

    /// @dev What leaves the vault is what is owed; a token that takes a fee takes it from the recipient.
    function _push(address to, uint256 value) internal override alone {
        uint256 before = token.balanceOf(address(this));
        _held -= value;
        token.safeTransfer(to, value);
        uint256 gone = before - token.balanceOf(address(this));
        if (gone != value) revert WrongTransfer(value, gone);
    }
}
