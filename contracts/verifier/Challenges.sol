// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Fr} from "./Field.sol";

/// @dev Every challenge up to the opening's, in the order in which it is drawn
///      (prover/challenges.py): gamma folds lookup columns, alpha batches relations, batch (a)
///      batches linear claims. Points: rho (einsum axes), tau (lookup rows), r (main sumcheck),
///      side (r'), tile (y).
struct Challenges {
    Fr gamma;
    Fr beta;
    uint256[] rho;
    Fr alpha;
    uint256[] tau;
    uint256[] r;
    uint256[] side;
    Fr batch;
    uint256[] tile;
}
