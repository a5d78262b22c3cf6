"""The pad page in Chromium: touches, pens, keys, one switch, a bad network, garbage, sound."""

import json
import math
import re

import numpy as np
import pytest
from support.pad_server import PAGE

from robojam import music
from robojam.jam.events import ControlChanged, TouchPlayed
from robojam.sound.synth import Synth
from robojam.touch import Phase, Touch
from robojam.web.pad_sound import sound_tables
from robojam.window.client import strokes
from robojam.window.view.theme import DARK

MAX_BYTES = 150_000


def position(page, x, y, finger=0):
    """Return the point of a place on the surface (0..1), as `Page.touch` takes it."""
    return *page.evaluate(
        f"(() => {{ const s = pad.surface, [px, py] = s.pixels({x}, {y});"
        " return [s.box.left + px / s.ratio, s.box.top + py / s.ratio] })()"
    ), finger  # fmt: skip


def kinds(server, number=-1):
    """Return kind and finger of each touch of a connection."""
    return [(event[0], event[1]) for _, event in server.events(number)]


# -- files


def test_page_with_its_tables_is_at_most_150_kilobytes_and_all_local():
    files = {path.name: path.read_bytes() for path in PAGE.iterdir()}
    assert sum(map(len, files.values())) + len(sound_tables()) <= MAX_BYTES
    for name, data in files.items():
        if not name.endswith(".png"):
            hosts = set(re.findall(rb"https?://([\w.]+)", data)) - {b"www.w3.org"}
            assert not hosts, name


def test_trails_and_colours_are_those_of_the_window():
    text = (PAGE / "strokes.js").read_text("utf-8")
    for name in ("FADE", "GLARE", "AFTERGLOW", "RING", "HEAD", "MAX_POINTS", "SPEED_SMOOTHING"):
        value = getattr(strokes, name)
        assert float(re.search(rf"\b{name} = ([\d.]+)", text)[1]) == value, name
    style = (PAGE / "pad.css").read_text("utf-8").lower()
    for name in ("frame", "surface", "edge", "panel", "text", "muted", "alert"):
        colour = "#{:02x}{:02x}{:02x}".format(*getattr(DARK, name))
        assert f"--{name}: {colour}" in style
    listed = re.search(r"MACHINES = (\[.*\])", (PAGE / "surface.js").read_text("utf-8"))[1]
    machines = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in DARK.machines]
    assert json.loads(listed) == machines


def test_browser_finds_no_fault_in_the_manifest_nor_in_its_icons(pad):
    page = pad()
    manifest = page.call("Page.getAppManifest")
    assert manifest["errors"] == []
    for icon in json.loads(manifest["data"])["icons"]:
        if icon["type"] == "image/png":
            header = (PAGE / icon["src"]).read_bytes()[16:24]
            width, height = (int.from_bytes(header[i : i + 4], "big") for i in (0, 4))
            assert icon["sizes"] == f"{width}x{height}"


# -- fingers


def test_two_fingers_are_sent_apart_with_their_places_and_lifts(pad, server):
    page = pad()
    page.touch("touchStart", position(page, 0.25, 0.5, 0))
    page.touch("touchStart", position(page, 0.25, 0.5, 0), position(page, 0.75, 0.125, 1))
    page.touch("touchMove", position(page, 0.5, 0.5, 0), position(page, 0.75, 0.25, 1))
    page.touch("touchEnd")
    server.wait_for(lambda: len(server.events()) == 6)
    events = [event for _, event in server.events()]
    expected = {("d", 0): [0.25, 0.5], ("d", 1): [0.75, 0.125], ("m", 0): [0.5, 0.5],
                ("m", 1): [0.75, 0.25], ("u", 0): [], ("u", 1): []}  # fmt: skip
    assert [kind for kind, *_ in events] == list("ddmmuu")
    for kind, finger, *place in events:
        assert place == pytest.approx(expected.pop((kind, finger)), abs=0.003)
    times = [t for t, _ in server.events()]
    assert times == sorted(times)


def test_ten_fingers_land_and_lift(pad, server):
    page = pad()
    down = [position(page, 0.05 + 0.1 * n, 0.5, n) for n in range(10)]
    for n in range(10):
        page.touch("touchStart", *down[: n + 1])
    page.touch("touchEnd")
    server.wait_for(lambda: len(server.events()) == 20)
    assert kinds(server)[:10] == [("d", n) for n in range(10)]
    assert sorted(kinds(server)[10:]) == [("u", n) for n in range(10)]


