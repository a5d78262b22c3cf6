"""Export of recorded jams as a picture: a poster of one, a contact sheet of several.

Above is the surface with every stroke: a line, broader where the finger moved slowly, or a
dot for a tap. People are drawn in warm colours, the machine in cool ones, and both darken
as the jam goes on. Below, as in a score, are the same strokes from left to right in time.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robojam.export.figures import make_figure
from robojam.sessions import strokes
from robojam.sessions.session import Session
from robojam.touch import is_machine

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray[Any, np.dtype[Any]]

PAPER, INK, FAINT, GREY = "#f7f2e8", "#2b2a2f", "#b9b2a6", "#857d71"
#: Colours from early to late.
PEOPLE = ("#f4b183", "#e4572e", "#8a1c2b")
MACHINE = ("#8fd3d1", "#2a7f9e", "#1d2f6f")
#: Most knobs of a picture, and the seconds of rest at which a line ends.
_LANES, _REST = 64, 0.5
#: Longest stroke that is a tap, in screens.
TAP = 0.012
#: Breadths of a line in points, on a surface 6 inches wide: at rest, and at high speed.
BROAD, FINE = 6.0, 1.2


@dataclass(frozen=True, slots=True, eq=False)
class StrokePath:
    """Path of one finger from landing to lifting: t [n], in seconds, and xy [n, 2]."""

    machine: bool
    t: Array
    xy: Array

    @property
    def is_tap(self) -> bool:
        """Whether the finger stayed where it landed."""
        return bool(np.ptp(self.xy, axis=0).max() < TAP)


def stroke_paths(session: Session) -> list[StrokePath]:
    """Return the paths of a session's strokes, in the order of their landing."""
    paths = []
    for stroke in strokes.strokes(session):
        points = np.array([(e.t, e.touch.x, e.touch.y) for e in stroke])
        paths.append(StrokePath(is_machine(stroke[0].touch.who), points[:, 0], points[:, 1:]))
    return paths


def draw(sessions: Sequence[Session], path: Path, *, names: Sequence[str] = ()) -> None:
    """Draw a session as a poster, or several as a contact sheet, to a .png file.

    names holds the name of each session, "" for one without. Raises ValueError when nothing
    was played in any of them.
    """
    if any(session.knobs for session in sessions):
        _draw_knobs(sessions, path, names)
        return
    drawn = [(session, stroke_paths(session)) for session in sessions]
    if not any(paths for _, paths in drawn):
        raise ValueError("nothing was played: there is nothing to draw")
    names = [" ".join(name.split()) for name in names or [""] * len(drawn)]
    with warnings.catch_warnings():  # letters that the font lacks are boxes
        warnings.filterwarnings("ignore", "Glyph")
        figure = _poster(*drawn[0], names[0]) if len(drawn) == 1 else _sheet(drawn, names)
        figure.savefig(path, format="png", facecolor=PAPER, metadata={"Software": None})


def _draw_knobs(sessions: Sequence[Session], path: Path, names: Sequence[str]) -> None:
    """Draw a strip chart of each knob, one session after the other. Raises ValueError."""
    lanes = [(session, knob) for session in sessions for knob in range(session.knobs)]
    if len(lanes) > _LANES:
        raise ValueError(f"{len(lanes)} knobs are too many for one picture, of {_LANES}")
    if not any(session.summary().touches for session in sessions):
        raise ValueError("nothing was played: there is nothing to draw")
    titles = [" ".join(name.split()) for name in names or [""] * len(sessions)]
    figure = make_figure(figsize=(11.0, 0.8 + 0.85 * len(lanes)), dpi=160)
    figure.set_facecolor(PAPER)
    rows = figure.subplots(len(lanes), 1, squeeze=False)[:, 0]
    for axes, (session, knob) in zip(rows, lanes, strict=True):
        for who in session.summary().touches:
            colours = MACHINE if is_machine(who) else PEOPLE
            played = [e for e in session.touches(who) if len(e.touch.knobs) > knob]
            t = np.array([event.t for event in played])
            values = np.array([event.touch.knobs[knob] for event in played])
            if not len(t) or not np.ptp(values):
                continue
            # A rest is a gap: the knob may have been moved by others meanwhile.
            for part in np.split(np.arange(len(t)), np.flatnonzero(np.diff(t) > _REST) + 1):
                axes.plot(t[part], values[part], color=colours[1], lw=1.6)
        axes.set(xlim=(0, max(session.duration, 0.1)), ylim=(-0.05, 1.05), yticks=[])
        axes.set_ylabel(str(knob + 1), rotation=0, color=GREY, va="center", ha="right")
        axes.set_facecolor(PAPER)
        for side in axes.spines.values():
            side.set_color(FAINT)
        axes.tick_params(colors=GREY, labelsize=7, labelbottom=knob == session.knobs - 1)
        if knob == 0 and titles[sessions.index(session)]:
            axes.set_title(titles[sessions.index(session)], color=INK, loc="left", fontsize=10)
    rows[-1].set_xlabel("seconds", color=GREY, fontsize=8)
    figure.tight_layout()
    with warnings.catch_warnings():  # letters that the font lacks are boxes
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(path, format="png", facecolor=PAPER, metadata={"Software": None})


