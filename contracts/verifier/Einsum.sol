// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Fr} from "./Field.sol";
import {addressOf, allocate, load, store} from "./Memory.sol";
import {Multilinear} from "./Multilinear.sol";
import {Program, Programs} from "./Program.sol";

/// @notice What contractions add to the end of the main sumcheck (prover/einsum.py).
library Einsum {
    /// @dev a coef(r') = a sum_{m<C} coef_m eq(r', m),
    ///      coef_m = alpha^relation prod kernels 2^-(n - n_m).
    /// @param values by id
    /// @param alphas a times powers of alpha, by relation, as words in memory
    /// @param side the address of r'
    function coefficient(Program memory p, uint256[] memory values, uint256 alphas, uint256 side)
        internal
        pure
        returns (Fr)
    {
        unchecked {
            uint256[] memory factors = allocate(p.contractions + 1);
            uint256 out = addressOf(factors);
            for (uint256 at = p.contractionsAt; at < p.constantsAt; at += Programs.RECORD) {
                uint256 record = load(at);
                Fr one = Fr.wrap(load(alphas, record >> 240)) * _kernel(values, record >> 208)
                    * _kernel(values, record >> 192) * _kernel(values, record >> 176)
                    * Multilinear.inversePowerOfTwo(p.n - uint8(record >> 232));
                store(out, Fr.unwrap(one));
                out += 32;
            }
            return Multilinear.fold(addressOf(factors), p.contractions, side, p.mu);
        }
    }

    function _kernel(uint256[] memory values, uint256 id) private pure returns (Fr) {
        unchecked {
            return Fr.wrap(load(addressOf(values), uint16(id)));
        }
    }
}
