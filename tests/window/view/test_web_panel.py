"""Panel of the web pad: its QR code, read from the picture, and what its buttons send."""

import json
import sys
import time

import pygame
import pytest
from support.window import UTC_NOW, connected, press_key

from robojam.window.client.web_pad import WebPad, parse_web_pad
from robojam.window.view import qr_code
from robojam.window.view.web_panel import panel_of
from robojam.wire.osc import Message, decode

URL = "http://192.168.178.23:8080/?token=Zk3v9-xW_pQ2rT7u"
W = pygame.K_w


def report(app, **web):
    """Give the window the engine's status with this web pad."""
    status = Message("/robojam/status", "s", (json.dumps({"web": web}),))
    app.state.handle_message(status, time.monotonic(), UTC_NOW)


def sent(packets):
    messages = [decode(packet)[0][0] for packet in packets]
    return [m.args for m in messages if m.address == "/robojam/web"]


def texts(app):
    return [cell.text for row in panel_of(app.state).rows for cell in row]


def codes(screen):
    """Return the texts of the codes that a reader finds in a picture."""
    reader = pytest.importorskip("zxingcpp", reason="needs zxing-cpp to read a QR code")
    picture = pygame.surfarray.array3d(screen).swapaxes(0, 1).copy()
    return [code.text for code in reader.read_barcodes(picture)]


def test_key_starts_the_pad_and_opens_its_panel_and_closes_it_again(app):
    connected(app)
    assert sent(press_key(app, W, "w")) == [(1,)]
    assert app.state.view.panel == "web"
    assert sent(press_key(app, W, "w")) == []
    assert app.state.view.panel == ""


def test_key_shows_the_code_of_a_pad_that_is_on_and_does_not_start_it_again(app):
    connected(app)
    report(app, url=URL, connections=3)
    assert sent(press_key(app, W, "w")) == []
    assert "scan it, and play" in texts(app)
    app._update(time.monotonic() + 1)
    assert codes(app.screen) == [URL]


@pytest.mark.parametrize("theme", ["dark", "light", "stage"])
@pytest.mark.parametrize("size", [(1280, 800), (640, 400), (390, 700)])
@pytest.mark.parametrize("quarter_turns", [0, 1])
def test_code_is_read_from_windows_of_all_sizes_and_themes(app, theme, size, quarter_turns):
    app.screen = pygame.display.set_mode(size)
    state = connected(app)
    state.view.theme, state.view.quarter_turns, state.view.panel = theme, quarter_turns, "web"
    state.web = WebPad(URL, 1)
    app._update(time.monotonic() + 1)
    assert codes(app.screen) == [URL]


def test_button_ends_the_pad(app):
    connected(app).web = WebPad(URL)
    app._perform("web")
    before = len(app.connection.packets)
    (stop,) = (c for row in panel_of(app.state).rows for c in row if c.text == "no more phones")
    app._perform(stop.action)
    assert sent(app.connection.packets[before:]) == [(0,)]


def test_window_on_another_machine_starts_nothing_and_says_where_the_code_is(app):
    connected(app).remote = True
    assert sent(press_key(app, W, "w")) == []
    assert "own machine" in texts(app)[0]


def test_problem_of_the_pad_is_shown(app):
    connected(app).view.panel = "web"
    report(app, url="", problem="port 8080 is in use")
    assert texts(app)[0] == "port 8080 is in use"


def test_without_segno_the_address_is_shown_and_no_code(app, monkeypatch):
    monkeypatch.setitem(sys.modules, "segno", None)
    qr_code.qr_modules.cache_clear()
    connected(app).web = WebPad(URL)
    app._perform("web")
    app._update(time.monotonic() + 1)
    assert texts(app)[:2] == [URL, "open this address on a phone, and play"]
    qr_code.qr_modules.cache_clear()


@pytest.mark.parametrize(
    "web",
    [None, 7, [], {"url": 3}, {"url": "javascript:alert(1)"}, {"url": "http://x/" + "a" * 999},
     {"url": "http://x/\u202e"}, {"connections": -1}, {"connections": True}, {"problem": []}],
)  # fmt: skip
def test_garbage_in_the_status_is_a_pad_that_is_off(web):
    assert parse_web_pad(web) == WebPad()
