"""Clock of an engine: where its beats come from, and who gets them. No I/O.

The beats are one value, `robojam.beats.Beats`, by the engine's clock. It comes from the
internal clock (a tempo, taps), or from a port that follows another program's: Ableton Link,
MIDI clock, JACK's transport. The jam gets it as its control `beats` when it departs from what
was said before, the program that sends a clock likewise, and outputs and monitors get each
beat. Whatever a clock does, the jam goes on: at the last tempo that was good.

Nothing is started while the clock is off.
"""

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from robojam.beats import Beats
from robojam.clock.messages import ClockReport, ClockRequest, Departures
from robojam.clock.tap import TapTempo
from robojam.controls import RefusedError, Settings
from robojam.limits import RateLimiter

log = logging.getLogger("robojam")

OFF, INTERNAL, LINK, MIDI = "off", "internal", "link", "midi"
#: Controls that act on the clock.
CONTROLS: Final = frozenset({"clock", "tempo", "tap", "downbeat", "clock_out"})
#: Least share of a beat from one beat that is announced to the next: a clock that moves back
#: a little does not announce a beat twice.
_LEAST: Final = 0.5
#: Seconds after which beats that have passed are not announced any more.
_PAST: Final = 0.25
#: Warnings of each clock: a second, and in a burst.
_WARNINGS: Final = (0.05, 5)
#: What a problem means, by its word (robojam.clock.midi_clock, robojam.clock.transport).
_PROBLEMS: Final = {
    "stopped": "sends no more: beats go on at the last tempo, until it is back",
    "two clocks": "has two clocks, or one of twice the tempo: beats follow the first one. Stop "
    "one of them, or send Stop and Start",
    "out of range": "is slower than 20 or faster than 400 beats a minute: beats go on at the "
    "last tempo within",
    "no timebase master": "has no timebase master, which says tempo and bars: start one, as in "
    "Ardour, Hydrogen or klick -T",
    "no JACK server runs": "cannot be followed, as no JACK server runs; it is tried again",
}


class ClockSource(Protocol):
    """Port that follows a clock, or sends one: `robojam.ports.clock_port.ClockPort`."""

    report: ClockReport
    port: str | None
    error: str

    @property
    def trouble(self) -> str | None:
        """The last error that is about the program, and no port."""

    def ask(self, request: ClockRequest, *, again: bool = True) -> None:
        """Ask the program for something."""

    def advance(self, now: float) -> float:
        """Watch the program; return the seconds until the next call."""

    def close(self) -> None:
        """End the program."""


class ClockOpener(Protocol):
    """Opens clocks: `robojam.ports.clock_port.ClockPorts`."""

    def run(self, job: Callable[[], None]) -> None:
        """Do a job that may take a while, as to start a program."""

    def check(self, source: str) -> None:
        """Raise ValueError where a clock cannot be used."""

    def open(
        self, source: str, tempo: float, beats: Beats | None, on_change: Callable[[], None]
    ) -> Any:
        """Start to follow a clock, which begins with beats if alone. Raises ValueError."""

    def open_output(self, port: str, on_change: Callable[[], None]) -> Any:
        """Start to send a clock to a port. Raises ValueError."""


class _Slot:
    """Place of a port that is opened and closed on a thread of its own: `port`, or None.

    Of several that are asked for the last one counts. error is why it could not be opened.
    """

    def __init__(
        self,
        what: str,
        run: Callable[[Callable[[], None]], None],
        call: Callable[[Callable[[], None]], None],
        on_change: Callable[[], None],
    ) -> None:
        """Begin without. run does a job that may take a while, call one on our thread."""
        self._what, self._run, self._call, self._on_change = what, run, call, on_change
        self._number = 0  # of the last one that was asked for
        self.port: Any = None
        self.error = ""

    def replace(self, make: Callable[[], Any] | None) -> None:
        """Close the port, and open what a function makes, or nothing."""
        self._number += 1
        number, old, self.port, self.error = self._number, self.port, None, ""
        if old is None and make is None:
            return
        self._on_change()

        def work() -> None:
            if old is not None:
                old.close()
            port, error = None, ""
            if make is not None:
                try:
                    port = make()
                except ValueError as reason:
                    error = str(reason)
            self._call(lambda: self._use(port, error, number))

        self._run(work)

    def _use(self, port: Any, error: str, number: int) -> None:
        if number != self._number:  # another was asked for meanwhile
            if port is not None:
                self._run(port.close)
            return
        self.port, self.error = port, error
        if error:
            log.warning("%s: %s", self._what, error)
        self._on_change()

    def close(self) -> None:
        """Close the port, and open none any more."""
        self._number += 1
        port, self.port = self.port, None
        if port is not None:
            port.close()


