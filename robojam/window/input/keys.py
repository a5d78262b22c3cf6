"""Keys of the window: their positions, and the action of each. Pure.

A key is known by its position on the keyboard, and written here as on a US keyboard. So its
action does not depend on the layout of the keyboard, Caps Lock or Num Lock. The user is shown
its name in the layout in use (robojam.window.input.key_events). robojam.window.actions has
the actions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: Position of each key (SDL scancode), by its name on a US keyboard.
POSITIONS: Final[dict[str, int]] = {
    **{letter: 4 + i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz1234567890")},
    "enter": 40, "esc": 41, "backspace": 42, "tab": 43, "space": 44, "-": 45, "=": 46,
    "[": 47, "]": 48, ";": 51, "'": 52, ",": 54, ".": 55, "F1": 58, "F11": 68, "home": 74,
    "delete": 76, "right": 79, "left": 80, "down": 81, "up": 82, "keypad -": 86,
    "keypad +": 87, "keypad enter": 88, "keypad 1": 89, "keypad 2": 90, "keypad 3": 91,
    "keypad 4": 92, "keypad 5": 93, "keypad 0": 98,
}  # fmt: skip
#: The key to the left of a key, for layouts in which the key itself has no name.
LEFT_OF: Final = {
    "-": "0",
    "=": "-",
    "[": "p",
    "]": "[",
    ";": "l",
    "'": ";",
    ",": "m",
    ".": ",",
}

#: Keys of each action; the user is shown the first.
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "answer": ("space", "enter", "keypad enter"),
    "mode:call-response": ("1", "keypad 1"), "mode:duet": ("2", "keypad 2"),
    "mode:solo": ("3", "keypad 3"), "mode:listen": ("4", "keypad 4"),
    "mode:ensemble": ("5", "keypad 5"),
    "panic": ("0", "keypad 0"), "pause": ("p",), "reset": ("backspace",),
    "back:10": ("z",), "store:A": ("shift a",), "recall:A": ("a",), "store:B": ("shift b",),
    "recall:B": ("b",), "undo_store": ("u",),
    "step:temperature:-1": ("down",), "step:temperature:1": ("up",),
    "step:spread:-1": ("left",), "step:spread:1": ("right",),
    "step:timescale:-1": ("-", "keypad -"), "step:timescale:1": ("=", "keypad +"),
    "step:threshold:-1": ("[",), "step:threshold:1": ("]",),
    "step:response:-1": (",",), "step:response:1": (".",),
    "step:follow:-1": ("x",), "step:follow:1": ("shift x",),
    "step:memory:-1": ("e",), "step:memory:1": ("shift e",),
    "step:dwell:-1": (";",), "step:dwell:1": ("'",),
    "step:volume:-1": ("v",), "step:volume:1": ("shift v",),
    "tap": ("l",), "downbeat": ("shift l",), "clock": ("shift c",), "quantum": ("8",),
    "grid": ("9",),
    "step:tempo:-1": ("j",), "step:tempo:1": ("shift j",),
    "step:swing:-1": ("y",), "step:swing:1": ("shift y",),
    "step:lean:-1": ("n",), "step:lean:1": ("shift n",),
    "step:bars:-1": ("6",), "step:bars:1": ("shift 6",),
    "step:metronome:-1": ("7",), "step:metronome:1": ("shift 7",),
    "step:morph:-1": ("shift ,",), "step:morph:1": ("shift .",),
    "instrument:human": ("i",), "instrument:ai": ("m",), "scale": ("k",), "range": ("g",),
    "record": ("r",), "sessions": ("s",), "controls": ("c",), "setup": ("d",), "web": ("w",),
    "map": ("shift m",),
    "help": ("h", "F1"), "health": ("shift h",), "forecast": ("f",), "theme": ("t",),
    "turn": ("o",), "fullscreen": ("F11", "shift f"), "typing": ("tab",), "escape": ("esc",),
    "quit": ("q",),
}  # fmt: skip
#: Keys with another meaning while a recording is open.
PLAYER_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "play": ("space",), "scrub:-1": ("left",), "scrub:1": ("right",), "scrub:-1e9": ("home",),
    "speed": ("up",), "speed:-1": ("down",), "again": ("enter", "keypad enter"),
    "loop": ("l",), "rename": ("n",), "export": ("e",), "delete": ("delete",),
}  # fmt: skip
#: Characters that some layouts type with AltGr: they do what they do on a US keyboard.
ALTGR_CHARACTERS: Final = {"[": "step:threshold:-1", "]": "step:threshold:1"}


def _by_position(keys: dict[str, tuple[str, ...]]) -> dict[tuple[int, bool], str]:
    """Return the actions by position and shift; without one of its own, shift does nothing."""
    plain: dict[tuple[int, bool], str] = {}
    shifted: dict[tuple[int, bool], str] = {}
    for action, names in keys.items():
        for name in names:
            position = POSITIONS[name.removeprefix("shift ")]
            if name.startswith("shift "):
                shifted[position, True] = action
            else:
                plain |= {(position, False): action, (position, True): action}
    return plain | shifted


_ACTIONS: Final = _by_position(KEYS)
_PLAYER_ACTIONS: Final = _by_position(PLAYER_KEYS)


def action_at(position: int, *, shift: bool = False, panel: str = "") -> str:
    """Return the action of the key at a position, or '' if it has none.

    shift: it is pressed too; panel is the name of the open panel.
    """
    key = position, shift
    return (_PLAYER_ACTIONS.get(key) if panel == "player" else "") or _ACTIONS.get(key, "")


def key_names(name_at: Callable[[str], str]) -> dict[str, str]:
    """Return the name of the first key of each action.

    name_at returns the name, in the layout in use, of a key with a name on a US keyboard.
    """
    names = {}
    for action, keys in (PLAYER_KEYS | KEYS).items():
        shift, _, key = keys[0].rpartition(" ")
        names[action] = f"{shift} {name_at(key)}".strip()
    return names


#: Name of each action's key on a US keyboard.
US_KEY_NAMES: Final = key_names(str)
