"""The machine's part of recordings regenerated, event by event and byte by byte."""

import random
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs
from support.engine import MODEL, DrivenEngine, playing
from support.players import PlanningPlayer, RandomPlayer
from support.recordings import DOWN, HEADER
from support.steppers import needs_numba

from robojam.engine import live_jam, takes
from robojam.jam.jam import RULES, Jam
from robojam.sessions.regenerate import first_difference, missing_parts, regenerate
from robojam.sessions.session import (
    EndEvent,
    ModelRef,
    Session,
    SetEvent,
    TouchEvent,
    encode,
    encode_header,
    parse,
)
from robojam.touch import Phase
from robojam.wire import osc
from robojam.wire.native import PitchedFinger

HOSTS = ("127.0.0.1", "127.0.0.2", "10.0.0.3")
MODES = ("call-response", "duet", "solo", "listen", "ensemble", "battle", "polyphony")


def other(voices: int) -> RandomPlayer:
    player = RandomPlayer(voices=voices)
    player.set_sampling(temperature=0.5, spread=0.5)
    return player


def one_step(driven: DrivenEngine, chance: random.Random) -> None:
    """Send one random packet, sensible or not."""
    sender = (chance.choice(HOSTS), chance.randrange(1000, 9999))
    x, y = chance.uniform(-0.1, 1.1), chance.random()
    what = chance.random()
    if what < 0.6:
        phase = chance.choice(("down", "move", "move", "move"))
        driven.send(
            f"/robojam/{phase}", "iff", chance.choice((0, 0, 0, 1, 1000)), x, y, sender=sender
        )
    elif what < 0.68:
        driven.send("/robojam/up", "i", chance.choice((0, 0, 1)), sender=sender)
    elif what < 0.76:
        driven.send("/touch", "ff", x, y, sender=sender)
    elif what < 0.84:
        dt = chance.choice((0.0, 0.01, 0.09, 0.11, 3.0, 1e6))
        driven.send("/touch", "ffd", x, y, dt, sender=sender)
    elif what < 0.9:
        driven.raw(chance.choice((b"", b"noise", b"/robojam/up\0,i\0", osc.encode("/x"))))
        driven.send("/robojam/status", sender=sender)
    else:
        name, tags, values = chance.choice(CONTROLS)
        driven.send(
            f"/robojam/{name}", tags, *([chance.choice(values)] if tags else []), sender=sender
        )


CONTROLS = (
    ("mode", "s", MODES),
    ("mode", "s", MODES),
    ("temperature", "f", (0.0, 0.7, 1.3)),
    ("spread", "f", (0.0, 0.7, 1.3)),
    ("timescale", "f", (0.5, 1.0, 2.0)),
    ("threshold", "f", (0.02, 0.15, 0.5, 1.0)),
    ("response", "f", (0.0, 0.5, 2.0)),
    ("follow", "f", (0.0, 0.5, -1.0)),
    ("memory", "f", (0.0, 1.0)),
    ("pause", "i", (0, 1, 0)),
    ("answer", "", ()),
    ("reset", "", ()),
    ("panic", "", ()),
    ("seed", "h", (1, 2**62)),
    ("model", "s", ("b.safetensors", "a.safetensors", "none")),
    ("back", "f", (0.0, 0.5, 3.0, 60.0)),
    ("back", "f", (1.0, 2.0)),
    ("store", "s", ("A", "b")),
    ("undo_store", "s", ("A", "b")),
    ("recall", "s", ("A", "B", "C")),
    ("subscribe", "i", (4001, 4002)),
)


def slow_down(
    player: Any, driven: DrivenEngine, chance: random.Random, *, unit: float = 0.0001
) -> None:
    """Have each step of a plan take one to five units (seconds) of the engine's time."""
    begin_plan = player.plan

    def plan(*voices: Any, **wanted: Any) -> Any:
        begun = begin_plan(*voices, **wanted)
        if begun is not None:
            make_step = begun.step

            def step() -> bool:
                driven.now += unit * chance.choice((1, 2, 3, 5))
                return make_step()

            begun.step = step
        return begun

    player.plan = plan


