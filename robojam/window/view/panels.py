"""What lies over the surface when it is asked for: rows of cells. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from robojam.music import DEFAULT_INSTRUMENTS, instrument_of
from robojam.touch import is_machine
from robojam.window.client.state import WindowState
from robojam.window.input.dials import DIALS
from robojam.window.input.keys import HELP
from robojam.window.recordings.library import RecordingEntry
from robojam.window.recordings.playback import RecordingPlayback
from robojam.window.view.text_fit import Tone, clock

#: So many recordings are on one page.
PAGE = 8
_DATED = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d-\d\d-\d\d)(-\d+)?")


@dataclass(frozen=True, slots=True)
class Cell:
    """One place in a row: words, more words at its right end, and what a finger does there.

    ``wide`` is its share of the row; ``fill`` (0..1) how far a control is turned; ``off``,
    that there is nothing to be done here now.
    """

    text: str
    action: str = ""
    told: str = ""
    fill: float | None = None
    on: bool = False
    tone: Tone = Tone.TEXT
    wide: float = 1.0
    off: bool = False


Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """Rows of cells; low: at the lower edge and as wide as the surface."""

    rows: tuple[Row, ...]
    low: bool = False


def panel_of(state: WindowState, *, entries: tuple[RecordingEntry, ...], page: int, rerun: RecordingPlayback | None,
             full: bool, busy: bool) -> Panel | None:  # fmt: skip
    """Return what lies open, if anything does."""
    view = state.view
    if view.panel == "controls":
        rows = (
            tuple(_taken(state, cell) for cell in row) for row in _controls(state, full=full)
        )
        return Panel(tuple(rows))
    if view.panel == "help":
        rows = ((Cell(keys, tone=Tone.TEXT, wide=0.7), Cell(does, tone=Tone.QUIET))
                for keys, does in HELP)  # fmt: skip
        return Panel(tuple(rows))
    if view.panel == "sessions":
        return _sessions(entries, page, busy=busy)
    if view.panel == "player" and rerun is not None:
        return _player(rerun, view.typing)
    return None


def _taken(state: WindowState, cell: Cell) -> Cell:
    if not state.refuses(cell.action):
        return cell
    return replace(cell, action="", tone=Tone.QUIET, off=True)


def _controls(state: WindowState, *, full: bool) -> tuple[Row, ...]:
    view = state.view
    dials = []
    for dial in DIALS.values():
        value = state.controls.get(dial.name)
        told = "" if value is None else dial.told(value)
        fill = 0.0 if value is None else dial.share(value)
        held = view.grabbed == dial.name
        dials.append((Cell(dial.called, f"slide:{dial.name}", told, fill, held),))
    line = state.instrument or DEFAULT_INSTRUMENTS
    memories: list[Cell] = []
    for name in "AB":
        kept = name in state.memories
        memories += [
            Cell(f"keep as {name}", f"store:{name}"),
            Cell(f"recall {name}", f"recall:{name}" if kept else "",
                 tone=_lit(kept),
 off=not kept,),
        ]  # fmt: skip
    return (
        *dials,
        (
            Cell("your sound", "instrument:human", instrument_of("human", line)),
            Cell("the machine's", "instrument:ai", instrument_of("ai", line)),
            Cell("scale", "scale", state.scale),
        ),
        tuple(Cell(f"back {s} s", f"back:{s}") for s in (5, 10, 30)),
        tuple(memories),
        (
            Cell("go on" if state.paused else "pause", "pause", on=state.paused),
            Cell("forget all", "reset"),
            Cell("stop recording" if state.recording else "record", "record"),
        ),
        (
            Cell("its mind", "forecast", "on" if view.forecast else "off"),
            Cell("theme", "theme", view.theme),
            Cell("turned", "turn", f"{90 * view.quarters}°"),
        ),
        (
            Cell("letters play", "typing", "on" if view.keys_play else "off"),
            Cell("full screen", "fullscreen", "on" if full else "off"),
            Cell("close", "controls"),
        ),
    )


def _sessions(entries: tuple[RecordingEntry, ...], page: int, *, busy: bool) -> Panel:
    shown = entries[page * PAGE : (page + 1) * PAGE]
    rows: list[Row] = [(_entry(entry, page * PAGE + i),) for i, entry in enumerate(shown)]
    if not rows:
        rows.append((Cell("looking…" if busy else "nothing has been recorded here yet",
                          tone=Tone.QUIET),))  # fmt: skip
    more, before = len(entries) > (page + 1) * PAGE, page > 0
    rows.append(
        (
            Cell("newer", "page:-1" if before else "", tone=_lit(before), off=not before),
            Cell("older", "page:1" if more else "", tone=_lit(more), off=not more),
            Cell("close", "sessions"),
        )
    )
    return Panel(tuple(rows))


def _lit(there: bool) -> Tone:  # noqa: FBT001
    return Tone.TEXT if there else Tone.QUIET


def _entry(entry: RecordingEntry, number: int) -> Cell:
    """Tell of a recording in a line: its name; how long, what was played, in which modes."""
    name = called(entry.path.stem)
    summary = entry.summary
    if summary is None:
        return Cell(name, "", entry.why, tone=Tone.QUIET)
    machine = sum(n for who, n in summary.touches.items() if is_machine(who))
    human = sum(summary.touches.values()) - machine
    told = f"{clock(summary.seconds)}   {human} + {machine} touches"
    return Cell(name, f"open:{number}", told)


def called(stem: str) -> str:
    """Write a recording's name as people would: 2026-11-20  14:07:38, or its own."""
    dated = _DATED.fullmatch(stem)
    return f"{dated[1]}  {dated[2].replace('-', ':')}{dated[3] or ''}" if dated else stem


def _player(rerun: RecordingPlayback, typing: str | None) -> Panel:
    speed = f"×{rerun.speed:g}"
    where = f"{clock(rerun.at)} / {clock(rerun.duration)}"
    naming = Cell(f"name: {typing}_", "rename", "enter keeps it, esc does not", on=True)
    return Panel(
        (
            (naming if typing is not None else Cell(called(rerun.name), told=where),),
            (Cell("", "scrub"),),
            (
                Cell("hold" if rerun.playing else "play", "play", on=rerun.playing),
                Cell("speed", "speed", speed),
                Cell("loop", "loop", "on" if rerun.loop else "off", on=rerun.loop),
                Cell("answer this again", "again", wide=1.7),
            ),
            (
                Cell("rename", "rename"),
                Cell("show file", "reveal"),
                Cell("export PNG", "export"),
                Cell("sessions", "sessions"),
                Cell("close", "close"),
            ),
        ),
        low=True,
    )
