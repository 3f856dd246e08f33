// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BadProgram} from "../types/ProofErrors.sol";
import {load} from "./Memory.sol";

/// @dev The verifier section of a program in memory: the header's fields by name, and the addresses
///      of its tables of 32-byte records. docs/protocol/format.md has the layout.
struct Program {
    uint256 k;
    uint256 fixedTiles;
    uint256 inputBytes;
    uint256 outputBytes;
    uint256 inputTiles;
    uint256 outputTiles;
    uint256 stage1Tiles;
    uint256 stage2Tiles;
    uint256 relations;
    uint256 contractions;
    uint256 kernels;
    uint256 views;
    uint256 kernelValues;
    uint256 constantWords;
    uint256 productWords;
    uint256 pairWords;
    uint256 sums;
    uint256 n;
    uint256 mu;
    uint256 nF;
    uint256 nT;
    uint256 rhoLength;
    uint256 cMax;
    uint256 rows;
    uint256 tableRows;
    uint256 slices;
    uint256 mask1Tile;
    uint256 mask1Offset;
    uint256 mask2Tile;
    uint256 mask2Offset;
    uint256 kernelsAt;
    uint256 viewsAt;
    uint256 contractionsAt;
    uint256 constantsAt;
    uint256 productsAt;
    uint256 pairsAt;
    uint256 end;
}

