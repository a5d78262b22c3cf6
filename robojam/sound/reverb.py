"""Reverb around the voices, and the limiter that keeps their sum within full scale."""

from __future__ import annotations

import numpy as np

from robojam.sound.instruments import Floats

#: Delays of the lines in seconds, without a common divisor, so that no echo is delayed as a
#: pitch; each is longer than a tick.
DELAYS = tuple(
    0.001 * d
    for d in (17.3, 19.7, 22.1, 24.9, 27.7, 30.1, 33.9, 36.7, 39.1, 42.7, 45.1, 48.9,
              53.3, 57.1, 61.7, 66.1)
)  # fmt: skip
#: Seconds until the sound has fallen by 60 dB.
DECAY = 1.1
#: Seconds in which a panic fades the reverb: longer than any voice takes.
FADE = 0.04


def _hadamard(size: int) -> Floats:
    signs = [[(-1) ** (i & j).bit_count() for j in range(size)] for i in range(size)]
    return np.asarray(np.array(signs, np.float32) / np.sqrt(np.float32(size)))


class Reverb:
    """A small room: a feedback delay network (Jot & Chaigne 1991), damped in the treble."""

    def __init__(self, rate: float, tick: int) -> None:
        self._tick = tick
        delays = np.array([round(d * rate) for d in DELAYS])
        count = len(delays)
        self._size = int(delays.max()) + tick + 2
        self._lines = np.zeros((count, self._size), np.float32)
        self._back = (np.arange(-2, tick)[None, :] - delays[:, None]) % self._size
        self._left = (10 ** (-3 * delays / rate / DECAY)).astype(np.float32)[:, None]
        self._mix = _hadamard(count)
        signs = _hadamard(count) * np.sqrt(np.float32(count))
        self._in = np.stack([signs[:, 1], signs[:, 2]], 1) / np.float32(count)
        self._in += np.float32(0.5 / count)
        self._out = np.stack([signs[4], signs[9]]) / np.float32(np.sqrt(count))
        self._row = np.arange(count)[:, None]
        self._at = 0
        self._open, self._target = np.float32(1.0), np.float32(1.0)
        self._step = np.float32(tick / rate / FADE)
        self._ramp = np.arange(1, tick + 1, dtype=np.float32) / tick
        # Ticks without input, and the number of them after which nothing is left.
        self._ring_ticks = int(2 * DECAY * rate / tick)
        self._silent_ticks = self._ring_ticks + 1

    def fade_out(self) -> None:
        """Fade to silence, and be empty when sound comes in again."""
        self._target = np.float32(0.0)

    @property
    def empty(self) -> bool:
        """Whether no sound is left in the lines."""
        return self._silent_ticks > self._ring_ticks

    def render(self, sound: Floats) -> Floats:
        """Return the reverb of a tick, both of shape (2, tick)."""
        if self._target == 0.0 and self._open == 0.0:
            self._lines[:] = 0.0
            self._open = self._target = np.float32(1.0)
        self._silent_ticks = 0 if sound.any() else self._silent_ticks + 1
        columns = (self._back + self._at) % self._size
        delayed = self._lines[self._row, columns]
        damped = 0.5 * delayed[:, 1:-1] + 0.25 * (delayed[:, 2:] + delayed[:, :-2])
        damped *= self._left
        write = (self._at + np.arange(self._tick)) % self._size
        self._lines[:, write] = self._mix @ damped + self._in @ sound
        self._at = (self._at + self._tick) % self._size
        opened = max(self._open - self._step, self._target) if self._target < 1 else self._open
        gain = self._open + (opened - self._open) * self._ramp
        self._open = np.float32(opened)
        return np.asarray((self._out @ damped) * gain, np.float32)


class Limiter:
    """Limiter that holds each tick below a ceiling, without delay."""

    def __init__(self, rate: float, tick: int, *, ceiling: float, release: float) -> None:
        """Hold everything below a ceiling (1 is full scale); release is in seconds."""
        self._ceiling = np.float32(ceiling)
        self._rise = np.float32(1 - np.exp(-tick / rate / release))
        self._gain = np.float32(1.0)
        self._ramp = np.arange(1, tick + 1, dtype=np.float32) / tick
        self._count = np.arange(tick, dtype=np.float32)

    def render(self, sound: Floats) -> Floats:
        """Return a tick of shape (2, tick) within the ceiling."""
        peaks = np.abs(sound).max(0)
        highest = peaks.max()
        allowed = self._ceiling / highest if highest > self._ceiling else np.float32(1.0)
        gain = self._gain
        if allowed < gain:
            over = peaks * gain > self._ceiling
            first = int(np.argmax(over)) if over.any() else len(peaks)
            slope = np.minimum(self._count / np.float32(max(first, 1)), 1.0)
            line = gain + (allowed - gain) * slope
            self._gain = np.float32(allowed)
        else:
            risen = np.float32(gain + (min(allowed, 1.0) - gain) * self._rise)
            line = gain + (risen - gain) * self._ramp
            self._gain = risen
        # Rounding may leave a sample just above the ceiling.
        return np.asarray(np.clip(sound * line, -self._ceiling, self._ceiling), np.float32)
