"""Labels and lines fitted into a width."""

from __future__ import annotations

from robojam.window.view.text_fit import (
    Label,
    TextRun,
    format_duration,
    place_labels,
    truncate,
    wrap_text,
)
from robojam.window.view.theme import DARK

HUMANS, MACHINES = DARK.humans, DARK.machines


def test_labels_of_high_rank_are_shortened_and_left_out_first():
    labels = [
        Label((TextRun("aaaaaaaaaa"),), 0, (TextRun("aaa"),)),
        Label((TextRun("bbbb"),), 5, right=True),
        Label((TextRun("cccc"),), 3, (TextRun("c"),), right=True),
    ]

    def shown(width: int) -> list[str]:
        placed = place_labels(
            labels, left=0, right=width, gap=2,
            measure=lambda _, runs: sum(len(run.text) for run in runs),
        )  # fmt: skip
        return sorted(run.text for _, runs, *_ in placed for run in runs)

    assert shown(30) == ["aaaaaaaaaa", "bbbb", "cccc"]
    assert shown(21) == ["aaaaaaaaaa", "bbbb", "c"]
    assert shown(17) == ["aaa", "bbbb", "cccc"]  # shortened before "aaa" was
    assert shown(12) == ["aaa", "bbbb", "c"]
    assert shown(7) == ["aaa", "c"]
    assert shown(2) == ["aaa"]  # cut when it is drawn


def test_text_is_wrapped_and_truncated_to_its_width():
    assert wrap_text("one two three", width=8, measure=len, lines=2) == ["one two", "three"]
    assert wrap_text("one two three four", width=8, measure=len, lines=2) == [
        "one two",
        "three f…",
    ]
    assert wrap_text("", width=8, measure=len, lines=2) == []
    assert truncate("abcdef", width=3, measure=len) == "ab…"
    assert truncate("abcdef", width=0, measure=len) == ""


def test_duration_is_formatted_with_minutes_and_hours():
    assert [format_duration(t) for t in (-1, 7.9, 754, 3723)] == [
        "0:00",
        "0:07",
        "12:34",
        "1:02:03",
    ]
