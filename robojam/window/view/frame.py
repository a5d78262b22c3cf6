"""What the frame says, and what of it can be touched. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from robojam.touch import is_machine
from robojam.window.client.state import (
    DROPS_SHOW,
    NEWS,
    PATIENCE,
    WORD,
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

#: Touches this late, in milliseconds, can be noticed, and are told of.
LATE_MS = 5.0
#: So many lines of trouble are shown at most.
MOST_NOTICES = 4
MODES = ("call-response", "duet", "solo", "listen")
#: Going back goes this far, in seconds.
BACK = 10.0


@dataclass(frozen=True, slots=True)
class FrameText:
    """All that is written around and on the surface; above and below, two rows each.

    left is the share of the machine's turn that is left, None where it has no end.
    """

    top: tuple[tuple[Label, ...], tuple[Label, ...]]
    bottom: tuple[tuple[Label, ...], tuple[Label, ...]]
    notices: TextRuns
    hint: tuple[str, ...]
    turn: ColourRole


def frame_text(state: WindowState, now: float) -> FrameText:
    """Say what the musician should know at this instant (seconds)."""
    there = state.engine_state(now) is EngineState.CONNECTED
    turn = _side(state) if there else ColourRole.MUTED
    playing = state.has_played or state.view.panel
    top = (
        (
            _turn_label(turn),
            _activity_label(state, now),
            *_health_label(state, now),
            *_record_button(state, now),
            _button("panic", "panic", 2, ColourRole.ALERT),
        ),
        (
            *_pass_turn_button(turn),
            *_memory_buttons(state),
            *_port_lights(state, now),
            *_engine_label(state),
            _button(
                "sessions", "sessions", 6, selected=state.view.panel in ("sessions", "player")
            ),
            _button("more", "controls", 1, selected=state.view.panel == "controls"),
        ),
    )
    return FrameText(
        top=(_without_refused(state, top[0]), _without_refused(state, top[1])),
        bottom=(
            _without_refused(state, _mode_buttons(state)),
            _without_refused(state, _dial_labels(state)),
        ),
        notices=_notices(state, now),
        hint=()
        if playing or state.replaying
        else (
            "play here, with the mouse or your fingers",
            "rest, and the machine answers" if state.mode in ("", "call-response") else "",
        ),
        turn=turn,
    )


def _without_refused(state: WindowState, labels: Iterable[Label]) -> tuple[Label, ...]:
    """Leave out what the engine would not do, and from what tells something, the doing."""
    return tuple(
        replace(label, action="", fill=None) if state.refuses(label.action) else label
        for label in labels
        if label.selected or label.fill is not None or not state.refuses(label.action)
    )


def _side(state: WindowState) -> ColourRole:
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
        return _text_label(
            "engine lost, waiting for it", ColourRole.ALERT, rank=1, short="engine lost"
        )
    if engine is EngineState.STARTING:
        if now - state.opened_at > PATIENCE and state.engine_name:
            waiting = f"waiting for the engine at {state.engine_name}"
            return _text_label(waiting, ColourRole.MUTED, rank=1, short="no engine yet")
        return _text_label("starting the engine…", ColourRole.MUTED, rank=1, short="starting…")
    if state.paused:
        return _text_label("paused", ColourRole.ALERT, rank=1)
    if state.replaying:
        return _text_label("a recording plays", ColourRole.MUTED, rank=1, short="a recording")
    playing = state.machine_playing(now)
    does = "playing" if playing else "answering" if is_machine(state.turn) else "listening"
    if (left := state.turn_left(now)) is not None:
        return _text_label(
            f"{does}, {left[0]:.0f} s left", ColourRole.MUTED, rank=1, short=f"{left[0]:.0f} s"
        )
    return _text_label(does, ColourRole.MUTED, rank=1)


def _text_label(text: str, role: ColourRole, *, rank: int, short: str = "") -> Label:
    return Label((TextRun(text, role),), rank, (TextRun(short, role),) if short else None)


def _button(
    text: str,
    action: str,
    rank: int,
    role: ColourRole = ColourRole.TEXT,
    *,
    selected: bool = False,
) -> Label:
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
        off = (TextRun("not recording", ColourRole.MUTED),)
        return (Label(off, 3, (TextRun("off", ColourRole.MUTED),), True, Icon.AWAY, "record"),)
    if state.recording == "armed":
        ready = (TextRun("ready to record", ColourRole.MUTED),)
        return (
            Label(ready, 3, (TextRun("ready", ColourRole.MUTED),), True, Icon.ARMED, "record"),
        )
    passed = (TextRun(format_duration(now - state.recording_since), ColourRole.RECORD),)
    return (Label(passed, 2, None, True, Icon.RECORD, "record"),)


def _port_lights(state: WindowState, now: float) -> Iterator[Label]:
    """One light for each way in or out: lit while something comes through."""
    if state.engine_state(now) is not EngineState.CONNECTED:
        return
    for name, problem in {"osc": "", **state.ports.errors}.items():
        role = ColourRole.ALERT if problem else ColourRole.MUTED
        icon = Icon.LIT if state.ports.is_active(name, now) else Icon.LIGHT
        yield Label((TextRun(name, role),), 9, (), right=True, icon=icon)


def _engine_label(state: WindowState) -> tuple[Label, ...]:
    name = PurePosixPath(state.model.replace("\\", "/")).name.removesuffix(".safetensors")
    runs = [TextRun(word, ColourRole.MUTED) for word in (name, state.device) if word]
    return (Label(tuple(runs), 10, (), right=True),) if runs else ()


def _mode_buttons(state: WindowState) -> Iterator[Label]:
    if not state.mode:
        return
    known = MODES if state.mode in MODES else (state.mode,)
    for rank, mode in enumerate(known, start=5):
        selected = mode == state.mode
        run = (TextRun(mode, ColourRole.TEXT if selected else ColourRole.MUTED),)
        yield Label(run, 1 if selected else rank, action=f"mode:{mode}", selected=selected)


def _dial_labels(state: WindowState) -> Iterator[Label]:
    for rank, dial in enumerate(DIALS.values(), start=3):
        if (value := state.controls.get(dial.name)) is None:
            continue
        if dial.name == "volume" and "sound" not in state.ports.errors:
            continue
        rank = rank if dial.name != "volume" else 20  # the modes are wanted sooner
        held = state.view.grabbed_dial == dial.name
        value_run = TextRun(dial.told(value))
        yield Label(
            (TextRun(dial.called, ColourRole.MUTED), value_run),
            rank,
            (TextRun(dial.short, ColourRole.MUTED), value_run),
            right=True,
            action=f"slide:{dial.name}",
            fill=dial.share(value),
            selected=held,
        )
    yield Label((TextRun("keys", ColourRole.MUTED),), 9, (), right=True, action="help",
                selected=state.view.panel == "help")  # fmt: skip


def _health_label(state: WindowState, now: float) -> tuple[Label, ...]:
    runs: list[TextRun] = []
    if state.engine_state(now) is not EngineState.CONNECTED:
        return ()  # what it last told is no longer so
    if state.late_ms > LATE_MS:
        runs.append(TextRun(f"{state.late_ms:.0f} ms late", ColourRole.ALERT))
    if now - state.dropped_at < DROPS_SHOW:
        runs.append(TextRun(f"{state.recently_dropped} dropped", ColourRole.ALERT))
    return (Label(tuple(runs), rank=2, right=True),) if runs else ()


def _notices(state: WindowState, now: float) -> TextRuns:
    value_run = [TextRun(problem, ColourRole.ALERT) for problem in state.problems if problem]
    value_run += [TextRun(wrong, ColourRole.ALERT) for wrong in state.ports.recent_errors(now)]
    if now - state.restarted_at < NEWS:
        value_run.insert(
            0, TextRun("the engine was restarted" + _recording_suffix(state.recording))
        )
    if state.view.letters_play:
        value_run.append(TextRun("letters play: three rows are the surface; tab ends it"))
    if now - state.notice_at < WORD:
        value_run.append(TextRun(state.notice))
    return tuple(value_run[:MOST_NOTICES])


def _recording_suffix(recording: str) -> str:
    if not recording:
        return ""
    if recording in ("armed", "on"):
        return "; a new recording begins with the next touch" if recording == "armed" else ""
    return f"; recording to {PurePosixPath(recording.replace(chr(92), '/')).name}"
