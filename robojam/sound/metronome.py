"""Metronome: a click at each beat, a higher one where a bar begins.

A click begins at the very sample of its beat. It is mixed with the instruments, with a volume
of its own, and has neither a place nor a room: nobody plays it.
"""

from __future__ import annotations

import numpy as np

from robojam.sound.instruments import Floats

#: Frequency of a click in Hz, at a beat and at the beginning of a bar.
BEAT_HZ, BAR_HZ = 1175.0, 1760.0
#: Seconds of a click, of its attack, and the time constant with which it fades.
LENGTH, ATTACK, FADE = 0.06, 0.001, 0.012
#: Level of a click at full volume.
LEVEL = 0.6
#: Clicks that sound at once, at most.
_MOST = 4


class Metronome:
    """Clicks, rendered a tick at a time, at a sample rate in Hz.

    volume (0..1) is that of the clicks that follow; at 0 there are none.
    """

    def __init__(self, rate: float, tick: int) -> None:
        self.volume = 0.0
        self._tick = tick
        self._beat, self._bar = _click(rate, BEAT_HZ), _click(rate, BAR_HZ)
        self._sounding: list[tuple[Floats, int, float]] = []  # samples, place of the tick, gain

    @property
    def silent(self) -> bool:
        """Whether no click sounds."""
        return not self._sounding

    def click(self, offset: int, *, accent: bool) -> None:
        """Click at a sample (offset) of the next tick; accent: a bar begins."""
        if self.volume > 0.0 and len(self._sounding) < _MOST:
            # The square is nearer to how loudness is heard.
            gain = LEVEL * self.volume * self.volume
            self._sounding.append((self._bar if accent else self._beat, -offset, gain))

    def render(self) -> Floats:
        """Return the next tick, of shape (tick,)."""
        mixed = np.zeros(self._tick, np.float32)
        left: list[tuple[Floats, int, float]] = []
        for samples, place, gain in self._sounding:
            begin = max(place, 0)
            end = min(place + self._tick, len(samples))
            if end > begin:
                mixed[begin - place : end - place] += np.float32(gain) * samples[begin:end]
            if end < len(samples):
                left.append((samples, place + self._tick, gain))
        self._sounding = left
        return mixed


def _click(rate: float, hz: float) -> Floats:
    """Return the samples of a click: a sine that begins and fades at once."""
    t = np.arange(round(LENGTH * rate)) / rate
    envelope = np.minimum(t / ATTACK, 1.0) * np.exp(-t / FADE)
    return np.asarray(envelope * np.sin(2 * np.pi * hz * t), np.float32)
