"""Instruments: the amplitude of each partial of a voice, from tick to tick.

Every voice is a sum of sines, so that nothing aliases, a pitch is exact at any sample rate,
and a timbre is a row of numbers. Each voice has one band of noise besides, for a bow's hair
or a drum's snap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robojam.music import INSTRUMENTS

Floats = NDArray[np.float32]

#: The most partials that a voice has.
PARTIALS = 32
_K = np.arange(1, PARTIALS + 1, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class VoiceParameters:
    """Parameters of some voices of one instrument at an instant; each of shape (V, 1)."""

    hz: Floats  # of the fundamental
    age: Floats  # seconds since it landed, 0 or more
    brightness: Floats  # 0..1, from y and speed
    energy: Floats  # 0..1, from speed
    velocity: Floats  # 0..1, of the landing


@dataclass(frozen=True, slots=True)
class Instrument:
    """Timbre and envelope of one instrument. Times are in seconds."""

    ratios: Floats  # of the partials to the fundamental, shape (P,)
    spectrum: Callable[[VoiceParameters], Floats]  # amplitude of each partial, shape (V, P)
    noise: Callable[[VoiceParameters], Floats]  # amplitude of the noise, shape (V, 1)
    bend: Callable[[VoiceParameters], Floats]  # semitones off its pitch, shape (V, 1)
    gain: float  # so that all instruments are equally loud
    attack: float
    release: float
    transpose: float = 0.0  # semitones
    air: int = 0  # index of its band of noise


def _steady(voices: VoiceParameters) -> Floats:
    return np.zeros_like(voices.hz)


def _level(hz: Floats) -> Floats:
    """Return a level that falls with pitch, because high notes sound louder."""
    return (220.0 / hz) ** np.float32(0.3)


# -- keys: a tine and its tone bar -------------------------------------------------------

# The last two are not harmonic: the noise of the hammer.
_KEYS_RATIOS = np.concatenate([_K[:14], np.array([9.37, 17.61], np.float32)])


def _keys(v: VoiceParameters) -> Floats:
    k = _K[:14]
    slope = 2.9 - 1.7 * v.brightness - 0.5 * v.velocity
    struck = (0.35 + 0.65 * v.velocity) * k**-slope
    struck[:, 1] *= 0.8 + 0.9 * v.brightness[:, 0]
    length = 1.7 * (220.0 / v.hz) ** np.float32(0.5) / (1.0 + 0.55 * (k - 1.0))
    bloom = 0.62 + 0.38 * np.exp(-v.age / np.float32(0.11))
    ringing = struck * bloom * np.exp(-v.age / length)
    # A slide bows the bar: a held tone that lasts as long as the finger moves.
    slid = 0.5 * v.energy * k ** -(slope + 0.4)
    knock = np.array([0.10, 0.035], np.float32) * (0.3 + v.brightness) * v.velocity
    knocks = knock * np.exp(-v.age / np.array([0.09, 0.03], np.float32))
    return np.asarray(np.concatenate([ringing + slid, knocks], 1) * _level(v.hz), np.float32)


# -- strings: a bowed section -------------------------------------------------------------

OWN, OTHERS = 18, 14
_DETUNE = np.where(np.arange(OTHERS) % 2, 4.2, -3.4) + np.linspace(0.0, 1.3, OTHERS)
_STRING_RATIOS = np.concatenate(
    [_K[:OWN], _K[:OTHERS] * 2.0 ** (_DETUNE / 1200.0)], dtype=np.float32
)
#: Resonances of the body: frequency in Hz, width in octaves, gain.
BODY = ((290.0, 0.5, 0.5), (480.0, 0.45, 0.7), (1150.0, 0.6, 0.5), (2700.0, 0.7, 0.9))


def _body(hz: Floats) -> Floats:
    gains = np.full_like(hz, 0.75)
    octave = np.log2(hz)
    for centre, width, gain in BODY:
        gains += gain * np.exp(-(((octave - np.float32(np.log2(centre))) / width) ** 2))
    return gains


def _strings(v: VoiceParameters) -> Floats:
    slope = 2.3 - 0.95 * v.brightness - 0.25 * v.energy
    bowed = (0.50 + 0.5 * v.energy) * (0.75 + 0.25 * np.exp(-v.age / 0.3))
    own = bowed * _K[:OWN] ** -slope * _body(v.hz * _K[:OWN])
    # The other players of the section: each partial beats at a rate of its own.
    swell = 1.0 - np.exp(-v.age / np.float32(0.15))
    both = np.concatenate([own, 0.4 * swell * own[:, :OTHERS]], 1)
    return np.asarray(both * _level(v.hz), np.float32)


def _bow(v: VoiceParameters) -> Floats:
    scrape = 0.010 + 0.035 * v.energy * (0.4 + v.brightness) + 0.05 * np.exp(-v.age / 0.03)
    return np.asarray(0.5 * scrape, np.float32)


# -- chirp: a small bird ------------------------------------------------------------------


def _chirp(v: VoiceParameters) -> Floats:
    k = _K[:5]
    slope = 4.1 - 3.0 * v.brightness
    flutter = 1.0 - 0.55 * v.energy * (0.5 - 0.5 * np.cos(2 * np.pi * 17.0 * v.age))
    song = (0.38 + 0.35 * np.exp(-v.age / 0.12) + 0.5 * v.energy) * flutter
    return np.asarray(song * k**-slope * _level(v.hz), np.float32)


def _sweep(v: VoiceParameters) -> Floats:
    up = (-2.0 - 7.0 * v.velocity) * np.exp(-v.age / np.float32(0.022))
    trill = 0.45 * v.energy * np.sin(2 * np.pi * 17.0 * v.age)
    return np.asarray(up + trill, np.float32)


# -- drums: a skin with a rattle -------------------------------------------------------------

#: The modes of a round membrane (Rossing 2000, Science of Percussion Instruments).
_MODES = np.array(
    "1 1.594 2.136 2.296 2.653 2.918 3.156 3.501 3.6 3.652 4.06 4.154".split(), np.float32
)


def _drums(v: VoiceParameters) -> Floats:
    order = np.arange(len(_MODES), dtype=np.float32)
    slope = np.exp(-order * (0.75 - 0.6 * v.brightness))
    length = 0.34 * (110.0 / v.hz) ** np.float32(0.4) / (1.0 + 0.5 * order)
    struck = (0.3 + 0.7 * v.velocity) * np.exp(-v.age / length)
    rolled = 0.3 * v.energy * _roll(v.age)
    return np.asarray((struck + rolled) * slope * _level(v.hz), np.float32)


def _roll(age: Floats) -> Floats:
    """Return the envelope of a roll, 16 strokes a second, between 0 and 1."""
    return np.asarray((0.5 + 0.5 * np.cos(2 * np.pi * 16.0 * age)) ** 3, np.float32)


def _drop(v: VoiceParameters) -> Floats:
    return np.asarray(5.0 * v.velocity * np.exp(-v.age / np.float32(0.018)), np.float32)


def _snap(v: VoiceParameters) -> Floats:
    length = 0.02 + 0.09 * v.brightness
    once = (0.15 + 0.85 * v.brightness) * v.velocity * np.exp(-v.age / length)
    brushed = 0.25 * v.energy * (0.3 + v.brightness) * (0.35 + 0.65 * _roll(v.age))
    return np.asarray(0.7 * (once + brushed), np.float32)


def _knock(v: VoiceParameters) -> Floats:
    return np.asarray(0.02 * v.velocity * np.exp(-v.age / np.float32(0.006)), np.float32)


_BY_NAME = {
    "keys": Instrument(_KEYS_RATIOS, _keys, _knock, _steady,
                       gain=0.33, attack=0.002, release=0.028),
    "strings": Instrument(_STRING_RATIOS, _strings, _bow, _steady,
                          gain=0.29, attack=0.014, release=0.030, air=1),
    "chirp": Instrument(_K[:5], _chirp, _steady, _sweep,
                        gain=0.41, attack=0.004, release=0.024, transpose=12.0),
    "drums": Instrument(_MODES, _drums, _snap, _drop,
                        gain=0.40, attack=0.001, release=0.030, transpose=-12.0, air=1),
}  # fmt: skip
#: The instruments, in the order of INSTRUMENTS.
ALL = tuple(_BY_NAME[name] for name in INSTRUMENTS)
