"""All dialects at one port: each message is told by its address and type tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from robojam.wire import impsy, microjam, native, touchosc, tuio
from robojam.wire.echo import EchoFilter
from robojam.wire.native import Dropped, Input, Table
from robojam.wire.osc import Message, decode

#: Seconds within which a message that was sent returns as an echo.
_ECHO = 1.0
#: Sent messages that are remembered.
_REMEMBERED = 1024


def _joined(*tables: Table) -> Table:
    joined: dict[str, Mapping[str, object]] = {}
    for table in tables:
        for address, forms in table.items():
            joined[address] = {**joined.get(address, {}), **forms}
    return joined  # type: ignore[return-value]


#: What may come in at fixed addresses, of all dialects.
INPUTS: Final[Table] = _joined(native.INPUTS, microjam.INPUTS, impsy.INPUTS, touchosc.INPUTS)
#: Asks for the next pad that is touched to be taken.
LEARN: Final = "/robojam/learn"


class OscReader:
    """Reads the messages of all dialects. It knows the fingers of those that tell of none."""

    def __init__(
        self,
        *,
        pads: touchosc.Pads | None = None,
        listener: tuio.TuioReader | None = None,
    ) -> None:
        """Read; pads are those that are played in TouchOSC."""
        self.pads = pads or touchosc.Pads()
        self.listener = listener or tuio.TuioReader()
        # A dialect whose addresses do not tell the machine from a human: the numbers do.
        # Each message is taken for an echo once, so that a human may play the same place.
        self._echoes = EchoFilter[Message](seconds=_ECHO, capacity=_REMEMBERED, repeats=False)

    def sent(self, packets: Iterable[bytes], now: float) -> None:
        """Remember packets that the engine sends, to know them when they return."""
        for packet in packets:
            for message in decode(packet)[0]:
                self._echoes.sent(message, now)

    def read(self, message: Message, host: str, now: float) -> list[tuple[str, Input]]:
        """Read a message that came from a host, at an instant in seconds.

        Returns what it asks for, each with the source that names its player. Never raises.
        """
        if message.address == tuio.ADDRESS:
            return self.listener.read(message, host, now)
        if message.address.startswith("/tuio"):
            return []  # trackers send their other profiles with it, and that is well
        if message.address == LEARN:
            self.pads.learning = True
            return []
        if self._echoes.returned(message, now):
            return [(host, Dropped("echo"))]
        played = self.pads.read(message, host)
        whats = [native.read(message, INPUTS)] if played is None else played
        return [(host, _told(what, message)) for what in whats if what != touchosc.LET_GO]

    def lapse(self, now: float) -> tuple[list[tuple[str, Input]], float]:
        """Return what happens because nothing comes, and in how many seconds to look again."""
        return self.listener.lapse(now)

    def status(self) -> dict[str, object]:
        """Say which pads are played, and whether the next is being learnt."""
        pads = [f"{pad.address}={','.join(pad.axes)}" for pad in self.pads.pads]
        return {"pads": pads, "learning": self.pads.learning}


def _told(what: Input, message: Message) -> Input:
    """Say of what is dropped which message it was."""
    if not isinstance(what, Dropped) or what.reason == "echo":
        return what
    told = f"{message.address!r:.80} {message.tags:.20}"
    if what.reason == "unknown address" and touchosc.is_pad(message):
        told += f"; if that is a pad: --touchosc {message.address:.80}"
    return replace(what, about=told)
