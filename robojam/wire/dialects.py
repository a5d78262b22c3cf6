"""All dialects at one port: each message is told by its address and type tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from robojam.wire import impsy, microjam, native, touchosc, tuio
from robojam.wire.native import Dropped, Input, Table
from robojam.wire.osc import Message, decode

#: What comes back within so many seconds of having been sent is an echo.
_ECHO = 1.0
#: So many that were sent are remembered.
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


class EchoFilter:
    """What the engine has sent, for it may come back through a loop.

    Where the address does not tell what is the machine's, the very numbers do: each that
    was sent is taken for an echo once, if it comes back soon.
    """

    def __init__(self) -> None:
        self._sent: dict[Message, float] = {}

    def sent(self, packets: Iterable[bytes], now: float) -> None:
        """Remember what has been sent at an instant, in seconds."""
        for packet in packets:
            for message in decode(packet)[0]:
                self._sent.pop(message, None)
                self._sent[message] = now
        while len(self._sent) > _REMEMBERED:
            del self._sent[next(iter(self._sent))]

    def returned(self, message: Message, now: float) -> bool:
        """Tell whether a message is one of ours that comes back."""
        if not self._sent:
            return False
        at = self._sent.pop(message, None)
        return at is not None and now - at <= _ECHO


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
        self.echoes = EchoFilter()

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
        if self.echoes.returned(message, now):
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
