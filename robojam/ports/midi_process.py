"""Program that holds the MIDI ports, in a process of its own beside the engine.

A process and not a thread: a send to a JACK server that has died never returns and holds the
interpreter's lock meanwhile, so that no thread of the engine would go on. A process can be
killed and started again. When the engine dies, this program releases all notes that sound.

The two exchange datagrams on the loopback address (robojam.system.process_messages). Inputs
count from 0, outputs from OUTPUTS. The end of standard input tells that the engine has ended.
"""

import glob
import json
import os
import select
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from robojam.ports import midi_binding
from robojam.ports.engine_link import connect
from robojam.ports.midi_tracker import Listed, PortTracker, TrackedPort
from robojam.system.process_messages import (
    ALIVE,
    ERROR,
    GONE,
    HOPELESS,
    KNOBS,
    MESSAGE,
    OPENED,
    OUTPUTS,
    SYSTEMS,
    packet,
)
from robojam.wire.midi.port_names import matches, unique_names
from robojam.wire.midi.stream import MidiParser, SoundingNotes

#: Seconds between two scans for ports: no MIDI system reports changes by itself.
SCAN: Final = 0.25
#: Name under which the program shows up. Ports of this name are never opened.
CLIENT: Final = "robojam"
#: Messages that are sent at once, and the pause after them in seconds: a receiver may lose
#: some of a longer burst.
_BURST, _BURST_PAUSE = 64, 0.004
#: Seconds until the last messages have left: longer than any usual period of JACK.
_FLUSH = 0.1
#: Seconds between two attempts to reach a JACK server.
_JACK_RETRY = 2.0


class MidiBackends:
    """MIDI systems of this machine (ALSA, JACK, CoreMIDI, WinMM), by RtMidi's number.

    Each has an input and an output that list its ports. `errors` are the exceptions that ports
    raise; `listen` makes a port call a function with each message.
    """

    def __init__(self) -> None:
        """Load the binding of RtMidi; raises ImportError where it cannot be loaded."""
        self._binding = midi_binding.load()
        self.errors, self.listen = self._binding.errors, self._binding.listen
        self._listers: dict[int, list[Any]] = {}
        self._jack_retry_at = 0.0
        self._jack = ""

    def refresh(self, now: float) -> bool:
        """Add systems that have started; False when JACK, once there, has died."""
        if self._jack and _jack_server() != self._jack:
            return False
        for api in self._binding.systems():
            if api in self._listers or not self._may_run(api, now):
                continue
            with suppress(*self.errors):
                self._listers[api] = [self._create(api, outputs=o) for o in (False, True)]
                if api == self._binding.jack:
                    self._jack = _jack_server()
        return True

    def _may_run(self, api: int, now: float) -> bool:
        # The libraries of an absent system are slow and print errors.
        if api == self._binding.alsa:
            return os.path.exists("/dev/snd/seq")
        if api == self._binding.jack and sys.platform == "linux":
            if now < self._jack_retry_at or not _jack_server():
                return False
            self._jack_retry_at = now + _JACK_RETRY
            return True
        return api != self._binding.dummy

    @property
    def count(self) -> int:
        """The number of MIDI systems that run."""
        return len(self._listers)

    def ports(self, *, outputs: bool) -> list[Listed]:
        """Return system, place and name of every port of another program."""
        listed: list[Listed] = []
        for api, pair in self._listers.items():
            with suppress(*self.errors):
                for place, name in enumerate(pair[outputs].get_ports()):
                    if name and not name.startswith(CLIENT):
                        listed.append((api, place, name))
        return listed

    def open(self, port: TrackedPort, *, outputs: bool) -> Any:
        """Open a port at its place; return the binding's port. Raises `errors`."""
        opened = self._create(port.api, outputs=outputs)
        try:
            # Most systems keep the place only until another port comes or goes.
            if opened.get_port_name(port.place) != port.name:
                raise OSError(f"{port.name} has just gone")
            opened.open_port(port.place, "out" if outputs else "in")
        except self.errors:
            opened.delete()
            raise
        return opened

    def open_virtual(self, name: str, *, outputs: bool) -> tuple[Any, str] | None:
        """Open a port that other programs connect to; None where no system runs."""
        for api in self._listers:
            port = self._create(api, outputs=outputs)
            port.open_virtual_port(name)
            return port, f"{CLIENT}:{name}"
        return None

    def _create(self, api: int, *, outputs: bool) -> Any:
        make = self._binding.make_output if outputs else self._binding.make_input
        return make(api, CLIENT)


