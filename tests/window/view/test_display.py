"""The window on real displays: size, scale, full screen, and keyboards of other layouts."""

from __future__ import annotations

import json
import shutil
import subprocess
import time

import pygame
import pytest
from support.display import display, wait_for, window_manager, window_program
from support.window import report_status

from robojam.touch import MEMORIES
from robojam.window.client.setup import parse_setup
from robojam.window.client.state import WindowState
from robojam.window.input.keys import POSITIONS
from robojam.window.view.display import size_for
from robojam.window.view.scene import Scene
from robojam.window.view.setup_panel import panel_of

missing = [tool for tool in ("Xvfb", "xdotool") if shutil.which(tool) is None]
needs_display = pytest.mark.skipif(bool(missing), reason=f"not here: {', '.join(missing)}")
needs_layouts = pytest.mark.skipif(
    shutil.which("setxkbmap") is None or shutil.which("xkbcomp") is None,
    reason="not here: setxkbmap or xkbcomp",
)


@pytest.mark.parametrize(
    ("desktop", "scale", "size"),
    [((1920, 1080), 1.0, (1280, 800)), ((3840, 2160), 2.0, (2560, 1600)),
     ((3840, 2160), 1.0, (2560, 1600)), ((1366, 768), 1.0, (1044, 652)),
     ((1920, 1080), 2.0, (1469, 918)), ((1080, 1920), 1.0, (800, 1280)), ((1, 1), 1.0, (1, 1))],
)  # fmt: skip
def test_new_window_suits_the_size_and_the_scale_of_the_display(desktop, scale, size):
    assert size_for(desktop, scale) == size
    assert all(side <= room for side, room in zip(size, desktop, strict=True))


@pytest.mark.peer
@needs_display
@pytest.mark.parametrize(
    ("screen", "dpi", "size"),
    [("3840x2160", "96", (2560, 1600)), ("1920x1080", "192", (1469, 918))],
)
def test_window_is_sized_by_a_real_display(screen, dpi, size):
    with display(screen, "-dpi", dpi) as environment, window_program(environment) as window:
        assert window.geometry()[2:] == size


@pytest.mark.peer
@needs_display
def test_size_that_is_given_is_exact_on_any_display():
    with (
        display("3840x2160", "-dpi", "192") as environment,
        window_program(environment, "--size", "641x399") as window,
    ):
        assert window.geometry()[2:] == (641, 399)


@pytest.mark.peer
@needs_display
def test_window_opens_at_a_place():
    with (
        display("800x600") as environment,
        window_program(environment, "--size", "500x300", "--place", "120,77") as window,
    ):
        wait_for(lambda: window.geometry() == (120, 77, 500, 300))


@pytest.mark.peer
@needs_display
@pytest.mark.parametrize("manager", ["", "openbox"])
@pytest.mark.parametrize("options", [[], ["--fullscreen"]], ids=["window", "full screen"])
def test_window_has_its_size_and_place_again_after_full_screen(manager, options):
    needed = [manager, "xprop"] if manager else []
    if missing_here := [tool for tool in needed if shutil.which(tool) is None]:
        pytest.skip(f"not here: {', '.join(missing_here)}")
    full = (0, 0, 1600, 1000)
    with (
        display("1600x1000") as environment,
        window_manager(environment, manager),
        window_program(environment, "--size", "640x400", *options) as window,
    ):
        if options:
            wait_for(lambda: window.geometry() == full)
            window.focus()
            window.keys("F11")
            wait_for(lambda: window.geometry()[2:] == (640, 400))
        window.focus()
        before = window.geometry()
        assert before[2:] == (640, 400)
        for _ in range(2):
            window.keys("F11")
            wait_for(lambda: window.geometry() == full)
            window.keys("F11")
            wait_for(lambda: window.geometry() == before)
        window.keys("F11")
        wait_for(lambda: window.geometry() == full)
        window.keys("Escape")
        wait_for(lambda: window.geometry() == before)


