"""Sessions written for other programs, and read back."""

from __future__ import annotations

import mido
import numpy as np
import pytest
from support import EXAMPLES
from support.commands import refusal, run

from robojam.corpus.formats import read as read_performances
from robojam.export.writers import WRITERS, streams
from robojam.sessions.session import read


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_csv_is_read_back_as_the_same_performances(path, tmp_path, capsys):
    status, out, _ = run(capsys, "export", path, "--to", tmp_path / "a.csv")
    assert status == 0
    session = read(path)
    played = streams(session)
    assert out.strip() == ", ".join(str(tmp_path / f"a-{who}.csv") for who in played)
    for who, (_, rows) in played.items():
        again = read_performances(tmp_path / f"a-{who}.csv")
        assert again.inferred == 0
        np.testing.assert_array_equal(again.events[:, [0, 1, 3]], rows[:, [0, 1, 3]])
        np.testing.assert_allclose(again.events[1:, 2], rows[1:, 2], atol=1e-9)
    human = played["human"][1][:, :4]
    np.testing.assert_array_equal(human, read_performances(path).events)


def test_csv_has_the_names_that_pandas_looks_up(tmp_path, capsys):
    assert run(capsys, "export", EXAMPLES[0], "--who", "ai", "--to", tmp_path / "a.csv")[0] == 0
    assert run(capsys, "generate", "--seed", 1, "--to", tmp_path / "b.csv")[0] == 0
    for name in ("a.csv", "b.csv"):
        lines = (tmp_path / name).read_text().splitlines()
        assert lines[0] == "time,x,y,z,moving"
        # As MicroJam reads a line: without spaces, five numbers, and moving 1 or 0.
        fields = [line.replace(" ", "").split(",") for line in lines[1:]]
        assert {len(list(map(float, line))) for line in fields} == {5}
        assert {line[4] for line in fields} <= {"0", "1"}


def test_npz_holds_every_players_part(tmp_path, capsys):
    assert run(capsys, "export", *EXAMPLES, "--to", tmp_path / "a.npz")[0] == 0
    found = read_performances(tmp_path / "a.npz")
    wanted = [len(rows) for p in EXAMPLES for _, rows in streams(read(p)).values()]
    assert found.lengths.tolist() == wanted
    assert run(capsys, "export", *EXAMPLES, "--to", tmp_path / "b.npz", "--who", "ai")[0] == 0
    assert read_performances(tmp_path / "b.npz").lengths.tolist() == wanted[1::2]


def test_export_refuses_wrong_sessions_players_and_suffixes(tmp_path, capsys):
    torn = tmp_path / "torn.jsonl"
    torn.write_text("hello\n")
    quiet = tmp_path / "quiet.jsonl"
    quiet.write_bytes(EXAMPLES[0].read_bytes().partition(b"\n")[0] + b"\n")
    for arguments, message in [
        ([EXAMPLES[0], "--to", tmp_path / "a.xyz"], ".csv, .html, .mid, .npz, .png, .wav"),
        ([torn, "--to", tmp_path / "a.csv"], "torn.jsonl"),
        ([tmp_path / "none.jsonl", "--to", tmp_path / "a.csv"], "cannot be read"),
        ([quiet, "--to", tmp_path / "a.png"], "nobody plays"),
        ([EXAMPLES[0], "--who", "human9", "--to", tmp_path / "a.png"], "nobody plays"),
        ([EXAMPLES[0], "--to", tmp_path / "none" / "a.csv"], "written to"),
    ]:
        status, _, err = run(capsys, "export", *arguments)
        assert status == 2
        assert message in err
    assert run(capsys, "export", torn, EXAMPLES[0], "--to", tmp_path / "b.npz")[0] == 0
    assert set(WRITERS) == {".csv", ".html", ".mid", ".npz", ".png", ".wav"}


def test_midi_file_can_be_written_in_any_style(tmp_path, capsys):
    to = tmp_path / "a.mid"
    assert run(capsys, "export", EXAMPLES[0], "--to", to, "--style", "keys")[0] == 0
    messages = [m for track in mido.MidiFile(str(to)).tracks for m in track if not m.is_meta]
    assert {m.type for m in messages} == {"note_on", "note_off"}
    own = tmp_path / "own.jsonl"
    text = EXAMPLES[0].read_text("utf-8")
    own.write_text(text.replace('"options":{', '"options":{"midi":{"lead":{"kind":"cc"}},', 1))
    assert run(capsys, "export", own, "--to", to, "--style", "lead")[0] == 0
    messages = [m for track in mido.MidiFile(str(to)).tracks for m in track if not m.is_meta]
    assert {m.type for m in messages} == {"control_change"}


@pytest.mark.parametrize(
    ("to", "style", "message"),
    [
        ("a.mid", "kyes", "no style is named 'kyes'; allowed: mpe,"),
        ("a.csv", "keys", "--style keys goes with a .mid file, not with"),
    ],
)
def test_style_that_does_not_fit_is_refused(tmp_path, capsys, to, style, message):
    error = refusal(capsys, "export", EXAMPLES[0], "--to", tmp_path / to, "--style", style)
    assert message in error
    assert not (tmp_path / to).exists()
