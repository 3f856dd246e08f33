// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IMercuryVerifier} from "../interfaces/IMercuryVerifier.sol";
import {
    DegenerateChallenge,
    OpeningRejected,
    UnsupportedSize,
    WrongLength
} from "../types/ProofErrors.sol";
import {Curve} from "./Curve.sol";
import {Fr, ONE, P, ZERO, invert, squareTimes, toFr} from "./Field.sol";
import {Transcript} from "./Transcript.sol";

/// @title The verifying half of prover/opening.py, function by function.
contract MercuryVerifier is IMercuryVerifier {
    using Curve for Curve.Sum;
    using Transcript for bytes32;

    /// @dev Byte offsets in the proof.
    uint256 private constant H = 0;
    uint256 private constant Q = 64;
    uint256 private constant G = 128;
    uint256 private constant S = 192;
    uint256 private constant D = 256;
    uint256 private constant EVALUATIONS = 320;
    uint256 private constant W = 512;
    uint256 private constant OPENING = 576;
    uint256 private constant PROOF_BYTES = 640;

    uint256 private constant LEAST_SIZE = 2;
    uint256 private constant MOST_SIZE = 28;
    bytes32 private constant DEVELOPMENT_SRS_ID =
        0xbfc2625b339c43c6534ae90529983de72e080115165b6f6ef97cb84503251358;

    bytes32 public immutable srsId;
    uint256 public immutable kMax;
    uint256 private immutable s2X1;
    uint256 private immutable s2X0;
    uint256 private immutable s2Y1;
    uint256 private immutable s2Y0;

    /// @dev As sent; `inverse` is at 1/z.
    struct Evaluations {
        Fr gZ;
        Fr gInverse;
        Fr hZ;
        Fr hInverse;
        Fr hAlpha;
        Fr sZ;
    }

    struct Challenges {
        Fr alpha;
        Fr gamma;
        Fr z;
        Fr delta;
        Fr zeta;
        Fr omega;
    }

    /// @dev What each commitment is multiplied by; `one` is for the generator.
    struct Coefficients {
        Fr h;
        Fr q;
        Fr g;
        Fr s;
        Fr d;
        Fr w;
        Fr one;
    }

    /// @param s1 [s]_1
    /// @param s2 [s]_2, imaginary parts first (EIP-197)
    /// @param kMax_ the largest tile is of 2^kMax cells
    constructor(uint256[2] memory s1, uint256[4] memory s2, uint256 kMax_) {
        if (kMax_ < LEAST_SIZE || kMax_ > MOST_SIZE) revert UnsupportedSize(MOST_SIZE, kMax_);
        Curve.check(s1[0], s1[1]);
        uint256[12] memory input = [
            s1[0],
            s1[1],
            Curve.G2_X1,
            Curve.G2_X0,
            Curve.G2_Y1,
            Curve.G2_Y0,
            1,
            Curve.negate(2),
            s2[0],
            s2[1],
            s2[2],
            s2[3]
        ];
        if (!Curve.pairingHolds(input)) revert MalformedSrs();
        srsId = keccak256(abi.encodePacked("einproof/srs/v1", s1, s2));
        kMax = kMax_;
        (s2X1, s2X0, s2Y1, s2Y0) = (s2[0], s2[1], s2[2], s2[3]);
    }

    /// @inheritdoc IMercuryVerifier
    function srsDevelopment() external view returns (bool) {
        return srsId == DEVELOPMENT_SRS_ID;
    }

    /// @inheritdoc IMercuryVerifier
    function verify(
        bytes32 state,
        uint256 x,
        uint256 y,
        uint256 value,
        uint256[] calldata point,
        bytes calldata proof
    ) external view {
        if (point.length < LEAST_SIZE || point.length > kMax) {
            revert UnsupportedSize(kMax, point.length);
        }
        Curve.check(x, y);
        Fr claim = toFr(value);
        for (uint256 i = 0; i < point.length; ++i) {
            toFr(point[i]);
        }
        Evaluations memory sent = _decode(proof);
        Challenges memory drawn = _draw(state, proof);
        Coefficients memory weights = _linearCoefficients(point, claim, sent, drawn);
        _checkPairing(x, y, proof, weights, drawn.zeta);
    }

    /// @dev Every field of the proof is well-formed; checked in the order of the bytes.
    function _decode(bytes calldata proof) private pure returns (Evaluations memory sent) {
        if (proof.length != PROOF_BYTES) revert WrongLength(PROOF_BYTES, proof.length);
        _checkPoint(proof, H);
        _checkPoint(proof, Q);
        _checkPoint(proof, G);
        _checkPoint(proof, S);
        _checkPoint(proof, D);
        sent.gZ = toFr(_word(proof, EVALUATIONS));
        sent.gInverse = toFr(_word(proof, EVALUATIONS + 32));
        sent.hZ = toFr(_word(proof, EVALUATIONS + 64));
        sent.hInverse = toFr(_word(proof, EVALUATIONS + 96));
        sent.hAlpha = toFr(_word(proof, EVALUATIONS + 128));
        sent.sZ = toFr(_word(proof, EVALUATIONS + 160));
        _checkPoint(proof, W);
        _checkPoint(proof, OPENING);
    }

    /// @dev The schedule of the transcript (ROUNDS in prover/opening.py).
    function _draw(bytes32 state, bytes calldata proof)
        private
        pure
        returns (Challenges memory drawn)
    {
        (state, drawn.alpha) = state.absorb(proof[H:Q]).challenge();
        (state, drawn.gamma) = state.absorb(proof[Q:G]).absorb(proof[G:S]).challenge();
        (state, drawn.z) = state.absorb(proof[S:D]).absorb(proof[D:EVALUATIONS]).challenge();
        (state, drawn.delta) = state.absorb(proof[EVALUATIONS:W]).challenge();
        (state, drawn.zeta) = state.absorb(proof[W:OPENING]).challenge();
        (state, drawn.omega) = state.challenge();
    }

    /// @dev The coefficients of M (`linear_coefficients` in prover/opening.py, same names).
    function _linearCoefficients(
        uint256[] calldata point,
        Fr value,
        Evaluations memory sent,
        Challenges memory drawn
    ) private view returns (Coefficients memory weights) {
        (Fr zInverse, Fr pair, Fr left, Fr right) = _inverses(drawn.z, drawn.alpha);
        uint256 low = point.length - point.length / 2;
        Fr sInverse = _sInverse(point, value, sent, drawn, zInverse);
        Fr dZ = squareTimes(drawn.z, low) * zInverse * sent.gInverse;

        Fr atZ = drawn.zeta - drawn.z;
        Fr atInverse = drawn.zeta - zInverse;
        Fr atAlpha = drawn.zeta - drawn.alpha;
        Fr both = atZ * atInverse;
        if ((both * atAlpha).isZero()) revert DegenerateChallenge();
        Fr gRest = (sent.gZ * atInverse - sent.gInverse * atZ) * pair;
        Fr sRest = (sent.sZ * atInverse - sInverse * atZ) * pair;
        Fr hRest = atAlpha * pair * (sent.hZ * atInverse * left - sent.hInverse * atZ * right)
            + sent.hAlpha * both * left * right;

        Fr gWeight = drawn.omega * atAlpha;
        weights.h = drawn.omega * drawn.delta;
        weights.q = drawn.alpha - squareTimes(drawn.zeta, low);
        weights.g = gWeight - ONE;
        weights.s = gWeight * drawn.delta * drawn.delta;
        weights.d = weights.s * drawn.delta * atInverse;
        weights.w = ZERO - gWeight * both;
        weights.one =
            ZERO - (gWeight * gRest + weights.h * hRest + weights.s * sRest + weights.d * dZ);
    }

    /// @dev 1/z, 1/(z - 1/z), 1/(z - alpha), 1/(1/z - alpha) for one inversion.
    function _inverses(Fr z, Fr alpha)
        private
        view
        returns (Fr zInverse, Fr pair, Fr left, Fr right)
    {
        Fr a = z * z - ONE;
        Fr b = z - alpha;
        Fr c = ONE - alpha * z;
        Fr za = z * a;
        Fr zab = za * b;
        Fr all = zab * c;
        if (all.isZero()) revert DegenerateChallenge();
        Fr rest = invert(all);
        right = rest * zab * z;
        rest = rest * c;
        left = rest * za;
        rest = rest * b;
        pair = rest * z * z;
        zInverse = rest * a;
    }

    /// @dev S(1/z), by the identity of step 3 at z.
    function _sInverse(
        uint256[] calldata point,
        Fr value,
        Evaluations memory sent,
        Challenges memory drawn,
        Fr zInverse
    ) private pure returns (Fr) {
        uint256 high = point.length / 2;
        Fr z = drawn.z;
        Fr cross = sent.gZ * _eqPolynomial(point[high:], zInverse) + sent.gInverse
            * _eqPolynomial(point[high:], z);
        cross = cross + drawn.gamma
            * (sent.hZ
                * _eqPolynomial(point[:high], zInverse)
                + sent.hInverse
                * _eqPolynomial(point[:high], z));
        Fr constantTerm = sent.hAlpha + drawn.gamma * value;
        return z * (cross - constantTerm - constantTerm - z * sent.sZ);
    }

    /// @dev P_u(x) = prod_m (1 + u_m (x^(2^(len(u) - 1 - m)) - 1)).
    function _eqPolynomial(uint256[] calldata u, Fr x) private pure returns (Fr product) {
        product = ONE;
        assembly ("memory-safe") {
            let first := u.offset
            for { let at := add(first, shl(5, u.length)) } gt(at, first) {} {
                at := sub(at, 0x20)
                let factor := addmod(mulmod(calldataload(at), add(x, sub(P, 1)), P), 1, P)
                product := mulmod(product, factor, P)
                x := mulmod(x, x, P)
            }
        }
    }

    /// @dev e(C + sum weights . commitments + zeta W', [1]_2) = e(W', [s]_2).
    function _checkPairing(
        uint256 x,
        uint256 y,
        bytes calldata proof,
        Coefficients memory weights,
        Fr zeta
    ) private view {
        Curve.Sum memory sum;
        (sum.x, sum.y) = (x, y);
        _addScaled(sum, proof, H, weights.h);
        _addScaled(sum, proof, Q, weights.q);
        _addScaled(sum, proof, G, weights.g);
        _addScaled(sum, proof, S, weights.s);
        _addScaled(sum, proof, D, weights.d);
        _addScaled(sum, proof, W, weights.w);
        sum.addScaled(1, 2, weights.one);
        _addScaled(sum, proof, OPENING, zeta);
        uint256[12] memory input = [
            sum.x,
            sum.y,
            Curve.G2_X1,
            Curve.G2_X0,
            Curve.G2_Y1,
            Curve.G2_Y0,
            _word(proof, OPENING),
            Curve.negate(_word(proof, OPENING + 32)),
            s2X1,
            s2X0,
            s2Y1,
            s2Y0
        ];
        if (!Curve.pairingHolds(input)) revert OpeningRejected();
    }

    function _checkPoint(bytes calldata proof, uint256 offset) private pure {
        Curve.check(_word(proof, offset), _word(proof, offset + 32));
    }

    function _addScaled(Curve.Sum memory sum, bytes calldata proof, uint256 offset, Fr scalar)
        private
        view
    {
        sum.addScaled(_word(proof, offset), _word(proof, offset + 32), scalar);
    }

    /// @dev The word at a byte offset; `_decode` has checked the length.
    function _word(bytes calldata proof, uint256 offset) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(proof.offset, offset))
        }
    }
}
