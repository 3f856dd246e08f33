// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Status} from "./Status.sol";

/// @notice The one word that the oracle stores for a request.
///
///   255                               40 39         8   7        6       5      4        0
///  +-----------------------------------+------------+--------+------+--------+------------+
///  | top 216 bits of the claim digest  | since (32) | failed | told | proved |   Status   |
///  +-----------------------------------+------------+--------+------+--------+------------+
///
/// digest: 0 if there is no claim; since: block.timestamp when the claim became provisional, so that
/// no tier needs a word of its own for it; failed: the callback of the final answer reverted and may
/// be retried; told: the consumer has taken the claim while it was provisional; proved: evidence made it
/// final. 216 bits leave 108 against collisions, no less than BN254.
type Record is uint256;

using {status, digest, since, callbackFailed, told, proved, at, tell, fail} for Record global;

uint256 constant DIGEST_MASK = ~uint256(0xffffffffff);
uint256 constant FAILED_BIT = 0x80;
uint256 constant TOLD_BIT = 0x40;
uint256 constant PROVED_BIT = 0x20;
uint256 constant STATUS_MASK = 0x1f;

function record(Status status_, bytes32 digest_, uint256 since_) pure returns (Record) {
    return Record.wrap(
        (uint256(digest_) & DIGEST_MASK) | (uint256(uint32(since_)) << 8) | uint256(status_)
    );
}

function settled(bytes32 digest_, bool proved_) pure returns (Record) {
    uint256 word = Record.unwrap(record(Status.Final, digest_, 0));
    return Record.wrap(proved_ ? word | PROVED_BIT : word);
}

/// @dev The same at another status.
function at(Record self, Status status_) pure returns (Record) {
    return Record.wrap((Record.unwrap(self) & ~STATUS_MASK) | uint256(status_));
}

function tell(Record self, bool told_) pure returns (Record) {
    uint256 word = Record.unwrap(self) & ~TOLD_BIT;
    return Record.wrap(told_ ? word | TOLD_BIT : word);
}

function fail(Record self, bool failed) pure returns (Record) {
    uint256 word = Record.unwrap(self) & ~FAILED_BIT;
    return Record.wrap(failed ? word | FAILED_BIT : word);
}

function status(Record self) pure returns (Status) {
    return Status(Record.unwrap(self) & STATUS_MASK);
}

function digest(Record self) pure returns (bytes32) {
    return bytes32(Record.unwrap(self) & DIGEST_MASK);
}

function since(Record self) pure returns (uint256) {
    return uint32(Record.unwrap(self) >> 8);
}

function callbackFailed(Record self) pure returns (bool) {
    return Record.unwrap(self) & FAILED_BIT != 0;
}

function told(Record self) pure returns (bool) {
    return Record.unwrap(self) & TOLD_BIT != 0;
}

function proved(Record self) pure returns (bool) {
    return Record.unwrap(self) & PROVED_BIT != 0;
}
