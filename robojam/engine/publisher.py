"""Publisher of jam events to outputs, monitors and the recording, in that order.

Between a human's touch and the machine's answer nothing is done that can wait: what monitors
and the recording are given of it, calls of the system and work of other threads, follows the
answer, or the end of the turn of the engine's loop (`Publisher.flush`). Many voices need more
time for their answers than that takes: then it comes first.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from robojam.beats import Beats
from robojam.engine.metrics import AFTER_ERROR, AUDIBLY_LATE, Lateness, LateTouches
from robojam.engine.monitors import Monitors
from robojam.engine.takes import Takes
from robojam.jam.events import (
    BeatCame,
    ControlChanged,
    Event,
    MotifReturned,
    TouchPending,
    TouchPlayed,
    TurnAwaited,
    TurnChanged,
)
from robojam.ports.delay_line import DelayLine
from robojam.ports.interface import OutputPort
from robojam.ports.osc_out import OscOutput
from robojam.sessions.session import ModelRef
from robojam.touch import Phase, is_machine
from robojam.wire import native
from robojam.wire.echo import EchoDetector

log = logging.getLogger("robojam")

#: Changes that monitors are not sent: they come often, or concern few; the status has them.
_IN_STATUS = ("beats", "held_up", "host", "planned", "planning", "visitor")
#: Voices from which on a human's touch goes to monitors and recording before the answers to it.
_MANY_VOICES: Final = 8
#: Most events that wait for monitors and recording.
_MAX_UNFLUSHED: Final = 256


class Publisher:
    """Receivers of jam events: outputs, monitors and the recording, in that order."""

    def __init__(
        self,
        monitors: Monitors,
        takes: Takes,
        echo: EchoDetector,
        model: Callable[[], ModelRef],
        clock: Callable[[], float],
        *,
        failed: Callable[[Exception], None],
    ) -> None:
        """Publish to these, and to `outputs` first; echo learns what the machine played.

        model returns the reference that a recording holds of the model. failed takes what an
        output raises: the others, the monitors and the recording get the event all the same.
        """
        self.outputs: Sequence[OutputPort] = ()
        self._lines: list[DelayLine] = []
        self._handlers: list[Callable[[Event, float], None]] = []
        self._to_monitors = DelayLine(self._send_to_monitors)
        self._tell_monitors = self._to_monitors.handler
        #: Seconds from when the machine plays a touch until all outputs have sounded it.
        self.latency = 0.0
        self.lateness, self.beat_lateness = Lateness(), Lateness()
        self.late = LateTouches()
        self._monitors, self._takes, self._echo = monitors, takes, echo
        self._model, self._clock, self._failed = model, clock, failed
        self._unflushed: deque[Event] = deque()
        #: Touches of the machine, from the next one on, that the outputs have already.
        self.skip = 0
        #: Called with each event before the outputs have it, where there are twins; what it
        #: returns is called when they have it.
        self.on_event: Callable[[Event], Callable[[], None] | None] | None = None
        #: Called with each control that took effect, and its instant (s).
        self.on_control: Callable[[ControlChanged, float], None] = lambda *_: None

    def use(
        self,
        outputs: Sequence[OutputPort],
        *,
        window_latency: float = 0.0,
        everyone: bool = False,
    ) -> None:
        """Publish to these outputs from now on: what the machine plays meets in all of them.

        window_latency is that of the monitors, in seconds. everyone: what humans play meets,
        too, as it is known ahead in a replay.
        """
        kept = dict(zip(self.outputs, self._lines, strict=True))
        self.latency = max((*(output.latency for output in outputs), window_latency))
        self.outputs = outputs
        self._lines = [kept.get(output) or DelayLine(output.handle) for output in outputs]
        for output, line in zip(outputs, self._lines, strict=True):
            line.lag, line.everyone = self.latency - output.latency, everyone
            line.schedules = output.schedules
        self._to_monitors.lag = self.latency - window_latency
        self._to_monitors.everyone = everyone
        self._handlers = [line.handler for line in self._lines]
        self._tell_monitors = self._to_monitors.handler

    def handle(self, event: Event) -> None:
        """Publish an event; the jam's sink. Monitors and recording may get it at `flush`."""
        takes = self._takes
        at = event.t + takes.origin if takes.begun else self._clock()
        if self.skip and isinstance(event, TouchPlayed) and is_machine(event.touch.who):
            self.skip -= 1
            self.note_played(event, at)
            return
        tell_twins = None if self.on_event is None else self.on_event(event)
        self.send_to_outputs(event, at)
        if tell_twins is not None:
            tell_twins()
        if isinstance(event, ControlChanged):
            self.on_control(event, at)
        more_follows = isinstance(event, TouchPending | MotifReturned)
        if isinstance(event, TouchPlayed):
            touch = event.touch
            more_follows = touch.phase is Phase.UP
            if not is_machine(touch.who):
                more_follows |= takes.options.voices < _MANY_VOICES
            else:
                now = self._clock()
                self._echo.sent_touch(touch, now)
                if touch.phase is not Phase.UP:
                    self.lateness.add(now - at)
                    if now - at > AUDIBLY_LATE:
                        self.late.add(now - at, now)
        self._unflushed.append(event)
        if not more_follows or len(self._unflushed) >= _MAX_UNFLUSHED:
            self.flush()

    def note_played(self, event: TouchPlayed, at: float) -> None:
        """Note at the outputs of OSC a touch that their receivers have from another engine."""
        for output in self.outputs:
            if isinstance(output, OscOutput):
                output.take_over(event, at)

    def hand_over(self) -> None:
        """Leave the fingers that are down at receivers of OSC to another engine."""
        for output in self.outputs:
            if isinstance(output, OscOutput):
                output.hand_over()

    def flush(self) -> None:
        """Give monitors and recording what they have not got yet."""
        while self._unflushed:
            self._pass_on(self._unflushed.popleft())

    def _pass_on(self, event: Event) -> None:
        """Give an event to the monitors and the recording."""
        at = self._clock() if self._to_monitors.lag else 0.0  # read where events wait
        self._tell_monitors(event, at)
        if isinstance(event, TouchPlayed):
            self._takes.record(event)
        elif isinstance(event, ControlChanged):
            is_model = event.name == "model"
            value = msgspec.structs.asdict(self._model()) if is_model else event.value
            self._takes.record(event, value)
            log.debug("%s: %s", event.name, event.value)

    def _send_to_monitors(self, event: Event, _at: float) -> None:
        if isinstance(event, TouchPlayed):
            if self._monitors and not (event.touch.knobs and event.touch.phase is Phase.UP):
                if event.touch.pressure is not None:
                    pressure = native.encode_pressure(event.touch)
                    self._monitors.send(pressure, self._clock())
                packet = native.encode_touch(event.touch, event.dt)
                self._monitors.send(packet, self._clock())
        elif isinstance(event, TouchPending):
            p, wait = event.proposal, event.due - event.t
            if p is not None and self._monitors:
                pending = native.encode_pending(event.who, 0, p.x, p.y, wait)
                self._monitors.send(pending, self._clock())
        elif isinstance(event, MotifReturned):
            recall = event.recall
            ago = event.t - recall.heard_at if recall.who else 0.0
            motif = native.encode_motif(event.who, recall.who, ago, recall.path)
            self._monitors.send(motif, self._clock())
        elif isinstance(event, TurnChanged):
            self._monitors.send(native.encode_turn(event.whose), self._clock())
        elif isinstance(event, BeatCame):
            beat = native.encode_beat(event.beat, event.tempo, event.beats_per_bar)
            self._monitors.send(beat, self._clock())
        elif isinstance(event, TurnAwaited):
            self._monitors.send(native.encode_count_in(event.beats), self._clock())
        elif isinstance(event, ControlChanged) and event.name not in _IN_STATUS:
            self._monitors.control(event.name, event.value, self._clock())

    def beat(self, number: float, beats: Beats, at: float) -> None:
        """Publish a beat of the clock; at is its instant (s), less the longest latency."""
        self.beat_lateness.add(self._clock() - at)
        event = BeatCame(self._takes.t(at), number, beats.tempo, beats.beats_per_bar)
        self.send_to_outputs(event, at)
        if self._monitors:
            self.flush()  # what happened before
            self._to_monitors.handle(event, at)

    def send_to_outputs(self, event: Event, at: float) -> None:
        """Send an event to the outputs alone; at is its instant of the clock (s)."""
        for handle in self._handlers:
            try:
                handle(event, at)
            except Exception as error:
                self._failed(error)

    def advance(self) -> float:
        """Advance the outputs; return the seconds until one needs it again, or infinity."""
        wait = self._to_monitors.advance(self._clock())
        for output, line in zip(self.outputs, self._lines, strict=True):
            try:
                wait = min(wait, line.advance(self._clock()), output.advance(self._clock()))
            except Exception as error:
                self._failed(error)
                wait = min(wait, AFTER_ERROR)
        return wait
