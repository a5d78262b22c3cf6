"""The synthesiser: events in, samples out. It knows no device and no clock.

Live and offline it is the same: what happens is scheduled at a sample, and samples are
made a tick at a time.
"""

from __future__ import annotations

import heapq
import math
from itertools import count

import numpy as np

from robojam.jam.events import ControlChanged, Event, TouchPlayed
from robojam.music import (
    DEFAULT_INSTRUMENTS,
    instrument_of,
    note,
    parse_instruments,
    parse_scale,
)
from robojam.sound.instruments import Floats
from robojam.sound.room import Limiter, Room
from robojam.sound.voices import Landing, Polyphony
from robojam.touch import Phase, Touch, is_machine

#: Samples a second, where no device says otherwise.
RATE = 48_000
#: Ticks a second.
TICKS = 250
#: The most a sample may be; 1 is full scale. One decibel is left for what comes after.
CEILING = 10 ** (-1 / 20)
#: How loud it is unless told otherwise, 0..1.
VOLUME = 0.7
#: How much the room adds.
_WET = 0.5
#: Humans left, machine right, -1..1; each part is so wide from its lowest to its highest.
_PLACE, _WIDTH = 0.42, 0.3
#: Speeds, in screens a second, at which a slide and a landing have most of their effect.
_FAST, _FAST_LANDING = 1.2, 2.5
#: Time in which the volume follows its control, in seconds.
_FADER = 0.03


class Synth:
    """A band of instruments that plays what happens."""

    def __init__(
        self,
        rate: float = RATE,
        *,
        instrument: str = DEFAULT_INSTRUMENTS,
        scale: str = "free",
        volume: float = VOLUME,
    ) -> None:
        """Be silent, at a sample rate in Hz. Raises ValueError for an unknown instrument."""
        self.rate, self.tick = rate, round(rate / TICKS)
        self.voices = Polyphony(rate, self.tick)
        self._room = Room(rate, self.tick)
        self._limiter = Limiter(rate, self.tick, ceiling=CEILING, release=0.25)
        self._instruments, self._scale = parse_instruments(instrument), parse_scale(scale)
        self._gain = self._volume = volume
        self._fader = 1 - math.exp(-self.tick / rate / _FADER)
        self._due: list[tuple[int, int, Event]] = []
        self._number = count()
        self._places: dict[tuple[str, int], int] = {}
        self._owners: dict[int, tuple[str, int]] = {}
        self._last: dict[str, Touch] = {}
        self._ramp = np.arange(1, self.tick + 1, dtype=np.float32) / self.tick
        self.at = 0  # the next sample that is made

    def handle(self, what: Event, sample: int) -> None:
        """Schedule what happens at a sample; what is in the past happens next."""
        if isinstance(what, TouchPlayed | ControlChanged):
            heapq.heappush(self._due, (sample, next(self._number), what))

    def render(self) -> Floats:
        """Return the next tick, of shape (tick, 2)."""
        end = self.at + self.tick
        while self._due and self._due[0][0] < end:
            sample, _, what = heapq.heappop(self._due)
            if isinstance(what, ControlChanged):
                self._change(what)
            elif isinstance(what, TouchPlayed):
                self._touch(what, max(sample - self.at, 0))
        if self.voices.silent and self._room.empty:
            self.at, self._gain = end, self._volume
            return np.zeros((self.tick, 2), np.float32)
        dry, ended = self.voices.render()
        for place in ended:
            self._forget(int(place))
        gain = self._gain + (self._volume - self._gain) * self._fader
        line = self._gain + (gain - self._gain) * self._ramp
        self._gain = gain
        # The fader's square is nearer to how loudness is heard.
        mixed = (dry + _WET * self._room.render(dry)) * (line * line * 2)
        self.at = end
        return self._limiter.render(np.asarray(mixed, np.float32)).T

    # -- what happens --------------------------------------------------------------------

    def _touch(self, what: TouchPlayed, offset: int) -> None:
        touch = what.touch
        finger = (touch.who, touch.id)
        place = self._places.get(finger)
        if touch.phase is Phase.UP:
            if place is not None:
                self.voices.lift(place)
                self._forget(place)
            return
        speed = self._speed(touch, what.dt)
        if touch.phase is Phase.MOVE and place is not None:
            energy = 1.0 - math.exp(-speed / _FAST)
            self.voices.slide(place, self._note(touch), self._bright(touch, energy), energy)
            return
        if place is not None:
            self.voices.lift(place)
            self._forget(place)
        self._land(touch, finger, 1.0 - math.exp(-speed / _FAST_LANDING), offset)

    def _land(self, touch: Touch, finger: tuple[str, int], hard: float, offset: int) -> None:
        machine = is_machine(touch.who)
        place = self.voices.land(
            Landing(
                instrument=instrument_of(touch.who, self._instruments),
                machine=machine,
                note=self._note(touch),
                bright=self._bright(touch, 0.3 * hard),
                struck=0.55 + 0.45 * hard,
                pan=(_PLACE if machine else -_PLACE) + _WIDTH * (touch.x - 0.5),
            ),
            offset,
        )
        if place is None:
            return
        self._forget(place)  # it may have been another finger's, until now
        self._places[finger], self._owners[place] = place, finger

    def _forget(self, place: int) -> None:
        finger = self._owners.pop(place, None)
        if finger is not None:
            self._places.pop(finger, None)

    def _note(self, touch: Touch) -> float:
        return note(touch.x, self._scale)

    @staticmethod
    def _bright(touch: Touch, energy: float) -> float:
        """Higher on the surface is brighter, and so is faster."""
        return min(1.0, 0.08 + 0.72 * (1.0 - touch.y) + 0.25 * energy)

    def _speed(self, touch: Touch, dt: float) -> float:
        """Return how fast someone moves, in screens a second: also from finger to finger."""
        last = self._last.get(touch.who)
        self._last[touch.who] = touch
        if last is None or dt <= 0:
            return 0.0
        return math.hypot(touch.x - last.x, touch.y - last.y) / max(dt, 0.004)

    def _change(self, what: ControlChanged) -> None:
        if what.name == "panic":
            self.voices.hush()
            self._room.hush()
            self._places.clear()
            self._owners.clear()
        elif what.name == "instrument":
            self._instruments = parse_instruments(str(what.value), self._instruments)
        elif what.name == "scale":
            self._scale = parse_scale(str(what.value))
        elif what.name == "volume":
            self._volume = min(max(float(what.value), 0.0), 1.0)
