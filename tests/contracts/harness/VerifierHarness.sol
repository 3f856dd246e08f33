// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {AxisKernel} from "../../../contracts/verifier/AxisKernel.sol";
import {Challenges} from "../../../contracts/verifier/Challenges.sol";
import {Einsum} from "../../../contracts/verifier/Einsum.sol";
import {Fr} from "../../../contracts/verifier/Field.sol";
import {Linear} from "../../../contracts/verifier/Linear.sol";
import {Lookup} from "../../../contracts/verifier/Lookup.sol";
import {addressOf, load} from "../../../contracts/verifier/Memory.sol";
import {Multilinear} from "../../../contracts/verifier/Multilinear.sol";
import {Program, Programs} from "../../../contracts/verifier/Program.sol";
import {Sumcheck} from "../../../contracts/verifier/Sumcheck.sol";

/// @notice The verifier's libraries, each step by itself.
contract VerifierHarness {
    using Programs for Program;

    function eq(uint256[] memory a, uint256[] memory b) external pure returns (Fr) {
        return Multilinear.eq(addressOf(a), addressOf(b), a.length);
    }

    function eqConst(uint256[] memory a, uint256 value) external pure returns (Fr) {
        return Multilinear.eqConst(addressOf(a), a.length, value);
    }

    function eqTable(uint256[] memory a) external pure returns (uint256[] memory table) {
        table = new uint256[](1 << a.length);
        uint256 made = Multilinear.eqTable(addressOf(a), a.length);
        for (uint256 i = 0; i < table.length; ++i) {
            table[i] = load(made, i);
        }
    }

    function cut(uint256[] memory a, uint256 n) external pure returns (Fr) {
        return Multilinear.cut(addressOf(a), a.length, n);
    }

    function cutPair(uint256[] memory a, uint256[] memory b, uint256 n) external pure returns (Fr) {
        return Multilinear.cutPair(addressOf(a), addressOf(b), a.length, n);
    }

    function inversePowerOfTwo(uint256 exponent) external pure returns (Fr) {
        return Multilinear.inversePowerOfTwo(exponent);
    }

    /// @dev The program's header and table addresses, less where the section begins.
    function parse(bytes memory section) external pure returns (Program memory) {
        Programs.check(section, section.length);
        return Programs.read(section);
    }

    function kernel(uint256 record, uint256 count, Challenges memory drawn)
        external
        pure
        returns (uint256[] memory values)
    {
        values = new uint256[](count);
        uint256 end = AxisKernel.evaluate(record, _scope(drawn), addressOf(values));
        assert(end == addressOf(values) + 32 * count);
    }

    function publicView(
        uint256 record,
        uint256 specs,
        Challenges memory drawn,
        bytes calldata input,
        bytes calldata output
    ) external pure returns (Fr) {
        AxisKernel.Scope memory scope = _scope(drawn);
        (scope.input, scope.output) = (_offset(input), _offset(output));
        return AxisKernel.evaluatePublic(record, specs, scope);
    }

    function draw(bytes32 state, bytes calldata rounds, uint256 degree, uint256 count)
        external
        pure
        returns (bytes32, uint256[] memory point)
    {
        point = new uint256[](count);
        return (Sumcheck.draw(state, _offset(rounds), degree, point), point);
    }

    function reduce(Fr claim, bytes calldata rounds, uint256 degree, uint256[] memory point)
        external
        pure
        returns (Fr)
    {
        return Sumcheck.reduce(claim, _offset(rounds), degree, point);
    }

    function lookup(
        Program memory p,
        Challenges memory drawn,
        bytes calldata evaluations,
        Fr alphaR
    ) external pure returns (Fr) {
        Lookup.Point memory point = Lookup.Point(
            addressOf(drawn.tau), addressOf(drawn.r), p.n, p.nF, p.nT, p.rows, p.tableRows, p.slices
        );
        return Lookup.relation(point, _offset(evaluations), drawn.alpha, alphaR, drawn.beta);
    }

    /// @dev All values, a coef(r'), and the weights of tiles with the scalar side before them.
    function weights(
        bytes memory section,
        Challenges memory drawn,
        bytes calldata input,
        bytes calldata output
    ) external pure returns (uint256[] memory values, Fr factor, uint256[] memory found) {
        Program memory p = Programs.read(section);
        uint256[] memory powers = Linear.claimPowers(p, drawn.batch);
        AxisKernel.Scope memory scope = _scope(drawn);
        (scope.input, scope.output) = (_offset(input), _offset(output));
        values = Linear.values(p, drawn, scope, powers);
        uint256 alphas = addressOf(values) + 32 * p.firstScale();
        factor = Einsum.coefficient(p, values, alphas, addressOf(drawn.side));
        uint256 at = Linear.tileWeights(p, drawn, values, powers);
        found = new uint256[](p.tiles() + 1);
        for (uint256 i = 0; i < found.length; ++i) {
            found[i] = load(at, i);
        }
    }

    function _scope(Challenges memory drawn) private pure returns (AxisKernel.Scope memory scope) {
        scope.points = [drawn.rho, drawn.r, drawn.tile];
        scope.gamma = drawn.gamma;
    }

    function _offset(bytes calldata part) private pure returns (uint256 at) {
        assembly ("memory-safe") {
            at := part.offset
        }
    }
}
