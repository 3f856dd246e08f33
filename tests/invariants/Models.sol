// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ModelRegistry} from "../../contracts/oracle/ModelRegistry.sol";

/// @dev Registers a model whose program is within its bounds and says nothing; another one for each
///      number.
function registerModel(ModelRegistry registry, uint256 number) returns (bytes32) {
    bytes memory program = abi.encodePacked(
        "EINP",
        uint16(1),
        uint8(12),
        uint8(4),
        uint16(1),
        uint32(192),
        uint32(4),
        uint32(4),
        uint32(0), // no committed tiles
        hex"000100010000", // a tile of stage 1, one of stage 2
        bytes32(hex"000100010000000000000101"), // R = C = n = mu = 1
        bytes14(0),
        uint16(1), // a word of pairs
        uint16(4), // four sums of nothing
        bytes14(0),
        new bytes(64),
        bytes16(0),
        hex"80000000800000008000000080000000",
        number
    );
    address[] memory programs = new address[](1);
    address[] memory points = new address[](1);
    programs[0] = registry.store(program);
    points[0] = registry.store(abi.encode(1, 2));
    return registry.register(programs, points, "srs", 0);
}
