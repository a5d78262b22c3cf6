"""Text of the frame around the surface, and the actions of its buttons. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from robojam.controls import MODES
from robojam.touch import is_machine
from robojam.window.client.state import (
    DROPS_SHOWN,
    NOTICE_SHOWN,
    RESTART_SHOWN,
    WAITING_AFTER,
    EngineState,
    WindowState,
)
from robojam.window.input.dials import DIALS
from robojam.window.view.text_fit import (
    ColourRole,
    Icon,
    Label,
    TextRun,
    TextRuns,
    format_duration,
)

#: Touches later than this many milliseconds are reported, because they can be heard.
LATE_MS = 5.0
#: Notices that are shown at most.
MAX_NOTICES = 4
#: Seconds that the button in the frame goes back.
BACK = 10.0


@dataclass(frozen=True, slots=True)
class FrameText:
    """Text around and on the surface, two rows each above and below.

    turn is the colour role of the player whose turn it is.
    """

    top: tuple[tuple[Label, ...], tuple[Label, ...]]
    bottom: tuple[tuple[Label, ...], tuple[Label, ...]]
    notices: TextRuns
    hint: tuple[str, ...]
    turn: ColourRole


def frame_text(state: WindowState, now: float) -> FrameText:
    """Return the text for the state at this time (seconds)."""
    connected = state.engine_state(now) is EngineState.CONNECTED
    turn = _turn_role(state) if connected else ColourRole.MUTED
    panel = state.view.panel
    top = (
        (_turn_label(turn), _activity_label(state, now), *_health_label(state, now),
         *_record_button(state, now), _button("panic", "panic", 2, ColourRole.ALERT)),
        (*_pass_turn_button(turn), *_memory_buttons(state), *_port_lights(state, now),
         *_engine_label(state),
         _button("sessions", "sessions", 6, selected=panel in ("sessions", "player")),
         _button("more", "controls", 1, selected=panel == "controls")),
    )  # fmt: skip
    return FrameText(
        top=(_without_refused(state, top[0]), _without_refused(state, top[1])),
        bottom=(
            _without_refused(state, _mode_buttons(state)),
            _without_refused(state, _dial_labels(state)),
        ),
        notices=_notices(state, now),
        hint=_hint(state),
        turn=turn,
    )


def _hint(state: WindowState) -> tuple[str, ...]:
    if state.has_played or state.view.panel or state.replaying:
        return ()
    return (
        "play here, with the mouse or your fingers",
        "rest, and the machine answers" if state.mode_rules.alternates else "",
    )


def _without_refused(state: WindowState, labels: Iterable[Label]) -> tuple[Label, ...]:
    """Remove the labels whose action the engine refuses.

    Labels that also show a value stay, without their action.
    """
    return tuple(
        replace(label, action="", fill=None) if state.refuses(label.action) else label
        for label in labels
        if label.selected or label.fill is not None or not state.refuses(label.action)
    )


def _turn_role(state: WindowState) -> ColourRole:
    if not state.turn:
        return ColourRole.MUTED
    return ColourRole.MACHINE if is_machine(state.turn) else ColourRole.HUMAN


def _turn_label(turn: ColourRole) -> Label:
    if turn is ColourRole.MUTED:
        return Label((TextRun("robojam"),), rank=9, short=(), icon=Icon.AWAY)
    if turn is ColourRole.MACHINE:
        return Label((TextRun("machine", turn),), rank=0, icon=Icon.MACHINE)
    return Label((TextRun("you", turn),), rank=0, icon=Icon.HUMAN)


def _activity_label(state: WindowState, now: float) -> Label:
    engine = state.engine_state(now)
    if engine is EngineState.LOST:
        lost = "engine lost, waiting for it"
        return _text_label(lost, ColourRole.ALERT, short="engine lost")
    if engine is EngineState.STARTING:
        if now - state.opened_at > WAITING_AFTER and state.engine_name:
            waiting = f"waiting for the engine at {state.engine_name}"
            return _text_label(waiting, ColourRole.MUTED, short="no engine yet")
        return _text_label("starting the engine…", ColourRole.MUTED, short="starting…")
    if state.paused:
        return _text_label("paused", ColourRole.ALERT)
    if state.replaying:
        return _text_label("a recording plays", ColourRole.MUTED, short="a recording")
    playing = state.machine_playing(now)
    activity = "playing" if playing else "answering" if is_machine(state.turn) else "listening"
    if (left := state.turn_left(now)) is not None:
        seconds = f"{left[0]:.0f} s"
        return _text_label(f"{activity}, {seconds} left", ColourRole.MUTED, short=seconds)
    return _text_label(activity, ColourRole.MUTED)


def _muted(text: str) -> TextRun:
    return TextRun(text, ColourRole.MUTED)


def _text_label(text: str, role: ColourRole, *, short: str = "") -> Label:
    return Label((TextRun(text, role),), 1, (TextRun(short, role),) if short else None)


def _button(
    text: str, action: str, rank: int, role: ColourRole = ColourRole.TEXT, *,
    selected: bool = False,
) -> Label:  # fmt: skip
    return Label((TextRun(text, role),), rank, right=True, action=action, selected=selected)


def _pass_turn_button(turn: ColourRole) -> tuple[Label, ...]:
    if turn is ColourRole.MUTED:
        return ()
    return (Label((TextRun("pass the turn"),), 3, (TextRun("pass"),), action="answer"),)


def _memory_buttons(state: WindowState) -> Iterator[Label]:
    short = (TextRun(f"-{BACK:.0f} s"),)
    yield Label((TextRun(f"back {BACK:.0f} s"),), 5, short, action=f"back:{BACK:.0f}")
    for name in state.memories:
        yield Label((TextRun(f"recall {name}"),), 7, (TextRun(name),), action=f"recall:{name}")


def _record_button(state: WindowState, now: float) -> tuple[Label, ...]:
    if state.engine_state(now) is not EngineState.CONNECTED:
        return ()
    if not state.recording:
        off = (_muted("not recording"),)
        return (Label(off, 3, (_muted("off"),), True, Icon.AWAY, "record"),)
    if state.recording == "armed":
        ready = (_muted("ready to record"),)
        return (Label(ready, 3, (_muted("ready"),), True, Icon.ARMED, "record"),)
    passed = (TextRun(format_duration(now - state.recording_since), ColourRole.RECORD),)
    return (Label(passed, 2, None, True, Icon.RECORD, "record"),)


def _port_lights(state: WindowState, now: float) -> Iterator[Label]:
    """Return one light for each port, lit while messages pass through it."""
    if state.engine_state(now) is not EngineState.CONNECTED:
        return
    for name, problem in {"osc": "", **state.ports.errors}.items():
        role = ColourRole.ALERT if problem else ColourRole.MUTED
        icon = Icon.LIT if state.ports.is_active(name, now) else Icon.LIGHT
        yield Label((TextRun(name, role),), 9, (), right=True, icon=icon)


def _engine_label(state: WindowState) -> tuple[Label, ...]:
    name = PurePosixPath(state.text("model").replace("\\", "/")).name.removesuffix(
        ".safetensors"
    )
    runs = [_muted(text) for text in (name, state.text("device")) if text]
    return (Label(tuple(runs), 10, (), right=True),) if runs else ()


def _mode_buttons(state: WindowState) -> Iterator[Label]:
    if not state.mode:
        return
    modes = MODES if state.mode in MODES else (state.mode,)
    for rank, mode in enumerate(modes, start=5):
        selected = mode == state.mode
        run = (TextRun(mode, ColourRole.TEXT if selected else ColourRole.MUTED),)
        yield Label(run, 1 if selected else rank, action=f"mode:{mode}", selected=selected)


def _dial_labels(state: WindowState) -> Iterator[Label]:
    for rank, dial in enumerate(DIALS.values(), start=3):
        if (value := state.controls.get(dial.name)) is None:
            continue
        if dial.name == "volume" and "sound" not in state.ports.errors:
            continue
        rank = rank if dial.name != "volume" else 20  # the modes are more important
        value_run = TextRun(dial.text(value))
        yield Label(
            (_muted(dial.dial.label), value_run), rank, (_muted(dial.dial.short), value_run),
            right=True, action=f"slide:{dial.name}", fill=dial.share(value),
            selected=state.view.grabbed_dial == dial.name,
        )  # fmt: skip
    shown = state.view.panel == "help"
    yield Label((_muted("keys"),), 9, (), right=True, action="help", selected=shown)


def _health_label(state: WindowState, now: float) -> tuple[Label, ...]:
    runs: list[TextRun] = []
    if state.engine_state(now) is not EngineState.CONNECTED:
        return ()  # its last status no longer holds
    if state.late_ms > LATE_MS:
        runs.append(TextRun(f"{state.late_ms:.0f} ms late", ColourRole.ALERT))
    if now - state.dropped_at < DROPS_SHOWN:
        runs.append(TextRun(f"{state.recently_dropped} dropped", ColourRole.ALERT))
    return (Label(tuple(runs), rank=2, right=True),) if runs else ()


def _notices(state: WindowState, now: float) -> TextRuns:
    problems = [*filter(None, state.problems), *state.ports.recent_errors(now)]
    notices = [TextRun(problem, ColourRole.ALERT) for problem in problems]
    if now - state.restarted_at < RESTART_SHOWN:
        restarted = "the engine was restarted" + _recording_suffix(state.recording)
        notices.insert(0, TextRun(restarted))
    if state.view.letters_play:
        notices.append(TextRun("letters play: three rows are the surface; tab ends it"))
    if now - state.notice_at < NOTICE_SHOWN:
        notices.append(TextRun(state.notice))
    return tuple(notices[:MAX_NOTICES])


def _recording_suffix(recording: str) -> str:
    if recording in ("", "on"):  # not recording, or its file is not known
        return ""
    if recording == "armed":
        return "; a new recording begins with the next touch"
    return f"; recording to {PurePosixPath(recording.replace(chr(92), '/')).name}"
