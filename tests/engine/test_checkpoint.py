"""A jam that goes on from a checkpoint is, bit for bit, the one that heard everything again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import product
from typing import Any

import msgspec
import pytest
from support.engine import MODEL, DrivenEngine, playing
from support.players import PlanningPlayer, RandomPlayer

from robojam.controls import MODES
from robojam.engine.takes import Resumed
from robojam.jam import saved
from robojam.model.file import read
from robojam.player.player import ModelPlayer
from robojam.sessions.recorder import Before
from robojam.sessions.regenerate import Rerun
from robojam.sessions.session import EndEvent, Session, SessionEvent, SetEvent

needs_model = pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
GUEST = ("10.0.0.7", 4000)


@dataclass
class Saved:
    """State that was saved after some events."""

    events: int
    data: bytes


class SavingEngine(DrivenEngine):
    """Engine whose jam is saved when it is asked to, with the events so far counted."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.count = 0
        super().__init__(*arguments, **options)
        takes, record = self.engine._takes, self.engine._takes.record

        def counted(*event: Any) -> None:
            self.count += takes.begun
            record(*event)

        takes.record = counted  # type: ignore[method-assign]
        self.saved: list[Saved] = []

    def save(self) -> None:
        jam = self.engine.jam
        if jam.saves:
            self.engine._publisher.flush()
            data = saved.encode(jam.save(), jam.player)
            self.saved.append(Saved(self.count, data))


def play(driven: DrivenEngine, until: float, seed: int, *, controls: bool = True) -> None:
    """Play strokes of a host and a guest, with rests and controls, at times of the take."""
    rng, takes = random.Random(seed), driven.engine._takes

    def at(t: float) -> bool:
        left = t - (takes.t(driven.now) if takes.begun else 0.0)
        if left >= 0:
            driven.wait(left)
            if isinstance(driven, SavingEngine) and rng_save.random() < 0.15:
                driven.save()
        return left >= 0

    rng_save = random.Random(seed + 1)
    t = 0.0
    while t < until:
        place, guest = rng.random(), rng.random() < 0.3
        sender = {"sender": GUEST} if guest else {}
        for i in range(rng.randrange(3, 10)):
            if at(t):
                phase = "move" if i else "down"
                driven.send(f"/robojam/{phase}", "iff", 0, place, i / 12, **sender)
            t += 0.02 + 0.03 * rng.random()
        if at(t):
            driven.send("/robojam/up", "i", 0, **sender)
        choice, value = rng.randrange(10), round(rng.uniform(0.5, 1.5), 3)
        if controls and at(t + 0.01):
            name, tags, *args = (
                ("temperature", "f", value), ("store", "s", "A"), ("recall", "s", "A"),
                ("back", "f", 2.0), ("pause", "i", 1), ("pause", "i", 0), ("answer", ""),
                ("timescale", "f", value), ("undo_store", "s", "A"),
                ("mode", "s", rng.choice(MODES)),
            )[choice]  # fmt: skip
            driven.send(f"/robojam/{name}", tags, *args)
            if name == "pause" and at(t + 0.1):
                driven.send("/robojam/pause", "i", 0)
        t += rng.choice((0.1, 0.4, 1.5))
    at(until + 1.0)


def cut(session: Session, first: int, end: int) -> Session:
    return Session(session.header, session.events[first:end], session.path)


def comparable(rerun: Rerun) -> Any:
    """Return the state of a jam as plain data, without what the model heard of no account.

    That is: how long plans take here, how far a plan got, and which strokes are analysed
    already.
    """
    jam = rerun.jam
    if isinstance(jam.player, ModelPlayer):
        jam.player._memory.settle()
    jam.voices._commits = []
    state = jam.save()
    planning = saved.save(jam._planning)
    parts = [part for part in msgspec.structs.astuple(state.parts) if part != planning]
    player = state.player
    if isinstance(jam.player, ModelPlayer):
        player = jam.player.pack(player, [])
    snapshots = [(s.t, s.turn, s.turn_used, s.since_bases, s.phrases) for s in state.snapshots]
    return msgspec.msgpack.encode(
        (state.settings, parts, state.mode, player, snapshots, state.recent, state.stored,
         state.replaced),
        enc_hook=float,
    )  # fmt: skip


