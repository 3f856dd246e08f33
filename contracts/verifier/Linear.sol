// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {AxisKernel} from "./AxisKernel.sol";
import {Challenges} from "./Challenges.sol";
import {Circuit} from "./Circuit.sol";
import {Fr, ONE, P, ZERO} from "./Field.sol";
import {addressOf, allocate, load, read, store} from "./Memory.sol";
import {Multilinear} from "./Multilinear.sol";
import {Program, Programs} from "./Program.sol";

/// @notice The linear claims (prover/linear.py): what each is worth, and the weight of every tile
///         at the point `tile`. Claim c is batched with a^c; docs/protocol/verifier.md#claims.
library Linear {
    using Programs for Program;

    // Claim numbers.
    uint256 internal constant SIGMA1 = 1;
    uint256 internal constant SLICE = 4;
    uint256 internal constant HELPER = 4 + Programs.SLICES;
    uint256 internal constant TABLE = 7 + Programs.SLICES;
    uint256 internal constant E_X = 8 + Programs.SLICES;
    uint256 internal constant E_Y = 9 + Programs.SLICES;
    uint256 internal constant SIDES = 10 + Programs.SLICES;

    /// @dev Powers of a by claim number.
    function claimPowers(Program memory p, Fr a) internal pure returns (uint256[] memory table) {
        unchecked {
            table = allocate(SIDES + 2 * p.contractions);
            _geometric(addressOf(table), ONE, a, table.length);
        }
    }

    /// @dev All values by id (docs/protocol/format.md#values): the last are the scalar side's sum
    ///      and the tiles', with room after them for the weights of E, Z1 and Z2.
    function values(
        Program memory p,
        Challenges memory drawn,
        AxisKernel.Scope memory scope,
        uint256[] memory powers
    ) internal pure returns (uint256[] memory found) {
        unchecked {
            found = allocate(p.values() + 3);
            uint256 out = AxisKernel.evaluateAll(p, scope, addressOf(found));
            out = _scales(p, drawn, powers, out);
            out = _constants(p, out);
            out = Circuit.products(p.productsAt, p.pairsAt, addressOf(found), out);
            Circuit.sums(p.pairsAt, p.end, addressOf(found), out);
        }
    }

    /// @dev Writes the scales of docs/protocol/format.md#scales, which begin with a times alpha's
    ///      powers.
    function _scales(
        Program memory p,
        Challenges memory drawn,
        uint256[] memory powers,
        uint256 out
    ) private pure returns (uint256) {
        unchecked {
            uint256 a = addressOf(powers);
            uint256 columns = p.cMax + 1;
            out = _geometric(out, _power(a, SIGMA1), drawn.alpha, p.relations);
            for (uint256 i = 0; i < p.slices; ++i) {
                out = _geometric(out, _power(a, SLICE + i), drawn.gamma, columns);
            }
            out = _geometric(out, _power(a, TABLE), drawn.gamma, columns);
            out = _geometric(out, _power(a, HELPER), drawn.batch, 3);
            return _geometric(out, ZERO - _power(a, SIDES), drawn.batch, 2 * p.contractions);
        }
    }

    /// @dev Where in memory a_t of tile t is, at word t + 1, and the scalar side, at word 0: the last
    ///      values, and what has a weight of its own.
    function tileWeights(
        Program memory p,
        Challenges memory drawn,
        uint256[] memory found,
        uint256[] memory powers
    ) internal pure returns (uint256 weights) {
        unchecked {
            uint256 e = addressOf(found) + 32 * p.values();
            weights = e - 32 * (p.eTile() + 1);
            store(e, Fr.unwrap(_eWeight(p, drawn, powers)));
            store(e + 32, 1);
            store(e + 64, Fr.unwrap(_onePlus(drawn.tile)));
            _addMasks(p, drawn, weights);
        }
    }

    /// @dev sum_c a^c v_c. `lookups` (f H G M T) and `sides` (e_x e_y) are places in calldata.
    /// @param first v_1, v_2 and a v_3
    function claimedValue(
        Program memory p,
        uint256[] memory powers,
        Fr[3] memory first,
        uint256 lookups,
        uint256 sides,
        Fr vMask
    ) internal pure returns (Fr value) {
        unchecked {
            uint256 a = addressOf(powers);
            value = vMask + _power(a, 1) * first[0] + _power(a, 2) * (first[1] + first[2]);
            for (uint256 i = 0; i < p.slices; ++i) {
                value = value + _power(a, SLICE + i) * Fr.wrap(read(lookups, i));
            }
            for (uint256 i = 0; i < 4; ++i) {
                value = value + _power(a, HELPER + i) * Fr.wrap(read(lookups, p.slices + i));
            }
            value = value + _power(a, E_X) * Fr.wrap(read(sides, 0));
            value = value + _power(a, E_Y) * Fr.wrap(read(sides, 1));
        }
    }

    /// @dev Writes the constants, four int64 a word.
    function _constants(Program memory p, uint256 out) private pure returns (uint256) {
        uint256 at = p.constantsAt;
        uint256 end = p.productsAt;
        assembly ("memory-safe") {
            for {} lt(at, end) { at := add(at, 8) } {
                mstore(out, add(P, signextend(7, shr(192, mload(at)))))
                out := add(out, 0x20)
            }
        }
        return out;
    }

    function _addMasks(Program memory p, Challenges memory drawn, uint256 weights) private pure {
        unchecked {
            Fr a = drawn.batch;
            uint256 at = addressOf(drawn.tile);
            Mask memory mask = Mask(p.mask1Offset, Programs.MASK1_POWERS, p.slices + 2, a, a * a);
            Fr weight = _maskWeight(at, p.k, mask, drawn.r);
            _addTo(weights, p.mask1Tile + 1, weight);
            mask = Mask(p.mask2Offset, Programs.MASK2_POWERS, 3, ZERO - mask.end, mask.end * a);
            weight = _maskWeight(at, p.k, mask, drawn.side);
            _addTo(weights, p.mask2Tile + 1, weight);
        }
    }

    /// @dev A mask: where it lies, 2^powerBits cells a variable, its degree, and the factors of its
    ///      sum and of its value at the end.
    struct Mask {
        uint256 offset;
        uint256 powerBits;
        uint256 degree;
        Fr total;
        Fr end;
    }

    /// @dev The weight at `tile` of a mask: sum over its cells (i, d) of
    ///      eq(cell) (total * [weight in its sum] + end * [weight in its value at r]), which are
    ///      2^n and 1 for (0, 0), 2^(n-1) and r_i^d for the others.
    function _maskWeight(uint256 tile, uint256 k, Mask memory mask, uint256[] memory r)
        private
        pure
        returns (Fr)
    {
        unchecked {
            uint256 bits = Programs.ceilLog2(r.length);
            uint256 split = k - bits - mask.powerBits;
            Fr place = Multilinear.eqConst(tile, split, mask.offset >> (bits + mask.powerBits));
            uint256 high = Multilinear.eqTable(tile + 32 * split, bits);
            uint256 low = Multilinear.eqTable(tile + 32 * (split + bits), mask.powerBits);
            Fr half = mask.total * Fr.wrap(1 << (r.length - 1));
            Fr sum = (half + half + mask.end) * Fr.wrap(load(high)) * Fr.wrap(load(low));
            return place * (sum + _maskCells(high, low, mask.degree, r, half, mask.end));
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
            let long := gt(degree, 3)
            if long {
                // Eight cells a variable: those beyond the degree weigh nothing, and calldata beyond
                // its end is zero.
                let beyond := add(low, shl(5, add(degree, 1)))
                calldatacopy(beyond, calldatasize(), shl(5, sub(6, degree)))
            }
            for { let i := 0 } lt(i, mload(r)) { i := add(i, 1) } {
                let x := mload(add(add(r, 0x20), shl(5, i)))
                let inner := 0
                if long {
                    inner := mulmod(mload(add(low, 0xc0)), x, P)
                    inner := mulmod(add(inner, mload(add(low, 0xa0))), x, P)
                    inner := mulmod(add(inner, mload(add(low, 0x80))), x, P)
                }
                inner := mulmod(add(inner, mload(add(low, 0x60))), x, P)
                inner := mulmod(add(inner, mload(add(low, 0x40))), x, P)
                inner := mulmod(add(inner, mload(add(low, 0x20))), x, P)
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
            Fr rows = _rows(low, p.mu, p.contractions, a);
            Fr x = _power(a, E_X) * end + _power(a, SIDES) * rows;
            Fr y = _power(a, E_Y) * end + _power(a, SIDES + p.contractions) * rows;
            return place * (x + side * (y - x));
        }
    }

    /// @dev sum_{m<n} a^m eq(point, m), for n < 2^bits and the powers of a from 0 to n: from the low
    ///      bits up, the weight of all suffixes and of those below that of n.
    function _rows(uint256 at, uint256 bits, uint256 n, uint256 powers)
        private
        pure
        returns (Fr below)
    {
        assembly ("memory-safe") {
            let all := 1
            let power := 0x20 // where a^(2^i) is
            for { let i := add(at, shl(5, bits)) } gt(i, at) {} {
                i := sub(i, 0x20)
                let y := mload(i)
                let zero := sub(add(P, 1), y)
                let one := mulmod(y, mload(add(powers, power)), P)
                switch and(n, 1)
                case 0 { below := mulmod(below, zero, P) }
                default { below := add(mulmod(all, zero, P), mulmod(below, one, P)) }
                all := mulmod(all, add(zero, one), P)
                n := shr(1, n)
                power := shl(1, power)
            }
            below := mod(below, P)
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

    function _addTo(uint256 weights, uint256 i, Fr value) private pure {
        unchecked {
            uint256 at = weights + 32 * i;
            store(at, Fr.unwrap(Fr.wrap(load(at)) + value));
        }
    }
}
