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
from robojam.window.view.text_fit import Icon, Label, Part, Parts, Tone, clock

#: Touches this late, in milliseconds, can be noticed, and are told of.
LATE_MS = 5.0
#: So many lines of trouble are shown at most.
MOST_NOTICES = 4
MODES = ("call-response", "duet", "solo", "listen")
#: Going back goes this far, in seconds.
BACK = 10.0


@dataclass(frozen=True, slots=True)
class Words:
    """All that is written around and on the surface; above and below, two rows each.

    left is the share of the machine's turn that is left, None where it has no end.
    """

    top: tuple[tuple[Label, ...], tuple[Label, ...]]
    bottom: tuple[tuple[Label, ...], tuple[Label, ...]]
    notices: Parts
    hint: tuple[str, ...]
    turn: Tone


def words(state: WindowState, now: float) -> Words:
    """Say what the musician should know at this instant (seconds)."""
    there = state.engine(now) is EngineState.THERE
    turn = _side(state) if there else Tone.QUIET
    playing = state.touched or state.view.panel
    top = (
        (_turn(turn), _doing(state, now), *_health(state, now), *_recording(state, now),
         _button("panic", "panic", 2, Tone.ALERT)),
        (*_answer(turn), *_back(state), *_lights(state, now), *_engine(state),
         _button("sessions", "sessions", 6, on=state.view.panel in ("sessions", "player")),
         _button("more", "controls", 1, on=state.view.panel == "controls")),
    )  # fmt: skip
    return Words(
        top=(_taken(state, top[0]), _taken(state, top[1])),
        bottom=(_taken(state, _modes(state)), _taken(state, _controls(state))),
        notices=_notices(state, now),
        hint=() if playing or state.replaying else (
            "play here, with the mouse or your fingers",
            "rest, and the machine answers" if state.mode in ("", "call-response") else "",
        ),
        turn=turn,
    )  # fmt: skip


def _taken(state: WindowState, labels: Iterable[Label]) -> tuple[Label, ...]:
    """Leave out what the engine would not do, and from what tells something, the doing."""
    return tuple(
        replace(label, action="", fill=None) if state.refuses(label.action) else label
        for label in labels
        if label.on or label.fill is not None or not state.refuses(label.action)
    )


def _side(state: WindowState) -> Tone:
    if not state.turn:
        return Tone.QUIET
    return Tone.MACHINE if is_machine(state.turn) else Tone.HUMAN


def _turn(turn: Tone) -> Label:
    if turn is Tone.QUIET:
        return Label((Part("robojam"),), rank=9, short=(), icon=Icon.AWAY)
    if turn is Tone.MACHINE:
        return Label((Part("machine", turn),), rank=0, icon=Icon.MACHINE)
    return Label((Part("you", turn),), rank=0, icon=Icon.HUMAN)


def _doing(state: WindowState, now: float) -> Label:
    engine = state.engine(now)
    if engine is EngineState.LOST:
        return _one("engine lost, waiting for it", Tone.ALERT, rank=1, short="engine lost")
    if engine is EngineState.STARTING:
        if now - state.opened > PATIENCE and state.engine_name:
            waiting = f"waiting for the engine at {state.engine_name}"
            return _one(waiting, Tone.QUIET, rank=1, short="no engine yet")
        return _one("starting the engine…", Tone.QUIET, rank=1, short="starting…")
    if state.paused:
        return _one("paused", Tone.ALERT, rank=1)
    if state.replaying:
        return _one("a recording plays", Tone.QUIET, rank=1, short="a recording")
    playing = state.playing(now)
    does = "playing" if playing else "answering" if is_machine(state.turn) else "listening"
    if (left := state.turn_left(now)) is not None:
        return _one(
            f"{does}, {left[0]:.0f} s left", Tone.QUIET, rank=1, short=f"{left[0]:.0f} s"
        )
    return _one(does, Tone.QUIET, rank=1)


def _one(text: str, tone: Tone, *, rank: int, short: str = "") -> Label:
    return Label((Part(text, tone),), rank, (Part(short, tone),) if short else None)


def _button(
    text: str, action: str, rank: int, tone: Tone = Tone.TEXT, *, on: bool = False
) -> Label:
    return Label((Part(text, tone),), rank, right=True, action=action, on=on)


def _answer(turn: Tone) -> tuple[Label, ...]:
    if turn is Tone.QUIET:
        return ()
    return (Label((Part("pass the turn"),), 3, (Part("pass"),), action="answer"),)


