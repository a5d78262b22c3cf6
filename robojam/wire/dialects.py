"""Reader of all OSC dialects at one port, which differ by address and type tags."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from robojam.wire import impsy, microjam, native, touchosc, tuio
from robojam.wire.echo import EchoFilter
from robojam.wire.native import ArgumentParser, Dropped, Input, Table
from robojam.wire.osc import Message, decode

#: Seconds within which a message that was sent may return as an echo, and the most sent
#: messages that are remembered.
_ECHO_SECONDS, _MAX_SENT = 1.0, 1024


def _merged(*tables: Table) -> Table:
    merged: dict[str, dict[str, ArgumentParser]] = {}
    for table in tables:
        for address, forms in table.items():
            merged.setdefault(address, {}).update(forms)
    return merged


#: Messages of all dialects that may come in at fixed addresses.
INPUTS: Final = _merged(native.INPUTS, microjam.INPUTS, impsy.INPUTS, touchosc.INPUTS)
#: Address that makes the next pad that is touched a pad of the jam.
LEARN: Final = "/robojam/learn"


class OscReader:
    """Reader of messages in all dialects, with the fingers of those that have a state."""

    def __init__(
        self, *, pads: touchosc.Pads | None = None, tuio_reader: tuio.TuioReader | None = None
    ) -> None:
        """Read touches of these TouchOSC pads, and TUIO by this reader."""
        self.pads = pads or touchosc.Pads()
        self.tuio_reader = tuio_reader or tuio.TuioReader()
        # MicroJam's, IMPSY's and TouchOSC's addresses are the same for the machine and for
        # humans, so an echo is known by its numbers: once, as a human may play them too.
        self._echoes = EchoFilter(seconds=_ECHO_SECONDS, capacity=_MAX_SENT, repeats=False)

    def remember_sent(self, packets: Iterable[bytes], now: float) -> None:
        """Remember packets that the engine sends at an instant (s), to drop their echoes."""
        for packet in packets:
            for message in decode(packet)[0]:
                self._echoes.sent(message, now)

    def read(self, message: Message, host: str, now: float) -> list[tuple[str, Input]]:
        """Return the inputs of a message that came from a host at an instant (s).

        Each comes with its source, which stands for a player. Never raises.
        """
        if message.address == tuio.ADDRESS:
            return self.tuio_reader.read(message, host, now)
        if message.address.startswith("/tuio"):
            return []  # TUIO's other profiles, which trackers send besides: no fault
        if message.address == LEARN:
            self.pads.learning = True
            return []
        if self._echoes.returned(message, now):
            return [(host, Dropped("echo"))]
        inputs = self.pads.read(message, host)
        if inputs is None:
            inputs = [native.read(message, INPUTS)]
        return [
            (host, _with_details(input_, message))
            for input_ in inputs
            if input_ != touchosc.RELEASED
        ]

    def expire(self, now: float) -> tuple[list[tuple[str, Input]], float]:
        """Return the lifts of TUIO sources that are gone, and the seconds until the next."""
        return self.tuio_reader.expire(now)

    def status(self) -> dict[str, object]:
        """Return the pads, and whether the next one touched is learnt."""
        pads = [f"{pad.address}={','.join(pad.axes)}" for pad in self.pads.pads]
        return {"pads": pads, "learning": self.pads.learning}


def _with_details(input_: Input, message: Message) -> Input:
    """Return an input; one that is dropped with the message's address and type tags."""
    if not isinstance(input_, Dropped) or input_.reason == "echo":
        return input_
    about = f"{message.address!r:.80} {message.tags:.20}"
    if input_.reason == "unknown address" and touchosc.is_pad(message):
        about += f"; if that is a pad: --touchosc {message.address:.80}"
    return replace(input_, about=about)