def test_places_at_the_edges_are_all_the_way(pad, server):
    page = pad()
    left, top, right, bottom = page.evaluate(
        "(() => { const b = pad.surface.box; return [b.left, b.top, b.right, b.bottom] })()"
    )
    for x, y in ((left + 1, top + 1), (right - 2, bottom - 2)):
        page.touch("touchStart", (x, y, 0))
        page.touch("touchEnd")
    server.wait_for(lambda: len(server.events()) == 4)
    landed = [event[2:] for _, event in server.events() if event[0] == "d"]
    assert landed == [[0, 0], [1, 1]]


def test_moves_that_come_together_are_all_sent_in_the_order_of_time(pad, server):
    page = pad()
    places = [position(page, 0.1 + 0.02 * n, 0.3) for n in range(40)]
    page.touch("touchStart", places[0])
    # While the page is busy, the browser collects the moves and gives them as one event.
    busy = page.send(
        "Runtime.evaluate",
        expression="for (const end = performance.now() + 400; performance.now() < end;);",
    )
    moves = [
        page.send("Input.dispatchTouchEvent", type="touchMove",
                  touchPoints=[{"x": x, "y": y, "id": 0}])
        for x, y, _ in places[1:]
    ]  # fmt: skip
    for future in (busy, *moves):
        assert "error" not in future.result(30)
    page.touch("touchEnd")
    server.wait_for(lambda: kinds(server)[-1:] == [("u", 0)])
    times = [t for t, _ in server.events()]
    xs = [event[2] for _, event in server.events() if len(event) > 2]
    assert times == sorted(times)
    assert xs == sorted(xs)
    assert len(xs) == len(places)  # none is lost


def test_coalesced_events_are_each_sent_with_their_own_place(pad, server):
    page = pad()
    page.touch("touchStart", position(page, 0.1, 0.5))
    page.evaluate("""(() => {
      const { canvas, box } = pad.surface, [pointerId] = pad.input.fingers.keys();
      const at = (part) => ({
        pointerId, pointerType: "touch", bubbles: true,
        clientX: box.left + part * box.width, clientY: box.top + box.height / 2,
      });
      const move = (x, more) => new PointerEvent("pointermove", { ...at(x), ...more });
      canvas.dispatchEvent(move(0.5, { coalescedEvents: [0.3, 0.4, 0.5].map((x) => move(x)) }));
    })()""")
    server.wait_for(lambda: len(server.events()) == 4)
    xs = [event[2] for _, event in server.events()]
    assert xs == sorted(xs)
    assert len(set(xs)) == 4


def test_pen_sends_its_pressure_and_a_finger_none(pad, server):
    page = pad()
    x, y, _ = position(page, 0.5, 0.5)
    page.mouse("mousePressed", x, y, pointerType="pen", force=0.25)
    page.mouse("mouseReleased", x, y, pointerType="pen")
    page.touch("touchStart", (x, y, 0))
    page.touch("touchEnd")
    server.wait_for(lambda: len(server.events()) == 4)
    pen, _, finger, _ = (event for _, event in server.events())
    assert pen[4] == pytest.approx(0.25, abs=0.01)
    assert len(finger) == 4


@pytest.mark.parametrize(
    ("forces", "pressures"),
    [
        ((1.0, 1.0, 1.0), [None] * 3),
        ((0.5, 0.5, 0.5), [None] * 3),
        ((0.25, 0.75, 1.0), [0.25, 0.75, 1]),
    ],
)
def test_finger_sends_its_pressure_where_the_screen_measures_force(
    pad, server, forces, pressures
):
    page = pad()
    x, y, _ = position(page, 0.5, 0.5)
    for step, force in enumerate(forces):
        kind = "touchMove" if step else "touchStart"
        page.touch(kind, (x + 20 * step, y, 0), force=force)
    page.touch("touchEnd")
    server.wait_for(lambda: kinds(server)[-1:] == [("u", 0)])
    sent = [event[4] if len(event) > 4 else None for _, event in server.events()[:-1]]
    assert sent == pressures


