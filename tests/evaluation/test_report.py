"""The page of pictures: that it is made, whole or not at all, and that it counts rightly."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.models import TOUCHES, corpus, described, npz, small

from robojam.cli import main
from robojam.evaluation import likeness, report
from robojam.model.mdrnn import save


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return npz(tmp_path / "people.npz", corpus(TOUCHES, [120] * 12))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made = small(TOUCHES)
    save(made, tmp_path / "made.safetensors", described(made))
    return tmp_path / "made.safetensors"


def evaluate(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["evaluate", *map(str, arguments)])
    return int(left.value.code or 0)


@pytest.mark.parametrize(
    ("name", "begins"),
    [("page.png", b"\x89PNG"), ("page.svg", b"<?xml"), ("page.pdf", b"%PDF")],
)
def test_a_page_is_one_file_and_the_same_again(model, data, tmp_path, capsys, name, begins):
    pages = []
    for folder in ("a", "b") if name.endswith("png") else ("a",):
        page = tmp_path / folder / name
        page.parent.mkdir()
        assert evaluate(model, data, "--play", "--page", page) == 0
        assert list(page.parent.iterdir()) == [page]
        pages.append(page.read_bytes())
        assert pages[-1].startswith(begins)
    assert len(set(pages)) == 1
    out, err = capsys.readouterr()
    assert "what stands out" in out
    assert err == ""


def test_what_is_on_the_page_is_what_was_measured(model, data, tmp_path, monkeypatch):
    """The answers that are drawn are those that were told apart from people's."""
    made: list[Any] = []
    continued = likeness.continued

    def kept(*args: Any, **how: Any) -> Any:
        made.append(continued(*args, **how))
        return made[-1]

    monkeypatch.setattr(likeness, "continued", kept)
    assert evaluate(model, data, "--play", "--page", tmp_path / "p.png", "--seed", 3) == 0
    measured, drawn = made
    assert len(measured) == len(drawn) > 0
    for a, b in zip(measured, drawn, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--page", "p.png"), "--page goes with --play"),
        (("--play", "--page", "p.gif"), "a page is .png, .svg, .pdf"),
        (("--play", "--page", "none/p.png"), "--page: none/p.png"),
    ],
)
def test_a_page_that_cannot_be_is_refused_at_once(
    model, data, capsys, monkeypatch, tmp_path, arguments, told
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(likeness, "compare", None)  # nothing is measured first
    assert evaluate(model, data, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert err.count("\n") == 1


def test_rates_are_of_the_answers_that_still_go_on():
    clocks = [np.array([0.05, 0.15]), np.array([0.05, 0.06])]
    at, rate = report.per_second(clocks, np.array([0.2, 0.1]))
    np.testing.assert_allclose(at, [0.05, 0.15])
    np.testing.assert_allclose(rate, [3 / 2 / 0.1, 1 / 0.1])


def test_nobody_waits_for_a_page_who_wants_none(model, data, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "robojam.evaluation.report", None)
    assert evaluate(model, data, "--json") == 0
    capsys.readouterr()
