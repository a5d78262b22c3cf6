"""Voices of the synthesiser: a pool of them, rendered together, a tick at a time.

All voices that sound are rows of the same arrays, so that thirty cost little more than
one. Every value changes along a line from the end of one tick to the end of the next, so
that no change makes a step in the sound, not even a stolen voice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robojam.music import INSTRUMENTS
from robojam.sound.instruments import ALL, PARTIALS, Floats, Instrument, VoiceParameters

_Doubles = NDArray[np.float64]
_Indices = NDArray[np.intp]

#: The most voices that sound at once; a further one steals the faintest.
SOUNDING = 24
#: Places for voices, with those for stolen ones that fade.
_PLACES = 48
#: Time constant with which a stolen voice fades, in seconds, and the level at which it ends.
_STOLEN_FADE, _ENDED = 0.003, 1e-4
#: Time constants, in seconds: of pitch; of brightness and energy; and of the energy of a finger
#: that has stopped.
_GLIDE, _FOLLOW, _REST = 0.010, 0.020, 0.130
#: Lowest and highest frequency of each band of noise, in Hz: soft and bright.
AIR_BANDS = ((150.0, 2200.0), (700.0, 7000.0))
#: Samples of noise, which are repeated without end.
_NOISE = 1 << 16


def _air(rate: float) -> Floats:
    """Return two bands of noise, soft and bright, each of RMS 1 and without a seam."""
    rng = np.random.default_rng(1)
    hz = np.fft.rfftfreq(_NOISE, 1 / rate)
    bands = []
    for low, high in AIR_BANDS:
        shape = 1 / (1 + (low / np.maximum(hz, 1)) ** 4) / (1 + (hz / high) ** 4)
        spectrum = shape * np.exp(2j * np.pi * rng.random(len(hz)))
        spectrum[0] = spectrum[-1] = 0
        band = np.fft.irfft(spectrum, _NOISE)
        bands.append(band / np.sqrt(np.mean(band**2)))
    return np.asarray(bands, np.float32)


class VoicePool:
    """All voices that sound, at a sample rate in Hz, rendered in ticks of some samples."""

    def __init__(self, rate: float, tick: int) -> None:
        self.rate, self.tick = rate, tick
        self.stolen = self.refused = 0
        self._started = 0
        n, p = _PLACES, PARTIALS
        self._busy = np.zeros(n, bool)
        self._held = np.zeros(n, bool)  # a finger is on it
        self._stolen = np.zeros(n, bool)  # it fades at once
        self._kind = np.zeros(n, np.intp)
        self._order = np.zeros(n, np.int64)
        self._age = np.zeros(n)
        self._phase = np.zeros(n)
        self._ratios = np.zeros((n, p), np.float32)
        self._colour = np.zeros((n, p), np.float32)
        self._begin = np.zeros((n, p))
        self._hz = np.zeros(n)
        self._current = np.zeros((n, 3), np.float32)  # note, brightness, energy
        self._target = np.zeros((n, 3), np.float32)
        self._velocity = np.zeros(n, np.float32)
        self._fade = np.ones(n, np.float32)
        self._level = np.zeros((n, p + 1), np.float32)  # of each partial, and of the noise
        self._pan = np.zeros((2, n), np.float32)
        self._offset = np.zeros(n, np.int64)
        self._air = _air(rate)
        self._now = 0
        self._ramp = np.arange(1, tick + 1, dtype=np.float32) / tick
        self._square = self._ramp * self._ramp
        follow = np.exp(-tick / rate / np.array([_GLIDE, _FOLLOW, _FOLLOW]))
        self._follow = np.asarray(1 - follow, np.float32)
        self._rest = np.float32(np.exp(-tick / rate / _REST))

    @property
    def sounding(self) -> int:
        """Number of voices that sound, without stolen ones that fade."""
        return int(np.count_nonzero(self._busy & ~self._stolen))

    @property
    def silent(self) -> bool:
        """Whether no voice sounds, not even one that fades."""
        return not self._busy.any()

    def land(
        self,
        instrument_name: str,
        *,
        machine: bool,
        note: float,
        brightness: float,
        velocity: float,
        level: float = 1.0,
        pan: float,
        offset: int,
    ) -> int | None:
        """Begin a voice at a sample (offset) of the next tick; return its place.

        note is a MIDI note, whole or not; brightness and velocity are 0..1, level is a factor
        of its amplitude, pan is -1 (left) to 1. Return None, and count it as refused, where
        every place is taken: more fingers land at once than stolen voices can fade.
        """
        place = self._free()
        if place is None:
            self.refused += 1
            return None
        kind = INSTRUMENTS.index(instrument_name)
        instrument = ALL[kind]
        count = len(instrument.ratios)
        self._busy[place] = self._held[place] = True
        self._stolen[place] = False
        self._kind[place] = kind
        self._order[place] = self._started = self._started + 1
        self._age[place] = -offset / self.rate
        self._phase[place] = 0.0
        self._ratios[place] = 0.0
        self._ratios[place, :count] = instrument.ratios
        self._colour[place] = instrument.gain
        if machine:  # hollow, like a clarinet: even partials are faint
            even = np.round(self._ratios[place]) % 2 == 0
            self._colour[place][even] *= 0.35
        # Partials that began in phase would make a spike of every landing.
        self._begin[place] = (0.381966 * np.arange(PARTIALS) ** 2) % 1.0
        self._begin[place, 0] = 0.0
        start = (note + instrument.transpose, brightness, 0.0)
        self._current[place] = self._target[place] = start
        self._velocity[place] = velocity
        self._fade[place] = level
        angle = (pan + 1) * np.pi / 4
        self._pan[:, place] = np.cos(angle), np.sin(angle)
        self._offset[place] = self._started * 7919
        places = np.array([place])
        self._hz[place] = self._pitch(places, instrument)[0]
        self._level[place] = 0.0
        self._level[place] = self._levels(places)[0] * level
        return place

    def slide(self, place: int, note: float, brightness: float, energy: float) -> None:
        """Set the note, brightness and energy that a voice moves to."""
        self._target[place] = (note + ALL[self._kind[place]].transpose, brightness, energy)

    def lift(self, place: int) -> None:
        """Release a voice: it fades as its instrument does."""
        self._held[place] = False

    def fade_out(self) -> None:
        """Fade every voice at once."""
        self._held[:] = False
        self._stolen |= self._busy

    def _free(self) -> int | None:
        """Return a place for one more voice; steal the faintest where too many sound."""
        if self.sounding >= SOUNDING:
            here = np.flatnonzero(self._busy & ~self._stolen)
            loudness = np.abs(self._level[here]).sum(1) * self._fade[here]
            order = np.lexsort((self._order[here], loudness, self._held[here]))
            self._stolen[here[order[0]]] = True
            self._held[here[order[0]]] = False
            self.stolen += 1
        free = np.flatnonzero(~self._busy)
        if len(free):
            return int(free[0])
        silent = np.flatnonzero(self._busy & (self._age <= 0) & self._stolen)
        return int(silent[0]) if len(silent) else None

    def render(self) -> tuple[Floats, _Indices]:
        """Return the next tick as (2, tick), left and right, and the places that ended."""
        here = np.flatnonzero(self._busy)
        if not len(here):
            self._now += self.tick
            return np.zeros((2, self.tick), np.float32), here
        self._current[here] += (self._target[here] - self._current[here]) * self._follow
        self._target[here, 2] *= self._rest
        seconds = self.tick / self.rate
        self._age[here] += seconds
        before, hz = self._hz[here], np.empty(len(here))
        for kind in np.unique(self._kind[here]):
            same = self._kind[here] == kind
            hz[same] = self._pitch(here[same], ALL[kind])
        self._hz[here] = hz
        fade, ended = self._fades(here)
        level = self._level[here]
        now = self._levels(here) * fade[:, None]
        now[ended] = 0.0
        self._level[here] = now
        sound = self._waves(here, before, hz, level[:, :-1], now[:, :-1])
        self._add_noise(sound, here, level[:, -1:], now[:, -1:])
        self._attack(sound, here)
        self._now += self.tick
        free = here[ended]
        self._busy[free] = False
        return self._pan[:, here] @ sound, free

    def _pitch(self, places: _Indices, instrument: Instrument) -> _Doubles:
        """Return the fundamentals of voices of one instrument, in Hz."""
        bend = instrument.bend(self._parameters(places))[:, 0]
        notes = self._current[places, 0].astype(np.float64) + bend
        return np.asarray(440.0 * 2.0 ** ((notes - 69.0) / 12.0))

    def _parameters(self, places: _Indices) -> VoiceParameters:
        return VoiceParameters(
            hz=self._hz[places, None].astype(np.float32),
            age=np.maximum(self._age[places, None], 0.0).astype(np.float32),
            brightness=np.clip(self._current[places, 1:2], 0.0, 1.0),
            energy=np.clip(self._current[places, 2:3], 0.0, 1.0),
            velocity=self._velocity[places, None],
        )

    def _levels(self, places: _Indices) -> Floats:
        """Return the amplitude of each partial and, last, of the noise."""
        levels = np.zeros((len(places), PARTIALS + 1), np.float32)
        for kind in np.unique(self._kind[places]):
            same = self._kind[places] == kind
            parameters, instrument = self._parameters(places[same]), ALL[kind]
            count = len(instrument.ratios)
            levels[same, :count] = instrument.spectrum(parameters)
            levels[same, -1:] = instrument.noise(parameters) * np.float32(instrument.gain)
        hz = self._hz[places, None] * self._ratios[places]
        # Partials fade out below half of the sample rate, where they would alias.
        audible = np.clip((0.46 - hz / self.rate) / 0.04, 0.0, 1.0)
        levels[:, :-1] *= self._colour[places] * audible
        return levels

    def _fades(self, here: _Indices) -> tuple[Floats, NDArray[np.bool_]]:
        """Fade lifted voices; return the level that each has left, and which have ended."""
        release = np.array([instrument.release for instrument in ALL])[self._kind[here]]
        release = np.where(self._stolen[here], _STOLEN_FADE, release)
        lifted = ~self._held[here]
        left = self._fade[here]
        left[lifted] *= np.exp(-self.tick / self.rate / release[lifted])
        self._fade[here] = left
        return left, left < _ENDED

    def _waves(
        self, here: _Indices, before: _Doubles, hz: _Doubles, level: Floats, now: Floats
    ) -> Floats:
        """Sum the partials of each voice, (V, tick): frequency and levels go along lines."""
        seconds = self.tick / self.rate
        ratios = self._ratios[here]
        start = (self._phase[here, None] * ratios + self._begin[here]) % 1.0
        cycles = (before * seconds)[:, None] * self._ramp
        cycles += ((hz - before) * seconds / 2)[:, None] * self._square
        self._phase[here] += (before + hz) / 2 * seconds
        turns = ratios[:, :, None] * cycles.astype(np.float32)[:, None, :]
        turns += start.astype(np.float32)[:, :, None]
        turns -= np.floor(turns)
        turns *= np.float32(2 * np.pi)
        waves = np.sin(turns, out=turns)
        both = np.stack([level, now - level], 1) @ waves
        return np.asarray(both[:, 0] + both[:, 1] * self._ramp)

    def _add_noise(self, sound: Floats, here: _Indices, level: Floats, now: Floats) -> None:
        noisy = np.flatnonzero((level[:, 0] > 1e-6) | (now[:, 0] > 1e-6))
        if not len(noisy):
            return
        places = here[noisy]
        kinds = np.array([instrument.air for instrument in ALL])[self._kind[places]]
        at = self._now + self._offset[places, None] + np.arange(self.tick)
        air = self._air[kinds[:, None], at % _NOISE]
        sound[noisy] += air * (level[noisy] + (now[noisy] - level[noisy]) * self._ramp)

    def _attack(self, sound: Floats, here: _Indices) -> None:
        """Shape the attack of new voices, in place, each from its own sample on."""
        attack = np.array([instrument.attack for instrument in ALL])[self._kind[here]]
        new = np.flatnonzero(self._age[here] < attack + self.tick / self.rate)
        if len(new):
            back = np.arange(self.tick - 1, -1, -1) / self.rate
            age = (self._age[here[new], None] - back) / attack[new, None]
            part = np.clip(age, 0.0, 1.0)
            sound[new] *= (part * part * (3.0 - 2.0 * part)).astype(np.float32)
