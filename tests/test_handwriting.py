"""The example that writes: its writers, its window, its reader, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import _writers
import handwriting
import numpy as np
import pytest
import torch
from _run import InputError

torch.set_num_threads(1)

UNIPEN_POINTS = """
.VERSION 1.0
.WRITER_ID Ann_Lee
.PEN_DOWN
{strokes}
.PEN_UP
"""


def box(x: float, low: float, high: float) -> str:
    """Return a stroke around a box, as UNIPEN writes one."""
    corners = [(x, low), (x + 8, low), (x + 8, high), (x, high), (x, low)]
    return "\n".join(f"\t{a:g}\t{b:g}" for a, b in corners)


@pytest.fixture
def unipen(tmp_path: Path) -> Path:
    """A folder in which Ann has written `on a log, Ok`, upside down, with a wide space."""
    text = "on a log, Ok"
    letters = text.replace(" ", "")
    heights = {"l": (0, 25), "g": (-12, 10), "O": (0, 22), "k": (0, 25), ",": (-4, 2)}
    strokes, x = [], 100.0
    for character in text:
        if character == " ":
            x += 14
            continue
        low, high = heights.get(character, (0, 10))
        strokes.append(box(x, 300 - low, 300 - high))  # y goes down
        x += 11
    for folder, rows in {
        "8": [f'.SEGMENT TEXT 0-{len(letters) - 1} ? "{text}"'],
        "3": [f'.SEGMENT CHARACTER {i} ? "{c}"' for i, c in enumerate(letters)],
    }.items():
        path = tmp_path / "data" / folder / "apa" / "a.dat"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join([".VERSION 1.0", ".INCLUDE apa/data/a.dat", *rows]))
    points = tmp_path / "include" / "apa" / "data" / "a.dat"
    points.parent.mkdir(parents=True)
    points.write_text(UNIPEN_POINTS.format(strokes="\n.PEN_UP\n.PEN_DOWN\n".join(strokes)))
    return tmp_path


def test_unipen_lines_are_read_upright_in_heights_of_an_x(unipen):
    (ann,) = _writers.read_unipen(unipen)
    assert ann.name == "annlee"
    (line,) = ann.lines  # what follows the comma has a capital
    assert line.text == "on a log"
    assert [len(letter) for letter in line.letters] == [1, 1, 0, 1, 0, 1, 1, 1]
    (o,), (ell,), (g,) = line.letters[0], line.letters[5], line.letters[7]
    assert (o[:, 1].min(), o[:, 1].max()) == pytest.approx((0, 1))
    assert ell[:, 1].max() == pytest.approx(2.5)
    assert g[:, 1].min() == pytest.approx(-1.2)
    assert o[:, 0].min() == pytest.approx(0)
    assert ann.gaps == pytest.approx([0.3] * 3, abs=1e-5)
    assert ann.spaces == pytest.approx([1.7] * 2, abs=1e-5)


def test_composed_words_have_the_letters_and_gaps_of_their_writer(unipen):
    (ann,) = _writers.read_unipen(unipen)
    line = ann.compose("lag no", np.random.default_rng(0))
    assert line.text == "lag no"
    lefts = [min(s[:, 0].min() for s in letter) for letter in line.letters if letter]
    assert np.diff(lefts) == pytest.approx([1.1, 1.1, 0.8 + 1.7, 1.1], abs=1e-5)
    assert line.letters[2][0][:, 1].min() == pytest.approx(-1.2)
    assert not ann.knows("lags")


def test_folder_without_unipen_is_refused_and_says_where_to_get_it(tmp_path):
    with pytest.raises(InputError, match=r"no data/8/apa in it. Get it from"):
        _writers.read_unipen(tmp_path)


def test_points_and_strokes_are_inverse_but_for_the_place():
    strokes = [np.float32([[3, 1], [4, 2]]), np.float32([[5, 5]]), np.float32([[0, 1], [1, 1]])]
    points = _writers.to_points(strokes)
    assert points[:, 2].tolist() == [0, 1, 1, 0, 1]
    for found, stroke in zip(_writers.to_strokes(points), strokes, strict=True):
        np.testing.assert_allclose(found + strokes[0][0], stroke)


def test_invented_writers_differ_from_each_other_and_repeat_with_the_seed():
    pytest.importorskip("HersheyFonts")
    first, second = _writers.font_writers(2)
    again = _writers.font_writers(1)[0]
    same = zip(first.lines[0].strokes, again.lines[0].strokes, strict=True)
    assert all(np.array_equal(a, b) for a, b in same)
    widths = [w.lines[0].strokes[-1][:, 0].max() for w in (first, second)]
    assert abs(widths[0] - widths[1]) > 0.5
    assert set(first.letters) == set(_writers.LETTERS)


def test_texts_that_cannot_be_written_are_refused_by_name():
    with pytest.raises(InputError, match=r"not learnt: 'é', 'ß'\. Known are a to z and space"):
        handwriting.tokens("éß a")
    for empty in ("", "  "):
        with pytest.raises(InputError, match="the text is empty"):
            handwriting.tokens(empty)
    with pytest.raises(InputError, match="not learnt: '!'"):
        handwriting.write(handwriting.Scribe(eyes=8, units=8, components=2), ["go!"])


def test_strokes_to_prime_with_need_a_text_and_a_known_format(tmp_path):
    path = tmp_path / "strokes.npz"
    strokes = np.tile(np.array([[3, 4, 0], [5, 0, 1], [0, -7, 1]], np.int16), (4, 1))
    np.savez(path, train_strokes=strokes, train_lengths=np.full(1, 12, np.int32))
    with pytest.raises(InputError, match="strokes without a text: give it with --prime-text"):
        handwriting.strokes_of(path, None)
    points, text = handwriting.strokes_of(path, "no")
    assert text == "no"
    assert points[:, 2].sum() == 8
    other = tmp_path / "other.csv"
    other.write_text("colour,size\nred,3\n")
    with pytest.raises(InputError, match=r"other\.csv"):
        handwriting.strokes_of(other, "no")


def test_reader_counts_edits():
    assert handwriting.edits("kitten", "sitting") == 3
    assert handwriting.accuracy(["ab", "c"], ["abc", "c"]) == pytest.approx(0.75)


def test_window_only_moves_forward_and_a_line_ends():
    torch.manual_seed(0)
    scribe = handwriting.Scribe(eyes=8, units=16, components=2)
    line, _ = handwriting.write(scribe, ["ab", "abcdef"], bias=1.0)
    assert line.shares.shape == (len(line.points) - 1, 2)
    assert line.points[-1, 2] == 1
    points, text = torch.randn(1, 9, 3), torch.tensor([handwriting.tokens("abc")])
    state, places = None, [torch.zeros(1, 6)]
    for t in range(9):
        _, _, _, state = scribe(points[:, t : t + 1], text, state)
        places.append(state.place)
    assert bool((torch.stack(places).diff(dim=0) > 0).all())
    again, _ = handwriting.write(scribe, ["ab", "abcdef"], bias=1.0)
    assert np.array_equal(again.points, line.points)


def test_one_step_at_a_time_gives_what_all_at_once_gives():
    torch.manual_seed(0)
    scribe = handwriting.Scribe(eyes=8, units=16, components=2).eval()
    points = torch.randn(2, 9, 3)
    text = torch.tensor([handwriting.tokens("abc"), handwriting.tokens("xyz")])
    with torch.no_grad():
        whole, flags, shares, _ = scribe(points, text)
        state = None
        for t in range(9):
            one, flag, share, state = scribe(points[:, t : t + 1], text, state)
            torch.testing.assert_close(one.mean[:, 0], whole.mean[:, t])
            torch.testing.assert_close(flag[:, 0], flags[:, t])
            torch.testing.assert_close(share[:, 0], shares[:, t])
    blind = handwriting.Scribe(eyes=8, units=16, components=2, reads=False)
    same_text = [blind(points, t)[0].mean for t in (text, text.flip(1))]
    torch.testing.assert_close(*same_text)


@pytest.mark.slow
def test_quick_run_gains_from_the_text_and_draws_its_pictures(tmp_path, monkeypatch, capsys):
    pytest.importorskip("HersheyFonts")
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(sys, "argv", ["handwriting.py", "--quick", "--out", str(tmp_path)])
    handwriting.run(handwriting.parser(), handwriting.main)
    assert "The writers are invented" in capsys.readouterr().out
    figures = json.loads((tmp_path / "figures.json").read_text())
    gain = figures["nats per point without text"] - figures["nats per point with text"]
    assert gain > 0.08  # 0.2 on the machine of benchmarks/README.md; a full run gains more
    assert figures["characters of people that the reader reads"] > 0.4
    for name in ("handwriting.png", "window.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    # A saved model writes without training, what it is asked to.
    again = ["handwriting.py", "--quick", "--text", "so", "--out", str(tmp_path / "again")]
    model = str(tmp_path / "handwriting.safetensors")
    monkeypatch.setattr(sys, "argv", [*again, "--model", model])
    handwriting.run(handwriting.parser(), handwriting.main)
    assert (tmp_path / "again" / "window.png").is_file()
    assert not (tmp_path / "again" / "figures.json").exists()
    monkeypatch.setattr(sys, "argv", [*again, "--model", str(tmp_path / "reader.run")])
    with pytest.raises(SystemExit) as ended:
        handwriting.run(handwriting.parser(), handwriting.main)
    assert ended.value.code == 2
    assert "is no model that writes" in capsys.readouterr().err
