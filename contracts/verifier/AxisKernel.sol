// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Fr, P, ZERO, power as fieldPower} from "./Field.sol";
import {addressOf, load, store} from "./Memory.sol";
import {Multilinear} from "./Multilinear.sol";
import {Program, Programs} from "./Program.sol";

/// @notice Axis kernels and public views (prover/program/axis.py), each evaluated once. What the
///         formulas are: docs/protocol/format.md#kernels and #public.
library AxisKernel {
    uint256 private constant EQ = 1;
    uint256 private constant CUT = 2;
    uint256 private constant SHIFT = 3;
    uint256 private constant INDEX = 5;

    /// @dev Cells in a word of calldata, as a power of two, and their sign bits.
    uint256 private constant LANE_BITS = 4;
    uint256 private constant SIGNS =
        0x8000800080008000800080008000800080008000800080008000800080008000;

    /// @dev The cells of a public tensor's axis that have a weight: eq of the point with first, ...,
    ///      end - 1, the first of them being the axis' cell `cell` of `length`.
    struct Axis {
        uint256 first;
        uint256 end;
        uint256 cell;
        uint256 length;
    }

    /// @dev What kernels range over: the points rho, r and tile; gamma; where the public tensors
    ///      begin in calldata.
    struct Scope {
        uint256[][3] points;
        Fr gamma;
        uint256 input;
        uint256 output;
    }

    /// @dev Writes the values that are not made of others: 1, those of coordinates, heaps, kernels
    ///      and public views (docs/protocol/format.md#values). Returns the address after.
    function evaluateAll(Program memory p, Scope memory scope, uint256 out)
        internal
        pure
        returns (uint256)
    {
        unchecked {
            store(out, 1);
            out += 32;
            for (uint256 i = 0; i < 3; ++i) {
                out = _coordinates(scope.points[i], out);
            }
            uint256 rows = addressOf(scope.points[1]) + 32 * (p.n - p.nF);
            out = Multilinear.prefixHeaps(out, rows, p.nF);
            out = Multilinear.prefixHeaps(out, addressOf(scope.points[2]), p.k);
            for (uint256 at = p.kernelsAt; at < p.viewsAt; at += Programs.RECORD) {
                out = evaluate(load(at), scope, out);
            }
            for (uint256 at = p.viewsAt; at < p.contractionsAt; at += 2 * Programs.RECORD) {
                store(out, Fr.unwrap(evaluatePublic(load(at), load(at + Programs.RECORD), scope)));
                out += 32;
            }
            return out;
        }
    }

    /// @dev Writes 1 - x and x for every coordinate. Products reduce P + 1, where x is 0, and P.
    function _coordinates(uint256[] memory point, uint256 out) private pure returns (uint256 end) {
        assembly ("memory-safe") {
            let at := add(point, 0x20)
            end := add(out, shl(6, mload(point)))
            for {} lt(out, end) { out := add(out, 0x40) } {
                let x := mload(at)
                mstore(out, sub(add(P, 1), x))
                mstore(add(out, 0x20), x)
                at := add(at, 0x20)
            }
        }
    }

    /// @dev Writes the values of a kernel record that `Programs.check` accepted: of EQ and INDEX one
    ///      for each number of last coordinates. A span is source, first coordinate and number of
    ///      coordinates, in the low three bytes of a word. Returns the address after.
    function evaluate(uint256 record, Scope memory scope, uint256 out)
        internal
        pure
        returns (uint256)
    {
        unchecked {
            uint256 kind = record >> 248;
            (uint256 p, uint256 y) = (record >> 224, record >> 200);
            (uint256 left, uint256 right) = (_locate(scope, p), _locate(scope, y));
            (uint256 bitsP, uint256 bitsY) = (uint8(p), uint8(y));
            if (kind == EQ) {
                return Multilinear.eqSuffixes(out, left + 32 * bitsP, right + 32 * bitsY, bitsP);
            }
            int256 shift = int32(uint32(record >> 128));
            if (kind == INDEX) return index(out, left + 32 * bitsP, bitsP, shift);
            uint256 constant_ = uint32(record >> 160);
            store(out, Fr.unwrap(_one(kind, left, bitsP, right, bitsY, constant_, shift, scope)));
            return out + 32;
        }
    }

    function _one(
        uint256 kind,
        uint256 left,
        uint256 bitsP,
        uint256 right,
        uint256 bitsY,
        uint256 constant_,
        int256 shift,
        Scope memory scope
    ) private pure returns (Fr) {
        if (kind == CUT) return Multilinear.cut(left, bitsP, constant_);
        if (kind == SHIFT) {
            // An axis that is cut, of most: cells see the rows of their own number.
            if (shift == 0 && bitsP == bitsY && constant_ >> bitsP == 0) {
                return Multilinear.cutPair(left, right, bitsP, constant_);
            }
            unchecked {
                // A box of a longer axis: every cell sees a row.
                if (shift >= 0 && uint256(shift) + (1 << bitsY) <= constant_) {
                    return Multilinear.eqMoved(left, bitsP, right, bitsY, uint256(shift));
                }
            }
            return shifted(left, bitsP, right, bitsY, constant_, shift);
        }
        return power(scope.gamma, right, bitsY, constant_);
    }

    /// @dev SHIFT: sum_{j < 2^bitsY, 0 <= j + d < n} eq(P, j + d) eq(Y, j), for n <= 2^bitsP. A
    ///      walk from the least significant bit. For each carry of j + d it keeps the weight of all
    ///      low parts, and of those where j + d is below n. If the bit of d equals the carry, the
    ///      bit of j + d is that of j and the carry stays; else it is the other, and becomes the
    ///      carry's complement: the next carry is the bit of j.
    function shifted(uint256 left, uint256 bitsP, uint256 right, uint256 bitsY, uint256 n, int256 d)
        internal
        pure
        returns (Fr result)
    {
        assembly ("memory-safe") {
            let width := bitsP
            if gt(bitsY, width) { width := bitsY }
            // Weights for carry 0 and carry 1.
            let all0 := 1
            let all1 := 0
            let below0 := 0
            let below1 := 0
            for { let i := 0 } lt(i, width) { i := add(i, 1) } {
                let x := 0
                if lt(i, bitsP) { x := mload(add(left, shl(5, sub(sub(bitsP, i), 1)))) }
                let y := 0
                if lt(i, bitsY) { y := mload(add(right, shl(5, sub(sub(bitsY, i), 1)))) }
                // wJX is the weight of bit J of j and bit X of j + d.
                let w11 := mulmod(x, y, P)
                let w10 := addmod(y, sub(P, w11), P)
                let w01 := addmod(x, sub(P, w11), P)
                let w00 := addmod(1, sub(P, addmod(x, w10, P)), P)
                let bitN := and(shr(i, n), 1)

                // `same` holds the weights of the carry that equals the bit of d, `other` the rest.
                let bitD := and(sar(i, d), 1)
                let sameAll := all0
                let sameBelow := below0
                let otherAll := all1
                let otherBelow := below1
                if bitD {
                    sameAll := all1
                    sameBelow := below1
                    otherAll := all0
                    otherBelow := below0
                }
                // What counts as below after bit X: everything if X < bitN, nothing if X > bitN.
                let sameBelow0 := sameBelow
                let sameBelow1 := 0
                let otherBelow0 := otherBelow
                let otherBelow1 := 0
                if bitN {
                    sameBelow0 := sameAll
                    sameBelow1 := sameBelow
                    otherBelow0 := otherAll
                    otherBelow1 := otherBelow
                }
                // `same` goes on to carry bitD; `other` to the bit J of j.
                let stayAll := mulmod(sameAll, add(w00, w11), P)
                let stayBelow := addmod(mulmod(sameBelow0, w00, P), mulmod(sameBelow1, w11, P), P)
                all0 := mulmod(otherAll, w01, P)
                below0 := mulmod(otherBelow1, w01, P)
                all1 := mulmod(otherAll, w10, P)
                below1 := mulmod(otherBelow0, w10, P)
                switch bitD
                case 0 {
                    all0 := addmod(all0, stayAll, P)
                    below0 := addmod(below0, stayBelow, P)
                }
                default {
                    all1 := addmod(all1, stayAll, P)
                    below1 := addmod(below1, stayBelow, P)
                }
            }
            // Above: (d >> width) + carry must be zero, and n counts if it has a bit there.
            let high := sar(width, d)
            if iszero(high) {
                result := below0
                if shr(width, n) { result := all0 }
            }
            if iszero(not(high)) {
                result := below1
                if shr(width, n) { result := all1 }
            }
        }
    }

    /// @dev POWER: gamma^exponent prod (1 - y_i + y_i gamma^(2^i)), i from the least significant.
    function power(Fr gamma, uint256 at, uint256 bits, uint256 exponent)
        internal
        pure
        returns (Fr product)
    {
        product = fieldPower(gamma, exponent);
        assembly ("memory-safe") {
            for { let i := add(at, shl(5, bits)) } gt(i, at) {} {
                i := sub(i, 0x20)
                let factor := addmod(mulmod(mload(i), add(gamma, sub(P, 1)), P), 1, P)
                product := mulmod(product, factor, P)
                gamma := mulmod(gamma, gamma, P)
            }
        }
    }

    /// @dev INDEX: writes shift + sum_{i<j} 2^i p_i for j = 1, ..., `bits`, i from the last coordinate
    ///      before an address. Returns the address after.
    function index(uint256 out, uint256 last, uint256 bits, int256 shift)
        internal
        pure
        returns (uint256 end)
    {
        assembly ("memory-safe") {
            let total := addmod(add(P, shift), 0, P)
            let weight := 1
            end := add(out, shl(5, bits))
            for {} lt(out, end) { out := add(out, 0x20) } {
                last := sub(last, 0x20)
                total := addmod(total, mulmod(weight, mload(last), P), P)
                weight := shl(1, weight)
                mstore(out, total)
            }
        }
    }

    /// @dev The sum over the cells of a public tensor of V[cell] times its axes' weights,
    ///      w(i) = eq(P, i - shift) where 0 <= i - shift < n: axes are contracted from the last.
    function evaluatePublic(uint256 record, uint256 specs, Scope memory scope)
        internal
        pure
        returns (Fr)
    {
        unchecked {
            uint256 tensor = record >> 248 == 0 ? scope.input : scope.output;
            tensor += uint32(record >> 208);
            uint256 axes = uint8(record >> 240);
            uint256 rows = 1;
            for (uint256 i = 0; i + 1 < axes; ++i) {
                rows *= uint16(specs >> (224 - 64 * i));
            }
            uint256 vector = _contractCells(specs << (64 * (axes - 1)), tensor, rows, scope);
            for (uint256 i = axes - 1; i != 0; --i) {
                uint256 spec = specs << (64 * (i - 1));
                rows /= uint16(spec >> 224);
                _contractVector(spec, vector, rows, scope);
            }
            return Fr.wrap(load(vector));
        }
    }

    /// @dev One axis, the last, of int16 cells in calldata: a vector of `rows` words in new memory.
    ///      The 16 cells of a word have all but four coordinates in common: their sum by the weights
    ///      of those four is multiplied by that of the others. A cell is read as cell + 2^15, which
    ///      is not negative; 2^15 times all weights is taken off in the end.
    function _contractCells(uint256 spec, uint256 tensor, uint256 rows, Scope memory scope)
        private
        pure
        returns (uint256 vector)
    {
        unchecked {
            (Axis memory axis, uint256 point, uint256 bits) = _axis(spec, scope);
            uint256 highBits = bits < LANE_BITS ? 0 : bits - LANE_BITS;
            uint256 low = Multilinear.eqTable(point + 32 * highBits, bits - highBits);
            uint256 high = Multilinear.eqTable(point, highBits);
            high += 32 * (axis.first >> LANE_BITS);
            Fr all =
                Multilinear.cut(point, bits, axis.end) - Multilinear.cut(point, bits, axis.first);
            uint256 bias = Fr.unwrap(ZERO - Fr.wrap(1 << 15) * all);
            uint256 words;
            if (axis.first < axis.end) {
                words = ((axis.end - 1) >> LANE_BITS) - (axis.first >> LANE_BITS) + 1;
            }
            return _contractWords(axis, tensor, rows, words, low, high, bias);
        }
    }

    /// @dev For every row the sum over its words of `high` times the sum over cells of `low`, and the
    ///      bias.
    function _contractWords(
        Axis memory axis,
        uint256 tensor,
        uint256 rows,
        uint256 words,
        uint256 low,
        uint256 high,
        uint256 bias
    ) private pure returns (uint256 vector) {
        assembly ("memory-safe") {
            vector := mload(0x40)
            mstore(0x40, add(vector, shl(5, rows)))
            let first := mload(axis)
            // Cells before the first of a row and after its last weigh nothing.
            let firstMask := shr(shl(4, and(first, 15)), not(0))
            let lastMask := shl(shl(4, and(sub(0, mload(add(axis, 0x20))), 15)), not(0))
            tensor := add(tensor, shl(1, sub(mload(add(axis, 0x40)), and(first, 15))))
            let stride := shl(1, mload(add(axis, 0x60)))
            for { let out := vector } rows { rows := sub(rows, 1) } {
                let sum := bias
                let mask := firstMask
                let weight := high
                let at := tensor
                for { let left := words } left {} {
                    left := sub(left, 1)
                    if iszero(left) { mask := and(mask, lastMask) }
                    let word := and(xor(calldataload(at), SIGNS), mask)
                    mask := not(0)
                    // Five products add up to less than 2^256.
                    let part := mulmod(shr(240, word), mload(low), P)
                    part := add(part, mulmod(and(shr(224, word), 0xffff), mload(add(low, 0x20)), P))
                    part := add(part, mulmod(and(shr(208, word), 0xffff), mload(add(low, 0x40)), P))
                    part := add(part, mulmod(and(shr(192, word), 0xffff), mload(add(low, 0x60)), P))
                    part := add(part, mulmod(and(shr(176, word), 0xffff), mload(add(low, 0x80)), P))
                    let rest := mulmod(and(shr(160, word), 0xffff), mload(add(low, 0xa0)), P)
                    rest := add(rest, mulmod(and(shr(144, word), 0xffff), mload(add(low, 0xc0)), P))
                    rest := add(rest, mulmod(and(shr(128, word), 0xffff), mload(add(low, 0xe0)), P))
                    rest := add(
                        rest,
                        mulmod(and(shr(112, word), 0xffff), mload(add(low, 0x100)), P)
                    )
                    rest := add(rest, mulmod(and(shr(96, word), 0xffff), mload(add(low, 0x120)), P))
                    part := addmod(part, rest, P)
                    part := add(part, mulmod(and(shr(80, word), 0xffff), mload(add(low, 0x140)), P))
                    part := add(part, mulmod(and(shr(64, word), 0xffff), mload(add(low, 0x160)), P))
                    part := add(part, mulmod(and(shr(48, word), 0xffff), mload(add(low, 0x180)), P))
                    part := add(part, mulmod(and(shr(32, word), 0xffff), mload(add(low, 0x1a0)), P))
                    rest := mulmod(and(shr(16, word), 0xffff), mload(add(low, 0x1c0)), P)
                    rest := add(rest, mulmod(and(word, 0xffff), mload(add(low, 0x1e0)), P))
                    part := addmod(part, rest, P)
                    sum := addmod(sum, mulmod(part, mload(weight), P), P)
                    weight := add(weight, 0x20)
                    at := add(at, 0x20)
                }
                mstore(out, sum)
                out := add(out, 0x20)
                tensor := add(tensor, stride)
            }
        }
    }

    /// @dev The last axis of a vector of `rows` times its length words, in place.
    function _contractVector(uint256 spec, uint256 vector, uint256 rows, Scope memory scope)
        private
        pure
    {
        (Axis memory axis, uint256 point, uint256 bits) = _axis(spec, scope);
        uint256 table = Multilinear.eqTable(point, bits);
        assembly ("memory-safe") {
            let first := mload(axis)
            let size := shl(5, sub(mload(add(axis, 0x20)), first))
            let stride := shl(5, mload(add(axis, 0x60)))
            table := add(table, shl(5, first))
            let row := add(vector, shl(5, mload(add(axis, 0x40))))
            for { let out := vector } rows { rows := sub(rows, 1) } {
                let sum := 0
                let weight := table
                let cell := row
                for { let end := add(cell, size) } lt(cell, end) { cell := add(cell, 0x20) } {
                    sum := addmod(sum, mulmod(mload(cell), mload(weight), P), P)
                    weight := add(weight, 0x20)
                }
                mstore(out, sum)
                out := add(out, 0x20)
                row := add(row, stride)
            }
        }
    }

    /// @dev An axis, the address of its point and that one's bits. The spec is in the top 8 bytes.
    function _axis(uint256 spec, Scope memory scope)
        private
        pure
        returns (Axis memory axis, uint256 point, uint256 bits)
    {
        unchecked {
            bits = (spec >> 248) & 63;
            point = _locate(scope, ((spec >> 254) << 16) | ((spec >> 232) & 0xff00));
            axis.length = uint16(spec >> 224);
            int256 shift = int16(uint16(spec >> 208));
            int256 end = int256(uint256(uint16(spec >> 192)));
            if (end + shift > int256(axis.length)) end = int256(axis.length) - shift;
            if (shift < 0) axis.first = uint256(-shift);
            else axis.cell = uint256(shift);
            if (end > int256(axis.first)) axis.end = uint256(end);
            else axis.end = axis.first;
        }
    }

    /// @dev The address of a span's first coordinate.
    function _locate(Scope memory scope, uint256 span) private pure returns (uint256 at) {
        assembly ("memory-safe") {
            at := mload(add(mload(scope), shl(5, and(shr(16, span), 0xff))))
            at := add(add(at, 0x20), shl(5, and(shr(8, span), 0xff)))
        }
    }
}
