"""The page of figures: written completely or not at all, and counted correctly."""

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
    return npz(tmp_path / "people.npz", corpus(TOUCHES, [120] * 20))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made = small(TOUCHES)
    save(made, tmp_path / "made.safetensors", described(made))
    return tmp_path / "made.safetensors"


@pytest.fixture(autouse=True)
def few_bootstraps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have quickly measured, but wide, intervals: the page draws them all the same."""
    monkeypatch.setattr(likeness, "_BOOTSTRAPS", 20)


def evaluate(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["evaluate", *map(str, arguments)])
    return int(left.value.code or 0)


@pytest.mark.parametrize(
    ("name", "begins"),
    [("page.png", b"\x89PNG"), ("page.svg", b"<?xml"), ("page.pdf", b"%PDF")],
)
def test_page_is_one_reproducible_file(model, data, tmp_path, capsys, name, begins):
    pages = []
    for folder in ("a", "b") if name.endswith("png") else ("a",):
        page = tmp_path / folder / name
        page.parent.mkdir()
        assert evaluate(model, data, "--play", "--quick", "--page", page) == 0
        assert list(page.parent.iterdir()) == [page]
        pages.append(page.read_bytes())
        assert pages[-1].startswith(begins)
    assert len(set(pages)) == 1
    out, err = capsys.readouterr()
    assert "what stands out" in out
    assert err == ""


def test_page_shows_the_takes_that_were_measured(model, data, tmp_path, monkeypatch):
    """The page draws the takes that were compared with people: none are made again."""
    made: list[Any] = []
    drawn: list[Any] = []
    real = likeness.continue_openings

    def recorded(*args: Any, **how: Any) -> Any:
        made.append(real(*args, **how))
        return made[-1]

    monkeypatch.setattr(likeness, "continue_openings", recorded)
    monkeypatch.setattr(report, "_draw_answers", lambda *args: drawn.append(args[-1]))
    page = tmp_path / "p.png"
    assert evaluate(model, data, "--play", "--quick", "--page", page, "--seed", 3) == 0
    assert len(made) == len(drawn) == 1
    assert len(made[0]) == len(drawn[0]) == 5 * 20
    for a, b in zip(made[0], drawn[0], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--page", "p.png"), "--page goes with --play"),
        (("--play", "--page", "p.gif"), "a page is .png, .svg, .pdf"),
        (("--play", "--page", "none/p.png"), "--page: none/p.png"),
    ],
)
def test_impossible_page_is_refused_before_measuring(
    model, data, capsys, monkeypatch, tmp_path, arguments, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(likeness, "compare", None)  # nothing is measured first
    assert evaluate(model, data, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_touch_rates_count_only_answers_still_going_on():
    clocks = [np.array([0.05, 0.15]), np.array([0.05, 0.06])]
    at, rate = report.touch_rates(clocks, np.array([0.2, 0.1]))
    np.testing.assert_allclose(at, [0.05, 0.15])
    np.testing.assert_allclose(rate, [3 / 2 / 0.1, 1 / 0.1])


def test_report_is_not_imported_without_a_page(model, data, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "robojam.evaluation.report", None)
    assert evaluate(model, data, "--json") == 0
    capsys.readouterr()