def _poster(session: Session, paths: list[StrokePath], name: str) -> Figure:
    wide, high = 9.0, 12.0
    figure = make_figure(figsize=(wide, high), dpi=200)
    margin = 0.9 / wide
    side = 1 - 2 * margin
    place = margin, 1 - (0.9 + side * wide) / high, side, side * wide / high
    _surface(figure.add_axes(place), session, paths, scale=side * wide / 6)
    _score(figure.add_axes((margin, 1.62 / high, side, 1.45 / high)), session, paths)
    people, machine, length = _counts(session)
    day, hour = _when(session, "%-d %B %Y")
    right = "   ".join(filter(None, (length, day if name else "", hour)))
    y = 0.86 / high
    figure.text(1 - margin, y, right, color=INK, size=11, ha="right", va="baseline")
    title = _fitted(name or day or "robojam", 19, side * wide * 72 - _width(right, 11) - 24)
    plain: dict[str, Any] = {"va": "baseline", "parse_math": False}
    figure.text(margin, y, title, color=INK, size=19, weight="light", **plain)
    x = margin
    for colour, text in ((PEOPLE[1], people), (MACHINE[1], machine)):
        if text:
            figure.text(x, 0.52 / high, text, color=colour, size=10.5, va="baseline")
            x += 0.235
    return figure


