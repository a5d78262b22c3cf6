"""The pad page in Chromium with a running engine: who hears whom, and who has gone."""

import os
import signal
import subprocess

import pytest
from support.browser import Page
from support.engine import MODEL
from support.web import serving_web

pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="no default model here")


@pytest.fixture
def opened(browser):
    """Return a function that opens a pad at an address, in a profile of its own."""
    pages = []

    def open_pad(url: str) -> Page:
        page = browser.open(url)
        pages.append(page)
        page.wait_for("document.body.dataset.link === 'open'")
        page.evaluate("import('/pad/pad.js').then((parts) => { window.pad = parts })")
        return page

    yield open_pad
    for page in pages:
        page.close()


def test_two_pads_play_with_the_machine_and_see_it_and_each_other(opened, tmp_path):
    with serving_web(tmp_path, "--threshold", "60", "--response", "0") as (engine, url):
        first, second = opened(url), opened(url)
        first.touch("touchStart", (100, 300, 0))
        second.touch("touchStart", (200, 500, 0))
        engine.out.ask(lambda status: status["fingers"] == 2 and status["web"]["players"] == 2)
        first.wait_for("[...pad.strokes.held.keys()].some((key) => key.startsWith('web-'))")
        second.wait_for("[...pad.strokes.held.keys()].some((key) => key.startsWith('web-'))")
        for page in (first, second):
            page.wait_for("pad.strokes.held.size >= 2")
            whose = page.evaluate("[...pad.strokes.held.keys()].map((key) => key.slice(0, 4))")
            assert sorted(whose) == ["own ", "web-"]  # nobody's twice, nor one's own
            page.wait_for("document.body.dataset.turn === 'human'")
        for page in (first, second):
            page.touch("touchEnd")
        engine.out.ask(lambda status: status["fingers"] == 0)
        engine.out.send("/robojam/answer")
        for page in (first, second):
            page.wait_for("document.body.dataset.turn === 'machine'")
            page.wait_for("pad.strokes.visible.some(({ who }) => who === 'ai')")
            assert page.evaluate("pad.socket.ignored") == 0
        assert engine.end() == 0


@pytest.mark.parametrize("end", ["close", "hide", "leave"])
def test_engine_holds_no_finger_of_a_page_that_nobody_sees(browser, opened, tmp_path, end):
    with serving_web(tmp_path, "--threshold", "60") as (engine, url):
        page = browser.open(url) if end == "close" else opened(url)
        page.wait_for("document.body.dataset.link === 'open'")
        page.touch("touchStart", (100, 300, 0))
        page.touch("touchStart", (100, 300, 0), (200, 500, 1))
        engine.out.ask(lambda status: status["fingers"] == 2)
        if end == "leave":
            page.go("about:blank")
        else:
            page.close() if end == "close" else page.hide()
        engine.out.ask(lambda status: status["fingers"] == 0)
        assert engine.end() == 0


def test_pad_sounds_with_the_scale_and_instrument_of_the_jam(opened, tmp_path):
    with serving_web(tmp_path, "--threshold", "60", "--scale", "blues") as (engine, url):
        page = opened(url)
        page.wait_for("pad.sound.settings.scale === 'blues'")
        page.tap("#sound")
        page.wait_for("pad.sound.tables")
        page.touch("touchStart", (200, 400, 0))
        page.wait_for("pad.sound.voices.size === 1")
        engine.out.send("/robojam/scale", "s", "major")
        page.wait_for("pad.sound.settings.scale === 'major'")
        page.touch("touchEnd")
        assert engine.end() == 0


def test_host_mutes_a_player_who_is_told_and_not_heard(opened, tmp_path):
    with serving_web(tmp_path, "--threshold", "60") as (engine, url):
        host, guest = opened(url), opened(url)
        host.wait_for("document.querySelector('#count').textContent === '2 here'")
        host.tap("#settings-button")
        host.wait_for("document.querySelectorAll('#players button').length === 2")
        host.tap("#players button")
        guest.wait_for("document.querySelector('#notice').textContent.includes('muted')")
        guest.touch("touchStart", (200, 400, 0))
        engine.out.ask(lambda status: status["dropped"].get("muted"))
        engine.out.ask(lambda status: status["fingers"] == 0)
        assert engine.end() == 0


def test_pads_come_back_when_the_web_process_is_killed(opened, tmp_path):
    with serving_web(tmp_path, "--threshold", "60") as (engine, url):
        page = opened(url)
        page.touch("touchStart", (200, 400, 0))
        engine.out.ask(lambda status: status["fingers"] == 1)
        listed = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(engine.process.pid)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        (process,) = (line for line in listed.stdout.splitlines() if "robojam.web" in line)
        os.kill(int(process.split()[0]), signal.SIGKILL)
        page.wait_for("document.body.dataset.link === 'lost'")
        page.wait_for("document.body.dataset.link === 'open'")
        page.touch("touchMove", (220, 420, 0))
        engine.out.ask(lambda status: status["fingers"] == 1)
        page.touch("touchEnd")
        engine.out.ask(lambda status: status["fingers"] == 0)
        assert engine.end() == 0


def test_pad_that_may_control_the_jam_sets_its_mode(opened, tmp_path):
    with serving_web(tmp_path, "--threshold", "60", "--web-control") as (engine, url):
        page = opened(url)
        page.tap("#settings-button")
        modes = "[...document.querySelectorAll('#modes button')]"
        page.wait_for(f"{modes}.some((b) => b.textContent === 'listen')")
        page.evaluate(f"{modes}.find((b) => b.textContent === 'listen').click()")
        engine.out.ask(lambda status: status["mode"] == "listen")
        page.wait_for(
            f"{modes}.find((b) => b.ariaPressed === 'true')?.textContent === 'listen'"
        )
        assert engine.end() == 0


def test_pads_that_may_not_control_the_jam_offer_no_modes(opened, tmp_path):
    with serving_web(tmp_path, "--threshold", "60") as (engine, url):
        page = opened(url)
        page.tap("#settings-button")
        page.wait_for("document.querySelector('#settings').open && pad.sound.settings.scale")
        assert page.evaluate("document.querySelector('#modes').hidden")
        assert engine.end() == 0
