"""Pictures of jams: the surface with all that was played on it, and its time below.

A stroke is a line, broader where the finger went slowly; a tap is a dot. People are warm,
the machine is cool, and both darken as the jam goes on. Below, as in a score, the same
from left to right as time passed, high where the finger was high.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robojam.sessions.session import Session
from robojam.touch import Phase, is_machine

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray[Any, np.dtype[Any]]

PAPER, INK, FAINT, GREY = "#f7f2e8", "#2b2a2f", "#b9b2a6", "#857d71"
#: From early to late.
PEOPLE = ("#f4b183", "#e4572e", "#8a1c2b")
MACHINE = ("#8fd3d1", "#2a7f9e", "#1d2f6f")
#: A stroke that is no longer than this, in screens, is a tap.
TAP = 0.012
#: A line's breadth in points on a surface 6 inches wide: at rest, and at high speed.
BROAD, FINE = 6.0, 1.2


@dataclass(frozen=True, slots=True, eq=False)
class Stroke:
    """One finger from its landing to its lifting: t (n,), in seconds, and xy (n, 2)."""

    machine: bool
    t: Array
    xy: Array

    @property
    def tap(self) -> bool:
        """Whether it stayed where it landed."""
        return bool(np.ptp(self.xy, axis=0).max() < TAP)


def strokes(session: Session) -> list[Stroke]:
    """Return the strokes of a session, in the order of their landing."""
    under_way: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    found: list[tuple[bool, list[tuple[float, float, float]]]] = []
    for event in session.touches():
        touch, finger = event.touch, (event.touch.who, event.touch.id)
        if touch.phase is Phase.UP:
            under_way.pop(finger, None)
            continue
        if touch.phase is Phase.DOWN or finger not in under_way:
            under_way[finger] = []
            found.append((is_machine(touch.who), under_way[finger]))
        under_way[finger].append((event.t, touch.x, touch.y))
    return [
        Stroke(machine, *(lambda a: (a[:, 0], a[:, 1:]))(np.array(points)))
        for machine, points in found
    ]


def draw(sessions: Sequence[Session], path: Path, *, names: Sequence[str] = ()) -> None:
    """Draw a session as a poster, or several as a contact sheet, to a .png.

    names are what they are called, each "" where it has no name but its date. Raises
    ValueError when nothing was played in any of them.
    """
    drawn = [(session, strokes(session)) for session in sessions]
    if not any(found for _, found in drawn):
        raise ValueError("nothing was played: there is nothing to draw")
    called = [" ".join(name.split()) for name in names or [""] * len(drawn)]
    with warnings.catch_warnings():  # letters that the font has not are boxes
        warnings.filterwarnings("ignore", "Glyph")
        figure = _poster(*drawn[0], called[0]) if len(drawn) == 1 else _sheet(drawn, called)
        figure.savefig(path, format="png", facecolor=PAPER, metadata={"Software": None})


def _poster(session: Session, found: list[Stroke], called: str) -> Figure:
    from matplotlib.figure import Figure

    wide, high = 9.0, 12.0
    figure = Figure(figsize=(wide, high), dpi=200)
    margin = 0.9 / wide
    side = 1 - 2 * margin
    surface = figure.add_axes(
        (margin, 1 - (0.9 + side * wide) / high, side, side * wide / high)
    )
    _surface(surface, session, found, scale=side * wide / 6)
    score = figure.add_axes((margin, 1.62 / high, side, 1.45 / high))
    _score(score, session, found)
    people, machine, lasted = _counts(session)
    day, hour = _when(session, "%-d %B %Y")
    right = "   ".join(filter(None, (lasted, day if called else "", hour)))
    y = 0.86 / high
    figure.text(1 - margin, y, right, color=INK, size=11, ha="right", va="baseline")
    title = _fitted(called or day or "robojam", 19, side * wide * 72 - _width(right, 11) - 24)
    figure.text(
        margin, y, title, color=INK, size=19, weight="light", va="baseline", parse_math=False
    )
    x = margin
    for colour, text in ((PEOPLE[1], people), (MACHINE[1], machine)):
        if text:
            figure.text(x, 0.52 / high, text, color=colour, size=10.5, va="baseline")
            x += 0.235
    return figure


def _sheet(drawn: Sequence[tuple[Session, list[Stroke]]], called: Sequence[str]) -> Figure:
    from matplotlib.figure import Figure

    columns = min(len(drawn), max(2, round(len(drawn) ** 0.5 * 1.15)))
    rows = -(-len(drawn) // columns)
    cell, gap, below, margin = 2.2, 0.45, 0.4, 0.6
    wide = 2 * margin + columns * cell + (columns - 1) * gap
    high = 2 * margin + rows * (cell + below) + (rows - 1) * gap / 2
    # However many there are, no picture is wider than 16,000 pixels.
    figure = Figure(figsize=(wide, high), dpi=min(170, 16_000 / max(wide, high)))
    for index, (session, found) in enumerate(drawn):
        row, column = divmod(index, columns)
        left = margin + column * (cell + gap)
        top = margin + row * (cell + below + gap / 2)
        place = (left / wide, 1 - (top + cell) / high, cell / wide, cell / high)
        _surface(figure.add_axes(place), session, found, scale=cell / 6 * 1.5)
        _, _, lasted = _counts(session)
        when = " ".join(_when(session, "%-d %b %Y")).strip() or f"{index + 1}"
        # Its name and below it when it was; without one, when it was stands for it.
        lines = [(when, 8.5, INK)]
        if called[index]:
            lines = [(_fitted(called[index], 8.5, cell * 72), 8.5, INK), (when, 7.0, GREY)]
        for line, (told, size, colour) in enumerate(lines):
            y = 1 - (top + cell + 0.17 * (line + 1)) / high
            figure.text(
                left / wide, y, told, color=colour, size=size, va="center", parse_math=False
            )
        end = (left + cell) / wide
        figure.text(end, y, lasted, color=GREY, size=7, va="center", ha="right")
    return figure


def _when(session: Session, day: str) -> tuple[str, str]:
    """Say on which day, and at what time of it here; "" where it was never played."""
    if session.started.year <= 1970:
        return "", ""
    started = session.started.astimezone()
    return started.strftime(day), f"{started:%H:%M}"


def _width(text: str, size: float) -> float:
    """Measure how broad a line would be, in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    found = TextToPath().get_text_width_height_descent(text, FontProperties(size=size), False)
    return float(found[0])