def _sheet(drawn: Sequence[tuple[Session, list[StrokePath]]], names: Sequence[str]) -> Figure:
    columns = min(len(drawn), max(2, round(len(drawn) ** 0.5 * 1.15)))
    rows = -(-len(drawn) // columns)
    cell, gap, below, margin = 2.2, 0.45, 0.4, 0.6
    wide = 2 * margin + columns * cell + (columns - 1) * gap
    high = 2 * margin + rows * (cell + below) + (rows - 1) * gap / 2
    # The side of a picture is at most 16,000 pixels.
    figure = make_figure(figsize=(wide, high), dpi=min(170, 16_000 / max(wide, high)))
    for index, (session, paths) in enumerate(drawn):
        row, column = divmod(index, columns)
        left = margin + column * (cell + gap)
        top = margin + row * (cell + below + gap / 2)
        place = (left / wide, 1 - (top + cell) / high, cell / wide, cell / high)
        _surface(figure.add_axes(place), session, paths, scale=cell / 6 * 1.5)
        _, _, length = _counts(session)
        when = " ".join(_when(session, "%-d %b %Y")).strip() or f"{index + 1}"
        # The name and its date below; without a name, the date in its place.
        lines = [(when, 8.5, INK)]
        if names[index]:
            lines = [(_fitted(names[index], 8.5, cell * 72), 8.5, INK), (when, 7.0, GREY)]
        for line, (text, size, colour) in enumerate(lines):
            y = 1 - (top + cell + 0.17 * (line + 1)) / high
            style: dict[str, Any] = {"va": "center", "parse_math": False}
            figure.text(left / wide, y, text, color=colour, size=size, **style)
        end = (left + cell) / wide
        figure.text(end, y, length, color=GREY, size=7, va="center", ha="right")
    return figure


def _when(session: Session, day: str) -> tuple[str, str]:
    """Return the day and the local time of a session; "" for one that was never played."""
    if session.started.year <= 1970:
        return "", ""
    started = session.started.astimezone()
    return started.strftime(day), f"{started:%H:%M}"


def _width(text: str, size: float) -> float:
    """Return the width of a line of text, in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    properties = FontProperties(size=size)
    width, _, _ = TextToPath().get_text_width_height_descent(text, properties, False)
    return float(width)


def _fitted(text: str, size: float, room: float) -> str:
    """Shorten a line of text to a width in points."""
    if _width(text, size) <= room:
        return text
    while len(text) > 1 and _width(text + "…", size) > room:
        text = text[:-1].rstrip()
    return text + "…"


def _surface(axes: Axes, session: Session, paths: list[StrokePath], *, scale: float) -> None:
    """Draw the strokes on the surface, the latest on top."""
    from matplotlib.collections import LineCollection

    axes.set(xlim=(-0.015, 1.015), ylim=(1.015, -0.015), xticks=[], yticks=[])
    axes.set_facecolor(PAPER)
    for spine in axes.spines.values():
        spine.set(color=FAINT, linewidth=0.7 * min(scale, 1))
    duration = max(session.duration, 1e-9)
    for order, stroke in enumerate(paths):
        colours = _colours(stroke, duration)
        if stroke.is_tap:
            # The longer a finger stayed, the larger its dot.
            size = (7 + 9 * min(np.ptp(stroke.t), 1.0)) * scale
            at = stroke.xy.mean(0)
            colour, top = colours[0], 3 + order
            axes.plot(*at, "o", ms=size, color=colour, alpha=0.88, mew=0, zorder=top)
            ring: dict[str, Any] = {"mfc": "none", "mec": colour, "mew": 0.7 * scale}
            axes.plot(*at, "o", ms=size * 1.75, alpha=0.5, zorder=top, **ring)
            continue
        points = _curved(stroke.xy)
        segments = np.stack([points[:-1], points[1:]], 1)
        along = np.linspace(0, len(stroke.t) - 1, len(segments))
        breadths = np.interp(along, np.arange(len(stroke.t)), _breadths(stroke))
        shades = [colours[round(i)] for i in along.tolist()]
        brush = {"linewidths": breadths * scale, "capstyle": "round", "joinstyle": "round"}
        lines = LineCollection(list(segments), colors=shades, zorder=3 + order, **brush)
        axes.add_collection(lines)


def _score(axes: Axes, session: Session, paths: list[StrokePath]) -> None:
    """Draw y of the strokes over time, from left to right."""
    from matplotlib.collections import LineCollection

    duration = max(session.duration, 1e-9)
    axes.set(xlim=(0, duration), ylim=(1.06, -0.06), xticks=[], yticks=[])
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set(color=FAINT, linewidth=0.7, visible=side == "bottom")
    for stroke in paths:
        colours = _colours(stroke, duration)
        path = np.column_stack([stroke.t, stroke.xy[:, 1]])
        if stroke.is_tap:
            axes.plot(*path[0], "o", ms=3.2, color=colours[0], mew=0, clip_on=False)
            continue
        segments = np.stack([path[:-1], path[1:]], 1)
        pen: dict[str, Any] = {"linewidths": 1.3, "capstyle": "round"}
        axes.add_collection(LineCollection(list(segments), colors=colours[1:], **pen))
    step = next(s for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 1e9)
                if duration / s <= 9)  # fmt: skip
    below: dict[str, Any] = {"xytext": (0, -9), "textcoords": "offset points", "size": 7.5}
    below |= {"xycoords": ("data", "axes fraction"), "color": FAINT, "ha": "center"}
    for second in np.arange(0, duration + 1e-9, step):
        label = f"{int(second // 60)}:{int(second % 60):02d}"
        axes.annotate(label, (second, 0), va="top", **below)


def _colours(stroke: StrokePath, duration: float) -> list[tuple[float, ...]]:
    """Return the colour of each point, by its time."""
    from matplotlib.colors import LinearSegmentedColormap

    shades = MACHINE if stroke.machine else PEOPLE
    colours = LinearSegmentedColormap.from_list("", shades)(stroke.t / duration)
    return [tuple(colour) for colour in colours.tolist()]


def _breadths(stroke: StrokePath) -> Array:
    """Return the breadth of the line at each point, in points: fine where it is fast."""
    step = np.hypot(*np.diff(stroke.xy, axis=0, prepend=stroke.xy[:1]).T)
    speed = step / np.maximum(np.diff(stroke.t, prepend=stroke.t[:1]), 4e-3)
    speed[0] = speed[1]
    # Smoothed over nine points, as a brush follows the hand with some delay.
    window = np.hanning(11)[1:-1]
    speed = np.convolve(np.pad(speed, 4, "edge"), window / window.sum(), "valid")
    breadths: Array = FINE + (BROAD - FINE) * np.exp(-1.5 * speed)
    return breadths


def _curved(points: Array) -> Array:
    """Return a smooth curve through a finger's touches [n, 2], without its tremor."""
    if len(points) < 3:
        return points
    smoothed = points.copy()
    smoothed[1:-1] = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
    around = np.pad(smoothed, ((1, 1), (0, 0)), "edge")
    p0, p1, p2, p3 = around[:-3], around[1:-2], around[2:-1], around[3:]
    share = np.linspace(0, 1, 5)[:-1, None, None]
    curve = p1 + share / 2 * (  # Catmull & Rom 1974
        p2 - p0
        + share * (2 * p0 - 5 * p1 + 4 * p2 - p3
        + share * (3 * (p1 - p2) + p3 - p0))
    )  # fmt: skip
    drawn: Array = np.concatenate([curve.swapaxes(0, 1).reshape(-1, 2), smoothed[-1:]])
    return drawn


def _counts(session: Session) -> tuple[str, str, str]:
    """Return how much people and the machine played, and the length, as texts."""
    texts = ["", ""]
    touches = session.summary().touches
    for i, name in enumerate(("human", "machine")):
        counts = [n for who, n in touches.items() if is_machine(who) == (i == 1)]
        if counts:
            players = f"{len(counts)} × {name}" if len(counts) > 1 else name
            texts[i] = f"{players}   {sum(counts):,} touches"
    minutes, seconds = divmod(session.duration, 60)
    length = f"{minutes:.0f} min {seconds:.0f} s" if minutes else f"{seconds:.1f} s"
    return texts[0], texts[1], length
