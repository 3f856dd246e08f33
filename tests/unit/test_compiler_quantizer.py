"""The quantiser: floats at the door."""

from __future__ import annotations

import json

import numpy as np
import pytest

from prover.quantizer import InputRefused, Quantizer, QuantizerMalformed, Scaled

QUANTIZER = Quantizer(
    Scaled("input", (1, 3), 14, -16384, 16384), Scaled("output", (1, 2), 3, -32768, 32767)
)


def test_quantize_rounds_half_to_even() -> None:
    step = 2.0**-14
    cells = QUANTIZER.quantize([[0.5 * step, 1.5 * step, -2.5 * step]])
    assert cells.tolist() == [[0, 2, -2]] and cells.dtype == np.int64


def test_every_integer_of_the_range_survives_a_round_trip() -> None:
    scaled = Quantizer(Scaled("x", (32769,), 14, -16384, 16384), QUANTIZER.output)
    integers = np.arange(-16384, 16385)
    np.testing.assert_array_equal(scaled.quantize(np.ldexp(integers, -14)), integers)


def test_dequantize() -> None:
    assert QUANTIZER.dequantize(np.array([8, -4])).tolist() == [[1.0, -0.5]]
    with pytest.raises(InputRefused, match="integers of shape"):
        QUANTIZER.dequantize(np.array([1.0, 2.0]))
    with pytest.raises(InputRefused, match="integers of shape"):
        QUANTIZER.dequantize(np.array([1, 2, 3]))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([[0.0, np.nan, 0.0]], "finite numbers, got nan at [0, 1]"),
        ([[np.inf, 0.0, 0.0]], "finite numbers, got inf at [0, 0]"),
        ([[0.0, 0.0, None]], "numbers of shape (1, 3), got others"),
        ([0.0, 0.0, 0.0], "shape (1, 3), got (3,)"),
        ([[0.0, 0.0]], "shape (1, 3), got (1, 2)"),
        ([[0.0, 0.0], [0.0]], "numbers of shape (1, 3), got a ragged list"),
        ([["0", "0.5", "1"]], "numbers of shape (1, 3), got others"),
        ([[0j, 0j, 1j]], "numbers of shape (1, 3), got others"),
        ([["a", "b", "c"]], "numbers of shape (1, 3), got others"),
        ([[10**400, 0, 0]], "numbers of shape (1, 3), got others"),
        ([[0.0, 0.0, 1.0001]], "values in [-1, 1], got 1.0001 at [0, 2]"),
        ([[0.0, -1e308, 0.0]], "values in [-1, 1], got -1e+308 at [0, 1]"),
    ],
)
def test_bad_input_is_one_line(values: object, reason: str) -> None:
    with pytest.raises(InputRefused) as caught:
        QUANTIZER.quantize(values)  # type: ignore[arg-type]
    assert reason in str(caught.value) and "\n" not in str(caught.value)


def test_canonical_json_round_trips() -> None:
    data = json.loads(QUANTIZER.canonical())
    assert Quantizer.from_dict(data) == QUANTIZER
    assert b" " not in QUANTIZER.canonical()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("rounding",), "up"),
        (("version",), 2),
        (("input",), None),
        (("input", "exponent"), 14.0),
        (("input", "exponent"), 10**9),
        (("input", "lo"), -40000),
        (("input", "lo"), 20000),
        (("input", "shape"), [0, 3]),
        (("input", "shape"), "13"),
        (("output", "hi"), True),
        (("extra",), 1),
    ],
)
def test_malformed_json_is_refused(path: tuple[str, ...], value: object) -> None:
    data = json.loads(QUANTIZER.canonical())
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(QuantizerMalformed):
        Quantizer.from_dict(data)
