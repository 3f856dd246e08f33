"""Points of G1, made eight at a time."""

from prover.kernels.cpu.points import fixed_base
from prover.kernels.ifma.field import canonical
from prover.kernels.ifma.msm import sum_segments
from prover.kernels.ifma.multilinear import powers
from prover.kernels.interface import Points


def generator_powers(s: int, n: int) -> Points:
    return fixed_base(sum_segments, canonical(powers(s, n)))
