"""Floats to integers on power-of-two scales: float64, round half to even, from weights alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from prover.compiler.calibrate import Interval
from prover.compiler.errors import CompileError
from prover.quantizer import (
    INT16_MAX,
    INT16_MIN,
    FloatArray,
    IntArray,
    Scaled,
    round_half_even,
)

BIAS_BITS = 32
CELL_BITS = 16  # of a weight at most, where each channel has a scale
MAX_SHIFT = 40
Choice = Callable[[int | None], int | None]
_choice: ContextVar[Choice] = ContextVar("exponents", default=lambda exponent: exponent)


@contextmanager
def exponents(choice: Choice) -> Iterator[None]:
    """Within, `choice` makes of every exponent that `largest_exponent` finds the one that is taken:
    how equal blocks come by equal scales."""
    token = _choice.set(choice)
    try:
        yield
    finally:
        _choice.reset(token)


def largest_exponent(values: FloatArray, limit: int) -> int | None:
    """The largest e with |round(v * 2^e)| <= limit for all v; None if all are zero."""
    return _choice.get()(_largest(values, limit))


def _largest(values: FloatArray, limit: int) -> int | None:
    most = float(np.abs(values).max(initial=0.0))
    if most == 0.0:
        return None
    exponent = limit.bit_length() - math.frexp(most)[1]
    while round_half_even(np.array([most]), exponent)[0] > limit:
        exponent -= 1
    return exponent


def quantize_input(name: str, shape: tuple[int, ...], lo: float, hi: float, bits: int) -> Scaled:
    """The finest power-of-two scale on which [lo, hi] has `bits` bits; raises CompileError."""
    if not (math.isfinite(lo) and math.isfinite(hi) and lo <= hi):
        raise CompileError(f"expected a finite input range lo <= hi, got [{lo}, {hi}]")
    ends = np.array([lo, hi])
    exponent = largest_exponent(ends, (1 << bits - 1) - 1)
    if exponent is None:
        raise CompileError("expected an input range wider than [0, 0]")
    low, high = (int(n) for n in round_half_even(ends, exponent))
    return Scaled(name, shape, exponent, low, high)


def whole_input(name: str, shape: tuple[int, ...], lo: float, hi: float) -> Scaled:
    """Integers as they are; raises CompileError for ends that are not int16."""
    if lo != int(lo) or hi != int(hi) or not INT16_MIN <= lo <= hi <= INT16_MAX:
        raise CompileError(f"expected whole numbers of 16 bits as the range, got [{lo}, {hi}]")
    return Scaled(name, shape, 0, int(lo), int(hi))


def quantize_linear(
    weight: FloatArray,
    bias: FloatArray,
    input_exponent: int,
    bits: int,
    per_channel: bool = False,
) -> tuple[IntArray, IntArray, int]:
    """(weight, bias, exponent of the accumulator) as integers; the first axis is of channels.

    One scale 2^e for the weights, and 2^(e + input_exponent) for the accumulator and the bias: the
    finest for which weights have `bits` signed bits and biases 32. So a bias that dwarfs its
    weights takes precision from them, and the accumulator never needs more than 32 bits for a bias.

    `per_channel`: each channel c has at least the scale 2^(e_c) that it would have by itself, as
    far as CELL_BITS reach; what evens the channels out, 2^(e - e_c), is in its weights.
    """
    most = (1 << bits - 1) - 1
    limits = [
        _choice.get()(_of_channels(weight, bits) if per_channel else _largest(weight, most)),
        _less(largest_exponent(bias, (1 << BIAS_BITS - 1) - 1), input_exponent),
    ]
    exponent = min((e for e in limits if e is not None), default=0)
    return (
        round_half_even(weight, exponent).astype(np.int64),
        round_half_even(bias, exponent + input_exponent).astype(np.int64),
        exponent + input_exponent,
    )


def stored_bits(bits: int, per_channel: bool) -> int:
    """What a layer's weights are declared to have."""
    return max(bits, CELL_BITS) if per_channel else bits


def _of_channels(weight: FloatArray, bits: int) -> int | None:
    """The largest exponent of any channel, of those that leave every weight CELL_BITS."""
    own = [_largest(channel, (1 << bits - 1) - 1) for channel in weight]
    room = _largest(weight, (1 << stored_bits(bits, True) - 1) - 1)
    return None if room is None else min(room, max(e for e in own if e is not None))


def _less(exponent: int | None, by: int) -> int | None:
    return None if exponent is None else exponent - by


def smallest_shift(interval: Interval, lo: int, hi: int) -> int | None:
    """The least s for which floor(x / 2^s + 1/2) is in [lo, hi] all over the interval; None if
    above MAX_SHIFT.
    """
    for shift in range(MAX_SHIFT + 1):
        low, high = interval.shifted(shift).span
        if lo <= low and high <= hi:
            return shift
    return None
