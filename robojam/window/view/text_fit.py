"""Labels and words that fit: what makes room, what is cut. Pure: measuring is handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum


class ColourRole(Enum):
    """How words are coloured."""

    TEXT = "text"
    MUTED = "muted"
    HUMAN = "human"
    MACHINE = "machine"
    ALERT = "alert"
    RECORD = "record"


class Icon(Enum):
    """A small mark before the words."""

    NONE = "none"
    HUMAN = "human"
    MACHINE = "machine"
    AWAY = "away"
    RECORD = "record"
    ARMED = "armed"
    LIGHT = "light"
    LIT = "lit"


@dataclass(frozen=True, slots=True)
class TextRun:
    """Words in one tone."""

    text: str
    role: ColourRole = ColourRole.TEXT


TextRuns = tuple[TextRun, ...]


@dataclass(frozen=True, slots=True)
class Label:
    """Parts that stand together. The higher its rank, the sooner it makes room.

    ``short`` stands in its place when room is short; empty, it goes at once. One with
    an ``action`` can be touched; ``fill`` (0..1) shows how far a control is turned,
    ``on`` that it is chosen.
    """

    runs: TextRuns
    rank: int
    short: TextRuns | None = None
    right: bool = False
    icon: Icon = Icon.NONE
    action: str = ""
    fill: float | None = None
    selected: bool = False


@dataclass(frozen=True, slots=True)
class PlacedLabel:
    """A label that got its place: its left end and width, and the parts that are shown."""

    label: Label
    runs: TextRuns
    left: int
    width: int


def place_labels(
    labels: Sequence[Label], *, left: int, right: int, gap: int,
    measure: Callable[[Label, TextRuns], int],
) -> list[PlacedLabel]:  # fmt: skip
    """Place labels between left and right (pixels), so that none touches another.

    First the least important are shortened, then left out; the last one left may
    still be too long, and is then left to the one who draws it to cut.
    """
    shown = {label: label.runs for label in labels}

    def too_long() -> bool:
        length = sum(measure(label, runs) for label, runs in shown.items())
        return length + gap * (len(shown) - 1) > right - left

    by_rank = sorted(labels, key=lambda label: -label.rank)
    for label in by_rank:
        if too_long() and label.short is not None:
            shown[label] = label.short
            if not label.short:
                del shown[label]
    for label in by_rank:
        if too_long() and label in shown and len(shown) > 1:
            del shown[label]
    placed = []
    for label, runs in shown.items():
        if not label.right:
            wide = measure(label, runs)
            placed.append(PlacedLabel(label, runs, left, wide))
            left += wide + gap
    for label, runs in reversed(shown.items()):
        if label.right:
            wide = measure(label, runs)
            right -= wide
            placed.append(PlacedLabel(label, runs, max(left, right), wide))
            right -= gap
    return placed


def wrap_text(text: str, *, width: int, measure: Callable[[str], int], lines: int) -> list[str]:
    """Break text into at most so many lines of at most width pixels; cut what is over."""
    done: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if measure(longer) <= width or not line:
            line = longer
        else:
            done.append(line)
            line = word
    done.append(line)
    if len(done) > lines:
        done = [*done[: lines - 1], " ".join(done[lines - 1 :])]
    return [truncate(line, width=width, measure=measure) for line in done if line]


def truncate(text: str, *, width: int, measure: Callable[[str], int]) -> str:
    """Shorten text with an ellipsis until it is at most width pixels; '' if it cannot be."""
    if measure(text) <= width:
        return text
    while text and measure(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…" if text else ""


def format_duration(seconds: float) -> str:
    """Write a time as 0:07, 12:34, 1:02:03."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
