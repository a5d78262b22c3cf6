"""The program that holds the MIDI ports, in a process of its own beside the engine.

A process and no thread: sending to a JACK server that has died never returns, and holds
the interpreter's lock meanwhile, so that no thread of the engine would go on. Here it can
be killed and started anew. When the engine dies, this one releases all that sounds.

They talk by datagrams on the loopback; the engine's death is the end of standard input.
A datagram is a letter, a port's number, and what there is to say:
``m`` MIDI bytes, ``o`` it is open (its full name), ``g`` it is gone, ``e`` what went wrong,
``h`` still alive. Inputs count from 0, outputs from OUTPUTS.
"""

from __future__ import annotations

import glob
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from robojam.system.child_process import on_stdin_end, read_first_line
from robojam.wire.midi.stream import MidiParser, Sounding

OUTPUTS: Final = 128
HEART: Final = 255
#: The status of one that would not fare better if it were started again.
HOPELESS: Final = 3
#: Seconds between two looks at which ports there are: no system tells it by itself.
SCAN: Final = 0.25
#: Ports of ours are not taken for somebody's.
CLIENT: Final = "robojam"
#: A receiver may lose what comes in a heap of more than so many messages; seconds between.
_AT_ONCE, _BREATH = 64, 0.004
#: Longer than any period of JACK's that is played with, in seconds.
_FLUSH = 0.1
#: Seconds until a JACK server that was not there is looked for again.
_PATIENCE = 2.0


def packet(letter: str, port: int = HEART, data: bytes = b"") -> bytes:
    """Write a datagram."""
    return letter.encode() + bytes((port,)) + data


class MidiSystems:
    """The MIDI systems of this machine, each with a pair that lists its ports."""

    def __init__(self) -> None:
        import rtmidi

        self._rtmidi: Any = rtmidi
        self.errors = (rtmidi.RtMidiError, OSError, RuntimeError, SystemError, ValueError)
        self._listers: dict[int, tuple[Any, Any]] = {}
        self._again = 0.0
        self._jack = ""

    def look(self, now: float) -> bool:
        """Find systems that have come; False when one has died and all is to begin anew."""
        if self._jack and _jack_server() != self._jack:
            return False
        for api in self._rtmidi.get_compiled_api():
            if api in self._listers or not self._may_be_there(api, now):
                continue
            with suppress(*self.errors):
                self._listers[api] = (
                    self._rtmidi.MidiIn(api, CLIENT),
                    self._rtmidi.MidiOut(api, CLIENT),
                )
                if api == self._rtmidi.API_UNIX_JACK:
                    self._jack = _jack_server()
        return True

    def _may_be_there(self, api: int, now: float) -> bool:
        """Whether to try a system: one that is not there complains loudly."""
        if api == self._rtmidi.API_LINUX_ALSA:
            return os.path.exists("/dev/snd/seq")
        if api == self._rtmidi.API_UNIX_JACK and sys.platform == "linux":
            if now < self._again or not _jack_server():
                return False
            self._again = now + _PATIENCE
            return True
        return bool(api != self._rtmidi.API_RTMIDI_DUMMY)

    def names(self, *, outputs: bool) -> Iterator[tuple[int, int, str]]:
        """Yield the system, number and name of every port that is not ours."""
        for api, pair in self._listers.items():
            with suppress(*self.errors):
                for number, name in enumerate(pair[outputs].get_ports()):
                    if name and not name.startswith(CLIENT):
                        yield api, number, name

    def open(self, name: str, taken: set[str], *, outputs: bool) -> tuple[Any, str] | None:
        """Open the first port whose name holds name, or has it; None when there is none."""
        there = [one for one in self.names(outputs=outputs) if one[2] not in taken]
        wanted = name.casefold()
        for alike in (wanted.__eq__, lambda text: wanted in text):
            for api, number, full in there:
                if alike(full.casefold()):
                    return self._opened(api, number, full, outputs=outputs), full
        return None

    def _opened(self, api: int, number: int, full: str, *, outputs: bool) -> Any:
        made = self._make(api, outputs=outputs)
        try:
            # JACK and ALSA keep the number only until another port comes or goes.
            if made.get_port_name(number) != full:
                raise OSError(f"{full} has just gone")
            made.open_port(number, "out" if outputs else "in")
        except self.errors:
            made.delete()
            raise
        return made

    def open_virtual(self, name: str, *, outputs: bool) -> tuple[Any, str] | None:
        """Make a port that others connect to."""
        for api in self._listers:
            made = self._make(api, outputs=outputs)
            made.open_virtual_port(name)
            return made, f"{CLIENT}:{name}"
        return None

    def _make(self, api: int, *, outputs: bool) -> Any:
        kind = self._rtmidi.MidiOut if outputs else self._rtmidi.MidiIn
        return kind(api, CLIENT)


def _jack_server() -> str:
    """Tell one running JACK server from the next, by its socket; "" when there is none."""
    if sys.platform != "linux":
        return ""
    name = os.environ.get("JACK_DEFAULT_SERVER", "default")
    for path in glob.glob(f"/dev/shm/jack_{glob.escape(name)}_{os.getuid()}_0"):
        with suppress(OSError):
            about = os.stat(path)
            return f"{about.st_ino} {about.st_ctime_ns}"
    return ""


class MidiPort:
    """One port that is wanted: open while it is there."""

    def __init__(self, number: int, name: str, *, virtual: bool) -> None:
        self.number, self.name, self.virtual = number, name, virtual
        self.is_output = number >= OUTPUTS
        self.open: Any = None
        self.full = ""
        self.trouble = ""
        self.sounding = Sounding()
        self.parser = MidiParser()

    def send(self, data: bytes) -> None:
        """Send messages out, and know what sounds."""
        for sent, message in enumerate(self.parser.feed(data)[0], start=1):
            self.sounding.sent(message)
            self.open.send_message(message)
            if sent % _AT_ONCE == 0:
                time.sleep(_BREATH)

    def close(self) -> None:
        """Let go of it."""
        made, self.open = self.open, None
        if made is not None:
            made.close_port()
            made.delete()


