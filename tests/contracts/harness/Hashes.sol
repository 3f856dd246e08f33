// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Bls12381} from "../../../contracts/random/Bls12381.sol";
import {Bn254Hash} from "../../../contracts/random/Bn254Hash.sol";

/// @notice The libraries under contracts/random, from outside.
contract Hashes {
    function hashToG1(bytes calldata message, bytes calldata tag)
        external
        view
        returns (bytes memory)
    {
        return Bls12381.hashToG1(message, tag);
    }

    function verify(
        bytes calldata key,
        bytes calldata message,
        bytes calldata tag,
        bytes calldata signature
    ) external view returns (bool) {
        return Bls12381.verify(key, message, tag, signature);
    }

    function addG2(bytes calldata a, bytes calldata b) external view returns (bytes memory) {
        return Bls12381.addG2(a, b);
    }

    function hashBn254(bytes calldata message, bytes calldata tag)
        external
        view
        returns (uint256, uint256)
    {
        return Bn254Hash.hash(message, tag);
    }

    function mapBn254(uint256 u) external view returns (uint256, uint256) {
        return Bn254Hash.map(u);
    }
}