def test_mouse_plays_with_its_first_button_alone(pad, server):
    page = pad()
    x, y, _ = position(page, 0.5, 0.5)
    for button in ("right", "left"):
        page.mouse("mousePressed", x, y, button=button)
        page.mouse("mouseMoved", x + 20, y, button=button, buttons=1)
        page.mouse("mouseReleased", x + 20, y, button=button)
    server.wait_for(lambda: kinds(server)[-1:] == [("u", 0)])
    assert [kind for kind, _ in kinds(server)] == ["d", "m", "u"]


@pytest.mark.parametrize("end", ["touchCancel", "hide", "leave"])
def test_fingers_lift_when_the_page_no_longer_has_them(pad, server, end):
    page = pad()
    page.touch("touchStart", position(page, 0.3, 0.3, 0))
    page.touch("touchStart", position(page, 0.3, 0.3, 0), position(page, 0.6, 0.6, 1))
    server.wait_for(lambda: len(server.events(0)) == 2)
    if end == "touchCancel":
        page.touch("touchCancel")
    elif end == "hide":
        page.hide()
    else:
        page.go("about:blank")
    server.wait_for(lambda: len(server.events(0)) == 4)
    assert sorted(kinds(server, 0)[2:]) == [("u", 0), ("u", 1)]


def test_playing_neither_scrolls_nor_zooms_nor_selects_nor_opens_a_menu(pad, server):
    page = pad()
    page.evaluate("window.menus = 0; addEventListener('contextmenu',"
                  " (e) => { menus += !e.defaultPrevented })")  # fmt: skip
    down = [position(page, 0.4, 0.2, 0), position(page, 0.6, 0.8, 1)]
    page.touch("touchStart", *down)
    for n in range(12):
        page.touch("touchMove", *((x + n, y + 15 * (n - 6), f) for x, y, f in down))
    page.touch("touchEnd")
    x, y, _ = position(page, 0.5, 0.5)
    page.mouse("mousePressed", x, y, button="right")
    page.mouse("mouseReleased", x, y, button="right")
    assert page.evaluate(
        "[scrollX, scrollY, visualViewport.scale, getSelection().toString(), menus]"
    ) == [0, 0, 1, "", 0]


# -- other players


def test_pads_see_each_other_and_the_machine_each_in_its_colour(pad, server):
    first, second = pad(), pad()
    first.touch("touchStart", position(first, 0.5, 0.5))
    server.send("f", [["ai", "d", 0, 0.2, 0.2]])
    second.wait_for("pad.strokes.held.size === 2")
    assert second.evaluate("[...pad.strokes.held.keys()].sort()") == ["ai 0", "web-0 0"]
    assert second.evaluate("pad.surface.colours.get('web-0')") == "#ffac28"
    first.go("about:blank")
    second.wait_for("[...pad.strokes.held.keys()].join() === 'ai 0'")


def test_finger_of_another_program_stays_when_the_players_of_pages_change(pad, server):
    page = pad()
    server.send("f", [["human2", "d", 0, 0.5, 0.5], ["web-77", "d", 0, 0.5, 0.5]])
    page.wait_for("pad.strokes.held.size === 2")
    server.send("players", [{"id": "web-0", "name": ""}])
    page.wait_for("pad.strokes.held.size === 1")
    assert page.evaluate("[...pad.strokes.held.keys()]") == ["human2 0"]


def test_picture_has_the_player_round_and_the_machine_blue(pad, server):
    page = pad(scale=2)
    page.touch("touchStart", position(page, 0.25, 0.5))
    server.send("f", [["ai", "d", 0, 0.75, 0.5]])
    page.wait_for("pad.strokes.held.size === 2")
    shown = """(async (x) => {
      for (let n = 0; n < 2; n += 1) await new Promise(requestAnimationFrame);
      const { context, radius } = pad.surface, [px, py] = pad.surface.pixels(x, 0.5);
      return [...context.getImageData(px - radius * 0.7, py, 1, 1).data].slice(0, 3);
    })"""
    own, machine = (page.evaluate(f"{shown}({x})") for x in (0.25, 0.75))
    assert own == pytest.approx([255, 172, 40], abs=3)
    assert machine == pytest.approx([74, 186, 255], abs=3)
    ratio = page.evaluate("pad.surface.canvas.width / pad.surface.box.width")
    assert ratio == pytest.approx(2, abs=0.01)


