"""What the frame says, and where it stands. Pure: measuring is handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath

from robojam.touch import is_machine
from robojam.window.state import DROPS_SHOW, NEWS, PATIENCE, WORD, Engine, State

#: Touches this late, in milliseconds, can be noticed, and are told of.
LATE_MS = 5.0
#: So many lines of trouble are shown at most.
MOST_NOTICES = 4
MODES = ("call-response", "duet", "solo", "listen")


class Tone(Enum):
    """How words are coloured."""

    TEXT = "text"
    QUIET = "quiet"
    CHOSEN = "chosen"
    HUMAN = "human"
    MACHINE = "machine"
    ALERT = "alert"
    RECORD = "record"


class Icon(Enum):
    """A small mark before the words."""

    NONE = "none"
    HUMAN = "human"
    MACHINE = "machine"
    AWAY = "away"
    RECORD = "record"
    ARMED = "armed"


@dataclass(frozen=True, slots=True)
class Part:
    """Words in one tone."""

    text: str
    tone: Tone = Tone.TEXT


Parts = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Label:
    """Parts that stand together. The higher its rank, the sooner it makes room.

    ``short`` stands in its place when room is short; empty, it goes at once.
    """

    parts: Parts
    rank: int
    short: Parts | None = None
    right: bool = False
    icon: Icon = Icon.NONE


@dataclass(frozen=True, slots=True)
class Words:
    """All that is written around and on the surface."""

    top: tuple[Label, ...]
    bottom: tuple[Label, ...]
    notices: Parts
    hint: tuple[str, ...]
    turn: Tone


@dataclass(frozen=True, slots=True)
class Placed:
    """A label that got its place: its left end, and the parts that are shown."""

    label: Label
    parts: Parts
    left: int


def words(state: State, now: float) -> Words:
    """Say what the musician should know at this instant (seconds)."""
    there = state.engine(now) is Engine.THERE
    turn = _side(state) if there else Tone.QUIET
    return Words(
        top=(_turn(turn), _doing(state, now), *_recording(state, now), *_engine(state)),
        bottom=(*_mode(state), *_controls(state), *_health(state, now), KEYS_HINT),
        notices=_notices(state, now),
        hint=() if state.touched or state.help_shown else (
            "play here, with the mouse or your fingers",
            "rest, and the machine answers" if state.mode in ("", "call-response") else "",
        ),
        turn=turn,
    )  # fmt: skip


#: Tells how to see the keys.
KEYS_HINT = Label((Part("h"), Part("keys", Tone.QUIET)), rank=2, right=True)


def _side(state: State) -> Tone:
    if not state.turn:
        return Tone.QUIET
    return Tone.MACHINE if is_machine(state.turn) else Tone.HUMAN


def _turn(turn: Tone) -> Label:
    if turn is Tone.QUIET:
        return Label((Part("robojam"),), rank=8, short=(), icon=Icon.AWAY)
    if turn is Tone.MACHINE:
        return Label((Part("machine", turn),), rank=0, icon=Icon.MACHINE)
    return Label((Part("you", turn),), rank=0, icon=Icon.HUMAN)


def _doing(state: State, now: float) -> Label:
    engine = state.engine(now)
    if engine is Engine.LOST:
        return _one("engine lost, waiting for it", Tone.ALERT, rank=1, short="engine lost")
    if engine is Engine.STARTING:
        if now - state.opened > PATIENCE and state.engine_name:
            waiting = f"waiting for the engine at {state.engine_name}"
            return _one(waiting, Tone.QUIET, rank=1, short="no engine yet")
        return _one("starting the engine…", Tone.QUIET, rank=1, short="starting…")
    if state.paused:
        return _one("paused", Tone.ALERT, rank=1)
    if state.playing(now):
        return _one("playing", Tone.QUIET, rank=1)
    return _one("answering" if is_machine(state.turn) else "listening", Tone.QUIET, rank=1)


def _one(text: str, tone: Tone, *, rank: int, short: str = "") -> Label:
    return Label((Part(text, tone),), rank, (Part(short, tone),) if short else None)


def _recording(state: State, now: float) -> tuple[Label, ...]:
    if not state.recording or state.engine(now) is not Engine.THERE:
        return ()
    if state.recording == "armed":
        return (
            Label((Part("ready to record", Tone.QUIET),), 3, (), right=True, icon=Icon.ARMED),
        )
    passed = clock(now - state.recording_since)
    return (Label((Part(passed, Tone.RECORD),), 2, right=True, icon=Icon.RECORD),)


def clock(seconds: float) -> str:
    """Write a time as 0:07, 12:34, 1:02:03."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _engine(state: State) -> tuple[Label, ...]:
    name = PurePosixPath(state.model.replace("\\", "/")).name.removesuffix(".safetensors")
    parts = [Part(word, Tone.QUIET) for word in (name, state.device) if word]
    return (Label(tuple(parts), rank=7, short=tuple(parts[-1:]), right=True),) if parts else ()


