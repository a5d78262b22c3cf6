"""Detector of echoes: what robojam itself sent, and receives again through a loop. Pure.

A loop is a program or a device that sends back what it receives: a bridge, a pad whose dot
reports that it was moved, a DAW that passes MIDI through. Its echoes come in the order in
which the originals were sent, after a delay that hardly changes; some may be missing, come
twice, or be rounded. People send the same values too, so a value alone shows nothing. What
does is decided by kind:

- A place of a touch has two numbers that are practically unique together: one that was sent
  within MAX_DELAY is an echo by itself. Those with few digits (an edge, the middle) are so
  only at the delay of a loop that is known, or if what was sent before them came back, too.
- The touch and release of a pad (`/z`) belong to the places beside them: `touchosc` keeps a
  touch that may be an echo until the next place, and a release is an echo at the delay of a
  known loop (`is_echo_lift`).
- Notes, controllers and places of a rounded grid are values that people play too. They are
  heard until a run of them shows a loop: events in the order of sending, at one delay, with
  less variation than a person has who plays the same (HUMAN_SPREAD). That takes 6 notes of a
  loop without jitter, 12 where the delay varies by 4 ms, more where some are lost. Then what
  was heard of it is to be lifted (`take_heard`), and what fits the loop is an echo. MIDI that
  returns within `Kind.at_once` is an echo from the first, unless the messages sent before it
  did not come back.
- Controls are sent to monitors when they take effect, and may go round a loop for ever.

Whatever does not fit is a person's, and is heard at once.
"""

from collections import deque
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import Final, NamedTuple

from robojam.limits import ExpiringTable, source_network
from robojam.touch import Phase, Touch

#: Longest delay of an echo, in seconds.
MAX_DELAY: Final = 1.1
#: Spread of the delays of a person who plays what the machine played, in seconds: at least so
#: much between the earliest and the latest. And the probability that this is taken for a loop.
HUMAN_SPREAD, FALSE_ALARM = 0.03, 1e-8
#: Spread below which a loop's delays say no more, in seconds.
_LEAST_SPREAD: Final = 0.0005
#: Most by which an echo's delay differs from that of its loop, in seconds: for events that
#: people send too, and for places.
_TOLERANCE, _PLACE_TOLERANCE = 0.01, 0.05
#: Weight of the newest echo in a loop's delay and deviation.
_SMOOTHING: Final = 0.2
#: Seconds within which a place that stays in one part of the grid is what the last one was.
_AT_REST: Final = 0.05
#: Seconds between two places of the coarse grid that are looked at, until a loop is known.
_LEAST_INTERVAL: Final = 0.004
#: Seconds within which the same event twice is one that was doubled on its way.
_DOUBLED: Final = 0.002
#: Parts of the screen within which two places are the same, and their bits that tell a place
#: from others. Numbers may have been rounded to six digits, or be those of a pad's axis.
_GRID, _PLACE_BITS, _ROUNDING = 1 << 16, 20, 0.1
#: Parts of the grid to which places may be rounded on their way, and by how many of its parts.
_COARSE, _COARSE_ROUNDING = 127, 0.6
#: Predecessors that did not come back, from which on a place with many digits and one with
#: few is no echo; the same for MIDI within `Kind.at_once`.
_ABSENT, _ABSENT_COMMON, _ABSENT_AT_ONCE = 32, 1, 1
#: Events in a row that a loop may miss until it counts as ended.
_ENDED: Final = 48
#: Seconds for which an event that was not returned counts against a loop.
_EVIDENCE: Final = 10.0
#: Most sent events, and of those with one key; most sources, loops and runs of one source.
_MAX_SENT, _MAX_SAME, _MAX_SOURCES, _MAX_LOOPS, _MAX_RUNS = 8192, 8, 64, 4, 32
#: Most series, and events of each that are remembered as evidence, also after MAX_DELAY.
_MAX_SERIES, _MAX_LAST = 1024, 128
#: Touches that wait to be entered: the deadlines of many voices come together.
_MAX_UNSETTLED: Final = 256
#: Echoes from which on a loop is reported, and seconds for which the status shows it.
_REPORTED, _SHOWN = 3, 60.0


