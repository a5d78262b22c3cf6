"""Exports of recordings of knobs, and what is read of them as a corpus."""

from __future__ import annotations

import mido
import numpy as np
import pytest

from robojam.corpus.formats import read as read_corpus
from robojam.export.writers import WRITERS
from robojam.sessions.session import (
    EndEvent,
    Header,
    ModelRef,
    Session,
    TouchEvent,
    encode,
    encode_header,
)
from robojam.sessions.session import read as read_session
from robojam.touch import Phase, Touch, place_of

COUNT = 3


def event(
    t: float, who: str, dt: float, *knobs: float, phase: Phase = Phase.MOVE
) -> TouchEvent:
    return TouchEvent(t, Touch(*place_of(knobs), dt, phase, 0, who, None, knobs))


def jam(*, knobs: int = COUNT) -> Session:
    """Return a recording in which a human moves the first knob, and the machine the last."""
    header = Header(
        started="2026-11-20T10:30:00+00:00",
        model=ModelRef("knobs.safetensors", "0"),
        device="cpu",
        build="a build",
        seed=7,
        options={"knobs": knobs, "mode": "call-response"},
    )
    rest = [0.5] * (knobs - 1)
    human = [event(0.1 * i, "human", 0.1 * (i > 0), i / 8, *rest) for i in range(5)]
    ups = [event(0.55, "human", 0.15, 0.5, *rest, phase=Phase.UP)]
    ai = [event(1 + 0.05 * i, "ai", 0.05, 0.5, *rest[1:], 1 - i / 8) for i in range(5)]
    return Session(header, (*human, *ups, *ai, EndEvent(2.0, "the end")))


def written(tmp_path, suffix, *sessions):
    return WRITERS[suffix](list(sessions), tmp_path / f"jam{suffix}")


def test_csv_has_time_and_all_values_and_is_read_back(tmp_path):
    files = written(tmp_path, ".csv", jam())
    assert [file.name for file in files] == ["jam-human.csv", "jam-ai.csv"]
    assert files[0].read_text().splitlines()[:2] == ["time,v1,v2,v3", "0.0,0.0,0.5,0.5"]
    corpus = read_corpus(files[1])
    assert corpus.columns == ("v1", "v2", "v3", "dt", "moving")
    assert corpus.events[:, 2] == pytest.approx([1, 7 / 8, 6 / 8, 5 / 8, 4 / 8])
    assert corpus.events[1:, 3] == pytest.approx([0.05] * 4)


def test_npz_has_the_performance_of_each_player(tmp_path):
    (file,) = written(tmp_path, ".npz", jam(), jam())
    corpus = read_corpus(file)
    assert corpus.columns == ("v1", "v2", "v3", "dt", "moving")
    assert corpus.lengths.tolist() == [5, 5, 5, 5]
    assert corpus.events[:5, 0] == pytest.approx(np.arange(5) / 8)


def test_recordings_of_different_instruments_are_not_one_npz(tmp_path):
    with pytest.raises(ValueError, match="of 3 knobs and 4 knobs"):
        written(tmp_path, ".npz", jam(), jam(knobs=4))


def test_midi_file_has_controllers_that_change_on_a_channel_for_each_player(tmp_path):
    (file,) = written(tmp_path, ".mid", jam())
    song = mido.MidiFile(file)
    tracks = {
        track.name: [m for m in track if m.type == "control_change"] for track in song.tracks
    }
    human, machine = tracks["human"], tracks["ai"]
    assert {m.channel for m in human} == {0}
    assert {m.channel for m in machine} == {1}
    assert [(m.control, m.value) for m in human] == [
        (102, 0), (103, 64), (104, 64), (102, 16), (102, 32), (102, 48), (102, 64),
    ]  # fmt: skip
    seconds = np.cumsum(
        [mido.tick2second(m.time, song.ticks_per_beat, 500_000) for m in machine]
    )
    last = [t for t, m in zip(seconds, machine, strict=True) if m.control == 104]
    assert last == pytest.approx([1, 1.05, 1.1, 1.15, 1.2], abs=1e-4)


def test_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    (file,) = written(tmp_path, ".png", jam())
    assert file.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", [".wav", ".html"])
def test_what_is_of_touches_alone_is_refused_with_what_there_is(tmp_path, suffix):
    with pytest.raises(
        ValueError, match=r"recording of 3 knobs has no such form; it has \.csv"
    ):
        written(tmp_path, suffix, jam())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("machine", [False, True])
def test_recording_of_knobs_is_a_corpus(tmp_path, machine):
    path = tmp_path / "jam.jsonl"
    session = jam()
    path.write_bytes(b"".join([encode_header(session.header), *map(encode, session.events)]))
    assert read_session(path).knobs == COUNT
    corpus = read_corpus(path, machine=machine)
    assert corpus.columns == ("v1", "v2", "v3", "dt", "moving")
    assert corpus.lengths.tolist() == [5]
    assert corpus.events[:, 2 if machine else 0].tolist() == (
        [1, 7 / 8, 6 / 8, 5 / 8, 4 / 8] if machine else [0, 1 / 8, 2 / 8, 3 / 8, 4 / 8]
    )
    assert corpus.events[1:, 3] == pytest.approx([0.05 if machine else 0.1] * 4)
