"""MIDI ports of JACK, to the frame: JACK-Client, where it is installed.

RtMidi gives no message the frame at which it came, and sends all at the beginning of a period,
which is some milliseconds long: too coarse for a clock. A port here has the methods of the
binding's ports that `robojam.ports.midi_process` calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

#: Function that returns the messages that are due until an instant, each with its own (s).
Take = Callable[[float], Iterable[tuple[float, bytes]]]
#: Function that gets a message with its instant (s).
Receive = Callable[[bytes, float], None]
_CLIENT: Final = "robojam clock"


def load() -> Any:
    """Return the module of JACK-Client, or None where it or JACK's library is missing."""
    try:
        import jack
    except (ImportError, OSError):
        return None
    return jack


class JackClock:
    """Frames of a JACK client as instants of time.perf_counter."""

    def __init__(self, client: Any) -> None:
        self._client, self.rate = client, float(client.samplerate)

    def cycle(self) -> tuple[int, float]:
        """Return the frames of the present cycle, and the instant of its first one (s).

        To be called in the cycle's own function.
        """
        client = self._client
        before = time.perf_counter()
        frame = client.frame_time
        now = (before + time.perf_counter()) / 2
        # Frame numbers are of 32 bits, and begin again.
        since = (frame - client.last_frame_time + 2**31) % 2**32 - 2**31
        return client.blocksize, now - since / self.rate


class _JackPort:
    """A JACK client with one port of MIDI, which is connected to another program's or waits."""

    def __init__(self, jack: Any, *, is_output: bool) -> None:
        """Prepare. `errors` of JACK-Client are exceptions of the binding's kind."""
        self._jack = jack
        try:
            self._client = jack.Client(_CLIENT, no_start_server=True)
        except jack.JackError as error:
            raise OSError(str(error)) from error
        self._clock = JackClock(self._client)
        self._is_output = is_output
        self._port: Any = None
        self._process: Callable[[int], None] = lambda _frames: None
        self._client.set_process_callback(lambda frames: self._process(frames))

    @property
    def name(self) -> str:
        """Name of the client."""
        return str(self._client.name)

    def open_port(self, name: str, other: str) -> None:
        """Open a port, and connect it to another program's, by its full name."""
        self.open_virtual_port(name)
        ends = (self._port, other) if self._is_output else (other, self._port)
        try:
            self._client.connect(*ends)
        except self._jack.JackError as error:
            raise OSError(str(error)) from error

    def open_virtual_port(self, name: str) -> None:
        """Open a port for other programs to connect to."""
        ports = self._client.midi_outports if self._is_output else self._client.midi_inports
        try:
            self._port = ports.register(name)
            self._client.activate()
        except self._jack.JackError as error:
            raise OSError(str(error)) from error

    def close_port(self) -> None:
        """Stop taking part in JACK's cycles."""
        try:
            self._client.deactivate()
        except self._jack.JackError as error:
            raise OSError(str(error)) from error

    def delete(self) -> None:
        """End the client."""
        self._client.close()


class JackInput(_JackPort):
    """Input of MIDI whose messages have the instants of their frames."""

    def __init__(self, jack: Any) -> None:
        super().__init__(jack, is_output=False)

    def listen(self, receive: Receive) -> None:
        """Give a function each message, on JACK's thread."""

        def process(_frames: int) -> None:
            _, began = self._clock.cycle()
            rate = self._clock.rate
            for offset, data in self._port.incoming_midi_events():
                receive(bytes(data), began + offset / rate)

        self._process = process


class JackOutput(_JackPort):
    """Output of MIDI whose messages sound at the frames of their instants."""

    def __init__(self, jack: Any) -> None:
        super().__init__(jack, is_output=True)
        self._waiting: list[bytes] = []

    def send_message(self, message: bytes) -> None:
        """Send a message with the next cycle."""
        self._waiting.append(message)

    def play(self, take: Take) -> None:
        """Send what a function says, which is called on JACK's thread in each cycle."""

        def process(_frames: int) -> None:
            frames, began = self._clock.cycle()
            rate = self._clock.rate
            self._port.clear_buffer()
            waiting, self._waiting = self._waiting, []
            for message in waiting:
                self._port.write_midi_event(0, message)
            earliest = 0  # JACK takes the messages in their order alone
            for at, message in take(began + (frames - 1) / rate):
                offset = round((at - began) * rate) if at > began else 0
                earliest = max(earliest, min(offset, frames - 1))
                self._port.write_midi_event(earliest, message)

        self._process = process


class JackTransport:
    """Position and tempo of JACK's transport."""

    def __init__(self, jack: Any) -> None:
        """Join the server. Raises OSError where none runs."""
        self._jack = jack
        try:
            self._client = jack.Client(_CLIENT, no_start_server=True)
        except jack.JackError as error:
            raise OSError(str(error)) from error

    def query(self) -> tuple[bool, dict[str, Any]]:
        """Return whether it rolls, and its position, as JACK-Client has it. Raises OSError."""
        try:
            state, position = self._client.transport_query()
        except (self._jack.JackError, AssertionError) as error:  # read as it was written
            raise OSError(str(error)) from error
        return state == self._jack.ROLLING, position
