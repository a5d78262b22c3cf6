"""Memory of a program that runs for hours with a few threads."""

import sys
from contextlib import suppress
from typing import Final

#: Parameters of mallopt(3), of malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
#: Heaps: one is that of the main thread, which must not wait for another's lock.
_HEAPS: Final = 2
#: Bytes from which on a block is none of a heap, and goes back to the system when it is freed;
#: and that a heap keeps at its end.
_LARGE, _KEPT = 512 << 10, 1 << 20


def keep_heaps_small() -> bool:
    """Have heaps not grow by what is freed again, where the C library is glibc.

    Each thread that begins later would have a heap of its own, and large blocks, once some were
    freed, would be parts of it: what is freed leaves gaps, and the engine would grow by
    megabytes an hour. Returns whether it is so now.
    """
    if sys.platform != "linux":
        return False
    import ctypes

    settings = ((_M_ARENA_MAX, _HEAPS), (_M_MMAP_THRESHOLD, _LARGE), (_M_TRIM_THRESHOLD, _KEPT))
    with suppress(OSError, AttributeError):  # another C library has none
        set_option = ctypes.CDLL(None).mallopt
        return all(set_option(name, value) for name, value in settings)
    return False
