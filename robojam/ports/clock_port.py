"""Ports of clocks: programs that follow one, or send one, at the engine's end."""

import math
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

from robojam.beats import Beats
from robojam.clock.messages import ClockReport, ClockRequest
from robojam.ports.midi import MISSED
from robojam.ports.midi_client import MidiClient, MidiError
from robojam.ports.process_client import ProcessClient
from robojam.system.install import missing_package
from robojam.system.process_messages import (
    ALIVE,
    CLOCK,
    ERROR,
    GONE,
    NO_PORT,
    OPENED,
)
from robojam.wire.midi.styles import PortRequest, parse_port
from robojam.wire.native import Input

_LINK: Final = "robojam.clock.link_program"
_MIDI: Final = "robojam.ports.clock_process"
#: What a clock needs: its name, and a module.
_NEEDS: Final = {"link": ("Ableton Link", "aalink"), "jack": ("JACK's transport", "jack")}
#: Name of the port that other programs connect to, where none is named.
_OWN_PORT: Final = "virtual:clock"


class ClockError(ValueError):
    """A clock that cannot be used; the text says why, and what to do."""


class ClockPort:
    """Port of a program that follows a clock, or sends one; a `DevicePort` without touches.

    report is the last that it has said; port the name of its MIDI port while that is there;
    error what is wrong with the port or the program.
    """

    def __init__(
        self, client: ProcessClient, on_change: Callable[[], None], wanted: str = ""
    ) -> None:
        """Take what a client receives; on_change is called when it has said something.

        wanted is the name of its MIDI port, if it has one.
        """
        self._client, self._on_change, self._wanted = client, on_change, wanted
        self._missed_at = time.perf_counter() + MISSED if wanted else math.inf
        self._request: ClockRequest | None = None
        self.report = ClockReport()
        self.port: str | None = None
        self.error = ""

    @property
    def trouble(self) -> str | None:
        """The last error that is about the program, and no port."""
        return self._client.trouble

    def ask(self, request: ClockRequest, *, again: bool = True) -> None:
        """Ask the program for something; again: also when it has been started again."""
        if again:
            self._request = request
        self._client.put(CLOCK, NO_PORT, request.encode())

    def advance(self, now: float) -> float:
        """Watch the program; return the seconds until the next call."""
        self._client.watch(now)
        if now >= self._missed_at:
            self._missed_at = math.inf
            if self.port is None and not self.error:
                self.error = (
                    f"is not there: no MIDI port is named like {self._wanted!r:.60} (robojam "
                    "ports shows what is); it is taken when it comes"
                )
                self._on_change()
        return 1.0

    # -- DevicePort -------------------------------------------------------------------------

    def filenos(self) -> list[int]:
        """Return the client's descriptor, for a selector."""
        return [self._client.fileno()]

    def receive(self) -> list[tuple[str, Input]]:
        """Take what the program has said; return no touches."""
        changed = False
        for letter, number, data in self._client.receive():
            if letter == ALIVE and number == NO_PORT and not data:
                if self._request is not None:
                    self.ask(self._request)
            elif letter == CLOCK:
                report = ClockReport.decode(data)
                if report is not None:
                    self.report, changed = report, True
            elif letter == OPENED:
                self.port, self.error, changed = data.decode(errors="replace"), "", True
            elif letter == GONE:
                self.port, changed = None, True
                self.error = "is gone: its port is taken again when it returns"
            elif letter == ERROR and number != NO_PORT:
                reason = data.decode(errors="replace")
                self.error, changed = f"cannot be opened: {reason}", True
        if changed:
            self._on_change()
        return []

    def lift_all(self) -> list[tuple[str, Input]]:
        """Return nothing: no finger is down."""
        return []

    def status(self) -> dict[str, object]:
        """Return nothing: `robojam.engine.beat_clock` has the status of clocks."""
        return {}

    def close(self) -> None:
        """End the program."""
        self._client.close()


class ClockPorts:
    """Opens the clocks that controls name."""

    def __init__(self, midi_in: tuple[str, ...] = ()) -> None:
        """midi_in are the options' MIDI inputs: the first is `midi` without a port."""
        self._midi_in = midi_in

    def run(self, job: Callable[[], None]) -> None:
        """Do a job on a thread of its own: a program takes a while to start and to end."""
        threading.Thread(target=job, name="clock", daemon=True).start()

    def check(self, source: str) -> None:
        """Raise ClockError where a clock, as the control `clock` has it, cannot be used."""
        kind, _, port = source.partition(":")
        if kind in _NEEDS and find_spec(_NEEDS[kind][1]) is None:
            raise ClockError(missing_package(*_NEEDS[kind]) or "")
        if kind == "midi":
            self._midi_port(port)

    def _midi_port(self, name: str) -> PortRequest:
        wanted = name or next(iter(self._midi_in), _OWN_PORT)
        try:
            request = parse_port(wanted, {})
        except ValueError as error:
            raise ClockError(str(error)) from error
        if request.virtual and sys.platform == "win32":
            raise ClockError(
                "Windows has no MIDI ports of programs: --clock midi:PORT names one "
                "(robojam ports lists them)"
            )
        return request

    def open(
        self, source: str, tempo: float, beats: Beats | None, on_change: Callable[[], None]
    ) -> ClockPort:
        """Start to follow a clock. Raises ClockError.

        Where there is no session of Link, one begins at a tempo, or with beats that go on.
        """
        self.check(source)
        kind, _, port = source.partition(":")
        clock = time.perf_counter
        try:
            if kind == "link":
                begin = ClockRequest(beats=beats).encode().decode()
                wanted = {"tempo": tempo, "begin": begin}
                client = ProcessClient(_LINK, wanted, clock, what="Link")
            elif kind == "jack":
                client = ProcessClient(_MIDI, {"jack": True}, clock, what="JACK")
            else:
                request = self._midi_port(port)
                client = MidiClient([request], [], clock, program=_MIDI)
                return ClockPort(client, on_change, request.name)
        except (MidiError, OSError) as error:
            raise ClockError(str(error)) from error
        return ClockPort(client, on_change)

    def open_output(self, port: str, on_change: Callable[[], None]) -> ClockPort:
        """Start to send a clock to a port. Raises ClockError."""
        try:
            request = parse_port(port, {})
            client = MidiClient([], [request], time.perf_counter, program=_MIDI)
        except (ValueError, OSError) as error:
            raise ClockError(str(error)) from error
        return ClockPort(client, on_change, request.name)
