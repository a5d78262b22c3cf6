"""Tables with which the pad page sounds like robojam: scales and timbres. Pure.

The page plays each instrument with a few oscillators, one for each group of partials that fade
together. The tables are sampled from the instruments themselves, so that a change of those
reaches the page.
"""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robojam.music import INSTRUMENTS, SCALES, SOUND_KEY, key_semitone
from robojam.sound.instruments import ALL, Floats, Instrument, VoiceParameters
from robojam.sound.synth import (
    FAST,
    FAST_LANDING,
    PAN,
    SOFTEST,
    WIDTH,
    brightness,
    landing_velocity,
)
from robojam.sound.voices import AIR

#: Grid on which the tables are sampled: notes, brightness (0..1), seconds since the landing.
NOTES = (24, 48, 72, 96)
BRIGHTNESS = (0.0, 0.5, 1.0)
AGES = (0.0, 0.01, 0.05, 0.15, 0.4, 1.0, 2.5, 6.0)
#: Ages over which what a slide adds is averaged: a roll or a flutter goes up and down.
_ROLLED = tuple(float(age) for age in np.linspace(1.0, 2.0, 97))
#: Seconds of the bend of a landing, and the number of its samples.
BEND_SECONDS, _BEND_STEPS = 0.2, 21
#: Groups of harmonic partials: the highest of each.
_BANDS = (2, 6, 99)
#: Cents: partials that are no further from a harmonic are of a string that is out of tune.
_DETUNED = 12.0


@cache
def sound_tables() -> bytes:
    """Return the tables of all instruments, and of how touch becomes sound, as JSON."""
    base, energy = brightness(1.0, 0.0), brightness(1.0, 1.0) - brightness(1.0, 0.0)
    tables = {
        "scales": SCALES,
        "key": key_semitone(SOUND_KEY),
        "notes": NOTES,
        "brightness": BRIGHTNESS,
        "ages": AGES,
        "bendSeconds": BEND_SECONDS,
        "touch": {
            "base": base, "height": brightness(0.0, 0.0) - base, "energy": energy,
            "fast": FAST, "fastLanding": FAST_LANDING, "softest": SOFTEST,
            "pan": PAN, "width": WIDTH, "velocity": landing_velocity(0.5),
        },
        "air": [
            {"frequency": math.sqrt(low * high), "Q": math.sqrt(low * high) / (high - low)}
            for low, high in AIR
        ],
        "instruments": {
            name: _tables_of(instrument)
            for name, instrument in zip(INSTRUMENTS, ALL, strict=True)
        },
    }  # fmt: skip
    return json.dumps(_rounded(tables), separators=(",", ":")).encode()


def _rounded(value: Any) -> Any:
    """Return JSON values with numbers of four significant digits."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if abs(value) > 1e-5 else 0
    return value


def _sample(
    note: float, bright: float, ages: tuple[float, ...], energy: float
) -> VoiceParameters:
    """Return the parameters of a voice at ages, as if each were a voice: shape (ages, 1)."""
    column = np.ones((len(ages), 1), np.float32)
    hz = 440.0 * 2.0 ** ((note - 69.0) / 12.0)
    return VoiceParameters(
        hz=np.asarray(column * hz, np.float32),
        age=np.asarray(ages, np.float32)[:, None],
        brightness=np.asarray(column * bright, np.float32),
        energy=np.asarray(column * energy, np.float32),
        velocity=np.asarray(column * landing_velocity(0.5), np.float32),
    )


def _groups(ratios: Floats) -> list[tuple[float, NDArray[np.intp], NDArray[np.intp]]]:
    """Return groups of partials: the ratio of each group, its partials, and their harmonics.

    Harmonic partials are grouped by bands, partials that are a little off by their sign, and
    each other partial is alone.
    """
    harmonic = np.maximum(np.round(ratios), 1).astype(np.intp)
    cents = 1200 * np.log2(ratios / harmonic)
    groups = []
    exact, low = np.abs(cents) < 0.5, 0
    for high in _BANDS:
        groups.append((1.0, np.flatnonzero(exact & (harmonic > low) & (harmonic <= high))))
        low = high
    for sign in (1, -1):
        off = np.flatnonzero(~exact & (np.abs(cents) < _DETUNED) & (np.sign(cents) == sign))
        groups.append((2.0 ** (float(np.mean(cents[off])) / 1200) if len(off) else 1.0, off))
    found = [(ratio, index, harmonic[index]) for ratio, index in groups if len(index)]
    alone = np.flatnonzero(np.abs(cents) >= _DETUNED)
    one = np.ones(1, np.intp)
    return found + [(float(ratios[index]), np.array([index]), one) for index in alone]


def _tables_of(instrument: Instrument) -> dict[str, Any]:
    middle = instrument.spectrum(_sample(57.0, 0.5, (0.05,), 0.0))[0]
    bend = 100 * instrument.bend(
        _sample(57.0, 0.5, tuple(np.linspace(0, BEND_SECONDS, _BEND_STEPS)), 0.0)
    )
    groups = []
    for ratio, index, harmonics in _groups(instrument.ratios):
        reference = float(np.sum(middle[index])) or 1.0

        groups.append(
            {
                "ratio": ratio,
                "partials": [
                    [int(k), float(middle[i]) / reference]
                    for i, k in zip(index, harmonics, strict=True)
                ],
                "struck": [
                    [_struck(instrument, index, note, bright) for bright in BRIGHTNESS]
                    for note in NOTES
                ],
                "slid": [
                    [_slid(instrument, index, note, bright) for bright in BRIGHTNESS]
                    for note in NOTES
                ],
            }
        )
    return {
        "transpose": instrument.transpose,
        "attack": instrument.attack,
        "release": instrument.release,
        "air": instrument.air,
        "bend": [float(v) for v in bend[:, 0]] if bend.any() else None,
        "groups": groups,
        "noise": _noise_of(instrument),
    }


def _struck(
    instrument: Instrument, index: NDArray[np.intp], note: float, bright: float
) -> list[float]:
    """Return the level of a group of partials at each of AGES, after a landing."""
    spectrum = instrument.spectrum(_sample(note, bright, AGES, 0.0))
    return [float(level) * instrument.gain for level in spectrum[:, index].sum(1)]


def _slid(instrument: Instrument, index: NDArray[np.intp], note: float, bright: float) -> float:
    """Return the level that a slide of full energy adds to a group of partials."""
    still, moving = (
        instrument.spectrum(_sample(note, bright, _ROLLED, energy))[:, index]
        for energy in (0.0, 1.0)
    )
    return max(0.0, float((moving - still).sum(1).mean())) * instrument.gain


def _noise_of(instrument: Instrument) -> dict[str, Any]:
    """Return the levels of an instrument's band of noise."""
    gain = instrument.gain
    struck = [
        [float(v) * gain for v in instrument.noise(_sample(57, b, AGES, 0.0))[:, 0]]
        for b in BRIGHTNESS
    ]
    slid = [
        float(instrument.noise(_sample(57, b, _ROLLED, 1.0)).mean()) * gain for b in BRIGHTNESS
    ]
    return {"struck": struck, "slid": slid}
