"""Mapped knobs for who asks: what is answered, to whom, and that values go on in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.engine import HAND, DrivenEngine
from support.players import ScriptedPlayer, land, slide

from robojam.config.map_table import parse_map

FAR = ("203.0.113.7", 4567)
OUT = {
    "cutoff": {"target": "cc 43", "source": "y", "to": [110, 20]},
    "tone": {"target": "osc /tone", "source": "x", "who": "humans", "smooth": 0.1},
}
SCENES = {"calm": {}, "wild": {"cutoff": {"to": [127, 0]}}}


def jam(folder: Path, out: Any = OUT, scene: Any = SCENES) -> DrivenEngine:
    table = parse_map({"out": out, "scene": scene})
    player = ScriptedPlayer(land(0.05, 0.25, 0.5), slide(0.05, 0.5, 0.25))
    return DrivenEngine(folder, player, threshold=0.1, response=0.22, map=table)


def ask(engine: DrivenEngine) -> dict[str, Any]:
    engine.send("/robojam/map/knobs")
    (answer,) = [m for m in engine.take() if m.name == "map/knobs" and m.to == HAND]
    told: dict[str, Any] = json.loads(answer.args[0])
    return told


def values(engine: DrivenEngine) -> list[Any]:
    return [row[-1] for row in ask(engine)["knobs"]]


def test_answer_names_every_knob_with_its_range_and_value_and_the_scenes(tmp_path):
    engine = jam(tmp_path)
    assert ask(engine) == {
        "knobs": [
            ["cutoff", "cc 43", "y", "machine", 110.0, 20.0, None],
            ["tone", "osc /tone", "x", "humans", 0.0, 1.0, None],
        ],
        "scenes": ["calm", "wild"],
        "left_out": 0,
    }
    engine.send("/robojam/down", "iff", 1, 0.75, 0.5)
    engine.wait(2.0)
    assert values(engine) == [
        88.0,
        0.75,
    ]  # the machine ended at 0.25: no output of MIDI is here


def test_values_follow_scenes_and_amounts_while_nobody_plays(tmp_path):
    engine = jam(tmp_path)
    engine.send("/robojam/down", "iff", 1, 0.75, 0.5)
    engine.wait(2.0)
    assert values(engine) == [88.0, 0.75]
    engine.send("/robojam/scene", "s", "wild")
    engine.wait(0.05)
    assert ask(engine)["knobs"][0][4:] == [127.0, 0.0, 95.0]
    engine.send("/robojam/map/amount", "sf", "cutoff", 0.5)
    engine.wait(0.05)
    assert ask(engine)["knobs"][0][4:] == [127.0, 0.0, 111.0]  # the range stays


def test_smoothed_value_moves_between_requests_and_begins_where_it_is_after_a_rest(tmp_path):
    engine = jam(tmp_path, {"tone": OUT["tone"]}, {})
    engine.send("/robojam/mode", "s", "listen")
    engine.send("/robojam/down", "iff", 1, 0.0, 0.5)
    assert values(engine) == [0.0]
    engine.wait(0.05)
    engine.send("/robojam/move", "iff", 1, 1.0, 0.5)
    assert values(engine) == [0.0]  # it begins now
    assert values(engine) == [0.0]  # the same answer, a moment later
    engine.wait(0.1)
    assert values(engine) == [pytest.approx(0.632, abs=0.001)]
    engine.wait(5.0)
    engine.send("/robojam/move", "iff", 1, 0.5, 0.5)
    assert values(engine) == [0.5]


def test_other_machine_is_answered_with_its_cookie_alone(tmp_path):
    engine = jam(tmp_path)
    engine.send("/robojam/map/knobs", sender=FAR)
    assert [m.name for m in engine.take()] == ["cookie"]
    engine.request("map/knobs", "", sender=FAR)
    (answer,) = [m for m in engine.take() if m.name == "map/knobs"]
    assert answer.to == FAR


def test_answer_fits_in_a_packet_and_says_how_many_knobs_it_lacks(tmp_path):
    out = {
        f"{i:02}{'名' * 38}": {"target": "osc /" + "a" * 60, "source": "x"} for i in range(64)
    }
    engine = jam(tmp_path, out, {})
    engine.send("/robojam/map/knobs")
    (answer,) = [m for m in engine.take() if m.name == "map/knobs"]
    told = json.loads(answer.args[0])
    assert len(answer.args[0].encode()) <= 9000
    assert told["left_out"] > 0
    assert len(told["knobs"]) + told["left_out"] == 64


def test_jam_without_a_map_says_so(tmp_path):
    engine = jam(tmp_path, {}, {})
    assert ask(engine) == {"knobs": [], "scenes": [], "left_out": 0}
    engine.send(
        "/robojam/map/knobs", "s", '{"knobs": []}'
    )  # another engine's answer, in a loop
    assert engine.status()["dropped"] == {"echo": 1}
