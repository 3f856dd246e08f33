"""Freed vectors stay with the process, for the next ones.

A proof makes and drops hundreds of vectors of megabytes. By default glibc gives each back to the
system, which then clears every page anew: at tiles of 2^20 cells that was 800,000 page faults and a
third of a proof's processor time. Kept, the peak is the same within 6%.
"""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # parameters of mallopt(3)
NEVER = 2**31 - 1  # bytes, the most that an int argument says


def keep() -> bool:
    """Asks the C library for it; False where it is another one than glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(MMAP_THRESHOLD, NEVER) and mallopt(TRIM_THRESHOLD, NEVER))
