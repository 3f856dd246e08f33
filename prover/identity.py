"""What names a model, and what hides it: its id, the digest of its weights, its blinders."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from prover.field import P
from prover.keccak import keccak
from prover.program.encode import encode
from prover.program.evaluate import Stored, in_bytes
from prover.program.format import serialize
from prover.program.ir import Program, Role
from prover.program.layout import Layout

ID_TAG = keccak(b"einproof/model/v1")
BLINDER_TAG = b"einproof/blinder/v1"
WEIGHTS_TAG = b"einproof/weights/v1"
KEY_TAG = b"einproof/key/v1"


def program_bytes(placed: Layout) -> bytes:
    """What is registered: the verifier section, then the source that it is computed from."""
    return serialize(placed.verifier) + encode(placed.program)


def model_id(program: bytes, points: bytes, srs_id: bytes, k: int, aux_hash: bytes) -> bytes:
    """keccak256(abi.encode(keccak256("einproof/model/v1"), keccak256(program), keccak256(points),
    srsId, uint256(k), auxHash)), as ModelRegistry computes it."""
    words = (ID_TAG, keccak(program), keccak(points), srs_id, k.to_bytes(32, "big"), aux_hash)
    return keccak(b"".join(words))


def blinder(key: bytes, program_hash: bytes, srs_id: bytes, weights: bytes, tile: int) -> int:
    """rho_t of a weight tile: HMAC-SHA512 of all that makes its commitment, reduced from 64 bytes.

    `weights` is the digest of the integers: two models under one key never share a blinder, whose
    commitments would differ by that of their weights' difference, unblinded.
    """
    message = BLINDER_TAG + program_hash + srs_id + weights + tile.to_bytes(4, "big")
    return int.from_bytes(hmac.new(key, message, hashlib.sha512).digest(), "big") % P


def weights_digest(program: Program, weights: Mapping[str, Stored]) -> bytes:
    """SHA-256 of the weights in program order, int64 big-endian; itself secret."""
    digest = hashlib.sha256()
    for i in program.with_role(Role.WEIGHT):
        for piece in in_bytes(weights[program.tensors[i].name], ">i8"):
            digest.update(piece)
    return digest.digest()


def weights_mac(key: bytes, digest: bytes) -> str:
    """HMAC-SHA256 under the blinding key: checks the weights, and helps nobody to guess them."""
    return hmac.digest(key, WEIGHTS_TAG + digest, "sha256").hex()


def key_hash(key: bytes) -> str:
    """SHA-256 of the blinding key: 32 random bytes cannot be guessed."""
    return hashlib.sha256(KEY_TAG + key).hexdigest()
