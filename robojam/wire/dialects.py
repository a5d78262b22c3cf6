"""Reader of all OSC dialects at one port, which differ by address and type tags."""

import shlex
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from robojam.wire import impsy, microjam, native, touchosc, tuio
from robojam.wire.echo import EchoFilter
from robojam.wire.native import Form, Input, Table
from robojam.wire.osc import Dropped, Message, decode

#: Seconds within which a message that was sent may return as an echo, and the most sent
#: messages that are remembered.
_ECHO_SECONDS, _MAX_SENT = 1.0, 1024


def _merged(*tables: Table) -> Table:
    """Return the messages of all dialects that may come in at fixed addresses."""
    merged: dict[str, dict[str, Form]] = {}
    for table in tables:
        for address, forms in table.items():
            merged.setdefault(address, {}).update(forms)
    return merged


#: Address that makes the next pad that is touched a pad of the jam, and its input.
LEARN: Final = "/robojam/learn"
_LEARN_INPUT: Final = native.Control("learn", 1)
INPUTS: Final = _merged(
    native.INPUTS, microjam.INPUTS, impsy.INPUTS, {LEARN: native.trigger(_LEARN_INPUT)}
)


def _name(address: str) -> str:
    """Return what an address and its misspellings have in common."""
    return address.strip("/").casefold().removeprefix("robojam/")


_BY_NAME: Final = {_name(address): address for address in reversed(list(INPUTS))}


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
        if self._echoes.returned(message, now):
            return [(host, Dropped("echo"))]
        inputs = self.pads.read(message, host, now)
        if inputs is None:
            input_ = native.read(message, INPUTS)
            if input_ is native.RELEASED:
                return []
            if input_ is _LEARN_INPUT:
                self.pads.learning = True
                return []
            inputs = [input_]
        return [
            (host, _with_details(input_, message) if isinstance(input_, Dropped) else input_)
            for input_ in inputs
            if not _is_harmless(input_, message)
        ]

    def expire(self, now: float) -> tuple[list[tuple[str, Input]], float]:
        """Return the lifts of TUIO sources that are gone, and the seconds until the next."""
        return self.tuio_reader.expire(now)

    def status(self) -> dict[str, object]:
        """Return the pads, and whether the next one touched is learnt."""
        pads = [str(pad) for pad in self.pads.pads]
        return {"pads": pads, "learning": self.pads.learning}


def _is_harmless(input_: Input, message: Message) -> bool:
    """Return whether a dropped message is one that programs send besides, which is no fault."""
    return (
        isinstance(input_, Dropped)
        and input_.reason == "unknown address"
        and touchosc.is_harmless(message)
    )


def _with_details(dropped: Dropped, message: Message) -> Dropped:
    """Return a drop with the message's address and type tags, and what would be right."""
    if dropped.reason == "echo":
        return dropped
    about, hint, key = (
        f"{message.address!r:.80} {message.tags:.20}".rstrip(),
        "",
        message.address,
    )
    if dropped.reason == "unknown address":
        similar, pad = _BY_NAME.get(_name(message.address)), touchosc.candidate(message)
        if similar is not None:
            hint = f"did you mean {similar}?"
        elif pad is not None:
            key, hint = pad, f"if that is a pad: --touchosc {shlex.quote(pad)}"
    elif dropped.about:
        hint = dropped.about
    elif takes := native.takes(message.address, INPUTS):
        hint = f"it takes {takes}"
    return replace(dropped, about=f"{about}; {hint}" if hint else about, key=key)
