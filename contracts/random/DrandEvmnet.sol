// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IRandomness} from "../interfaces/IRandomness.sol";
import {Beacon} from "./Beacon.sol";
import {Bn254Hash} from "./Bn254Hash.sol";

/// @title drand's evmnet (chain 04f1e906...6ec8c3): a signature every 3 seconds on BN254, unchained, in
///        G1; a round's value is drand's `randomness`.
/// @notice For every chain with EIP-196 and EIP-197.
contract DrandEvmnet is Beacon {
    bytes internal constant TAG = "BLS_SIG_BN254G1_XMD:KECCAK-256_SVDW_RO_NUL_";
    address internal constant PAIRING = address(0x08);
    // Minus the generator of G2, and the network's key: imaginary parts first.
    uint256 internal constant G2_X1 =
        0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2;
    uint256 internal constant G2_X0 =
        0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed;
    uint256 internal constant MINUS_G2_Y1 =
        0x275dc4a288d1afb3cbb1ac09187524c7db36395df7be3b99e673b13a075a65ec;
    uint256 internal constant MINUS_G2_Y0 =
        0x1d9befcd05a5323e6da4d435f3b617cdb3af83285c2df711ef39c01571827f9d;
    uint256 internal constant KEY_X1 =
        0x07e1d1d335df83fa98462005690372c643340060d205306a9aa8106b6bd0b382;
    uint256 internal constant KEY_X0 =
        0x0557ec32c2ad488e4d4f6008f89a346f18492092ccc0d594610de2732c8b808f;
    uint256 internal constant KEY_Y1 =
        0x0095685ae3a85ba243747b1b2f426049010f6b73a0cf1d389351d5aaaa1047f6;
    uint256 internal constant KEY_Y0 =
        0x297d3a4f9749b33eb2d904c9d9ebf17224150ddd7abd7567a9bec6c74480ee0b;
    uint64 internal constant KNOWN_ROUND = 1000;
    bytes32 internal constant KNOWN_VALUE =
        0x0e6745667465a6f9dce5d5f994656955080be14c469ff17fc4fc588c925a8504;
    bytes internal constant KNOWN_SIGNATURE =
        hex"06fd5996329504d3a56b482d9222bf7205857d0a9559ddd216ca31a286f6a8cc0a120f021aac2f13553fb164f62bc3a5ca32c76dea88a777b39bcf3cac5fdbd6";

    /// @inheritdoc IRandomness
    bool public constant development = false;

    constructor() Beacon(1_727_521_075, 3) {
        if (_check(KNOWN_ROUND, KNOWN_SIGNATURE) != KNOWN_VALUE) {
            revert WrongSignature(KNOWN_ROUND);
        }
    }

    /// @dev The signature as drand has it: x y, 64 bytes. The message is keccak256(round, 8 bytes).
    ///      e(signature, g2) = e(H(message), key); the pairing refuses what is no point of the curve,
    ///      whose order is prime.
    function _check(uint64 round, bytes memory signature) internal view override returns (bytes32) {
        if (signature.length != 64) revert WrongSignatureSize(64, signature.length);
        (uint256 x, uint256 y) = abi.decode(signature, (uint256, uint256));
        bytes memory message = abi.encodePacked(keccak256(abi.encodePacked(round)));
        (uint256 hashX, uint256 hashY) = Bn254Hash.hash(message, TAG);
        uint256[12] memory input = [
            x,
            y,
            G2_X1,
            G2_X0,
            MINUS_G2_Y1,
            MINUS_G2_Y0,
            hashX,
            hashY,
            KEY_X1,
            KEY_X0,
            KEY_Y1,
            KEY_Y0
        ];
        (bool success, bytes memory output) = PAIRING.staticcall(abi.encodePacked(input));
        if (!success || output.length != 32 || abi.decode(output, (uint256)) != 1) {
            revert WrongSignature(round);
        }
        return sha256(signature);
    }
}
