"""Knobs of a jam: at receivers of OSC, on a clock that the test turns, and over UDP."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.engine import OUT, Client, DrivenEngine, Sent, serving
from support.players import ScriptedPlayer, land, slide

from robojam.config.map_table import parse_map
from robojam.mapping.knob import INTERVAL

CHANGED = {"a": {"target": "osc /a", "source": "x"}}


def jam(
    folder: Path, knobs: dict[str, Any] = CHANGED, *script: Any, scene: Any = (), **more: Any
) -> DrivenEngine:
    """Make a jam with knobs, whose machine answers after a tenth of a second."""
    table = parse_map({"out": knobs, "scene": dict(scene)})
    player = ScriptedPlayer(*(script or (land(0.05, 0.25, 0.75), slide(0.05, 0.5, 0.25))))
    return DrivenEngine(folder, player, threshold=0.1, response=0.22, map=table, **more)


def play(engine: DrivenEngine, seconds: float = 2.0) -> None:
    """Play a touch, and wait for the answer."""
    engine.send("/robojam/down", "iff", 1, 0.9, 0.5)
    engine.send("/robojam/up", "i", 1)
    engine.wait(seconds)


def values(sent: list[Sent], address: str = "/a") -> list[float]:
    return [m.args[0] for m in sent if m.address == address]


def test_knob_is_sent_at_the_instant_of_the_touch_and_after_it(tmp_path):
    engine = jam(tmp_path)
    play(engine)
    sent = [m for m in engine.take() if m.to == OUT]
    touches = [m for m in sent if m.name in ("ai/down", "ai/move")]
    knobs = [m for m in sent if m.address == "/a"]
    assert [m.args[0] for m in knobs] == [touch.args[1] for touch in touches]
    assert [m.at for m in knobs] == [touch.at for touch in touches]
    assert [m.address for m in sent[:2]] == ["/robojam/ai/down", "/a"]
    assert {m.tags for m in knobs} == {"f"}


def test_knob_of_the_humans_follows_them_alone(tmp_path):
    engine = jam(tmp_path, {"a": {"target": "osc /a", "source": "y", "who": "humans"}})
    engine.send("/robojam/down", "iff", 1, 0.5, 0.25)
    assert values(engine.take()) == [0.25]
    engine.wait(2.0)
    assert values(engine.take()) == []


def test_smoothed_knob_goes_on_between_touches_and_then_nothing_is_due(tmp_path):
    engine = jam(tmp_path, {"a": {"target": "osc /a", "source": "x", "smooth": 0.02}})
    play(engine, 5.0)
    knobs = [m for m in engine.take() if m.address == "/a"]
    assert len(knobs) > 20
    assert all(two.at - one.at >= INTERVAL - 1e-9 for one, two in pairwise(knobs))
    assert knobs[-1].args == (0.5,)
    assert engine.engine.advance() > 1.0


def test_panic_moves_no_knob_that_does_not_follow_the_finger(tmp_path):
    engine = jam(tmp_path)
    play(engine, 0.17)
    assert values(engine.take()) == [0.25]
    engine.send("/robojam/panic")
    engine.wait(1.0)
    assert values(engine.take()) == []


def test_turn_is_a_knob(tmp_path):
    engine = jam(tmp_path, {"a": {"target": "osc /a", "source": "turn"}})
    play(engine)
    assert values(engine.take()) == [1.0, 0.0]


def test_morph_and_scene_change_how_values_are_made_and_morph_is_recorded(tmp_path):
    scene = {"low": {}, "middle": {"a": {"to": [0, 10]}}, "high": {"a": {"to": [0, 100]}}}
    engine = jam(tmp_path, scene=scene)
    play(engine)
    assert values(engine.take())[-1] == 0.5
    engine.send("/robojam/scene", "s", "high")
    engine.wait(1.0)
    sent = engine.take()
    assert values(sent) == [50.0]
    assert engine.status()["morph"] == 1.0
    engine.send("/robojam/morph", "f", 0.25)
    engine.wait(1.0)
    assert values(engine.take()) == [2.75]
    engine.send("/robojam/scene", "s", "loud")
    assert engine.status()["dropped"] == {"unknown scene": 1}
    changes = [e.values for e in engine.end().events if hasattr(e, "values")]
    assert [c for c in changes if "morph" in c] == [{"morph": 1.0}, {"morph": 0.25}]
    assert not any("scene" in c for c in changes)


def test_scene_of_a_jam_without_scenes_is_refused(tmp_path):
    engine = jam(tmp_path)
    engine.send("/robojam/scene", "s", "dark")
    assert engine.status()["dropped"] == {"unknown scene": 1}


def test_amount_of_a_knob_is_set_by_osc_recorded_and_told_to_monitors(tmp_path):
    rows = {
        "a": {"target": "osc /a", "source": "x"},
        "b, c": {"target": "osc /b", "source": "x"},
    }
    engine = jam(tmp_path, rows)
    play(engine)
    assert values(engine.take())[-1] == 0.5
    engine.send("/robojam/subscribe", "i", 7000)
    engine.send("/robojam/map/amount", "sf", "a", 0.5)
    engine.send("/robojam/map/amount", "si", "b, c", 0)
    engine.wait(1.0)
    sent = engine.take()
    assert (values(sent), values(sent, "/b")) == ([0.25], [0.0])
    told = [m.args[0] for m in sent if m.name == "amount"]
    assert told == ["", "a=0.5", "a=0.5,b, c=0"]
    engine.send("/robojam/amount", "s", "a=1")
    engine.wait(1.0)
    assert values(engine.take()) == [0.5]
    engine.send("/robojam/map/amount", "sf", "d", 0.5)
    engine.send("/robojam/map/amount", "sf", "a", 1.5)
    assert engine.status()["dropped"] == {"unknown knob": 1, "unknown amount": 1}
    changes = [e.values for e in engine.end().events if hasattr(e, "values")]
    assert [c["amount"] for c in changes if "amount" in c][-1] == "b, c=0"


def test_jam_begins_with_the_amounts_of_its_option_and_a_scene_keeps_them(tmp_path):
    scene = {"low": {}, "high": {"a": {"to": [0, 100]}}}
    engine = jam(tmp_path, scene=scene, amount="a=0.5")
    play(engine)
    assert values(engine.take())[-1] == 0.25
    engine.send("/robojam/scene", "s", "high")
    engine.wait(1.0)
    assert values(engine.take()) == [25.0]


def test_jam_begins_at_the_place_of_its_option(tmp_path):
    scene = {"low": {}, "high": {"a": {"to": [0, 100]}}}
    engine = jam(tmp_path, scene=scene, morph=1.0)
    play(engine)
    assert values(engine.take())[-1] == 50.0


def test_knob_goes_to_the_receiver_that_its_row_names(tmp_path):
    engine = jam(tmp_path, CHANGED | {"b": {**CHANGED["a"], "port": "127.0.0.1:9001"}})
    play(engine)
    to = {m.to for m in engine.take() if m.address == "/a"}
    assert to == {OUT, ("127.0.0.1", 9001)}


def test_jam_without_a_table_has_no_output_for_knobs(tmp_path):
    plain = DrivenEngine(tmp_path, ScriptedPlayer(land(0.05), slide(0.05)))
    assert len(plain.engine._publisher.outputs) == 1


@pytest.mark.parametrize("latency", [0, 30])
def test_knob_meets_the_touches_of_its_output(tmp_path, latency):
    """An output of which it is known that it sounds late gets touches and knobs early."""
    to = (f"127.0.0.1:9000?latency={latency}", "127.0.0.1:9001")
    engine = jam(tmp_path, osc_out=to)
    play(engine)
    sent = engine.take()
    touches = [(m.at, m.to) for m in sent if m.name in ("ai/down", "ai/move")]
    assert [(m.at, m.to) for m in sent if m.address == "/a"] == touches


def test_faders_of_osc_are_a_finger_that_lands_slides_and_lifts(tmp_path):
    table = parse_map(
        {
            "in": {
                "a": {"source": "osc /1/fader1", "target": "x"},
                "b": {"source": "osc /1/fader2", "target": "pressure"},
                "c": {"source": "osc /1/fader3", "target": "follow"},
            }
        }
    )
    engine = DrivenEngine(tmp_path, ScriptedPlayer(land(9.0)), map=table, mode="listen")
    engine.send("/1/fader2", "f", 0.5)
    engine.send("/1/fader1", "f", 0.25)
    for x in (0.5, 0.75):
        engine.wait(0.05)
        engine.send("/1/fader1", "f", x)
    engine.send("/1/fader3", "f", 1.0)
    engine.wait(1.0)
    assert engine.status()["follow"] == 1.0
    touches = [e.touch for e in engine.end().touches()]
    assert [(t.phase.value, t.x, t.y) for t in touches] == [
        ("down", 0.25, 0.5),
        ("move", 0.5, 0.5),
        ("move", 0.75, 0.5),
        ("up", 0.75, 0.5),
    ]
    assert [t.pressure for t in touches] == [0.5, 0.5, 0.5, None]


def test_fader_of_another_machine_plays_and_controls_nothing(tmp_path):
    table = parse_map(
        {
            "in": {
                "a": {"source": "osc /x", "target": "x"},
                "c": {"source": "osc /c", "target": "follow"},
            }
        }
    )
    engine = DrivenEngine(tmp_path, ScriptedPlayer(land(9.0)), map=table)
    beyond = ("10.0.0.7", 4000)
    engine.send("/x", "f", 0.25, sender=beyond)
    engine.send("/c", "f", 1.0, sender=beyond)
    engine.wait(0.1)
    status = engine.status()
    assert status["follow"] == 0.5
    assert status["dropped"] == {"not allowed": 1}
    assert [p["source"] for p in status["players"]] == ["10.0.0.7"]


def test_running_engine_sends_knobs_by_udp_to_its_output_and_to_a_receiver(tmp_path):
    receiver = Client(("127.0.0.1", 0))
    rig = tmp_path / "rig.toml"
    rig.write_text(
        "[map.out]\n"
        'x = { target = "osc /knob/x", source = "x" }\n'
        f'y = {{ target = "osc /knob/y", source = "y", port = "127.0.0.1:{receiver.port}" }}\n'
    )
    try:
        with serving(tmp_path, "--config", str(rig), "--mode", "solo", "--seed", "3") as e:
            e.out.until(lambda: len(values(e.out.received, "/knob/x")) > 20)
            receiver.until(lambda: len(values(receiver.received, "/knob/y")) > 20)
            xs = values(e.out.received, "/knob/x")
            touched = [m.args[1] for m in e.out.received if m.name in ("ai/down", "ai/move")]
            changed = [x for n, x in enumerate(touched) if not n or x != touched[n - 1]]
            assert xs[:15] == changed[:15]
            assert not values(e.out.received, "/knob/y")
    finally:
        receiver.close()


def test_end_sends_the_last_value_of_a_movement(tmp_path):
    engine = jam(tmp_path, {"a": {"target": "osc /a", "source": "x", "who": "humans"}})
    engine.send("/robojam/down", "iff", 1, 0.25, 0.5)
    engine.now += INTERVAL / 4
    engine.send("/robojam/move", "iff", 1, 0.75, 0.5)
    assert values(engine.take()) == [0.25]  # the second one comes too soon after it
    engine.end()
    assert values(engine.take()) == [0.75]
