"""Keys: by position, in every layout, and their names."""

from __future__ import annotations

from pathlib import Path

import pygame
import pytest
from support.window import key_event

from robojam.window.input.key_events import action_of, name_in_layout
from robojam.window.input.keys import KEYS, PLAYER_KEYS, POSITIONS, US_KEY_NAMES, action_at
from robojam.window.view.panels import HELP

#: The key right of P, as keyboards send it: a layout, its code, and what it types.
RIGHT_OF_P = [
    ("US", pygame.K_LEFTBRACKET, "["), ("German", ord("ü"), "ü"), ("French", 1073741824, ""),
    ("Dvorak", pygame.K_SLASH, "/"), ("Russian", ord("х"), "х"),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "key", "character"), RIGHT_OF_P)
def test_key_has_the_action_of_its_position_in_every_layout(layout, key, character):
    event = key_event(key, character, scancode=POSITIONS["["])
    assert action_of(event) == "step:threshold:-1"


@pytest.mark.parametrize("modifiers", [pygame.KMOD_RALT, pygame.KMOD_MODE,
                                       pygame.KMOD_RALT | pygame.KMOD_LCTRL])  # fmt: skip
def test_bracket_typed_with_altgr_works(modifiers):
    for character, sign in (("[", "-1"), ("]", "1")):
        event = key_event(pygame.K_8, character, modifiers, scancode=POSITIONS["8"])
        assert action_of(event) == f"step:threshold:{sign}"


def test_caps_lock_changes_nothing_and_shift_does():
    q = {"scancode": POSITIONS["a"]}  # where it is Q in France
    assert action_of(key_event(pygame.K_q, "q", **q)) == "recall:A"
    assert action_of(key_event(pygame.K_q, "Q", pygame.KMOD_CAPS, **q)) == "recall:A"
    shifted = pygame.KMOD_LSHIFT
    assert action_of(key_event(pygame.K_q, "Q", shifted, **q)) == "store:A"
    both = shifted | pygame.KMOD_CAPS
    assert action_of(key_event(pygame.K_q, "q", both, **q)) == "store:A"


@pytest.mark.parametrize("modifiers", [0, pygame.KMOD_NUM])
def test_keypad_chooses_modes_with_and_without_num_lock(modifiers):
    event = key_event(pygame.K_KP_2, "", modifiers, scancode=POSITIONS["keypad 2"])
    assert action_of(event) == "mode:duet"


def test_key_without_a_position_is_taken_for_a_key_of_a_us_keyboard():
    assert action_of(key_event(pygame.K_QUOTE, "'", scancode=0)) == "step:dwell:1"
    assert action_of(key_event(pygame.K_KP_PLUS, "+")) == "step:timescale:1"
    assert action_of(key_event(pygame.K_F6, "")) == ""


def test_keys_with_ctrl_or_alt_are_left_to_the_desktop():
    for modifier in (pygame.KMOD_LCTRL, pygame.KMOD_LALT, pygame.KMOD_RALT, pygame.KMOD_LMETA):
        assert action_of(key_event(pygame.K_r, "r", modifier)) == ""
    assert action_of(key_event(pygame.K_f, "f", pygame.KMOD_LMETA)) == "fullscreen"


@pytest.mark.parametrize("modifier", [pygame.KMOD_LCTRL, pygame.KMOD_LMETA])
def test_ctrl_q_closes_by_its_letter_or_by_its_place_in_another_script(modifier):
    french = key_event(pygame.K_q, "q", modifier, scancode=POSITIONS["a"])
    russian = key_event(ord("й"), "й", modifier, scancode=POSITIONS["q"])
    assert action_of(french) == action_of(russian) == "close_window"


def test_no_key_has_two_actions():
    for table in (KEYS, PLAYER_KEYS):
        names = [name for keys in table.values() for name in keys]
        assert len(names) == len(set(names))
    assert action_at(POSITIONS["space"], panel="player") == "play"
    assert action_at(POSITIONS["p"], panel="player") == "pause"


def test_help_shows_every_key():
    shown = {action for actions, _ in HELP for action in actions}
    dials = {action for action in KEYS if action.startswith("step:")}
    assert shown | dials == set(KEYS)


def test_documentation_names_every_key():
    text = (Path(__file__).parents[3] / "docs" / "window.md").read_text(encoding="utf-8")
    for keys in (*KEYS.values(), *PLAYER_KEYS.values()):
        key = keys[0]
        assert f"`{key}`" in text or key in ("left", "right", "up", "down", "home")


def test_key_names_are_those_of_the_layout(monkeypatch):
    codes = {"[": 1073741824, "p": pygame.K_p, "]": ord("$"), "a": pygame.K_q, ";": ord("m")}
    by_position = {POSITIONS[key]: code for key, code in codes.items()}
    monkeypatch.setattr("robojam.window.sdl.key_code", lambda position: by_position[position])
    pygame.display.init()
    try:
        names = [name_in_layout(key) for key in ("a", ";", "]", "[")]
    finally:
        pygame.quit()
    assert names == ["q", "m", "$", "right of p"]


def test_key_names_are_those_of_a_us_keyboard_where_sdl_is_not_found(monkeypatch):
    monkeypatch.setattr("robojam.window.sdl.key_code", lambda position: 0)
    assert name_in_layout("[") == "["
    assert US_KEY_NAMES["store:A"] == "shift a"
    assert US_KEY_NAMES["fullscreen"] == "F11"
