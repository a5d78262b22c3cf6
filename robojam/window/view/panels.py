"""What lies over the surface when it is asked for: rows of cells. Pure."""

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

#: So many recordings are on one page.
PAGE = 8


@dataclass(frozen=True, slots=True)
class PanelCell:
    """One place in a row: words, more words at its right end, and what a finger does there.

    ``wide`` is its share of the row; ``fill`` (0..1) how far a control is turned; ``off``,
    that there is nothing to be done here now.
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
    """Rows of cells; low: at the lower edge and as wide as the surface."""

    rows: tuple[Row, ...]
    at_bottom: bool = False


def panel_of(
    state: WindowState,
    *,
    entries: tuple[LibraryEntry, ...],
    page: int,
    playback: RecordingPlayback | None,
    full: bool,
    busy: bool,
) -> Panel | None:
    """Return what lies open, if anything does."""
    view = state.view
    if view.panel == "controls":
        rows = (
            tuple(_disabled_if_refused(state, cell) for cell in row)
            for row in _control_rows(state, full=full)
        )
        return Panel(tuple(rows))
    if view.panel == "help":
        rows = (
            (
                PanelCell(keys, role=ColourRole.TEXT, width_share=0.7),
                PanelCell(does, role=ColourRole.MUTED),
            )
            for keys, does in HELP
        )
        return Panel(tuple(rows))
    if view.panel == "sessions":
        return _sessions_panel(entries, page, busy=busy)
    if view.panel == "player" and playback is not None:
        return _player_panel(playback, view.typing)
    return None


def _disabled_if_refused(state: WindowState, cell: PanelCell) -> PanelCell:
    if not state.refuses(cell.action):
        return cell
    return replace(cell, action="", role=ColourRole.MUTED, disabled=True)


def _control_rows(state: WindowState, *, full: bool) -> tuple[Row, ...]:
    view = state.view
    dials = []
    for dial in DIALS.values():
        value = state.controls.get(dial.name)
        value_text = "" if value is None else dial.told(value)
        fill = 0.0 if value is None else dial.share(value)
        held = view.grabbed_dial == dial.name
        dials.append((PanelCell(dial.called, f"slide:{dial.name}", value_text, fill, held),))
    line = state.instrument or DEFAULT_INSTRUMENTS
    memories: list[PanelCell] = []
    for name in "AB":
        kept = name in state.memories
        memories += [
            PanelCell(f"keep as {name}", f"store:{name}"),
            PanelCell(f"recall {name}", f"recall:{name}" if kept else "",
                 role=_role(kept),
 disabled=not kept,),
        ]  # fmt: skip
    return (
        *dials,
        (
            PanelCell("your sound", "instrument:human", instrument_of("human", line)),
            PanelCell("the machine's", "instrument:ai", instrument_of("ai", line)),
            PanelCell("scale", "scale", state.scale),
        ),
        tuple(PanelCell(f"back {s} s", f"back:{s}") for s in (5, 10, 30)),
        tuple(memories),
        (
            PanelCell("go on" if state.paused else "pause", "pause", selected=state.paused),
            PanelCell("forget all", "reset"),
            PanelCell("stop recording" if state.recording else "record", "record"),
        ),
        (
            PanelCell("its mind", "forecast", "on" if view.show_forecast else "off"),
            PanelCell("theme", "theme", view.theme),
            PanelCell("turned", "turn", f"{90 * view.quarter_turns}°"),
        ),
        (
            PanelCell("letters play", "typing", "on" if view.letters_play else "off"),
            PanelCell("full screen", "fullscreen", "on" if full else "off"),
            PanelCell("close", "controls"),
        ),
    )


def _sessions_panel(entries: tuple[LibraryEntry, ...], page: int, *, busy: bool) -> Panel:
    shown = entries[page * PAGE : (page + 1) * PAGE]
    rows: list[Row] = [(_entry_cell(entry, page * PAGE + i),) for i, entry in enumerate(shown)]
    if not rows:
        rows.append((PanelCell("looking…" if busy else "nothing has been recorded here yet",
                          role=ColourRole.MUTED),))  # fmt: skip
    more, before = len(entries) > (page + 1) * PAGE, page > 0
    rows.append(
        (
            PanelCell(
                "newer", "page:-1" if before else "", role=_role(before), disabled=not before
            ),
            PanelCell("older", "page:1" if more else "", role=_role(more), disabled=not more),
            PanelCell("close", "sessions"),
        )
    )
    return Panel(tuple(rows))


def _role(there: bool) -> ColourRole:  # noqa: FBT001
    return ColourRole.TEXT if there else ColourRole.MUTED


def _entry_cell(entry: LibraryEntry, number: int) -> PanelCell:
    """Return the cell of a recording: its title, its length and who played how much."""
    summary = entry.summary
    if summary is None:
        return PanelCell(entry.title, "", entry.error, role=ColourRole.MUTED)
    machine = sum(n for who, n in summary.touches.items() if is_machine(who))
    human = sum(summary.touches.values()) - machine
    value_text = f"{format_duration(summary.seconds)}   {human} + {machine} touches"
    return PanelCell(entry.title, f"open:{number}", value_text)


def _player_panel(playback: RecordingPlayback, typing: str | None) -> Panel:
    speed = f"×{playback.speed:g}"
    where = f"{format_duration(playback.at)} / {format_duration(playback.duration)}"
    naming = PanelCell(
        f"name: {typing}_", "rename", "enter keeps it, esc does not", selected=True
    )
    return Panel(
        (
            (naming if typing is not None else PanelCell(playback.name, value_text=where),),
            (PanelCell("", "scrub"),),
            (
                PanelCell(
                    "hold" if playback.playing else "play", "play", selected=playback.playing
                ),
                PanelCell("speed", "speed", speed),
                PanelCell(
                    "loop", "loop", "on" if playback.loop else "off", selected=playback.loop
                ),
                PanelCell("answer this again", "again", width_share=1.7),
            ),
            (
                PanelCell("rename", "rename"),
                PanelCell("show file", "reveal"),
                PanelCell("export PNG", "export"),
                PanelCell("sessions", "sessions"),
                PanelCell("close", "close"),
            ),
        ),
        at_bottom=True,
    )
