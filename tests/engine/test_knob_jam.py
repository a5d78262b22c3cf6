"""Jams of an instrument with knobs, in place of a surface."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.engine import DrivenEngine, Sent, recordings
from support.players import ScriptedPlayer

from robojam.config.map_table import parse_map
from robojam.jam.events import Event, TouchPlayed
from robojam.jam.protocols import Proposal
from robojam.sessions.playback import Playback, settings_of
from robojam.sessions.regenerate import regenerate
from robojam.sessions.session import TouchEvent, read
from robojam.touch import KNOB_NAMES, Phase

MONITOR = ("127.0.0.1", 9050)


def knobs(*values: float, dt: float = 0.05, moving: bool = True) -> Proposal:
    x, y = (*values, 0.5)[:2]
    return Proposal(x, y, dt, moving, None, values)


class Turner(ScriptedPlayer):
    """Player that turns its knobs to what it was fed, a little further each time."""

    def __init__(self, count: int, voices: int = 1) -> None:
        super().__init__(knobs(*[0.5] * count), voices=voices)
        self.at = [0.5] * count

    def feed(
        self, x: Any, y: Any, dt: Any, moving: Any, knobs: Any = (), pressure: Any = None
    ) -> None:
        super().feed(x, y, dt, moving, knobs, pressure)
        self.at = list(knobs)

    def choose(self, voice: int) -> Proposal:
        turned = 0.25 + 0.01 * self.counts[voice]
        return knobs(*self.at[:-1], turned)


def of(sent: list[Sent], name: str, who: str = "ai") -> list[Sent]:
    return [m for m in sent if m.address == f"/robojam/{who}/{name}"]


def play(d: DrivenEngine, *events: tuple[float, ...]) -> None:
    for values in events:
        d.send("/robojam/knobs", "f" * len(values), *values)
        d.wait(0.02)


def test_machine_answers_a_movement_of_knobs_with_all_their_values(tmp_path):
    d = DrivenEngine(tmp_path, Turner(4), knobs=4, response=1)
    d.send("/robojam/subscribe", "i", MONITOR[1])
    play(d, (0.1, 0.2, 0.3, 0.4), (0.1, 0.2, 0.5, 0.4))
    d.wait(3.0)
    heard = of(d.wire.sent, "knobs", "human")
    assert [pytest.approx(m.args[1:]) for m in heard] == [
        (0.1, 0.2, 0.3, 0.4), (0.1, 0.2, 0.5, 0.4),
    ]  # fmt: skip
    played = [m for m in of(d.wire.sent, "knobs") if m.to == ("127.0.0.1", 9000)]
    # One every 50 ms of the turn, which has 1 s.
    assert len(played) == 19
    assert all(m.args[1:4] == pytest.approx((0.1, 0.2, 0.5)) for m in played)
    assert all(a.args[4] < b.args[4] for a, b in pairwise(played))
    assert {round(m.args[0], 6) for m in played} == {0.05}
    others = {
        m.address for m in d.wire.sent if m.address.startswith(("/robojam/ai", "/robojam/h"))
    }
    assert others == {"/robojam/ai/knobs", "/robojam/human/knobs", "/robojam/ai/next"}


def test_machine_is_silent_before_a_silence_and_gives_way(tmp_path):
    d = DrivenEngine(tmp_path, Turner(3), knobs=3, threshold=0.5, response=0)
    for _ in range(20):
        play(d, (0.5, 0.5, 0.1))
    assert not of(d.wire.sent, "knobs")
    d.wait(1.0)
    before = len(of(d.wire.sent, "knobs"))
    assert before > 5
    play(d, (0.4, 0.5, 0.1))
    d.wait(0.4)
    assert len(of(d.wire.sent, "knobs")) == before


def test_one_knob_moves_and_the_others_stay_where_anyone_left_them(tmp_path):
    player = Turner(3)
    d = DrivenEngine(tmp_path, player, knobs=3, response=0.3)
    d.send("/robojam/knob", "if", 2, 0.9)
    assert player.knobs_fed[-1] == pytest.approx((0.5, 0.9, 0.5))
    d.wait(2.0)
    last = of(d.wire.sent, "knobs")[-1].args[1:]
    d.send("/robojam/knob", "if", 1, 0.0)
    assert player.knobs_fed[-1] == pytest.approx((0.0, *last[1:]))


def test_value_beyond_the_ends_is_clipped_and_counted(tmp_path):
    player = Turner(3)
    d = DrivenEngine(tmp_path, player, knobs=3)
    play(d, (-1.0, 2.0, 0.5))
    d.send("/robojam/knob", "if", 1, 7.0)
    assert player.knobs_fed == [(0.0, 1.0, 0.5), (1.0, 1.0, 0.5)]
    assert d.status()["clipped"] == 2


@pytest.mark.parametrize(
    ("count", "address", "tags", "arguments", "said"),
    [
        (
            3,
            "/robojam/knobs",
            "ff",
            (0.1, 0.2),
            "2 values came, and the instrument has 3 knobs",
        ),
        (3, "/robojam/knobs", "ffff", (0.1,) * 4, "4 values came"),
        (3, "/robojam/knob", "if", (4, 0.5), "knob 4 came, and the instrument has 3 knobs"),
        (3, "/robojam/down", "iff", (1, 0.5, 0.5), "a touch of a surface came"),
        (3, "/touch", "ff", (0.5, 0.5), "a touch of a surface came"),
        (0, "/robojam/knobs", "fff", (0.1, 0.2, 0.3), "the instrument is a surface"),
        (0, "/robojam/knob", "if", (1, 0.5), "the instrument is a surface"),
    ],
)
def test_what_has_another_shape_is_refused_with_both(
    tmp_path, caplog, count, address, tags, arguments, said
):
    player = Turner(count) if count else None
    d = DrivenEngine(tmp_path, player, knobs=count)
    d.send(address, tags, *arguments)
    assert d.status()["dropped"] == {"another shape": 1}
    assert said in caplog.text
    assert not d.engine._takes.begun


@pytest.mark.parametrize(
    ("tags", "arguments"),
    [("", ()), ("f" * 17, (0.5,) * 17), ("fs", (0.5, "a")), ("ff", (0.5, float("nan")))],
)
def test_what_are_no_values_of_knobs_is_dropped(tmp_path, tags, arguments):
    d = DrivenEngine(tmp_path, Turner(3), knobs=3)
    d.send("/robojam/knobs", tags, *arguments)
    assert sum(d.status()["dropped"].values()) == 1
    assert "another shape" not in d.status()["dropped"]
    assert not d.engine._takes.begun


def test_two_values_are_a_touch_or_two_knobs(tmp_path):
    player = Turner(2)
    d = DrivenEngine(tmp_path / "a", player, knobs=2)
    d.send("/interface", "ff", 0.25, 0.75)
    assert player.knobs_fed == [(0.25, 0.75)]
    plain = ScriptedPlayer()
    d = DrivenEngine(tmp_path / "b", plain)
    d.send("/robojam/knobs", "ff", 0.25, 0.75)
    assert plain.knobs_fed == [()]
    assert plain.human_touches[0][:2] == (0.25, 0.75)


@pytest.mark.parametrize("count", [1, 4, 9, 16])
def test_impsy_hears_and_sends_as_many_values(tmp_path, count):
    player = Turner(count)
    d = DrivenEngine(
        tmp_path, player, knobs=count, osc_out=("127.0.0.1:9000/impsy",), response=0.2
    )
    d.send("/interface", "f" * count, *[0.75] * count)
    assert player.knobs_fed == [(0.75,) * count]
    d.wait(1.0)
    sent = [m for m in d.wire.sent if m.to[1] == 9000]
    assert {m.address for m in sent} == {"/impsy", "/prediction"}
    assert all(len(m.args) == count for m in sent)
    assert [m.args[:-1] for m in sent] == [(0.75,) * (count - 1)] * len(sent)


@pytest.mark.parametrize("mode", ["call-response", "duet", "solo", "ensemble", "listen"])
@pytest.mark.parametrize("voices", [1, 3])
def test_recording_has_the_knobs_and_makes_them_again(tmp_path, mode, voices):
    d = DrivenEngine(
        tmp_path, Turner(5, voices), knobs=5, mode=mode, voices=voices, response=0.5
    )
    d.engine.begin_if_alone()
    for i in range(8):
        play(d, (0.1 * i, 0.2, 0.3, 0.4, 0.05 * i))
    d.send("/robojam/knob", "if", 2, 0.9)
    d.wait(1.5)
    play(d, (0.1, 0.2, 0.3, 0.4, 0.5))
    d.wait(0.2)
    session = d.end()
    header = json.loads(recordings(tmp_path)[0].read_text().partition("\n")[0])
    assert header["robojam"] == 2
    assert session.knobs == 5
    touches = [event.touch for event in session.events if isinstance(event, TouchEvent)]
    assert all(len(touch.knobs) == 5 for touch in touches)
    assert {touch.who for touch in touches} >= {"human"} | (
        set() if mode == "listen" else {"ai"}
    )
    again = list(regenerate(session, Turner(5, voices), lambda _: Turner(5, voices)))
    assert tuple(again) == session.events


def test_replay_plays_the_knobs(tmp_path):
    d = DrivenEngine(tmp_path, Turner(3), knobs=3, response=0.3)
    play(d, (0.1, 0.2, 0.3))
    d.wait(1.5)
    session = d.end()
    events: list[Event] = []
    counts = d.engine._counts
    replay = Playback(session, settings_of(session), events.append, counts, on_end=lambda: None)
    replay.advance(60.0)
    played = [e.touch for e in events if isinstance(e, TouchPlayed)]
    recorded = [e.touch for e in session.events if isinstance(e, TouchEvent)]
    assert played == recorded


def test_touches_of_a_surface_are_recorded_as_before(tmp_path):
    d = DrivenEngine(tmp_path)
    d.send("/robojam/down", "iff", 1, 0.5, 0.5)
    d.end()
    lines = [json.loads(line) for line in recordings(tmp_path)[0].read_text().splitlines()]
    assert lines[0]["robojam"] == 1
    assert all("knobs" not in line for line in lines[1:])


@pytest.mark.parametrize(
    "values", ["[]", "[2]", "[-0.1]", f"{[0.5] * 17}", '["a"]', "0.5", "[null]", "[NaN]"]
)
def test_line_with_other_knobs_is_damaged(tmp_path: Path, values: str):
    d = DrivenEngine(tmp_path, Turner(3), knobs=3)
    play(d, (0.1, 0.2, 0.3))
    d.end()
    path = recordings(tmp_path)[0]
    text = path.read_text()
    head, touch, *rest = text.splitlines()
    before, _, after = touch.partition('"knobs":')
    assert after.startswith("[")
    path.write_text("\n".join([head, f'{before}"knobs":{values}}}', *rest]) + "\n")
    session = read(path)
    if values == "[]":
        assert not session.damaged
    else:
        assert session.damaged == (2,)


def test_knobs_are_features_for_the_map(tmp_path):
    d = DrivenEngine(
        tmp_path, Turner(3), knobs=3, response=0.2,
        map=parse_map({"out": {"a": {"target": "osc /a", "source": KNOB_NAMES[2]}}}),
    )  # fmt: skip
    play(d, (0.1, 0.2, 0.3))
    d.wait(1.0)
    own = [m.args[3] for m in of(d.wire.sent, "knobs")]
    assert [m.args[0] for m in d.wire.sent if m.address == "/a"] == pytest.approx(own)


def test_lift_of_knobs_is_no_message(tmp_path):
    d = DrivenEngine(tmp_path, Turner(3), knobs=3, response=0.3)
    play(d, (0.1, 0.2, 0.3))
    d.wait(2.0)
    session = d.end()
    lifts = [
        e for e in session.events if isinstance(e, TouchEvent) and e.touch.phase is Phase.UP
    ]
    assert len(lifts) == 2
    sent = [m for m in of(d.wire.sent, "knobs") if m.to[1] == 9000]
    turns = [e for e in session.touches("ai") if e.touch.phase is not Phase.UP]
    assert len(sent) == len(turns)
