"""Synthesiser: events in, samples out. It knows no device and no clock.

Live and offline it is the same: events are scheduled at samples, and samples are rendered a
tick at a time.
"""

from __future__ import annotations

import heapq
import math
from itertools import count

import numpy as np

from robojam import music
from robojam.controls import Settings, Value
from robojam.jam.events import BeatCame, ControlChanged, Event, TouchPlayed
from robojam.music import SOUND_KEY, instrument_of, range_of
from robojam.sound.instruments import Floats
from robojam.sound.metronome import Metronome
from robojam.sound.reverb import Limiter, Reverb
from robojam.sound.voices import VoicePool
from robojam.touch import Phase, Touch, is_machine

#: Usual sample rate in Hz.
RATE = 48_000
#: Ticks a second.
TICKS = 250
#: The highest sample, where 1 is full scale: one decibel of headroom is left.
CEILING = 10 ** (-1 / 20)
#: Time constant, in seconds, with which the limiter lets go.
RELEASE = 0.25
#: Level of the reverb.
WET = 0.5
#: Places in the stereo field, -1..1: humans left, machine right, and the width of each from
#: x = 0 to x = 1.
PAN, WIDTH = 0.42, 0.3
#: Speeds, in screens a second, at which a slide and a landing have most of their effect.
FAST, FAST_LANDING = 1.2, 2.5
#: Level of a landing with the least pressure; with the greatest it is 1.
SOFTEST = 0.2
#: Time constant with which the volume follows its control, in seconds.
FADER = 0.03


def brightness(y: float, energy: float) -> float:
    """Return a brightness (0..1) that grows with height on the surface and with speed."""
    return min(1.0, 0.08 + 0.72 * (1.0 - y) + 0.25 * energy)


def landing_velocity(force: float) -> float:
    """Return the velocity (0..1) of a landing of a force of 0..1."""
    return 0.55 + 0.45 * force


class Synth:
    """Instruments of all players, which play touches and follow the controls of the sound."""

    def __init__(self, rate: float = RATE, settings: Settings | None = None) -> None:
        """Begin silent, at a sample rate in Hz, with the settings of a jam or the defaults.

        Raises ValueError for settings of the sound that are wrong.
        """
        self.rate, self.tick = rate, round(rate / TICKS)
        self.voices = VoicePool(rate, self.tick)
        self._reverb = Reverb(rate, self.tick)
        self._limiter = Limiter(rate, self.tick, ceiling=CEILING, release=RELEASE)
        settings = settings or Settings()
        self._instruments = music.parse_instruments(settings.instrument)
        self._scale = music.parse_scale(settings.scale)
        self._ranges = music.parse_ranges(settings.range)
        self._gain = self._volume = settings.volume
        self._metronome = Metronome(rate, self.tick)
        self._metronome.volume = settings.metronome
        self._fader = 1 - math.exp(-self.tick / rate / FADER)
        self._scheduled: list[tuple[int, int, Event]] = []
        self._number = count()
        self._places: dict[tuple[str, int], int] = {}
        self._owners: dict[int, tuple[str, int]] = {}
        self._last: dict[str, Touch] = {}
        self._ramp = np.arange(1, self.tick + 1, dtype=np.float32) / self.tick
        self.at = 0  # the next sample

    def handle(self, event: Event, sample: int) -> None:
        """Schedule an event at a sample; one in the past takes effect in the next tick."""
        if isinstance(event, TouchPlayed | ControlChanged | BeatCame):
            heapq.heappush(self._scheduled, (sample, next(self._number), event))

    def render(self) -> Floats:
        """Return the next tick, of shape (tick, 2)."""
        end = self.at + self.tick
        while self._scheduled and self._scheduled[0][0] < end:
            sample, _, event = heapq.heappop(self._scheduled)
            if isinstance(event, ControlChanged):
                self._change(event.name, event.value)
            elif isinstance(event, TouchPlayed):
                self._touch(event.touch, event.dt, max(sample - self.at, 0))
            elif isinstance(event, BeatCame):
                accent = event.beat % event.beats_per_bar == 0
                self._metronome.click(max(sample - self.at, 0), accent=accent)
        if self.voices.silent and self._reverb.empty and self._metronome.silent:
            self.at, self._gain = end, self._volume
            return np.zeros((self.tick, 2), np.float32)
        dry, ended = self.voices.render()
        for place in ended:
            self._forget(int(place))
        gain = self._gain + (self._volume - self._gain) * self._fader
        line = self._gain + (gain - self._gain) * self._ramp
        self._gain = gain
        # The fader's square is nearer to how loudness is heard.
        mixed = (dry + WET * self._reverb.render(dry)) * (line * line * 2)
        mixed += self._metronome.render()  # with a volume of its own, and in no room
        self.at = end
        return self._limiter.render(np.asarray(mixed, np.float32)).T

    def _touch(self, touch: Touch, dt: float, offset: int) -> None:
        finger = (touch.who, touch.id)
        place = self._places.get(finger)
        speed = 0.0 if touch.phase is Phase.UP else self._speed(touch, dt)
        if touch.phase is Phase.MOVE and place is not None:
            energy = max(1.0 - math.exp(-speed / FAST), touch.pressure or 0.0)
            self.voices.slide(place, self._note(touch), brightness(touch.y, energy), energy)
            return
        if place is not None:
            self.voices.lift(place)
            self._forget(place)
        if touch.phase is Phase.UP:
            return
        machine = is_machine(touch.who)
        force = touch.pressure
        if force is None:
            force, level = 1.0 - math.exp(-speed / FAST_LANDING), 1.0
        else:
            level = SOFTEST + (1.0 - SOFTEST) * force
        place = self.voices.land(
            instrument_of(touch.who, self._instruments),
            machine=machine,
            note=self._note(touch),
            brightness=brightness(touch.y, 0.3 * force),
            velocity=landing_velocity(force),
            level=level,
            pan=(PAN if machine else -PAN) + WIDTH * (touch.x - 0.5),
            offset=offset,
        )
        if place is not None:
            self._forget(place)  # it may have been that of another finger
            self._places[finger], self._owners[place] = place, finger

    def _forget(self, place: int) -> None:
        finger = self._owners.pop(place, None)
        if finger is not None:
            self._places.pop(finger, None)

    def _note(self, touch: Touch) -> float:
        pitches = range_of(touch.who, self._ranges)
        return pitches.quantised(pitches.pitch(touch.x), self._scale, SOUND_KEY)

    def _speed(self, touch: Touch, dt: float) -> float:
        """Return a player's speed in screens a second, also from finger to finger."""
        last = self._last.get(touch.who)
        self._last[touch.who] = touch
        if last is None or dt <= 0:
            return 0.0
        return math.hypot(touch.x - last.x, touch.y - last.y) / max(dt, 0.004)

    def _change(self, name: str, value: Value) -> None:
        if name == "panic":
            self.voices.fade_out()
            self._reverb.fade_out()
            self._places.clear()
            self._owners.clear()
        elif name == "instrument":
            self._instruments = music.parse_instruments(str(value), self._instruments)
        elif name == "scale":
            self._scale = music.parse_scale(str(value))
        elif name == "range":
            self._ranges = music.parse_ranges(str(value), self._ranges)
        elif name == "metronome":
            self._metronome.volume = min(max(float(value), 0.0), 1.0)
        elif name == "volume":
            self._volume = min(max(float(value), 0.0), 1.0)
