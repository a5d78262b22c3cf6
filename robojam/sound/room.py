"""The room around the voices, and what keeps them within full scale."""

from __future__ import annotations

import numpy as np

from robojam.sound.instruments import Floats

#: Delays of the room's lines in seconds, without a common measure, so that no echo is
#: heard as a pitch; each longer than a tick.
_DELAYS = tuple(
    0.001 * d
    for d in (17.3, 19.7, 22.1, 24.9, 27.7, 30.1, 33.9, 36.7, 39.1, 42.7, 45.1, 48.9,
              53.3, 57.1, 61.7, 66.1)
)  # fmt: skip
#: Seconds until its sound has fallen by 60 dB.
_LONG = 1.1
#: Seconds in which the room falls silent when it must: longer than any voice needs to.
_HUSH = 0.04


def _hadamard(size: int) -> Floats:
    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return np.asarray(matrix / np.sqrt(np.float32(size)), np.float32)


class Room:
    """A small room: a feedback delay network (Jot & Chaigne 1991), damped at the top."""

    def __init__(self, rate: float, tick: int) -> None:
        self._tick = tick
        delays = np.array([round(d * rate) for d in _DELAYS])
        count = len(delays)
        self._size = int(delays.max()) + tick + 2
        self._lines = np.zeros((count, self._size), np.float32)
        self._back = (np.arange(-2, tick)[None, :] - delays[:, None]) % self._size
        self._left = (10 ** (-3 * delays / rate / _LONG)).astype(np.float32)[:, None]
        self._mix = _hadamard(count)
        signs = _hadamard(count) * np.sqrt(np.float32(count))
        self._in = np.stack([signs[:, 1], signs[:, 2]], 1) / np.float32(count)
        self._in += np.float32(0.5 / count)
        self._out = np.stack([signs[4], signs[9]]) / np.float32(np.sqrt(count))
        self._row = np.arange(count)[:, None]
        self._at = 0
        self._open, self._target = np.float32(1.0), np.float32(1.0)
        self._step = np.float32(tick / rate / _HUSH)
        self._ramp = np.arange(1, tick + 1, dtype=np.float32) / tick
        # Ticks without a sound in it, and after how many nothing is left of the last.
        self._long = int(2 * _LONG * rate / tick)
        self._still = self._long + 1

    def hush(self) -> None:
        """Fall silent, and be empty when sound comes in again."""
        self._target = np.float32(0.0)

    @property
    def empty(self) -> bool:
        """Whether nothing is left in it of anything."""
        return self._still > self._long

    def render(self, sound: Floats) -> Floats:
        """Return what the room adds to a tick (2, tick)."""
        if self._target == 0.0 and self._open == 0.0:
            self._lines[:] = 0.0
            self._open = self._target = np.float32(1.0)
        self._still = 0 if sound.any() else self._still + 1
        columns = (self._back + self._at) % self._size
        heard = self._lines[self._row, columns]
        damped = 0.5 * heard[:, 1:-1] + 0.25 * (heard[:, 2:] + heard[:, :-2])
        damped *= self._left
        write = (self._at + np.arange(self._tick)) % self._size
        self._lines[:, write] = self._mix @ damped + self._in @ sound
        self._at = (self._at + self._tick) % self._size
        opened = max(self._open - self._step, self._target) if self._target < 1 else self._open
        gain = self._open + (opened - self._open) * self._ramp
        self._open = np.float32(opened)
        return np.asarray((self._out @ damped) * gain, np.float32)


class Limiter:
    """Holds a tick below a ceiling. It adds no delay: a tick is known before it is played."""

    def __init__(self, rate: float, tick: int, *, ceiling: float, release: float) -> None:
        """Hold everything below a ceiling (1 is full scale); release is in seconds."""
        self._ceiling = np.float32(ceiling)
        self._rise = np.float32(1 - np.exp(-tick / rate / release))
        self._gain = np.float32(1.0)
        self._ramp = np.arange(1, tick + 1, dtype=np.float32) / tick
        self._count = np.arange(tick, dtype=np.float32)

    def render(self, sound: Floats) -> Floats:
        """Return a tick (2, tick) within the ceiling."""
        peaks = np.abs(sound).max(0)
        most = peaks.max()
        allowed = self._ceiling / most if most > self._ceiling else np.float32(1.0)
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
        # Its last word: a sum of floats may still be a hair over.
        return np.asarray(np.clip(sound * line, -self._ceiling, self._ceiling), np.float32)
