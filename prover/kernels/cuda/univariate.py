"""Univariate polynomials over Fr, coefficients from the constant up."""

from typing import Any

from numba import cuda

from prover.field import P
from prover.kernels import checks
from prover.kernels.cuda.cells import empty
from prover.kernels.cuda.field import power, row_sums, sum_rows, zeros
from prover.kernels.cuda.kernel import CHUNK, LANES, cell, kernel, launch
from prover.kernels.cuda.limbs import add_fr, load, mul_fr, store, zero
from prover.kernels.cuda.multilinear import squares
from prover.kernels.interface import Vec

# Division by X^b - alpha: rest[i] = f[i] + alpha rest[i + b], b chains. A chain is cut into chunks
# of CHUNK places; what enters a chunk from above is the same recurrence over chunks, with
# alpha^CHUNK, so that it is solved first and alike.


@kernel
def _chunk_values(f: Any, length: Any, b: Any, alpha: Any, out: Any, n: Any) -> None:
    """out[b c + r] = sum_m alpha^m f[r + (CHUNK c + m) b]."""
    factor = load(alpha, 0)
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        first = i // b * CHUNK * b + i % b
        value = zero()
        for m in range(CHUNK - 1, -1, -1):
            if first + m * b < length:
                value = add_fr(mul_fr(factor, value), load(f, first + m * b))
        store(out, i, value)


@kernel
def _fill_chunks(
    f: Any, length: Any, b: Any, alpha: Any, chunks: Any, count: Any, out: Any, n: Any
) -> None:
    """The rests inside the n chunks, from those at the start of each of `count`."""
    factor = load(alpha, 0)
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        first = i // b * CHUNK * b + i % b
        value = zero()
        if i + b < count:
            value = load(chunks, i + b)
        for m in range(CHUNK - 1, -1, -1):
            if first + m * b < length:
                value = add_fr(mul_fr(factor, value), load(f, first + m * b))
                store(out, first + m * b, value)


def _rests(f: Any, length: int, b: int, alpha: int) -> Any:
    """rest[i] = f[i] + alpha rest[i + b] for i < length, f as flat words."""
    chains = -(-length // b)
    count = -(-chains // CHUNK) * b
    chunks = empty(0).words  # above the last chunk there is nothing
    if chains > CHUNK:
        values = empty(count)
        launch(_chunk_values, count, f, length, b, cell(alpha), values.words)
        chunks = _rests(values.words, count, b, pow(alpha, CHUNK, P)).words
    out = empty(length)
    entering = count if chains > CHUNK else 0
    launch(_fill_chunks, count, f, length, b, cell(alpha), chunks, entering, out.words)
    return out


def divide_power(f: Any, b: int, alpha: int) -> tuple[Vec, Vec]:
    checks.divisor_degree(b)
    rest: Any = zeros(max(len(f), b))
    if len(f):
        rest[: len(f)] = _rests(f.flat(), len(f), b, alpha)
    return rest[b:], rest[:b]


@kernel
def _evaluate(f: Any, length: Any, point: Any, out: Any, lanes: Any) -> None:
    """out[lane] = z^lane sum_k f[lane + k lanes] z^(k lanes)."""
    step = power(point, lanes)
    for lane in range(cuda.grid(1), lanes, cuda.gridsize(1)):
        value = zero()
        for i in range(lane + (length - 1 - lane) // lanes * lanes, -1, -lanes):
            value = add_fr(mul_fr(step, value), load(f, i))
        store(out, lane, mul_fr(value, power(point, lane)))


def evaluate(f: Any, z: int) -> int:
    out = empty(min(len(f), LANES))
    launch(_evaluate, len(out), f.flat(), len(f), squares(z), out.words)
    return row_sums(out.words, 1)[0]


@kernel
def _correlate(a: Any, b: Any, a_length: Any, b_length: Any, lanes: Any, out: Any, n: Any) -> None:
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        j, acc = i // lanes, zero()
        for k in range(i % lanes, min(b_length, a_length - j), lanes):
            acc = add_fr(acc, mul_fr(load(a, j + k), load(b, k)))
        store(out, i, acc)


def correlate(a: Any, b: Any) -> Vec:
    out = empty(max(len(a), len(b)) * CHUNK)
    launch(_correlate, len(out), a.flat(), b.flat(), len(a), len(b), CHUNK, out.words)
    length = len(out) // CHUNK
    out.words, out.length = sum_rows(out.words, length), length
    return out
