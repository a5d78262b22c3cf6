"""The synthesiser as the engine sees it: an output that tells another process what happens."""

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

#: A synthesiser that ends by itself is started again, unless it does so within so many
#: seconds of its start.
_AT_ONCE = 10.0
#: Seconds that it has to fade and end when it is asked to.
_PATIENCE = 1.0


class SoundOutput:
    """Lets everyone be heard. Whatever goes wrong there, the jam goes on."""

    def __init__(self, settings: Settings, *, device: str | None = None) -> None:
        """Prepare; the process starts when the engine first looks, which is when it is ready.

        device is the audio device's name or a part of it; None is the system's choice.
        """
        self._settings: dict[str, Value] = {
            name: getattr(settings, name) for name, row in SETTINGS.items() if row.sound
        }
        self._device = device
        self._state = "starting"
        self._got: dict[str, Any] = {}
        self._unsent = 0
        self._line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._line.bind(("127.0.0.1", 0))
        self._line.setblocking(False)
        self._ready = False
        self._closing = threading.Event()
        self._process: ChildProcess | None = None
        self._thread: threading.Thread | None = None

    # -- on the engine's thread --------------------------------------------------------

    def handle(self, what: Event, at: float) -> None:
        """Let it be heard."""
        if isinstance(what, ControlChanged) and what.name in self._settings:
            self._settings[what.name] = what.value
        if not self._ready:
            return
        packet = encode(what, at)
        if packet is not None:
            self._send(packet)

    def _send(self, packet: bytes) -> None:
        try:
            self._line.send(packet)
        except OSError:  # it is gone, or does not listen just now
            self._unsent += 1

    def advance(self, now: float) -> float:
        """Start the process, the first time."""
        del now
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep, name="sound", daemon=True)
            self._thread.start()
        return math.inf

    def status(self) -> dict[str, object]:
        """Say which device plays, and the buffer that it gave."""
        return {"sound": {"state": self._state, "unsent": self._unsent, **self._got}}

    def close(self) -> None:
        """Let what sounds fade, and end the process."""
        self._closing.set()
        if self._process is not None:
            self._process.end(_PATIENCE)
        self._line.close()

    # -- on a thread of its own ----------------------------------------------------------

    def _keep(self) -> None:
        """Keep the process, until it cannot be kept or is not wanted."""
        adopt_main_priority()
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                status = self._run()
            except OSError as error:
                self._trouble(f"no sound: {error.strerror}; the jam goes on without")
                return
            if self._closing.is_set() or status == 0:
                return
            if time.monotonic() - began < _AT_ONCE:
                self._trouble("the sound has failed; the jam goes on without")
                return
            self._trouble("the sound has failed; it is started again")

    def _run(self) -> int:
        """Run the process once; return its exit status."""
        about = {
            "settings": self._settings,
            "port": self._line.getsockname()[1],
            "device": self._device,
        }
        # One thread each: the products are small, and other threads would only wait.
        alone = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        process = ChildProcess(
            "robojam.sound.program",
            json.dumps(about),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | alone,
        )
        self._process = process
        if self._closing.is_set():  # `close` may have come before there was a process
            process.end(_PATIENCE)
        assert process.stdout is not None
        with process.stdout:
            self._listen(process.stdout)
        self._ready = False
        return process.wait()

    def _listen(self, said: IO[bytes]) -> None:
        for line in said:
            what: dict[str, Any] = json.loads(line)
            if "port" in what:
                self._line.connect(("127.0.0.1", what["port"]))
                self._state, self._ready = "playing", True
                # What was changed while it started.
                for name, value in self._settings.items():
                    packet = encode(ControlChanged(0.0, name, value), time.perf_counter())
                    if packet is not None:
                        self._send(packet)
            elif "trouble" in what:
                self._trouble(what["trouble"])
            elif "back" in what:
                self._state = "playing"
                log.warning("%s", what["back"])
            else:
                got = what["got"]
                if not self._got:
                    log.info("sound: %(name)s (%(api)s), %(buffer_ms)g ms at a time", got)
                self._got = got

    def _trouble(self, what: str) -> None:
        self._state, self._got = what, {}
        if not self._closing.is_set():
            log.warning("%s", what)
