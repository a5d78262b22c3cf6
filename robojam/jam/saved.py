"""State of a jam as plain data, for a checkpoint or another engine. Pure.

Each class of the jam whose objects change says in `STATE` which of its attributes are its
state, each with the type of its value. The rest of an object is made with it, or follows from
the state; `restored` makes what follows, where a class has that method. So state is copied,
encoded, checked and loaded in one way, here.

To copy it is quick (`save`); to encode it, and a history of snapshots, is not, and may be done
in another thread. `load` takes no data that is of another form: it may come from a stranger.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from types import UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

import msgspec
from msgspec import Meta, Struct

from robojam.controls import SETTINGS, Settings
from robojam.jam.history import JamSnapshot
from robojam.jam.numbers import Seconds, Time
from robojam.jam.protocols import Player, Proposal
from robojam.touch import MEMORIES

#: Most snapshots of a state, touches of a phrase, and bytes of a state that is encoded.
_MOST_SNAPSHOTS: Final = 2048
_MOST_TOUCHES: Final = 10_000
MAX_BYTES: Final = 64 << 20

Whose = Literal["human", "ai"]


#: Runs of numbers, each from a first one up to a last one, which it is without.
Runs = list[tuple[int, int]]
Item = TypeVar("Item")


class SnapshotState(Struct, frozen=True, array_like=True):
    """A JamSnapshot without the player's part; its phrases by numbers of proposals."""

    t: Time
    since_fed: Seconds | None
    turn: Whose
    turn_used: Seconds
    since_bases: tuple[Seconds, ...]
    phrases: list[tuple[int, Runs]]
    planned_by: tuple[Seconds, ...]
    has_heard: bool


class SavedJam(Struct, frozen=True):
    """Copy of the state of a jam, which nothing changes any more.

    parts and mode are records of the jam and of its mode; snapshots those of its history, of
    which recent, stored and replaced hold the numbers. player is what its player has saved.
    """

    settings: dict[str, Any]
    parts: Struct
    mode: Struct
    snapshots: tuple[JamSnapshot, ...]
    recent: tuple[int, ...]
    stored: dict[str, int]
    replaced: dict[str, int | None]
    player: Any


class _Encoded(Struct, frozen=True, forbid_unknown_fields=True):
    """A SavedJam as it is encoded; parts, mode and player are encoded by themselves."""

    settings: dict[str, Any]
    parts: bytes
    mode: bytes
    proposals: list[Proposal]
    snapshots: Annotated[list[SnapshotState], Meta(max_length=_MOST_SNAPSHOTS)]
    recent: list[int]
    stored: dict[str, int]
    replaced: dict[str, int | None]
    player: bytes


class Pool(Generic[Item]):
    """Items that several hold: each once, by its identity, in order of its first use."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._numbers: dict[int, int] = {}

    def runs(self, items: Iterable[Item]) -> Runs:
        """Return the numbers of some items, as runs."""
        runs: Runs = []
        for item in items:
            number = self._numbers.get(id(item))
            if number is None:
                number = self._numbers[id(item)] = len(self.items)
                self.items.append(item)
            if runs and runs[-1][1] == number:
                runs[-1] = runs[-1][0], number + 1
            else:
                runs.append((number, number + 1))
        return runs


def taken(items: Sequence[Item], runs: Runs, most: int) -> tuple[Item, ...]:
    """Return the items of some runs. Raises ValueError for one that is not there."""
    found: list[Item] = []
    for first, end in runs:
        if not 0 <= first < end <= len(items) or len(found) + end - first > most:
            raise ValueError("a part of it is not there, or there are too many")
        found += items[first:end]
    return tuple(found)


def save(item: Any) -> Struct:
    """Return a copy of an object's state."""
    kind: Any = type(item)
    record, attributes = _of(kind)
    return record(*[each.copy(getattr(item, name)) for name, each in attributes.items()])


def restore(item: Any, saved: Struct) -> None:
    """Give an object a state. Raises ValueError where that is of another size."""
    kind: Any = type(item)
    _, attributes = _of(kind)
    for name, value in zip(attributes, msgspec.structs.astuple(saved), strict=True):
        attributes[name].load(item, name, value)
    if (restored := getattr(item, "restored", None)) is not None:
        restored()


def encode(saved: SavedJam, player: Player) -> bytes:
    """Return a saved jam as bytes; player is the one that has saved its part."""
    encoder = msgspec.msgpack.Encoder(enc_hook=_as_number)
    pool: Pool[Proposal] = Pool()
    snapshots = [
        SnapshotState(
            s.t, s.since_fed, _whose(s.turn), s.turn_used, s.since_bases,
            [(voice, pool.runs(phrase)) for voice, phrase in s.phrases],
            s.planned_by, s.has_heard,
        )
        for s in saved.snapshots
    ]  # fmt: skip
    return encoder.encode(
        _Encoded(
            saved.settings,
            encoder.encode(saved.parts),
            encoder.encode(saved.mode),
            pool.items,
            snapshots,
            list(saved.recent),
            saved.stored,
            saved.replaced,
            player.pack(saved.player, [s.player for s in saved.snapshots]),
        )
    )  # fmt: skip