def test_canvas_rests_when_nothing_moves(pad):
    page = pad()
    page.wait_for("!pad.surface._frame")
    frames = page.evaluate("pad.surface.frames")
    page.evaluate(
        "(async () => { for (const _ of 'five!') await new Promise(requestAnimationFrame) })()"
    )
    assert page.evaluate("pad.surface.frames") == frames


def test_flood_of_touches_keeps_a_bounded_number_of_points(pad, server):
    page = pad()
    for n in range(60):
        moves = [[f"web-{n % 7}0", "m", n % 3, (i % 100) / 100, 0.5] for i in range(500)]
        server.send("f", moves)
    server.send("turn", "both")
    page.wait_for("document.body.dataset.turn === 'both'")
    assert page.evaluate("pad.strokes.count") <= strokes.MAX_POINTS
    page.wait_for("pad.strokes.visible.reduce((sum, s) => sum + s.points.length, 0) <= 6000")


def test_garbage_from_the_server_is_ignored(pad, server):
    page = pad()
    texts = ["", "null", "[]", "{", "7", '{"a": 1}', '["nonsense", 1]', '["link", "open"]',
             '["constructor"]', '["__proto__", {}]', '["f"]', '["f", 3]', '["f", [null]]',
             '["f", [["web-9", "d", 0, "0.5", 0.5], ["web-9", "d", 0, 5, 0.5]]]',
             '["f", [["web-9", "d", 1e99, 0.5, 0.5], ["web-9", "x", 0, 0.5, 0.5]]]',
             '["players", 3]', '["players", [null, 3, {"id": 4}]]', '["turn", "nobody"]',
             '["state", null]', '["welcome", 2, {}]', '["welcome", 1, null]']  # fmt: skip
    for text in texts:
        server.send_text(text)
    server.send_text(b"\xff\x00")
    server.send("f", [["ai", "d", 0, 0.5, 0.5]])
    page.wait_for("pad.strokes.held.has('ai 0')")
    assert page.evaluate("[...pad.strokes.held.keys()]") == ["ai 0"]
    assert page.evaluate("pad.socket.ignored") >= 12
    assert page.evaluate("pad.socket.isOpen")


def test_name_of_another_player_is_shown_as_text(pad, server):
    page = pad()
    page.tap("#settings-button")
    page.wait_for("document.querySelector('#settings').open")
    server.send("players", [{"id": "web-9", "name": "<img src=x onerror=alert(1)>"}])
    page.wait_for("document.querySelector('#players').textContent.includes('<img')")
    assert page.evaluate("document.querySelectorAll('#players img').length") == 0


# -- network


def test_pad_comes_back_when_its_connection_is_cut_and_a_held_finger_lands_again(pad, server):
    page = pad()
    page.touch("touchStart", position(page, 0.3, 0.5))
    server.wait_for(lambda: len(server.events()) == 1)
    server.drop_all()
    server.wait_for(lambda: len(server.received) == 2)
    page.wait_for("pad.socket.isOpen")
    page.touch("touchMove", position(page, 0.5, 0.5))
    server.wait_for(lambda: len(server.events(1)) >= 1)
    assert kinds(server, 1)[0] == ("d", 0)
    page.touch("touchEnd")
    server.wait_for(lambda: kinds(server, 1)[-1] == ("u", 0))


def test_pad_comes_back_when_the_server_does(pad, server):
    page = pad()
    server.stop()
    page.wait_for("document.body.dataset.link === 'lost'")
    page.wait_for("document.querySelector('#live').textContent.startsWith('reconnecting')")
    server.start()
    page.wait_for("document.body.dataset.link === 'open'")
    # Without a network, attempts are at most five seconds apart.
    assert page.evaluate("pad.socket.wait") <= 5000


def test_pad_without_a_network_says_so_and_comes_back_with_it(pad, server):
    page = pad()
    page.offline(True)
    page.wait_for("document.body.dataset.link === 'lost'")
    page.offline(False)
    page.wait_for("document.body.dataset.link === 'open'")
    assert len(server.received) == 2