def scenario(folder: Path, seed: int, *, make=RandomPlayer, another=other, voices=1) -> Session:
    """Play a random jam of about twenty seconds, on a loop that wakes late now and then."""
    chance = random.Random(seed)
    mode = chance.choice(MODES[:5])
    player = make(voices=voices)
    driven = DrivenEngine(folder, player, mode=mode, voices=voices, threshold=0.15)
    if isinstance(player, PlanningPlayer):
        player.plan_steps = chance.choice((1, 20, 100, 300))
    slow_down(player, driven, chance)
    driven.models = {
        "a.safetensors": lambda: playing(make(voices=voices)),
        "b.safetensors": lambda: playing(another(voices=voices), "b.safetensors", "0b"),
    }

    def late() -> float:
        return chance.choice((0.0, 0.0, 0.0003, 0.004, 0.1, 0.8))

    for _ in range(150):
        one_step(driven, chance)
        driven.wait(chance.choice((0.0, 0.005, 0.02, 0.02, 0.05, 0.12, 0.3, 0.9)), late)
    return driven.end()


def regenerated(session: Session, voices: int = 1) -> list[object]:
    player = RandomPlayer(voices=voices)
    return list(regenerate(session, player, lambda ref: load_again(ref, voices)))


def load_again(ref: dict[str, str], voices: int) -> RandomPlayer:
    return other(voices) if ref["file"] == "b.safetensors" else RandomPlayer(voices=voices)


@pytest.mark.parametrize("seed", range(40))
def test_regenerated_session_is_the_recorded_one_byte_for_byte(seed, tmp_path):
    voices = 1 + 2 * (seed % 2)
    session = scenario(tmp_path, seed, voices=voices)
    made = regenerated(session, voices)
    assert first_difference(session, made) is None
    lines = [encode_header(session.header), *map(encode, made)]
    assert b"".join(lines) == session.path.read_bytes()
    assert len(session.events) > 50


def planning_other(voices: int) -> PlanningPlayer:
    player = PlanningPlayer(voices=voices)
    player.set_sampling(temperature=0.5, spread=0.5)
    return player


@pytest.mark.parametrize("seed", range(60))
def test_session_with_planned_phrases_is_regenerated_whatever_there_was_time_for(
    seed, tmp_path
):
    voices = 1 + 2 * (seed % 2)
    session = scenario(
        tmp_path, seed, make=PlanningPlayer, another=planning_other, voices=voices
    )

    def load(ref):
        is_other = ref["file"] == "b.safetensors"
        return (planning_other if is_other else PlanningPlayer)(voices=voices)

    player = PlanningPlayer(voices=voices, plan_steps=1 + seed)
    made = list(regenerate(session, player, load))
    assert first_difference(session, made) is None
    lines = [encode_header(session.header), *map(encode, made)]
    assert b"".join(lines) == session.path.read_bytes()


def test_random_sessions_hold_plans_of_both_kinds(tmp_path):
    names = set()
    for seed in range(12):
        folder = tmp_path / str(seed)
        folder.mkdir()
        session = scenario(folder, seed, make=PlanningPlayer, another=planning_other)
        for event in session.events:
            if isinstance(event, SetEvent):
                names |= {(n, v > 0) for n, v in event.values.items() if n.startswith("plan")}
    assert names == {("planning", True), ("planned", True), ("planned", False)}


