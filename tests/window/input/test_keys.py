"""Keys and their actions."""

from __future__ import annotations

import pygame

from robojam.window.input.keys import HELP, action_for_key


def test_keys_with_ctrl_are_left_to_the_desktop():
    assert action_for_key(pygame.K_r, "r", pygame.KMOD_CTRL) == ""
    assert action_for_key(pygame.K_f, "f", pygame.KMOD_LMETA) == "fullscreen"
    assert action_for_key(pygame.K_f, "F", pygame.KMOD_LSHIFT) == "fullscreen"
    assert action_for_key(pygame.K_F11, "", 0) == "fullscreen"
    assert action_for_key(pygame.K_x, "x", 0) == ""


def test_help_lists_every_key():
    keys = " ".join(key for key, _ in HELP)
    for key in ("space", "1  2  3  4", "up / down", "right / left", "+ / -", "p", "r",
                "backspace", "esc", "f", "F11", "h", "q", "[ / ]", ", / .", "z", "tab",
                "t", "o"):  # fmt: skip
        assert key in keys
