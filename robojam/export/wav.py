"""Export of a recorded jam as a WAV file, by the engine's synthesiser run offline.

The same events at the same samples make the same sound as they did live.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from robojam.jam.events import ControlChanged, Event, TouchPlayed
from robojam.sessions import strokes
from robojam.sessions.playback import settings_of
from robojam.sessions.session import Session, SetEvent, TouchEvent
from robojam.sound.instruments import Floats
from robojam.sound.synth import RATE, Synth
from robojam.touch import Phase, is_machine

#: Seconds for which sounds may ring on after the end of a recording.
TAIL = 3.0
#: Most bytes of sound in a file, whose header counts them in 32 bits; a frame has four.
_MOST_BYTES, _FRAME = 2**32 - 1 - 36, 4
#: Amplitude below which a sample of 16 bits is 0.
SILENCE = 2.0**-16


def events(session: Session) -> Iterator[Event]:
    """Yield the events of a recording that the synthesiser handles, in order.

    Fingers that are down when the recording ends are lifted then. Raises ValueError for a
    control of the recording that is not allowed.
    """
    timescale = settings_of(session).timescale
    for event in strokes.walk(session):
        if isinstance(event, TouchEvent):
            touch = event.touch
            stretched = is_machine(touch.who) and touch.phase is not Phase.UP
            yield TouchPlayed(event.t, touch, touch.dt * (timescale if stretched else 1.0))
        elif isinstance(event, SetEvent):
            timescale = event.values.get("timescale", timescale)
            for name, value in event.values.items():
                yield ControlChanged(event.t, name, value)


def render(session: Session, *, rate: int = RATE) -> Iterator[Floats]:
    """Yield the sound of a recording in blocks, float32 of shape [frames, 2].

    rate is in Hz. It ends when the last sound has faded. Raises ValueError for a control
    of the recording that is not allowed.
    """
    synth = Synth(rate, settings_of(session))
    for event in events(session):
        synth.handle(event, round(event.t * rate))
    end, last = session.duration * rate, (session.duration + TAIL) * rate
    while synth.at < last:
        block = synth.render()
        yield block
        if synth.at > end and float(np.abs(block).max()) < SILENCE:
            return


def write_wav(session: Session, path: Path, *, rate: int = RATE) -> float:
    """Write the sound of a recording as a WAV file, 16 bits, stereo; return its seconds.

    Raises ValueError for a control of the recording that is not allowed and for a recording
    that is too long, and OSError for a file that cannot be written.
    """
    settings_of(session)  # raises before there is a file
    longest = _MOST_BYTES / (_FRAME * rate) - TAIL
    if session.duration > longest:
        raise ValueError(
            f"the recording lasts {session.duration / 3600:,.1f} hours, and a .wav file holds "
            f"{longest / 3600:.1f}: export a part of it, or another format"
        )
    frames = 0
    random = np.random.default_rng(0)
    with path.open("wb") as file, wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(rate)
        for block in render(session, rate=rate):
            out.writeframesraw(_quantise(block, random).tobytes())
            frames += len(block)
    return frames / rate


def _quantise(block: Floats, random: np.random.Generator) -> np.ndarray[Any, Any]:
    """Round samples to 16 bits, with triangular dither, or a fade would end in distortion."""
    scaled = block * np.float32(32767.0)
    if block.any():
        dither = [random.random(block.shape, np.float32) for _ in range(2)]
        scaled += dither[0] - dither[1]
    rounded: np.ndarray[Any, Any] = np.clip(np.rint(scaled), -32768, 32767).astype("<i2")
    return rounded
