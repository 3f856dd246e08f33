// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Fr} from "./Field.sol";
import {addressOf, load} from "./Memory.sol";
import {Multilinear} from "./Multilinear.sol";
import {Program, Programs} from "./Program.sol";

/// @notice What contractions add to the end of the main sumcheck (prover/einsum.py).
library Einsum {
    /// @dev a coef(r') = a sum_{m<C} coef_m eq(r', m),
    ///      coef_m = alpha^relation prod kernels 2^-(n - n_m).
    /// @param values by id
    /// @param alphas a times powers of alpha, by relation, as words in memory
    /// @param table eq(r', m) by m, as words in memory
    function coefficient(Program memory p, uint256[] memory values, uint256 alphas, uint256 table)
        internal
        pure
        returns (Fr total)
    {
        unchecked {
            for (uint256 at = p.contractionsAt; at < p.constantsAt; at += Programs.RECORD) {
                uint256 record = load(at);
                Fr one = Fr.wrap(load(alphas, record >> 240)) * Fr.wrap(load(table))
                    * _kernel(values, record >> 208) * _kernel(values, record >> 192)
                    * _kernel(values, record >> 176);
                total = total + one * Multilinear.inversePowerOfTwo(p.n - uint8(record >> 232));
                table += 32;
            }
        }
    }

    function _kernel(uint256[] memory values, uint256 id) private pure returns (Fr) {
        unchecked {
            return Fr.wrap(load(addressOf(values), uint16(id)));
        }
    }
}
