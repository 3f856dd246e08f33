// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IStrategy} from "../../../contracts/examples/IStrategy.sol";

/// @notice A strategy for one depositor, that behaves as it is told.
contract Strategy is IStrategy {
    uint256 public rate;
    /// @notice Of what is asked for, how much is not sent.
    uint256 public short;
    /// @notice What it calls its caller with when asked for ether; nothing if empty.
    bytes public reentry;
    bool public reentered;

    constructor(uint256 rate_) {
        rate = rate_;
    }

    function deposit() external payable {}

    function set(uint256 rate_, uint256 short_, bytes calldata reentry_) external {
        (rate, short, reentry) = (rate_, short_, reentry_);
    }

    function withdraw(uint256 amount) external {
        if (reentry.length != 0) (reentered,) = msg.sender.call(reentry);
        (bool sent,) = msg.sender.call{value: amount - short}("");
        require(sent);
    }

    function assets() external view returns (uint256) {
        return address(this).balance;
    }
}
