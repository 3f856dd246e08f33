"""The structured reference string: powers of a secret s, where they come from, how they are kept.

    points = [1]_1, [s]_1, ..., [s^(2^k)]_1   (a tile of 2^k cells and its blinder), and [s]_2
    id     = keccak256("einproof/srs/v1" || [s]_1 || [s]_2),  64 and 128 bytes, EIP-196 and EIP-197

Who knows s forges anything. `prover.ptau` takes the outcome of a public ceremony; the development
SRS comes from a published seed and is recognised by its id, however it got here.

File format srs.bin: MAGIC, k (4 bytes), [s]_2 (128), the points (64 each), SHA-256 of all before
(32); big-endian.
"""

import contextlib
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from prover import pairing
from prover.curve import (
    GENERATOR,
    GENERATOR_G2,
    POINT_BYTES,
    Affine,
    Point,
    PointG2,
    check_point,
    decode_point,
    encode_point,
    is_in_g2,
    multiply,
    multiply_g2,
    negate,
)
from prover.errors import EinproofError, ProofError
from prover.field import ELEMENT_BYTES, P
from prover.keccak import keccak
from prover.kernels.interface import Kernels, Points

MAGIC = b"einproof/srs/v1\n"
ID_TAG = b"einproof/srs/v1"
G2_BYTES = 4 * ELEMENT_BYTES
INFINITY = bytes(POINT_BYTES)
HEADER_BYTES = len(MAGIC) + 4 + G2_BYTES
DIGEST_BYTES = 32
MOST_POWER = 28
DEVELOPMENT_SEED = b"einproof development SRS, forgeable by anyone, v1"
CACHE_VARIABLE = "EINPROOF_CACHE"


class SrsError(EinproofError):
    """A reference string that is damaged, too small, or not one."""

    def __init__(self, what: str, expected: object, got: object) -> None:
        super().__init__(what, expected, got)

    def __str__(self) -> str:
        what, expected, got = self.args
        return f"{what}: expected {expected}, got {got}"


@dataclass(frozen=True, eq=False)
class Srs:
    """2^k_max + 1 powers as points of one kernel tier, and [s]_2."""

    k_max: int
    points: Points
    s_g1: Affine
    s_g2: PointG2

    @cached_property
    def id(self) -> bytes:
        """The 32 bytes that name this s wherever it is used."""
        return srs_id(self.s_g1, self.s_g2)

    @property
    def development(self) -> bool:
        """Whether s is the published one, so that anyone can forge."""
        return self.id == development_id()


def srs_id(s_g1: Point, s_g2: PointG2) -> bytes:
    """keccak256("einproof/srs/v1" || [s]_1 || [s]_2); independent of the number of powers."""
    return keccak(ID_TAG + encode_point(s_g1) + encode_g2(s_g2))


def encode_g2(point: PointG2) -> bytes:
    """128 bytes as EIP-197 has them: imaginary part first; zeros for infinity."""
    if point is None:
        return bytes(G2_BYTES)
    (x0, x1), (y0, y1) = point
    return b"".join(value.to_bytes(ELEMENT_BYTES, "big") for value in (x1, x0, y1, y0))


def srs_from_bytes(kernels: Kernels, k: int, data: bytes, first: int, s_g2: PointG2) -> Srs:
    """The powers that data has from its byte `first` on, 64 bytes a point; raises SrsError where
    one is infinite or not on the curve."""
    last = first + ((1 << k) + 1) * POINT_BYTES
    start = data.find(INFINITY, first, last)
    while start >= 0:
        if (start - first) % POINT_BYTES == 0:
            power = (start - first) // POINT_BYTES
            raise SrsError(f"power {power}", "a finite point", "infinity")
        start = data.find(INFINITY, start + 1, last)
    points = memoryview(data)[first:last]  # hundreds of megabytes: not copied
    try:
        s_g1 = decode_point(bytes(points[POINT_BYTES : 2 * POINT_BYTES]))
        return Srs(k, kernels.points_from_bytes(points), s_g1, s_g2)
    except ProofError as error:
        raise SrsError("points of an SRS", "points of G1", error) from error


def check_srs(kernels: Kernels, srs: Srs) -> None:
    """Raises SrsError unless the points are the powers of the s in [s]_2, and s is neither 0 nor 1.

    With random 128-bit c: e(sum_i c_i points[i], [s]_2) = e(sum_i c_i points[i+1], [1]_2), after
    points[0] = [1]_1 and [s]_2 in G2. A wrong string passes with probability 2^-128. That nobody
    knows s is beyond any check: it rests on the ceremony.
    """
    count = (1 << srs.k_max) + 1
    if len(srs.points) != count:
        raise SrsError("points of an SRS", count, len(srs.points))
    first, second = kernels.points_to_ints(srs.points[:2])
    if first != GENERATOR:
        raise SrsError("first power", f"the generator {GENERATOR}", first)
    if second is None or second == GENERATOR or srs.s_g2 is None:
        raise SrsError("secret of the SRS", "a contribution of someone", "0 or 1")
    if second != srs.s_g1:
        raise SrsError("second power", srs.s_g1, second)
    if not is_in_g2(srs.s_g2):
        raise SrsError("[s]_2", "a point of the subgroup of order P", srs.s_g2)
    weights = kernels.from_ints([secrets.randbits(128) for _ in range(count - 1)])
    lower, upper = kernels.msm(srs.points[:-1], weights), kernels.msm(srs.points[1:], weights)
    if not pairing.product_is_one([(lower, srs.s_g2), (negate(upper), GENERATOR_G2)]):
        raise SrsError("points of the SRS", "the powers of the secret in [s]_2", "others")


