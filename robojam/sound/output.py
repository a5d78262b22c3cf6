"""Output to the synthesiser, which runs in a process of its own."""

from __future__ import annotations

import json
import logging
import math
import os
import socket
import subprocess
import threading
import time
from typing import IO, Any

from robojam.controls import SETTINGS, Settings, Value
from robojam.jam.events import ControlChanged, Event
from robojam.sound.messages import encode
from robojam.system.child_process import ChildProcess
from robojam.system.priority import adopt_main_priority

log = logging.getLogger("robojam")

#: A synthesiser that fails is started again, unless it has failed this many times in a row
#: within this many seconds of its start.
_MOST_FAILURES, _AT_ONCE = 3, 10.0
#: Seconds that the process has to fade the sound and end.
_PATIENCE = 1.0


class SoundOutput:
    """Output to the built-in sound. Whatever goes wrong there, the jam goes on."""

    schedules = False

    def __init__(
        self, settings: Settings, *, device: str | None = None, latency: float = 0.0
    ) -> None:
        """Prepare; the first call of `advance`, when the engine is ready, starts the process.

        settings are those that the jam starts with. device is the audio device's name or a part
        of it; None is the system's choice. latency is that of its sound, in seconds.
        """
        self.latency = latency
        self._settings: dict[str, Value] = {
            name: getattr(settings, name) for name, row in SETTINGS.items() if row.sound
        }
        self._device = device
        self._state = "starting"
        self._info: dict[str, Any] = {}
        self._unsent = 0
        self._events = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._events.bind(("127.0.0.1", 0))
        self._events.setblocking(False)
        self._ready = False
        self._closing = threading.Event()
        self._process: ChildProcess | None = None
        self._thread: threading.Thread | None = None

    # -- on the engine's thread --------------------------------------------------------

    def handle(self, event: Event, at: float) -> None:
        """Send an event that sounds; keep the settings for a process that starts later."""
        if isinstance(event, ControlChanged) and event.name in self._settings:
            self._settings[event.name] = event.value
        if self._ready:
            self._send(event, at)

    def _send(self, event: Event, at: float) -> None:
        packet = encode(event, at)
        try:
            if packet is not None:
                self._events.send(packet)
        except OSError:  # the process is gone, or does not receive at the moment
            self._unsent += 1

    def advance(self, now: float) -> float:
        """Start the process at the first call."""
        del now
        if self._thread is None:
            self._thread = threading.Thread(target=self._supervise, name="sound", daemon=True)
            self._thread.start()
        return math.inf

    def status(self) -> dict[str, object]:
        """Return the state, the device and its timing."""
        return {"sound": {"state": self._state, "unsent": self._unsent, **self._info}}

    def close(self) -> None:
        """Fade the sound, and end the process."""
        self._closing.set()
        if self._process is not None:
            self._process.end(_PATIENCE)
        self._events.close()

    # -- on a thread of its own ----------------------------------------------------------

    def _supervise(self) -> None:
        """Run the process, again where it fails, until `close` or until it cannot run."""
        adopt_main_priority()
        failures = 0
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                status = self._run()
            except OSError as error:
                self._trouble(f"no sound: {error.strerror}; the jam goes on without")
                return
            if self._closing.is_set() or status == 0:
                return
            failures = failures + 1 if time.monotonic() - began < _AT_ONCE else 0
            if failures == _MOST_FAILURES:
                self._trouble("the sound has failed; the jam goes on without")
                return
            self._trouble("the sound has failed; it is started again")

    def _run(self) -> int:
        """Run the process once; return its exit status."""
        port = self._events.getsockname()[1]
        given = {"settings": self._settings, "port": port, "device": self._device}
        # One thread: the products are small, and further threads would only wait.
        libraries = ("OPENBLAS", "OMP", "MKL")
        one_thread = {f"{library}_NUM_THREADS": "1" for library in libraries}
        process = ChildProcess(
            "robojam.sound.program",
            json.dumps(given),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | one_thread,
        )
        self._process = process
        if self._closing.is_set():  # `close` may have come before there was a process
            process.end(_PATIENCE)
        assert process.stdout is not None
        with process.stdout:
            self._listen(process.stdout)
        self._ready = False
        return process.wait()

    def _listen(self, reports: IO[bytes]) -> None:
        """Read the reports of the process, lines of JSON, until it ends."""
        for line in reports:
            try:
                report: dict[str, Any] = json.loads(line)
            except ValueError:  # printed by a library of the system's
                continue
            if "port" in report:
                self._events.connect(("127.0.0.1", report["port"]))
                self._state, self._ready = "playing", True
                # Settings may have changed since the start of the process.
                for name, value in self._settings.items():
                    self._send(ControlChanged(0.0, name, value), time.perf_counter())
            elif "trouble" in report:
                self._trouble(report["trouble"])
            elif "back" in report:
                self._state = "playing"
                log.warning("%s", report["back"])
            else:
                info = report["info"]
                if not self._info:
                    log.info("sound: %(name)s (%(api)s), %(buffer_ms)g ms at a time", info)
                self._info = info

    def _trouble(self, message: str) -> None:
        self._state, self._info = message, {}
        if not self._closing.is_set():
            log.warning("%s", message)
