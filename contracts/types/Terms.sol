// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice `Request.terms` of the optimistic tier.
///
///   255       77 76          63 62        55 54           40 39            0
///  +------------+--------------+------------+---------------+---------------+
///  | zero       | audits (14)  | hours (8)  | proving (15)  | coverage (40) |
///  +------------+--------------+------------+---------------+---------------+
///
/// coverage: gwei that the consumer gets if the answer is slashed (at least 1; below 1,100 ether);
/// proving: seconds that a proof of this model takes, as the requester declares and whoever answers
/// accepts (at least 1); hours: the contest window, 0 for the tier's own; audits: of 10,000 claims,
/// how many are audited (0 for a tier without audits).
type Terms is uint256;

using {coverage, proving, windowHours, auditRate, isComplete} for Terms global;

uint256 constant TERMS_BITS = 77;

function toTerms(uint40 coverage_, uint256 proving_, uint8 hours_, uint256 audits)
    pure
    returns (Terms)
{
    return Terms.wrap(
        uint256(coverage_) | ((proving_ & 0x7fff) << 40) | (uint256(hours_) << 55)
            | ((audits & 0x3fff) << 63)
    );
}

/// @dev In gwei.
function coverage(Terms self) pure returns (uint256) {
    return uint40(Terms.unwrap(self));
}

/// @dev In seconds.
function proving(Terms self) pure returns (uint256) {
    return (Terms.unwrap(self) >> 40) & 0x7fff;
}

function windowHours(Terms self) pure returns (uint256) {
    return uint8(Terms.unwrap(self) >> 55);
}

/// @dev Of 10,000.
function auditRate(Terms self) pure returns (uint256) {
    return (Terms.unwrap(self) >> 63) & 0x3fff;
}

/// @dev Something to cover, a proving time, and nothing where nothing belongs.
function isComplete(Terms self) pure returns (bool) {
    return Terms.unwrap(self) >> TERMS_BITS == 0 && self.coverage() != 0 && self.proving() != 0;
}