@dataclass(frozen=True, slots=True)
class Kind:
    """Number of events in a row that show a loop, for events that people send too.

    least is for delays below at_once, in seconds, and slow for the others. alone: below
    at_once a single event is an echo.
    """

    least: int
    slow: int
    at_once: float = 0.0
    alone: bool = False


#: A place of the coarse grid. A finger that follows the machine's crosses it, too.
_COARSE_PLACE: Final = Kind(least=8, slow=8)


class Origin(NamedTuple):
    """Origin of a touch: the source that stands for its player, and the UDP port if any."""

    source: str
    port: int | None = None


@dataclass(slots=True, eq=False)
class _Sent:
    """Event that was sent at t (s): of a series, its number there, and where it came back.

    returned are the times by source, or None. origin is where it came from, if it is one that
    was passed on.
    """

    t: float
    series: "_Series"
    number: int
    key: Hashable
    origin: Origin | None = None
    returned: dict[str, float] | None = None

    def is_from(self, source: str, port: int | None) -> bool:
        """Return whether it came from a source itself, and a port where both are known."""
        if self.origin is None or self.origin.source != source:
            return False
        return port is None or self.origin.port is None or self.origin.port == port

    def returned_at(self, source: str) -> float | None:
        """Return when the event came back from a source (s), or None."""
        return None if self.returned is None else self.returned.get(source)


@dataclass(slots=True)
class _Loop:
    """Loop at one source: its delay and mean deviation (s), and the echoes that were dropped.

    sure: more than one chance event shows it; found: it has been reported; coarse: places are
    rounded on its way. doubles counts events that came twice; at (s), series and number are
    those of the last echo.
    """

    delay: float
    deviation: float = 0.002
    sure: bool = False
    found: bool = False
    coarse: bool = False
    at: float = 0.0
    dropped: int = 0
    doubles: int = 0
    series: "_Series | None" = None
    number: int = 0

    @property
    def tolerance(self) -> float:
        """Most by which an echo's delay differs that is not known by itself, in seconds."""
        return min(_TOLERANCE, 0.002 + 4 * self.deviation)


@dataclass(slots=True, eq=False)
class _Run:
    """Events from one source in the order of sending, at delays from low to high (s)."""

    series: "_Series"
    number: int
    low: float
    high: float
    count: int = 1
    missed: int = 0
    heard: deque[object] = field(default_factory=lambda: deque(maxlen=64))

    @property
    def delay(self) -> float:
        """Delay in the middle of the run."""
        return (self.low + self.high) / 2

    def is_loop(self, least: int) -> bool:
        """Return whether a person is too unlikely to have played this.

        The delays of n events that are spread evenly over HUMAN_SPREAD lie within a part p of
        it with a probability of about n p^(n - 1). Each event that was missed, and may have
        come at another time, doubles it.
        """
        if self.count < least or self.missed > 2 * self.count:
            return False
        part = max(self.high - self.low, _LEAST_SPREAD) / HUMAN_SPREAD
        chance: float = self.count * part ** (self.count - 1) * 2**self.missed
        return chance < FALSE_ALARM


@dataclass(frozen=True, slots=True)
class _Cell:
    """Place of the coarse grid that came last, at t (s), and whether it was an echo."""

    key: Hashable
    t: float
    echo: bool


@dataclass(slots=True)
class _Source:
    """What has come from one source: loops, runs that may be of one, events to be lifted."""

    loops: list[_Loop] = field(default_factory=list)
    runs: list[_Run] = field(default_factory=list)
    heard: list[object] = field(default_factory=list)
    cell: _Cell | None = None


@dataclass(slots=True, eq=False)
class _Series:
    """Events that one output is sent of one kind: their count, and the last of them."""

    count: int = 0
    last: deque[_Sent] = field(default_factory=lambda: deque(maxlen=_MAX_LAST))
    cell: Hashable = None


