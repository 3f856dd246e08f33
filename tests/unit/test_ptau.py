"""The import of a ceremony: as snarkjs reads it, and refused with every kind of damage."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from prover import curve, kernels
from prover.curve import GENERATOR
from prover.field import Q
from prover.kernels.interface import Kernels
from prover.ptau import import_ptau
from prover.srs import SrsError
from tests.openings import NOT_IN_G2

FIXTURES = Path(__file__).parents[1] / "vectors" / "v1" / "ptau"
PTAU = (FIXTURES / "power7.ptau").read_bytes()
REFERENCE = kernels.get("reference")
G1_START = 12 + 12 + 44 + 12  # file header, section 1 with its header, header of section 2
G2_START = G1_START + 255 * 64 + 12
MONTGOMERY = pow(2, 256, Q)
POINT = curve.multiply(GENERATOR, 1234567) or GENERATOR


@pytest.fixture(scope="module", params=kernels.available())
def tier(request: pytest.FixtureRequest) -> Kernels:
    return kernels.get(request.param)


@pytest.mark.parametrize("k", [1, 2, 7])
def test_a_ceremony_is_read_as_snarkjs_reads_it(tier: Kernels, k: int) -> None:
    expected = json.loads((FIXTURES / "power7.json").read_text())
    srs = import_ptau(tier, FIXTURES / "power7.ptau", k)
    points = tier.points_to_ints(srs.points)
    assert len(points) == 2**k + 1
    for index, (x, y) in expected["g1"].items():
        if int(index) <= 2**k:
            assert points[int(index)] == (int(x), int(y))
    (x0, x1), (y0, y1) = expected["s_g2"]
    assert srs.s_g2 == ((int(x0), int(x1)), (int(y0), int(y1)))
    assert not srs.development


def patch(offset: int, data: bytes) -> bytes:
    return PTAU[:offset] + data + PTAU[offset + len(data) :]


def montgomery(*coordinates: int) -> bytes:
    return b"".join((c * MONTGOMERY % Q).to_bytes(32, "little") for c in coordinates)


def refused(tmp_path: Path, data: bytes, message: str, k: int = 7) -> None:
    path = tmp_path / "damaged.ptau"
    path.write_bytes(data)
    with pytest.raises(SrsError, match=message):
        import_ptau(REFERENCE, path, k)


DAMAGES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "bytes of a powers-of-tau file: expected 12, got 0"),
    "cut at the end": (lambda: PTAU[:-1], "section 7"),
    "cut in the powers": (lambda: PTAU[: G1_START + 1000], "section 2"),
    "cut in a section header": (lambda: PTAU[: G1_START - 5], "bytes of a powers-of-tau file"),
    "a byte more": (lambda: PTAU + b"\0", "length of a powers-of-tau file"),
    "another magic": (lambda: patch(0, b"zkey"), "start of a powers-of-tau file"),
    "another version": (lambda: patch(4, b"\2"), "start of a powers-of-tau file"),
    "a section less": (lambda: patch(8, b"\6"), "length of a powers-of-tau file"),
    "a section more": (lambda: patch(8, b"\x08"), "bytes of a powers-of-tau file"),
    "a section twice": (lambda: patch(24 + 44, b"\1"), "section 1: expected once"),
    "no powers": (lambda: patch(24 + 44, b"\x0b"), "section 2 for power 7"),
    "a long header": (lambda: patch(16, b"\x2d"), "section|header"),
    "another curve": (lambda: patch(28, b"\x48"), "curve of a powers-of-tau file"),
    "another coordinate size": (lambda: patch(24, b"\x30"), "curve of a powers-of-tau file"),
    "a larger power": (lambda: patch(60, b"\x08"), "power of a file and its ceremony"),
    "a smaller power": (lambda: patch(60, b"\x06"), "section 2 for power 6"),
    "a huge power": (lambda: patch(60, b"\xff\xff\xff\xff"), "power of a file and its ceremony"),
    "another generator": (lambda: patch(G1_START, montgomery(*POINT)), "first power"),
    "another generator of G2": (
        lambda: patch(G2_START, PTAU[G2_START + 128 : G2_START + 256]),
        "first power in G2",
    ),
    "a point of G1 off the curve": (
        lambda: patch(G1_START + 64 * 9, montgomery(1, 3)),
        "points of an SRS: expected points of G1",
    ),
    "an infinite power": (lambda: patch(G1_START + 64 * 9, bytes(64)), "power 9: expected a fin"),
    "a coordinate of Q": (
        lambda: patch(G1_START + 64, Q.to_bytes(32, "little")),
        "coordinate 2: expected below",
    ),
    "another power": (lambda: patch(G1_START + 64 * 9, montgomery(*POINT)), "points of the SRS"),
    "the last power": (lambda: patch(G1_START + 64 * 128, montgomery(*POINT)), "points of the S"),
    "powers exchanged": (
        lambda: patch(
            G1_START + 64 * 9,
            PTAU[G1_START + 64 * 10 : G1_START + 64 * 11]
            + PTAU[G1_START + 64 * 9 : G1_START + 64 * 10],
        ),
        "points of the SRS",
    ),
    "powers shifted": (
        lambda: patch(G1_START + 64, PTAU[G1_START + 128 : G1_START + 129 * 64]),
        "points of the SRS",
    ),
    "[s]_2 infinite": (lambda: patch(G2_START + 128, bytes(128)), r"\[s\]_2: expected a point"),
    "[s]_2 off the curve": (
        lambda: patch(G2_START + 128, montgomery(1, 2, 3, 4)),
        r"\[s\]_2: expected a point",
    ),
    "[s]_2 outside the subgroup": (
        lambda: patch(G2_START + 128, montgomery(*(c for pair in NOT_IN_G2 or () for c in pair))),
        r"\[s\]_2: expected a point of the subgroup",
    ),
    "[s^2]_2 for [s]_2": (
        lambda: patch(G2_START + 128, PTAU[G2_START + 256 : G2_START + 384]),
        "points of the SRS",
    ),
    "a length beyond the file": (
        lambda: patch(G1_START - 8, struct.pack("<Q", 1 << 63)),
        "section 2: expected once",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ceremony_is_refused(damage: str, tmp_path: Path) -> None:
    data, message = DAMAGES[damage]
    refused(tmp_path, data(), message)


def test_flipped_bytes_of_what_is_used_are_noticed(tmp_path: Path) -> None:
    for offset in [*range(0, 68, 3), *range(G1_START, G1_START + 5 * 64, 29), G2_START + 200]:
        path = tmp_path / "damaged.ptau"
        path.write_bytes(patch(offset, bytes([PTAU[offset] ^ 4])))
        with pytest.raises(SrsError):
            import_ptau(REFERENCE, path, 2)


def test_a_ceremony_without_contributions_is_refused(tmp_path: Path) -> None:
    ones_g1, ones_g2 = montgomery(*GENERATOR) * 255, PTAU[G2_START : G2_START + 128] * 128
    data = PTAU[:G1_START] + ones_g1 + PTAU[G2_START - 12 : G2_START] + ones_g2
    data += PTAU[G2_START + 128 * 128 :]
    refused(tmp_path, data, "expected a contribution of someone")


@pytest.mark.parametrize("k", [-1, 0, 8, 29])
def test_a_ceremony_of_another_size_is_refused(k: int, tmp_path: Path) -> None:
    refused(tmp_path, PTAU, f"size of an SRS: expected 1 to 7 with this file, got {k}", k)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        import_ptau(REFERENCE, tmp_path / "missing.ptau", 2)
