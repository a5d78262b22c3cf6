"""Heaps of a program with threads."""

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from robojam.system.memory import keep_heaps_small

#: Counts the heaps of twelve threads that hold memory at once, as malloc_info(3) lists them.
COUNT = """
import ctypes, sys, tempfile, threading
from robojam.system.memory import keep_heaps_small
if "small" in sys.argv:
    assert keep_heaps_small()
c = ctypes.CDLL(None)
held, end = threading.Barrier(13), threading.Event()
def hold():
    block = bytearray(5000)
    held.wait()
    end.wait()
threads = [threading.Thread(target=hold) for _ in range(12)]
for each in threads:
    each.start()
held.wait()
c.fdopen.restype = ctypes.c_void_p
with tempfile.TemporaryFile() as file:
    stream = ctypes.c_void_p(c.fdopen(file.fileno(), b"w"))
    c.malloc_info(0, stream)
    c.fflush(stream)
    file.seek(0)
    print(file.read().count(b"<heap nr="))
end.set()
"""


def run(code: str, *arguments: str) -> int:
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return int(ran.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_threads_share_a_heap_beside_that_of_the_main_thread():
    assert run(COUNT) > 2
    assert run(COUNT, "small") == 2


#: Frees a block of 2 MB, and counts those of 1 MB that are mapped, by malloc_info(3).
MAPPED = """
import ctypes, re, sys, tempfile
from robojam.system.memory import keep_heaps_small
if "small" in sys.argv:
    assert keep_heaps_small()
del (block := bytearray(2 << 20))[:]
del block
held = [bytearray(1 << 20) for _ in range(2)]
c = ctypes.CDLL(None)
c.fdopen.restype = ctypes.c_void_p
with tempfile.TemporaryFile() as file:
    stream = ctypes.c_void_p(c.fdopen(file.fileno(), b"w"))
    c.malloc_info(0, stream)
    c.fflush(stream)
    file.seek(0)
    print(re.search(rb'<total type="mmap" count="(\\d+)"', file.read())[1].decode())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_large_blocks_are_no_part_of_a_heap_though_some_were_freed():
    assert run(MAPPED, "small") - run(MAPPED) == 2


#: Makes and frees small arrays of all sizes; prints the bytes that the heaps have more in use.
GROWN = """
import ctypes, sys
import numpy as np
from robojam.engine.model_loader import fill_array_cache

class Info(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

if "full" in sys.argv:
    fill_array_cache()
mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Info
before = mallinfo().uordblks
for size in range(1, 2000):
    arrays = [np.ones(size, bool) for _ in range(10)]
del arrays
print(mallinfo().uordblks - before)
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallinfo2") if os.name != "nt" else True,
    reason="the C library does not say what its heaps have in use (glibc 2.33 does)",
)
def test_what_numpy_keeps_of_freed_arrays_is_taken_at_once():
    assert run(GROWN) > 3_000_000
    assert run(GROWN, "full") < 1_000_000


def test_elsewhere_nothing_is_shared(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_heaps_small()
