"""The page of pictures of `robojam evaluate --play`: people and the machine, side by side.

From the same openings what people went on with and what the machine did; what tells the two
apart, as histograms; where on the surface they were; and when in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robojam.evaluation import likeness
from robojam.evaluation.likeness import Likeness
from robojam.export.poster import FAINT, INK, MACHINE, PAPER, PEOPLE
from robojam.model.file import ModelFile
from robojam.system.atomic_file import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = np.ndarray[Any, np.dtype[Any]]

#: What a page may be: by the end of its name.
KINDS = (".png", ".svg", ".pdf")
#: So many openings are shown, with what people made of each and so many answers.
_OPENINGS, _ANSWERS = 8, 2
#: So many answers' landings are shown, one above the other.
_RASTERS = 50
#: Touches are counted in each such part of an answer, in seconds.
_BIN = 0.1
#: The surface is so many cells wide and high.
_CELLS = 16
#: The page's width, height and margin, in inches.
_WIDE, _HIGH, _SIDE = 12.0, 16.9, 0.55


def draw(
    file: ModelFile,
    performances: Sequence[Floats],
    found: Likeness,
    path: Path,
    *,
    seed: int = 0,
    data: str = "",
) -> None:
    """Draw what `likeness.compare` found of a model on performances, with the same seed.

    path ends in one of KINDS; data is what the performances are called. Raises OSError
    where it cannot be written.
    """
    from matplotlib.figure import Figure

    parts = likeness.halves(performances)
    made = likeness.continued(
        file, parts, seed=seed, temperature=found.temperature, spread=found.spread
    )
    people = [after for _, after in parts]
    figure = Figure(figsize=(_WIDE, _HIGH), dpi=110, facecolor=PAPER)
    _title(figure, file, found, data)
    _answers(figure, parts, made)
    _histograms(figure, found, people, made, seed)
    begins = [(part.sum(0)[2] - opening.sum(0)[2]) / 2 for opening, part in parts]
    _surfaces(figure, people, made)
    _times(figure, people, made, begins)
    with atomic_write(path) as part:
        figure.savefig(
            part, format=path.suffix[1:].lower(), facecolor=PAPER, metadata=_unnamed(path)
        )


def _unnamed(path: Path) -> dict[str, None]:
    """Leave out who wrote it and when, so that the same page is the same file."""
    kinds = {".png": "Software", ".svg": "Date", ".pdf": "CreationDate"}
    return {kinds[path.suffix.lower()]: None}


def _axes(figure: Figure, left: float, top: float, wide: float, high: float) -> Axes:
    """Add axes at a place in inches from the page's left and top."""
    axes = figure.add_axes(
        (left / _WIDE, 1 - (top + high) / _HIGH, wide / _WIDE, high / _HIGH), facecolor="none"
    )
    axes.tick_params(colors=INK, labelsize=7, length=2, width=0.5)
    for side, spine in axes.spines.items():
        spine.set(color=FAINT, linewidth=0.7, visible=side == "bottom")
    return axes


def _heading(figure: Figure, top: float, text: str, more: str = "") -> None:
    y = 1 - top / _HIGH
    figure.text(_SIDE / _WIDE, y, text, color=INK, size=12, va="baseline")
    figure.text(1 - _SIDE / _WIDE, y, more, color=INK, size=8, va="baseline", ha="right")


def _title(figure: Figure, file: ModelFile, found: Likeness, data: str) -> None:
    """Say what was compared, and how well the two can be told apart."""
    x = _SIDE / _WIDE
    name = f"How like people does {file.path.stem} play?"
    figure.text(x, 1 - 0.75 / _HIGH, name, color=INK, size=19, weight="light")
    told = (
        f"{found.performances} openings{f' of {data}' if data else ''}, "
        f"{likeness.CONTINUATIONS} answers to each\n"
        f"temperature {found.temperature:g}, spread {found.spread:g}"
    )
    figure.text(x, 1 - 0.92 / _HIGH, told, color=INK, size=9, va="top", linespacing=1.5)
    x = _SIDE
    for colours, who in ((PEOPLE, "people"), (MACHINE, "the machine")):
        figure.text(x / _WIDE, 1 - 1.6 / _HIGH, who, color=colours[1], size=10, weight="bold")
        x += 0.75
    axes = _axes(figure, 8.6, 0.6, _WIDE - _SIDE - 8.6, 0.75)
    areas = (
        ("people and other people", found.people, FAINT),
        ("people and the machine", found.machine, MACHINE[1]),
        ("people and people 1.3 times as fast", found.sped_up, FAINT),
    )
    for row, (who, area, colour) in enumerate(areas):
        axes.plot([area.low, area.high], [row, row], color=colour, linewidth=2.5)
        axes.plot(area.auc, row, "o", color=colour, ms=5)
        axes.annotate(
            f"{who}  {area.auc:.2f}",
            (0.3, row),
            size=8,
            va="center",
            ha="right",
            color=INK,
            annotation_clip=False,
        )
    axes.set(xlim=(0.33, 1.02), ylim=(2.5, -0.6), yticks=[])
    axes.set_xticks([0.5, 0.75, 1], ["nobody can tell", "", "always"], size=8)
    axes.axvline(0.5, color=FAINT, linewidth=0.7, zorder=0)


