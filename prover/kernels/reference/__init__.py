"""The reference tier: plain Python integers, the definition that other tiers are tested against."""

from collections.abc import Callable, Iterator, Sequence

from prover.kernels.interface import Progress, T
from prover.kernels.reference.field import (
    add,
    add_scaled,
    batch_inverse,
    concat,
    from_int64,
    from_ints,
    inner,
    mul,
    outer,
    pick,
    scale,
    sub,
    to_ints,
    total,
    zeros,
)
from prover.kernels.reference.msm import msm, msm_picked, msm_small
from prover.kernels.reference.multilinear import (
    eq_table,
    fold,
    powers,
    round_lookup,
    round_product,
    round_table,
    small_matvec,
)
from prover.kernels.reference.points import (
    generator_powers,
    load_points,
    points_from_bytes,
    points_to_bytes,
    points_to_ints,
)
from prover.kernels.reference.univariate import correlate, divide_power, evaluate

name = "reference"


def run_all(tasks: Sequence[Callable[[], T]]) -> list[T]:
    return [task() for task in tasks]


def warmup() -> Iterator[Progress]:
    """Nothing to compile."""
    yield 1, 1, "nothing to compile"


__all__ = [
    "add",
    "add_scaled",
    "batch_inverse",
    "concat",
    "correlate",
    "divide_power",
    "eq_table",
    "evaluate",
    "fold",
    "from_int64",
    "from_ints",
    "generator_powers",
    "inner",
    "load_points",
    "msm",
    "msm_picked",
    "msm_small",
    "mul",
    "name",
    "outer",
    "pick",
    "points_from_bytes",
    "points_to_bytes",
    "points_to_ints",
    "powers",
    "round_lookup",
    "round_product",
    "round_table",
    "run_all",
    "scale",
    "small_matvec",
    "sub",
    "to_ints",
    "total",
    "warmup",
    "zeros",
]
