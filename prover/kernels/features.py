"""What the processor, as compiled code may use it, offers to the tiers."""

import os

NEEDED = ("avx512f", "avx512dq", "avx512vl", "avx512ifma")


def host_features() -> frozenset[str]:
    """The processor's features by LLVM's names, or those that Numba is told to assume instead."""
    if "NUMBA_CPU_NAME" in os.environ or "NUMBA_CPU_FEATURES" in os.environ:
        asked = os.environ.get("NUMBA_CPU_FEATURES", "").split(",")
        return frozenset(feature[1:] for feature in asked if feature.startswith("+"))
    import llvmlite.binding  # the compiler: not before a tier is picked

    found = llvmlite.binding.get_host_cpu_features()
    return frozenset(feature for feature, present in found.items() if present)


def missing_for_ifma() -> list[str]:
    """The features that the IFMA tier would use and the processor lacks: its code would abort."""
    found = host_features()
    return [feature for feature in NEEDED if feature not in found]
