"""Import of the outcome of a powers-of-tau ceremony, in the file format of snarkjs.

A .ptau file is little-endian: "ptau", version 1, the number of sections, and of each section its
kind (4 bytes), length (8) and content. The sections with power p:

  1  header: bytes of a coordinate (32), the prime Q, p, the power of the whole ceremony
  2  [s^i]_1, i < 2^(p+1) - 1        4, 5  [alpha s^i]_1, [beta s^i]_1, i < 2^p
  3  [s^i]_2, i < 2^p                6     [beta]_2
  7  the contributions; 12 to 15, in files prepared for Groth16, Lagrange bases

Points are affine, coordinates in Montgomery form (R = 2^256), 32 bytes; G2's real part is first.
"""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeAlias

from prover.curve import GENERATOR_G2, POINT_BYTES, PointG2
from prover.field import ELEMENT_BYTES, Q
from prover.kernels.interface import Kernels
from prover.srs import G2_BYTES, MOST_POWER, Srs, SrsError, check_srs, srs_from_bytes

MAGIC = b"ptau"
VERSION = 1
HEADER, POWERS_G1, POWERS_G2 = 1, 2, 3
HEADER_BYTES = 4 + ELEMENT_BYTES + 8
FROM_MONTGOMERY = pow(1 << 256, -1, Q)

Sections: TypeAlias = dict[int, tuple[int, int]]  # kind: start and length


def import_ptau(
    kernels: Kernels, path: Path, k: int, progress: Callable[[str], None] = lambda _: None
) -> Srs:
    """The first 2^k + 1 powers of a ceremony on BN254, checked (`check_srs`).

    `progress` is called with the name of each step as it begins.

    Raises SrsError for a file that is damaged, of another curve or too small; OSError for a missing
    one. Only what is used is checked, sections 1, 2 and the start of 3, and the lengths of 4 to 6.

    The caller must still check that this is the file that the ceremony published (by its hash): who
    made it may know s.
    """
    with path.open("rb") as file:
        sections = _sections(file)
        power = _power(file, sections)
        if not 1 <= k <= power:
            raise SrsError("size of an SRS", f"1 to {power} with this file", k)
        count = (1 << k) + 1
        progress(f"reading {count} powers")
        points = _canonical(_read(file, sections[POWERS_G1][0], count * POINT_BYTES))
        one_g2, s_g2 = _twists(_canonical(_read(file, sections[POWERS_G2][0], 2 * G2_BYTES)))
    if one_g2 != GENERATOR_G2:
        raise SrsError("first power in G2", f"the generator {GENERATOR_G2}", one_g2)
    progress(f"checking that {count} powers are points of the curve")
    srs = srs_from_bytes(kernels, k, points, 0, s_g2)
    progress("checking by pairings that they are the powers of one secret")
    check_srs(kernels, srs)
    return srs


def _twists(data: bytes) -> list[PointG2]:
    words = [
        int.from_bytes(data[i : i + ELEMENT_BYTES], "big")
        for i in range(0, len(data), ELEMENT_BYTES)
    ]
    return [
        ((words[i], words[i + 1]), (words[i + 2], words[i + 3])) for i in range(0, len(words), 4)
    ]


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    data = file.read(length)
    if len(data) != length:
        raise SrsError("bytes of a powers-of-tau file", start + length, start + len(data))
    return data


def _sections(file: BinaryIO) -> Sections:
    """Start and length of each section; raises SrsError unless they fill the file."""
    magic, version, count = struct.unpack("<4sII", _read(file, 0, 12))
    if magic != MAGIC or version != VERSION:
        raise SrsError("start of a powers-of-tau file", (MAGIC, 1), (magic, version))
    end = file.seek(0, os.SEEK_END)
    position = 12
    sections: Sections = {}
    for _ in range(count):
        kind, length = struct.unpack("<IQ", _read(file, position, 12))
        if kind in sections or length > end - position - 12:
            raise SrsError(f"section {kind}", f"once, within {end} bytes", f"{length} bytes")
        sections[kind] = position + 12, length
        position += 12 + length
    if position != end:
        raise SrsError("length of a powers-of-tau file", position, end)
    return sections


def _power(file: BinaryIO, sections: Sections) -> int:
    """The power p of the header; raises SrsError unless curve and lengths are as they must be."""
    start, length = sections.get(HEADER, (0, 0))
    if length != HEADER_BYTES:
        raise SrsError("header of a powers-of-tau file", f"{HEADER_BYTES} bytes", length)
    size, prime, power, ceremony = struct.unpack("<I32sII", _read(file, start, length))
    if (size, int.from_bytes(prime, "little")) != (ELEMENT_BYTES, Q):
        raise SrsError("curve of a powers-of-tau file", f"BN254, prime {Q}", (size, prime.hex()))
    if not 1 <= power <= ceremony <= MOST_POWER:
        raise SrsError("power of a file and its ceremony", "1 to 28, in order", (power, ceremony))
    g1 = ((2 << power) - 1) * POINT_BYTES
    lengths = {2: g1, 3: G2_BYTES << power, 4: 64 << power, 5: 64 << power, 6: G2_BYTES}
    for kind, expected in lengths.items():
        got = sections.get(kind, (0, 0))[1]
        if got != expected:
            raise SrsError(f"section {kind} for power {power}", f"{expected} bytes", got)
    return int(power)


def _canonical(data: bytes) -> bytes:
    """Little-endian Montgomery coordinates as big-endian canonical ones; raises SrsError."""
    words = []
    for start in range(0, len(data), ELEMENT_BYTES):
        word = int.from_bytes(data[start : start + ELEMENT_BYTES], "little")
        if word >= Q:
            raise SrsError(f"coordinate {start // ELEMENT_BYTES}", f"below {Q}", word)
        words.append((word * FROM_MONTGOMERY % Q).to_bytes(ELEMENT_BYTES, "big"))
    return b"".join(words)