def test_first_attempt_after_a_loss_is_within_a_second(pad, server):
    page = pad()
    page.evaluate(
        "(() => { const { socket } = pad; window.waits = []; const later = socket._later;"
        " socket._later = function () { waits.push(this.wait); later.call(this) } })()"
    )
    server.drop_all()
    server.wait_for(lambda: len(server.received) == 2)
    waits = page.evaluate("waits")
    assert waits
    assert waits[0] < 1000


def test_revoked_token_ends_the_attempts_and_says_what_to_do(pad, server):
    page = pad()
    server.token = "another"
    server.drop_all()
    page.wait_for("document.body.dataset.link === 'gone'")
    assert "Scan" in page.evaluate("document.querySelector('#notice').textContent")


def test_removed_player_is_told_and_does_not_come_back(pad, server):
    page = pad()
    server.drop_all(4403, "removed")
    page.wait_for("document.body.dataset.link === 'gone'")
    assert not page.evaluate("document.querySelector('#notice').hidden")
    assert page.evaluate("pad.socket.socket") is None


def test_page_without_a_token_asks_for_a_scan(browser, server):
    page = browser.open(f"http://127.0.0.1:{server.port}/pad/index.html")
    page.wait_for("document.querySelector('#notice').textContent.startsWith('Scan')")
    page.close()


def test_installed_pad_starts_with_the_token_of_the_last_scan(pad, server):
    page = pad()
    page.go(f"http://127.0.0.1:{server.port}/pad/index.html")
    page.wait_for("document.body.dataset.link === 'open'")


# -- without a finger


def key(page, name, *kinds):
    for kind in kinds or ("keyDown", "keyUp"):
        page.key(kind, name)


def test_keys_move_and_play(pad, server):
    page = pad()
    page.evaluate("pad.surface.canvas.focus()")
    key(page, "ArrowRight")
    key(page, " ", "keyDown")
    key(page, "ArrowUp")
    key(page, " ", "keyUp")
    server.wait_for(lambda: kinds(server)[-1:] == [("u", 0)])
    events = [event for _, event in server.events()]
    assert {event[0] for event in events[1:-1]} == {"m"}
    assert events[0][0] == "d"
    assert events[0][2] > 0.5
    assert events[0][3] == 0.5
    assert events[1][3] < 0.5


def test_tab_leads_from_the_pad_to_its_buttons_and_lifts_the_finger(pad, server):
    page = pad()
    page.evaluate("pad.surface.canvas.focus()")
    key(page, " ", "keyDown")
    page.evaluate("document.querySelector('#settings-button').focus()")
    server.wait_for(lambda: kinds(server) == [("d", 0), ("u", 0)])


@pytest.mark.parametrize("how", ["touch", "key"])
def test_one_switch_chooses_a_column_and_a_row_and_plays_while_it_is_held(pad, server, how):
    page = pad()
    page.tap("#settings-button")
    page.evaluate("(() => { const d = document.querySelector('#dwell'); d.value = 0.3;"
                  " d.oninput(); document.querySelector('#one-switch').click();"
                  " document.querySelector('#settings').close() })()")  # fmt: skip
    point = position(page, 0.9, 0.9)

    def press():
        page.touch("touchStart", point) if how == "touch" else key(page, " ", "keyDown")

    def release():
        page.touch("touchEnd") if how == "touch" else key(page, " ", "keyUp")

    page.wait_for("pad.input.scan.column === 3")
    press()
    release()
    assert page.evaluate("pad.input.scan.phase") == "y"
    column = page.evaluate("pad.input.scan.column")
    page.wait_for("pad.input.scan.row === 2")
    press()
    row = page.evaluate("pad.input.scan.row")
    server.wait_for(lambda: kinds(server) == [("d", 0)])
    _, _, x, y = server.events()[0][1]
    assert (x, y) == pytest.approx(((column + 0.5) / 12, (row + 0.5) / 6), abs=1e-4)
    release()
    server.wait_for(lambda: kinds(server) == [("d", 0), ("u", 0)])
    assert page.evaluate("pad.input.scan.phase") == "x"