/// @notice What prover/program/format.py is to the Python verifier. `check` refuses with
///         BadProgram(code) whatever would take a later step out of bounds; it says nothing of
///         soundness. The registry checks, once, and keeps no other bytes; so the verifier only
///         reads.
library Programs {
    uint256 internal constant RECORD = 32;
    uint256 internal constant HEADER_BYTES = 4 * RECORD;
    /// @dev Slices of the lookup at most, and the numbers that their claims take.
    uint256 internal constant SLICES = 4;
    /// @dev Constants and pairs of ids in a word.
    uint256 internal constant CONSTANTS = 4;
    uint256 internal constant PAIRS = 8;
    uint256 internal constant POINT_BYTES = 64;
    uint256 internal constant OPENING_BYTES = 640;
    uint256 private constant MAX_TILES = 0xFFFF;
    /// @dev Binary logarithms of the cells a variable has in a mask.
    uint256 internal constant MASK1_POWERS = 3;
    uint256 internal constant MASK2_POWERS = 2;

    /// @dev "EINP", version 1.
    uint256 private constant MAGIC = 0x45494e500001;
    uint256 private constant MAX_K = 28;
    uint256 private constant MAX_N = 40;
    uint256 private constant MAX_MU = 12;
    uint256 private constant MAX_RHO = 64;
    uint256 private constant MAX_AXIS_BITS = 10;
    uint256 private constant MAX_CELLS = 1024;

    /// @dev Values at most: a pair's first id has 15 bits, the one above says that it ends a sum.
    uint256 private constant MAX_VALUES = 1 << 15;

    // Codes of BadProgram.
    uint256 private constant IDENTITY = 1;
    uint256 private constant SIZES = 2;
    uint256 private constant LENGTH = 3;
    uint256 private constant TILES = 4;
    uint256 private constant MASKS = 5;
    uint256 private constant KERNEL = 6;
    uint256 private constant VIEW = 7;
    uint256 private constant CONTRACTION = 8;
    uint256 private constant VALUES = 9;

    /// @dev The tables of a section that `check` accepted.
    function read(bytes memory section) internal pure returns (Program memory p) {
        uint256 at;
        assembly ("memory-safe") {
            at := add(section, 0x20)
        }
        return _read(at);
    }

    /// @dev Every bound of the section that the first `length` bytes of a program are.
    function check(bytes memory program, uint256 length) internal pure {
        unchecked {
            _require(length >= HEADER_BYTES, IDENTITY);
            uint256 at;
            assembly ("memory-safe") {
                at := add(program, 0x20)
            }
            Program memory p = _read(at);
            _checkHeader(p, load(at));
            _require(length == p.end - at, LENGTH);
            _checkTiles(p);
            _checkKernels(p);
            _checkViews(p);
            _checkContractions(p);
            _checkValues(p);
        }
    }

    // Tiles, in the order of their numbers.

    function inputTile(Program memory p) internal pure returns (uint256) {
        return p.fixedTiles;
    }

    function outputTile(Program memory p) internal pure returns (uint256) {
        unchecked {
            return p.fixedTiles + p.inputTiles;
        }
    }

    function stage1Tile(Program memory p) internal pure returns (uint256) {
        unchecked {
            return outputTile(p) + p.outputTiles;
        }
    }

    /// @dev E; Z1 and Z2 follow and are the last.
    function eTile(Program memory p) internal pure returns (uint256) {
        unchecked {
            return stage1Tile(p) + p.stage1Tiles + p.stage2Tiles;
        }
    }

    function tiles(Program memory p) internal pure returns (uint256) {
        unchecked {
            return eTile(p) + 3;
        }
    }

    /// @dev The number of scales (Linear writes them).
    function scales(Program memory p) internal pure returns (uint256) {
        unchecked {
            return p.relations + (p.slices + 1) * (p.cMax + 1) + 3 + 2 * p.contractions;
        }
    }

    // Ids of values (docs/protocol/format.md#values): the constant 1 is 0, coordinates and heaps
    // follow.

    function firstKernel(Program memory p) internal pure returns (uint256) {
        unchecked {
            return 1 + 2 * (p.rhoLength + p.n + p.k) + 32 * ((p.nF + 3) / 4 + (p.k + 3) / 4);
        }
    }

    function firstScale(Program memory p) internal pure returns (uint256) {
        unchecked {
            return firstKernel(p) + p.kernelValues + p.views;
        }
    }

    function firstProduct(Program memory p) internal pure returns (uint256) {
        unchecked {
            return firstScale(p) + scales(p) + CONSTANTS * p.constantWords;
        }
    }

    /// @dev How many there are.
    function values(Program memory p) internal pure returns (uint256) {
        unchecked {
            return firstProduct(p) + PAIRS * p.productWords + p.sums;
        }
    }

    /// @dev ceil(log2(n)), 0 of 0.
    function ceilLog2(uint256 n) internal pure returns (uint256 bits) {
        unchecked {
            while (1 << bits < n) ++bits;
        }
    }

    function _require(bool condition, uint256 code) private pure {
        if (!condition) revert BadProgram(code);
    }

    /// @dev Bytes [offset, offset + width) of a record.
    function _field(uint256 record, uint256 offset, uint256 width) private pure returns (uint256) {
        unchecked {
            return (record << (8 * offset)) >> (8 * (32 - width));
        }
    }

    function _read(uint256 at) private pure returns (Program memory p) {
        (uint256 first, uint256 second, uint256 third) = (load(at), load(at + 32), load(at + 64));
        p.k = _field(first, 6, 1);
        p.slices = _field(first, 7, 1);
        p.fixedTiles = _field(first, 8, 2);
        p.inputBytes = _field(first, 14, 4);
        p.outputBytes = _field(first, 18, 4);
        p.inputTiles = _field(first, 22, 2);
        p.outputTiles = _field(first, 24, 2);
        p.stage1Tiles = _field(first, 26, 2);
        p.stage2Tiles = _field(first, 28, 2);
        p.relations = _field(second, 0, 2);
        p.contractions = _field(second, 2, 2);
        p.kernels = _field(second, 4, 2);
        p.views = _field(second, 6, 2);
        p.productWords = _field(second, 8, 2);
        p.n = _field(second, 10, 1);
        p.mu = _field(second, 11, 1);
        p.nF = _field(second, 12, 1);
        p.nT = _field(second, 13, 1);
        p.rhoLength = _field(second, 14, 1);
        p.cMax = _field(second, 15, 1);
        p.rows = _field(second, 16, 4);
        p.tableRows = _field(second, 20, 4);
        p.mask1Tile = _field(third, 0, 2);
        p.mask1Offset = _field(third, 2, 4);
        p.mask2Tile = _field(third, 6, 2);
        p.mask2Offset = _field(third, 8, 4);
        p.constantWords = _field(third, 12, 2);
        p.pairWords = _field(third, 14, 2);
        p.sums = _field(third, 16, 2);
        p.kernelValues = _field(third, 18, 2);
        unchecked {
            p.kernelsAt = at + HEADER_BYTES;
            p.viewsAt = p.kernelsAt + RECORD * p.kernels;
            p.contractionsAt = p.viewsAt + 2 * RECORD * p.views;
            p.constantsAt = p.contractionsAt + RECORD * p.contractions;
            p.productsAt = p.constantsAt + RECORD * p.constantWords;
            p.pairsAt = p.productsAt + RECORD * p.productWords;
            p.end = p.pairsAt + RECORD * p.pairWords;
        }
    }

    function _checkHeader(Program memory p, uint256 first) private pure {
        _require(_field(first, 0, 6) == MAGIC && 1 <= p.slices && p.slices <= SLICES, IDENTITY);
        _require(6 <= p.k && p.k <= MAX_K && 1 <= p.n && p.n <= MAX_N, SIZES);
        _require(p.nF <= p.n && p.nT <= p.n && p.rhoLength <= MAX_RHO, SIZES);
        _require(p.rows >> p.nF == 0 && p.tableRows >> p.nT == 0, SIZES);
        _require(p.contractions != 0 && p.mu == ceilLog2(p.contractions + 1), SIZES);
        _require(p.mu <= MAX_MU && p.mu < p.k, SIZES);
    }

    function _checkTiles(Program memory p) private pure {
        unchecked {
            _require(POINT_BYTES * p.inputTiles <= p.inputBytes, TILES);
            _require(POINT_BYTES * p.outputTiles <= p.outputBytes, TILES);
            uint256 count = tiles(p);
            _require(p.stage1Tiles != 0 && p.stage2Tiles != 0 && count < MAX_TILES, TILES);
            uint256 bits1 = MASK1_POWERS + ceilLog2(p.n);
            uint256 bits2 = MASK2_POWERS + ceilLog2(p.mu);
            _require(p.mask1Tile < count && _fits(p.mask1Offset, bits1, p.k), MASKS);
            _require(p.mask2Tile < count && _fits(p.mask2Offset, bits2, p.k), MASKS);
        }
    }

    /// @dev Whether an aligned block of 2^bits cells at the offset lies in a tile of 2^k.
    function _fits(uint256 offset, uint256 bits, uint256 k) private pure returns (bool) {
        unchecked {
            return offset & ((1 << bits) - 1) == 0 && offset + (1 << bits) <= 1 << k;
        }
    }

    /// @dev Byte s is one more than the number of coordinates of source s, 0 where there is none:
    ///      so first + bits < byte(s, limits) says that a range lies in its source.
    function _limits(Program memory p) private pure returns (uint256) {
        unchecked {
            return ((p.rhoLength + 1) << 248) | ((p.n + 1) << 240) | ((p.k + 1) << 232);
        }
    }

    function _checkKernels(Program memory p) private pure {
        uint256 limits = _limits(p);
        (uint256 at, uint256 end) = (p.kernelsAt, p.viewsAt);
        uint256 good = 1;
        uint256 count = 0;
        assembly ("memory-safe") {
            for {} lt(at, end) { at := add(at, 0x20) } {
                let record := mload(at)
                let kind := byte(0, record)
                let bitsP := byte(3, record)
                good := and(good, lt(sub(kind, 1), 5))
                good := and(good, lt(add(byte(2, record), bitsP), byte(byte(1, record), limits)))
                good := and(
                    good,
                    lt(add(byte(5, record), byte(6, record)), byte(byte(4, record), limits))
                )
                if eq(shr(1, kind), 1) {
                    // CUT and SHIFT
                    let const := and(shr(160, record), 0xffffffff)
                    good := and(good, iszero(gt(const, shl(bitsP, 1))))
                }
                let given := 1
                // EQ, and INDEX, give a value a coordinate.
                if eq(kind, 1) {
                    good := and(good, eq(bitsP, byte(6, record)))
                    given := bitsP
                }
                if eq(kind, 5) { given := bitsP }
                count := add(count, given)
            }
        }
        _require(good != 0 && count == p.kernelValues, KERNEL);
    }

    function _checkViews(Program memory p) private pure {
        unchecked {
            uint256 limits = _limits(p);
            uint256 inputPublic = p.inputBytes - POINT_BYTES * p.inputTiles;
            uint256 outputPublic = p.outputBytes - POINT_BYTES * p.outputTiles;
            for (uint256 at = p.viewsAt; at < p.contractionsAt; at += 2 * RECORD) {
                (uint256 record, uint256 specs) = (load(at), load(at + RECORD));
                uint256 side = _field(record, 0, 1);
                uint256 axes = _field(record, 1, 1);
                _require(side <= 1 && 1 <= axes && axes <= 4, VIEW);
                uint256 cells = 1;
                for (; axes != 0; --axes) {
                    (uint256 source, uint256 bits) = (specs >> 254, (specs >> 248) & 63);
                    uint256 limit = uint8(limits >> (248 - 8 * source));
                    uint256 length = _field(specs, 2, 2);
                    _require(_field(specs, 1, 1) + bits < limit && length != 0, VIEW);
                    _require(bits <= MAX_AXIS_BITS && _field(specs, 6, 2) <= 1 << bits, VIEW);
                    cells *= length;
                    specs <<= 64;
                }
                uint256 end = _field(record, 2, 4) + 2 * cells;
                _require(cells <= MAX_CELLS, VIEW);
                _require(end <= (side == 0 ? inputPublic : outputPublic), VIEW);
            }
        }
    }

    function _checkContractions(Program memory p) private pure {
        unchecked {
            for (uint256 at = p.contractionsAt; at < p.constantsAt; at += RECORD) {
                uint256 record = load(at);
                _require(
                    _field(record, 0, 2) < p.relations && _field(record, 2, 1) <= p.n, CONTRACTION
                );
                _require(
                    _isKernel(p, _field(record, 4, 2)) && _isKernel(p, _field(record, 6, 2))
                        && _isKernel(p, _field(record, 8, 2)),
                    CONTRACTION
                );
            }
        }
    }

    /// @dev Whether an id is the constant 1 or of a kernel record's value.
    function _isKernel(Program memory p, uint256 id) private pure returns (bool) {
        unchecked {
            uint256 first = firstKernel(p);
            return id == 0 || (first <= id && id < first + p.kernelValues);
        }
    }

    /// @dev Every product and every sum is of values before it, sums are as many as the header says,
    ///      with the last pair the last ends, and each tile has one.
    function _checkValues(Program memory p) private pure {
        unchecked {
            uint256 next = firstProduct(p); // the id of the value that is made next
            uint256 good = 1;
            uint256 sums = 0;
            uint256 open = 0; // whether a sum is
            for (uint256 at = p.productsAt; at < p.end; at += 4) {
                uint256 pair = load(at) >> 224;
                uint256 ends = 1;
                if (at >= p.pairsAt) {
                    ends = pair >> 31;
                    pair &= 0x7fffffff;
                    sums += ends;
                    open = 1 - ends;
                }
                if (pair >> 16 >= next || pair & 0xffff >= next) good = 0;
                next += ends;
            }
            _require(good != 0 && open == 0 && sums == p.sums && sums > eTile(p), VALUES);
            _require(next <= MAX_VALUES, VALUES);
        }
    }
}