class Ports:
    """All ports that are wanted, opened when they come and let go when they leave."""

    def __init__(
        self, systems: MidiSystems, ports: list[MidiPort], say: Callable[[bytes], None]
    ) -> None:
        self._systems, self._ports, self._say = systems, ports, say

    def scan(self, now: float) -> bool:
        """Look which ports there are; False when all is to begin anew."""
        if not self._systems.look(now):
            return False
        for outputs in (False, True):
            there = {name for *_, name in self._systems.names(outputs=outputs)}
            mine = [port for port in self._ports if port.is_output is outputs]
            for port in mine:
                if port.open is not None and not port.virtual and port.full not in there:
                    self.gone(port)
            for port in mine:
                if port.open is None:
                    self._try(port, {p.full for p in mine if p.open is not None})
        return True

    def gone(self, port: MidiPort) -> None:
        """A port has been pulled."""
        with suppress(*self._systems.errors):
            port.close()
        port.open = None
        self._say(packet("g", port.number))

    def _try(self, port: MidiPort, taken: set[str]) -> None:
        outputs = port.is_output
        try:
            if port.virtual:
                found = self._systems.open_virtual(port.name, outputs=outputs)
            else:
                found = self._systems.open(port.name, taken, outputs=outputs)
            if found is None:
                return
            port.open, port.full = found
            if outputs:  # what it still sounded when it was pulled
                port.send(port.sounding.release())
            else:
                port.open.set_callback(self._hears(port.number))
        except self._systems.errors as error:
            port.open = None
            if str(error) != port.trouble:  # told once, however often it is tried
                port.trouble = str(error)
                self._say(packet("e", port.number, f"{port.name}: {error}".encode()[:500]))
            return
        self._say(packet("o", port.number, port.full.encode()[:500]))

    def _hears(self, number: int) -> Callable[[tuple[list[int], float], object], None]:
        say = self._say

        def heard(event: tuple[list[int], float], _data: object) -> None:
            say(packet("m", number, bytes(event[0])))

        return heard

    def send(self, datagram: bytes) -> None:
        """Send what the engine wants sent."""
        for port in self._ports:
            if port.number == datagram[1] and port.open is not None:
                try:
                    port.send(datagram[2:])
                except self._systems.errors:
                    self.gone(port)

    def finish(self) -> None:
        """Release all that sounds, and let go of every port."""
        told = [
            (port, port.sounding.release())
            for port in self._ports
            if port.open is not None and port.is_output
        ]
        for _ in range(2):  # a JACK that misses a period loses what was sent in it
            for port, data in told:
                with suppress(*self._systems.errors):
                    port.send(data)
            # What was sent is on its way only at the next period of the system.
            time.sleep(_FLUSH)
        for port in self._ports:
            with suppress(*self._systems.errors):
                port.close()


def run() -> int:
    """Hold the ports that the first line of standard input asks for, until its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the engine's to answer
    # What comes in is heard on a thread of the system's, whose period may be a millisecond.
    sys.setswitchinterval(0.0005)
    first_line = read_first_line()
    if not first_line:
        return 0
    wanted = json.loads(first_line)
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    link.bind(("127.0.0.1", 0))
    link.connect(("127.0.0.1", wanted["port"]))
    end, ended = socket.socketpair()
    on_stdin_end(lambda: ended.send(b"\0"))

    def say(datagram: bytes) -> None:
        with suppress(OSError):
            link.send(datagram)

    say(packet("h", HEART, wanted["token"].encode()))
    try:
        systems = MidiSystems()
    except ImportError as error:  # a library of the system's that it stands on
        say(packet("e", HEART, f"python-rtmidi cannot be used: {error}".encode()[:500]))
        return HOPELESS
    numbered = [(n, *one) for n, one in enumerate(wanted["in"])]
    numbered += [(OUTPUTS + n, *one) for n, one in enumerate(wanted["out"])]
    ports = Ports(
        systems,
        [MidiPort(n, name, virtual=bool(virtual)) for n, name, virtual in numbered],
        say,
    )
    if not _serve(ports, link, end, say):
        return 1
    ports.finish()
    return 0


def _serve(
    ports: Ports, link: socket.socket, end: socket.socket, say: Callable[[bytes], None]
) -> bool:
    """Send and scan until the engine ends; False when all is to begin anew."""
    link.setblocking(False)
    due = 0.0
    while True:
        now = time.monotonic()
        if now >= due:
            due = now + SCAN
            if not ports.scan(now):
                return False
            say(packet("h"))
        ready, _, _ = select.select([link, end], [], [], max(0.0, due - now))
        with suppress(OSError):
            while datagram := link.recv(1 << 16):
                if datagram[:1] == b"m":
                    ports.send(datagram)
        if end in ready:
            return True


def names() -> dict[str, list[str]]:
    """List the ports there are: ``in``, those that send to us, and ``out``."""
    systems = MidiSystems()
    systems.look(_PATIENCE)
    return {
        "in": [name for *_, name in systems.names(outputs=False)],
        "out": [name for *_, name in systems.names(outputs=True)],
    }


if __name__ == "__main__":
    status = 0
    if sys.argv[1:] == ["names"]:
        sys.stdout.write(json.dumps(names()) + "\n")
        sys.stdout.flush()
    else:
        status = run()
    # Not sys.exit: what belongs to a system that has died may never be given back.
    os._exit(status)