def _answers(
    figure: Figure, parts: list[tuple[Floats, Floats]], made: Sequence[Floats]
) -> None:
    """Draw what followed the same openings: people's, and the machine's answers."""
    top, gap, left = 2.15, 0.08, _SIDE
    cell = (_WIDE - 2 * left - (_OPENINGS - 1) * gap) / _OPENINGS
    _heading(figure, top, "The same openings, and what followed", "grey: what was heard first")
    order = np.linspace(0, len(parts) - 1, min(_OPENINGS, len(parts))).round().astype(int)
    for column, which in enumerate(order.tolist()):
        opening, after = parts[which]
        first = which * likeness.CONTINUATIONS
        for row, played in enumerate([after, *made[first : first + _ANSWERS]]):
            x, y = left + column * (cell + gap), top + 0.12 + row * (cell + gap)
            axes = _axes(figure, x, y, cell, cell)
            axes.set(xlim=(-0.02, 1.02), ylim=(1.02, -0.02), xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set_visible(True)
            lines(axes, opening, FAINT, 0.6)
            last = opening[-1:]
            slid = np.concatenate([last, played])  # it may slide on from what was heard
            lines(axes, slid, (PEOPLE if row == 0 else MACHINE)[1], 1.0, begun=1)


def lines(axes: Axes, touches: Floats, colour: str, breadth: float, *, begun: int = 0) -> None:
    """Draw strokes as lines, and every landing as a dot; the first begun are not shown."""
    from matplotlib.collections import LineCollection

    places, moves = touches[:, :2], touches[1:, 3] > 0.5
    moved = np.stack([places[:-1], places[1:]], 1)[moves]
    axes.add_collection(LineCollection(list(moved), colors=colour, linewidths=breadth))
    landings = places[begun:][touches[begun:, 3] < 0.5]
    axes.plot(*landings.T, "o", color=colour, ms=2.2 * breadth, mew=0)


def _histograms(
    figure: Figure,
    found: Likeness,
    people: Sequence[Floats],
    made: Sequence[Floats],
    seed: int,
) -> None:
    """Draw how what stands out most is distributed."""
    top, across, gap = 6.8, 4, 0.3
    wide = (_WIDE - 2 * _SIDE - (across - 1) * gap) / across
    _heading(
        figure, top, "What tells them apart", "shares of the answers; a line marks the median"
    )
    rng = np.random.default_rng(seed)
    rows = [likeness.described(these, rng) for these in (people, made)]
    for at, (name, *_) in enumerate(found.stands_out[: 2 * across]):
        down, along = divmod(at, across)
        axes = _axes(figure, _SIDE + along * (wide + gap), top + 0.35 + down * 1.75, wide, 1.15)
        column = likeness.NAMES.index(name)
        values = [these[:, column][np.isfinite(these[:, column])] for these in rows]
        if not all(map(len, values)):
            continue
        low, high = np.percentile(np.concatenate(values), [1, 99])
        bins = np.linspace(low, max(high, low + 1e-6), 25)
        for these, colours in zip(values, (PEOPLE, MACHINE), strict=True):
            shares = np.full(len(these), 1 / len(these))
            axes.hist(
                these.clip(low, high),
                bins.tolist(),
                weights=shares,
                color=colours[1],
                alpha=0.25,
            )
            axes.hist(
                these.clip(low, high),
                bins.tolist(),
                weights=shares,
                color=colours[1],
                histtype="step",
            )
            axes.axvline(float(np.median(these)), color=colours[1], linewidth=1)
        axes.set_yticks([])
        axes.set_title(name, size=9, color=INK, loc="left", pad=4)


def _surfaces(figure: Figure, people: Sequence[Floats], made: Sequence[Floats]) -> None:
    """Draw how much of the time each place of the surface is touched."""
    from matplotlib.colors import LinearSegmentedColormap

    top, side = 10.6, 2.75
    _heading(figure, top, "Where on the surface")
    found = []
    for these in (people, made):
        places = np.concatenate([touches[:, :2] for touches in these])
        counted, _, _ = np.histogram2d(
            places[:, 0], places[:, 1], bins=_CELLS, range=[[0.0, 1.0], [0.0, 1.0]]
        )
        found.append(counted.T / max(counted.sum(), 1))
    most = float(np.quantile(found[0], 0.995))
    for at, (shares, colours) in enumerate(zip(found, (PEOPLE, MACHINE), strict=True)):
        axes = _axes(figure, _SIDE, top + 0.12 + at * (side + 0.12), side, side)
        shades = LinearSegmentedColormap.from_list("", [PAPER, *colours])
        axes.imshow(
            shares, cmap=shades, vmin=0, vmax=most, extent=(0, 1, 1, 0), interpolation="nearest"
        )
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(True)


def _times(
    figure: Figure, people: Sequence[Floats], made: Sequence[Floats], begins: Sequence[float]
) -> None:
    """Draw how many touches come when, and the landings of some answers."""
    top, left = 10.6, _SIDE + 2.75 + 0.75
    wide = _WIDE - _SIDE - left
    y = 1 - top / _HIGH
    figure.text(left / _WIDE, y, "When in time", color=INK, size=12, va="baseline")
    seconds = [float(touches[:, 2].sum()) for touches in people]
    longest = float(np.quantile(np.array(seconds) - begins, 0.95))
    rates = _axes(figure, left, top + 0.2, wide, 1.5)
    rates.set_ylabel("touches a second", size=8, color=INK)
    for down, (these, times, colours) in enumerate(
        ((people, 1, PEOPLE), (made, likeness.CONTINUATIONS, MACHINE))
    ):
        starts = np.repeat(begins, times)
        lasted = np.repeat(seconds, times) - starts
        clocks = [t[:, 2].cumsum() - start for t, start in zip(these, starts, strict=True)]
        at, rate = per_second(clocks, lasted)
        rates.plot(at, rate, color=colours[1], linewidth=1.4)
        axes = _axes(figure, left, top + 2.0 + down * 1.84, wide, 1.72)
        every = max(1, len(these) // _RASTERS)
        landings = [
            clock[touches[:, 3] < 0.5]
            for touches, clock in zip(these[::every], clocks[::every], strict=True)
        ][:_RASTERS]
        rows = np.repeat(np.arange(len(landings)), [len(row) for row in landings])
        axes.plot(np.concatenate(landings), rows, "o", color=colours[1], ms=2.4, mew=0)
        axes.set(xlim=(0, longest), ylim=(len(landings), -1), yticks=[])
        axes.set_ylabel("landings", size=8, color=INK)
        axes.tick_params(labelbottom=down == 1)
    rates.set(xlim=(0, longest), ylim=(0, None))
    rates.tick_params(labelbottom=False)
    axes.set_xlabel("seconds since the answer began, one answer a row", size=8, color=INK)


def per_second(clocks: Sequence[Floats], lasted: Floats) -> tuple[Floats, Floats]:
    """Count touches a second in each tenth of a second, among the answers still going on.

    clocks are when the touches of each answer came, and lasted (N,) how long each was, in
    seconds. Returns the middles of the tenths and the rates, while a tenth of the answers
    last.
    """
    ends = np.arange(1, int(lasted.max() / _BIN) + 1) * _BIN
    running = (lasted[:, None] >= ends - 1e-9).sum(0)
    ends = ends[running >= max(1, len(lasted) / 10)]
    edges = np.concatenate([[0], ends])
    counts = np.zeros(len(ends))
    for clock, end in zip(clocks, lasted, strict=True):
        counts += np.histogram(clock, edges)[0] * (ends <= end + 1e-9)
    found: Floats = counts / running[: len(ends)] / _BIN
    return ends - _BIN / 2, found
