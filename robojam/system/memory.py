"""Memory of a program that runs for hours with a few threads."""

import sys
from contextlib import suppress

#: Parameter of mallopt(3), of malloc.h, and the heaps: one is that of the main thread, which
#: must not wait for another's lock.
_M_ARENA_MAX, _HEAPS = -8, 2


def share_heaps() -> bool:
    """Have the threads that begin later share one heap, where the C library is glibc.

    Each thread would have a heap of its own, and in each what is freed leaves gaps: the engine
    would grow by megabytes an hour. Returns whether it is so now.
    """
    if sys.platform != "linux":
        return False
    import ctypes

    with suppress(OSError, AttributeError):  # another C library has none
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS))
    return False
