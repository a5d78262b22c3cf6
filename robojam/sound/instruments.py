"""The instruments: how loud each partial of a voice is, from moment to moment.

Every voice is a sum of sines, so that nothing can alias, a pitch is exact at any
sample rate, and a timbre is a row of numbers. What only noise can say (a bow's hair, a
skin's snap) comes from one band of noise a voice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robojam.music import INSTRUMENTS

Floats = NDArray[np.float32]

#: Partials of a voice, at most.
PARTIALS = 32
_K = np.arange(1, PARTIALS + 1, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Moment:
    """How some voices of one instrument are played at an instant; each of shape (V, 1)."""

    hz: Floats  # of the fundamental
    age: Floats  # seconds since it landed, 0 or more
    bright: Floats  # 0..1, from y and speed
    energy: Floats  # 0..1, from speed
    struck: Floats  # 0..1, how hard it landed


@dataclass(frozen=True, slots=True)
class Instrument:
    """One way to sound. Times are in seconds."""

    ratios: Floats  # of the partials to the fundamental, shape (P,)
    spectrum: Callable[[Moment], Floats]  # amplitude of each partial, shape (V, P)
    noise: Callable[[Moment], Floats]  # amplitude of the noise, shape (V, 1)
    bend: Callable[[Moment], Floats]  # semitones off its pitch, shape (V, 1)
    gain: float  # makes all instruments equally loud
    attack: float
    release: float
    transpose: float = 0.0  # semitones
    air: int = 0  # which band of noise


def _steady(moment: Moment) -> Floats:
    return np.zeros_like(moment.hz)


def _level(hz: Floats) -> Floats:
    """Less for high notes, which are heard as louder."""
    return (220.0 / hz) ** np.float32(0.3)


# -- keys: a tine and its tone bar -------------------------------------------------------

_TINES = np.array([9.37, 17.61], np.float32)  # not harmonic: the knock of the hammer
_KEYS_RATIOS = np.concatenate([_K[:14], _TINES])


def _keys(m: Moment) -> Floats:
    k = _K[:14]
    slope = 2.9 - 1.7 * m.bright - 0.5 * m.struck
    struck = (0.35 + 0.65 * m.struck) * k**-slope
    struck[:, 1] *= 0.8 + 0.9 * m.bright[:, 0]
    length = 1.7 * (220.0 / m.hz) ** np.float32(0.5) / (1.0 + 0.55 * (k - 1.0))
    bloom = 0.62 + 0.38 * np.exp(-m.age / np.float32(0.11))
    ringing = struck * bloom * np.exp(-m.age / length)
    # A slide bows the bar: a held tone that lasts as long as the finger moves.
    slid = 0.5 * m.energy * k ** -(slope + 0.4)
    knock = np.array([0.10, 0.035], np.float32) * (0.3 + m.bright) * m.struck
    knocks = knock * np.exp(-m.age / np.array([0.09, 0.03], np.float32))
    return np.asarray(np.concatenate([ringing + slid, knocks], 1) * _level(m.hz), np.float32)


# -- strings: a bowed section -------------------------------------------------------------

_OWN, _OTHERS = 18, 14
_DETUNE = np.where(np.arange(_OTHERS) % 2, 4.2, -3.4) + np.linspace(0.0, 1.3, _OTHERS)
_STRING_RATIOS = np.concatenate(
    [_K[:_OWN], _K[:_OTHERS] * 2.0 ** (_DETUNE / 1200.0)], dtype=np.float32
)
#: The body's resonances: where, how wide in octaves, how much.
_BODY = ((290.0, 0.5, 0.5), (480.0, 0.45, 0.7), (1150.0, 0.6, 0.5), (2700.0, 0.7, 0.9))


def _body(hz: Floats) -> Floats:
    said = np.full_like(hz, 0.75)
    octave = np.log2(hz)
    for at, wide, much in _BODY:
        said += much * np.exp(-(((octave - np.float32(np.log2(at))) / wide) ** 2))
    return said


def _strings(m: Moment) -> Floats:
    slope = 2.3 - 0.95 * m.bright - 0.25 * m.energy
    bowed = (0.50 + 0.5 * m.energy) * (0.75 + 0.25 * np.exp(-m.age / 0.3))
    own = bowed * _K[:_OWN] ** -slope * _body(m.hz * _K[:_OWN])
    # The other players of the section: each partial beats at a rate of its own.
    swell = 1.0 - np.exp(-m.age / np.float32(0.15))
    return np.asarray(
        np.concatenate([own, 0.4 * swell * own[:, :_OTHERS]], 1) * _level(m.hz), np.float32
    )


def _bow(m: Moment) -> Floats:
    scrape = 0.010 + 0.035 * m.energy * (0.4 + m.bright) + 0.05 * np.exp(-m.age / 0.03)
    return np.asarray(0.5 * scrape, np.float32)


# -- chirp: a small bird ------------------------------------------------------------------

_CHIRP_RATIOS = _K[:5]


def _chirp(m: Moment) -> Floats:
    k = _K[:5]
    slope = 4.1 - 3.0 * m.bright
    flutter = 1.0 - 0.55 * m.energy * (0.5 - 0.5 * np.cos(2 * np.pi * 17.0 * m.age))
    song = (0.38 + 0.35 * np.exp(-m.age / 0.12) + 0.5 * m.energy) * flutter
    return np.asarray(song * k**-slope * _level(m.hz), np.float32)


def _sweep(m: Moment) -> Floats:
    up = (-2.0 - 7.0 * m.struck) * np.exp(-m.age / np.float32(0.022))
    trill = 0.45 * m.energy * np.sin(2 * np.pi * 17.0 * m.age)
    return np.asarray(up + trill, np.float32)


# -- drums: a skin with a rattle -------------------------------------------------------------

#: The modes of a round membrane (Rossing 2000, Science of Percussion Instruments).
_MODES = np.array(
    "1 1.594 2.136 2.296 2.653 2.918 3.156 3.501 3.6 3.652 4.06 4.154".split(), np.float32
)


def _drums(m: Moment) -> Floats:
    order = np.arange(len(_MODES), dtype=np.float32)
    slope = np.exp(-order * (0.75 - 0.6 * m.bright))
    length = 0.34 * (110.0 / m.hz) ** np.float32(0.4) / (1.0 + 0.5 * order)
    struck = (0.3 + 0.7 * m.struck) * np.exp(-m.age / length)
    rolled = 0.3 * m.energy * _roll(m.age)
    return np.asarray((struck + rolled) * slope * _level(m.hz), np.float32)


def _roll(age: Floats) -> Floats:
    """The strokes of a roll, 16 a second, between 0 and 1."""
    return np.asarray((0.5 + 0.5 * np.cos(2 * np.pi * 16.0 * age)) ** 3, np.float32)


def _drop(m: Moment) -> Floats:
    return np.asarray(5.0 * m.struck * np.exp(-m.age / np.float32(0.018)), np.float32)


def _snap(m: Moment) -> Floats:
    once = (0.15 + 0.85 * m.bright) * m.struck * np.exp(-m.age / (0.02 + 0.09 * m.bright))
    brushed = 0.25 * m.energy * (0.3 + m.bright) * (0.35 + 0.65 * _roll(m.age))
    return np.asarray(0.7 * (once + brushed), np.float32)


def _knock(m: Moment) -> Floats:
    return np.asarray(0.02 * m.struck * np.exp(-m.age / np.float32(0.006)), np.float32)


_ALL = {
    "keys": Instrument(
        _KEYS_RATIOS, _keys, _knock, _steady, gain=0.33, attack=0.002, release=0.028
    ),
    "strings": Instrument(
        _STRING_RATIOS, _strings, _bow, _steady, gain=0.29, attack=0.014, release=0.030, air=1
    ),
    "chirp": Instrument(
        _CHIRP_RATIOS,
        _chirp,
        _steady,
        _sweep,
        gain=0.41,
        attack=0.004,
        release=0.024,
        transpose=12.0,
    ),
    "drums": Instrument(
        _MODES,
        _drums,
        _snap,
        _drop,
        gain=0.40,
        attack=0.001,
        release=0.030,
        transpose=-12.0,
        air=1,
    ),
}
#: By their place in INSTRUMENTS.
ALL = tuple(_ALL[name] for name in INSTRUMENTS)
