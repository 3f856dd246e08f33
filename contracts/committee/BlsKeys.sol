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

    /// @inheritdoc IBlsKeys
    mapping(address owner => bytes32) public keyOf;
    /// @inheritdoc IBlsKeys
    mapping(bytes32 key => address) public ownerOf;
    /// @inheritdoc IBlsKeys
    mapping(bytes32 roll => bool) public isPinned;

    /// @inheritdoc IBlsKeys
    /// @dev The pairing refuses a key that is not canonical, not on the curve or not in the subgroup.
    function register(bytes calldata key, bytes calldata proof) external {
        if (key.length != Bls12381.G2) revert WrongSize(Bls12381.G2, key.length);
        if (proof.length != Bls12381.G1) revert WrongSize(Bls12381.G1, proof.length);
        if (_isZero(key)) revert AtInfinity();
        bytes32 hash = keccak256(key);
        if (ownerOf[hash] != address(0)) revert Taken(ownerOf[hash]);
        if (keyOf[msg.sender] != 0) revert Taken(msg.sender);
        if (!Bls12381.verify(key, possessionOf(msg.sender, key), POSSESSION, proof)) {
            revert NotPossessed(msg.sender);
        }

        (keyOf[msg.sender], ownerOf[hash]) = (hash, msg.sender);

        emit Registered(msg.sender, key);
    }

    /// @inheritdoc IBlsKeys
    function pin(address[] calldata owners, bytes[] calldata keys) external returns (bytes32 roll) {
        if (keys.length != owners.length) revert WrongSize(owners.length, keys.length);
        Roll memory members = Roll(new bytes32[](owners.length), new bytes(Bls12381.G2));
        address last;
        for (uint256 i; i < owners.length; ++i) {
            if (owners[i] <= last) revert WrongOrder(owners[i]);
            last = owners[i];
            members.keys[i] = keyOf[last];
            _checkKey(i, members.keys[i], keys[i]);
            members.sum = Bls12381.addG2(members.sum, keys[i]);
        }
        roll = keccak256(abi.encode(members));

        isPinned[roll] = true;

        emit Pinned(roll, members);
    }

    /// @inheritdoc IBlsKeys
    function signers(
        Roll calldata members,
        uint256 absent,
        bytes[] calldata keys,
        bytes calldata message,
        bytes calldata signature
    ) external view returns (uint256 present) {
        bytes32 roll = keccak256(abi.encode(members));
        if (!isPinned[roll]) revert NotPinned(roll);
        if (signature.length != Bls12381.G1) revert WrongSize(Bls12381.G1, signature.length);
        uint256 count = members.keys.length;
        if (count < 256 && absent >> count != 0) revert WrongAbsence(absent);
        bytes memory sum = members.sum;
        uint256 gone;
        for (uint256 place; place < count; ++place) {
            if (absent >> place & 1 == 0) continue;
            if (gone == keys.length) revert WrongSize(gone + 1, keys.length);
            _checkKey(place, members.keys[place], keys[gone]);
            sum = Bls12381.addG2(sum, _negated(keys[gone++]));
        }
        if (gone != keys.length) revert WrongSize(gone, keys.length);
        if (_isZero(sum)) revert AtInfinity();
        return Bls12381.verify(sum, message, QUORUM, signature) ? count - gone : 0;
    }

    /// @inheritdoc IBlsKeys
    function possessionOf(address owner, bytes calldata key) public view returns (bytes memory) {
        return abi.encode(block.chainid, address(this), owner, key);
    }

    function _checkKey(uint256 place, bytes32 expected, bytes calldata key) private pure {
        bytes32 got = keccak256(key);
        if (expected == 0 || got != expected) revert WrongKey(place, expected, got);
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
