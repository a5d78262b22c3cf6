"""Text of the frame around the surface, and the actions of its buttons. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from robojam.controls import MODES
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

#: The window says which engine it waits for after this many seconds.
WAITING_AFTER = 15.0
#: Seconds for which a restart of the engine, and a short notice, are shown.
RESTART_SHOWN, NOTICE_SHOWN = 8.0, 1.6
#: Touches later than this many milliseconds are reported, because they can be heard.
LATE_MS = 5.0
#: Notices that are shown at most.
MAX_NOTICES = 4
#: Seconds that the button in the frame goes back.
BACK = 10.0


Row = tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class FrameText:
    """Text around and on the surface, two rows each above and below; turn: its colour role."""

    top: tuple[Row, Row]
    bottom: tuple[Row, Row]
    notices: TextRuns
    hint: tuple[str, ...]
    turn: ColourRole


def frame_text(state: WindowState, now: float) -> FrameText:
    """Return the text for the state at this time (seconds)."""
    turn = ColourRole.MUTED
    if state.turn and state.engine_state(now) is EngineState.CONNECTED:
        turn = ColourRole.MACHINE if is_machine(state.turn) else ColourRole.HUMAN
    answers = "rest, and the machine answers" if state.mode in ("", "call-response") else ""
    hint = ("play here, with the mouse or your fingers", answers)
    return FrameText(
        top=(_row(state, _status_labels(state, turn, now)),
             _row(state, _engine_labels(state, turn, now))),
        bottom=(_row(state, _mode_buttons(state)), _row(state, _dial_labels(state))),
        notices=_notices(state, now),
        hint=() if state.has_played or state.view.panel or state.replaying else hint,
        turn=turn,
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
        late = f"{state.late_ms:.0f} ms late" if state.late_ms > LATE_MS else ""
        is_dropping = now - state.dropped_at < DROPS_SHOWN
        dropped = f"{state.recently_dropped} dropped" if is_dropping else ""
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
        return "a recording plays", "a recording", ColourRole.MUTED
    playing = state.machine_playing(now)
    activity = "playing" if playing else "answering" if is_machine(state.turn) else "listening"
    if (left := state.turn_left(now)) is not None:
        return f"{activity}, {left[0]:.0f} s left", f"{left[0]:.0f} s", ColourRole.MUTED
    return activity, "", ColourRole.MUTED


def _engine_labels(state: WindowState, turn: ColourRole, now: float) -> Iterator[Label]:
    """Yield the labels of the second row: turn, memories, ports, engine and panels."""
    text = ColourRole.TEXT
    if turn is not ColourRole.MUTED:
        yield Label(_run("pass the turn", text), 3, _run("pass", text), action="answer")
    short = _run(f"-{BACK:.0f} s", text)
    yield Label(_run(f"back {BACK:.0f} s", text), 5, short, action=f"back:{BACK:.0f}")
    for name in state.memories:
        short = _run(name, text)
        yield Label(_run(f"recall {name}", text), 7, short, action=f"recall:{name}")
    if state.engine_state(now) is EngineState.CONNECTED:
        for name, problem in {"osc": "", **state.ports.errors}.items():
            role = ColourRole.ALERT if problem else ColourRole.MUTED
            icon = Icon.LIT if state.ports.is_active(name, now) else Icon.LIGHT
            yield Label(_run(name, role), 9, (), right=True, icon=icon)
    model = PurePosixPath(state.text("model").replace("\\", "/")).name
    names = (model.removesuffix(".safetensors"), state.text("device"))
    if runs := tuple(TextRun(name, ColourRole.MUTED) for name in names if name):
        yield Label(runs, 10, (), right=True)
    is_open = state.view.panel in ("sessions", "player")
    yield Label(_run("sessions", text), 6, right=True, action="sessions", selected=is_open)
    is_open = state.view.panel == "controls"
    yield Label(_run("more", text), 1, right=True, action="controls", selected=is_open)


def _mode_buttons(state: WindowState) -> Iterator[Label]:
    if not state.mode:
        return
    modes = MODES if state.mode in MODES else (state.mode,)
    for rank, mode in enumerate(modes, start=5):
        selected = mode == state.mode
        run = _run(mode, ColourRole.TEXT if selected else ColourRole.MUTED)
        yield Label(run, 1 if selected else rank, action=f"mode:{mode}", selected=selected)


def _dial_labels(state: WindowState) -> Iterator[Label]:
    for rank, (name, dial) in enumerate(DIALS.items(), start=3):
        is_volume = name == "volume"
        value = state.controls.get(name)
        if value is None or (is_volume and "sound" not in state.ports.errors):
            continue
        shown = (TextRun(dial.text(value)),)
        yield Label(
            _run(dial.dial.label) + shown, 20 if is_volume else rank,  # modes come before it
            _run(dial.dial.short) + shown, right=True, action=f"slide:{name}",
            fill=dial.share(value), selected=state.view.grabbed_dial == name,
        )  # fmt: skip
    is_open = state.view.panel == "help"
    yield Label(_run("keys"), 9, (), right=True, action="help", selected=is_open)


def _notices(state: WindowState, now: float) -> TextRuns:
    problems = [*filter(None, state.problems), *state.ports.recent_errors(now)]
    notices = [TextRun(problem, ColourRole.ALERT) for problem in problems]
    if now - state.restarted_at < RESTART_SHOWN:
        restarted = "the engine was restarted"
        if state.recording == "armed":
            restarted += "; a new recording begins with the next touch"
        elif state.recording not in ("", "on"):  # else not recording, or its file is not known
            path = PurePosixPath(state.recording.replace("\\", "/"))
            restarted += f"; recording to {path.name}"
        notices.insert(0, TextRun(restarted))
    if state.view.letters_play:
        notices.append(TextRun("letters play: three rows are the surface; tab ends it"))
    if now - state.notice_at < NOTICE_SHOWN:
        notices.append(TextRun(state.notice))
    return tuple(notices[:MAX_NOTICES])
