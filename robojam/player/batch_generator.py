"""Takes generated side by side in one batch, which each of them joins and leaves on its own.

For offline generation and for services: what is asked for while a batch runs joins it at the
next step, and nobody waits for the longest take (continuous batching, as Orca, Yu et al. 2022,
has it for language models). Rows that still hear their performance and rows that play are fed
together.

A take is the same whatever is generated beside it, bit for bit: its random numbers are its own
(robojam.player.random_streams), and the steps are taken in batches of sizes in which a row's
result does not depend on the others (`exact_sizes`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from robojam.jam.dwell import REDRAWS, DwellLimiter
from robojam.model.features import Floats
from robojam.player.cpu_batch import MAX_BATCH, BatchStepper
from robojam.player.random_streams import BLOCK, RandomStreams
from robojam.player.reference import COLD, Network
from robojam.touch import MAX_DT, MIN_DT, PRESSURE_RESTS

#: Touches (n, 4) of x, y, dt and moving, or (n, 5) with pressure; sums of their times need 64
#: bits.
Touches = NDArray[np.float64]

#: Most draws of a first touch that would come too early or too late.
_TRIES: Final = 256
#: A model that samples a greater number has overflowed.
_OVERFLOW: Final = 1e30
#: Sizes of batches that are tried, and the steps of each.
_SIZES: Final = (1, 2, 4, 8, 16, 24, MAX_BATCH)
_TRIED_STEPS: Final = 3


@dataclass(slots=True, eq=False, kw_only=True)
class Take:
    """A take, and how far it has been generated.

    call (n, C) is the clean performance that it continues, in screens and seconds, with the
    columns of the model's event (`fitting_call`); seconds is its length, silence the seconds
    since the end of the call. Its random numbers are those of voice number of seed.
    temperature and spread: see robojam.player.reference.Network.sample.
    """

    call: Touches
    seconds: float
    seed: int
    number: int = 0
    temperature: float = 1.0
    spread: float = 1.0
    silence: float = 0.0
    #: What it has played so far: x, y, dt, moving and, of a model that has learnt it, pressure.
    touches: list[list[float]] = field(default_factory=list)
    #: The numbers of the model overflowed: it has ended before its time.
    overflowed: bool = False
    _heard: Floats = field(init=False)
    _fed: int = 0  # touches of the call
    _time: float = 0.0
    _landed: bool = False
    _tries: int = 0  # draws of the next touch that were refused
    _dwell: DwellLimiter = field(default_factory=DwellLimiter)

    def array(self) -> Touches:
        """Return what it has played, as touches (n, C)."""
        return np.array(self.touches, np.float64).reshape(-1, self.call.shape[1])


def fitting_call(call: Touches, network: Network) -> Touches:
    """Return touches (n, 4), maybe with pressures, as a network's event has them (n, C).

    Where it has learnt pressure and there is none, it rests.
    """
    width = len(network.event.columns)
    resting = np.full((len(call), max(0, width - call.shape[1])), PRESSURE_RESTS)
    return np.column_stack([call[:, :width], resting])


class BatchGenerator:
    """Batch of takes of one model; it steps all of them by one touch at a time."""

    def __init__(self, network: Network, *, rows: int = MAX_BATCH) -> None:
        """Prepare a network of touches, made with numpy, for up to a number of rows."""
        self.rows = rows
        self.network = network
        event = network.event
        self._half: Floats = np.array(event.noise, np.float32)
        self._half /= 2
        self._factors, columns = len(event.factors), len(event.columns)
        self._stepper = BatchStepper(network, MAX_BATCH)
        self._sizes = exact_sizes(self._stepper, self._factors, columns)
        self._streams = RandomStreams(1, uniform=self._factors, normal=columns)
        #: Takes that play have the first rows, then come those that hear.
        self._playing: list[Take] = []
        self._hearing: list[Take] = []
        self._tables = np.zeros((MAX_BATCH, BLOCK, self._factors + columns), np.float32)
        self._counts = np.zeros(MAX_BATCH, np.intp)  # touches played
        self._temperature = np.ones((MAX_BATCH, 1), np.float32)
        self._spread = np.ones((MAX_BATCH, 1), np.float32)
        self._heard = np.zeros((MAX_BATCH, 1), np.float32)
        self._events = np.zeros((MAX_BATCH, columns), np.float32)
        self._initial = self._stepper.layout.initial(1)
        self._index = np.arange(MAX_BATCH)

    def __len__(self) -> int:
        """Return the number of takes that have not ended."""
        return len(self._playing) + len(self._hearing)

    @property
    def room(self) -> int:
        """How many takes can be added."""
        return self.rows - len(self)

    def add(self, take: Take) -> None:
        """Begin a take. Raises ValueError where there is no room."""
        if not self.room:
            raise ValueError("the batch is full")
        row = len(self)
        take._heard = np.asarray(take.call, np.float32) + self._half
        self._stepper.rows[row] = self._initial
        self._counts[row] = 0
        self._temperature[row], self._spread[row] = max(take.temperature, COLD), take.spread
        self._hearing.append(take)
        self._begin_playing()

    def discard(self, take: Take) -> None:
        """Drop a take, if it is here."""
        playing = [each is not take for each in self._playing]
        hearing = [each is not take for each in self._hearing]
        self._keep(playing, hearing)

    def step(self) -> list[Take]:
        """Generate the next touch of every take, or hear one; return those that have ended."""
        ended: list[Take] = []
        if not len(self):
            return ended
        with np.errstate(all="ignore"):
            refused = self._play(ended)
            self._feed(refused)
        self._begin_playing()
        return ended

    def _play(self, ended: list[Take]) -> list[int]:
        """Draw a touch of each take that plays; return the rows whose draw was refused."""
        count, takes = len(self._playing), self._playing
        if not count:
            return []
        numbers = self._random_numbers(count)
        drawn = np.empty((count, len(self._half)), np.float32)
        for rows, width in self._batches(count):
            drawn[rows] = self._stepper.sample_rows(
                self._stepper.rows[width],
                numbers[width],
                temperature=self._temperature[width],
                spread=self._spread[width],
            )[: rows.stop - rows.start]
        played = (drawn - self._half).astype(np.float64)
        finite = np.all(np.abs(drawn) < _OVERFLOW, axis=1).tolist()
        refused: list[int] = []
        goes_on = [True] * count
        for row, (take, touch) in enumerate(zip(takes, played.tolist(), strict=True)):
            if not finite[row]:
                take.overflowed, goes_on[row] = True, False
            elif not _play(take, touch):
                refused.append(row)
                continue
            elif take._time >= take.seconds:
                goes_on[row] = False
            else:
                take.touches.append(touch)
                self._events[row] = touch
                self._counts[row] += 1
            if not goes_on[row]:
                ended.append(take)
        self._events[:count] += self._half
        if ended:
            kept = np.flatnonzero(goes_on)
            refused = np.flatnonzero(np.isin(kept, refused)).tolist()
            self._events[: len(kept)] = self._events[kept]
            self._keep(goes_on, [True] * len(self._hearing))
        return refused

    def _feed(self, refused: list[int]) -> None:
        """Advance all takes by what they play or hear, but those in the refused rows."""
        playing, count, state = len(self._playing), len(self), self._stepper.rows
        for row, take in enumerate(self._hearing, playing):
            self._events[row] = take._heard[take._fed]
            take._fed += 1
        heard: bool | Floats = False
        if self.network.event.summarises:
            self._heard[:playing], self._heard[playing:count] = 0, 1
            heard = self._heard
        before = state[refused]
        for _, width in self._batches(count):
            by_humans = heard if isinstance(heard, bool) else heard[width]
            self._stepper.feed_rows(state[width], self._events[width], heard=by_humans)
        state[refused] = before

    def _begin_playing(self) -> None:
        """Let those takes play that have heard all of their call."""
        if all(take._fed < len(take._heard) for take in self._hearing):
            return
        playing, hearing = len(self._playing), self._hearing
        done = [take._fed == len(take._heard) for take in hearing]
        ready = [i for i, is_done in enumerate(done) if is_done]
        rest = [i for i, is_done in enumerate(done) if not is_done]
        self._arrange([*range(playing), *(playing + i for i in (*ready, *rest))])
        self._playing += [hearing[i] for i in ready]
        self._hearing = [hearing[i] for i in rest]
        for take in self._playing[playing:]:
            take._landed = len(take.call) > 0

    def _random_numbers(self, count: int) -> Floats:
        """Return the numbers (MAX_BATCH, ·) of the next draws of the first rows."""
        steps = self._counts % BLOCK
        for row in np.flatnonzero(steps[:count] == 0).tolist():
            take = self._playing[row]
            if not take._tries:
                self._streams.seed(take.seed)
                block = int(self._counts[row]) // BLOCK
                self._tables[row] = self._streams.block(take.number, block)
        numbers: Floats = self._tables[self._index, steps]
        for row, take in enumerate(self._playing):
            if take._tries:
                self._streams.seed(take.seed)
                voice = np.array([take.number])
                key = int(self._counts[row]), take._tries
                numbers[row] = self._streams.redrawn(voice, *key)[0]
        return numbers

    def _keep(self, playing: list[bool], hearing: list[bool]) -> None:
        """Drop the takes for which this is False."""
        kept = [*playing, *hearing]
        if all(kept):
            return
        self._arrange([row for row, stays in enumerate(kept) if stays])
        self._playing = [t for t, on in zip(self._playing, playing, strict=True) if on]
        self._hearing = [t for t, on in zip(self._hearing, hearing, strict=True) if on]

    def _arrange(self, rows: list[int]) -> None:
        """Put the takes in these rows into the first rows, in this order."""
        if rows == list(range(len(rows))):
            return
        count = len(rows)
        for array in (
            self._stepper.rows, self._tables, self._counts, self._temperature, self._spread
        ):  # fmt: skip
            array[:count] = array[rows]

    def _batches(self, count: int) -> list[tuple[slice, slice]]:
        """Return the batches for the first rows: the rows of each, and the rows stepped."""
        batches, largest = [], self._sizes[-1]
        for start in range(0, count, largest):
            rows = min(count - start, largest)
            size = next(size for size in self._sizes if size >= rows)
            batches.append((slice(start, start + rows), slice(start, start + size)))
        return batches


def _play(take: Take, touch: list[float]) -> bool:
    """Make a drawn touch one that is played, in place; return False to have it drawn again."""
    x, y, dt, moving = touch[:4]
    dwell, first = take._dwell, not take.touches
    early = first and dt < take.silence
    untimely = first and (early or dt >= take.seconds)
    if early and take._tries >= _TRIES - 1:
        dt += take.silence
    x, y = min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)
    dt = min(max(dt, MIN_DT), MAX_DT)
    slides, at = moving > 0.5, take._time + dt
    if take._tries < (_TRIES - 1 if untimely else REDRAWS) and (
        untimely or dwell.too_long(at, x, y, moving=slides)
    ):
        take._tries += 1
        return False
    slides &= take._landed  # only a finger that is down slides
    x, y = dwell.off_edges(at, x, y)
    dwell.touch(at, x, y, moving=slides)
    take._tries, take._time, take._landed = 0, at, True
    touch[:] = x, y, dt, float(slides), *(min(max(p, 0.0), 1.0) for p in touch[4:])
    return True


def exact_sizes(stepper: BatchStepper, factors: int, columns: int) -> tuple[int, ...]:
    """Return sizes of batches in which a row's result depends on neither size nor place.

    A library for linear algebra may take one path for a row and another for a batch, with sums
    in another order. Whether it does depends on library and processor: so it is tried, with
    random states and events. The result is (1,) at least: rows that are stepped alone.
    """
    random = np.random.default_rng(0)
    events = random.random((_TRIED_STEPS, MAX_BATCH, columns), np.float32)
    events[..., 2] *= 0.1
    events[..., 3] = events[..., 3] > 0.2
    numbers = random.random((MAX_BATCH, factors + columns), np.float32)

    def run(rows: NDArray[np.intp]) -> Floats:
        state = stepper.layout.initial(len(rows))
        for event in events:
            stepper.feed_rows(state, event[rows], heard=True)
        drawn = stepper.sample_rows(state, numbers[rows], temperature=1.1, spread=0.9)
        joined: Floats = np.concatenate([state, drawn], 1)
        return joined

    with np.errstate(all="ignore"):
        whole = run(np.arange(MAX_BATCH))
        sizes = []
        for size in _SIZES:
            others = [random.permutation(MAX_BATCH)[:size] for _ in range(3)]
            if all(np.array_equal(run(rows), whole[rows], equal_nan=True) for rows in others):
                sizes.append(size)
    return tuple(sizes) if MAX_BATCH in sizes else (1,)
