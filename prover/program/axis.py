"""Axis kernels: the multilinear weights of docs/protocol/format.md#kernels, at a point and
expanded over cells.

`evaluate` is the verifier's; `expand` is the prover's, the same weights on every cell of the Y
range. They are written side by side because they must agree.
"""

from __future__ import annotations

from collections.abc import Sequence

from prover.field import P
from prover.program.format import Kernel, Kind, PublicView

Points = tuple[list[int], list[int], list[int]]  # rho, r, y


def eq1(a: int, b: int) -> int:
    """a b + (1-a)(1-b)."""
    return (1 - a - b + 2 * a * b) % P


def eq(a: Sequence[int], b: Sequence[int]) -> int:
    """prod eq1(a_i, b_i)."""
    result = 1
    for x, y in zip(a, b, strict=True):
        result = result * eq1(x, y) % P
    return result


def eq_const(a: Sequence[int], value: int) -> int:
    """eq of a point with the bits of an integer; bits beyond the point are ignored."""
    result = 1
    for i, x in enumerate(a):
        result = result * (x if value >> (len(a) - 1 - i) & 1 else 1 - x) % P
    return result


def eq_expand(point: Sequence[int]) -> list[int]:
    """eq(point, x) for every x."""
    table = [1]
    for x in point:
        table = [v for t in table for v in (t * (1 - x) % P, t * x % P)]
    return table


def cut(point: Sequence[int], n: int) -> int:
    """[a < n] = sum_{x<n} eq(a, x)."""
    if n >> len(point):
        return 1
    total, prefix = 0, 1
    for i, x in enumerate(point):
        if n >> (len(point) - 1 - i) & 1:
            total += prefix * (1 - x)
            prefix = prefix * x % P
        else:
            prefix = prefix * (1 - x) % P
    return total % P


def shifted(p: Sequence[int], y: Sequence[int], n: int, d: int) -> int:
    """sum_{j < 2^len(y), 0 <= j + d < n} eq(p, j + d) eq(y, j): a walk from the least significant
    bit.

    State: the carry of j + d, and whether the bits of j + d so far are below those of n. Above
    both points the sum must be zero in every bit, which the last carry and the sign of d decide.
    """
    width = max(len(p), len(y))
    weights = {(0, 0): 1}  # (carry, below)
    for i in range(width):
        p_i = p[len(p) - 1 - i] if i < len(p) else 0
        step: dict[tuple[int, int], int] = {}
        for (carry, below), weight in weights.items():
            for bit in (0, 1) if i < len(y) else (0,):
                total = bit + (d >> i & 1) + carry
                x, n_i = total & 1, n >> i & 1
                factor = weight * (p_i if x else 1 - p_i)
                if i < len(y):
                    y_i = y[len(y) - 1 - i]
                    factor = factor * (y_i if bit else 1 - y_i)
                state = (total >> 1, int(x < n_i) if x != n_i else below)
                step[state] = (step.get(state, 0) + factor) % P
        weights = step
    high, carry = d >> width, 0  # the bits of j + d above: (d >> width) + carry must be 0
    result = 0
    for (carry, below), weight in weights.items():
        if high + carry == 0 and (below or n >> width):
            result += weight
    return result % P


def evaluate(kernel: Kernel, points: Points, gamma: int) -> int:
    """The kernel's value; gamma is the lookups' folding challenge."""
    p, y = kernel.p.of(points), kernel.y.of(points)
    if kernel.kind == Kind.EQ:
        excess = len(p) - len(y)
        if excess >= 0:
            return eq_const(p[:excess], kernel.const) * eq(p[excess:], y) % P
        return eq_const(y[:-excess], kernel.const) * eq(p, y[-excess:]) % P
    if kernel.kind == Kind.CUT:
        return cut(p, kernel.const)
    if kernel.kind == Kind.SHIFT:
        return shifted(p, y, kernel.const, kernel.shift)
    if kernel.kind == Kind.POWER:
        result, power = pow(gamma, kernel.const, P), gamma
        for y_i in reversed(y):
            result = result * (1 - y_i + y_i * power) % P
            power = power * power % P
        return result
    total = 0
    for x in p:
        total = 2 * total + x
    return (total + kernel.shift) % P


def evaluate_record(kernel: Kernel, points: Points, gamma: int) -> list[int]:
    """The values of a kernel's record (`Kernel.values`), each made of the one before."""
    p, y = kernel.p.of(points), kernel.y.of(points)
    found = []
    if kernel.kind == Kind.EQ:
        value = 1
        for a, b in zip(reversed(p), reversed(y), strict=True):
            value = value * eq1(a, b) % P
            found.append(value)
    elif kernel.kind == Kind.INDEX:
        value = kernel.shift
        for i, a in enumerate(reversed(p)):
            value = (value + (a << i)) % P
            found.append(value)
    else:
        found.append(evaluate(kernel, points, gamma))
    return found


def evaluate_public(view: PublicView, points: Points, sides: Sequence[bytes]) -> int:
    """sum over cells of V[y] prod w(y): axes are contracted from the last, by one eq expansion
    each."""
    count = 1
    for axis in view.axes:
        count *= axis.length
    data = sides[view.side][view.offset : view.offset + 2 * count]
    cells = [int.from_bytes(data[2 * i : 2 * i + 2], "big", signed=True) for i in range(count)]
    for axis in reversed(view.axes):
        table = eq_expand(axis.p.of(points))
        weights = [
            table[y - axis.shift] if 0 <= y - axis.shift < axis.n else 0 for y in range(axis.length)
        ]
        cells = [
            sum(c * w for c, w in zip(cells[i : i + axis.length], weights, strict=True)) % P
            for i in range(0, len(cells), axis.length)
        ]
    return cells[0]
