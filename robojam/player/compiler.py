"""Compiler of the steps of one voice: a process that leaves them on disk, and ends.

numba compiles robojam.player.kernels once for a machine, which may take a minute. In a process
of its own, behind other programs, that holds up neither the interpreter nor a core for
which the loop, with its real-time priority, or another program waits.
"""

import os
from contextlib import suppress
from subprocess import DEVNULL

from robojam.system.child_process import ChildProcess, on_stdin_end

#: Added to the nice value: an engine without real-time priority may have -10.
_BEHIND = 10


def compile_apart() -> bool:
    """Have a process compile the steps where that is not done yet, and wait for its end.

    Returns whether they are on disk. If not, robojam.player.devices.load_compiler compiles
    them itself, or says why it cannot.
    """
    with suppress(OSError):  # it cannot be started
        return ChildProcess(__name__, stdout=DEVNULL, stderr=DEVNULL).wait() == 0
    return False


def main() -> None:
    """Compile the steps. The process ends with its parent."""
    on_stdin_end(lambda: os._exit(1))
    if hasattr(os, "nice"):
        os.nice(_BEHIND)
    import robojam.player.cpu_compiled  # noqa: F401


if __name__ == "__main__":
    main()
