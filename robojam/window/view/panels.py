"""Panels that open over the surface: rows of cells. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from robojam.music import DEFAULT_INSTRUMENTS, instrument_of
from robojam.sessions.library import LibraryEntry
from robojam.touch import is_machine
from robojam.window.client.state import WindowState
from robojam.window.input.dials import DIALS
from robojam.window.input.keys import HELP
from robojam.window.recordings.playback import RecordingPlayback
from robojam.window.view.text_fit import ColourRole, format_duration

#: Recordings on a page.
PAGE = 8


@dataclass(frozen=True, slots=True)
class PanelCell:
    """Cell of a panel's row: text, a value at its right end, and the action of a press.

    width_share is its share of the row's width. fill (0..1) shows the value of a dial.
    disabled cells have no action at the moment.
    """

    text: str
    action: str = ""
    value_text: str = ""
    fill: float | None = None
    selected: bool = False
    role: ColourRole = ColourRole.TEXT
    width_share: float = 1.0
    disabled: bool = False


Row = tuple[PanelCell, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """Rows of cells; at_bottom: at the lower edge of the surface, and as wide."""

    rows: tuple[Row, ...]
    at_bottom: bool = False


def panel_of(
    state: WindowState, *, entries: tuple[LibraryEntry, ...], page: int,
    playback: RecordingPlayback | None, full: bool, busy: bool,
) -> Panel | None:  # fmt: skip
    """Return the open panel, if there is one.

    entries and page are the recordings and the page shown of them; busy: the folder is
    being read. full: the window covers the full screen.
    """
    view = state.view
    if view.panel == "controls":
        rows = _control_rows(state, full=full)
        return Panel(tuple(tuple(disabled(c) if state.refuses(c.action) else c for c in row)
                           for row in rows))  # fmt: skip
    if view.panel == "help":
        muted = ColourRole.MUTED
        return Panel(tuple((PanelCell(keys, width_share=0.7), PanelCell(meaning, role=muted))
                           for keys, meaning in HELP))  # fmt: skip
    if view.panel == "sessions":
        return _sessions_panel(entries, page, busy=busy)
    if view.panel == "player" and playback is not None:
        return _player_panel(playback, view.typed_name)
    return None


def disabled(cell: PanelCell) -> PanelCell:
    """Return a cell without its action, which is not possible at the moment."""
    return replace(cell, action="", role=ColourRole.MUTED, disabled=True)


def _control_rows(state: WindowState, *, full: bool) -> tuple[Row, ...]:
    view = state.view
    dials = []
    for name, dial in DIALS.items():
        value = state.controls.get(name)
        shown = ("", 0.0) if value is None else (dial.text(value), dial.share(value))
        selected = view.grabbed_dial == name
        dials.append((PanelCell(dial.dial.label, f"slide:{name}", *shown, selected),))
    instruments = state.text("instrument") or DEFAULT_INSTRUMENTS
    memories: list[PanelCell] = []
    for name in "AB":
        recall = PanelCell(f"recall {name}", f"recall:{name}")
        recall = recall if name in state.memories else disabled(recall)
        memories += [PanelCell(f"keep as {name}", f"store:{name}"), recall]
    return (
        *dials,
        (PanelCell("your sound", "instrument:human", instrument_of("human", instruments)),
         PanelCell("the machine's", "instrument:ai", instrument_of("ai", instruments)),
         PanelCell("scale", "scale", state.text("scale"))),
        tuple(PanelCell(f"back {s} s", f"back:{s}") for s in (5, 10, 30)),
        tuple(memories),
        (PanelCell("go on" if state.paused else "pause", "pause", selected=state.paused),
         PanelCell("forget all", "reset"),
         PanelCell("stop recording" if state.recording else "record", "record")),
        (PanelCell("forecast", "forecast", "on" if view.show_forecast else "off"),
         PanelCell("theme", "theme", view.theme),
         PanelCell("turned", "turn", f"{90 * view.quarter_turns}°")),
        (PanelCell("letters play", "typing", "on" if view.letters_play else "off"),
         PanelCell("full screen", "fullscreen", "on" if full else "off"),
         PanelCell("devices", "setup"),
         PanelCell("close", "controls")),
    )  # fmt: skip


def _sessions_panel(entries: tuple[LibraryEntry, ...], page: int, *, busy: bool) -> Panel:
    shown = entries[page * PAGE : (page + 1) * PAGE]
    rows: list[Row] = [(_entry_cell(entry, page * PAGE + i),) for i, entry in enumerate(shown)]
    if not rows:
        text = "looking…" if busy else "nothing has been recorded here yet"
        rows.append((PanelCell(text, role=ColourRole.MUTED),))
    newer, older = PanelCell("newer", "page:-1"), PanelCell("older", "page:1")
    is_last = len(entries) <= (page + 1) * PAGE
    newer, older = newer if page else disabled(newer), disabled(older) if is_last else older
    rows.append((newer, older, PanelCell("close", "sessions")))
    return Panel(tuple(rows))


def _entry_cell(entry: LibraryEntry, number: int) -> PanelCell:
    """Return the cell of a recording: its title, length and touches, or its error."""
    summary = entry.summary
    if summary is None:
        return PanelCell(entry.title, "", entry.error, role=ColourRole.MUTED)
    machine = sum(n for who, n in summary.touches.items() if is_machine(who))
    human = sum(summary.touches.values()) - machine
    value_text = f"{format_duration(summary.seconds)}   {human} + {machine} touches"
    return PanelCell(entry.title, f"open:{number}", value_text)


def _player_panel(playback: RecordingPlayback, typed_name: str | None) -> Panel:
    position = f"{format_duration(playback.at)} / {format_duration(playback.duration)}"
    title = PanelCell(playback.name, value_text=position)
    if typed_name is not None:
        help_text = "enter keeps it, esc does not"
        title = PanelCell(f"name: {typed_name}_", "rename", help_text, selected=True)
    play, loop = "hold" if playback.playing else "play", "on" if playback.loop else "off"
    rows = (
        (title,),
        (PanelCell("", "scrub"),),
        (PanelCell(play, "play", selected=playback.playing),
         PanelCell("speed", "speed", f"×{playback.speed:g}"),
         PanelCell("loop", "loop", loop, selected=playback.loop),
         PanelCell("answer this again", "again", width_share=1.7)),
        (PanelCell("rename", "rename"), PanelCell("show file", "reveal"),
         PanelCell("export PNG", "export"), PanelCell("sessions", "sessions"),
         PanelCell("close", "close")),
    )  # fmt: skip
    return Panel(rows, at_bottom=True)
