"""A jam that goes on from its recording plays what it would have played."""

from __future__ import annotations

import random
from itertools import product

import msgspec
import pytest
from support.engine import MODEL, DrivenEngine, playing, recording, recordings
from support.players import RandomPlayer

from robojam.engine.takes import Resumed
from robojam.player.player import ModelPlayer
from robojam.sessions.recorder import Before
from robojam.sessions.regenerate import Rerun, first_difference, regenerate
from robojam.sessions.session import EndEvent, Session, SetEvent, TouchEvent
from robojam.touch import is_machine


def cut(session: Session, count: int) -> Session:
    """Return a recording as it is after a crash: its first events."""
    return Session(session.header, session.events[:count], session.path)


def resumed(session: Session, player) -> Resumed:
    rerun = Rerun(session, player, lambda _: player)
    events = tuple(rerun.events(ends=False))
    header = msgspec.structs.replace(session.header, resumes="first.jsonl")
    before = Before(events=events)
    return Resumed(rerun.jam, header, before, playing(player), header.seed, 0.0)


def play(driven: DrivenEngine, until: float, rng: random.Random) -> None:
    """Play strokes with rests at the times of the take, whatever was played before."""
    takes = driven.engine._takes

    def at(t: float) -> bool:
        """Wait until a time of the take; return whether it has not passed."""
        left = t - (takes.t(driven.now) if takes.begun else 0.0)
        if left >= 0:
            driven.wait(left)
        return left >= 0

    t = 0.0
    while t < until:
        place = rng.random()
        for i in range(rng.randrange(3, 12)):
            if at(t):
                phase = "move" if i else "down"
                driven.send(f"/robojam/{phase}", "iff", 0, place, i / 12)
            t += 0.02 + 0.03 * rng.random()
        if at(t):
            driven.send("/robojam/up", "i", 0)
        if rng.random() < 0.3:
            value = round(rng.uniform(0.5, 1.5), 3)
            if at(t + 0.01):
                driven.send("/robojam/temperature", "f", value)
        t += rng.choice((0.1, 0.4, 2.5))
    at(until + 1.0)


def by_players(session: Session) -> list:
    """Return the events without their end."""
    return [event for event in session.events if not isinstance(event, EndEvent)]


