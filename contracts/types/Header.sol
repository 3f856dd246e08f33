// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @dev Bytes 24 and 25 of a program's header: committed output tiles. Such tiles are blinded, so one
///      run has many valid outputs. docs/protocol/format.md.
function hasCommittedOutput(bytes32 header) pure returns (bool) {
    return uint16(bytes2(header << 192)) != 0;
}