def _jack_server() -> str:
    """Return what tells a running JACK server from the next; "" when none runs.

    It is the inode and time of the server's socket.
    """
    if sys.platform != "linux":
        return ""
    name = os.environ.get("JACK_DEFAULT_SERVER", "default")
    for path in glob.glob(f"/dev/shm/jack_{glob.escape(name)}_{os.getuid()}_0"):
        with suppress(OSError):
            status = os.stat(path)
            return f"{status.st_ino} {status.st_ctime_ns}"
    return ""


class ManagedPort:
    """One wanted port, open while a port of its name exists.

    `open_port` is the binding's port, or None; `tracked` the port of the MIDI system that it
    is, or None where it is virtual; `full_name` its name. `heard` is set by each message.
    """

    def __init__(self, number: int, name: str, *, virtual: bool) -> None:
        self.number, self.name, self.virtual = number, name, virtual
        self.is_output = number >= OUTPUTS
        self.open_port: Any = None
        self.tracked: TrackedPort | None = None
        self.full_name = ""
        self.last_error = ""
        self.uncertain = self.heard = False
        self.sounding = SoundingNotes()
        self._parser = MidiParser()

    def send(self, data: bytes) -> None:
        """Send MIDI messages, and remember which notes sound."""
        self._send(data, self.sounding.sent)

    def send_knobs(self, data: bytes) -> None:
        """Send MIDI messages of knobs, which nothing takes back at the end."""
        self._send(data, lambda _: None)

    def _send(self, data: bytes, note: Callable[[bytes], None]) -> None:
        for count, message in enumerate(self._parser.feed(data)[0], start=1):
            note(message)
            self.open_port.send_message(message)
            if count % _BURST == 0:
                time.sleep(_BURST_PAUSE)

    def close(self) -> None:
        """Close the port."""
        port, self.open_port, self.tracked = self.open_port, None, None
        self.uncertain = False
        if port is not None:
            port.close_port()
            port.delete()