@pytest.mark.parametrize("seed", range(4))
def test_session_of_a_killed_engine_is_regenerated_as_far_as_it_goes(seed, tmp_path):
    whole = scenario(tmp_path, seed)
    lines = whole.path.read_bytes().splitlines(keepends=True)
    for kept in (1, 2, len(lines) // 3, len(lines) // 2, len(lines) - 1):
        while b'"who":"ai' in lines[kept - 1] and b'"up"' in lines[kept - 1]:
            kept -= 1  # the human's touch that ended the machine's turn may be the next line
        killed = parse(b"".join(lines[:kept]) + lines[kept - 1][:9].strip())
        made = regenerated(killed)
        assert first_difference(killed, made) is None, kept
        assert made[: kept - 1] == list(killed.events)


def test_going_back_to_before_the_take_is_going_back_to_its_beginning(tmp_path):
    driven = DrivenEngine(tmp_path)
    driven.send("/robojam/reset")  # the take has not begun, and its seed is not drawn
    driven.send("/robojam/answer")
    driven.send("/robojam/back", "f", 0.5)
    driven.send("/robojam/mode", "s", "solo")
    driven.wait(2.0)
    session = driven.end()
    assert len(session.events) > 5
    assert first_difference(session, regenerated(session)) is None


def test_altered_touch_changes_the_machines_part_after_it_only(tmp_path):
    driven = DrivenEngine(tmp_path)
    for i in range(40):
        driven.send("/robojam/move", "iff", 0, i / 40, 0.5)
        driven.wait(0.03)
        if i % 10 == 9:
            driven.wait(2.0)
    session = driven.end()
    humans = [i for i, e in enumerate(session.events) if isinstance(e, TouchEvent)
              and e.touch.who == "human" and e.touch.phase is not Phase.UP]  # fmt: skip
    at = humans[28]
    was = session.events[at]
    touched = structs.replace(was.touch, x=0.9, y=0.1)
    events = [*session.events[:at], TouchEvent(was.t, touched), *session.events[at + 1 :]]
    made = regenerated(replace(session, events=tuple(events)))
    assert made[:at] == list(session.events[:at])
    assert made[at] == TouchEvent(was.t, touched)
    played = [
        {e for e in part if isinstance(e, TouchEvent) and e.touch.who == "ai" and e.t > was.t}
        for part in (session.events, made)
    ]
    assert played[0]
    assert played[1]
    assert not played[0] & played[1]


def test_pressure_is_recorded_and_regenerated_and_has_no_effect_on_the_machine(tmp_path):
    sessions = []
    for folder, pressures in (("plain", [None] * 4), ("pressed", [0.75, None, 0.0, 1.0])):
        (tmp_path / folder).mkdir()
        driven = DrivenEngine(tmp_path / folder)
        for i, pressure in enumerate(pressures):
            finger = PitchedFinger(Phase.MOVE, 1, 48.0 + i, 0.5, pressure=pressure)
            driven.engine._handle(finger, "midi:keyboard", driven.now)
            driven.wait(0.03)
        driven.wait(2.0)
        sessions.append(driven.end())
    plain, pressed = sessions
    assert regenerated(pressed) == list(pressed.events)
    humans = [event.touch for event in pressed.touches("human")]
    assert [touch.pressure for touch in humans] == [
        0.75,
        None,
        0.0,
        1.0,
        None,
    ]  # the last is the up
    without = [
        structs.replace(e, touch=structs.replace(e.touch, pressure=None))
        for e in pressed.touches()
    ]
    assert without == list(plain.touches())


def test_recording_closed_with_fingers_down_is_regenerated(tmp_path):
    driven = DrivenEngine(tmp_path, mode="duet")
    for i in range(20):
        driven.send("/robojam/move", "iff", 0, i / 40, 0.5)
        driven.wait(0.03)
    driven.send("/robojam/record", "i", 0)
    driven.wait(1.0)
    session = driven.end()
    assert session.ended == "record 0"
    assert session.events[-2].touch.phase is not Phase.UP
    assert first_difference(session, regenerated(session)) is None


def test_panic_before_the_first_touch_is_part_of_the_take(tmp_path):
    driven = DrivenEngine(tmp_path)
    driven.send("/robojam/panic")
    driven.send("/robojam/mode", "s", "solo")
    driven.wait(1.0)
    driven.send("/robojam/down", "iff", 0, 0.5, 0.5)
    driven.wait(2.0)
    session = driven.end()
    assert [e.touch.who for e in session.touches()] == ["human", "human"]
    assert first_difference(session, regenerated(session)) is None


def test_second_take_is_regenerated_with_the_model_it_was_played_with(tmp_path):
    driven = DrivenEngine(tmp_path)
    driven.models["b.safetensors"] = lambda: playing(other(1), "b.safetensors", "0b")
    driven.send("/robojam/down", "iff", 0, 0.5, 0.5)
    driven.send("/robojam/model", "s", "b.safetensors")
    driven.wait(2.0)
    driven.send("/robojam/record", "i", 1)
    driven.send("/robojam/down", "iff", 0, 0.5, 0.5)
    driven.wait(3.0)
    session = driven.end()
    assert session.header.model == ModelRef("b.safetensors", "0b")
    assert session.header.options["model"] == "b.safetensors"
    made = list(regenerate(session, other(1), lambda ref: other(1)))
    assert first_difference(session, made) is None


@pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
@pytest.mark.parametrize("voices", [1, 3, 9])
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=needs_numba)])
def test_take_of_the_default_model_is_regenerated(compiled, voices, tmp_path):
    from robojam.engine.model_loader import load, one_thread

    one_thread()

    def real(voices=voices):
        return load(MODEL, device="cpu", voices=voices, compiled=compiled).player

    session = scenario(tmp_path, 11 + voices, make=real, another=real, voices=voices)
    made = list(regenerate(session, real(), lambda ref: real()))
    assert first_difference(session, made) is None


