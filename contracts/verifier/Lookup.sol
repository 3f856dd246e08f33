// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Fr, ONE, ZERO} from "./Field.sol";
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
        uint256 slices;
    }

    /// @dev P = 2^-(n-n_f) (alpha^R E_L(tau_f,r_f) (H D - N) + alpha^(R+2) [r_f<L] H)
    ///        + 2^-(n-n_T) (alpha^(R+1) E_T(tau_T,r_T) (G (beta-T) - M) - alpha^(R+2) [r_T<T] G)
    /// @param evaluations f_0 ... f_{K-1} H G M T in calldata
    /// @param alphaR alpha^R
    function relation(Point memory point, uint256 evaluations, Fr alpha, Fr alphaR, Fr beta)
        internal
        pure
        returns (Fr)
    {
        Fr alphaSum = alphaR * alpha * alpha;
        unchecked {
            uint256 helpers = evaluations + 32 * point.slices;
            return _slices(point, evaluations, helpers, alphaR, alphaSum, beta)
                + _table(point, helpers, alphaR * alpha, alphaSum, beta);
        }
    }

    function _slices(
        Point memory point,
        uint256 slices,
        uint256 helpers,
        Fr alphaZero,
        Fr alphaSum,
        Fr beta
    ) private pure returns (Fr) {
        (uint256 tau, uint256 r) = _suffix(point, point.nF);
        Fr helper = Fr.wrap(read(helpers, 0));
        (Fr product, Fr partial_) = (ONE, ZERO); // D and N of the slices so far
        for (; slices < helpers; slices += 32) {
            Fr factor = beta - Fr.wrap(read(slices, 0));
            partial_ = partial_ * factor + product;
            product = product * factor;
        }
        Fr fractions = helper * product - partial_;
        Fr zero = Multilinear.cutPair(tau, r, point.nF, point.rows) * fractions;
        Fr sum = Multilinear.cut(r, point.nF, point.rows) * helper;
        return
            (alphaZero * zero + alphaSum * sum) * Multilinear.inversePowerOfTwo(point.n - point.nF);
    }

    function _table(Point memory point, uint256 helpers, Fr alphaZero, Fr alphaSum, Fr beta)
        private
        pure
        returns (Fr)
    {
        (uint256 tau, uint256 r) = _suffix(point, point.nT);
        Fr helper = Fr.wrap(read(helpers, 1));
        Fr fraction = helper * (beta - Fr.wrap(read(helpers, 3))) - Fr.wrap(read(helpers, 2));
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
