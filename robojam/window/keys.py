"""Keys: which does what, and what it says to the engine.

What a key changes is shown when the engine tells of it, not before; only for the
next press is a step remembered until then, lest quick presses get lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pygame

from robojam.window.state import State

#: One OSC message to send: address, type tags, arguments.
Send = tuple[str, str, tuple[float | int | str, ...]]

#: What the help shows: the keys, and what they do.
HELP: tuple[tuple[str, str], ...] = (
    ("mouse, fingers", "play"),
    ("space", "pass the turn"),
    ("1  2  3  4", "call-response, duet, solo, listen"),
    ("up / down", "temperature"),
    ("right / left", "spread"),
    ("+ / -", "timescale"),
    ("p", "pause, go on"),
    ("r", "recording on, off"),
    ("backspace", "forget what was heard"),
    ("esc", "panic: lift everything"),
    ("f", "show what is expected"),
    ("F11", "full screen"),
    ("h", "these keys"),
    ("q", "quit"),
)

#: The lowest and the highest a control may be, by the contract.
RANGES = {"temperature": (0.0, 10.0), "spread": (0.0, 10.0), "timescale": (0.001, 100.0)}
#: A step that the engine has not told back after this long, in seconds, was lost.
FORGET = 0.5

_BY_KEY = {
    pygame.K_F1: "help", pygame.K_F11: "fullscreen", pygame.K_ESCAPE: "panic",
    pygame.K_SPACE: "answer", pygame.K_RETURN: "answer", pygame.K_KP_ENTER: "answer",
    pygame.K_BACKSPACE: "reset", pygame.K_DELETE: "reset",
    pygame.K_UP: "warmer", pygame.K_DOWN: "cooler",
    pygame.K_RIGHT: "wider", pygame.K_LEFT: "narrower",
    pygame.K_KP_PLUS: "slower", pygame.K_KP_MINUS: "faster",
    pygame.K_1: "call-response", pygame.K_2: "duet", pygame.K_3: "solo", pygame.K_4: "listen",
    pygame.K_KP_1: "call-response", pygame.K_KP_2: "duet", pygame.K_KP_3: "solo",
    pygame.K_KP_4: "listen",
}  # fmt: skip
_BY_LETTER = {
    "h": "help", "?": "help", "p": "pause", "r": "record", "f": "forecast", "q": "quit",
    "F": "fullscreen", "+": "slower", "=": "slower", "-": "faster",
}  # fmt: skip
_STEPS = {
    "warmer": ("temperature", 0.1), "cooler": ("temperature", -0.1),
    "wider": ("spread", 0.1), "narrower": ("spread", -0.1),
}  # fmt: skip
_FACTORS = {"slower": 1.1, "faster": 1 / 1.1}
_MODES = ("call-response", "duet", "solo", "listen")
#: Commands that a key held down says again and again.
REPEATING = frozenset([*_STEPS, *_FACTORS])


def command(key: int, letter: str, modifiers: int) -> str:
    """Name what a pressed key asks for; '' for nothing. letter is what it would type."""
    if modifiers & pygame.KMOD_META and key == pygame.K_f:
        return "fullscreen"
    if modifiers & pygame.KMOD_META and key == pygame.K_q:
        return "quit"
    if modifiers & (pygame.KMOD_CTRL | pygame.KMOD_ALT | pygame.KMOD_META):
        return ""
    return _BY_KEY.get(key) or _BY_LETTER.get(letter, "")


@dataclass(slots=True)
class Keys:
    """Turns commands into messages, by what the engine last told."""

    _asked: dict[str, tuple[float, float]] = field(default_factory=dict)

    def messages(self, name: str, state: State, now: float) -> list[Send]:
        """Return what a command says to the engine; nothing if it is for the window alone."""
        if name in ("answer", "reset", "panic"):
            return [(f"/robojam/{name}", "", ())]
        if name in _MODES:
            return [("/robojam/mode", "s", (name,))]
        if name == "pause":
            return [("/robojam/pause", "i", (0 if state.paused else 1,))]
        if name == "record":
            return [("/robojam/record", "i", (0 if state.recording else 1,))]
        if name in _STEPS:
            control, step = _STEPS[name]
            return self._set(control, state, now, step=step)
        if name in _FACTORS:
            return self._set("timescale", state, now, factor=_FACTORS[name])
        return []

    def _set(
        self, control: str, state: State, now: float, *, step: float = 0.0, factor: float = 1.0
    ) -> list[Send]:
        value = state.controls.get(control)
        asked, when = self._asked.get(control, (0.0, float("-inf")))
        if value is not None and now - when < FORGET:
            value = asked
        if value is None:
            return []  # the engine has not told what it is now
        low, high = RANGES[control]
        value = min(high, max(low, round(value * factor + step, 4)))
        if factor != 1.0 and abs(value - 1) < 0.04:
            value = 1.0  # there and back again is there
        self._asked[control] = (value, now)
        return [(f"/robojam/{control}", "f", (value,))]