def _mode(state: State) -> tuple[Label, ...]:
    if not state.mode:
        return ()
    chosen = Part(state.mode, Tone.CHOSEN)
    tabs = tuple(chosen if mode == state.mode else Part(mode, Tone.QUIET) for mode in MODES)
    return (Label(tabs if chosen in tabs else (chosen,), rank=1, short=(chosen,)),)


def _controls(state: State) -> tuple[Label, ...]:
    labels = []
    for rank, (name, short) in enumerate(
        (("temperature", "temp"), ("spread", "spread"), ("timescale", "time")), start=3
    ):
        if (value := state.controls.get(name)) is not None:
            told = Part(f"×{value:.3g}" if name == "timescale" else f"{value:.2f}")
            long, brief = Part(name, Tone.QUIET), Part(short, Tone.QUIET)
            labels.append(Label((long, told), rank, (brief, told), right=True))
    return tuple(labels)


def _health(state: State, now: float) -> tuple[Label, ...]:
    parts = []
    if state.late_ms > LATE_MS:
        parts.append(Part(f"{state.late_ms:.0f} ms late", Tone.ALERT))
    if now - state.dropped_told < DROPS_SHOW:
        parts.append(Part(f"{state.dropped_new} dropped", Tone.ALERT))
    return (Label(tuple(parts), rank=2, right=True),) if parts else ()


def _notices(state: State, now: float) -> Parts:
    told = [Part(trouble, Tone.ALERT) for trouble in state.trouble if trouble]
    if now - state.restarted < NEWS:
        told.insert(0, Part("the engine was restarted" + _where(state.recording)))
    if now - state.word_told < WORD:
        told.append(Part(state.word))
    return tuple(told[:MOST_NOTICES])


def _where(recording: str) -> str:
    if not recording:
        return ""
    if recording in ("armed", "on"):
        return "; a new recording begins with the next touch" if recording == "armed" else ""
    return f"; recording to {PurePosixPath(recording.replace(chr(92), '/')).name}"


def fit(
    labels: Sequence[Label], *, left: int, right: int, gap: int,
    measure: Callable[[Label, Parts], int],
) -> list[Placed]:  # fmt: skip
    """Place labels between left and right (pixels), so that none touches another.

    First the least important are shortened, then left out; the last one left may
    still be too long, and is then left to the one who draws it to cut.
    """
    shown = {label: label.parts for label in labels}

    def too_long() -> bool:
        length = sum(measure(label, parts) for label, parts in shown.items())
        return length + gap * (len(shown) - 1) > right - left

    by_rank = sorted(labels, key=lambda label: -label.rank)
    for label in by_rank:
        if too_long() and label.short is not None:
            shown[label] = label.short
            if not label.short:
                del shown[label]
    for label in by_rank:
        if too_long() and label in shown and len(shown) > 1:
            del shown[label]
    placed = []
    for label, parts in shown.items():
        if not label.right:
            placed.append(Placed(label, parts, left))
            left += measure(label, parts) + gap
    for label, parts in reversed(shown.items()):
        if label.right:
            right -= measure(label, parts)
            placed.append(Placed(label, parts, max(left, right)))
            right -= gap
    return placed


def wrap(text: str, *, width: int, measure: Callable[[str], int], lines: int) -> list[str]:
    """Break text into at most so many lines of at most width pixels; cut what is over."""
    done: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if measure(longer) <= width or not line:
            line = longer
        else:
            done.append(line)
            line = word
    done.append(line)
    if len(done) > lines:
        done = [*done[: lines - 1], " ".join(done[lines - 1 :])]
    return [cut(line, width=width, measure=measure) for line in done if line]


def cut(text: str, *, width: int, measure: Callable[[str], int]) -> str:
    """Shorten text with an ellipsis until it is at most width pixels; '' if it cannot be."""
    if measure(text) <= width:
        return text
    while text and measure(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…" if text else ""
