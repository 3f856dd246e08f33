// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Challenges} from "./Challenges.sol";
import {Fr, ONE, P, ZERO} from "./Field.sol";
import {addressOf, load, read, store} from "./Memory.sol";
import {Multilinear} from "./Multilinear.sol";
import {Program, Programs} from "./Program.sol";

/// @notice The linear claims (prover/linear.py): what each is worth, and the weight of every tile
///         at the point `tile`. Claim c is batched with a^c; docs/protocol/verifier.md#claims.
library Linear {
    using Programs for Program;

    // Claim numbers.
    uint256 internal constant SLICE = 3;
    uint256 internal constant HELPER = 3 + Programs.SLICES;
    uint256 internal constant TABLE = 6 + Programs.SLICES;
    uint256 internal constant E_X = 7 + Programs.SLICES;
    uint256 internal constant E_Y = 8 + Programs.SLICES;
    uint256 internal constant SIDES = 9 + Programs.SLICES;

    /// @dev The offsets of words that 16 bits can name.
    uint256 private constant OFFSETS = 0x1fffe0;

    /// @dev Powers of a by claim number, up to the claim on Z1 and Z2.
    function claimPowers(Program memory p, Fr a) internal pure returns (uint256[] memory table) {
        unchecked {
            table = new uint256[](maskClaim(p) + 1);
            _geometric(addressOf(table), ONE, a, table.length);
        }
    }

    /// @dev The number of the claim on Z1 and Z2.
    function maskClaim(Program memory p) internal pure returns (uint256) {
        unchecked {
            return SIDES + 2 * p.contractions;
        }
    }

    /// @dev The scale table of docs/protocol/format.md#terms; it begins with alpha's powers.
    function scales(Program memory p, Challenges memory drawn, uint256[] memory powers)
        internal
        pure
        returns (uint256[] memory table)
    {
        unchecked {
            table = new uint256[](p.scales());
            uint256 a = addressOf(powers);
            uint256 columns = p.cMax + 1;
            uint256 out = _geometric(addressOf(table), ONE, drawn.alpha, p.relations);
            for (uint256 i = 0; i < Programs.SLICES; ++i) {
                out = _geometric(out, _power(a, SLICE + i), drawn.gamma, columns);
            }
            out = _geometric(out, _power(a, TABLE), drawn.gamma, columns);
            out = _geometric(out, _power(a, HELPER), drawn.batch, 3);
            _geometric(out, ZERO - _power(a, SIDES), drawn.batch, 2 * p.contractions);
        }
    }

    /// @dev a_t for every tile t, at [t + 1], and the scalar side, at [0].
    function tileWeights(
        Program memory p,
        Challenges memory drawn,
        uint256[] memory kernels,
        uint256[] memory scaleTable,
        uint256[] memory powers
    ) internal pure returns (uint256[] memory weights) {
        unchecked {
            weights = new uint256[](p.tiles() + 1);
            _addTerms(p, kernels, scaleTable, weights);
            _addMasks(p, drawn, weights);
            uint256 e = p.eTile() + 1;
            Fr z = _power(addressOf(powers), maskClaim(p));
            _addTo(weights, e, _eWeight(p, drawn, powers));
            _addTo(weights, e + 1, z);
            _addTo(weights, e + 2, z * _onePlus(drawn.tile));
        }
    }

    /// @dev sum_c a^c v_c. `lookups` (f H G M T) and `sides` (e_x e_y) are places in calldata.
    function claimedValue(
        uint256[] memory powers,
        Fr[3] memory first,
        uint256 lookups,
        uint256 sides,
        Fr vMask
    ) internal pure returns (Fr value) {
        unchecked {
            uint256 a = addressOf(powers);
            value = first[0] + _power(a, 1) * first[1] + _power(a, 2) * first[2]
                + _power(a, powers.length - 1) * vMask;
            for (uint256 i = 0; i < Programs.SLICES + 4; ++i) {
                value = value + _power(a, SLICE + i) * Fr.wrap(read(lookups, i));
            }
            value = value + _power(a, E_X) * Fr.wrap(read(sides, 0));
            value = value + _power(a, E_Y) * Fr.wrap(read(sides, 1));
        }
    }

    /// @dev Each term adds scale * coefficient * prod kernels to its tile.
    function _addTerms(
        Program memory p,
        uint256[] memory kernels,
        uint256[] memory scaleTable,
        uint256[] memory weights
    ) private pure {
        uint256 at = p.termsAt;
        uint256 count = p.terms;
        assembly ("memory-safe") {
            let values := add(kernels, 0x20)
            let scaled := add(scaleTable, 0x20)
            let tiles := add(weights, 0x20)
            let end := add(at, shl(5, count))
            for {} lt(at, end) { at := add(at, 0x20) } {
                // One more in the tile: 0xFFFF, the scalar side, comes to lie at 0. A field of 16
                // bits is taken five bits too high, so as the offset of a word.
                let record := add(mload(at), shl(240, 1))
                let value :=
                    mulmod(
                        mload(add(scaled, and(shr(219, record), OFFSETS))),
                        add(P, signextend(7, shr(160, record))),
                        P
                    )
                // Five ids; an id of 0 is the constant 1. Most terms have two or three.
                value := mulmod(value, mload(add(values, and(shr(139, record), OFFSETS))), P)
                value := mulmod(value, mload(add(values, and(shr(123, record), OFFSETS))), P)
                let ids := and(shr(80, record), 0xffffffffffff)
                if ids {
                    value := mulmod(value, mload(add(values, shl(5, shr(32, ids)))), P)
                    ids := and(ids, 0xffffffff)
                    if ids {
                        value := mulmod(value, mload(add(values, shl(5, shr(16, ids)))), P)
                        value := mulmod(value, mload(add(values, shl(5, and(ids, 0xffff)))), P)
                    }
                }
                let tile := add(tiles, and(shr(235, record), OFFSETS))
                mstore(tile, addmod(mload(tile), value, P))
            }
        }
    }

    function _addMasks(Program memory p, Challenges memory drawn, uint256[] memory weights)
        private
        pure
    {
        unchecked {
            Fr a = drawn.batch;
            uint256 at = addressOf(drawn.tile);
            Fr weight = _maskWeight(at, p.k, p.mask1Offset, Programs.MASK1_POWERS, drawn.r, ONE, a);
            _addTo(weights, p.mask1Tile + 1, weight);
            weight = _maskWeight(
                at, p.k, p.mask2Offset, Programs.MASK2_POWERS, drawn.side, ZERO - a, a * a
            );
            _addTo(weights, p.mask2Tile + 1, weight);
        }
    }

    /// @dev The weight at `tile` of a mask of degree 2^powerBits - 2, or 3 for 4 powers a variable:
    ///      sum over its cells (i, d) of eq(cell) (total * [weight in its sum] + end * [weight in
    ///      its value at r]), which are 2^n and 1 for (0, 0), 2^(n-1) and r_i^d for the others.
    function _maskWeight(
        uint256 tile,
        uint256 k,
        uint256 offset,
        uint256 powerBits,
        uint256[] memory r,
        Fr total,
        Fr end
    ) private pure returns (Fr) {
        unchecked {
            uint256 bits = Programs.ceilLog2(r.length);
            uint256 split = k - bits - powerBits;
            Fr place = Multilinear.eqConst(tile, split, offset >> (bits + powerBits));
            uint256 high = Multilinear.eqTable(tile + 32 * split, bits);
            uint256 low = Multilinear.eqTable(tile + 32 * (split + bits), powerBits);
            uint256 degree = powerBits == Programs.MASK1_POWERS ? Programs.SLICES + 2 : 3;
            Fr half = total * Fr.wrap(1 << (r.length - 1));
            Fr sum = (half + half + end) * Fr.wrap(load(high)) * Fr.wrap(load(low));
            return place * (sum + _maskCells(high, low, degree, r, half, end));
        }
    }

    /// @dev sum_{i<n} high_i sum_{d=1..degree} low_d (half + end r_i^d)
    function _maskCells(
        uint256 high,
        uint256 low,
        uint256 degree,
        uint256[] memory r,
        Fr half,
        Fr end
    ) private pure returns (Fr sum) {
        assembly ("memory-safe") {
            let lows := 0 // at most six: below 2^256 only modulo P
            for { let d := degree } d { d := sub(d, 1) } {
                lows := addmod(lows, mload(add(low, shl(5, d))), P)
            }
            half := mulmod(half, lows, P)
            let highest := add(low, shl(5, degree))
            for { let i := 0 } lt(i, mload(r)) { i := add(i, 1) } {
                let x := mload(add(add(r, 0x20), shl(5, i)))
                let inner := 0
                for { let d := highest } gt(d, low) { d := sub(d, 0x20) } {
                    inner := mulmod(add(inner, mload(d)), x, P)
                }
                inner := add(half, mulmod(inner, end, P))
                sum := addmod(sum, mulmod(mload(add(high, shl(5, i))), inner, P), P)
            }
        }
    }

    /// @dev E_x at cells 0..2^mu - 1, E_y at 2^mu..2^(mu+1) - 1 of its tile.
    function _eWeight(Program memory p, Challenges memory drawn, uint256[] memory powers)
        private
        pure
        returns (Fr)
    {
        unchecked {
            uint256 at = addressOf(drawn.tile);
            uint256 low = at + 32 * (p.k - p.mu);
            uint256 a = addressOf(powers);
            Fr place = Multilinear.eqConst(at, p.k - p.mu - 1, 0);
            Fr side = Fr.wrap(load(low - 32));
            Fr end = Multilinear.eq(addressOf(drawn.side), low, p.mu);
            // sum_{m<C} a^m eq(low, m)
            uint256 table = Multilinear.eqTable(low, p.mu);
            Fr rows = ZERO;
            for (uint256 m = 0; m < p.contractions; ++m) {
                rows = rows + _power(a, m) * Fr.wrap(load(table, m));
            }
            Fr x = _power(a, E_X) * end + _power(a, SIDES) * rows;
            Fr y = _power(a, E_Y) * end + _power(a, SIDES + p.contractions) * rows;
            return place * (x + side * (y - x));
        }
    }

    /// @dev prod (1 + y_i)
    function _onePlus(uint256[] memory point) private pure returns (Fr product) {
        assembly ("memory-safe") {
            product := 1
            let at := add(point, 0x20)
            for { let end := add(at, shl(5, mload(point))) } lt(at, end) { at := add(at, 0x20) } {
                product := mulmod(product, add(mload(at), 1), P)
            }
        }
    }

    /// @dev Writes first * ratio^i for i < count; returns the address after.
    function _geometric(uint256 out, Fr first, Fr ratio, uint256 count)
        private
        pure
        returns (uint256 end)
    {
        assembly ("memory-safe") {
            end := add(out, shl(5, count))
            for {} lt(out, end) { out := add(out, 0x20) } {
                mstore(out, first)
                first := mulmod(first, ratio, P)
            }
        }
    }

    function _power(uint256 powers, uint256 c) private pure returns (Fr) {
        return Fr.wrap(load(powers, c));
    }

    function _addTo(uint256[] memory weights, uint256 i, Fr value) private pure {
        unchecked {
            uint256 at = addressOf(weights) + 32 * i;
            store(at, Fr.unwrap(Fr.wrap(load(at)) + value));
        }
    }
}
