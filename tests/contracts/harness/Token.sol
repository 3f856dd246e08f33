// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice A token of 18 decimals that behaves as it is told.
contract Token is IERC20 {
    enum Manner {
        Plain,
        Mute, // returns nothing, as some do
        False, // returns false and moves nothing
        Fee, // the recipient gets 1% less
        Bonus, // the recipient gets 1% more
        Reenter, // calls out before it moves anything
        Revert,
        Burn, // all the gas that there is
        Bomb // reverts with 100 kB
    }

    uint8 public constant decimals = 18;

    Manner public manner;
    address public target;
    bytes public data;
    bool public replied;

    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    uint256 public totalSupply;

    function behave(Manner manner_, address target_, bytes calldata data_) external {
        (manner, target, data) = (manner_, target_, data_);
    }

    function mint(address to, uint256 value) external {
        balanceOf[to] += value;
        totalSupply += value;
    }

    /// @dev What a rebasing token does.
    function shrink(address of_, uint256 value) external {
        balanceOf[of_] -= value;
        totalSupply -= value;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        return true;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        return _move(msg.sender, to, value);
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        if (manner != Manner.False) allowance[from][msg.sender] -= value;
        return _move(from, to, value);
    }

    function _move(address from, address to, uint256 value) private returns (bool) {
        if (manner == Manner.False) return false;
        if (manner == Manner.Reenter) (replied,) = target.call(data);
        if (manner == Manner.Revert) revert();
        while (manner == Manner.Burn) {}
        if (manner == Manner.Bomb) {
            assembly {
                revert(0, 100000)
            }
        }
        balanceOf[from] -= value;
        uint256 got = value;
        if (manner == Manner.Fee) got -= value / 100;
        if (manner == Manner.Bonus) got += value / 100;
        balanceOf[to] += got;
        if (manner == Manner.Mute) {
            assembly {
                return(0, 0)
            }
        }
        return true;
    }
}
