// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice Several calls to one contract in one transaction.
contract Batch {
    error Failed(uint256 index);

    function run(address target, bytes[] calldata calls) external {
        for (uint256 i; i < calls.length; ++i) {
            (bool success,) = target.call(calls[i]);
            if (!success) revert Failed(i);
        }
    }
}
