// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {isSignedP256, isTrue} from "../../../contracts/attested/P256.sol";

/// @notice The P-256 check by itself, and with something else in the precompiled contract's place.
contract Signatures {
    function isSigned(bytes32 digest, bytes32 r, bytes32 s, bytes32 x, bytes32 y)
        external
        view
        returns (bool)
    {
        return isSignedP256(digest, r, s, x, y);
    }

    function isSignedBy(address at, bytes32 digest, bytes32 r, bytes32 s, bytes32 x, bytes32 y)
        external
        view
        returns (bool)
    {
        return isTrue(at, abi.encode(digest, r, s, x, y));
    }
}
