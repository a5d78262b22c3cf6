"""Actions of keys, buttons and panels."""

from __future__ import annotations

import pytest
from support.window import idle_actions, write_recording

from robojam.wire import osc
from robojam.wire.osc import encode


def test_quick_steps_add_up_before_the_engine_reports_them():
    actions = idle_actions(temperature=1.0)
    for t in (1.0, 1.1, 1.2, 9.0):  # the engine reports nothing: at 9 s, they were lost
        actions.perform("step:temperature:1", t)
    expected = [encode("/robojam/temperature", "f", value) for value in (1.1, 1.2, 1.3, 1.1)]
    assert actions.sender.packets == expected


@pytest.mark.parametrize(
    ("name", "control", "start", "end"),
    [("1", "temperature", 9.95, 10), ("-1", "temperature", 0.05, 0),
     ("1", "timescale", 99, 100), ("-1", "timescale", 0.001, 0.001),
     ("1", "threshold", 59, 60), ("-1", "threshold", 0.02, 0.02),
     ("1", "response", 3599, 3600), ("1", "response", 0, 0), ("-1", "response", 0, 30)],
)  # fmt: skip
def test_step_stays_in_the_range_of_the_control(name, control, start, end):
    actions = idle_actions(**{control: start})
    actions.perform(f"step:{control}:{name}", 1.0)
    assert actions.sender.packets == [encode(f"/robojam/{control}", "f", end)]


def test_step_of_a_control_that_is_not_reported_sends_nothing():
    actions = idle_actions()
    actions.perform("step:temperature:1", 1.0)
    assert actions.sender.packets == []


def test_answer_this_again_sends_the_phrase_in_time_and_passes_the_turn(tmp_path):
    actions = idle_actions()
    actions.recordings.folder = tmp_path
    write_recording(tmp_path)
    actions.recordings.read()
    actions.perform("open:2026-11-20T10-00-00.jsonl", 0.0)
    assert actions.state.view.panel == "player"
    actions.playback.seek(5.0)
    actions.perform("again", 100.0)
    assert actions.state.view.panel == ""
    sent: list[tuple[float, str]] = []
    t = 100.0
    while (due := actions.send_due(t)) < float("inf") or actions.sender.packets:
        sent += [(t, osc.decode(p)[0][0].address) for p in actions.sender.packets]
        actions.sender.packets.clear()
        t = due
    assert [a.rsplit("/", 1)[1] for _, a in sent] == [
        "down", *["move"] * 9, "up", "down", "up", "answer"]  # fmt: skip
    assert sent[9][0] - sent[0][0] == pytest.approx(0.9)
    assert sent[-1][0] < 101.5


def test_panic_stops_a_phrase_and_lifts_its_fingers(tmp_path):
    actions = idle_actions()
    write_recording(tmp_path)
    actions.recordings.folder = tmp_path
    actions.recordings.read()
    actions.perform("open:2026-11-20T10-00-00.jsonl", 0.0)
    actions.perform("again", 0.0)
    actions.send_due(0.2)
    actions.sender.packets.clear()
    actions.perform("panic", 0.3)
    addresses = [osc.decode(p)[0][0].address for p in actions.sender.packets]
    assert addresses[0] == "/robojam/panic"
    assert "/robojam/up" in addresses
    assert actions.send_due(9.0) == float("inf")


def test_recording_that_has_become_unreadable_gives_a_notice_when_opened(tmp_path):
    actions = idle_actions()
    path = write_recording(tmp_path)
    actions.recordings.folder = tmp_path
    actions.recordings.read()
    path.unlink()
    actions.perform("open:2026-11-20T10-00-00.jsonl", 1.0)
    assert actions.playback is None
    assert "cannot be read" in actions.state.notice


def test_tap_and_downbeat_are_sent_at_once():
    actions = idle_actions()
    for name in ("tap", "downbeat"):
        actions.perform(name, 1.0)
    assert actions.sender.packets == [encode(f"/robojam/{n}") for n in ("tap", "downbeat")]


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("clock", "off", "internal"), ("clock", "midi:Drums", "jack"), ("clock", "jack", "off"),
     ("quantum", "beat", "bar"), ("grid", "1/32", "off")],
)  # fmt: skip
def test_words_of_a_clock_are_chosen_in_turn(name, before, after):
    actions = idle_actions()
    actions.state.texts[name] = before
    actions.perform(name, 1.0)
    assert actions.sender.packets == [encode(f"/robojam/{name}", "s", after)]


def test_step_of_a_count_is_a_whole_number():
    actions = idle_actions(bars=2.0)
    actions.perform("step:bars:1", 1.0)
    actions.perform("step:bars:-1", 9.0)
    assert actions.sender.packets == [encode("/robojam/bars", "f", v) for v in (3.0, 1.0)]
