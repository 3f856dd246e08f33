// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice The one word that the vault stores for stake that vouches for one claim.
///
///   255          96 95           48 47            16 15        1       0
///  +---------------+---------------+----------------+-----------+-----------+
///  | owner (160)   | gwei (48)     | since (32)     | load (15) | contested |
///  +---------------+---------------+----------------+-----------+-----------+
///
/// since: block.timestamp when locked; load: seconds that proving the claim is declared to take.
/// Zero is no lock: owners are never the zero address.
type Lock is uint256;

using {exists, owner, amount, since, load, contested, contest} for Lock global;

Lock constant NO_LOCK = Lock.wrap(0);
uint256 constant MAX_LOCK = type(uint48).max;
uint256 constant MAX_LOAD = 0x7fff;

/// @dev The caller keeps amount_ within MAX_LOCK and load_ within MAX_LOAD.
function toLock(address owner_, uint256 amount_, uint256 since_, uint256 load_)
    pure
    returns (Lock)
{
    return Lock.wrap(
        (uint256(uint160(owner_)) << 96) | (amount_ << 48) | (uint256(uint32(since_)) << 16)
            | (load_ << 1)
    );
}

function exists(Lock self) pure returns (bool) {
    return Lock.unwrap(self) != 0;
}

function owner(Lock self) pure returns (address) {
    return address(uint160(Lock.unwrap(self) >> 96));
}

/// @dev In gwei.
function amount(Lock self) pure returns (uint256) {
    return (Lock.unwrap(self) >> 48) & MAX_LOCK;
}

function since(Lock self) pure returns (uint256) {
    return uint32(Lock.unwrap(self) >> 16);
}

function load(Lock self) pure returns (uint256) {
    return (Lock.unwrap(self) >> 1) & MAX_LOAD;
}

function contested(Lock self) pure returns (bool) {
    return Lock.unwrap(self) & 1 != 0;
}

function contest(Lock self) pure returns (Lock) {
    return Lock.wrap(Lock.unwrap(self) | 1);
}
