"""The SRS: the development one, its id, its file, and the check of its powers."""

from __future__ import annotations

from pathlib import Path

import pytest

from prover import curve, kernels
from prover.curve import GENERATOR, GENERATOR_G2, POINT_BYTES
from prover.errors import EinproofError
from prover.field import P
from prover.kernels.interface import Kernels
from prover.ptau import import_ptau
from prover.srs import (
    DEVELOPMENT_SEED,
    HEADER_BYTES,
    MAGIC,
    Srs,
    SrsError,
    check_srs,
    development_id,
    development_secret,
    development_srs,
    load_srs,
    read_key,
    save_srs,
    srs_id,
)
from tests.openings import NOT_IN_G2

PTAU = Path(__file__).parents[1] / "vectors" / "v1" / "ptau" / "power7.ptau"
REFERENCE = kernels.get("reference")
FROZEN_SECRET = (
    4444714386995656713404959211071815670005892651853293736022193769479482699961  # by pysha3
)
FROZEN_ID = "bfc2625b339c43c6534ae90529983de72e080115165b6f6ef97cb84503251358"


@pytest.fixture(scope="module", params=kernels.available())
def tier(request: pytest.FixtureRequest) -> Kernels:
    return kernels.get(request.param)


def test_the_development_secret_is_the_published_seed() -> None:
    assert DEVELOPMENT_SEED == b"einproof development SRS, forgeable by anyone, v1"
    assert development_secret() == FROZEN_SECRET
    assert development_id().hex() == FROZEN_ID


def test_the_development_srs_has_the_powers(tier: Kernels, tmp_path: Path) -> None:
    srs = development_srs(tier, 4, tmp_path)
    s = development_secret()
    expected = [curve.multiply(GENERATOR, pow(s, i, P)) for i in range(17)]
    assert tier.points_to_ints(srs.points) == expected
    assert (srs.s_g1, srs.s_g2) == (expected[1], curve.multiply_g2(GENERATOR_G2, s))
    assert srs.development
    assert srs.id == development_id()
    check_srs(tier, srs)


def test_the_id_is_of_the_secret_not_of_the_size(tmp_path: Path) -> None:
    small, large = (development_srs(REFERENCE, k, tmp_path) for k in (2, 3))
    assert small.id == large.id == srs_id(small.s_g1, small.s_g2)
    assert import_ptau(REFERENCE, PTAU, 2).id != small.id


def test_a_file_of_one_tier_is_read_by_the_other(tmp_path: Path) -> None:
    tiers = [kernels.get(name) for name in kernels.available()]
    srs = development_srs(tiers[0], 3, tmp_path)
    for tier in tiers:
        found = load_srs(tier, tmp_path / "development-3.bin")
        assert tier.points_to_bytes(found.points) == tiers[0].points_to_bytes(srs.points)
        assert (found.k_max, found.s_g1, found.s_g2) == (3, srs.s_g1, srs.s_g2)
        save_srs(tier, found, tmp_path / f"{tier.name}.bin")
    files = {(tmp_path / f"{tier.name}.bin").read_bytes() for tier in tiers}
    assert len(files) == 1
    assert len(list(tmp_path.iterdir())) == 1 + len(tiers)  # and no partial file


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    development_srs(REFERENCE, 2, tmp_path)
    path = tmp_path / "development-2.bin"
    whole = path.read_bytes()
    for damage in (whole[:-1], whole[:200] + b"\0" + whole[201:], b""):
        path.write_bytes(damage)
        assert development_srs(REFERENCE, 2, tmp_path).development
        assert path.read_bytes() == whole


def test_an_srs_in_the_cache_that_is_another_is_replaced(tmp_path: Path) -> None:
    other = import_ptau(REFERENCE, PTAU, 2)
    save_srs(REFERENCE, other, tmp_path / "development-2.bin")
    assert development_srs(REFERENCE, 2, tmp_path).development


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert development_srs(REFERENCE, 2, tmp_path / "file" / "below").development


def test_every_flipped_byte_of_a_file_is_noticed(tmp_path: Path) -> None:
    development_srs(REFERENCE, 1, tmp_path)
    path = tmp_path / "development-1.bin"
    whole = path.read_bytes()
    for i in range(len(whole)):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        with pytest.raises(SrsError):
            load_srs(REFERENCE, path)
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(SrsError):
            load_srs(REFERENCE, path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(SrsError, match="length of an SRS file: expected"):
        load_srs(REFERENCE, path)
    with pytest.raises(OSError):
        load_srs(REFERENCE, tmp_path / "missing.bin")


def test_a_verifier_reads_the_head_alone(tmp_path: Path) -> None:
    """The id and [s]_2, whatever the powers after the second are; nothing else passes for them."""
    srs = development_srs(REFERENCE, 2, tmp_path)
    path = tmp_path / "development-2.bin"
    assert read_key(path) == (srs.id, srs.s_g2)
    data = path.read_bytes()
    path.write_bytes(data[:-100] + bytes(100))
    assert read_key(path) == (srs.id, srs.s_g2)
    second = HEADER_BYTES + POINT_BYTES
    for at in (0, len(MAGIC), *range(len(MAGIC) + 4, HEADER_BYTES, 9), second, second + 40):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(SrsError, match="import it anew"):
            read_key(path)
    path.write_bytes(data[:-1])
    with pytest.raises(SrsError, match="length of an SRS file"):
        read_key(path)


def test_check_refuses_what_is_not_the_powers(tier: Kernels, tmp_path: Path) -> None:
    srs = development_srs(tier, 3, tmp_path)
    points = tier.points_to_ints(srs.points)
    doubled = curve.add(points[5], points[5])
    bad: list[list[curve.Point]] = [
        [*points[:5], doubled, *points[6:]],
        [points[0], *points[1:3][::-1], *points[3:]],
        [*points[:8], None],
        points[:-1],
        [points[1], *points[1:]],
    ]
    for wrong in bad:
        with pytest.raises(SrsError):
            check_srs(tier, Srs(3, tier.load_points(wrong), srs.s_g1, srs.s_g2))
    for twist in (GENERATOR_G2, NOT_IN_G2, None, curve.add_g2(srs.s_g2, srs.s_g2)):
        with pytest.raises(SrsError):
            check_srs(tier, Srs(3, srs.points, srs.s_g1, twist))
    one = tier.load_points([GENERATOR] * 9)
    with pytest.raises(SrsError, match="expected a contribution of someone, got 0 or 1"):
        check_srs(tier, Srs(3, one, GENERATOR, GENERATOR_G2))


def test_an_error_is_an_error_of_einproof() -> None:
    assert issubclass(SrsError, EinproofError)
    assert str(SrsError("size", 3, 4)) == "size: expected 3, got 4"
