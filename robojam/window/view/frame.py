"""Text of the frame around the surface, and the actions of its buttons. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from robojam.controls import MODES, SETTINGS
from robojam.touch import is_machine
from robojam.window.client.state import DROPS_SHOWN, EngineState, WindowState
from robojam.window.input.dials import DIALS
from robojam.window.view.text_fit import (
    ColourRole,
    Icon,
    Label,
    TextRun,
    TextRuns,
    format_duration,
)
from robojam.window.view.theme import THEMES

#: The window says which engine it waits for after this many seconds.
WAITING_AFTER = 15.0
#: Seconds for which a restart of the engine is shown.
RESTART_SHOWN = 8.0
#: Touches later than this many milliseconds are reported, because they can be heard.
LATE_MS = 5.0
#: Notices that are shown at most.
MAX_NOTICES = 4
#: Seconds that the button in the frame goes back.
BACK = 10.0
#: Names of modes that are abbreviated where there is little room.
_SHORT_MODES = {"call-response": "call", "ensemble": "ens."}
#: Dials that are shown only where there is a clock.
_OF_CLOCK = frozenset(
    name for name, row in SETTINGS.items() if row.timing or name == "metronome"
)
#: Dials that the panel of controls has alone: few jams have scenes of knobs.
_IN_PANEL = ("morph",)
#: Dials that are shown first where there is not room for all; then the others, in their order.
_FIRST_DIALS = ("tempo", "temperature", "spread", "follow")


Row = tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class FrameText:
    """Text around and on the surface, two rows each above and below; turn: its colour role.

    asked are the notices that are shown in a theme without text, too. trouble: something
    does not work. light: state of the health light in a show, "" for none.
    """

    top: tuple[Row, Row]
    bottom: tuple[Row, Row]
    notices: TextRuns
    asked: TextRuns
    hint: tuple[str, ...]
    turn: ColourRole
    trouble: bool
    light: str = ""


def frame_text(state: WindowState, now: float) -> FrameText:
    """Return the text for the state at this time (seconds)."""
    turn = ColourRole.MUTED
    if state.turn and state.engine_state(now) is EngineState.CONNECTED:
        turn = ColourRole.MACHINE if is_machine(state.turn) else ColourRole.HUMAN
    alternates = state.mode in ("", "call-response")
    answers = "when you pause, the machine answers" if alternates else ""
    asks = state.notice_asks and now < state.notice_until
    lines = [] if state.show else _problems(state, now)
    is_quiet = state.show and not state.view.panel  # nothing is for the audience
    hint = ("play here, with the mouse or your fingers", answers)
    return FrameText(
        top=(_row(state, _status_labels(state, turn, now)),
             _row(state, _engine_labels(state, turn, now))),
        bottom=(_row(state, _mode_buttons(state)), _row(state, _dial_labels(state))),
        notices=() if is_quiet else _notices(state, lines, now),
        asked=(TextRun(state.notice),) if asks and not is_quiet else (),
        hint=()
        if state.has_played or state.view.panel or state.replaying or state.show
        else hint,
        turn=turn,
        trouble=bool(lines),
        light=state.light(now),
    )  # fmt: skip


def _row(state: WindowState, labels: Iterable[Label]) -> Row:
    """Return the labels that are not refused; a value is shown, but cannot be set."""
    return tuple(
        replace(label, action="", fill=None) if state.refuses(label.action) else label
        for label in labels
        if label.selected or label.fill is not None or not state.refuses(label.action)
    )


def _run(text: str, role: ColourRole = ColourRole.MUTED) -> TextRuns:
    return (TextRun(text, role),)


def _status_labels(state: WindowState, turn: ColourRole, now: float) -> Iterator[Label]:
    """Yield the labels of the first row: whose turn it is, activity, health, recording."""
    if turn is ColourRole.MUTED:
        yield Label(_run("robojam", ColourRole.TEXT), 9, (), icon=Icon.AWAY)
    elif turn is ColourRole.MACHINE:
        yield Label(_run("machine", turn), 0, icon=Icon.MACHINE)
    else:
        yield Label(_run("you", turn), 0, icon=Icon.HUMAN)
    text, short, role = _activity(state, now)
    yield Label(_run(text, role), 1, _run(short, role) if short else None)
    if state.engine_state(now) is EngineState.CONNECTED:  # else its last status does not hold
        is_late = state.late_ms > LATE_MS and not state.show
        late = f"plays {state.late_ms:.0f} ms late" if is_late else ""
        is_dropping = now - state.dropped_at < DROPS_SHOWN and not state.show
        messages = "message" if state.recently_dropped == 1 else "messages"
        dropped = f"{state.recently_dropped} {messages} ignored" if is_dropping else ""
        if runs := tuple(TextRun(t, ColourRole.ALERT) for t in (late, dropped) if t):
            yield Label(runs, 2, right=True)
        if not state.recording:
            yield Label(_run("not recording"), 3, _run("off"), True, Icon.AWAY, "record")
        elif state.recording == "armed":
            yield Label(_run("ready to record"), 3, _run("ready"), True, Icon.ARMED, "record")
        else:
            passed = _run(format_duration(now - state.recording_since), ColourRole.RECORD)
            yield Label(passed, 2, None, True, Icon.RECORD, "record")
    yield Label(_run("panic", ColourRole.ALERT), 2, right=True, action="panic")


def _activity(state: WindowState, now: float) -> tuple[str, str, ColourRole]:
    """Return what is going on, in many and in few words ('': as many), and its role."""
    engine = state.engine_state(now)
    if state.show and engine is EngineState.LOST:
        return "", "", ColourRole.MUTED  # the light tells it
    if engine is EngineState.LOST:
        return "engine lost, waiting for it", "engine lost", ColourRole.ALERT
    if engine is EngineState.STARTING:
        if now - state.opened_at > WAITING_AFTER and state.engine_name:
            waiting = f"waiting for the engine at {state.engine_name}"
            return waiting, "no engine yet", ColourRole.MUTED
        return "starting the engine…", "starting…", ColourRole.MUTED
    if state.paused:
        return "paused", "", ColourRole.ALERT
    if state.replaying:
        return "a recording plays", "recording", ColourRole.MUTED
    playing = state.machine_playing(now)
    activity = "playing" if playing else "answering" if is_machine(state.turn) else "listening"
    if (left := state.turn_left(now)) is not None:
        return f"{activity}, {left[0]:.0f} s left", f"{left[0]:.0f} s", ColourRole.MUTED
    return activity, "", ColourRole.MUTED


def _engine_labels(state: WindowState, turn: ColourRole, now: float) -> Iterator[Label]:
    """Yield the labels of the second row: turn, memories, ports, model and panels."""
    text = ColourRole.TEXT
    if turn is not ColourRole.MUTED:
        yield Label(_run("answer now", text), 3, _run("answer", text), action="answer")
    if state.paused:
        yield Label(_run("go on", text), 3, action="pause")
    if state.has_clock:
        yield Label(_run("tap", text), 4, action="tap")
    short = _run(f"-{BACK:.0f} s", text)
    yield Label(_run(f"back {BACK:.0f} s", text), 6, short, action=f"back:{BACK:.0f}")
    if state.can_undo_store(now):
        long = _run(f"undo store {state.stored}", text)
        yield Label(long, 4, _run("undo", text), action="undo_store")
    for name in state.memories:
        short = _run(name, text)
        yield Label(_run(f"recall {name}", text), 7, short, action=f"recall:{name}")
    if state.engine_state(now) is EngineState.CONNECTED:
        for name, found in {"osc": (), **state.ports.problems}.items():
            if found and not state.show:
                run = _run(name, ColourRole.ALERT)
                yield Label(run, 4, right=True, icon=Icon.TROUBLE)
            else:
                icon = Icon.LIT if state.ports.is_active(name, now) else Icon.LIGHT
                yield Label(_run(name), 5, (), right=True, icon=icon)
    for action, name, short_name, rank, panels in (
        ("sessions", "recordings", "rec.", 4, ("sessions", "player")),
        ("controls", "controls", "contr.", 1, ("controls",)),
        ("help", "help", "?", 1, ("help",)),
    ):
        is_open = state.view.panel in panels
        yield Label(
            _run(name, text), rank, _run(short_name, text), right=True, action=action,
            selected=is_open,
        )  # fmt: skip


def _mode_buttons(state: WindowState) -> Iterator[Label]:
    if not state.mode:
        return
    for mode in MODES if state.mode in MODES else (state.mode,):
        selected = mode == state.mode
        role = ColourRole.TEXT if selected else ColourRole.MUTED
        yield Label(
            _run(mode, role), 1 if selected else 2, _run(_SHORT_MODES.get(mode, mode), role),
            action=f"mode:{mode}", selected=selected,
        )  # fmt: skip


def _dial_labels(state: WindowState) -> Iterator[Label]:
    ranks = {n: i for i, n in enumerate(dict.fromkeys((*_FIRST_DIALS, *DIALS)), start=3)}
    for name, dial in DIALS.items():
        is_volume = name in ("volume", "metronome")
        value = state.controls.get(name)
        if value is None or (is_volume and "sound" not in state.ports.problems):
            continue
        if name in _IN_PANEL or (name in _OF_CLOCK and not state.has_clock):
            continue
        shown = (TextRun(dial.text(value)),)
        yield Label(
            _run(name) + shown, ranks[name],
            _run(dial.dial.short) + shown, right=True, action=f"slide:{name}",
            fill=dial.share(value), selected=state.view.grabbed_dial == name,
        )  # fmt: skip


def _problems(state: WindowState, now: float) -> list[str]:
    """Return a line for each thing that does not work, and that the frame does not say."""
    if state.engine_state(now) is EngineState.LOST:  # its last status does not hold
        has_text = THEMES[state.view.theme].has_text
        return [] if has_text else ["the engine does not answer"]
    return [*state.problems, *state.ports.lines(now)]


def _notices(state: WindowState, problems: list[str], now: float) -> TextRuns:
    notices = [TextRun(line, ColourRole.ALERT) for line in problems]
    if now - state.restarted_at < RESTART_SHOWN:
        restarted = "the engine was restarted"
        if state.recording == "armed":
            restarted += "; a new recording begins with the next touch"
        elif state.recording not in ("", "on"):  # else not recording, or its file is not known
            path = PurePosixPath(state.recording.replace("\\", "/"))
            restarted += f"; recording to {path.name}"
        notices.insert(0, TextRun(restarted))
    if state.view.letters_play:
        key = state.view.key_names["typing"]
        notices.append(
            TextRun(f"the letter keys play: three rows cover the surface; {key} ends")
        )
    notices = notices[:MAX_NOTICES]
    if now < state.notice_until:
        notices[MAX_NOTICES - 1 :] = [TextRun(state.notice)]
    return tuple(notices)
