// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IStrategy} from "./IStrategy.sol";

/// @title An owner's ether in two strategies; `_towards` is all that a model's answer can set off.
abstract contract TwoStrategies {
    event Rebalanced(uint256 from, uint256 amount);

    error OnlyOwner(address expected, address got);
    error Locked();
    error Short(uint256 expected, uint256 got);

    /// @dev Shares are of this.
    uint256 internal constant WHOLE = 10_000;
    /// @notice Of all, the most that one answer moves.
    uint256 public constant MOST = 500;

    address public immutable owner;
    IStrategy[2] public strategies;
    bool private transient _entered;

    /// @dev Strategies are called, and may call back: nothing is read or moved in between.
    modifier locked() {
        if (_entered) revert Locked();
        _entered = true;
        _;
        _entered = false;
    }

    modifier onlyOwner() {
        if (msg.sender != owner) revert OnlyOwner(owner, msg.sender);
        _;
    }

    constructor(IStrategy[2] memory strategies_) {
        (owner, strategies) = (msg.sender, strategies_);
    }

    /// @notice Deposits, what strategies return, and what a slashed operator pays.
    receive() external payable {}

    function invest(uint256 to, uint256 amount) external locked onlyOwner {
        strategies[to].deposit{value: amount}();
    }

    function divest(uint256 from, uint256 amount) external locked onlyOwner {
        _take(from, amount);
    }

    function withdraw(uint256 amount) external locked onlyOwner {
        (bool sent,) = owner.call{value: amount}("");
        if (!sent) revert Short(amount, address(this).balance);
    }

    /// @dev Of WHOLE, what the first strategy holds; and the wei in both.
    function _held() internal view returns (uint256 share, uint256 all) {
        uint256 first = strategies[0].assets();
        all = first + strategies[1].assets();
        share = all == 0 ? 0 : first * WHOLE / all;
    }

    /// @dev Moves towards that share of WHOLE in the first strategy, by `most` wei and MOST at most.
    function _towards(uint256 share, uint256 most) internal {
        (, uint256 all) = _held();
        uint256 first = strategies[0].assets();
        uint256 aim = all * share / WHOLE;
        (uint256 from, uint256 amount) = first > aim ? (0, first - aim) : (1, aim - first);
        if (amount > all * MOST / WHOLE) amount = all * MOST / WHOLE;
        if (amount > most) amount = most;
        _take(from, amount);
        strategies[1 - from].deposit{value: amount}();
        emit Rebalanced(from, amount);
    }

    function _take(uint256 from, uint256 amount) private {
        uint256 before = address(this).balance;
        strategies[from].withdraw(amount);
        uint256 got = address(this).balance - before;
        if (got < amount) revert Short(amount, got);
    }
}
