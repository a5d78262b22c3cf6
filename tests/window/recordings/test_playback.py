"""Playback of a recording in the window."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.window import open_playback

from robojam.touch import Phase
from robojam.window.client.strokes import FADE
from robojam.window.recordings.playback import SPEEDS, RecordingPlayback


def test_playback_keeps_time_pauses_and_goes_on_at_another_speed(tmp_path):
    playback = open_playback(tmp_path)
    playback.play(100.0)
    playback.advance(101.0)
    assert playback.at == pytest.approx(1.0)
    (stroke,) = playback.strokes
    assert (stroke.who, len(stroke.points), stroke.lifted) == ("human", 10, 0.95)
    playback.hold()
    playback.advance(150.0)
    assert playback.at == pytest.approx(1.0)
    playback.change_speed(1)
    playback.play(200.0)
    playback.advance(200.6)
    assert playback.at == pytest.approx(2.2)
    assert {s.who for s in playback.strokes} == {"human", "ai"}


def test_playback_ends_or_loops(tmp_path):
    playback = open_playback(tmp_path)
    playback.play(0.0)
    playback.advance(99.0)
    assert (playback.at, playback.playing) == (10.0, False)
    playback.loop = True
    playback.play(100.0)
    assert playback.at == 0.0
    playback.advance(111.0)
    assert playback.at == pytest.approx(1.0)
    assert playback.playing
    assert len(next(iter(playback.strokes)).points) == 10


@given(t=st.floats(-1, 12))
def test_seek_shows_the_strokes_that_playing_to_that_time_shows(t, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scrub")
    sought, played = open_playback(folder), open_playback(folder)
    sought.seek(t)
    played.play(0.0)
    for i in range(1, 101):
        played.advance(sought.at * i / 100)

    def visible(playback):
        strokes = ([p for p in s.points if sought.at - p.t < FADE] for s in playback.strokes)
        return [[(p.t, p.x) for p in points] for points in strokes if points]

    assert visible(sought) == visible(played)


def test_speed_returns_to_the_first_after_the_last(tmp_path):
    playback = open_playback(tmp_path)
    for _ in SPEEDS:
        playback.change_speed(1)
    assert playback.speed == 1.0


@pytest.mark.parametrize(
    ("position", "start"), [(0.0, 0.0), (0.5, 0.0), (5.0, 0.0), (9.5, 9.0)]
)
def test_phrase_is_what_the_humans_played_between_two_answers(tmp_path, position, start):
    playback = open_playback(tmp_path)
    playback.seek(position)
    phrase = playback.phrase()
    assert phrase[0].t == start
    assert {e.touch.who for e in phrase} == {"human"}
    assert len(phrase) == (2 if start else 13)


def test_finger_left_down_is_lifted_at_the_end_and_its_phrase_ends_before_that(tmp_path):
    session = open_playback(tmp_path).session
    human = [event for event in session.touches("human") if event.t < 0.9]
    machine = list(session.touches("ai"))
    playback = RecordingPlayback(replace(session, events=(*human, *machine)), "cut off")
    last = playback.touches[-1]
    assert (last.touch.phase, last.touch.who, last.t) == (Phase.UP, "human", 3.1)
    assert playback.phrase() == tuple(human)