def test_pointer_without_a_button_lands_where_it_rests_and_lifts_where_it_rests_again(
    pad, server
):
    page = pad()
    page.tap("#settings-button")
    page.evaluate("(() => { const d = document.querySelector('#dwell'); d.value = 0.3;"
                  " d.oninput(); document.querySelector('#one-switch').click();"
                  " document.querySelector('#resting').click();"
                  " document.querySelector('#settings').close() })()")  # fmt: skip
    assert page.evaluate("pad.input.scan") is None  # one way at a time

    def move(x, y):
        px, py, _ = position(page, x, y)
        page.mouse("mouseMoved", px, py, button="none", clickCount=0)

    move(0.3, 0.4)
    server.wait_for(lambda: kinds(server) == [("d", 0)])
    assert server.events()[0][1][2:4] == pytest.approx([0.3, 0.4], abs=0.01)
    assert page.evaluate("pad.input.rests.since") is None  # it rests on, and plays on
    move(0.5, 0.4)
    server.wait_for(lambda: kinds(server)[:2] == [("d", 0), ("m", 0)])
    server.wait_for(lambda: kinds(server)[-1] == ("u", 0))
    move(0.6, 0.6)
    server.wait_for(lambda: kinds(server)[-1] == ("d", 0))
    page.mouse("mouseMoved", 5, 5, button="none", clickCount=0)  # it leaves the pad
    server.wait_for(lambda: kinds(server)[-1] == ("u", 0))


def test_screen_reader_is_told_state_and_turn_and_every_control_has_a_name(pad, server):
    page = pad()
    page.wait_for("document.querySelector('#live').textContent === 'you can play'")
    server.send("turn", "machine")
    page.wait_for("document.querySelector('#live').textContent === 'robojam plays'")
    page.tap("#settings-button")
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = {"button", "textbox", "slider", "switch", "radio", "dialog", "application"}
    found = [node for node in nodes if node.get("role", {}).get("value") in named]
    assert len(found) > 8
    assert [node for node in found if not node.get("name", {}).get("value")] == []


def test_beat_glows_at_the_upper_edge_and_leaves_nothing(pad, server):
    page = pad()
    page.wait_for("document.querySelector('#live').textContent === 'you can play'")
    page.evaluate("""(() => {
      window.glows = [];
      document.querySelector("main").animate = (frames, { pseudoElement }) => {
        window.glows.push(`${pseudoElement} ${frames[0].opacity}`);
      };
    })()""")
    server.send("beat", 0, 4, 120.0)
    server.send("beat", 1, 4, 120.0)
    page.wait_for("window.glows.join() === '::before 1,::before 0.45'")
    server.send("beat", "0", 4, 120.0)
    server.send("beat", 1, 4, 0)
    page.wait_for("pad.socket.ignored === 2")
    shown = page.evaluate(
        "getComputedStyle(document.querySelector('main'), '::before').opacity"
    )
    assert shown == "0"


def test_text_has_enough_contrast(pad, server):
    page = pad()
    server.send("turn", "machine")
    page.wait_for("document.body.dataset.turn === 'machine'")
    page.evaluate("document.querySelector('#settings').showModal()")
    found = page.evaluate("""(() => {
      const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
      const light = (colour) => numbers(colour).slice(0, 3).map((v) => v / 255)
        .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const behind = (element) => {
        const colour = getComputedStyle(element).backgroundColor;
        return numbers(colour)[3] === 0 ? behind(element.parentElement) : colour;
      };
      const texts = [...document.body.querySelectorAll("*")].filter((element) =>
        element.getClientRects().length && [...element.childNodes].some(
          (node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim()));
      return texts.map((element) => {
        const [a, b] = [getComputedStyle(element).color, behind(element)].map(light);
        return [element.outerHTML, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
      });
    })()""")
    assert len(found) > 10
    assert [html for html, ratio in found if ratio < 4.5] == []


@pytest.mark.parametrize("reduced", [False, True])
def test_rings_open_unless_the_device_asks_for_less_motion(pad, server, reduced):
    page = pad()
    value = "reduce" if reduced else "no-preference"
    features = [{"name": "prefers-reduced-motion", "value": value}]
    page.call("Emulation.setEmulatedMedia", features=features)
    # A landing alone draws no line but that of its ring.
    page.evaluate("(() => { const { context } = pad.surface; window.lines = 0;"
                  " context.stroke = () => { lines += 1 } })()")  # fmt: skip
    page.evaluate("pad.surface.canvas.blur()")
    page.touch("touchStart", position(page, 0.5, 0.5))
    frames = page.evaluate("pad.surface.frames")
    page.wait_for(f"pad.surface.frames > {frames} + 3")
    assert page.evaluate("lines > 0") is not reduced


