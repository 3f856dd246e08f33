// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

// ECDSA over P-256 by the precompiled contract of EIP-7951 (RIP-7212 on L2s).
address constant P256VERIFY = address(0x100);

/// @dev Never key on signatures: (r, s) and (r, n - s) are both good.
function isSignedP256(bytes32 digest, bytes32 r, bytes32 s, bytes32 x, bytes32 y)
    view
    returns (bool)
{
    return isTrue(P256VERIFY, abi.encode(digest, r, s, x, y));
}

/// @dev Only success, 32 bytes and the value 1 count: a chain without the precompiled contract answers
///      with success and nothing, and a wrong signature is answered with nothing, too.
function isTrue(address precompiled, bytes memory data) view returns (bool) {
    (bool success, bytes memory found) = precompiled.staticcall(data);
    return success && found.length == 32 && abi.decode(found, (uint256)) == 1;
}

/// @dev RFC 6979, A.2.5, SHA-256 of "sample", by its private key; and not of another digest.
function hasP256() view returns (bool) {
    bytes32 digest = 0xaf2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf;
    bytes32 r = 0xefd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716;
    bytes32 s = 0xf7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8;
    bytes32 x = 0x60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6;
    bytes32 y = 0x7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299;
    return isSignedP256(digest, r, s, x, y) && !isSignedP256(~digest, r, s, x, y);
}
