// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Beacon} from "../../../contracts/random/Beacon.sol";

/// @notice A round every two hours; anyone says its value.
contract SlowBeacon is Beacon {
    bool public constant development = true;

    constructor() Beacon(1_692_803_367, 2 hours) {}

    function _check(uint64, bytes memory signature) internal pure override returns (bytes32) {
        return keccak256(signature);
    }
}
