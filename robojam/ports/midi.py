"""MIDI ports as the engine sees them: an input of many ports, and an output of many.

The ports themselves are held by another process (robojam.ports.midi_process says why); here no
call waits for it. That process is watched: one that hangs or dies is started again.
"""

from __future__ import annotations

import logging
import math
import select
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from robojam.config.options import Options
from robojam.jam.events import ControlChanged, Event, TouchPlayed, TurnChanged
from robojam.ports.midi_client import MidiClient
from robojam.ports.midi_process import OUTPUTS
from robojam.touch import Phase, is_machine
from robojam.wire.midi import stream
from robojam.wire.midi.bindings import MODES
from robojam.wire.midi.reader import TOGGLE, MidiReader, reader
from robojam.wire.midi.styles import PRESETS, Wanted, parse_port
from robojam.wire.midi.writer import MidiWriter, writer
from robojam.wire.native import Control, Dropped, Input

log = logging.getLogger("robojam")

#: Seconds for which moves are gathered: a place's x and y come in two messages, about a
#: millisecond apart on a MIDI cable.
GATHER: Final = 0.002
#: A port that is not there so many seconds after the start is told: its name may be wrong.
MISSED: Final = 3.0
#: What looks for them has so many seconds to begin.
_BEGINS: Final = 10.0
#: For so many seconds a message that went out, and comes in, is an echo. Longer than two
#: long periods of JACK; shorter than it takes to strike what was heard.
ECHO: Final = 0.06


@dataclass(slots=True)
class _In:
    """A port that is listened to."""

    wanted: Wanted
    source: str
    reader: MidiReader
    parser: stream.MidiParser = field(default_factory=stream.MidiParser)
    port: str | None = None
    messages: int = 0
    last: float | None = None


@dataclass(slots=True)
class _Out:
    """A port that is played to."""

    wanted: Wanted
    writer: MidiWriter
    port: str | None = None
    begun: bool = False
    messages: int = 0
    unsent: int = 0


class MidiEchoFilter:
    """What has gone out lately, so that a synthesiser that repeats it is not heard."""

    def __init__(self) -> None:
        self._sent: dict[bytes, float] = {}

    def sent(self, message: bytes, now: float) -> None:
        """Take note of a message."""
        key = _key(message)
        self._sent.pop(key, None)
        self._sent[key] = now
        while len(self._sent) > 4096:
            del self._sent[next(iter(self._sent))]

    def holds(self, message: bytes, now: float) -> bool:
        """Tell whether a message that came in went out a moment ago.

        Never the end of a note, which ends what is held, and else nothing; nor a bend of
        nothing, which everyone sends before a note.
        """
        kind = message[0] & 0xF0
        ends = kind == stream.NOTE_OFF or (kind == stream.NOTE_ON and not message[2])
        if ends or message == stream.bend(message[0] & 0x0F, stream.CENTRE):
            return False
        return now - self._sent.get(_key(message), -math.inf) < ECHO


def _key(message: bytes) -> bytes:
    """What is left of a note by a synthesiser that repeats it in its own way."""
    return message[1:2] if message[0] & 0xF0 == stream.NOTE_ON else message


