// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IMercuryVerifier} from "../interfaces/IMercuryVerifier.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {ITensorVerifier} from "../interfaces/ITensorVerifier.sol";
import {WrongLength, WrongSrs} from "../types/ProofErrors.sol";
import {AxisKernel} from "./AxisKernel.sol";
import {Challenges} from "./Challenges.sol";
import {Curve} from "./Curve.sol";
import {Einsum} from "./Einsum.sol";
import {Fr, power, toFr} from "./Field.sol";
import {Linear} from "./Linear.sol";
import {Lookup} from "./Lookup.sol";
import {addressOf, load, read} from "./Memory.sol";
import {Model} from "./Model.sol";
import {Program, Programs} from "./Program.sol";
import {Sumcheck} from "./Sumcheck.sol";
import {Transcript} from "./Transcript.sol";

/// @title prover/verify.py, function by function: docs/protocol/verifier.md is its text.
contract TensorVerifier is ITensorVerifier {
    using Curve for Curve.Sum;
    using Programs for Program;
    using Sumcheck for bytes32;
    using Sumcheck for Fr;
    using Transcript for bytes32;

    bytes32 private constant DOMAIN = keccak256("einproof/transcript/v1");
    uint256 private constant DEVELOPMENT_CHAIN = 31337;
    uint256 private constant POINT_BYTES = 64;
    /// @dev P - 1.
    uint256 private constant LAST =
        21888242871839275222246405745257275088548364400416034343698204186575808495616;

    /// @dev Degrees of the last two sumchecks, which are also the scalars a round sends; the first
    ///      has `Program.slices + 2`.
    uint256 private constant SIDE_DEGREE = 3;
    uint256 private constant TILE_DEGREE = 2;

    IModelRegistry public immutable registry;
    IMercuryVerifier public immutable mercury;
    bytes32 public immutable srsId;
    bool public immutable srsDevelopment;

    /// @notice A development SRS, whose proofs anyone can forge, on a chain that is not for tests.
    error DevelopmentSrs(uint256 chainId);

    /// @dev Where the parts of the proof begin in calldata, in order (prover/proof.py).
    struct Layout {
        uint256 stage1;
        uint256 stage2;
        uint256 sigma1;
        uint256 mainRounds;
        uint256 lookups;
        uint256 ePoint;
        uint256 sigma2;
        uint256 sideRounds;
        uint256 sides;
        uint256 zPoints;
        uint256 vMask;
        uint256 tileRounds;
        uint256 opening;
        uint256 end;
    }

    constructor(IModelRegistry registry_, IMercuryVerifier mercury_) {
        registry = registry_;
        mercury = mercury_;
        srsId = mercury_.srsId();
        srsDevelopment = mercury_.srsDevelopment();
        if (mercury_.srsDevelopment() && block.chainid != DEVELOPMENT_CHAIN) {
            revert DevelopmentSrs(block.chainid);
        }
    }

    /// @inheritdoc ITensorVerifier
    function verify(
        bytes32 modelId,
        bytes32 context,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external view {
        bytes memory manifest = Model.manifest(registry, modelId);
        if (bytes32(manifest) != srsId) revert WrongSrs(srsId, bytes32(manifest));
        Program memory p = Programs.read(Model.section(manifest));
        if (input.length != p.inputBytes) revert WrongLength(p.inputBytes, input.length);
        if (output.length != p.outputBytes) revert WrongLength(p.outputBytes, output.length);
        Layout memory at = _layout(p, proof);
        _checkEncoding(p, at, input, output);

        bytes32 state = keccak256(
            abi.encode(DOMAIN, context, modelId, srsId, keccak256(input), keccak256(output))
        );
        Challenges memory drawn;
        (state, drawn) = _draw(p, at, state);
        (Fr value, uint256 weights) = _linear(p, at, drawn, input, output);
        value = value.reduce(at.tileRounds, TILE_DEGREE, drawn.tile);
        Curve.Sum memory sum = _combine(p, at, weights, manifest, input, output);
        mercury.verify(
            state, sum.x, sum.y, Fr.unwrap(value), drawn.tile, _slice(at.opening, at.end)
        );
    }

    /// @dev The proof's parts; reverts with WrongLength.
    function _layout(Program memory p, bytes calldata proof)
        private
        pure
        returns (Layout memory at)
    {
        unchecked {
            assembly ("memory-safe") {
                mstore(at, proof.offset)
            }
            at.stage2 = at.stage1 + POINT_BYTES * p.stage1Tiles;
            at.sigma1 = at.stage2 + POINT_BYTES * p.stage2Tiles;
            at.mainRounds = at.sigma1 + 32;
            at.lookups = at.mainRounds + 32 * (p.slices + 2) * p.n;
            at.ePoint = at.lookups + 32 * (p.slices + 4);
            at.sigma2 = at.ePoint + POINT_BYTES;
            at.sideRounds = at.sigma2 + 32;
            at.sides = at.sideRounds + 32 * SIDE_DEGREE * p.mu;
            at.zPoints = at.sides + 64;
            at.vMask = at.zPoints + 2 * POINT_BYTES;
            at.tileRounds = at.vMask + 32;
            at.opening = at.tileRounds + 32 * TILE_DEGREE * p.k;
            at.end = at.opening + Programs.OPENING_BYTES;
            uint256 length = at.end - at.stage1;
            if (proof.length != length) revert WrongLength(length, proof.length);
        }
    }

    /// @dev Points and scalars in the order in which they are read; the opening's are Mercury's.
    function _checkEncoding(
        Program memory p,
        Layout memory at,
        bytes calldata input,
        bytes calldata output
    ) private pure {
        _checkPoints(_end(input) - POINT_BYTES * p.inputTiles, _end(input));
        _checkPoints(_end(output) - POINT_BYTES * p.outputTiles, _end(output));
        _checkPoints(at.stage1, at.sigma1);
        _checkScalars(at.sigma1, at.ePoint);
        _checkPoints(at.ePoint, at.sigma2);
        _checkScalars(at.sigma2, at.zPoints);
        _checkPoints(at.zPoints, at.vMask);
        _checkScalars(at.vMask, at.opening);
    }

    /// @dev All challenges up to the opening's, each after everything that it must depend on.
    function _draw(Program memory p, Layout memory at, bytes32 state)
        private
        pure
        returns (bytes32, Challenges memory drawn)
    {
        drawn.rho = new uint256[](p.rhoLength);
        drawn.tau = new uint256[](p.n);
        drawn.r = new uint256[](p.n);
        drawn.side = new uint256[](p.mu);
        drawn.tile = new uint256[](p.k);
        (state, drawn.gamma) = state.absorb(_slice(at.stage1, at.stage2)).challenge();
        (state, drawn.beta) = state.challenge();
        state = state.absorb(_slice(at.stage2, at.sigma1)).challenges(drawn.rho);
        (state, drawn.alpha) = state.challenge();
        state = state.challenges(drawn.tau).absorb(_slice(at.sigma1, at.mainRounds));
        state = state.draw(at.mainRounds, p.slices + 2, drawn.r);
        state = state.absorb(_slice(at.lookups, at.sideRounds));
        state = state.draw(at.sideRounds, SIDE_DEGREE, drawn.side);
        (state, drawn.batch) = state.absorb(_slice(at.sides, at.tileRounds)).challenge();
        state = state.draw(at.tileRounds, TILE_DEGREE, drawn.tile);
        return (state, drawn);
    }

    /// @dev The linear claims: their batched value, less the scalar side, and the tiles' weights
    ///      (see Linear.tileWeights).
    function _linear(
        Program memory p,
        Layout memory at,
        Challenges memory drawn,
        bytes calldata input,
        bytes calldata output
    ) private pure returns (Fr value, uint256 weights) {
        uint256[] memory powers = Linear.claimPowers(p, drawn.batch);
        AxisKernel.Scope memory scope = _scope(drawn, input, output);
        uint256[] memory values = Linear.values(p, drawn, scope, powers);
        weights = Linear.tileWeights(p, drawn, values, powers);
        Fr[3] memory first = _sumcheckClaims(p, at, drawn, values);
        value = Linear.claimedValue(p, powers, first, at.lookups, at.sides, _scalar(at.vMask))
            - Fr.wrap(load(weights));
    }

    function _scope(Challenges memory drawn, bytes calldata input, bytes calldata output)
        private
        pure
        returns (AxisKernel.Scope memory scope)
    {
        scope.points = [drawn.rho, drawn.r, drawn.tile];
        scope.gamma = drawn.gamma;
        (scope.input, scope.output) = (_end(input) - input.length, _end(output) - output.length);
    }

    /// @dev v_1, v_2 and a v_3: sigma1, and what the first two sumchecks leave.
    function _sumcheckClaims(
        Program memory p,
        Layout memory at,
        Challenges memory drawn,
        uint256[] memory known
    ) private pure returns (Fr[3] memory values) {
        Fr sigma2 = _scalar(at.sigma2);
        values[0] = _scalar(at.sigma1);
        Fr end = values[0].reduce(at.mainRounds, p.slices + 2, drawn.r);
        values[1] = end - _lookup(p, at, drawn) - sigma2;
        uint256 alphas = addressOf(known) + 32 * p.firstScale();
        Fr factor = Einsum.coefficient(p, known, alphas, addressOf(drawn.side));
        end = sigma2.reduce(at.sideRounds, SIDE_DEGREE, drawn.side);
        values[2] = drawn.batch * end - factor * _scalar(at.sides) * _scalar(at.sides + 32);
    }

    function _lookup(Program memory p, Layout memory at, Challenges memory drawn)
        private
        pure
        returns (Fr)
    {
        Lookup.Point memory point = Lookup.Point(
            addressOf(drawn.tau), addressOf(drawn.r), p.n, p.nF, p.nT, p.rows, p.tableRows, p.slices
        );
        Fr alphaR = power(drawn.alpha, p.relations);
        return Lookup.relation(point, at.lookups, drawn.alpha, alphaR, drawn.beta);
    }

    /// @dev C* = sum_t a_t C_t; tiles of weight zero cost nothing.
    function _combine(
        Program memory p,
        Layout memory at,
        uint256 weights,
        bytes memory manifest,
        bytes calldata input,
        bytes calldata output
    ) private view returns (Curve.Sum memory sum) {
        uint256 weight = weights + 32;
        weight = _addFixed(sum, weight, Model.points(manifest, POINT_BYTES * p.fixedTiles));
        weight = _addPoints(sum, weight, _end(input) - POINT_BYTES * p.inputTiles, _end(input));
        weight = _addPoints(sum, weight, _end(output) - POINT_BYTES * p.outputTiles, _end(output));
        weight = _addPoints(sum, weight, at.stage1, at.sigma1);
        weight = _addPoints(sum, weight, at.ePoint, at.sigma2);
        _addPoints(sum, weight, at.zPoints, at.vMask);
    }

    /// @dev Adds points in memory, with the weights from an address on; returns the address after.
    function _addFixed(Curve.Sum memory sum, uint256 weight, bytes memory points)
        private
        view
        returns (uint256)
    {
        unchecked {
            for (uint256 i = 32; i < 32 + points.length; i += POINT_BYTES) {
                uint256 x;
                uint256 y;
                assembly ("memory-safe") {
                    x := mload(add(points, i))
                    y := mload(add(points, add(i, 0x20)))
                }
                _addScaled(sum, x, y, load(weight));
                weight += 32;
            }
            return weight;
        }
    }

    /// @dev Adds the points of calldata [from, to), likewise.
    function _addPoints(Curve.Sum memory sum, uint256 weight, uint256 from, uint256 to)
        private
        view
        returns (uint256)
    {
        unchecked {
            for (; from < to; from += POINT_BYTES) {
                _addScaled(sum, read(from, 0), read(from, 1), load(weight));
                weight += 32;
            }
            return weight;
        }
    }

    /// @dev Z1's weight is 1.
    function _addScaled(Curve.Sum memory sum, uint256 x, uint256 y, uint256 weight) private view {
        if (weight == 1) sum.add(x, y);
        else if (weight != 0) sum.addScaled(x, y, Fr.wrap(weight));
    }

    function _checkPoints(uint256 from, uint256 to) private pure {
        unchecked {
            for (; from < to; from += POINT_BYTES) {
                Curve.check(read(from, 0), read(from, 1));
            }
        }
    }

    function _checkScalars(uint256 from, uint256 to) private pure {
        unchecked {
            uint256 wrong;
            assembly ("memory-safe") {
                let at := from
                if and(sub(to, from), 0x20) {
                    wrong := gt(calldataload(at), LAST)
                    at := add(at, 0x20)
                }
                for {} lt(at, to) { at := add(at, 0x40) } {
                    let two := or(gt(calldataload(at), LAST), gt(calldataload(add(at, 0x20)), LAST))
                    wrong := or(wrong, two)
                }
            }
            if (wrong == 0) return;
            for (; from < to; from += 32) {
                toFr(read(from, 0)); // names the first of them
            }
        }
    }

    /// @dev A scalar that `_checkEncoding` has seen.
    function _scalar(uint256 at) private pure returns (Fr) {
        return Fr.wrap(read(at, 0));
    }

    /// @dev Calldata [from, to).
    function _slice(uint256 from, uint256 to) private pure returns (bytes calldata part) {
        assembly ("memory-safe") {
            part.offset := from
            part.length := sub(to, from)
        }
    }

    /// @dev Where the bytes end in calldata.
    function _end(bytes calldata part) private pure returns (uint256 end) {
        assembly ("memory-safe") {
            end := add(part.offset, part.length)
        }
    }
}
