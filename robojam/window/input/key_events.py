"""Events of the keyboard: the action of each, and the names of keys in the layout in use."""

from __future__ import annotations

import sys

import pygame

from robojam.window import sdl
from robojam.window.input.keys import ALTGR_CHARACTERS, LEFT_OF, POSITIONS, action_at

#: AltGr; on macOS, both option keys.
_ALTGR = pygame.KMOD_RALT | pygame.KMOD_MODE
if sys.platform == "darwin":
    _ALTGR |= pygame.KMOD_LALT
_MODIFIERS = pygame.KMOD_CTRL | pygame.KMOD_ALT | pygame.KMOD_META | pygame.KMOD_MODE
#: Positions by the code of a key on a US keyboard.
_US_POSITIONS: dict[int, int] = {
    getattr(pygame, name): getattr(pygame, f"KSCAN_{name[2:].upper()}")
    for name in dir(pygame)
    if name.startswith("K_") and hasattr(pygame, f"KSCAN_{name[2:].upper()}")
} | {pygame.K_QUOTE: POSITIONS["'"]}


def position_of(event: pygame.event.Event) -> int:
    """Return the position of the key of an event; 0 where it is not known.

    Screen keyboards and remote desktops may send keys without a position: they are taken
    for keys of a US keyboard.
    """
    return getattr(event, "scancode", 0) or _US_POSITIONS.get(event.key, 0)


def has_modifier(event: pygame.event.Event) -> bool:
    """Return whether ctrl, alt or command is pressed with a key."""
    return bool(event.mod & _MODIFIERS)


def action_of(event: pygame.event.Event, *, panel: str = "") -> str:
    """Return the action of a KEYDOWN event, or '' if it has none. panel is the open panel."""
    if event.mod & _ALTGR and event.unicode in ALTGR_CHARACTERS:
        return ALTGR_CHARACTERS[event.unicode]
    position, shift = position_of(event), bool(event.mod & pygame.KMOD_SHIFT)
    if not has_modifier(event):
        return action_at(position, shift=shift, panel=panel)
    if event.mod & (pygame.KMOD_ALT | pygame.KMOD_MODE):
        return ""  # of the desktop
    # Shortcuts of desktops go by letters; keyboards of other scripts, by position.
    letter = event.key if event.key < 128 else ord(" ")
    for key, modifiers, action in _SHORTCUTS:
        here = letter == ord(key) or (event.key >= 128 and position == POSITIONS[key])
        if here and event.mod & modifiers:
            return action
    return ""


_SHORTCUTS = (
    ("q", pygame.KMOD_CTRL | pygame.KMOD_META, "close_window"),
    ("f", pygame.KMOD_META, "fullscreen"),
    ("v", pygame.KMOD_CTRL | pygame.KMOD_META, "paste"),
)


def needs_altgr() -> bool:
    """Return whether the layout in use has no key of its own for one of ALTGR_CHARACTERS."""
    codes = {sdl.key_code(position) for position in range(4, 101)}
    return not codes.issuperset(map(ord, ALTGR_CHARACTERS))


def name_in_layout(key: str) -> str:
    """Return the name, in the layout in use, of a key with this name on a US keyboard.

    Needs an open display. A key without a name (a dead key) is described by its neighbour.
    """
    steps, neighbour = 0, key
    while True:
        if not (code := sdl.key_code(POSITIONS[neighbour])):
            return key
        name = pygame.key.name(code, use_compat=False)
        if name or neighbour not in LEFT_OF:
            break
        steps, neighbour = steps + 1, LEFT_OF[neighbour]
    if not name or len(key) > 1:
        return key  # enter, F11: they have the same name everywhere
    name = name.lower()
    return f"{'' if steps == 1 else f'{steps} '}right of {name}" if steps else name