def no_model(_: object) -> Any:
    raise AssertionError("no control names a model")


def without_end(session: Session) -> list[SessionEvent]:
    return [event for event in session.events if not isinstance(event, EndEvent)]


def compare(tmp_path, make, *, until: float, seed: int = 4, controls: bool = True, **options):
    """Save a jam at times; go on from there, and by hearing all, and compare."""
    options = {"threshold": 0.3, "response": 1.0} | options
    whole = SavingEngine(tmp_path / "a", make(), **options)
    play(whole, until, seed, controls=controls)
    session = whole.end()
    events = without_end(session)
    assert len(whole.saved) > 5
    rng = random.Random(seed)
    for n, one in enumerate(rng.sample(whole.saved, 4)):
        end = rng.randrange(one.events, len(events) + 1)
        if end < len(events) and end:  # events of one instant are not torn apart
            while end < len(events) and events[end].t == events[end - 1].t:
                end += 1
        players = make(), make()
        heard = Rerun(cut(session, 0, end), players[0], no_model)
        by_hearing = list(heard.events(ends=False))
        gone_on = Rerun(cut(session, one.events, end), players[1], no_model, one.data)
        by_checkpoint = list(gone_on.events(ends=False))
        assert by_checkpoint == by_hearing[one.events :]
        assert by_checkpoint == events[one.events : end]
        heard.jam.advance(gone_on.jam.t)
        assert heard.take_made() == []
        assert comparable(gone_on) == comparable(heard)
        engines = []
        for way, rerun, player in (("h", heard, players[0]), ("c", gone_on, players[1])):
            header = msgspec.structs.replace(session.header, resumes="a.jsonl")
            before = Before(events=events[:end])
            resumed = Resumed(rerun.jam, header, before, playing(player), header.seed, 0.0)
            again = DrivenEngine(tmp_path / f"{way}{n}", player, resumed, **options)
            play(again, until, seed, controls=controls)
            engines.append(without_end(again.end()))
        assert engines[0] == engines[1]
    return session


@pytest.mark.parametrize(
    ("mode", "voices"),
    [*product(["call-response", "duet", "ensemble", "listen"], [1, 3]), ("solo", 2)],
)
def test_jam_of_each_mode_goes_on_from_a_checkpoint(tmp_path, mode, voices):
    compare(tmp_path, lambda: RandomPlayer(voices=voices), until=20, mode=mode, voices=voices)


def test_jam_that_keeps_to_a_clock_goes_on_from_a_checkpoint(tmp_path):
    compare(
        tmp_path, lambda: RandomPlayer(voices=2), until=20, voices=2, clock="internal",
        quantum="beat", grid="1/8", lean=0.7, response=3.0,
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["call-response", "ensemble"])
def test_jam_with_plans_goes_on_from_a_checkpoint(tmp_path, mode):
    session = compare(tmp_path, lambda: PlanningPlayer(voices=2), until=20, mode=mode, voices=2)
    assert any(isinstance(e, SetEvent) and "planned" in e.values for e in session.events)


@needs_model
@pytest.mark.parametrize(
    ("mode", "voices"),
    [("call-response", 1), ("call-response", 9), ("solo", 1), ("duet", 3), ("ensemble", 2)],
)
def test_jam_of_a_model_goes_on_from_a_checkpoint(tmp_path, mode, voices):
    file = read(MODEL)
    session = compare(
        tmp_path, lambda: ModelPlayer(file, voices=voices), until=12 if voices < 8 else 5,
        mode=mode, voices=voices,
    )  # fmt: skip
    planned = any(isinstance(e, SetEvent) and "planned" in e.values for e in session.events)
    assert planned or mode in ("duet", "solo")