def _fitted(text: str, size: float, room: float) -> str:
    """Shorten a line to so many points."""
    if _width(text, size) <= room:
        return text
    while len(text) > 1 and _width(text + "…", size) > room:
        text = text[:-1].rstrip()
    return text + "…"


def _surface(axes: Axes, session: Session, found: list[Stroke], *, scale: float) -> None:
    """Draw what was played on the surface, the latest on top."""
    from matplotlib.collections import LineCollection

    axes.set(xlim=(-0.015, 1.015), ylim=(1.015, -0.015), xticks=[], yticks=[])
    axes.set_facecolor(PAPER)
    for spine in axes.spines.values():
        spine.set(color=FAINT, linewidth=0.7 * min(scale, 1))
    whole = max(session.duration, 1e-9)
    for order, stroke in enumerate(found):
        colours = _colours(stroke, whole)
        if stroke.tap:
            # The longer a finger stayed, the larger its dot.
            size = (7 + 9 * min(np.ptp(stroke.t), 1.0)) * scale
            at = stroke.xy.mean(0)
            axes.plot(*at, "o", ms=size, color=colours[0], alpha=0.88, mew=0, zorder=3 + order)
            axes.plot(
                *at,
                "o",
                ms=size * 1.75,
                mfc="none",
                mec=colours[0],
                mew=0.7 * scale,
                alpha=0.5,
                zorder=3 + order,
            )
            continue
        points = _curved(stroke.xy)
        segments = np.stack([points[:-1], points[1:]], 1)
        along = np.linspace(0, len(stroke.t) - 1, len(segments))
        breadths = np.interp(along, np.arange(len(stroke.t)), _breadths(stroke))
        lines = LineCollection(
            list(segments),
            colors=[colours[round(i)] for i in along.tolist()],
            linewidths=breadths * scale,
            capstyle="round",
            joinstyle="round",
            zorder=3 + order,
        )
        axes.add_collection(lines)