class MidiPorts:
    """Every MIDI port of an engine. Inlet and output in one."""

    def __init__(
        self,
        options: Options,
        *,
        everyone: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Ask for the ports that the options name; everyone: play the humans' touches too.

        Raises MidiError where there is no MIDI.
        """
        self._clock, self._everyone = clock, everyone
        styles = PRESETS | options.midi
        self._ins = [
            _In(wanted, _source(wanted, n), reader(styles[wanted.style]))
            for n, wanted in enumerate(parse_port(o, options.midi) for o in options.midi_in)
        ]
        self._outs = [
            _Out(wanted, writer(styles[wanted.style]))
            for wanted in (parse_port(o, options.midi) for o in options.midi_out)
        ]
        self._mode, self._pause = options.mode, 0
        self._echoes = MidiEchoFilter()
        self._turned = -math.inf
        self._flush = math.inf
        self._miss_at = clock() + MISSED
        self._link = MidiClient(
            [one.wanted for one in self._ins], [one.wanted for one in self._outs], clock
        )

    def await_ports(self, seconds: float) -> None:
        """Wait until every port to play to is there: before the loop begins.

        So long from when they are looked for on; on a busy machine that takes a while.
        """
        end = self._clock() + _BEGINS
        begun = False
        while any(one.port is None for one in self._outs) and self._clock() < end:
            if not begun and (begun := self._link.begun):
                end = self._clock() + seconds
            select.select([self], [], [], 0.05)
            self.receive()

    # -- in ---------------------------------------------------------------------------------

    def fileno(self) -> int:
        """For a selector."""
        return self._link.fileno()

    def receive(self) -> list[tuple[str, Input]]:
        """Return what came in, each with the name of its port."""
        now = self._clock()
        came: list[tuple[str, Input]] = []
        for letter, number, data in self._link.receive():
            came += self._said(letter, number, data, now)
        if now >= self._flush:
            self._flush = math.inf
            came += [(i.source, one) for i in self._ins for one in i.reader.moved()]
        elif self._flush == math.inf and any(i.reader.waiting for i in self._ins):
            self._flush = now + GATHER
        return [(source, self._resolved(one)) for source, one in came]

    def _said(
        self, letter: str, number: int, data: bytes, now: float
    ) -> list[tuple[str, Input]]:
        """Take in a word of the process that holds the ports."""
        if letter == "m" and number < len(self._ins):
            return self._message(self._ins[number], data, now)
        if letter == "o":
            self._opened(number, data.decode(errors="replace"))
        elif letter == "g":
            return self._gone(number)
        return []

    def _message(self, input: _In, data: bytes, now: float) -> list[tuple[str, Input]]:
        messages, dropped = input.parser.feed(data)
        input.messages += len(messages)
        input.last = now
        told: list[Input] = [Dropped(reason) for reason in dropped]
        for message in messages:
            if self._echoes.holds(message, now):
                told.append(Dropped("echo"))
            else:
                told += input.reader.take(message)
        return [(input.source, one) for one in told]

    def _resolved(self, what: Input) -> Input:
        """Turn a switch over: from where it stands."""
        if not isinstance(what, Control):
            return what
        if what.value != TOGGLE:
            return what
        if what.name == "pause":
            return replace(what, value=1 - self._pause)
        return replace(what, value=MODES[(MODES.index(self._mode) + 1) % len(MODES)])

    def _opened(self, number: int, name: str) -> None:
        if number < OUTPUTS:
            self._ins[number].port = name
            log.info("MIDI in: %s is there", name)
            return
        output = self._outs[number - OUTPUTS]
        output.port = name
        log.info("MIDI out: %s is there (%s)", name, output.wanted.style)
        if not output.begun:
            self._send(output, output.writer.clear())
            output.begun = True
        self._send(output, output.writer.start())

    def _gone(self, number: int) -> list[tuple[str, Input]]:
        """A port was pulled: what was held on it is lifted."""
        told: list[tuple[str, Input]] = []
        if number < OUTPUTS:
            input = self._ins[number]
            lifted = [*map(Dropped, input.parser.cut()), *input.reader.lift()]
            input.parser = stream.MidiParser()
            told = [(input.source, one) for one in lifted]
            was, input.port, kind = input.port, None, "in"
        else:
            output = self._outs[number - OUTPUTS]
            output.writer.panic()  # it sounds no more there; nothing can be sent
            was, output.port, kind = output.port, None, "out"
        if was is not None:
            log.warning("MIDI %s: %s is gone; it is taken again when it returns", kind, was)
        return told

    # -- out --------------------------------------------------------------------------------

    def handle(self, what: Event, at: float) -> None:
        """Play a touch; silence what sounds where the jam is taken back or turned."""
        if isinstance(what, TouchPlayed):
            touch = what.touch
            machine = is_machine(touch.who)
            if not machine and touch.phase is not Phase.UP and what.t == self._turned:
                self._turned = -math.inf
                self._panic()
            if machine or self._everyone:
                for output in self._outs:
                    if output.port is not None:
                        self._send(output, output.writer.touch(at, touch))
        elif isinstance(what, TurnChanged):
            # A turn that a touch takes back ends at the instant of that touch.
            taken_back = what.whose == "human" and not self._everyone
            self._turned = what.t if taken_back else -math.inf
        elif isinstance(what, ControlChanged):
            if what.name == "mode":
                self._mode = str(what.value)  # type: ignore[assignment]
            elif what.name == "pause":
                self._pause = int(what.value)
            if what.name in ("mode", "panic"):
                self._panic()

    def _panic(self) -> None:
        for output in self._outs:
            self._send(output, output.writer.panic())

    def _send(self, output: _Out, data: bytes) -> None:
        if not data or output.port is None:
            return
        now = self._clock()
        messages = stream.MidiParser().feed(data)[0]
        if self._ins:
            for message in messages:
                self._echoes.sent(message, now)
        output.messages += len(messages)
        if not self._link.send(OUTPUTS + self._outs.index(output), data):
            output.unsent += len(messages)

    def advance(self, now: float) -> float:
        """Gather moves, and watch over the ports and the process that holds them."""
        self._link.watch(now)
        if now >= self._miss_at:
            self._miss_at = math.inf
            self._tell_missing()
        if now >= self._flush:
            self._link.poke()
            return 1.0
        return min(1.0, self._flush - now)

    def _tell_missing(self) -> None:
        """Tell which ports have not come. What ails them all has been told."""
        if self._link.trouble is not None:
            return
        for kind, ports in (("in", self._ins), ("out", self._outs)):
            for wanted in (one.wanted for one in ports if one.port is None):
                why = "no port is named like that"
                if wanted.virtual:
                    why = "there is no MIDI system to make it in"
                log.warning(
                    "MIDI %s: %s is not there (%s; robojam ports shows what is); it is "
                    "taken when it comes", kind, wanted.name, why,
                )  # fmt: skip

    # -- how it does ------------------------------------------------------------------------

    def status(self) -> dict[str, object]:
        """Say which ports there are, and how much went through them."""
        now = self._clock()
        ins = [
            {
                "wanted": one.wanted.name,
                "style": one.wanted.style,
                "port": one.port,
                "connected": one.port is not None,
                "messages": one.messages,
                "idle_s": None if one.last is None else now - one.last,
            }
            for one in self._ins
        ]
        outs = [
            {
                "wanted": one.wanted.name,
                "style": one.wanted.style,
                "port": one.port,
                "connected": one.port is not None,
                "messages": one.messages,
                "unsent": one.unsent,
            }
            for one in self._outs
        ]
        more = {"restarts": self._link.restarts, "trouble": self._link.trouble}
        return {"midi": {"in": ins, "out": outs, **more}}

    def close(self) -> None:
        """Release all that sounds, and give the ports back."""
        self._panic()
        self._link.close()


def _source(wanted: Wanted, number: int) -> str:
    return f"midi:{wanted.name}" if not number else f"midi:{wanted.name} ({number + 1})"
