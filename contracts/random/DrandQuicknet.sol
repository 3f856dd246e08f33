// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IRandomness} from "../interfaces/IRandomness.sol";
import {Beacon} from "./Beacon.sol";
import {Bls12381} from "./Bls12381.sol";

/// @title drand's quicknet (chain 52db9ba7...c84e971): a signature every 3 seconds on BLS12-381,
///        unchained, in G1; a round's value is drand's `randomness`.
/// @notice For chains with EIP-2537, which the constructor makes sure of with a round of 2023.
contract DrandQuicknet is Beacon {
    bytes internal constant TAG = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";
    /// @dev The network's key.
    bytes internal constant KEY = hex"000000000000000000000000000000000d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
        hex"0000000000000000000000000000000003cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451"
        hex"000000000000000000000000000000000e5db2b6bfbb01c867749cadffca88b36c24f3012ba09fc4d3022c5c37dce0f977d3adb5d183c7477c442b1f04515273"
        hex"0000000000000000000000000000000001a714f2edb74119a2f2b0d5a7c75ba902d163700a61bc224ededd8e63aef7be1aaf8e93d7a9718b047ccddb3eb5d68b";
    uint64 internal constant KNOWN_ROUND = 1000;
    bytes32 internal constant KNOWN_VALUE =
        0xfe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd;
    bytes internal constant KNOWN_SIGNATURE = hex"00000000000000000000000000000000144679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"
        hex"0000000000000000000000000000000011f92e4521ef54f047b64b85fa98db2d46f0f44add1f60b93f8a0dbddd63b34f238657c2d93aed18b90bddd60a01b6d2";

    /// @inheritdoc IRandomness
    bool public constant development = false;

    constructor() Beacon(1_692_803_367, 3) {
        if (_check(KNOWN_ROUND, KNOWN_SIGNATURE) != KNOWN_VALUE) {
            revert WrongSignature(KNOWN_ROUND);
        }
    }

    /// @dev The signature as a point of EIP-2537, 128 bytes. The message is sha256(round, 8 bytes).
    function _check(uint64 round, bytes memory signature) internal view override returns (bytes32) {
        if (signature.length != Bls12381.G1) {
            revert WrongSignatureSize(Bls12381.G1, signature.length);
        }
        bytes memory message = abi.encodePacked(sha256(abi.encodePacked(round)));
        if (!Bls12381.verify(KEY, message, TAG, signature)) revert WrongSignature(round);
        return sha256(_compress(signature));
    }

    /// @dev 48 bytes as drand has them: x, with flags for "compressed" and for the larger y of the two.
    function _compress(bytes memory point) private pure returns (bytes memory) {
        (bytes16 xHigh, bytes32 xLow, uint256 yHigh, uint256 yLow) = _words(point);
        // (q - 1) / 2
        uint256 halfHigh = 0x0d0088f51cbff34d258dd3db21a5d66b;
        uint256 halfLow = 0xb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555;
        bool larger = yHigh > halfHigh || (yHigh == halfHigh && yLow > halfLow);
        return abi.encodePacked(xHigh | bytes16(uint128(larger ? 0xa0 : 0x80) << 120), xLow);
    }

    function _words(bytes memory point)
        private
        pure
        returns (bytes16 xHigh, bytes32 xLow, uint256 yHigh, uint256 yLow)
    {
        assembly ("memory-safe") {
            xHigh := shl(128, mload(add(point, 0x20)))
            xLow := mload(add(point, 0x40))
            yHigh := mload(add(point, 0x60))
            yLow := mload(add(point, 0x80))
        }
    }
}
