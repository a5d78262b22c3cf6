"""Reader of all OSC dialects at one port, which differ by address and type tags."""

import shlex
from dataclasses import replace
from typing import Final

from robojam.touch import Phase
from robojam.wire import impsy, microjam, native, touchosc, tuio
from robojam.wire.echo import EchoDetector
from robojam.wire.knob_inputs import OscKnobReader
from robojam.wire.native import Finger, Form, Input, PhaselessTouch, Table
from robojam.wire.osc import Dropped, Message


def _merged(*tables: Table) -> Table:
    """Return the messages of all dialects that may come in at fixed addresses."""
    merged: dict[str, dict[str, Form]] = {}
    for table in tables:
        for address, forms in table.items():
            merged.setdefault(address, {}).update(forms)
    return merged


#: Address that makes the next pad that is touched a pad of the jam, and its input.
LEARN: Final = "/robojam/learn"
#: Advice to a musician whose engine receives the messages of another engine.
_OF_AN_ENGINE: Final = (
    "what robojam sends; another robojam plays along here by --osc-out HOST:PORT/tuio"
)
INPUTS: Final = _merged(
    native.INPUTS, microjam.INPUTS, impsy.INPUTS, {LEARN: native.trigger(native.LearnPad())}
)


def _name(address: str) -> str:
    """Return what an address and its misspellings have in common."""
    return address.strip("/").casefold().removeprefix("robojam/")


_BY_NAME: Final = {_name(address): address for address in reversed(list(INPUTS))}


class OscReader:
    """Reader of messages in all dialects, with the fingers of those that have a state."""

    def __init__(
        self,
        *,
        pads: touchosc.Pads | None = None,
        tuio_reader: tuio.TuioReader | None = None,
        echo: EchoDetector | None = None,
        knobs: OscKnobReader | None = None,
    ) -> None:
        """Read touches of these pads, and TUIO by this reader; echo knows what was sent.

        knobs reads the addresses that are mapped, before any dialect.
        """
        self.echo = echo or EchoDetector()
        self.pads = pads or touchosc.Pads()
        self._knobs = knobs
        self.tuio_reader = tuio_reader or tuio.TuioReader(echo=self.echo)

    def read(
        self, message: Message, host: str, now: float, port: int = 0, *, plays: bool = True
    ) -> list[tuple[str, Input]]:
        """Return the inputs of a message that came from a host and port at an instant (s).

        Each comes with its source, which stands for a player. plays: the host may play, so its
        messages may be those of a pad. Never raises.
        """
        if self._knobs is not None:
            mapped = self._knobs.read(message, host, now)
            if mapped is not None:
                return [(host, input_) for input_ in mapped]
        if message.address.startswith(tuio.PREFIX):
            return self.tuio_reader.read(message, host, now, port)
        inputs = self.pads.read(message, host, now, self.echo) if plays else None
        if inputs is None:
            input_ = native.read(message, INPUTS)
            if input_ is native.NOTHING:
                return []
            if plays:
                input_ = self._unless_echo(input_, message, host, now, port)
            if not isinstance(input_, Dropped):
                return [(host, input_)]
            inputs = [input_]
        return [
            (host, _with_details(input_, message) if isinstance(input_, Dropped) else input_)
            for input_ in inputs
            if not _is_harmless(input_, message)
        ]

    def _unless_echo(
        self, input_: Input, message: Message, host: str, now: float, port: int
    ) -> Input:
        """Return an input, or a drop if it is a touch that was sent."""
        if not isinstance(input_, Finger | PhaselessTouch):
            return input_
        if isinstance(input_, Finger) and input_.phase is Phase.UP:
            return input_
        # The machine's native touches have addresses of their own.
        common = message.address not in native.INPUTS or message.tags.startswith("s")
        echo = self.echo.is_echo_place(
            host, input_.x, input_.y, now, port=port or None, common=common
        )
        return Dropped("echo") if echo else input_

    def learn_pad(self) -> None:
        """Make the next pad that is touched a pad of the jam."""
        self.pads.learning = True

    def expire(self, now: float) -> tuple[list[tuple[str, Input]], float]:
        """Return lifts of TUIO sources that are gone, moves of knobs, and seconds to more."""
        if self._knobs is None:
            return self.tuio_reader.expire(now)
        moves, until_moves = self._knobs.expire(now)
        lifts, until_lifts = self.tuio_reader.expire(now)
        return moves + lifts, min(until_moves, until_lifts)

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
        is_engines = message.address.startswith(native.ENGINE_ADDRESSES)
        return replace(dropped, about=_OF_AN_ENGINE) if is_engines else dropped
    about, hint, key = (
        f"{message.address!r:.80} {message.tags:.20}".rstrip(),
        "",
        message.address,
    )
    if dropped.reason == "unknown address":
        similar, pad = _BY_NAME.get(_name(message.address)), touchosc.candidate(message)
        if " " in message.address.strip():
            hint = "what follows the space is part of the address; send it as arguments"
        elif similar is not None:
            hint = f"did you mean {similar}?"
        elif pad is not None:
            key, hint = pad, f"if that is a pad: --touchosc {shlex.quote(pad)}"
        elif message.args and not set(message.tags) - set("ihfd"):
            hint = "a touch is /touch x y in one message; the README has the rest"
    elif dropped.about:
        hint = dropped.about
    elif takes := native.takes(message.address, INPUTS):
        hint = f"it takes {takes}"
    return replace(dropped, about=f"{about}; {hint}" if hint else about, key=key)