class EchoDetector:
    """Detector of what was sent in what comes in. Times are arguments, in seconds."""

    def __init__(self) -> None:
        self._sent: dict[Hashable, list[_Sent]] = {}  # by key
        self._order: deque[_Sent] = deque()
        self._unsettled: list[tuple[Touch, float, Origin | None]] = []
        self._series: dict[Hashable, _Series] = {}
        self._sources = ExpiringTable[str, _Source](_MAX_SOURCES, owner_of=source_network)
        self.found: list[tuple[str, float]] = []

    # -- what is sent ------------------------------------------------------------------------

    def sent(
        self,
        key: Hashable,
        now: float,
        *,
        series: Hashable = None,
        origin: Origin | None = None,
    ) -> None:
        """Remember an event that is sent; series: what is sent in order, to one receiver.

        key is what an echo of the event has, too. origin is that of an event that is passed
        on: what comes from there again is no echo.
        """
        self._remember(key, now, self._series_of(series), origin)

    def sent_touch(self, touch: Touch, now: float, origin: Origin | None = None) -> None:
        """Remember a touch that is sent; `settle` does the work, after a deadline.

        origin is as of `sent`.
        """
        self._unsettled.append((touch, now, origin))
        if len(self._unsettled) >= _MAX_UNSETTLED:
            self.settle()

    def settle(self) -> None:
        """Enter the touches that have been sent; what comes in does it, too."""
        unsettled, self._unsettled = self._unsettled, []
        for touch, at, origin in unsettled:
            self._settle(touch, at, origin)

    def _settle(self, touch: Touch, now: float, origin: Origin | None) -> None:
        if touch.phase is not Phase.MOVE and touch.who == "ai":  # whose finger a pad shows
            self.sent(touch.phase, now, series=touch.phase)
        if touch.phase is Phase.UP:
            return
        place = _on_grid(touch.x), _on_grid(touch.y), _GRID
        self._remember(place, now, self._series_of(touch.who), origin)
        series = self._series_of((touch.who, _COARSE))
        cell = _coarse(touch.x, touch.y)
        if cell != series.cell:  # a finger at rest says nothing about time
            series.cell = cell
            self._remember(cell, now, series, origin)

    def _series_of(self, name: Hashable) -> _Series:
        series = self._series.get(name)
        if series is None:
            if len(self._series) >= _MAX_SERIES:
                # Its events name it, and it them: cleared, it is freed at once.
                self._series.pop(next(iter(self._series))).last.clear()
            series = self._series[name] = _Series()
        return series

    def _remember(
        self, key: Hashable, now: float, series: _Series, origin: Origin | None
    ) -> None:
        if not series.last or series.last[-1].t < now:
            series.count += 1
        event = _Sent(now, series, series.count, key, origin)
        series.last.append(event)
        order = self._order
        order.append(event)
        same = self._sent.get(key)
        if same is None:
            self._sent[key] = [event]
        else:
            same.append(event)
            del same[:-_MAX_SAME]
        least = now - MAX_DELAY
        while order[0].t < least or len(order) > _MAX_SENT:
            old = order.popleft()
            same = self._sent.get(old.key)
            if same and same[0] is old:
                del same[0]
                if not same:
                    del self._sent[old.key]

    # -- what comes in -----------------------------------------------------------------------

    def is_echo_place(
        self,
        source: str,
        x: float,
        y: float,
        now: float,
        *,
        port: int | None = None,
        common: bool = True,
    ) -> bool:
        """Return whether a touch at a place (0..1) that comes from a source is an echo.

        port is the UDP port that it comes from, where that is known. common: a place with few
        digits may be one.
        """
        events = self._returning(_near(x, y, _GRID, _ROUNDING), now, source, port)
        if events:
            unique = _bits(_on_grid(x)) + _bits(_on_grid(y)) >= _PLACE_BITS
            if self._is_place(source, events, now, unique=unique, common=common):
                return True
        return self._is_coarse_echo(source, x, y, now, port)

    def _is_coarse_echo(
        self, source: str, x: float, y: float, now: float, port: int | None
    ) -> bool:
        """Return whether a place that has been rounded is an echo."""
        here, key = self._sources.get(source), _coarse(x, y)
        known = here is not None and any(loop.coarse for loop in here.loops)
        keys = _near(x, y, _COARSE, _COARSE_ROUNDING) if known else [key]
        last = None if here is None else here.cell
        if last is not None and last.key == key:  # a finger at rest says nothing about time
            return last.echo and now - last.t <= _AT_REST
        if self._sent.keys().isdisjoint(keys):
            return False
        if last is not None and not known and now - last.t < _LEAST_INTERVAL:
            return False  # a flood: no time is spent on it
        echo = self._is_echo(source, keys, now, _COARSE_PLACE, (x, y), port)
        self._source(source).cell = _Cell(key, now, echo)
        return echo

    def _is_place(
        self,
        source: str,
        events: list[_Sent],
        now: float,
        *,
        unique: bool,
        common: bool,
    ) -> bool:
        """Return whether a place that was sent in events is an echo.

        unique: it has many digits; common: one with few digits may be an echo.
        """
        here = self._source(source)
        event = min(events, key=lambda e: (e.returned_at(source) is not None, -e.t))
        loop = None
        for other in events:
            if loop is None and (at := _loop_at(here, now - other.t, _PLACE_TOLERANCE)):
                event, loop = other, at
        sure = any(known.sure for known in here.loops)
        if unique:
            echo = sure or self._absent(event, source) < _ABSENT
        elif loop is None:
            fresh = common and not sure and event.returned_at(source) is None
            echo = fresh and self._absent(event, source) < _ABSENT_COMMON
        else:
            echo = True
        if echo:
            self._accept(here, source, event, now, loop, sure=unique)
        return echo

    def is_echo(
        self,
        source: str,
        key: Hashable,
        now: float,
        *,
        kind: Kind,
        heard: object = None,
    ) -> bool:
        """Return whether an event that people may send too is an echo.

        heard is what `take_heard` returns of it if it turns out to be an echo later.
        """
        return self._is_echo(source, (key,), now, kind, heard)

    def _is_echo(
        self,
        source: str,
        keys: Collection[Hashable],
        now: float,
        kind: Kind,
        heard: object,
        port: int | None = None,
    ) -> bool:
        """Return whether an event that has one of the keys is an echo."""
        events = self._returning(keys, now, source, port)
        if not events:
            return False
        here = self._source(source)
        for event in reversed(events):
            delay = now - event.t
            loop = _loop_at(here, delay)
            known = loop is not None and loop.sure and (loop.coarse or kind != _COARSE_PLACE)
            if loop is not None and known and self._fits(loop, event, source, now):
                self._accept(here, source, event, now, loop, sure=True)
                return True
        for event in reversed(events):
            soon = kind.alone and now - event.t <= kind.at_once
            if soon and self._absent(event, source) < _ABSENT_AT_ONCE:
                loop = _loop_at(here, now - event.t)
                self._accept(here, source, event, now, loop, sure=False)
                return True
        return self._extend(here, source, events, now, kind, heard)

    def landing_delays(self, now: float) -> list[float]:
        """Return the delays (s) at which the landing of a pad's finger may be an echo now."""
        return [now - event.t for event in self._returning((Phase.DOWN,), now, "")]

    def is_echo_landing(self, source: str, delays: Iterable[float]) -> bool:
        """Return whether a landing with such delays is an echo of a loop that is known."""
        here = self._sources.get(source)
        if here is None:
            return False
        loops = [_pad_loop_at(here, delay) for delay in delays]
        return any(loop is not None and loop.sure for loop in loops)

    def is_echo_lift(self, source: str, now: float, landings: Iterable[float]) -> bool:
        """Return whether the lift of a pad's finger is an echo.

        It is one at the delay of a loop, or at that of the landing before it: landings are the
        delays of those that may be echoes.
        """
        events = self._returning((Phase.UP,), now, source)
        here = self._sources.get(source)
        if here is not None:
            for event in events:
                loop = _pad_loop_at(here, now - event.t)
                if loop is not None and loop.sure and self._fits(loop, event, source, now):
                    self._accept(here, source, event, now, loop, sure=True)
                    return True
        return any(
            abs(now - event.t - landing) <= _TOLERANCE
            for event in events
            for landing in landings
        )

    def take_heard(self, source: str) -> list[object]:
        """Return the events that were heard before their loop was found; once."""
        here = self._sources.get(source)
        if here is None:
            return []
        heard, here.heard = here.heard, []
        return heard

    def take_found(self) -> list[tuple[str, float]]:
        """Return the loops that were found since the last call: source and delay (s)."""
        found, self.found = self.found, []
        return found

    def status(self, now: float) -> list[dict[str, object]]:
        """Return the loops of the last minute, as JSON values.

        These are the source, the delay in milliseconds and the echoes that were dropped.
        """
        return [
            {"source": name, "delay_ms": round(1000 * loop.delay), "dropped": loop.dropped}
            for name, source in self._sources.items()
            for loop in source.loops
            if loop.found and now - loop.at <= _SHOWN
        ]

    # -- evidence ----------------------------------------------------------------------------

    def _source(self, name: str) -> _Source:
        source = self._sources.use(name)
        if source is None:
            source = _Source()
            self._sources.put(name, source)
        return source

    def _returning(
        self, keys: Collection[Hashable], now: float, source: str, port: int | None = None
    ) -> list[_Sent]:
        """Return the events with one of the keys that may come back from a source now."""
        if self._unsettled:
            self.settle()
        if self._sent.keys().isdisjoint(keys):
            return []
        sent = (event for key in keys for event in self._sent.get(key, ()))
        return [
            event
            for event in sent
            if now - MAX_DELAY <= event.t <= now and not event.is_from(source, port)
        ]

    def _absent(self, event: _Sent, source: str) -> int:
        """Return how many events just before one did not come back from a source."""
        numbers = set()
        for earlier in reversed(event.series.last):
            if earlier.number >= event.number:
                continue
            if earlier.returned_at(source) is not None or earlier.t < event.t - _EVIDENCE:
                break
            numbers.add(earlier.number)
        return len(numbers)

    def _fits(self, loop: _Loop, event: _Sent, source: str, now: float) -> bool:
        """Return whether a loop returns an event now, which it does once, or each time twice.

        A loop that has returned nothing for long has ended.
        """
        if event.series is loop.series and event.number - loop.number > _ENDED:
            loop.sure = loop.found = False
            return False
        returned_at = event.returned_at(source)
        if returned_at is None or now - returned_at <= _DOUBLED:
            return True
        if abs(returned_at - event.t - loop.delay) > loop.tolerance:
            return True  # it returned through another loop
        loop.doubles += 1
        return loop.doubles > max(2, loop.dropped / 8)

    def _accept(
        self,
        here: _Source,
        source: str,
        event: _Sent,
        now: float,
        loop: _Loop | None,
        *,
        sure: bool,
        found: bool = False,
    ) -> None:
        """Take an event for an echo, of a loop or of one that is not known yet.

        sure: people do not send it; found: a run shows the loop.
        """
        delay = now - event.t
        if loop is None:
            loop = _Loop(delay)
            here.loops = [*here.loops[1 - _MAX_LOOPS :], loop]
        if event.returned is None or len(event.returned) >= _MAX_SOURCES:
            event.returned = {}
        event.returned[source] = now
        loop.at = now
        loop.delay += _SMOOTHING * (delay - loop.delay)
        loop.deviation += _SMOOTHING * (abs(delay - loop.delay) - loop.deviation)
        loop.series, loop.number = event.series, event.number
        loop.dropped += 1
        loop.sure = loop.sure or sure or loop.dropped >= _REPORTED
        if not loop.found and (found or loop.dropped >= _REPORTED):
            loop.found = True
            self.found = [*self.found[1 - _MAX_SOURCES :], (source, loop.delay)]

    def _extend(
        self,
        here: _Source,
        source: str,
        events: list[_Sent],
        now: float,
        kind: Kind,
        heard: object,
    ) -> bool:
        """Add an event to the runs that it continues; return whether one is a loop now."""
        begun = {id(event): event for event in events if event.returned_at(source) is None}
        extended: list[_Run] = []
        for run in here.runs:
            after = [e for e in events if e.series is run.series and e.number > run.number]
            if not after:
                continue
            event = min(after, key=lambda e: abs(now - e.t - run.delay))
            delay = now - event.t
            low, high = min(run.low, delay), max(run.high, delay)
            if high - low > 2 * _TOLERANCE:
                continue
            run.missed += event.number - run.number - 1
            run.number, run.low, run.high = event.number, low, high
            run.count += 1
            run.heard.append(heard)
            extended.append(run)
            begun.pop(id(event), None)
            if run.is_loop(kind.slow if delay >= kind.at_once else kind.least):
                run.heard.pop()
                here.heard = list(run.heard)
                here.runs.clear()
                coarse = kind == _COARSE_PLACE
                loop = _Loop(run.delay, coarse=coarse)
                here.loops = [*here.loops[1 - _MAX_LOOPS :], loop]
                self._accept(here, source, event, now, loop, sure=True, found=True)
                return True
        for event in begun.values():
            delay = now - event.t
            run = _Run(event.series, event.number, delay, delay)
            run.heard.append(heard)
            here.runs.append(run)
        here.runs = _best_runs(here.runs, extended)
        return False


