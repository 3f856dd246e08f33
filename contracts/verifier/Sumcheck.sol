// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Fr, P} from "./Field.sol";

/// @notice The verifying half of a sumcheck (prover/sumcheck.py). A round polynomial of degree d is
///         sent as d scalars c_0, c_2, ..., c_d; the running claim v gives
///         c_1 = v - 2 c_0 - c_2 - ... - c_d. Every scalar was checked to be canonical.
library Sumcheck {
    /// @dev Absorbs the rounds at a place in calldata, d scalars each, and draws point.length
    ///      challenges.
    function draw(bytes32 state, uint256 at, uint256 degree, uint256[] memory point)
        internal
        pure
        returns (bytes32 next)
    {
        assembly ("memory-safe") {
            let input := mload(0x40)
            let size := shl(5, degree)
            let out := add(point, 0x20)
            for { let end := add(out, shl(5, mload(point))) } lt(out, end) { out := add(out, 0x20) }
            {
                mstore(input, state)
                calldatacopy(add(input, 0x20), at, size)
                mstore(0x00, keccak256(input, add(size, 0x20)))
                mstore8(0x20, 1)
                state := keccak256(0x00, 0x21)
                mstore(out, mod(state, P))
                at := add(at, size)
            }
            next := state
        }
    }

    /// @dev The claim after all rounds, for 2 <= degree <= 6: five scalars add up to less than
    ///      2^256.
    function reduce(Fr claim, uint256 at, uint256 degree, uint256[] memory point)
        internal
        pure
        returns (Fr value)
    {
        assembly ("memory-safe") {
            value := claim
            let size := shl(5, degree)
            let i := add(point, 0x20)
            for { let end := add(i, shl(5, mload(point))) } lt(i, end) { i := add(i, 0x20) } {
                let challenge := mload(i)
                let c := add(at, sub(size, 0x20))
                let horner := calldataload(c)
                let sum := horner // c_2 + ... + c_d
                for { c := sub(c, 0x20) } gt(c, at) { c := sub(c, 0x20) } {
                    let coefficient := calldataload(c)
                    sum := add(sum, coefficient)
                    horner := addmod(mulmod(horner, challenge, P), coefficient, P)
                }
                let constant := calldataload(at)
                let linear := sub(P, addmod(sum, add(constant, constant), P))
                linear := addmod(value, linear, P)
                horner := addmod(mulmod(horner, challenge, P), linear, P)
                value := addmod(mulmod(horner, challenge, P), constant, P)
                at := add(at, size)
            }
        }
    }
}
