// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice Calls while it is being made, and has no code yet.
contract Newborn {
    error Failed();

    constructor(address target, bytes memory data) {
        (bool success,) = target.call(data);
        if (!success) revert Failed();
    }
}
