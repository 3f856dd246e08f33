"""Kernel tiers: one interface, the same results, different speeds. See interface.py."""

import importlib
import os
from typing import TYPE_CHECKING

from prover.kernels.interface import Kernels, UnknownKernels

if TYPE_CHECKING:  # a tier is a module: this has mypy hold each one against the interface
    from prover.kernels import cpu, reference

    CHECKED: tuple[Kernels, ...] = (reference, cpu)

# An accelerated tier lives in the package named here; importing one is what loads its compiler.
TIERS = {"reference": "prover.kernels.reference", "scalar": "prover.kernels.cpu"}
DEFAULT = "scalar"
VARIABLE = "EINPROOF_KERNELS"


def get(name: str | None = None) -> Kernels:
    """The tier called name, else the one that EINPROOF_KERNELS names, else the fastest here.

    Raises UnknownKernels for a tier that does not exist or whose packages are not installed.
    """
    wanted = name or os.environ.get(VARIABLE) or DEFAULT
    if wanted not in TIERS:
        raise UnknownKernels(f"expected kernels out of {', '.join(TIERS)}; got {wanted!r}")
    try:
        tier: Kernels = importlib.import_module(TIERS[wanted])
    except ImportError as missing:
        raise UnknownKernels(f"kernels {wanted!r} cannot be loaded: {missing}") from missing
    return tier
