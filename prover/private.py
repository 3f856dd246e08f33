"""A committed tensor as its owner holds it: its values, and a secret that blinds its tiles.

    opening = TensorOpening.fresh(values, srs_id, k)
    points = opening.points(kernels, srs)              into the statement; they show nothing
    opening.check(kernels, srs, points)                by whoever the opening is handed to

The points are KZG commitments (prover.commitment), hiding as long as no blinder serves two tiles:
each is a PRF of the secret, and of all that its commitment is made from, so that even a secret used
twice gives other blinders to other values. Two proofs with the same points are about one tensor:
that is how proofs are chained (docs/protocol/private.md).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from prover.curve import POINT_BYTES, Affine, encode_point
from prover.errors import EinproofError
from prover.field import P
from prover.kernels.interface import Kernels
from prover.program.addresses import Block, Group
from prover.program.layout import MAX_K
from prover.program.validate import MAX_CELLS, MAX_RANK
from prover.proving.tiles import Tile, put
from prover.quantizer import IntArray, require_fields
from prover.srs import Srs, SrsError

FORMAT = "einproof/opening/v1"
BLINDER_TAG = b"einproof/tensor-blinder/v1"
SECRET_BYTES, WORD, CELL = 32, 32, 8


class OpeningRefused(EinproofError):
    """An opening that cannot be used for this statement."""


class OpeningMissing(OpeningRefused):
    """A committed tensor that nobody gave the opening of."""


class OpeningMismatch(OpeningRefused):
    """An opening of other points than the statement's, or of another shape or tile size."""


class OpeningDamaged(OpeningRefused):
    """A file that holds no opening."""


class OpeningExists(OpeningRefused):
    """An opening that would be overwritten: its secret exists nowhere else."""


class OpeningExposed(UserWarning):
    """Others on this machine may read an opening, and with it a private tensor."""


@dataclass(frozen=True, eq=False)
class TensorOpening:
    """values: int64 of the tensor's shape; in tiles of 2^k cells under the SRS of srs_id."""

    values: IntArray
    srs_id: bytes
    k: int
    secret: bytes = field(repr=False)

    @classmethod
    def fresh(cls, values: IntArray, srs_id: bytes, k: int) -> TensorOpening:
        """Under a new secret from the operating system."""
        cells = np.array(values, dtype=np.int64, order="C")
        return cls(cells, srs_id, k, secrets.token_bytes(SECRET_BYTES))

    def tiles(self) -> list[Tile]:
        """The tensor's tiles with their blinders, as the layout places a tensor that is alone."""
        placed: dict[object, list[Block]] = {}
        group = Group(0, self.k)
        group.want(FORMAT, self.values.shape)
        cells = [np.zeros(1 << self.k, dtype=np.int64) for _ in range(group.place(placed))]
        for block in placed[FORMAT]:
            put(cells[block.tile], block, self.values)
        return [Tile(tile, self._blinder(t)) for t, tile in enumerate(cells)]

    def points(self, kernels: Kernels, srs: Srs) -> tuple[Affine, ...]:
        """The tiles' commitments; raises SrsError for another SRS."""
        if srs.id != self.srs_id:
            raise SrsError("SRS of the opening", self.srs_id.hex(), srs.id.hex())
        return tuple(tile.commit(kernels, srs, self.k) for tile in self.tiles())

    def check(self, kernels: Kernels, srs: Srs, points: Sequence[Affine]) -> None:
        """Raises OpeningMismatch unless these are its points."""
        if (own := self.points(kernels, srs)) != tuple(points):
            raise OpeningMismatch(
                f"expected the opening of {_shown(points)}, got one of {_shown(own)}"
            )

    def _blinder(self, tile: int) -> int:
        """rho_t = HMAC-SHA512(secret; SRS, k, shape, values, t), reduced from 64 bytes."""
        digest = hashlib.sha256(self.values.astype(">i8").tobytes()).digest()
        shape = b"".join(n.to_bytes(CELL, "big") for n in self.values.shape)
        place = self.k.to_bytes(1, "big") + len(self.values.shape).to_bytes(1, "big") + shape
        message = BLINDER_TAG + self.srs_id + place + digest + tile.to_bytes(4, "big")
        return int.from_bytes(hmac.new(self.secret, message, hashlib.sha512).digest(), "big") % P

    # the file

    def to_json(self) -> str:
        """One JSON object in canonical form: sorted keys, no spaces, cells as int64 big-endian."""
        fields = {
            "format": FORMAT,
            "k": self.k,
            "secret": self.secret.hex(),
            "shape": list(self.values.shape),
            "srs": self.srs_id.hex(),
            "values": self.values.astype(">i8").tobytes().hex(),
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":")) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> TensorOpening:
        """The inverse; raises OpeningDamaged for all that `to_json` does not write."""
        try:
            found = json.loads(text)
            require_fields(found, {"format", "k", "secret", "shape", "srs", "values"})
            made = _opening(found)
        except (ValueError, TypeError, RecursionError, OverflowError) as error:
            raise OpeningDamaged(f"expected an opening of format {FORMAT}: {error}") from None
        if made.to_json().encode() != (text.encode() if isinstance(text, str) else text):
            raise OpeningDamaged(f"expected the canonical form of {FORMAT}, got another")
        return made

    def save(self, path: Path) -> None:
        """A new file that only its owner can read, mode 0600; raises OpeningExists."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileExistsError:
            raise OpeningExists(f"expected no {path} yet: move it, or name another") from None
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(self.to_json())
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def load(cls, path: Path) -> TensorOpening:
        """Raises OpeningDamaged, with the path; warns with OpeningExposed if others may read it."""
        try:
            data = path.read_bytes()
            mode = path.stat().st_mode
        except OSError as error:
            raise OpeningDamaged(f"{path}: cannot be read ({error.strerror})") from error
        if stat.S_IMODE(mode) & 0o077:
            what = f"{path} can be read by others: run chmod 600 on it"
            warnings.warn(what, OpeningExposed, stacklevel=2)
        try:
            return cls.from_json(data)
        except OpeningDamaged as error:
            raise OpeningDamaged(f"{path}: {error}") from None


def is_opening(data: bytes) -> bool:
    """Whether a file's bytes mean to be an opening."""
    return data.startswith(b'{"format":"' + FORMAT.encode() + b'"')


def _opening(found: dict[str, Any]) -> TensorOpening:
    k, shape = found["k"], found["shape"]
    secret, srs_id = bytes.fromhex(found["secret"]), bytes.fromhex(found["srs"])
    if found["format"] != FORMAT or len(secret) != SECRET_BYTES or len(srs_id) != WORD:
        raise ValueError("another format, or a secret or SRS id of another length")
    if type(k) is not int or not 6 <= k <= MAX_K:
        raise ValueError(f"tiles of 2^{k} cells")
    sizes_fit = isinstance(shape, list) and all(type(n) is int and n >= 1 for n in shape)
    if not sizes_fit or not 1 <= len(shape) <= MAX_RANK:
        raise ValueError(f"a tensor of shape {shape}")
    cells = np.frombuffer(bytes.fromhex(found["values"]), dtype=">i8").astype(np.int64)
    if len(cells) > MAX_CELLS:
        raise ValueError(f"{len(cells)} cells")
    return TensorOpening(cells.reshape(shape), srs_id, k, secret)


def _shown(points: Sequence[Affine]) -> str:
    digest = hashlib.sha256(b"".join(map(encode_point, points))).hexdigest()
    return f"{len(points)} points ({POINT_BYTES * len(points)} bytes, sha256 {digest[:16]}...)"
