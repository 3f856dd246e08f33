// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Expand} from "./Expand.sol";

/// @title BLS signatures in G1 of BLS12-381, over the precompiled contracts of EIP-2537.
/// @notice Points are as there: 64 bytes a coordinate, big-endian, the top 16 zero; G1 is x y, G2 is
///         x0 x1 y0 y1. The pairing refuses what is not canonical, not on the curve, or not in the
///         subgroup. Of any precompiled contract only success with all its bytes counts, so that a
///         chain without it refuses everything.
library Bls12381 {
    uint256 internal constant G1 = 128;
    uint256 internal constant G2 = 256;
    address internal constant MODEXP = address(0x05);
    address internal constant G1_ADD = address(0x0b);
    address internal constant G2_ADD = address(0x0d);
    address internal constant PAIRING = address(0x0f);
    address internal constant MAP_TO_G1 = address(0x10);

    /// @dev The base field's modulus.
    bytes internal constant Q =
        hex"000000000000000000000000000000001a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab";
    /// @dev Minus the generator of G2.
    bytes internal constant MINUS_G2 = hex"00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
        hex"0000000000000000000000000000000013e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
        hex"000000000000000000000000000000000d1b3cc2c7027888be51d9ef691d77bcb679afda66c73f17f9ee3837a55024f78c71363275a75d75d86bab79f74782aa"
        hex"0000000000000000000000000000000013fa4d4a0ad8b1ce186ed5061789213d993923066dddaf1040bc3ff59f825c78df74f2d75467e25e0f55f8a00fa030ed";

    /// @notice The precompiled contract is absent, or refused its input.
    error PrecompileRefused(address precompile);

    /// @notice Whether e(signature, g2) = e(H(message), key). Reverts on what is no point.
    function verify(
        bytes memory key,
        bytes memory message,
        bytes memory tag,
        bytes memory signature
    ) internal view returns (bool) {
        bytes memory input = bytes.concat(signature, MINUS_G2, hashToG1(message, tag), key);
        return abi.decode(_call(PAIRING, input, 32), (uint256)) == 1;
    }

    /// @notice hash_to_curve of BLS12381G1_XMD:SHA-256_SSWU_RO_ (RFC 9380, section 8.8.1).
    function hashToG1(bytes memory message, bytes memory tag) internal view returns (bytes memory) {
        bytes memory expanded = Expand.sha(message, tag, 4);
        bytes memory one = _call(MAP_TO_G1, _reduce(expanded, 0), G1);
        bytes memory other = _call(MAP_TO_G1, _reduce(expanded, 64), G1);
        return _call(G1_ADD, bytes.concat(one, other), G1);
    }

    function addG2(bytes memory a, bytes memory b) internal view returns (bytes memory) {
        return _call(G2_ADD, bytes.concat(a, b), G2);
    }

    /// @dev 64 bytes of `data` from there, modulo Q.
    function _reduce(bytes memory data, uint256 from) private view returns (bytes memory) {
        bytes memory part = new bytes(64);
        assembly ("memory-safe") {
            mcopy(add(part, 0x20), add(add(data, 0x20), from), 64)
        }
        bytes memory input = bytes.concat(abi.encode(64, 1, 64), part, hex"01", Q);
        return _call(MODEXP, input, 64);
    }

    function _call(address precompile, bytes memory input, uint256 size)
        private
        view
        returns (bytes memory output)
    {
        bool success;
        (success, output) = precompile.staticcall(input);
        if (!success || output.length != size) revert PrecompileRefused(precompile);
    }
}