def _back(state: WindowState) -> Iterator[Label]:
    short = (Part(f"-{BACK:.0f} s"),)
    yield Label((Part(f"back {BACK:.0f} s"),), 5, short, action=f"back:{BACK:.0f}")
    for name in state.memories:
        yield Label((Part(f"recall {name}"),), 7, (Part(name),), action=f"recall:{name}")


def _recording(state: WindowState, now: float) -> tuple[Label, ...]:
    if state.engine(now) is not EngineState.THERE:
        return ()
    if not state.recording:
        off = (Part("not recording", Tone.QUIET),)
        return (Label(off, 3, (Part("off", Tone.QUIET),), True, Icon.AWAY, "record"),)
    if state.recording == "armed":
        ready = (Part("ready to record", Tone.QUIET),)
        return (Label(ready, 3, (Part("ready", Tone.QUIET),), True, Icon.ARMED, "record"),)
    passed = (Part(clock(now - state.recording_since), Tone.RECORD),)
    return (Label(passed, 2, None, True, Icon.RECORD, "record"),)


def _lights(state: WindowState, now: float) -> Iterator[Label]:
    """One light for each way in or out: lit while something comes through."""
    if state.engine(now) is not EngineState.THERE:
        return
    for name, trouble in {"osc": "", **state.connections.there}.items():
        tone = Tone.ALERT if trouble else Tone.QUIET
        icon = Icon.LIT if state.connections.lit(name, now) else Icon.LIGHT
        yield Label((Part(name, tone),), 9, (), right=True, icon=icon)


def _engine(state: WindowState) -> tuple[Label, ...]:
    name = PurePosixPath(state.model.replace("\\", "/")).name.removesuffix(".safetensors")
    parts = [Part(word, Tone.QUIET) for word in (name, state.device) if word]
    return (Label(tuple(parts), 10, (), right=True),) if parts else ()


def _modes(state: WindowState) -> Iterator[Label]:
    if not state.mode:
        return
    known = MODES if state.mode in MODES else (state.mode,)
    for rank, mode in enumerate(known, start=5):
        on = mode == state.mode
        part = (Part(mode, Tone.TEXT if on else Tone.QUIET),)
        yield Label(part, 1 if on else rank, action=f"mode:{mode}", on=on)


def _controls(state: WindowState) -> Iterator[Label]:
    for rank, dial in enumerate(DIALS.values(), start=3):
        if (value := state.controls.get(dial.name)) is None:
            continue
        if dial.name == "volume" and "sound" not in state.connections.there:
            continue
        rank = rank if dial.name != "volume" else 20  # the modes are wanted sooner
        held = state.view.grabbed == dial.name
        told = Part(dial.told(value))
        yield Label(
            (Part(dial.called, Tone.QUIET), told), rank, (Part(dial.short, Tone.QUIET), told),
            right=True, action=f"slide:{dial.name}", fill=dial.share(value), on=held,
        )  # fmt: skip
    yield Label((Part("keys", Tone.QUIET),), 9, (), right=True, action="help",
                on=state.view.panel == "help")  # fmt: skip


def _health(state: WindowState, now: float) -> tuple[Label, ...]:
    parts: list[Part] = []
    if state.engine(now) is not EngineState.THERE:
        return ()  # what it last told is no longer so
    if state.late_ms > LATE_MS:
        parts.append(Part(f"{state.late_ms:.0f} ms late", Tone.ALERT))
    if now - state.dropped_told < DROPS_SHOW:
        parts.append(Part(f"{state.dropped_new} dropped", Tone.ALERT))
    return (Label(tuple(parts), rank=2, right=True),) if parts else ()


def _notices(state: WindowState, now: float) -> Parts:
    told = [Part(trouble, Tone.ALERT) for trouble in state.trouble if trouble]
    told += [Part(wrong, Tone.ALERT) for wrong in state.connections.wrong(now)]
    if now - state.restarted < NEWS:
        told.insert(0, Part("the engine was restarted" + _where(state.recording)))
    if state.view.keys_play:
        told.append(Part("letters play: three rows are the surface; tab ends it"))
    if now - state.word_told < WORD:
        told.append(Part(state.word))
    return tuple(told[:MOST_NOTICES])


def _where(recording: str) -> str:
    if not recording:
        return ""
    if recording in ("armed", "on"):
        return "; a new recording begins with the next touch" if recording == "armed" else ""
    return f"; recording to {PurePosixPath(recording.replace(chr(92), '/')).name}"
