"""Spare engine: a process that has imported and loaded what takes seconds, and waits."""

from __future__ import annotations

import json
import math
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from robojam.config.options import Options
from robojam.system.child_process import ChildProcess

_PROGRAM: Final = "robojam.cli.prepared_engine"
#: Seconds from the start of an engine until the next one is prepared: what starts comes first.
_DELAY: Final = 10.0


class SpareEngine:
    """One engine that is prepared, for the next start of any."""

    def __init__(
        self,
        options: Callable[[], Options],
        *,
        stdout: int | None = None,
        on_prepared: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare nothing yet; `launch` has another prepared later, where `advance` is called.

        options returns those of a jam as it will be. stdout is where its output goes; with
        on_prepared, which is called once on a thread of its own, that is nowhere.
        """
        self._options, self._stdout, self._on_prepared = options, stdout, on_prepared
        self._clock, self._process = clock, None
        self._prepare_at = math.inf

    _process: ChildProcess | None

    def prepare(self) -> None:
        """Start a process that prepares itself. Raises OSError."""
        self._prepare_at = math.inf
        self._process = ChildProcess(
            _PROGRAM,
            *([] if self._on_prepared is None else ["--report"]),
            first_line=msgspec.json.encode(self._options()),
            stdout=self._stdout if self._on_prepared is None else subprocess.PIPE,
        )
        if self._on_prepared is not None:
            threading.Thread(target=self._wait, args=(self._process,), daemon=True).start()

    def _wait(self, process: ChildProcess) -> None:
        assert process.stdout is not None
        assert self._on_prepared is not None
        process.stdout.readline()
        self._on_prepared()
        for _ in process.stdout:  # else the engine would wait when the pipe is full
            pass

    def launch(
        self, command: Sequence[str], env: Mapping[str, str], stdout: int | None
    ) -> ChildProcess:
        """Start an engine: the one that is prepared, or a new process. Raises OSError.

        What is not prepared yet goes on from where it is. stdout is of a new process.
        """
        spare, self._process = self._process, None
        self._prepare_at = self._clock() + _DELAY
        if spare is None or spare.poll() is not None:
            return ChildProcess("robojam", *command, stdout=stdout, env=env)
        spare.write_line(json.dumps([command, dict(env)]).encode())
        return spare

    def advance(self, now: float) -> float:
        """Prepare one when it is time; return the seconds until then."""
        if now >= self._prepare_at:
            with suppress(OSError, RuntimeError):  # no process more just now: a new one, then
                self.prepare()
        return self._prepare_at - now

    def close(self) -> None:
        """End the one that is prepared, if there is one."""
        if self._process is not None:
            self._process.kill()
