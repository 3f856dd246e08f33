"""Kernel tiers: one interface, the same results, different speeds. See interface.py."""

import importlib
import os
from typing import TYPE_CHECKING

from prover.kernels import features
from prover.kernels.interface import Kernels, UnknownKernels

if TYPE_CHECKING:  # a tier is a module: this has mypy hold each one against the interface
    from prover.kernels import cpu, cuda, ifma, reference

    CHECKED: tuple[Kernels, ...] = (reference, cpu, ifma, cuda)

# An accelerated tier lives in the package named here; importing one is what loads its compiler.
TIERS = {
    "reference": "prover.kernels.reference",
    "scalar": "prover.kernels.cpu",
    "ifma": "prover.kernels.ifma",
    "cuda": "prover.kernels.cuda",
}
VARIABLE = "EINPROOF_KERNELS"


def available() -> list[str]:
    """The names of the tiers whose instructions this processor has, the fastest last.

    A GPU is only used where it is asked for: to look for one costs half a second.
    """
    present = [name for name in TIERS if name != "cuda"]
    return [name for name in present if name != "ifma" or not features.missing_for_ifma()]


def default() -> str:
    """The tier that EINPROOF_KERNELS names, else the fastest here."""
    return os.environ.get(VARIABLE) or available()[-1]


def get(name: str | None = None) -> Kernels:
    """The tier called name, else the one that EINPROOF_KERNELS names, else the fastest here.

    Raises UnknownKernels for a tier that does not exist, whose packages are not installed, whose
    instructions this processor lacks, or whose device this machine lacks.
    """
    wanted = name or default()
    if wanted not in TIERS:
        raise UnknownKernels(f"expected kernels out of {', '.join(TIERS)}; got {wanted!r}")
    if wanted == "ifma" and (missing := features.missing_for_ifma()):
        raise UnknownKernels(
            f"kernels 'ifma' need a processor with {', '.join(features.NEEDED)}; "
            f"this one lacks {', '.join(missing)}"
        )
    try:
        tier: Kernels = importlib.import_module(TIERS[wanted])
    except ImportError as missing:
        raise UnknownKernels(f"kernels {wanted!r} cannot be loaded: {missing}") from missing
    return tier