@pytest.mark.parametrize("size", [(320, 568), (390, 844), (844, 390), (1180, 820)])
def test_header_fits_on_every_screen(pad, server, size):
    page = pad(width=size[0], height=size[1])
    server.send("players", [{"id": "web-5", "name": "W" * 32}, {"id": "web-6", "name": ""}])
    server.send("turn", "human", "web-5")
    page.wait_for("document.querySelector('#turn').textContent.includes('WWW')")
    assert page.evaluate(
        "[...document.querySelectorAll('header *')].map((e) => [e, e.getBoundingClientRect()])"
        ".filter(([, box]) => box.right > innerWidth + 0.5 || box.left < 0)"
        ".map(([e]) => e.outerHTML)"
    ) == []  # fmt: skip


def test_host_sees_players_and_mutes_removes_and_locks(pad, server):
    server.role = "host"
    page = pad()
    server.send("players", [{"id": "web-7", "name": "Ada", "color": "#ff7048"}])
    page.tap("#settings-button")
    page.wait_for("document.querySelectorAll('#players button').length === 2")
    page.evaluate("[...document.querySelectorAll('#players button')].map((b) => b.click())")
    page.evaluate("document.querySelector('#lock').click()")
    page.evaluate("document.querySelector('#new-code').click()")
    server.wait_for(lambda: [m[1] for m in server.received[-1] if m[0] == "host"][2:])
    page.evaluate("document.querySelector('#new-code').click()")
    expected = [
        ["host", "mute", "web-7", True],
        ["host", "remove", "web-7"],
        ["host", "lock", True],
        ["host", "token"],  # at the second press
    ]
    server.wait_for(lambda: [m for m in server.received[-1] if m[0] == "host"] == expected)


def test_page_of_a_player_has_no_buttons_of_a_host(pad, server):
    page = pad()
    page.tap("#settings-button")
    page.wait_for("document.querySelector('#settings').open")
    assert page.evaluate("document.querySelector('#host-part').hidden")
    assert page.evaluate("document.querySelectorAll('#players button').length") == 0


def test_host_keeps_the_pad_with_a_new_token_when_the_page_is_loaded_again(pad, server):
    server.role = "host"
    page = pad()
    server.token = "another"
    server.send("token", server.token)
    page.wait_for("location.search === '?token=another'")
    page.call("Page.reload")
    server.wait_for(lambda: len(server.received) == 2)
    page.wait_for("document.body.dataset.link === 'open'")


def test_watcher_is_told_that_it_watches_and_its_fingers_lift(pad, server):
    page = pad()
    page.touch("touchStart", position(page, 0.5, 0.5))
    server.wait_for(lambda: kinds(server) == [("d", 0)])
    server.send("role", "watcher")
    page.wait_for("document.querySelector('#hint').textContent.startsWith('you watch')")
    page.wait_for("document.querySelector('#turn').textContent === 'people play'")
    assert not page.evaluate("document.querySelector('#hint').classList.contains('gone')")
    assert "You watch" in page.evaluate("pad.surface.canvas.ariaLabel")
    page.touch("touchEnd")
    page.touch("touchStart", position(page, 0.2, 0.2))
    page.touch("touchEnd")
    assert page.evaluate("[pad.input.fingers.size, pad.strokes.held.size]") == [0, 0]
    server.send("role", "player")
    page.wait_for("document.querySelector('#turn').textContent === 'you can play'")
    page.touch("touchStart", position(page, 0.4, 0.4))
    page.touch("touchEnd")
    server.wait_for(lambda: len(kinds(server)) > 2 and kinds(server)[-1] == ("u", 0))
    assert kinds(server)[-2:] == [("d", 0), ("u", 0)]
    assert len(server.events()) in (3, 4)


# -- sound


def test_sound_is_off_until_it_is_tapped(pad, server):
    page = pad()
    assert page.evaluate("pad.sound.context") is None
    page.tap("#sound")
    page.wait_for("pad.sound.tables && pad.sound.context.state === 'running'")
    page.touch("touchStart", position(page, 0.5, 0.5))
    page.wait_for("pad.sound.voices.size === 1")
    page.touch("touchEnd")
    page.wait_for("pad.sound.voices.size === 0")
    page.tap("#sound")
    page.wait_for("pad.sound.context.state === 'suspended'")


