"""Keys of the window, and the action of each (see robojam.window.actions)."""

from __future__ import annotations

import pygame

#: Keys and their meaning, as the help panel shows them.
HELP: tuple[tuple[str, str], ...] = (
    ("mouse, fingers, pen", "play"),
    ("space", "pass the turn"),
    ("1  2  3  4", "call-response, duet, solo, listen"),
    ("up / down", "temperature"),
    ("right / left", "spread"),
    ("+ / -", "timescale"),
    ("[ / ]", "answers after"),
    (", / .", "answers for"),
    ("i  m  k", "your sound, the machine's, scale"),
    ("v / V", "quieter, louder"),
    ("z", "back ten seconds"),
    ("a  b / A  B", "recall / keep a memory"),
    ("p  backspace  esc", "pause, forget, panic"),
    ("r  s", "recording, sessions"),
    ("c  f", "controls, forecast"),
    ("t  o  F11", "theme, turn, full screen"),
    ("tab", "letters play"),
    ("h  q", "these keys, quit"),
)

_BY_KEY = {
    pygame.K_F1: "help", pygame.K_F11: "fullscreen", pygame.K_ESCAPE: "panic",
    pygame.K_SPACE: "answer", pygame.K_RETURN: "answer", pygame.K_KP_ENTER: "answer",
    pygame.K_BACKSPACE: "reset", pygame.K_DELETE: "reset", pygame.K_TAB: "typing",
    pygame.K_UP: "step:temperature:1", pygame.K_DOWN: "step:temperature:-1",
    pygame.K_RIGHT: "step:spread:1", pygame.K_LEFT: "step:spread:-1",
    pygame.K_KP_PLUS: "step:timescale:1", pygame.K_KP_MINUS: "step:timescale:-1",
    pygame.K_1: "mode:call-response", pygame.K_2: "mode:duet", pygame.K_3: "mode:solo",
    pygame.K_4: "mode:listen", pygame.K_KP_1: "mode:call-response", pygame.K_KP_2: "mode:duet",
    pygame.K_KP_3: "mode:solo", pygame.K_KP_4: "mode:listen",
}  # fmt: skip
_BY_CHARACTER = {
    "h": "help", "?": "help", "p": "pause", "r": "record", "f": "forecast", "q": "quit",
    "F": "fullscreen", "+": "step:timescale:1", "=": "step:timescale:1",
    "-": "step:timescale:-1", "[": "step:threshold:-1", "]": "step:threshold:1",
    ",": "step:response:-1", ".": "step:response:1", "z": "back:10", "s": "sessions",
    "i": "instrument:human", "m": "instrument:ai", "k": "scale", "v": "step:volume:-1",
    "V": "step:volume:1", "c": "controls", "t": "theme", "o": "turn",
    "a": "recall:A", "b": "recall:B", "A": "store:A", "B": "store:B",
}  # fmt: skip
#: Keys with another meaning while a recording is open.
_PLAYER_KEYS = {
    pygame.K_SPACE: "play", pygame.K_LEFT: "scrub:-1", pygame.K_RIGHT: "scrub:1",
    pygame.K_UP: "speed", pygame.K_DOWN: "speed:-1", pygame.K_HOME: "scrub:-1e9",
    pygame.K_RETURN: "again", pygame.K_l: "loop", pygame.K_n: "rename", pygame.K_e: "export",
}  # fmt: skip


def action_for_key(key: int, character: str, modifiers: int, *, panel: str = "") -> str:
    """Return the action of a key, or '' if it has none.

    character is what it types; modifiers is pygame's bit mask; panel is the open panel.
    """
    if modifiers & pygame.KMOD_META and key == pygame.K_f:
        return "fullscreen"
    if modifiers & pygame.KMOD_META and key == pygame.K_q:
        return "quit"
    if modifiers & (pygame.KMOD_CTRL | pygame.KMOD_ALT | pygame.KMOD_META):
        return ""
    if panel == "player" and key in _PLAYER_KEYS:
        return _PLAYER_KEYS[key]
    return _BY_KEY.get(key) or _BY_CHARACTER.get(character, "")