def decode(data: bytes, kind: type, modes: Mapping[str, type], player: Player) -> SavedJam:
    """Return the saved jam of some bytes, for a jam of a kind with such a player.

    Raises ValueError for data that is not of it.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has {len(data):,} bytes, and may have {MAX_BYTES:,}")
    try:
        encoded = msgspec.msgpack.decode(data, type=_Encoded)
        settings = _settings(encoded.settings)
        parts = msgspec.msgpack.decode(encoded.parts, type=_of(kind)[0])
        mode = msgspec.msgpack.decode(encoded.mode, type=_of(modes[settings["mode"]])[0])
    except (msgspec.DecodeError, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from error
    state, players = player.unpack(encoded.player)
    if len(players) != len(encoded.snapshots):
        raise ValueError("its snapshots lack the player's part")
    for one in encoded.snapshots:
        of_others = any(not 0 <= index < player.voices for index, _ in one.phrases)
        if of_others or len(one.since_bases) != player.voices:
            raise ValueError("its snapshots are of another number of voices")
    snapshots = tuple(
        JamSnapshot(
            s.t, p, s.since_fed, s.turn, s.turn_used, s.since_bases,
            tuple((v, taken(encoded.proposals, runs, _MOST_TOUCHES)) for v, runs in s.phrases),
            s.planned_by, s.has_heard,
        )
        for s, p in zip(encoded.snapshots, players, strict=True)
    )  # fmt: skip
    numbers = [*encoded.recent, *encoded.stored.values()]
    numbers += [n for n in encoded.replaced.values() if n is not None]
    names = {*encoded.stored, *encoded.replaced}
    if not (all(0 <= n < len(snapshots) for n in numbers) and names <= set(MEMORIES)):
        raise ValueError("its snapshots are not those that it names")
    return SavedJam(
        settings, parts, mode, snapshots, tuple(encoded.recent), encoded.stored,
        encoded.replaced, state,
    )  # fmt: skip


def _as_number(value: Any) -> float:
    """Return a number of numpy's as one of Python's: a plan's touches may hold such."""
    if isinstance(value, float):
        return float(value)
    raise TypeError(f"{type(value).__name__} is no number")


def copied_settings(settings: Settings) -> dict[str, Any]:
    """Return the values of all controls."""
    return {name: getattr(settings, name) for name in SETTINGS}


def _settings(values: dict[str, Any]) -> dict[str, Any]:
    """Return controls in their canonical form. Raises ValueError."""
    if values.keys() != SETTINGS.keys():
        raise ValueError("its controls are those of another version")
    return {name: SETTINGS[name].check(value) for name, value in values.items()}


def _whose(turn: str) -> Whose:
    return "ai" if turn == "ai" else "human"


# -- attributes, by the types that STATE gives ------------------------------------------------


class _Attribute:
    """How an attribute of a type is copied and loaded, and the type of its copy."""

    def __init__(self, kind: Any) -> None:
        self.copy: Callable[[Any], Any] = _copier(kind)
        self.plain = _plain(kind)
        self._origin, self._kind = get_origin(kind) or kind, kind

    def load(self, item: Any, name: str, value: Any) -> None:
        """Give an object's attribute a value."""
        origin = self._origin
        if _has_state(origin):
            restore(getattr(item, name), value)
            return
        kinds = get_args(self._kind)
        if origin is list and _has_state(kinds[0]):
            objects = getattr(item, name)
            if len(objects) != len(value):
                raise ValueError(f"it has {len(value)} of {name}, and here are {len(objects)}")
            for each, saved in zip(objects, value, strict=True):
                restore(each, saved)
        elif origin is deque:
            present = getattr(item, name)
            present.clear()
            present.extend(value)
        elif origin is dict:  # the same one: others may hold it, or a view of it
            present = getattr(item, name)
            present.clear()
            queues = get_origin(kinds[1]) is deque
            present.update({k: deque(v) for k, v in value.items()} if queues else value)
        else:
            setattr(item, name, value)


@cache
def _of(kind: Any) -> tuple[type[Struct], dict[str, _Attribute]]:
    """Return the record of the state of a class, and its attributes."""
    state: dict[str, Any] = kind.STATE
    attributes = {name: _Attribute(of) for name, of in state.items()}
    fields = [(f"_{i}", each.plain) for i, each in enumerate(attributes.values())]
    record = msgspec.defstruct(
        f"{kind.__name__}State", fields, frozen=True, array_like=True,
        forbid_unknown_fields=True,
    )  # fmt: skip
    return record, attributes


def _has_state(kind: Any) -> bool:
    return isinstance(kind, type) and "STATE" in vars(kind)


def _plain(kind: Any) -> Any:
    """Return the type of the copy of a value."""
    if _has_state(kind):
        return _of(kind)[0]
    origin, kinds = get_origin(kind), get_args(kind)
    if origin is deque:
        return list[_plain(kinds[0])]  # type: ignore[misc]
    if origin is list:
        return list[_plain(kinds[0])]  # type: ignore[misc]
    if origin is dict:
        return dict[kinds[0], _plain(kinds[1])]  # type: ignore[valid-type,misc]
    return kind


def _copier(kind: Any) -> Callable[[Any], Any]:
    """Return what copies a value: deeply where a part of it may change."""
    if _has_state(kind):
        return save
    origin, kinds = get_origin(kind), get_args(kind)
    if origin in (list, deque):
        return _each(list, _copier(kinds[0]))
    if origin is dict:
        one = _copier(kinds[1])
        if one is _same:
            return dict
        return lambda items: {key: one(value) for key, value in items.items()}
    parts = kinds if origin in (Union, UnionType) else (kind,)
    return copy.copy if any(map(_changes, parts)) else _same


def _each(make: Callable[[Any], Any], one: Callable[[Any], Any]) -> Callable[[Any], Any]:
    if one is _same:
        return make
    return lambda items: make(map(one, items))


def _same(value: Any) -> Any:
    return value


def _changes(kind: Any) -> bool:
    """Return whether an object of a class may change, and is copied as a whole."""
    return is_dataclass(kind) and not getattr(kind, "__dataclass_params__").frozen  # noqa: B009
