"""Panels that open over the surface: rows of cells. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from robojam.controls import MODES, SETTINGS
from robojam.music import DEFAULT_INSTRUMENTS, instrument_of, range_name, range_of
from robojam.sessions.library import LibraryEntry
from robojam.touch import is_machine
from robojam.window.client.state import WindowState
from robojam.window.input.dials import DIALS
from robojam.window.recordings.playback import RecordingPlayback
from robojam.window.view.text_fit import ColourRole, format_duration

#: Recordings on a page.
PAGE = 8


@dataclass(frozen=True, slots=True)
class PanelCell:
    """Cell of a panel's row: text, a value at its right end, and the action of a press.

    width_share is its share of the row's width. fill (0..1) shows the value of a dial.
    disabled cells have no action at the moment. typed: the text is being typed, and its end is
    shown where there is no room for all. code: a text whose QR code the cell is. meter
    (0..1) is a value that is measured: a bar behind the text in the colour of the role.
    """

    text: str
    action: str = ""
    value_text: str = ""
    fill: float | None = None
    selected: bool = False
    role: ColourRole = ColourRole.TEXT
    width_share: float = 1.0
    disabled: bool = False
    typed: bool = False
    code: str = ""
    meter: float | None = None


Row = tuple[PanelCell, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """Rows of cells; at_bottom: at the lower edge of the surface, and as wide."""

    rows: tuple[Row, ...]
    at_bottom: bool = False


#: Rows of the help panel about keys: actions, and their effect. Dials have a page of their
#: own.
HELP: tuple[tuple[tuple[str, ...], str], ...] = (
    (("answer",), "the machine answers now"),
    (tuple(f"mode:{mode}" for mode in MODES), ", ".join(MODES)),
    (("panic", "pause"), "panic: silence everything; pause, and go on"),
    (("back:10",), "go back to ten seconds ago"),
    (("store:A", "store:B"), "store what the machine has heard, as A or B"),
    (("recall:A", "recall:B", "undo_store"), "go back to A or B; undo the last store"),
    (("reset",), "the machine forgets all that it has heard"),
    (("instrument:human", "instrument:ai", "scale", "range"),
     "your instrument, the machine's, scale, range of pitch"),
    (("tap", "downbeat"), "tap the tempo; a bar begins now"),
    (("clock", "quantum", "grid"),
     "clock; when answers begin; the notes that landings lean to"),
    (("record", "sessions"), "start or stop recording, list of recordings"),
    (("controls", "setup", "forecast"), "all controls, devices, the glow of the forecast"),
    (("map",), "the knobs that are mapped: values, amounts, scenes"),
    (("web",), "phones play, too: the QR code of the web pad"),
    (("theme", "turn", "fullscreen"), "theme, rotate, full screen"),
    (("typing",), "the letter keys play, or control again"),
    (("help", "escape", "quit"), "this help, close what is open, quit"),
    (("health",), "in a show: what is wrong, for the host"),
)  # fmt: skip


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
    if view.panel == "health":
        return Panel(_health_rows(state))
    if view.panel == "help":
        return Panel(_help_rows(state))
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
    modes = MODES if state.mode in ("", *MODES) else (*MODES, state.mode)
    cells = [dial_cell(state, name) for name in DIALS]
    pitches = state.text("range")
    pitches = range_name(range_of("", pitches)) if pitches else ""
    cells.append(PanelCell("range", "range", pitches))
    dials = [tuple(cells[i : i + 2]) for i in range(0, len(cells), 2)]
    instruments = state.text("instrument") or DEFAULT_INSTRUMENTS
    yours = instrument_of(state.own_touches.who, instruments)
    memories: list[PanelCell] = []
    for name in "AB":
        recall = PanelCell(f"recall {name}", f"recall:{name}")
        recall = recall if name in state.memories else disabled(recall)
        memories += [PanelCell(f"store {name}", f"store:{name}"), recall]
    undo = PanelCell("undo store", "undo_store")
    memories.append(undo if state.stored else disabled(undo))
    return (
        tuple(PanelCell(m, f"mode:{m}", selected=m == state.mode) for m in modes),
        *dials,
        (PanelCell("your instrument", "instrument:human", yours),
         PanelCell("the machine's", "instrument:ai", instrument_of("ai", instruments)),
         PanelCell("scale", "scale", state.text("scale"))),
        (PanelCell("clock", "clock", _clock_text(state)),
         PanelCell("answers begin", "quantum", state.text("quantum")),
         PanelCell("grid", "grid", state.text("grid")),
         PanelCell("tap", "tap"), PanelCell("downbeat", "downbeat")),
        tuple(PanelCell(f"back {s} s", f"back:{s}") for s in (5, 10, 30)),
        tuple(memories),
        (PanelCell("answer now", "answer"),
         PanelCell("go on" if state.paused else "pause", "pause", selected=state.paused),
         PanelCell("forget all it heard", "reset"),
         PanelCell("stop recording" if state.recording else "record", "record")),
        (PanelCell("forecast", "forecast", "on" if view.show_forecast else "off"),
         PanelCell("theme", "theme", view.theme),
         PanelCell("rotate", "turn", f"{90 * view.quarter_turns}°")),
        (PanelCell("letter keys play", "typing", "on" if view.letters_play else "off"),
         PanelCell("full screen", "fullscreen", "on" if full else "off"),
         PanelCell("panic", "panic", role=ColourRole.ALERT)),
        (PanelCell("recordings", "sessions"), PanelCell("devices", "setup"),
         PanelCell("phones", "web"), PanelCell("mapped knobs", "map"),
         PanelCell("health", "health", state.health)),
        (PanelCell("help", "help"), PanelCell("quit", "quit"), PanelCell("close", "close")),
    )  # fmt: skip


def _clock_text(state: WindowState) -> str:
    """Return the clock, with the number of others who share it."""
    clock, peers = state.text("clock"), state.clock_peers
    if not peers or not state.has_clock:
        return clock
    return f"{clock}, {peers} {'other' if peers == 1 else 'others'}"


def dial_cell(state: WindowState, name: str) -> PanelCell:
    """Return the cell of a control's dial."""
    dial, value = DIALS[name], state.controls.get(name)
    shown = ("", 0.0) if value is None else (dial.text(value), dial.share(value))
    return PanelCell(name, f"slide:{name}", *shown, state.view.grabbed_dial == name)