# The development SRS


@lru_cache
def development_secret() -> int:
    """int(keccak256(DEVELOPMENT_SEED)) mod P, big-endian: public, and so good for tests only."""
    return int.from_bytes(keccak(DEVELOPMENT_SEED), "big") % P


@lru_cache
def development_id() -> bytes:
    """The id of the development SRS."""
    s = development_secret()
    return srs_id(multiply(GENERATOR, s), multiply_g2(GENERATOR_G2, s))


@lru_cache
def development_s_g2() -> PointG2:
    """[s]_2 of the development SRS: all that a verifier needs of it."""
    return multiply_g2(GENERATOR_G2, development_secret())


def development_srs(kernels: Kernels, k: int, folder: Path | None = None) -> Srs:
    """The development SRS for tiles up to 2^k, kept in a folder (`cache_folder` if none is given).

    A damaged file there is made anew; a folder that cannot be written only costs the time.
    """
    path = (folder or cache_folder()) / f"development-{k}.bin"
    try:
        found = load_srs(kernels, path)
        if found.development and found.k_max == k:
            return found
    except (OSError, SrsError):
        pass
    s = development_secret()
    points = kernels.generator_powers(s, (1 << k) + 1)
    s_g1 = check_point(kernels.points_to_ints(points[1:2])[0])
    srs = Srs(k, points, s_g1, development_s_g2())
    with contextlib.suppress(OSError):
        save_srs(kernels, srs, path)
    return srs


def cache_folder() -> Path:
    """EINPROOF_CACHE, else einproof/srs in the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return (Path(chosen) if chosen else Path(user) / "einproof") / "srs"


# srs.bin


def save_srs(kernels: Kernels, srs: Srs, path: Path) -> None:
    """Writes srs.bin, whole or not at all."""
    header = MAGIC + srs.k_max.to_bytes(4, "big") + encode_g2(srs.s_g2)
    body = kernels.points_to_bytes(srs.points)
    digest = hashlib.sha256(header)
    digest.update(body)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in (header, body, digest.digest()):
                file.write(part)
            file.flush()
            os.fchmod(descriptor, 0o644)  # nothing in it is secret
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def load_srs(kernels: Kernels, path: Path) -> Srs:
    """Reads srs.bin; raises SrsError for a damaged one, OSError for a missing one.

    The caller must still check: that the file is its own work (`import_ptau`), else `check_srs`;
    and that the id is the one its verifier trusts.
    """
    data = path.read_bytes()
    with _named(path):
        return _parse(kernels, data)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """An error about the file's contents names it."""
    try:
        yield
    except SrsError as error:
        what, expected, got = error.args
        raise SrsError(f"{path}: {what}", expected, f"{got}: import it anew") from error


def read_key(path: Path) -> tuple[bytes, PointG2]:
    """(id, [s]_2) of srs.bin, from its first bytes: a verifier needs no powers.

    The id names [s]_2, so that an id which the caller trusts vouches for it; damage among the
    powers is not looked for. Raises SrsError for what is no SRS file, OSError for a missing one.
    """
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES + 2 * POINT_BYTES)
        length = file.seek(0, os.SEEK_END)
    with _named(path):
        _, s_g2 = _header(head, length)
        try:
            s_g1 = decode_point(head[HEADER_BYTES + POINT_BYTES :])
        except ProofError as error:
            raise SrsError("second power", "a point of G1", error) from error
        if not is_in_g2(s_g2):
            raise SrsError("[s]_2", "a point of the subgroup of order P", s_g2)
    return srs_id(s_g1, s_g2), s_g2


def _header(data: bytes, length: int) -> tuple[int, PointG2]:
    """k and [s]_2 of a file of this length that begins with data; raises SrsError."""
    if data[: len(MAGIC)] != MAGIC:
        raise SrsError("start of an SRS file", MAGIC, data[: len(MAGIC)])
    k = int.from_bytes(data[len(MAGIC) : len(MAGIC) + 4], "big")
    if not 1 <= k <= MOST_POWER:
        raise SrsError("size of an SRS", f"1 to {MOST_POWER}", k)
    expected = HEADER_BYTES + POINT_BYTES * ((1 << k) + 1) + DIGEST_BYTES
    if length != expected:
        raise SrsError("length of an SRS file", expected, length)
    x1, x0, y1, y0 = (
        int.from_bytes(data[start : start + ELEMENT_BYTES], "big")
        for start in range(len(MAGIC) + 4, HEADER_BYTES, ELEMENT_BYTES)
    )
    return k, ((x0, x1), (y0, y1))


def _parse(kernels: Kernels, data: bytes) -> Srs:
    k, s_g2 = _header(data[:HEADER_BYTES], len(data))
    content = memoryview(data)[:-DIGEST_BYTES]
    digest = hashlib.sha256(content).digest()
    if digest != data[-DIGEST_BYTES:]:
        raise SrsError("SHA-256 of an SRS file", data[-DIGEST_BYTES:].hex(), digest.hex())
    return srs_from_bytes(kernels, k, data, HEADER_BYTES, s_g2)
