// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice The few of forge's cheat codes that are used here.
interface Vm {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function warp(uint256 timestamp) external;
    function deal(address account, uint256 balance) external;
    function prank(address sender) external;
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory logs);
    function addr(uint256 key) external pure returns (address);
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function signP256(uint256 key, bytes32 digest) external pure returns (bytes32 r, bytes32 s);
    function publicKeyP256(uint256 key) external pure returns (uint256 x, uint256 y);
    function getNonce(address account) external view returns (uint64);
    function computeCreateAddress(address creator, uint256 nonce) external pure returns (address);
}

Vm constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
