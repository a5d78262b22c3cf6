"""The voices of the synthesiser: a pool of them, rendered together, a tick at a time.

All voices that sound are rows of the same arrays, so that thirty cost little more than
one. Whatever changes, changes along a line from one tick's end to the next: no step can
come of it, not of a stolen voice either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robojam.music import INSTRUMENTS
from robojam.sound.instruments import ALL, PARTIALS, Floats, Instrument, Moment

#: So many voices sound at once; another one takes the place of the faintest.
SOUNDING = 24
#: Places, with those for voices that fade because theirs was taken.
_PLACES = 48
#: How fast a taken voice fades, in seconds, and at what share of itself it is gone.
_TAKEN, _GONE = 0.003, 1e-4
#: How fast pitch, brightness and the finger's speed are followed, in seconds; how fast
#: the speed of a finger that has stopped is forgotten.
_GLIDE, _FOLLOW, _REST = 0.010, 0.020, 0.130
#: Samples of noise that are made, and go round.
_NOISE = 1 << 16


@dataclass(frozen=True, slots=True)
class Landing:
    """A finger that lands: how a new voice begins."""

    instrument: str
    machine: bool
    note: float  # as a MIDI note
    bright: float  # 0..1
    struck: float  # 0..1
    pan: float  # -1 left .. 1 right


def _air(rate: float) -> Floats:
    """Make two bands of noise, soft and bright, each of RMS 1 and without end."""
    chance = np.random.default_rng(1)
    hz = np.fft.rfftfreq(_NOISE, 1 / rate)
    bands = []
    for low, high in ((150.0, 2200.0), (700.0, 7000.0)):
        shape = 1 / (1 + (low / np.maximum(hz, 1)) ** 4) / (1 + (hz / high) ** 4)
        spectrum = shape * np.exp(2j * np.pi * chance.random(len(hz)))
        spectrum[0] = spectrum[-1] = 0
        band = np.fft.irfft(spectrum, _NOISE)
        bands.append(band / np.sqrt(np.mean(band**2)))
    return np.asarray(bands, np.float32)


class Polyphony:
    """Every voice that sounds, at a sample rate in Hz, rendered in ticks of some samples."""

    def __init__(self, rate: float, tick: int) -> None:
        self.rate, self.tick = rate, tick
        self.stolen = self.refused = 0
        self._made = 0
        n, p = _PLACES, PARTIALS
        self._busy = np.zeros(n, bool)
        self._held = np.zeros(n, bool)  # a finger is on it
        self._taken = np.zeros(n, bool)  # its place was taken: it fades at once
        self._kind = np.zeros(n, np.intp)
        self._order = np.zeros(n, np.int64)
        self._age = np.zeros(n)
        self._phase = np.zeros(n)
        self._ratios = np.zeros((n, p), np.float32)
        self._colour = np.zeros((n, p), np.float32)
        self._begin = np.zeros((n, p))
        self._hz = np.zeros(n)
        self._at = np.zeros((n, 3), np.float32)  # note, brightness, energy
        self._to = np.zeros((n, 3), np.float32)
        self._struck = np.zeros(n, np.float32)
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
        """How many sound, those that fade for another not counted."""
        return int(np.count_nonzero(self._busy & ~self._taken))

    @property
    def silent(self) -> bool:
        """Whether there is none, not even one that fades."""
        return not self._busy.any()

    # -- fingers -------------------------------------------------------------------------

    def land(self, how: Landing, offset: int) -> int | None:
        """Begin a voice at a sample of the next tick; return its place.

        None where there is none: so many land at once that not even a fading voice can
        give its own. They are counted.
        """
        place = self._free()
        if place is None:
            self.refused += 1
            return None
        kind = INSTRUMENTS.index(how.instrument)
        instrument = ALL[kind]
        count = len(instrument.ratios)
        self._busy[place] = self._held[place] = True
        self._taken[place] = False
        self._kind[place] = kind
        self._made += 1
        self._order[place] = self._made
        self._age[place] = -offset / self.rate
        self._phase[place] = 0.0
        self._ratios[place] = 0.0
        self._ratios[place, :count] = instrument.ratios
        self._colour[place] = instrument.gain
        if how.machine:  # hollow, as a clarinet beside a violin: even partials are faint
            even = np.round(self._ratios[place]) % 2 == 0
            self._colour[place][even] *= 0.35
        # Waves that all begin at once would make a spike of every landing.
        self._begin[place] = (0.381966 * np.arange(PARTIALS) ** 2) % 1.0
        self._begin[place, 0] = 0.0
        at = (how.note + instrument.transpose, how.bright, 0.0)
        self._at[place] = self._to[place] = at
        self._struck[place] = how.struck
        self._fade[place] = 1.0
        angle = (how.pan + 1) * np.pi / 4
        self._pan[:, place] = np.cos(angle), np.sin(angle)
        self._offset[place] = self._made * 7919
        one = np.array([place])
        self._hz[place] = self._pitch(one, instrument)[0]
        self._level[place] = 0.0
        self._level[place] = self._levels(one)[0]
        return place

    def slide(self, place: int, note: float, bright: float, energy: float) -> None:
        """Let a voice follow its finger."""
        self._to[place] = (note + ALL[self._kind[place]].transpose, bright, energy)

    def lift(self, place: int) -> None:
        """Let a voice end in its own time."""
        self._held[place] = False

    def hush(self) -> None:
        """Let every voice fade at once."""
        self._held[:] = False
        self._taken |= self._busy

    def _free(self) -> int | None:
        """Find a place for one more voice, taking the faintest one's if need be."""
        if self.sounding >= SOUNDING:
            here = np.flatnonzero(self._busy & ~self._taken)
            loud = np.abs(self._level[here]).sum(1) * self._fade[here]
            order = np.lexsort((self._order[here], loud, self._held[here]))
            self._taken[here[order[0]]] = True
            self._held[here[order[0]]] = False
            self.stolen += 1
        free = np.flatnonzero(~self._busy)
        if len(free):
            return int(free[0])
        unheard = np.flatnonzero(self._busy & (self._age <= 0) & self._taken)
        return int(unheard[0]) if len(unheard) else None

    # -- a tick ----------------------------------------------------------------------------

    def render(self) -> tuple[Floats, NDArray[np.intp]]:
        """Return the next tick as (2, tick), left and right, and the places that ended."""
        here = np.flatnonzero(self._busy)
        if not len(here):
            self._now += self.tick
            return np.zeros((2, self.tick), np.float32), here
        self._at[here] += (self._to[here] - self._at[here]) * self._follow
        self._to[here, 2] *= self._rest
        seconds = self.tick / self.rate
        self._age[here] += seconds
        before, hz = self._hz[here], np.empty(len(here))
        for kind in np.unique(self._kind[here]):
            mine = self._kind[here] == kind
            hz[mine] = self._pitch(here[mine], ALL[kind])
        self._hz[here] = hz
        fade, ended = self._fades(here)
        level = self._level[here]
        now = self._levels(here) * fade[:, None]
        now[ended] = 0.0
        self._level[here] = now
        sound = self._waves(here, before, hz, level[:, :-1], now[:, :-1])
        self._blow(sound, here, level[:, -1:], now[:, -1:])
        self._open(sound, here)
        self._now += self.tick
        gone = here[ended]
        self._busy[gone] = False
        return self._pan[:, here] @ sound, gone

    def _pitch(self, places: NDArray[np.intp], instrument: Instrument) -> NDArray[np.float64]:
        """Return the fundamentals of voices of one instrument, in Hz."""
        bend = instrument.bend(self._moment(places))[:, 0]
        notes = self._at[places, 0].astype(np.float64) + bend
        return np.asarray(440.0 * 2.0 ** ((notes - 69.0) / 12.0))

    def _moment(self, places: NDArray[np.intp]) -> Moment:
        return Moment(
            hz=self._hz[places, None].astype(np.float32),
            age=np.maximum(self._age[places, None], 0.0).astype(np.float32),
            bright=np.clip(self._at[places, 1:2], 0.0, 1.0),
            energy=np.clip(self._at[places, 2:3], 0.0, 1.0),
            struck=self._struck[places, None],
        )

    def _levels(self, places: NDArray[np.intp]) -> Floats:
        """Return the amplitude of each partial and, last, of the noise."""
        levels = np.zeros((len(places), PARTIALS + 1), np.float32)
        for kind in np.unique(self._kind[places]):
            mine = self._kind[places] == kind
            moment, instrument = self._moment(places[mine]), ALL[kind]
            count = len(instrument.ratios)
            levels[mine, :count] = instrument.spectrum(moment)
            levels[mine, -1:] = instrument.noise(moment) * np.float32(instrument.gain)
        hz = self._hz[places, None] * self._ratios[places]
        # What is too high to be a sample's fades out before it would come back as another.
        heard = np.clip((0.46 - hz / self.rate) / 0.04, 0.0, 1.0)
        levels[:, :-1] *= self._colour[places] * heard
        return levels

    def _fades(self, here: NDArray[np.intp]) -> tuple[Floats, NDArray[np.bool_]]:
        """Let lifted voices fade; return how much is left of each, and which have ended."""
        release = np.array([instrument.release for instrument in ALL])[self._kind[here]]
        release = np.where(self._taken[here], _TAKEN, release)
        going = ~self._held[here]
        left = self._fade[here]
        left[going] *= np.exp(-self.tick / self.rate / release[going])
        self._fade[here] = left
        return left, left < _GONE

    def _waves(
        self,
        here: NDArray[np.intp],
        before: NDArray[np.float64],
        hz: NDArray[np.float64],
        level: Floats,
        now: Floats,
    ) -> Floats:
        """Sum the partials of each voice, (V, tick): frequency and levels go along lines."""
        seconds = self.tick / self.rate
        ratios = self._ratios[here]
        start = (self._phase[here, None] * ratios + self._begin[here]) % 1.0
        gone = (before * seconds)[:, None] * self._ramp
        gone += ((hz - before) * seconds / 2)[:, None] * self._square
        self._phase[here] += (before + hz) / 2 * seconds
        turns = ratios[:, :, None] * gone.astype(np.float32)[:, None, :]
        turns += start.astype(np.float32)[:, :, None]
        turns -= np.floor(turns)
        turns *= np.float32(2 * np.pi)
        waves = np.sin(turns, out=turns)
        both = np.stack([level, now - level], 1) @ waves
        return np.asarray(both[:, 0] + both[:, 1] * self._ramp)

    def _blow(self, sound: Floats, here: NDArray[np.intp], level: Floats, now: Floats) -> None:
        """Add the noise of the voices that have any."""
        airy = np.flatnonzero((level[:, 0] > 1e-6) | (now[:, 0] > 1e-6))
        if not len(airy):
            return
        places = here[airy]
        which = np.array([instrument.air for instrument in ALL])[self._kind[places]]
        at = self._now + self._offset[places, None] + np.arange(self.tick)
        air = self._air[which[:, None], at % _NOISE]
        sound[airy] += air * (level[airy] + (now[airy] - level[airy]) * self._ramp)

    def _open(self, sound: Floats, here: NDArray[np.intp]) -> None:
        """Let new voices begin, each at its own sample, along a smooth attack."""
        attack = np.array([instrument.attack for instrument in ALL])[self._kind[here]]
        new = np.flatnonzero(self._age[here] < attack + self.tick / self.rate)
        if len(new):
            back = np.arange(self.tick - 1, -1, -1) / self.rate
            age = (self._age[here[new], None] - back) / attack[new, None]
            risen = np.clip(age, 0.0, 1.0)
            sound[new] *= (risen * risen * (3.0 - 2.0 * risen)).astype(np.float32)
