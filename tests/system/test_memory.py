"""Heaps of a program with threads."""

import platform
import subprocess
import sys

import pytest

from robojam.system.memory import share_heaps

#: Counts the heaps of twelve threads that hold memory at once, as malloc_info(3) lists them.
COUNT = """
import ctypes, sys, tempfile, threading
from robojam.system.memory import share_heaps
if "share" in sys.argv:
    assert share_heaps()
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


def heaps(*arguments: str) -> int:
    ran = subprocess.run(
        [sys.executable, "-c", COUNT, *arguments], capture_output=True, text=True, check=True
    )
    return int(ran.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_threads_share_a_heap_beside_that_of_the_main_thread():
    assert heaps() > 2
    assert heaps("share") == 2


def test_elsewhere_nothing_is_shared(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not share_heaps()