@pytest.mark.peer
@needs_display
@pytest.mark.usefixtures("fonts")
def test_real_wheel_turns_the_dial_under_the_pointer():
    state, scene = WindowState(), Scene()
    report_status(state, 1.0, temperature=1.0)
    scene.draw(pygame.Surface((640, 400)), state, 1.0)
    dial = next(box for box in scene.hit_boxes if box.dial == "temperature")
    x, y = pygame.Rect(dial.box).center
    with (
        display("800x500") as environment,
        window_program(environment, "--size", "640x400") as window,
    ):
        window.focus()
        window.report(temperature=1.0)
        window.keys("p")
        assert window.sent().address == "/robojam/pause"  # the status is handled, too
        left, top, _, _ = window.geometry()
        window.run("xdotool", "mousemove", str(left + x), str(top + y), "click", "4")
        message = window.sent()
    assert message.address == "/robojam/temperature"
    assert message.args[0] == pytest.approx(1.1, abs=0.01)


@pytest.mark.peer
@needs_display
@needs_layouts
@pytest.mark.usefixtures("fonts")
@pytest.mark.parametrize("layout", ["us", "de"])
def test_address_is_typed_on_a_real_keyboard(layout):
    report = {"chosen": {"osc-out": []}, "available": {}}

    def place_of(panel: str, action: str) -> tuple[int, int]:
        state, scene = WindowState(), Scene()
        report_status(state, 1.0, temperature=1.0)
        state.setup, state.view.panel = parse_setup(json.dumps(report)), panel
        scene.draw(pygame.Surface((640, 400)), state, 1.0, panel=panel_of(state, 0))
        return pygame.Rect(next(b for b in scene.hit_boxes if b.action == action).box).center

    with display("800x500") as environment:
        subprocess.run(["setxkbmap", layout], env=environment, check=True, timeout=60)
        with window_program(environment, "--size", "640x400") as window:
            window.focus()
            window.report(temperature=1.0)
            window.keys("d")
            assert window.sent().address == "/robojam/setup"
            window.send("/robojam/setup", "s", json.dumps(report))
            window.keys("p")
            while window.sent().address != "/robojam/pause":
                pass  # the answer is handled, too
            window.click(*place_of("setup", "setup-open:osc-out"))
            window.click(*place_of("setup:osc-out", "type-address"))
            # Slowly: xdotool changes the layout for what it lacks, and changes it back.
            window.run("xdotool", "type", "--delay", "80", "[::1]:9000/tuiox")
            window.keys("BackSpace", "Return")
            end = time.monotonic() + 60
            while (message := window.sent()).tags != "ss":  # it asks again and again
                assert time.monotonic() < end, "the address is not what was typed"
    assert message.args == ("osc-out", '["[::1]:9000/tuio"]')


@pytest.mark.peer
@needs_display
@needs_layouts
@pytest.mark.parametrize(
    ("layout", "altgr"), [("us", 0), ("de", 17), ("fr", 14), ("ru", 0), ("us dvorak", 0)]
)  # altgr: X's code of the key that types [ with AltGr
def test_keys_work_in_every_layout_and_with_caps_lock(layout, altgr):
    with display("800x500") as environment:
        name, _, variant = layout.partition(" ")
        subprocess.run(
            ["setxkbmap", name, "-variant", variant], env=environment, check=True, timeout=60
        )
        with window_program(environment, "--size", "640x400") as window:
            window.focus()
            window.report(threshold=0.5, memories=list(MEMORIES))
            window.keys(code_of("a"))
            message = window.sent()
            assert (message.address, message.args) == ("/robojam/recall", ("A",))
            window.keys("Caps_Lock")
            window.keys(code_of("a"))
            assert window.sent().address == "/robojam/recall"
            window.run("xdotool", "keydown", "50", "key", code_of("a"), "keyup", "50")
            assert window.sent().address == "/robojam/store"
            window.keys("Caps_Lock")
            if altgr:
                window.run("xdotool", "keydown", "108", "key", str(altgr), "keyup", "108")
                assert window.sent().address == "/robojam/threshold"
            window.keys(code_of("["))  # a dead key in France
            message = window.sent()
            assert message.address == "/robojam/threshold"
            assert message.args[0] < 0.5


def code_of(key: str) -> str:
    """Return X's code of the key with this name on a US keyboard."""
    codes = {"a": 38, "[": 34}
    assert set(codes) <= set(POSITIONS)
    return str(codes[key])
