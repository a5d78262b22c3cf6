"""Child processes that end with their parent, and the signals that end a program.

The parent starts a module of robojam as a `ChildProcess`. The child's standard input is a
pipe from the parent: a lifeline. It may carry lines, and ends when the parent closes
it, exits or is killed, so that no child outlives its parent. The child notices the end with
`wait_for_stdin_end` or `on_stdin_end`.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

#: Exit status of a window that has no display to open on.
NO_DISPLAY: Final = 3


def termination_signals() -> list[signal.Signals]:
    """Return the signals that ask a program to end: SIGINT, SIGTERM and SIGHUP.

    SIGHUP, sent when the terminal closes, is left out on Windows, which has none, and where
    it is ignored because the program was started to outlive its terminal (nohup).
    """
    signals = [signal.SIGINT, signal.SIGTERM]
    if os.name != "nt" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    return signals


def python_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with this interpreter.

    With -P, nothing is imported from the current folder: `python -m` alone would run a file
    named random.py that happens to lie there.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


class ChildProcess:
    """A Python module that runs as a process of its own and ends with this one."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        first_line: bytes = b"",
        stdout: int | None = None,
        stderr: int | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start the process, in a session of its own: Ctrl-C reaches the parent alone.

        first_line is written to the child's standard input, for `read_first_line`; unlike
        arguments it is not shown to other users. stdout, stderr and env are as subprocess
        takes them. Raises OSError when the process cannot be started.
        """
        self._process = subprocess.Popen(
            python_command(module, *arguments),
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            env=env,
            start_new_session=True,
        )
        #: The child's output, if it was asked for with subprocess.PIPE.
        self.stdout = self._process.stdout
        self.pid = self._process.pid
        if first_line:
            self.write_line(first_line)

    def write_line(self, line: bytes) -> None:
        """Write a line to the child's standard input; wait where that is full."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError, ValueError):  # it has ended already: `poll` says so
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()

    def poll(self) -> int | None:
        """Return the exit status, or None while the process runs."""
        return self._process.poll()

    def wait(self) -> int:
        """Wait for the end; return the exit status."""
        return self._process.wait()

    def on_exit(self, callback: Callable[[int], None]) -> None:
        """Call back with the exit status, on a thread of its own, when the process ends."""

        def wait() -> None:
            callback(self.wait())

        threading.Thread(target=wait, name=f"exit of {self.pid}", daemon=True).start()

    def end(self, patience: float, *, terminate: bool = False) -> int:
        """Ask the process to end; kill it after `patience` seconds. Return the exit status.

        Closing the lifeline is the request. With terminate, SIGTERM is sent as well, which
        ends a child that is not watching its input yet.
        """
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        if terminate and os.name != "nt":  # Windows would kill it at once
            self._process.terminate()
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End the process without asking; return the exit status."""
        self._process.kill()
        return self._process.wait()


# -- in the child ------------------------------------------------------------------------------
# All of it reads descriptor 0: a thread that waits in sys.stdin holds its lock, on which the
# interpreter's own end would wait.


def read_first_line() -> bytes:
    """Read one line of standard input and nothing after it; b"" if the parent has ended."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return b""
        line += byte
    return line


def wait_for_stdin_end() -> None:
    """Wait until standard input ends, as it does when the parent ends or asks for the end."""
    with suppress(OSError):
        while os.read(0, 1024):
            pass


def on_stdin_lines(callback: Callable[[bytes], object], on_end: Callable[[], object]) -> None:
    """Call back with each line of standard input, and at its end, on a thread of its own."""

    def read() -> None:
        waiting = b""
        with suppress(OSError):
            while data := os.read(0, 1 << 16):
                *lines, waiting = (waiting + data).split(b"\n")
                for line in lines:
                    callback(line)
        on_end()

    threading.Thread(target=read, name="stdin", daemon=True).start()


def on_stdin_end(callback: Callable[[], object]) -> None:
    """Call back, on a thread of its own, when standard input ends."""

    def wait() -> None:
        wait_for_stdin_end()
        callback()

    threading.Thread(target=wait, name="stdin", daemon=True).start()
