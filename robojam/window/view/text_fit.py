"""Labels and lines of text fitted into a width. Pure: the caller measures text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

#: Role of a text's colour in the theme.
ColourRole = Enum("ColourRole", "TEXT MUTED HUMAN MACHINE ALERT RECORD")
#: Small mark before a label's text.
Icon = Enum("Icon", "NONE HUMAN MACHINE AWAY RECORD ARMED LIGHT LIT TROUBLE")


@dataclass(frozen=True, slots=True)
class TextRun:
    """Text in one colour."""

    text: str
    role: ColourRole = ColourRole.TEXT


TextRuns = tuple[TextRun, ...]


@dataclass(frozen=True, slots=True)
class Label:
    """Text runs that stand together in a row of the frame.

    The label with the highest rank is shortened and left out first. short replaces the
    runs when there is little room; if it is empty, the label is left out. A label with an
    action can be pressed. fill (0..1) shows the value of a dial, selected the chosen
    option.
    """

    runs: TextRuns
    rank: int
    short: TextRuns | None = None
    right: bool = False
    icon: Icon = Icon.NONE
    action: str = ""
    fill: float | None = None
    selected: bool = False


#: Label, the runs that are shown, and its left end and width in pixels.
PlacedLabel = tuple[Label, TextRuns, int, int]


def place_labels(
    labels: Sequence[Label], *, left: int, right: int, gap: int,
    measure: Callable[[Label, TextRuns], int],
) -> list[PlacedLabel]:  # fmt: skip
    """Place labels between left and right (pixels) so that they do not overlap.

    Labels of high rank are shortened first, then left out. Those of low rank are lengthened
    again where there is room then. The last one is kept even if it is too long; the caller
    truncates it.
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
    for label in reversed(by_rank):
        if (short := shown.get(label)) is not None:
            shown[label] = label.runs
            if too_long():
                shown[label] = short
    placed = []
    for label, runs in shown.items():
        if not label.right:
            placed.append((label, runs, left, measure(label, runs)))
            left += placed[-1][3] + gap
    for label, runs in reversed(shown.items()):
        if label.right:
            width = measure(label, runs)
            placed.append((label, runs, max(left, right - width), width))
            right -= width + gap
    return placed


def wrap_text(text: str, *, width: int, measure: Callable[[str], int], lines: int) -> list[str]:
    """Break text into lines of at most width pixels; truncate what exceeds the last line."""
    finished = [""]
    for word in text.split():
        longer = f"{finished[-1]} {word}".strip()
        if measure(longer) <= width or not finished[-1]:
            finished[-1] = longer
        else:
            finished.append(word)
    finished[lines - 1 :] = [" ".join(finished[lines - 1 :])]
    return [truncate(line, width=width, measure=measure) for line in finished if line]


def truncate(
    text: str, *, width: int, measure: Callable[[str], int], keep_end: bool = False
) -> str:
    """Shorten text with an ellipsis to at most width pixels; '' if nothing fits.

    keep_end: the beginning is left out, else the end.
    """
    if measure(text) <= width:
        return text
    if keep_end:
        while text and measure("…" + text) > width:
            text = text[1:]
        return "…" + text if text else ""
    while text and measure(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…" if text else ""


def format_duration(seconds: float) -> str:
    """Format seconds as 0:07, 12:34 or 1:02:03."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
