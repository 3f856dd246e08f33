// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IBlsKeys} from "../interfaces/IBlsKeys.sol";
import {Bls12381} from "../random/Bls12381.sol";

/// @title Keys that are known to be their owners', and sums of them; the rules are in IBlsKeys.
contract BlsKeys is IBlsKeys {
    bytes internal constant POSSESSION = "EINPROOF_POSSESSION_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
    bytes internal constant QUORUM = "EINPROOF_QUORUM_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
    /// @dev The base field's modulus: its top 16 bytes, and the rest.
    uint256 internal constant Q_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 internal constant Q_LOW =
        0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;

    /// @dev Creates a contract whose code is a STOP and the key's 256 bytes, which follow.
    bytes11 internal constant CREATION = 0x61010180600a5f395ff300;

    /// @inheritdoc IBlsKeys
    mapping(bytes32 key => address) public ownerOf;
    /// @dev Contracts that hold an owner's key as their code; made here only.
    mapping(address owner => address) private _blobs;

    /// @inheritdoc IBlsKeys
    /// @dev The pairing refuses a key that is not canonical, not on the curve or not in the subgroup.
    function register(bytes calldata key, bytes calldata proof) external {
        if (key.length != Bls12381.G2) revert WrongSize(Bls12381.G2, key.length);
        if (proof.length != Bls12381.G1) revert WrongSize(Bls12381.G1, proof.length);
        if (_isZero(key)) revert AtInfinity();
        bytes32 hash = keccak256(key);
        if (ownerOf[hash] != address(0)) revert Taken(ownerOf[hash]);
        if (_blobs[msg.sender] != address(0)) revert Taken(msg.sender);
        if (!Bls12381.verify(key, possessionOf(msg.sender, key), POSSESSION, proof)) {
            revert NotPossessed(msg.sender);
        }
        bytes memory creation = abi.encodePacked(CREATION, key);
        address blob;
        assembly ("memory-safe") {
            blob := create(0, add(creation, 0x20), mload(creation))
        }
        if (blob == address(0)) revert BlobNotCreated();

        (_blobs[msg.sender], ownerOf[hash]) = (blob, msg.sender);

        emit Registered(msg.sender, key);
    }

    /// @inheritdoc IBlsKeys
    function sum(address[] calldata owners) external view returns (bytes memory total) {
        total = new bytes(Bls12381.G2);
        for (uint256 i; i < owners.length; ++i) {
            total = Bls12381.addG2(total, keyOf(owners[i]));
        }
    }

    /// @inheritdoc IBlsKeys
    function signed(
        bytes calldata total,
        address[] calldata absent,
        bytes calldata message,
        bytes calldata signature
    ) external view returns (bool) {
        if (total.length != Bls12381.G2) {
            revert WrongSize(Bls12381.G2, total.length);
        }
        if (signature.length != Bls12381.G1) revert WrongSize(Bls12381.G1, signature.length);
        bytes memory present = total;
        for (uint256 i; i < absent.length; ++i) {
            present = Bls12381.addG2(present, _negated(keyOf(absent[i])));
        }
        if (_isZero(present)) revert AtInfinity();
        return Bls12381.verify(present, message, QUORUM, signature);
    }

    /// @inheritdoc IBlsKeys
    function hasKey(address owner) external view returns (bool) {
        return _blobs[owner] != address(0);
    }

    /// @inheritdoc IBlsKeys
    function keyOf(address owner) public view returns (bytes memory key) {
        address blob = _blobs[owner];
        if (blob == address(0)) revert NoKey(owner);
        key = new bytes(Bls12381.G2);
        assembly ("memory-safe") {
            extcodecopy(blob, add(key, 0x20), 1, 256)
        }
    }

    /// @inheritdoc IBlsKeys
    function possessionOf(address owner, bytes calldata key) public view returns (bytes memory) {
        return abi.encode(block.chainid, address(this), owner, key);
    }

    /// @dev Minus a point of G2: q - y in both parts of y, zero staying zero.
    function _negated(bytes memory point) private pure returns (bytes memory) {
        for (uint256 at = 128; at < Bls12381.G2; at += 64) {
            uint256 high;
            uint256 low;
            assembly ("memory-safe") {
                high := mload(add(add(point, 0x20), at))
                low := mload(add(add(point, 0x40), at))
            }
            if (high | low == 0) continue;
            unchecked {
                high = Q_HIGH - high - (low > Q_LOW ? 1 : 0);
                low = Q_LOW - low;
            }
            assembly ("memory-safe") {
                mstore(add(add(point, 0x20), at), high)
                mstore(add(add(point, 0x40), at), low)
            }
        }
        return point;
    }

    function _isZero(bytes memory point) private pure returns (bool) {
        return keccak256(point) == keccak256(new bytes(Bls12381.G2));
    }
}
