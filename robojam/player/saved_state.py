"""State of a player as plain data: arrays as bytes, and what snapshots share only once.

Hundreds of snapshots of a jam hold almost the same call and the same remembered strokes. Each
touch and each stroke is packed once; a snapshot has the numbers of its own, as runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct

from robojam.controls import MAX_SEED
from robojam.jam.numbers import Count
from robojam.jam.protocols import Proposal
from robojam.jam.saved import Pool, Runs, taken
from robojam.model.features import Floats
from robojam.player.call import CALL_TOUCHES, Call
from robojam.player.lookahead import NextTouch, PlayedTouch, SavedLookahead
from robojam.player.motifs import (
    INTERVALS,
    MAX_RHYTHMS,
    MAX_SHAPES,
    MAX_TOUCHES,
    MAX_WAITING,
    NOTHING,
    POINTS,
    MemoryState,
    Remembered,
)
from robojam.player.reference import RecurrentState

_Number = Annotated[float, Meta(ge=-1e12, le=1e12)]
_Stroke = tuple[tuple[_Number, _Number, _Number], ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of a player, from which it plays on exactly as it would have then."""

    state: RecurrentState
    seed: int
    counts: tuple[int, ...]
    call: Call = field(default_factory=Call)
    answered: bool = False
    memory: MemoryState = NOTHING


@dataclass(frozen=True, slots=True)
class SavedPlayer:
    """Whole state of a player: a snapshot, and what does not go back with one.

    landings: number of landings that were heard; playing: the voices that do not rest; faulty:
    those whose last touch overflowed.
    """

    snapshot: Snapshot
    landings: int
    playing: int
    faulty: tuple[int, ...]
    lookahead: SavedLookahead | None


class _Remembered(Struct, frozen=True, array_like=True):
    """A Remembered; its arrays as bytes of 64-bit numbers, b"" for none."""

    vector: bytes
    at: _Number
    landing: Count
    position: Count
    distinct: _Number
    heard: Count
    path: bytes
    times: bytes
    duration: _Number


class _Memory(Struct, frozen=True, array_like=True):
    clock: _Number
    position: Count
    shapes: Runs
    rhythms: Runs
    waiting: list[tuple[_Number, Count, Count, _Stroke]]
    stroke: tuple[_Number, Count, _Stroke]
    landings: list[_Number]


class _Snapshot(Struct, frozen=True, array_like=True):
    """A Snapshot; rows (V, ·) holds the arrays of the state, side by side, in 32 bits."""

    rows: bytes
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED)]
    counts: list[Count]
    call: Runs
    answered: bool
    memory: _Memory


class _Touch(Struct, frozen=True, array_like=True):
    """A NextTouch of a voice."""

    voice: int
    proposal: tuple[_Number, _Number, _Number, bool]
    played: tuple[_Number, _Number, _Number, bool]
    model_input: list[_Number]


class _Lookahead(Struct, frozen=True, array_like=True):
    next: list[_Touch]
    following: list[_Touch]
    stepped_rows: bytes
    unstepped: list[int]
    group: list[int]
    drawn: bool
    skipping: bool


class _Player(Struct, frozen=True, array_like=True):
    touches: list[tuple[_Number, _Number, _Number, bool]]
    remembered: list[_Remembered]
    state: _Snapshot
    snapshots: list[_Snapshot]
    landings: Count
    playing: int
    faulty: list[int]
    lookahead: _Lookahead | None


def pack(saved: SavedPlayer, snapshots: Sequence[Snapshot]) -> bytes:
    """Return a saved state and snapshots as bytes."""
    touches: Pool[PlayedTouch] = Pool()
    remembered: Pool[Remembered] = Pool()

    def packed(snapshot: Snapshot) -> _Snapshot:
        memory = snapshot.memory
        return _Snapshot(
            np.concatenate(snapshot.state.arrays(), axis=1, dtype=np.float32).tobytes(),
            snapshot.seed,
            list(snapshot.counts),
            touches.runs(snapshot.call),
            snapshot.answered,
            _Memory(
                memory.clock,
                memory.position,
                remembered.runs(memory.shapes),
                remembered.runs(memory.rhythms),
                list(memory.waiting),
                memory.stroke,
                list(memory.landings),
            ),
        )

    each = [packed(snapshot) for snapshot in snapshots]
    state = packed(saved.snapshot)
    return msgspec.msgpack.encode(
        _Player(
            touches.items,
            [_packed(one) for one in remembered.items],
            state,
            each,
            saved.landings,
            saved.playing,
            list(saved.faulty),
            None if saved.lookahead is None else _packed_lookahead(saved.lookahead),
        )
    )


