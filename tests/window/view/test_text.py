"""Text in any script: its order, its fonts and its shaping."""

from __future__ import annotations

import os

os.environ["SDL_VIDEODRIVER"] = "dummy"

import threading

import pygame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.window.client.state import WindowState
from robojam.window.view import text as text_module
from robojam.window.view.font_runs import FontRun, split_runs
from robojam.window.view.scene import Scene
from robojam.window.view.text import SystemFonts, TextRenderer

WHITE = (255, 255, 255)
HEBREW = "גשם"
ARABIC = "مطر"


@pytest.fixture(scope="module", autouse=True)
def fonts():
    pygame.display.init()
    pygame.font.init()
    yield
    pygame.quit()


def order(text: str) -> list[str]:
    """Return a text's runs from left to right; right-to-left runs are in <>."""
    parts: list[tuple[bool, str]] = []
    for run in split_runs(text, lambda char: None):
        if parts and parts[-1][0] == run.right_to_left:
            before = parts.pop()[1]
            joined = run.text + before if run.right_to_left else before + run.text
            parts.append((run.right_to_left, joined))
        else:
            parts.append((run.right_to_left, run.text))
    return [f"<{part}>" if right_to_left else part for right_to_left, part in parts]


@pytest.mark.parametrize(
    ("text", "visual"),
    [
        ("", []),
        ("rain 3.5", ["rain 3.5"]),
        (HEBREW, [f"<{HEBREW}>"]),
        (f"rain {HEBREW} night", ["rain ", f"<{HEBREW}>", " night"]),
        (f"{HEBREW} rain", ["rain", f"<{HEBREW} >"]),
        (f"{HEBREW} (2)!", ["<)!>", "2", f"<{HEBREW} (>"]),
        (f"{HEBREW} 3.5 {HEBREW}", [f"< {HEBREW}>", "3.5", f"<{HEBREW} >"]),
        (f"a {HEBREW} 7 {HEBREW} b", ["a ", f"< {HEBREW}>", "7", f"<{HEBREW} >", " b"]),
        (f"{HEBREW} a b {HEBREW}", [f"< {HEBREW}>", "a b", f"<{HEBREW} >"]),
        ("שָׁ!", ["<שָׁ!>"]),  # a letter with two marks
    ],
)
def test_runs_are_in_visual_order(text, visual):
    assert order(text) == visual


def test_runs_are_split_by_font_and_script_with_marks_and_spaces_left_together():
    fonts_of = {"雨": "cjk", "夜": "cjk"}
    runs = split_runs(f"é 雨 夜\u0301{ARABIC}", fonts_of.get)
    assert runs == [
        FontRun("é "),
        FontRun("雨 夜\u0301", "cjk"),
        FontRun(ARABIC, None, "Arab", right_to_left=True),
    ]


@given(st.text(st.sampled_from("aé雨 ,.(12" + HEBREW + ARABIC + "\u0301\u200d"), max_size=20))
def test_every_character_is_in_one_run(text):
    runs = split_runs(text, lambda char: None)
    assert sorted("".join(run.text for run in runs)) == sorted(text)


def drawn(renderer: TextRenderer, text: str, size: int = 24) -> bytes:
    """Return a text's pixels after its fonts are found; skip the test where no font has it."""
    screen = pygame.Surface((400, 80))
    renderer.write(screen, text, (10, 40), size, WHITE)
    if renderer.system_fonts.search is not None:
        renderer.system_fonts.search.join()
    for char, file in renderer.system_fonts.files.items():
        if file == "":
            pytest.skip(f"no font here has {char!a}")
    screen.fill((0, 0, 0))
    place = renderer.write(screen, text, (10, 40), size, WHITE)
    assert place.width == renderer.width(text, size)
    assert place.height == renderer.height(size)
    return pygame.image.tobytes(screen, "RGB")


@pytest.mark.parametrize("pair", ["雨雪", "かき", "비밤", "дж", "λφ", "שג", "طم"])
def test_characters_that_some_font_has_are_drawn_and_not_boxes(pair):
    renderer = TextRenderer()
    first, second = (drawn(renderer, char) for char in pair)
    assert first != second  # two boxes would be the same
    assert any(first)


def test_text_without_characters_of_its_own_font_stays_within_its_line_and_baseline():
    renderer = TextRenderer()
    screen = pygame.Surface((400, 80))
    places = []
    for text in ("rain", "rain雨rain"):
        drawn(renderer, text)
        places.append(renderer.write(screen, text, (10, 40), 24, WHITE))
    assert [(place.top, place.bottom) for place in places] == [
        (places[0].top, places[0].bottom)
    ] * 2


def test_arabic_letters_are_joined():
    renderer = TextRenderer()
    drawn(renderer, "ببب")
    if not text_module._shapes():
        pytest.skip("SDL_ttf has no HarfBuzz here")
    # Apart, each letter has a tail of its own: three are much wider than the word.
    assert renderer.width("ببب", 48) < 3 * renderer.width("ب", 48) * 0.8


def test_text_from_right_to_left_without_shaping_is_reversed(monkeypatch):
    renderer = TextRenderer()
    drawn(renderer, HEBREW)
    monkeypatch.setattr(text_module, "_shapes", lambda: False)
    assert text_module._visual(FontRun("שָׁג(", None, "Hebr", right_to_left=True)) == ")גשָׁ"
    assert any(drawn(TextRenderer(), HEBREW))


def test_search_for_fonts_does_not_stop_drawing_and_ends_in_a_new_frame(monkeypatch):
    find, drawn_once = SystemFonts._find, threading.Event()

    def find_later(fonts, chars):
        assert drawn_once.wait(60)
        find(fonts, chars)

    monkeypatch.setattr(SystemFonts, "_find", find_later)
    scene, screen, state = Scene(), pygame.display.set_mode((640, 400)), WindowState()
    scene.draw(screen, state, 10.0)
    assert not scene.is_animating(state, 10.0)
    state.notify("雨", 10.0)
    scene.draw(screen, state, 10.0)
    assert scene.text.incomplete
    assert scene.is_animating(state, 10.0)
    drawn_once.set()
    scene.text.system_fonts.search.join()
    scene.draw(screen, state, 10.1)
    assert not scene.text.incomplete
    assert not scene.is_animating(state, 10.1)


@pytest.mark.parametrize("char", ["\udcff", "\0", "\x1b", "\n"])
def test_character_that_cannot_be_drawn_is_replaced(char):
    renderer = TextRenderer()
    assert drawn(renderer, f"rain{char}雨") == drawn(renderer, "rain\ufffd雨")


def test_character_that_no_font_has_is_looked_for_once():
    renderer = TextRenderer()
    screen = pygame.Surface((400, 80))
    renderer.write(screen, "\U0010ffff", (10, 40), 24, WHITE)
    renderer.system_fonts.search.join()
    assert renderer.system_fonts.know("\U0010ffff")
    assert renderer.system_fonts.files["\U0010ffff"] == ""