@pytest.mark.parametrize("voices", [1, 3])
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=needs_numba)])
def test_answers_that_a_model_has_planned_are_regenerated(compiled, voices, tmp_path):
    from robojam.engine.model_loader import load, one_thread

    one_thread()

    def real(_ref=None):
        model = MODEL.with_name("small.safetensors")
        return load(model, device="cpu", voices=voices, compiled=compiled).player

    player, chance = real(), random.Random(voices)
    driven = DrivenEngine(tmp_path, player, voices=voices, response=4.0)
    slow_down(player, driven, chance, unit=0.0003)
    acts = [
        (), ("answer", ""), ("temperature", "f", 0.9), ("pause", "i", 1), ("pause", "i", 0),
        ("follow", "f", -0.5), ("answer", ""), ("back", "f", 2.0), ("store", "s", "A"), (),
        ("recall", "s", "A"), ("answer", ""),
    ]  # fmt: skip
    for act in acts:
        for n in range(30):
            x, y = chance.random(), chance.random()
            driven.send(f"/robojam/{'move' if n % 9 else 'down'}", "iff", 0, x, y)
            driven.wait(0.02)
        # An answer that is asked for begins before its plan is finished.
        driven.wait(0.05 if "answer" in act else chance.choice((0.1, 0.3, 1.0)))
        if act:
            driven.send(f"/robojam/{act[0]}", *act[1:])
        driven.wait(chance.choice((1.5, 5.0)))
    session = driven.end()
    changes = [event.values for event in session.events if isinstance(event, SetEvent)]
    leads = [values["planned"] for values in changes if "planned" in values]
    assert len(leads) >= 6
    assert min(leads) == 0 < max(leads)
    made = list(regenerate(session, real(), real))
    assert first_difference(session, made) is None


def test_recording_by_the_first_rules_of_turns_regenerates_and_by_newer_ones_says_so(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(live_jam, "Jam", partial(Jam, rules=1))
    monkeypatch.setattr(takes, "RULES", 1)
    driven = DrivenEngine(tmp_path, threshold=0.5, response=2.0)
    driven.engine.live.use(driven.loaded)
    driven.engine.live.renew()
    for i in range(250):  # a crowd in which each touches once, beside a host's phrases
        driven.send("/robojam/down", "iff", 0, i / 250, 0.5, sender=(f"10.0.0.{i}", 4000))
        if i % 70 == 0:
            driven.send("/robojam/down", "iff", 1, 0.5, 0.5)
        driven.wait(0.15)
    recorded = driven.end()
    assert "rules" not in msgspec.json.decode(recorded.path.read_bytes().splitlines()[0])
    assert sum("visitor" in e.values for e in recorded.events if isinstance(e, SetEvent)) > 99

    def made(session: Session) -> list[Any]:
        return list(regenerate(session, RandomPlayer(), lambda _: RandomPlayer()))

    assert first_difference(recorded, made(recorded)) is None
    assert list(missing_parts(recorded)) == []
    newer = replace(recorded, header=structs.replace(recorded.header, rules=RULES))
    assert first_difference(newer, made(newer)) is not None
    newest = replace(recorded, header=structs.replace(recorded.header, rules=RULES + 1))
    assert [line for line in missing_parts(newest) if "newer robojam" in line]


def test_recording_that_lacks_events_is_made_again_as_far_as_possible_and_says_so(tmp_path):
    driven = DrivenEngine(tmp_path, mode="duet")
    for i in range(20):
        driven.send("/robojam/move", "iff", 1, i / 20, 0.5)
        driven.wait(0.05)
    complete = driven.end()
    assert list(missing_parts(complete)) == []
    lines = complete.path.read_bytes().splitlines(keepends=True)
    lines[9] = lines[9][:20] + b"\0" + lines[9][21:]
    damaged = parse(b"".join(lines))
    (said,) = missing_parts(damaged)
    assert said.startswith("1 damaged line left out, the first is line 10: ")
    made = list(regenerate(damaged, RandomPlayer(), lambda _: RandomPlayer()))
    assert made[:5] == list(complete.events[:5])
    lines[0] = lines[0].replace(b"}\n", b',"continues":"a.jsonl"}\n')
    _, said = missing_parts(parse(b"".join(lines)))
    assert "the jam began in 'a.jsonl'" in said


def test_recording_in_which_the_machine_would_play_for_years_is_refused() -> None:
    header = msgspec.structs.replace(HEADER, options={"mode": "solo"})
    session = Session(header, (DOWN, EndEvent(9e8, "quit")))
    player = RandomPlayer(voices=1)
    with pytest.raises(ValueError, match="the recording has 2: it would go on for too long"):
        list(regenerate(session, player, lambda _: player))