class BeatClock:
    """Beats of an engine, from the clock that its controls name.

    `beats` are those that were said last, None while there are none; `ports` are the ports
    that are open.
    """

    def __init__(
        self,
        opener: ClockOpener | None,
        settings: Settings,
        *,
        call: Callable[[Callable[[], None]], None],
        on_beats: Callable[[Beats | None, float], None],
        on_beat: Callable[[float, Beats, float], None],
        on_ports: Callable[[], None],
    ) -> None:
        """Prepare; `begin` opens what the settings name.

        call makes a call on the engine's thread. on_beats is called with beats that depart
        from those before, and the instant; on_beat with each beat, its number, the beats and
        its instant, both by `lead` early; on_ports when `ports` has changed. Without an opener
        there is the internal clock alone.
        """
        self._opener, self._settings, self._call = opener, settings, call
        run: Callable[[Callable[[], None]], None] = (
            (lambda job: job()) if opener is None else opener.run
        )
        self._on_beats, self._on_beat, self._on_ports = on_beats, on_beat, on_ports
        self._tap = TapTempo()
        self._taps = 0  # of the present series
        self._source = OFF
        self._own: Beats | None = None  # of the internal clock, or the last of another
        self._offset = 0.0  # beats by which ours differ from the other clock's
        self._follower = _Slot("clock", run, call, on_ports)
        self._sender = _Slot("clock-out", run, call, self._note_sender)
        self._refused = ""  # why the clock that was asked for cannot be used
        self._problem = ""  # that was logged
        self._warnings = RateLimiter(*_WARNINGS)
        self._departures = Departures()
        self._said_playing = True
        self._announced = -math.inf  # the last beat, and its instant
        self._announced_at = -math.inf
        self._changed = False
        self._lead = 0.0
        self._replayed = self._held = False
        self._held_at = 0.0

    def begin(self, now: float, beats: Beats | None = None) -> None:
        """Begin with what the settings name. Raises ValueError where that cannot be used.

        beats are those of a jam that goes on, until another clock says others.
        """
        settings, opener = self._settings, self._opener
        self._own = beats
        if settings.clock == INTERNAL:
            self._use_source(INTERNAL, now)
        elif settings.clock != OFF and opener is not None:
            self._use_source(settings.clock, now)
            self._follower.port = opener.open(
                settings.clock, settings.tempo, self._own, self._note_change
            )
        if settings.clock_out and opener is not None:
            self._sender.port = opener.open_output(settings.clock_out, self._note_change)

    @property
    def _port(self) -> Any:
        return self._follower.port

    def _note_sender(self) -> None:
        if self._sender.port is not None:
            self._sender.port.ask(ClockRequest(beats=self.beats, playing=self._playing))
        self._on_ports()

    def _note_change(self) -> None:
        self._changed = True

    @property
    def beats(self) -> Beats | None:
        """The beats that were said last."""
        return self._departures.said

    @property
    def lead(self) -> float:
        """Seconds by which the jam plays ahead of the beats, to be heard on them."""
        return self._lead

    @lead.setter
    def lead(self, seconds: float) -> None:
        if seconds != self._lead:
            self._lead, self._departures, self._changed = seconds, Departures(), True

    @property
    def ports(self) -> tuple[Any, ...]:
        """The ports of clocks that are open."""
        return tuple(port for port in (self._port, self._sender.port) if port is not None)

    # -- controls ---------------------------------------------------------------------------

    def control(self, name: str, value: Any, at: float) -> dict[str, Any]:
        """Do what a control of the clock says at an instant (s); raise RefusedError.

        Returns the controls that take effect with it, by name.
        """
        match name:
            case "clock":
                return self._set_clock(str(value), at)
            case "tempo":
                return self._set_tempo(float(value), at)
            case "tap":
                return self._take_tap(at)
            case "downbeat":
                return self._begin_bar(at)
        opener, port = self._opener, str(value)
        make = partial(opener.open_output, port, self._note_change) if opener else None
        self._sender.replace(make if port else None)
        return {}

    def _set_clock(self, source: str, at: float) -> dict[str, Any]:
        if source not in (OFF, INTERNAL):
            if self._opener is None:
                raise RefusedError("no such clock", f"{source}: there are no ports here")
            try:
                self._opener.check(source)
            except ValueError as error:
                self._refused = str(error)
                raise RefusedError("no such clock", str(error)) from error
        if source == self._source and not (self._follower.error or self._refused):
            return {}
        # The tempo goes on, also in the internal clock's control.
        now_at = self._current()
        self._use_source(source, at)
        make = None
        if source not in (OFF, INTERNAL) and self._opener is not None:
            tempo, changed = self._settings.tempo, self._note_change
            make = partial(self._opener.open, source, tempo, now_at, changed)
        self._follower.replace(make)
        if source == INTERNAL and now_at is not None:
            return {"tempo": min(max(round(now_at.tempo, 3), 20.0), 400.0)}
        return {}

    def _use_source(self, source: str, now: float) -> None:
        """Take the beats from a clock from now on."""
        self._own = self._current()
        if source == INTERNAL and self._own is None:
            self._own = Beats(now, 0.0, self._settings.tempo)
        elif source == OFF:
            self._own = None
        self._source, self._offset, self._refused, self._problem = source, 0.0, "", ""
        self._changed = True

    def _set_tempo(self, tempo: float, at: float) -> dict[str, Any]:
        if self._source == OFF and tempo == self._settings.tempo:
            return {}  # as a program that sends back what it is told would have it
        started = self._start_internal(at)
        if self._source == LINK and self._port is not None:
            self._port.ask(ClockRequest(tempo=tempo), again=False)
            return started
        self._refuse_if_followed("tempo")
        beats = self._current()
        if beats is not None:
            self._set_own(Beats(at, beats.beat_at(at), tempo, beats.beats_per_bar))
        return started

    def _start_internal(self, at: float) -> dict[str, Any]:
        """Start the internal clock where there is none; return the controls that change."""
        if self._source != OFF:
            return {}
        self._use_source(INTERNAL, at)
        return {"clock": INTERNAL}

    def _refuse_if_followed(self, what: str) -> None:
        if self._source not in (OFF, INTERNAL):
            raise RefusedError(
                "follows another clock",
                f"the {what} is that of {self._source}; /robojam/clock internal sets it free",
            )

    def _set_own(self, beats: Beats) -> None:
        self._own, self._changed = beats, True

    def _take_tap(self, at: float) -> dict[str, Any]:
        if self._source != LINK:
            self._refuse_if_followed("beat")
        tempo = self._tap.tap(at)
        self._taps = 1 if tempo is None else self._taps + 1
        if tempo is None:
            return {}
        tempo = round(tempo, 3)
        if self._source == LINK:
            if self._port is not None and self._taps > 2:  # two taps may be an accident
                self._port.ask(ClockRequest(tempo=tempo), again=False)
                return {"tempo": tempo}
            return {}
        before = self._current()
        started = self._start_internal(at)
        # The first tap of a series begins the bar where nothing else has.
        beat = self._taps - 1 if before is None else round(before.beat_at(at))
        per_bar = 4 if before is None else before.beats_per_bar
        self._set_own(Beats(at, float(beat), tempo, per_bar))
        return started | {"tempo": tempo}

    def _begin_bar(self, at: float) -> dict[str, Any]:
        started = self._start_internal(at)
        beats = self._current()
        if beats is None:
            return started
        bar = beats.beats_per_bar
        beat = beats.beat_at(at)
        if self._source == INTERNAL:
            near = round(beat / bar) * bar
            self._set_own(Beats(at, float(near), beats.tempo, bar))
        else:
            # The other clock's beats stay where they are; which of them begins a bar is ours.
            aligned = self._port is not None and self._port.report.aligned
            place = round(beat) % bar if aligned else beat % bar
            self._offset -= place if place <= bar / 2 else place - bar
            self._changed = True
        return started

    # -- time -------------------------------------------------------------------------------

    def _current(self) -> Beats | None:
        """Return the beats as the source says them now."""
        if self._source in (OFF, INTERNAL):
            return self._own
        said = None if self._port is None else self._port.report.beats
        if said is None:
            return self._own
        self._own = Beats(said.t, said.beat + self._offset, said.tempo, said.beats_per_bar)
        return self._own

    @property
    def _playing(self) -> bool:
        """Whether the song of the clock goes on."""
        return self._port is None or self._port.report.playing is not False

    def advance(self, now: float) -> float:
        """Say what has changed, announce beats; return the seconds until there is more."""
        if self._source == OFF and not self._changed and not self.ports and not self._replayed:
            return math.inf
        wait = math.inf
        for port in self.ports:
            wait = min(wait, port.advance(now))
        if self._changed:
            wait = min(wait, self._say(now))
        return min(wait, self._announce(now))

    def _say(self, now: float) -> float:
        """Say beats that have departed; return the seconds until more may be said."""
        self._report_problem(now)
        beats, playing = self._current(), self._playing
        departed = self._departures.take(beats, now)
        if departed:
            self._on_beats(None if beats is None else beats.shifted(-self._lead), now)
        if (departed or playing != self._said_playing) and self._sender.port is not None:
            self._sender.port.ask(ClockRequest(beats=beats, playing=playing))
        self._said_playing = playing
        wait = self._departures.wait(now)
        self._changed = wait < math.inf
        return wait

    def _report_problem(self, now: float) -> None:
        """Log what is wrong with the clock, once. Its client logs what is with the program."""
        port = self._port
        problem = "" if port is None else str(port.report.problem or port.error)
        if problem == self._problem:
            return
        self._problem = problem
        if problem and self._warnings.take(now):
            text = _PROBLEMS.get(problem, problem)
            log.warning("the clock %s %s", self._source, text)

    @property
    def _clock_problem(self) -> str:
        if self._port is None:
            return self._follower.error or self._refused
        port = self._port
        return str(port.report.problem or port.error or port.trouble or "")

    def _announce(self, now: float) -> float:
        """Announce the beats that have come; return the seconds until the next."""
        said = self.beats
        if said is None or self._held:
            return math.inf
        beats = said.shifted(-self._lead)
        following = math.floor(beats.beat_at(now))
        at = beats.time_of(following)
        if following != self._announced and at > self._announced_at + self._least(beats):
            self._announced, self._announced_at = following, at
            if now - at < _PAST:
                self._on_beat(float(following), beats, at)
        return max(0.0, beats.time_of(following + 1) - now)

    @staticmethod
    def _least(beats: Beats) -> float:
        return _LEAST * 60.0 / beats.tempo

    # -- a recording ------------------------------------------------------------------------

    def replay(self, beats: Beats | None) -> None:
        """Use the beats of a recording."""
        self._replayed = True
        self._departures.said = beats

    def hold(self, now: float, *, on: bool) -> None:
        """Hold the beats of a replay that is paused (on), or go on with them."""
        if on == self._held or not self._replayed:
            return
        said = self._departures.said
        if on:
            self._held_at = now
        elif said is not None:
            self._departures.said = said.shifted(now - self._held_at)
        self._held = on

    # -- status -----------------------------------------------------------------------------

    def status(self, now: float) -> dict[str, Any]:
        """Return the state of the clock at an instant, as JSON values."""
        beats, port = self.beats if self._replayed else self._current(), self._port
        output = self._sender.port
        return {
            "tempo": None if beats is None else round(beats.tempo, 4),
            "beat": None if beats is None else round(beats.beat_at(now), 5),
            "beats_per_bar": None if beats is None else beats.beats_per_bar,
            "peers": 0 if port is None else port.report.peers,
            "playing": self._playing if beats is not None else False,
            "port": None if port is None else port.port,
            "problem": self._clock_problem or None,
            "out": None if output is None else output.port,
        }

    def close(self) -> None:
        """End the programs of the clocks."""
        self._follower.close()
        self._sender.close()
