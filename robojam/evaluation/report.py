"""Page of figures of `robojam evaluate --play`: people and the machine, side by side.

It shows what people and the machine played after the same openings; histograms of the
features that differ most; where on the surface both played; when in time; and what answers
have of their calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from robojam.evaluation import likeness
from robojam.evaluation.belonging import BelongingReport
from robojam.evaluation.play import PlayReport
from robojam.export.figures import make_figure, save_figure
from robojam.export.poster import FAINT, INK, MACHINE, PAPER, PEOPLE
from robojam.model.file import ModelFile
from robojam.system.shell import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.floating[Any]]

#: Number of openings shown, and of the machine's answers to each.
_OPENINGS, _ANSWERS = 8, 3
#: Number of answers whose landings are shown, one above the other.
_RASTERS = 50
#: Width in seconds of the intervals in which touches are counted.
_BIN = 0.1
#: The surface is divided into this many cells each way.
_CELLS = 16
#: Width, height and margin of the page, in inches.
_WIDTH, _HEIGHT, _MARGIN = 12.0, 21.9, 0.55


def draw(
    file: ModelFile,
    performances: Sequence[Floats],
    report: PlayReport,
    path: Path,
    *,
    seed: int = 0,
    data: str = "",
) -> None:
    """Draw how a model plays, measured by performances (robojam.evaluation.play).

    path ends in one of KINDS; data is the name of the performances. Raises OSError if the
    page cannot be written.
    """
    pairs = likeness.split_in_half(performances)
    result, takes = report.likeness, report.takes
    people = [after for _, after in pairs]
    figure = make_figure(figsize=(_WIDTH, _HEIGHT), dpi=110, facecolor=PAPER)
    _draw_title(figure, file, report, data)
    _draw_answers(figure, pairs, takes)
    rng = np.random.default_rng(seed)
    features = [likeness.describe_all(performances, rng) for performances in (people, takes)]
    _draw_histograms(figure, [name for name, *_ in result.stands_out], features)
    _draw_surfaces(figure, people, takes)
    # The machine answers from the middle of a performance, after a silence.
    silences = [(after.sum(0)[2] - opening.sum(0)[2]) / 2 for opening, after in pairs]
    _draw_times(figure, people, takes, silences)
    if report.belonging is not None:
        _draw_belonging(figure, report.belonging)
    save_figure(figure, path, facecolor=PAPER)


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes; all sizes are in inches, from the left and the top of the page."""
    place = left / _WIDTH, 1 - (top + height) / _HEIGHT, width / _WIDTH, height / _HEIGHT
    axes = figure.add_axes(place, facecolor="none")
    axes.tick_params(colors=INK, labelsize=7, length=2, width=0.5)
    for side, spine in axes.spines.items():
        spine.set(color=FAINT, linewidth=0.7, visible=side == "bottom")
    return axes


def _draw_heading(figure: Figure, top: float, text: str, remark: str = "") -> None:
    y = 1 - top / _HEIGHT
    figure.text(_MARGIN / _WIDTH, y, text, color=INK, size=12, va="baseline")
    figure.text(1 - _MARGIN / _WIDTH, y, remark, color=INK, size=8, va="baseline", ha="right")


def _draw_title(figure: Figure, file: ModelFile, report: PlayReport, data: str) -> None:
    result = report.likeness
    x = _MARGIN / _WIDTH
    name = f"How like people does {printable(file.path.stem)} play?"
    figure.text(x, 1 - 0.75 / _HEIGHT, name, color=INK, size=19, weight="light")
    openings = f"{result.performances} openings{f' of {data}' if data else ''}"
    subtitle = f"{openings}, {likeness.CONTINUATIONS} answers to each\n"
    subtitle += f"temperature {result.temperature:g}, spread {result.spread:g}, "
    subtitle += f"follow {report.follow:g}, memory {report.memory:g}"
    figure.text(x, 1 - 0.92 / _HEIGHT, subtitle, color=INK, size=9, va="top", linespacing=1.5)
    x = _MARGIN
    for colours, who in ((PEOPLE, "people"), (MACHINE, "the machine")):
        figure.text(
            x / _WIDTH, 1 - 1.6 / _HEIGHT, who, color=colours[1], size=10, weight="bold"
        )
        x += 0.75
    axes = _axes(figure, 8.6, 0.6, _WIDTH - _MARGIN - 8.6, 0.75)
    areas = (
        ("people and other people", result.people, FAINT),
        ("people and the machine", result.machine, MACHINE[1]),
        ("people and people 1.3 times as fast", result.sped_up, FAINT),
    )
    for row, (who, area, colour) in enumerate(areas):
        axes.plot([area.low, area.high], [row, row], color=colour, linewidth=2.5)
        axes.plot(area.auc, row, "o", color=colour, ms=5)
        text = f"{who}  {area.auc:.2f}"
        axes.text(0.3, row, text, size=8, va="center", ha="right", color=INK)
    axes.set(xlim=(0.33, 1.02), ylim=(2.5, -0.6), yticks=[])
    axes.set_xticks([0.5, 0.75, 1], ["nobody can tell", "", "always"], size=8)
    axes.axvline(0.5, color=FAINT, linewidth=0.7, zorder=0)