def _score(axes: Axes, session: Session, found: list[Stroke]) -> None:
    """Draw the same from left to right, as time passed."""
    from matplotlib.collections import LineCollection

    whole = max(session.duration, 1e-9)
    axes.set(xlim=(0, whole), ylim=(1.06, -0.06), xticks=[], yticks=[])
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set(color=FAINT, linewidth=0.7, visible=side == "bottom")
    for stroke in found:
        colours = _colours(stroke, whole)
        path = np.column_stack([stroke.t, stroke.xy[:, 1]])
        if stroke.tap:
            axes.plot(*path[0], "o", ms=3.2, color=colours[0], mew=0, clip_on=False)
            continue
        segments = np.stack([path[:-1], path[1:]], 1)
        axes.add_collection(
            LineCollection(list(segments), colors=colours[1:], linewidths=1.3, capstyle="round")
        )
    step = next(s for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 1e9)
                if whole / s <= 9)  # fmt: skip
    for second in np.arange(0, whole + 1e-9, step):
        axes.annotate(
            f"{int(second // 60)}:{int(second % 60):02d}",
            (second, 0),
            xycoords=("data", "axes fraction"),
            xytext=(0, -9),
            textcoords="offset points",
            color=FAINT,
            size=7.5,
            ha="center",
            va="top",
        )


def _colours(stroke: Stroke, whole: float) -> list[tuple[float, ...]]:
    from matplotlib.colors import LinearSegmentedColormap

    shades = MACHINE if stroke.machine else PEOPLE
    name = "machine" if stroke.machine else "people"
    found = LinearSegmentedColormap.from_list(name, shades)(stroke.t / whole)
    return [tuple(colour) for colour in found.tolist()]


def _breadths(stroke: Stroke) -> Array:
    """Return how broad the line is at each point, in points: fine where it is fast."""
    step = np.hypot(*np.diff(stroke.xy, axis=0, prepend=stroke.xy[:1]).T)
    speed = step / np.maximum(np.diff(stroke.t, prepend=stroke.t[:1]), 4e-3)
    speed[0] = speed[1]
    # A brush has a mass of its own: it follows the hand with some delay.
    window = np.hanning(11)[1:-1]
    speed = np.convolve(np.pad(speed, 4, "edge"), window / window.sum(), "valid")
    broad: Array = FINE + (BROAD - FINE) * np.exp(-1.5 * speed)
    return broad


def _curved(points: Array) -> Array:
    """Draw a round curve through a finger's touches (n, 2), and still its tremor."""
    if len(points) < 3:
        return points
    stilled = points.copy()
    stilled[1:-1] = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
    around = np.pad(stilled, ((1, 1), (0, 0)), "edge")
    before, here, there, after = around[:-3], around[1:-2], around[2:-1], around[3:]
    share = np.linspace(0, 1, 5)[:-1, None, None]
    curve = here + share / 2 * (  # Catmull & Rom 1974
        there - before
        + share * (2 * before - 5 * here + 4 * there - after
        + share * (3 * (here - there) + after - before))
    )  # fmt: skip
    found: Array = np.concatenate([curve.swapaxes(0, 1).reshape(-1, 2), stilled[-1:]])
    return found


def _counts(session: Session) -> tuple[str, str, str]:
    """Say how much people and the machine played, and how long it lasted."""
    told = ["", ""]
    touches = session.summary().touches
    for i, name in enumerate(("human", "machine")):
        players = [n for who, n in touches.items() if is_machine(who) == (i == 1)]
        if players:
            many = f"{len(players)} × {name}" if len(players) > 1 else name
            told[i] = f"{many}   {sum(players):,} touches"
    minutes, seconds = divmod(session.duration, 60)
    lasted = f"{minutes:.0f} min {seconds:.0f} s" if minutes else f"{seconds:.1f} s"
    return told[0], told[1], lasted