def _help_rows(state: WindowState) -> tuple[Row, ...]:
    """Return the rows of one of the two pages of help: keys, and dials."""
    view = state.view
    names = view.key_names
    if view.help_page == 0:
        rows = [("mouse, pen, fingers", "play; touch the buttons and turn the dials")]
        rows += [("  ".join(names[key] for key in keys), about) for keys, about in HELP]
        turn, share = PanelCell("dials", "help_page"), 2.4
    else:
        rows = [("mouse wheel", "turns the dial below the mouse, finely with shift")]
        for name in DIALS:
            keys = "  ".join(names[f"step:{name}:{sign}"] for sign in ("-1", "1"))
            rows.append((keys, f"{name}: {SETTINGS[name].about}"))
        model = PurePosixPath(state.text("model").replace("\\", "/")).stem
        engine = f"at {state.engine_name}, model {model}, computed on {state.text('device')}"
        rows.append(("engine", engine))
        turn, share = PanelCell("keys", "help_page"), 5.0  # long lines beside short keys
    buttons = (
        turn, PanelCell("controls", "controls"), PanelCell("recordings", "sessions"),
        PanelCell("devices", "setup"),
        PanelCell("close", "close"),
    )  # fmt: skip
    muted = ColourRole.MUTED
    return (
        *((PanelCell(keys), PanelCell(about, role=muted, width_share=share))
          for keys, about in rows),
        buttons,
    )  # fmt: skip


def _health_rows(state: WindowState) -> tuple[Row, ...]:
    """Return the rows of the health of a show, for its host."""
    rows: list[Row] = [(PanelCell(line),) for line in state.health_problems]
    if not rows:
        rows = [(PanelCell("all is well", role=ColourRole.MUTED),)]
    return (*rows, (PanelCell("close", "close"),))


def last_page(entries: tuple[LibraryEntry, ...]) -> int:
    """Return the number of the last page of the recordings, from 0."""
    return max(0, len(entries) - 1) // PAGE


def typed_row(label: str, text: str, about: str = "") -> Row:
    """Return the row of a text that is being typed, with buttons to keep or to cancel it.

    about says what can be typed, until something is.
    """
    field = PanelCell(
        f"{label}{text}_", "", "" if text else about, selected=True, width_share=4, typed=True
    )
    return field, PanelCell("keep", "keep"), PanelCell("cancel", "cancel")


def _sessions_panel(entries: tuple[LibraryEntry, ...], page: int, *, busy: bool) -> Panel:
    page = min(page, last_page(entries))  # one may have been deleted
    shown = entries[page * PAGE : (page + 1) * PAGE]
    rows: list[Row] = [(_entry_cell(entry),) for entry in shown]
    if not rows:
        text = "reading the folder…" if busy else "nothing has been recorded here yet"
        rows.append((PanelCell(text, role=ColourRole.MUTED),))
    newer, older = PanelCell("newer", "page:-1"), PanelCell("older", "page:1")
    is_last = len(entries) <= (page + 1) * PAGE
    newer, older = newer if page else disabled(newer), disabled(older) if is_last else older
    rows.append((newer, older, PanelCell("close", "close")))
    return Panel(tuple(rows))


def _entry_cell(entry: LibraryEntry) -> PanelCell:
    """Return the cell of a recording: its title, length and touches, or its error."""
    summary = entry.summary
    if summary is None:
        return PanelCell(entry.title, "", entry.error, role=ColourRole.MUTED)
    machine = sum(n for who, n in summary.touches.items() if is_machine(who))
    human = sum(summary.touches.values()) - machine
    value_text = f"{format_duration(summary.seconds)}   {human} + {machine} touches"
    return PanelCell(entry.title, f"open:{entry.path.name}", value_text)


def _player_panel(playback: RecordingPlayback, typed_name: str | None) -> Panel:
    position = f"{format_duration(playback.at)} / {format_duration(playback.duration)}"
    title: Row = (PanelCell(playback.name, value_text=position),)
    if typed_name is not None:
        title = typed_row("name: ", typed_name)
    play, loop = "pause" if playback.playing else "play", "on" if playback.loop else "off"
    rows = (
        title,
        (PanelCell("", "scrub"),),
        (PanelCell(play, "play", selected=playback.playing),
         PanelCell("speed", "speed", f"×{playback.speed:g}"),
         PanelCell("loop", "loop", loop, selected=playback.loop),
         PanelCell("answer this again", "again", width_share=1.7)),
        (PanelCell("rename", "rename"), PanelCell("delete", "delete"),
         PanelCell("show file", "reveal"),
         PanelCell("save as picture", "export"), PanelCell("recordings", "sessions"),
         PanelCell("close", "close")),
    )  # fmt: skip
    return Panel(rows, at_bottom=True)