def _draw_answers(
    figure: Figure, pairs: list[tuple[Floats, Floats]], takes: Sequence[Floats]
) -> None:
    top, gap, left = 2.15, 0.08, _MARGIN
    cell = (_WIDTH - 2 * left - (_OPENINGS - 1) * gap) / _OPENINGS
    _draw_heading(
        figure, top, "The same openings, and what followed", "grey: what was heard first"
    )
    order = np.linspace(0, len(pairs) - 1, min(_OPENINGS, len(pairs))).round().astype(int)
    for column, index in enumerate(order.tolist()):
        opening, after = pairs[index]
        first = index * likeness.CONTINUATIONS
        for row, played in enumerate([after, *takes[first : first + _ANSWERS]]):
            x, y = left + column * (cell + gap), top + 0.12 + row * (cell + gap)
            axes = _axes(figure, x, y, cell, cell)
            axes.set(xlim=(-0.02, 1.02), ylim=(1.02, -0.02), xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set_visible(True)
            draw_strokes(axes, opening, FAINT, 0.6)
            # A stroke of the opening may go on in the answer.
            joined = np.concatenate([opening[-1:], played])
            colour = (PEOPLE if row == 0 else MACHINE)[1]
            draw_strokes(axes, joined, colour, 1.0, earlier=1)


def draw_strokes(
    axes: Axes, touches: Floats, colour: str, width: float, *, earlier: int = 0
) -> None:
    """Draw strokes as lines of a width in points, and landings as dots.

    Of the first `earlier` touches only the lines that lead away from them are drawn.
    """
    from matplotlib.collections import LineCollection

    places, moves = touches[:, :2], touches[1:, 3] > 0.5
    moved = np.stack([places[:-1], places[1:]], 1)[moves]
    axes.add_collection(LineCollection(list(moved), colors=colour, linewidths=width))
    landings = places[earlier:][touches[earlier:, 3] < 0.5]
    axes.plot(*landings.T, "o", color=colour, ms=2.2 * width, mew=0)


def _draw_histograms(figure: Figure, names: list[str], features: list[Floats]) -> None:
    top, across, gap = 8.2, 4, 0.3
    width = (_WIDTH - 2 * _MARGIN - (across - 1) * gap) / across
    _draw_heading(
        figure, top, "What tells them apart", "shares of the answers; a line marks the median"
    )
    for number, name in enumerate(names[: 2 * across]):
        row, column = divmod(number, across)
        left = _MARGIN + column * (width + gap)
        axes = _axes(figure, left, top + 0.35 + row * 1.75, width, 1.15)
        index = likeness.NAMES.index(name)
        both = [values[:, index][np.isfinite(values[:, index])] for values in features]
        if not all(map(len, both)):
            continue
        low, high = np.percentile(np.concatenate(both), [1, 99])
        bins = np.linspace(low, max(high, low + 1e-6), 25).tolist()
        for values, colours in zip(both, (PEOPLE, MACHINE), strict=True):
            clipped, colour = values.clip(low, high), colours[1]
            weights = np.full(len(values), 1 / len(values))
            axes.hist(clipped, bins, weights=weights, color=colour, alpha=0.25)
            axes.hist(clipped, bins, weights=weights, color=colour, histtype="step")
            axes.axvline(float(np.median(values)), color=colour, linewidth=1)
        axes.locator_params("x", nbins=5)  # long numbers have room, too
        axes.set_yticks([])
        axes.set_title(name, size=9, color=INK, loc="left", pad=4)


def _draw_surfaces(figure: Figure, people: Sequence[Floats], takes: Sequence[Floats]) -> None:
    """Draw the share of touches in each cell of the surface."""
    from matplotlib.colors import LinearSegmentedColormap

    top, side = 12.0, 2.75
    _draw_heading(figure, top, "Where on the surface")
    shares = []
    for performances in (people, takes):
        places = np.concatenate([touches[:, :2] for touches in performances])
        counts, _, _ = np.histogram2d(
            places[:, 0], places[:, 1], bins=_CELLS, range=[[0.0, 1.0], [0.0, 1.0]]
        )
        shares.append(counts.T / max(counts.sum(), 1))
    most = float(np.quantile(shares[0], 0.995))
    for row, (image, colours) in enumerate(zip(shares, (PEOPLE, MACHINE), strict=True)):
        axes = _axes(figure, _MARGIN, top + 0.12 + row * (side + 0.12), side, side)
        shades = LinearSegmentedColormap.from_list("", [PAPER, *colours])
        axes.imshow(
            image, cmap=shades, vmin=0, vmax=most, extent=(0, 1, 1, 0), interpolation="nearest"
        )
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(True)


def _draw_times(
    figure: Figure, people: Sequence[Floats], takes: Sequence[Floats], silences: Sequence[float]
) -> None:
    """Draw the rate of touches over time, and the landings of some answers."""
    top, left = 12.0, _MARGIN + 2.75 + 0.75
    width = _WIDTH - _MARGIN - left
    y = 1 - top / _HEIGHT
    figure.text(left / _WIDTH, y, "When in time", color=INK, size=12, va="baseline")
    seconds = [float(touches[:, 2].sum()) for touches in people]
    longest = float(np.quantile(np.array(seconds) - silences, 0.95))
    rate_axes = _axes(figure, left, top + 0.2, width, 1.5)
    rate_axes.set_ylabel("touches a second", size=8, color=INK)
    for row, (performances, repeats, colours) in enumerate(
        ((people, 1, PEOPLE), (takes, likeness.CONTINUATIONS, MACHINE))
    ):
        starts = np.repeat(silences, repeats)
        durations = np.repeat(seconds, repeats) - starts
        times = [t[:, 2].cumsum() - s for t, s in zip(performances, starts, strict=True)]
        middles, rates = touch_rates(times, durations)
        rate_axes.plot(middles, rates, color=colours[1], linewidth=1.4)
        axes = _axes(figure, left, top + 2.0 + row * 1.84, width, 1.72)
        step = max(1, len(performances) // _RASTERS)
        landings = [
            answer_times[touches[:, 3] < 0.5]
            for touches, answer_times in zip(performances[::step], times[::step], strict=True)
        ][:_RASTERS]
        rows = np.repeat(np.arange(len(landings)), [len(answer) for answer in landings])
        axes.plot(np.concatenate(landings), rows, "o", color=colours[1], ms=2.4, mew=0)
        axes.set(xlim=(0, longest), ylim=(len(landings), -1), yticks=[])
        axes.set_ylabel("landings", size=8, color=INK)
        axes.tick_params(labelbottom=row == 1)
    rate_axes.set(xlim=(0, longest), ylim=(0, None))
    rate_axes.tick_params(labelbottom=False)
    axes.set_xlabel("seconds since the answer began, one answer a row", size=8, color=INK)


def _draw_belonging(figure: Figure, belonging: BelongingReport) -> None:
    """Draw rho of each descriptor, of people and of the machine, and the ranks of the call."""
    top, columns = 18.5, 3
    people, machine = belonging.people, belonging.machine
    _draw_heading(
        figure,
        top,
        "What the answer has of its call",
        "Spearman's rho between call and answer; "
        f"its own call is the first of {belonging.calls}: people {people.first:.2f}, "
        f"the machine {machine.first:.2f}; among ten: {people.first_ten:.2f}, "
        f"{machine.first_ten:.2f}",
    )
    names = sorted(people.rho.keys() & machine.rho.keys(), key=lambda name: -people.rho[name])
    rows = -(-len(names) // columns)
    width = (_WIDTH - 2 * _MARGIN) / columns
    for column in range(columns):
        part = names[column * rows : (column + 1) * rows]
        left = _MARGIN + column * width + 1.6
        axes = _axes(figure, left, top + 0.2, width - 1.8, 2.6)
        axes.axvline(0, color=FAINT, linewidth=0.7, zorder=0)
        for row, name in enumerate(part):
            for rho, colours in ((people.rho, PEOPLE), (machine.rho, MACHINE)):
                axes.plot(rho[name], row, "o", color=colours[1], ms=4, mew=0)
        axes.set(xlim=(-0.5, 1), ylim=(rows - 0.5, -0.5), xticks=[0, 0.5, 1])
        axes.set_yticks(range(len(part)), part, size=7)
        axes.tick_params(axis="y", length=0)


def touch_rates(times: Sequence[Floats], durations: Floats) -> tuple[Floats, Floats]:
    """Return touches per second in each tenth of a second, among the answers still going on.

    times are those of the touches of each answer, and durations (N,) of the answers, in
    seconds. Returns the middles of the intervals and the rates, up to the time at which only
    a tenth of the answers still go on.
    """
    ends = np.arange(1, int(durations.max() / _BIN) + 1) * _BIN
    running = (durations[:, None] >= ends - 1e-9).sum(0)
    ends = ends[running >= max(1, len(durations) / 10)]
    edges = np.concatenate([[0], ends])
    counts = np.zeros(len(ends))
    for answer_times, duration in zip(times, durations, strict=True):
        counts += np.histogram(answer_times, edges)[0] * (ends <= duration + 1e-9)
    return ends - _BIN / 2, counts / running[: len(ends)] / _BIN
