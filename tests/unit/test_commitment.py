"""Tile commitments, against their definition and against py_ecc."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from py_ecc import bn128

from prover import curve, kernels
from prover.commitment import commit
from prover.curve import GENERATOR
from prover.errors import UnsupportedSize, WrongLength
from prover.field import P
from prover.kernels.interface import Kernels
from prover.srs import development_secret, development_srs

REFERENCE = kernels.get("reference")


@pytest.fixture(scope="module", params=kernels.available())
def tier(request: pytest.FixtureRequest) -> Kernels:
    return kernels.get(request.param)


def test_a_commitment_is_the_definition(tier: Kernels, tmp_path: Path) -> None:
    srs = development_srs(tier, 4, tmp_path)
    s = development_secret()
    small = np.array([3, -5, 0, 7, 2**40, -(2**15), 1], dtype=np.int64)
    large = [P - 1, 5, 1 << 200]
    runs = [(6, tier.from_ints(large)), (15, tier.from_ints([9]))]
    cells = [*small.tolist(), *[0] * 9]
    for start, values in ((6, large), (15, [9])):
        for i, value in enumerate(values):
            cells[start + i] += value
    blinder = 1 << 250
    power_sum = sum(c * pow(s, i, P) for i, c in enumerate([*cells, blinder]))
    expected = curve.multiply(GENERATOR, power_sum % P)
    assert commit(tier, srs, small, blinder, 4, runs) == expected
    assert commit(tier, srs, tier.from_ints(cells), blinder, 4) == expected
    at_3 = commit(tier, srs, tier.from_ints(cells[:8]), 1, 3)
    power_sum = sum(c * pow(s, i, P) for i, c in enumerate([*cells[:8], 1]))
    assert at_3 == curve.multiply(GENERATOR, power_sum % P)


def test_a_commitment_is_the_sum_that_py_ecc_makes(tmp_path: Path) -> None:
    srs = development_srs(REFERENCE, 3, tmp_path)
    cells = [1, 2, P - 3, 1 << 253, 0, 5, 6, 7]
    total = None
    for point, scalar in zip(srs.points, [*cells, 11], strict=True):
        lifted = tuple(bn128.FQ(c) for c in point)
        total = bn128.add(total, bn128.multiply(lifted, scalar))
    assert total is not None
    got = commit(REFERENCE, srs, REFERENCE.from_ints(cells), 11, 3)
    assert got == tuple(int(c) for c in total)
    assert got != commit(REFERENCE, srs, REFERENCE.from_ints(cells), 12, 3)


def test_a_commitment_refuses_what_does_not_fit(tmp_path: Path) -> None:
    srs = development_srs(REFERENCE, 2, tmp_path)
    cells = REFERENCE.from_ints([1] * 5)
    with pytest.raises(WrongLength):
        commit(REFERENCE, srs, cells, 0, 2)
    with pytest.raises(WrongLength):
        commit(REFERENCE, srs, cells[:1], 0, 2, [(3, cells[:2])])
    with pytest.raises(UnsupportedSize):
        commit(REFERENCE, srs, cells[:1], 0, 3)