@pytest.mark.parametrize("scale", ["free", "chromatic", "major", "blues", "whole-tone"])
def test_pad_reads_instruments_ranges_and_scales_as_the_engine_does(pad, scale):
    page = pad()
    instruments = "human1=drums,human=strings,human3=chirp,ai=keys,ai2=drums"
    ranges = "36-84,human2=35.5-51,ai=60-67"
    places = [n / 97 for n in range(98)]
    for who in ("human", "human2", "human3", "ai", "ai2"):
        arguments = [who, instruments, ranges, scale, places]
        instrument, notes = page.evaluate(
            "(async (who, instruments, range, scale, places) => {"
            " const sound = await import('/pad/sound.js');"
            " const tables = await (await fetch('/pad/sound.json')).json();"
            " return [sound.instrumentOf(who, instruments),"
            " places.map((x) => sound.noteOf(who, x, { range, scale }, tables))]"
            f" }})(...{json.dumps(arguments)})"
        )
        pitches = music.range_of(who, ranges)
        expected = [pitches.quantised(pitches.pitch(x), scale, music.SOUND_KEY) for x in places]
        assert notes == pytest.approx(expected)
        assert instrument == music.instrument_of(who, instruments)


@pytest.mark.parametrize(
    "settings",
    [{"scale": "none"}, {"range": "x-y"}, {"range": ""}, {"instrument": "="}, {"scale": 3}],
)
def test_settings_that_cannot_be_read_keep_nobody_from_playing(pad, server, settings):
    page = pad()
    page.tap("#sound")
    page.wait_for("pad.sound.tables")
    server.send("state", settings | {"paused": True})
    page.wait_for("document.querySelector('#turn').textContent === 'paused'")
    page.touch("touchStart", position(page, 0.5, 0.5))
    page.touch("touchEnd")
    server.wait_for(lambda: kinds(server) == [("d", 0), ("u", 0)])


RENDER = """(async (x, y, instrument) => {
  const { Sound } = await import('/pad/sound.js');
  const context = new OfflineAudioContext(2, 48000, 48000), sound = new Sound();
  sound.volume = 1;
  sound.open(context);
  sound.who = 'all';
  sound.tables = await (await fetch('/pad/sound.json')).json();
  sound.settings = { instrument: 'human=' + instrument, range: '36-84', scale: 'major' };
  sound.touch('own', 'd', 0, x, y, 0, { player: 'human' });
  const audio = await context.startRendering();
  const [left, right] = [0, 1].map((n) => audio.getChannelData(n));
  return [...left].map((v, i) => Math.round((v + right[i]) * 1e5) / 1e5);
})"""


@pytest.mark.parametrize("instrument", music.INSTRUMENTS)
@pytest.mark.parametrize("x", [0.3, 0.62])
def test_pad_plays_the_pitch_and_about_the_level_of_the_engines_sound(pad, instrument, x):
    page = pad()
    heard = np.array(page.evaluate(f"{RENDER}({x}, 0.4, '{instrument}')"))
    synth = Synth(48_000)
    for name, value in (
        ("instrument", f"human={instrument}"),
        ("scale", "major"),
        ("volume", 1.0),
    ):
        synth.handle(ControlChanged(0.0, name, value), 0)
    synth.handle(TouchPlayed(0.0, Touch(x, 0.4, 0.0, Phase.DOWN), 0.0), 0)
    expected = np.concatenate([synth.render() for _ in range(250)]).sum(1)
    parts = slice(4800, 24_000)

    def spectrum(samples):
        return np.abs(np.fft.rfft(samples[parts] * np.hanning(24_000 - 4800), 1 << 18))

    peaks = [np.argmax(spectrum(s)) * 48_000 / (1 << 18) for s in (heard, expected)]
    assert 12 * abs(math.log2(peaks[0] / peaks[1])) < 0.15  # semitones
    levels = [math.sqrt(np.mean(s[:24_000] ** 2)) for s in (heard, expected)]
    assert 0.7 < levels[0] / levels[1] < 1.4
