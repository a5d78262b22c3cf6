"""A recorded jam as a sound file: the synthesiser of the engine, without waiting.

The same events at the same samples make the same sound as they did live.
"""

from __future__ import annotations

import wave
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from robojam.jam.events import ControlChanged, Event, Settings, TouchPlayed
from robojam.sessions.playback import named, settings_of
from robojam.sessions.session import Session, SetEvent, TouchEvent
from robojam.sound.instruments import Floats
from robojam.sound.synth import RATE, Synth
from robojam.touch import Phase, Touch, is_machine

#: What sounds when a recording ends may ring on for so many seconds.
_TAIL = 3.0
#: Below this a sample of 16 bits is nothing.
_NOTHING = 2.0**-16


def events(session: Session, who: Collection[str] | None = None) -> Iterator[Event]:
    """Yield what a recording makes sound, in order; who, the players heard (all, if None).

    What was down when the recording ended is lifted then. Raises ValueError for a
    control that cannot be.
    """
    settings = settings_of(session)
    down: dict[tuple[str, int], Touch] = {}
    for event in session.events:
        if isinstance(event, TouchEvent):
            touch = event.touch
            if who is not None and not named(touch.who, who):
                continue
            if touch.phase is Phase.UP:
                down.pop((touch.who, touch.id), None)
            else:
                down[touch.who, touch.id] = touch
            stretched = is_machine(touch.who) and touch.phase is not Phase.UP
            dt = touch.dt * (settings.timescale if stretched else 1.0)
            yield TouchPlayed(event.t, touch, dt)
        elif isinstance(event, SetEvent):
            for name, value in event.values.items():
                if name == "timescale":
                    settings.timescale = value
                yield ControlChanged(event.t, name, value)
    for touch in down.values():
        up = Touch(touch.x, touch.y, 0.0, Phase.UP, touch.id, touch.who)
        yield TouchPlayed(session.duration, up, 0.0)


def render(
    session: Session, *, rate: int = RATE, who: Collection[str] | None = None
) -> Iterator[Floats]:
    """Yield the sound of a recording, float32 of shape (frames, 2), some at a time.

    rate is in Hz. It ends when the last sound has faded. Raises ValueError for a control
    that cannot be.
    """
    settings: Settings = settings_of(session)
    synth = Synth(
        rate,
        instrument=settings.instrument,
        scale=settings.scale,
        volume=settings.volume,
    )
    for what in events(session, who):
        synth.handle(what, round(what.t * rate))
    end, last = session.duration * rate, (session.duration + _TAIL) * rate
    while synth.at < last:
        made = synth.render()
        yield made
        if synth.at > end and float(np.abs(made).max()) < _NOTHING:
            return


def write_wav(session: Session, path: Path, *, rate: int = RATE) -> float:
    """Write the sound of a recording as a WAV file, 16 bits, stereo; return its seconds.

    Raises ValueError for a recording with a control that cannot be, OSError for a file
    that cannot be written.
    """
    settings_of(session)  # before there is a file
    frames = 0
    chance = np.random.default_rng(0)
    with path.open("wb") as file, wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(rate)
        for made in render(session, rate=rate):
            out.writeframesraw(_in_16_bits(made, chance).tobytes())
            frames += len(made)
    return frames / rate


def _in_16_bits(made: Floats, chance: np.random.Generator) -> np.ndarray[Any, Any]:
    """Round samples; where there is sound, with noise of a bit, lest a fade turn to gravel."""
    scaled = made * np.float32(32767.0)
    if made.any():
        scaled += chance.random(made.shape, np.float32) - chance.random(made.shape, np.float32)
    rounded: np.ndarray[Any, Any] = np.clip(np.rint(scaled), -32768, 32767).astype("<i2")
    return rounded