def unpack(
    data: bytes, widths: Sequence[int], *, layers: int, voices: int, row: int | None
) -> tuple[SavedPlayer, list[Snapshot]]:
    """Return what was packed by a player of V voices.

    widths are those of the arrays of its state, of which there are some layers; row is that of
    the rows of its look-ahead, None where it has none. Raises ValueError for other data.
    """
    try:
        player = msgspec.msgpack.decode(data, type=_Player)
    except (msgspec.DecodeError, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from error
    ends = np.cumsum(widths)[:-1].tolist()
    remembered = [_unpacked(one) for one in player.remembered]

    def unpacked(packed: _Snapshot) -> Snapshot:
        *arrays, position, before, velocity, features = np.split(
            _array(packed.rows, (voices, sum(widths)), np.float32), ends, axis=1
        )
        memory = packed.memory
        if len(packed.counts) != voices or len(memory.waiting) > MAX_WAITING:
            raise ValueError("its player has another number of voices")
        if len(memory.landings) > INTERVALS + 1:
            raise ValueError("its player remembers more than one may")
        for stroke in (memory.stroke[2], *(waiting[3] for waiting in memory.waiting)):
            if len(stroke) > MAX_TOUCHES + 1:
                raise ValueError("its player remembers more than one may")
        shapes = taken(remembered, memory.shapes, MAX_SHAPES)
        rhythms = taken(remembered, memory.rhythms, MAX_RHYTHMS)
        if not all(shape.path is not None for shape in shapes):
            raise ValueError("a shape of it has no path")
        if not all(rhythm.path is None for rhythm in rhythms):
            raise ValueError("a rhythm of it has a path")
        return Snapshot(
            RecurrentState(
                arrays[:layers], arrays[layers:], position, velocity, before, features
            ),
            packed.seed,
            tuple(packed.counts),
            Call(taken(player.touches, packed.call, CALL_TOUCHES)),
            packed.answered,
            MemoryState(
                memory.clock, memory.position, shapes, rhythms, tuple(memory.waiting),
                memory.stroke, tuple(memory.landings),
            ),
        )  # fmt: skip

    if not (1 <= player.playing <= voices and all(0 <= v < voices for v in player.faulty)):
        raise ValueError("its player has another number of voices")
    if (player.lookahead is None) != (row is None):
        raise ValueError("its player looks ahead, or does not, as this one does not or does")
    lookahead = None
    if player.lookahead is not None and row is not None:
        lookahead = _unpacked_lookahead(player.lookahead, voices, player.playing, row)
    saved = SavedPlayer(
        unpacked(player.state), player.landings, player.playing, tuple(player.faulty), lookahead
    )
    return saved, [unpacked(one) for one in player.snapshots]


def _array(data: bytes, shape: tuple[int, ...], kind: Any) -> Any:
    """Return the array of some bytes. Raises ValueError where that has another shape."""
    if len(data) != math.prod(shape) * np.dtype(kind).itemsize:
        raise ValueError("an array of it has another size")
    return np.frombuffer(data, kind).reshape(shape)


def _packed(one: Remembered) -> _Remembered:
    path, times = (b"" if a is None else a.tobytes() for a in (one.path, one.times))
    return _Remembered(
        one.vector.tobytes(), one.at, one.landing, one.position, one.distinct, one.heard,
        path, times, one.duration,
    )  # fmt: skip


def _unpacked(one: _Remembered) -> Remembered:
    path = times = None
    vector = _array(one.vector, (POINTS * 2 if one.path else INTERVALS,), np.float64)
    if one.path:
        path = _array(one.path, (POINTS, 2), np.float64)
        times = _array(one.times, (POINTS,), np.float64)
    for array in (vector, path, times):
        if array is not None and not np.isfinite(array).all():
            raise ValueError("a number of it is none")
    return Remembered(
        vector, one.at, one.landing, one.position, one.distinct, one.heard, path, times,
        one.duration,
    )  # fmt: skip


def _packed_lookahead(saved: SavedLookahead) -> _Lookahead:
    def packed(touches: dict[int, NextTouch]) -> list[_Touch]:
        return [
            _Touch(v, (t.proposal.x, t.proposal.y, t.proposal.dt, t.proposal.moving), t.played,
                   t.model_input)
            for v, t in touches.items()
        ]  # fmt: skip

    return _Lookahead(
        packed(saved.next), packed(saved.following), saved.stepped_rows.tobytes(),
        saved.unstepped, saved.group, saved.drawn, saved.skipping,
    )  # fmt: skip


def _unpacked_lookahead(
    packed: _Lookahead, voices: int, playing: int, row: int
) -> SavedLookahead:
    def touches(of: list[_Touch]) -> dict[int, NextTouch]:
        return {t.voice: NextTouch(Proposal(*t.proposal), t.played, t.model_input) for t in of}

    following, known = touches(packed.following), touches(packed.next)
    rows: Floats = _array(packed.stepped_rows, (len(following), row), np.float32)
    named = {*following, *known, *packed.unstepped, *packed.group}
    if not named <= set(range(voices)):
        raise ValueError("its player has another number of voices")
    needed = set(range(playing)) - (set() if packed.drawn else set(packed.group))
    if not needed <= known.keys() or not set(range(playing)) <= {*packed.unstepped, *following}:
        raise ValueError("its player looks ahead for other voices")
    return SavedLookahead(
        known, following, rows, packed.unstepped, packed.group, packed.drawn, packed.skipping
    )