@pytest.mark.parametrize(
    ("mode", "voices"),
    [*product(["call-response", "duet", "ensemble"], [1, 3]), ("solo", 1)],
)
def test_jam_cut_anywhere_goes_on_touch_for_touch(tmp_path, mode, voices):
    """The recording is cut in a rest of all fingers, where nothing has to be lifted."""
    options = {"mode": mode, "voices": voices, "threshold": 0.3, "response": 1.0}
    whole = DrivenEngine(tmp_path / "a", RandomPlayer(voices=voices), **options)
    play(whole, 12.0, random.Random(4))
    session = whole.end()
    rests = [
        n + 1
        for n, event in enumerate(session.events[:-1])
        if isinstance(event, TouchEvent)
        and not down_after(session, n)
        and session.events[n + 1].t > event.t
    ]
    assert len(rests) > 3
    for n in rests[1 :: max(1, len(rests) // 4)]:
        player = RandomPlayer(voices=voices)
        again = DrivenEngine(
            tmp_path / str(n), player, resumed(cut(session, n), player), **options
        )
        play(again, 12.0, random.Random(4))
        made = again.end()
        assert by_players(made) == by_players(session)
        assert made.header.resumes == "first.jsonl"
        assert made.header.seed == session.header.seed


def down_after(session: Session, n: int) -> set:
    """Return the fingers that are down after the events up to one."""
    down = set()
    for event in session.events[: n + 1]:
        if isinstance(event, TouchEvent):
            key = event.touch.who, event.touch.id
            down.discard(key) if event.touch.phase == "up" else down.add(key)
    return down


def test_fingers_that_were_down_are_lifted_and_the_recording_is_made_again(tmp_path):
    options = {"mode": "duet", "threshold": 0.3, "response": 1.0}
    whole = DrivenEngine(tmp_path / "a", RandomPlayer(), **options)
    play(whole, 6.0, random.Random(2))
    session = whole.end()
    held = [n for n in range(len(session.events) - 1) if len(down_after(session, n)) == 2]
    player = RandomPlayer()
    n = held[len(held) // 2] + 1
    again = DrivenEngine(tmp_path / "b", player, resumed(cut(session, n), player), **options)
    assert again.engine.jam.fingers == 0
    assert again.status()["fingers"] == 0
    play(again, 6.0, random.Random(2))
    made = again.end()
    lifts = [event.touch for event in made.events[n : n + 4] if isinstance(event, TouchEvent)]
    assert {touch.who for touch in lifts if touch.phase == "up"} == {"human", "ai"}
    assert first_difference(made, [*regenerate(made, RandomPlayer(), lambda _: None)]) is None


def test_controls_turn_and_counts_are_those_that_were_left(tmp_path):
    whole = DrivenEngine(tmp_path / "a", RandomPlayer(), threshold=0.3, response=1.0)
    whole.send("/robojam/spread", "f", 0.25)
    play(whole, 4.0, random.Random(1))
    whole.send("/robojam/mode", "s", "duet")
    status = whole.status()
    session = cut(whole.end(), -1)
    player = RandomPlayer()
    again = DrivenEngine(tmp_path / "b", player, resumed(session, player))
    after = again.status()
    for name in ("mode", "turn", "heard", "played", "seed"):
        assert after[name] == status[name], name
    assert again.engine.live.settings.spread == 0.25
    assert len(recordings(tmp_path / "b")) == 0  # its file is made with the recorder's thread
    again.end()
    assert recording(tmp_path / "b").header.resumes == "first.jsonl"


@pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
def test_planned_answers_of_a_model_go_on_touch_for_touch(tmp_path):
    from robojam.model.file import read

    file = read(MODEL)
    options = {"threshold": 0.3, "response": 1.5}
    whole = DrivenEngine(tmp_path / "a", ModelPlayer(file), **options)
    play(whole, 8.0, random.Random(4))
    session = whole.end()
    assert any(isinstance(e, SetEvent) and "planned" in e.values for e in session.events)
    answers = [
        n + 1
        for n, event in enumerate(session.events[:-1])
        if isinstance(event, TouchEvent)
        and not is_machine(event.touch.who)
        and not down_after(session, n)
        and session.events[n + 1].t > event.t
    ]
    n = answers[len(answers) // 2]
    player = ModelPlayer(file)
    again = DrivenEngine(tmp_path / "b", player, resumed(cut(session, n), player), **options)
    play(again, 8.0, random.Random(4))
    assert by_players(again.end()) == by_players(session)


def test_fingers_that_a_jam_left_down_are_lifted_at_the_outputs_when_it_goes_on(tmp_path):
    first = DrivenEngine(tmp_path / "1", mode="solo", voices=2)
    while first.status()["fingers"] < 2:
        first.wait(0.01)
    first.engine._takes.close()  # killed: nothing was lifted
    session = recording(tmp_path / "1")
    down = {e.touch.who for e in session.touches() if e.touch.phase != "up"}
    player = RandomPlayer(voices=2)
    second = DrivenEngine(
        tmp_path / "2", resumed=resumed(session, player), mode="solo", voices=2
    )
    lifted = {m.name.removesuffix("/up") for m in second.take() if m.name.endswith("/up")}
    assert lifted == down == {"ai", "ai2"}


def test_every_voice_is_lifted_at_outputs_of_all_dialects_when_a_jam_goes_on(tmp_path):
    """The last moments before a crash are in no recording, and may have been a landing."""
    first = DrivenEngine(tmp_path / "1", voices=2)
    first.send("/robojam/down", "iff", 0, 0.5, 0.5)
    first.engine._takes.close()
    session = recording(tmp_path / "1")
    dialects = ("", "/touchosc", "/tuio", "/microjam", "/impsy", "/interface")
    outputs = tuple(f"127.0.0.1:{9000 + i}{each}" for i, each in enumerate(dialects))
    second = DrivenEngine(
        tmp_path / "2", resumed=resumed(session, RandomPlayer(voices=2)), voices=2,
        osc_out=outputs, osc_ahead=50.0,
    )  # fmt: skip
    second.wait(0.1)
    assert second.status()["dropped"] == {}
    third = DrivenEngine(
        tmp_path / "3", resumed=resumed(session, RandomPlayer(voices=2)), voices=2
    )
    lifted = [m.name for m in third.take() if m.name.startswith("ai")]
    assert lifted == ["ai/up", "ai2/up"]
    assert "ai" not in {e.touch.who for e in third.end().touches()}
