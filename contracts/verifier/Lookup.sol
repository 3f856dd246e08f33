// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Fr} from "./Field.sol";
import {read} from "./Memory.sol";
import {Multilinear} from "./Multilinear.sol";

/// @notice What lookups add to the end of the main sumcheck (prover/lookup.py).
library Lookup {
    /// @dev Where the relation is evaluated. `tau` and `r` are the addresses of their n
    ///      coordinates.
    struct Point {
        uint256 tau;
        uint256 r;
        uint256 n;
        uint256 nF;
        uint256 nT;
        uint256 rows;
        uint256 tableRows;
    }

    /// @dev P = 2^-(n-n_f) (alpha^R E_L(tau_f,r_f) (H D - N) + alpha^(R+2) [r_f<L] H)
    ///        + 2^-(n-n_T) (alpha^(R+1) E_T(tau_T,r_T) (G (beta-T) - M) - alpha^(R+2) [r_T<T] G)
    /// @param evaluations f_0 f_1 f_2 f_3 H G M T in calldata
    /// @param alphaR alpha^R
    function relation(Point memory point, uint256 evaluations, Fr alpha, Fr alphaR, Fr beta)
        internal
        pure
        returns (Fr)
    {
        Fr alphaSum = alphaR * alpha * alpha;
        return _slices(point, evaluations, alphaR, alphaSum, beta)
            + _table(point, evaluations, alphaR * alpha, alphaSum, beta);
    }

    function _slices(Point memory point, uint256 evaluations, Fr alphaZero, Fr alphaSum, Fr beta)
        private
        pure
        returns (Fr)
    {
        (uint256 tau, uint256 r) = _suffix(point, point.nF);
        Fr helper = Fr.wrap(read(evaluations, 4));
        Fr d0 = beta - Fr.wrap(read(evaluations, 0));
        Fr d1 = beta - Fr.wrap(read(evaluations, 1));
        Fr d2 = beta - Fr.wrap(read(evaluations, 2));
        Fr d3 = beta - Fr.wrap(read(evaluations, 3));
        Fr d01 = d0 * d1;
        Fr d23 = d2 * d3;
        Fr fractions = helper * d01 * d23 - (d0 + d1) * d23 - (d2 + d3) * d01;
        Fr zero = Multilinear.cutPair(tau, r, point.nF, point.rows) * fractions;
        Fr sum = Multilinear.cut(r, point.nF, point.rows) * helper;
        return
            (alphaZero * zero + alphaSum * sum) * Multilinear.inversePowerOfTwo(point.n - point.nF);
    }

    function _table(Point memory point, uint256 evaluations, Fr alphaZero, Fr alphaSum, Fr beta)
        private
        pure
        returns (Fr)
    {
        (uint256 tau, uint256 r) = _suffix(point, point.nT);
        Fr helper = Fr.wrap(read(evaluations, 5));
        Fr fraction =
            helper * (beta - Fr.wrap(read(evaluations, 7))) - Fr.wrap(read(evaluations, 6));
        Fr zero = Multilinear.cutPair(tau, r, point.nT, point.tableRows) * fraction;
        Fr sum = Multilinear.cut(r, point.nT, point.tableRows) * helper;
        return
            (alphaZero * zero - alphaSum * sum) * Multilinear.inversePowerOfTwo(point.n - point.nT);
    }

    /// @dev The addresses of the last `bits` coordinates of tau and of r.
    function _suffix(Point memory point, uint256 bits)
        private
        pure
        returns (uint256 tau, uint256 r)
    {
        unchecked {
            uint256 skipped = 32 * (point.n - bits);
            (tau, r) = (point.tau + skipped, point.r + skipped);
        }
    }
}