class PortManager:
    """Opens the wanted ports when they appear, and closes them when they vanish."""

    def __init__(
        self,
        backends: MidiBackends,
        ports: list[ManagedPort],
        report: Callable[[bytes], None],
        *,
        system: str = sys.platform,
    ) -> None:
        """Manage ports; report sends a datagram to the engine."""
        self._backends, self._ports, self._report = backends, ports, report
        self._system = system
        self._trackers = {outputs: PortTracker(system) for outputs in (False, True)}
        self._systems = -1

    def scan(self, now: float) -> bool:
        """Compare wanted and existing ports; False when the process is to start again."""
        if not self._backends.refresh(now):
            return False
        for outputs, tracker in self._trackers.items():
            wanted = [port for port in self._ports if port.is_output is outputs]
            opened = [port.tracked for port in wanted if port.tracked is not None]
            tracker.update(self._backends.ports(outputs=outputs), opened)
            for port in wanted:
                self._check(port, tracker)
            for port in wanted:
                if port.tracked is not None and port.tracked not in tracker.ports:
                    self._drop(port)
            for port in wanted:
                if port.open_port is None:
                    self._open(port, tracker, [p.tracked for p in wanted])
        if self._backends.count != self._systems:
            self._systems = self._backends.count
            self._report(packet(SYSTEMS, data=str(self._systems)))
        return True

    def _check(self, port: ManagedPort, tracker: PortTracker) -> None:
        """Find out about a port that may have gone, since one of its name has."""
        if port.tracked is None or not port.tracked.uncertain:
            port.uncertain = False
        elif not port.uncertain:
            port.uncertain, port.heard = True, False
            if not port.is_output:  # what it held is lifted; if it is there, it goes on
                self._report(packet(GONE, port.number))
                self._report(packet(OPENED, port.number, port.full_name))
        elif port.heard:
            tracker.heard(port.tracked)

    def _drop(self, port: ManagedPort) -> None:
        with suppress(*self._backends.errors):
            port.close()
        self._report(packet(GONE, port.number))

    def _open(
        self, port: ManagedPort, tracker: PortTracker, taken: list[TrackedPort | None]
    ) -> None:
        outputs = port.is_output
        try:
            if port.virtual:
                opened = self._backends.open_virtual(port.name, outputs=outputs)
                if opened is None:
                    return
                port.open_port, port.full_name = opened
            else:
                there = tracker.ports
                places = matches(port.name, [t.name for t in there], self._system)
                meant = (there[place] for place in places if there[place] not in taken)
                free = [tracked for tracked in meant if not tracked.uncertain]
                if not free:
                    return
                port.open_port = self._open_tracked(free[0], tracker, outputs=outputs)
                port.tracked, port.full_name = free[0], free[0].name
            if outputs:  # release the notes that sounded when it was pulled
                port.send(port.sounding.release())
            else:
                self._backends.listen(port.open_port, partial(self._received, port))
        except self._backends.errors as error:
            port.open_port = port.tracked = None
            if str(error) != port.last_error:  # reported once, however often it is tried
                port.last_error = str(error)
                self._report(packet(ERROR, port.number, str(error)))
            return
        port.last_error = ""
        self._report(packet(OPENED, port.number, port.full_name))

    def _open_tracked(
        self, tracked: TrackedPort, tracker: PortTracker, *, outputs: bool
    ) -> Any:
        """Open a port, or else at the place of one of its name: Windows opens none twice."""
        try:
            return self._backends.open(tracked, outputs=outputs)
        except self._backends.errors:
            for other in tracker.namesakes(tracked):
                mine = tracked.place, tracked.name
                with suppress(*self._backends.errors):
                    opened = self._backends.open(other, outputs=outputs)
                    tracked.place, tracked.name = other.place, other.name
                    other.place, other.name = mine
                    return opened
            raise

    def _received(self, port: ManagedPort, message: bytes) -> None:
        port.heard = True
        self._report(packet(MESSAGE, port.number, message))

    def send(self, number: int, data: bytes, *, knobs: bool = False) -> None:
        """Send MIDI messages, of notes or of knobs, to the port of a number, if it is open."""
        for port in self._ports:
            if port.number == number and port.open_port is not None:
                try:
                    (port.send_knobs if knobs else port.send)(data)
                except self._backends.errors:
                    if port.tracked is not None:
                        self._trackers[port.is_output].failed(port.tracked)
                    self._drop(port)

    def close(self) -> None:
        """Release all notes that sound, and close every port."""
        outputs = [
            port for port in self._ports if port.open_port is not None and port.is_output
        ]
        releases = [(port, port.sounding.release()) for port in outputs]
        for _ in range(2):  # a JACK server that misses a period loses what was sent in it
            for port, data in releases:
                with suppress(*self._backends.errors):
                    port.send(data)
            time.sleep(_FLUSH)  # messages leave with the system's next period
        for port in self._ports:
            with suppress(*self._backends.errors):
                port.close()


def run() -> int:
    """Hold the ports that the first line of standard input names, until its end."""
    engine = connect()
    if engine is None:
        return 0
    wanted = engine.wanted
    try:
        backends = MidiBackends()
    except ImportError as error:  # the binding lacks a library of the system
        engine.send(packet(ERROR, data=f"MIDI cannot be used: {error}"))
        return HOPELESS
    numbered = [*enumerate(wanted["in"]), *enumerate(wanted["out"], start=OUTPUTS)]
    ports = [ManagedPort(n, name, virtual=virtual) for n, (name, virtual) in numbered]
    manager = PortManager(backends, ports, engine.send)
    scan_at = 0.0
    ready = list[int]()
    while not engine.has_ended(ready):
        now = time.monotonic()
        if now >= scan_at:
            scan_at = now + SCAN
            if not manager.scan(now):
                return 1  # the process is to start again
            engine.send(packet(ALIVE))
        ready, _, _ = select.select(engine.filenos, [], [], max(0.0, scan_at - now))
        for letter, number, data in engine.receive(MESSAGE, KNOBS):
            manager.send(number, data, knobs=letter == KNOBS)
    manager.close()
    return 0


def list_ports() -> dict[str, list[str]]:
    """Return the ports to receive from, ``in``, and to send to, ``out``.

    Each is the name that asks for it: the part that stays when it is plugged in again.
    """
    backends = MidiBackends()
    backends.refresh(_JACK_RETRY)
    directions = (("in", False), ("out", True))
    return {
        way: unique_names([name for *_, name in backends.ports(outputs=out)])
        for way, out in directions
    }


if __name__ == "__main__":
    status = 0
    if sys.argv[1:] == ["list"]:
        print(json.dumps(list_ports()), flush=True)
    else:
        status = run()
    # Not sys.exit: the cleanup of a MIDI system that has died may never return.
    os._exit(status)