def _best_runs(runs: list[_Run], extended: list[_Run]) -> list[_Run]:
    """Return the runs to go on with, the last extended at the end.

    Of those that end in the same event it is the longest. Where there are too many, half of
    them are the last ones, as each is short at first, and half the longest of the others.
    """
    runs = [run for run in runs if run not in extended] + extended
    longest: dict[tuple[int, int], _Run] = {}
    for run in runs:
        behind = run.series.count - run.number
        if run.missed > 2 * run.count + 4 or behind > _ENDED:
            continue
        end = id(run.series), run.number
        other = longest.pop(end, run)
        longest[end] = max(other, run, key=lambda r: (r.count, r.low - r.high))
    runs = list(longest.values())
    half = _MAX_RUNS // 2
    others = sorted(runs[:-half], key=lambda run: run.count)
    return others[-half:] + runs[-half:]


def _loop_at(source: _Source, delay: float, tolerance: float | None = None) -> _Loop | None:
    """Return the loop of a source whose delay is nearest, within a tolerance (s) or its own."""
    loop = min(source.loops, key=lambda loop: abs(delay - loop.delay), default=None)
    if loop is None or abs(delay - loop.delay) > (tolerance or loop.tolerance):
        return None
    return loop


def _pad_loop_at(source: _Source, delay: float) -> _Loop | None:
    """Return the loop that may send back a pad's touch or release, as people send few."""
    loop = _loop_at(source, delay, _PLACE_TOLERANCE)
    near = loop is not None and abs(delay - loop.delay) <= 0.002 + 4 * loop.deviation
    return loop if near else None


def _on_grid(value: float) -> int:
    return round(value * _GRID)


def _bits(number: int) -> int:
    """Return how many bits of a number of the grid tell it from others: 0 for the edges."""
    number %= _GRID
    return 0 if not number else 17 - (number & -number).bit_length()


def _near(x: float, y: float, parts: int, rounding: float) -> list[Hashable]:
    """Return the places of a grid that are the same as one, which may have been rounded."""
    ys = range(round(y * parts - rounding), round(y * parts + rounding) + 1)
    xs = range(round(x * parts - rounding), round(x * parts + rounding) + 1)
    return list(product(xs, ys, (parts,)))


def _coarse(x: float, y: float) -> Hashable:
    return round(x * _COARSE), round(y * _COARSE), _COARSE
