"""State of a jam as plain data: all of it, and nothing that data of a stranger can spoil."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import is_dataclass
from typing import Any

import msgspec
import numpy as np
import pytest
from support.engine import MODEL
from support.players import RandomPlayer

from robojam.controls import MAX_SEED, MODES, Settings
from robojam.jam import saved
from robojam.jam.jam import Jam
from robojam.jam.modes import EARLIER_MODES
from robojam.jam.modes import MODES as MODE_CLASSES
from robojam.model.file import read
from robojam.player.player import ModelPlayer
from robojam.touch import Phase

#: Attributes that are no state: given when the object is made, and never changed, or made from
#: the state; by the name of the class.
MADE = {
    "Jam": "settings sink rules counts _modes mode _history visitors _prepare_at incomplete"
    " _upcoming _actions follows",
    "Timing": "_settings _clock quantum grid active",
    "Voices": "player settings clock _timing sink counts _turn_end _playing _queue",
    "Voice": "index who version",
    "FairTurns": "_regains visitors",
    "Fingers": "_since_fed _lifts",
    "Planning": "counts plan finished lead recorded _began",
    "ModelPlayer": "file device voices knobs _missing network _half_noise _half_noises"
    " _sampling _random _batch steps _faults _pressed _touch_noises",
    "MotifMemory": "",
    "Lookahead": "_stepper _rows _sample _sample_after _voices",
}
#: Attributes of a player, which has no table: its state is that of SavedPlayer.
OF_PLAYER = {
    "ModelPlayer": "_playing _call _answered _memory _stepper _lookahead _faulty _seed _counts",
    "MotifMemory": "landings _clock _position _shapes _rhythms _waiting _began _landing _stroke"
    " _times",
    "Lookahead": "_next _stepped_rows _following _unstepped _group _drawn _skipping",
}


def attributes(item: object) -> set[str]:
    slots = {s for kind in type(item).__mro__ for s in getattr(kind, "__slots__", ())}
    return (slots | set(getattr(item, "__dict__", {}))) - {"__weakref__"}


def walk(item: Any, found: dict[type, Any]) -> None:
    """Collect an object of each class of the jam that is reached from one."""
    if isinstance(item, list | tuple | deque | set):
        for each in item:
            walk(each, found)
    elif isinstance(item, dict):
        for each in item.values():
            walk(each, found)
    elif type(item).__module__.startswith("robojam.jam.") and type(item) not in found:
        found[type(item)] = item
        for name in attributes(item):
            walk(getattr(item, name), found)


def played(player: Any, mode: str, modes: Any = MODE_CLASSES, **settings: Any) -> Jam:
    """Return a jam in which a host and a visitor have played for some seconds."""
    jam = Jam(
        player, Settings(mode=mode, threshold=0.3, **settings), lambda _: None, modes=modes
    )
    rng = random.Random(3)
    jam.begin(5)
    jam.control(0.0, "visitor", "human2")
    t = 0.0
    for _ in range(12):
        who = rng.choice(("human", "human2"))
        for i in range(6):
            jam.finger(t, who, 0, Phase.MOVE if i else Phase.DOWN, rng.random(), rng.random())
            t += 0.03
        jam.control(t, "store", "A")
        t += rng.choice((0.05, 0.7))
        jam.advance(t)
    return jam


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("modes", [MODE_CLASSES, EARLIER_MODES])
def test_every_attribute_of_a_jam_is_state_or_is_made_from_it(mode, modes):
    if mode not in modes:
        return
    found: dict[type, Any] = {}
    walk(played(RandomPlayer(voices=2), mode, modes), found)
    for kind, item in found.items():
        is_value = is_dataclass(kind) and "STATE" not in vars(kind)
        if is_value or issubclass(kind, msgspec.Struct):
            continue  # a value, which is copied as a whole
        if kind.__name__ in ("History", "Counters"):
            continue  # Jam.save has what they hold
        known = set(getattr(kind, "STATE", ())) - {"playing"}
        made = set(MADE.get(kind.__name__, "").split())
        assert attributes(item) - {"STATE"} == known | made, kind
    assert {"Jam", "Voice", "DwellLimiter", "Planning"} <= {kind.__name__ for kind in found}


@pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
def test_every_attribute_of_a_player_is_state_or_is_made_from_it():
    player = ModelPlayer(read(MODEL), voices=8)
    for item in (player, player._memory, player._lookahead):
        name = type(item).__name__
        known = f"{MADE[name]} {OF_PLAYER[name]}".split()
        assert attributes(item) == set(known), name


def test_state_that_is_loaded_is_the_one_that_was_saved():
    jam = played(RandomPlayer(voices=2), "ensemble")
    data = saved.encode(jam.save(), jam.player)
    again = Jam(RandomPlayer(voices=2), Settings(), lambda _: None)
    again.load(data)
    assert saved.encode(again.save(), again.player) == data
    assert again.memories == ("A",)
    assert again.visitors == {"human2"}


@pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
@pytest.mark.parametrize("seed", [0, MAX_SEED])
def test_state_of_any_seed_can_be_loaded(seed):
    player = ModelPlayer(read(MODEL))
    jam = played(player, "call-response")
    jam.control(jam.t, "seed", seed)
    jam.control(jam.t, "store", "A")  # a stored memory has the seed, too
    data = saved.encode(jam.save(), player)
    again = Jam(ModelPlayer(player.file), Settings(), lambda _: None)
    again.load(data)
    assert saved.encode(again.save(), again.player) == data


def test_what_is_saved_does_not_change_with_the_jam():
    jam = played(RandomPlayer(voices=2), "duet")
    state = jam.save()
    before = saved.encode(state, jam.player)
    jam.finger(jam.t, "human3", 0, Phase.DOWN, 0.5, 0.5)
    jam.control(jam.t, "store", "B")
    jam.advance(jam.t + 3.0)
    assert saved.encode(state, jam.player) == before


def changed(value: Any, rng: random.Random) -> Any:
    """Return plain data with one thing in it changed."""
    if isinstance(value, bytes) and len(value) > 8 and rng.random() < 0.5:
        data = bytearray(value)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(data)
    if isinstance(value, list) and value and rng.random() < 0.9:
        i = rng.randrange(len(value))
        if rng.random() < 0.2:
            return [*value[:i], *value[i + 1 :]]
        return [*value[:i], changed(value[i], rng), *value[i + 1 :]]
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        return value | {key: changed(value[key], rng)}
    return rng.choice((None, -1, 10**12, 1e300, float("nan"), float("inf"), "x", b"x", [], {}))


@pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
@pytest.mark.parametrize("voices", [1, 8])
def test_data_of_another_form_is_refused_or_can_be_played_on(voices):
    file = read(MODEL)
    player = ModelPlayer(file, voices=voices)
    data = saved.encode(played(player, "call-response").save(), player)
    plain = msgspec.msgpack.decode(data)
    refused = 0
    for seed in range(300):
        rng = random.Random(seed)
        spoilt = dict(plain)
        field = rng.choice(list(plain))
        if field in ("parts", "mode", "player") and rng.random() < 0.8:
            inner = msgspec.msgpack.decode(spoilt[field])
            spoilt[field] = msgspec.msgpack.encode(changed(inner, rng))
        else:
            spoilt = changed(spoilt, rng)
        jam = Jam(player, Settings(), lambda _: None)
        try:
            jam.load(msgspec.msgpack.encode(spoilt))
        except ValueError:
            refused += 1
            continue
        jam.finger(jam.t, "human", 0, Phase.DOWN, 0.5, 0.5)
        jam.finger(jam.t, "human", 0, Phase.UP)
        player.reset()
    assert refused > 100
    for data in (b"", b"\x00", b"\xff" * 100, b"x" * 1000):
        with pytest.raises(ValueError, match=r"."):
            Jam(player, Settings(), lambda _: None).load(data)


def test_state_of_another_number_of_voices_is_refused():
    jam = played(RandomPlayer(voices=2), "call-response")
    data = saved.encode(jam.save(), jam.player)
    with pytest.raises(ValueError, match=r"voices|all"):
        Jam(RandomPlayer(voices=3), Settings(), lambda _: None).load(data)


def test_number_of_numpy_in_a_plan_is_saved_as_it_is():
    assert saved._as_number(np.float64(0.1)) == 0.1
    with pytest.raises(TypeError, match="is no number"):
        saved._as_number(object())
