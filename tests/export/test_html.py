"""The page that plays a recording: its file, and what a browser shows and plays of it."""

import base64
import json
import re
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support import EXAMPLES
from support.browser import Browser
from support.commands import refusal, run
from support.recordings import HEADER

from robojam.export import html, rice, wav
from robojam.music import PitchRange
from robojam.sessions import strokes
from robojam.sessions.library import annotate
from robojam.sessions.playback import turns
from robojam.sessions.session import (
    EndEvent,
    Session,
    SetEvent,
    TouchEvent,
    encode,
    encode_header,
    read,
)
from robojam.touch import Phase, Touch
from robojam.window.client.strokes import LEVELS, level
from robojam.window.view.theme import DARK

RATE = 48_000
NASTY = "</script><script>window.stolen = 1</script>{{data}} \"'&<b>שלום"

peer = pytest.mark.peer


def touch(t, phase, who="human", x=0.5, y=0.5, dt=0.1, finger=0, pressure=None):
    return TouchEvent(t, Touch(x, y, dt, Phase(phase), finger, who, pressure))


def session(*events, **options):
    return Session(replace(HEADER, options={"mode": "call-response", **options}), events)


def slide(who, begin, seconds, *, x=0.5, wide=0.2, finger=0, pressure=None):
    """Return a stroke of 60 touches a second, back and forth."""
    n = round(seconds * 60)
    at = [
        (begin + i / 60, x + wide * np.sin(i / 9), 0.5 + 0.3 * np.cos(i / 7)) for i in range(n)
    ]
    phases = ["down"] + ["move"] * (n - 1)
    landed = [
        touch(t, phase, who, float(px), float(py), 1 / 60 if i else 0.0, finger, pressure)
        for i, ((t, px, py), phase) in enumerate(zip(at, phases, strict=True))
    ]
    return [*landed, touch(begin + seconds, "up", who, at[-1][1], at[-1][2], finger=finger)]


def jam(*parts, **options):
    events = sorted((e for part in parts for e in part), key=lambda event: event.t)
    return session(*events, EndEvent(events[-1].t + 0.5, "quit"), **options)


#: Players and fingers at once, changes of the sound, a pause, pressure, and a finger left down.
CROWD = jam(
    slide("human", 0.0, 1.5, x=0.3),
    slide("human", 0.5, 1.5, x=0.7, finger=70_000),
    slide("human2", 0.7, 1.0, x=0.4, pressure=0.6),
    slide("ai", 2.2, 1.5),
    slide("ai2", 2.4, 0.8, x=0.2)[:-1],
    [
        SetEvent(0.6, {"instrument": "human1=chirp,human2=chirp"}),
        SetEvent(1.0, {"instrument": "keys", "volume": 0.5}),
        SetEvent(2.6, {"scale": "minor"}),
    ],
    [SetEvent(2.8, {"range": "48-72,ai2=30-50"}), SetEvent(5.0, {"mode": "solo"})],
    slide("human", 4.0, 0.5),
)


def data_of(page):
    """Return the data of a page."""
    return json.loads(re.search(r'id="recording">(.*?)</script>', page, re.DOTALL)[1])


# -- the file ---------------------------------------------------------------------------------


def test_command_writes_a_page_for_each_recording(tmp_path, capsys):
    assert run(capsys, "export", EXAMPLES[0], "--to", tmp_path / "jam.html")[0] == 0
    assert run(capsys, "export", *EXAMPLES, "--to", tmp_path / "all.HTML")[0] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "all-1.HTML",
        "all-2.HTML",
        "jam.html",
    ]
    assert (tmp_path / "jam.html").stat().st_size < 100_000


def test_page_names_nothing_outside_itself():
    page = html.page(read(EXAMPLES[0]))
    assert not re.findall(r"https?:|//\w+\.\w|\bsrc=|\bhref=|url\(|@import|\bimport\b", page)


def test_page_of_a_broken_recording_has_what_is_left(tmp_path, capsys):
    broken = tmp_path / "broken.jsonl"
    lines = EXAMPLES[0].read_bytes().splitlines(keepends=True)
    broken.write_bytes(b"".join([*lines[:50], b'{"t":"x"}\n', *lines[50:90], lines[90][:20]]))
    status, _, err = run(capsys, "export", broken, "--to", tmp_path / "jam.html")
    assert status == 0
    assert "line 51" in err
    data = data_of((tmp_path / "jam.html").read_text("utf-8"))
    assert data["columns"]["dts"][0] == sum(read(broken).summary().touches.values())
    assert "line 51" in refusal(
        capsys, "export", broken, "--to", tmp_path / "strict.html", "--strict"
    )
    assert not (tmp_path / "strict.html").exists()


def test_recording_that_no_browser_holds_is_refused_before_there_is_a_file(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(html, "MAX_TOUCHES", 1000)
    message = refusal(capsys, "export", EXAMPLES[1], "--to", tmp_path / "jam.html")
    assert "touches, and a page holds 1,000: export a player of it (--who)" in message
    assert (
        run(capsys, "export", EXAMPLES[1], "--to", tmp_path / "jam.html", "--who", "ai")[0] == 0
    )


def test_large_page_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(html, "LARGE", 1000)
    status, _, err = run(capsys, "export", EXAMPLES[0], "--to", tmp_path / "jam.html")
    assert (status, err.count("\n")) == (0, 1)
    assert "jam.html has 0.1 MB: a phone may take seconds to open it" in err


def test_recording_with_a_control_that_is_not_allowed_is_refused():
    with pytest.raises(ValueError, match="line 2: "):
        html.page(session(SetEvent(0.0, {"volume": 7.0}), *slide("human", 0, 1)))


def write_with_names_from_outside(tmp_path, capsys):
    """Export a recording whose name and model would end the page's data, if they could."""
    model = replace(HEADER.model, file=NASTY + ".safetensors")
    path = tmp_path / "jam.jsonl"
    head = encode_header(replace(HEADER, model=model))
    path.write_bytes(head + b"".join(map(encode, slide("human", 0.0, 1.0))))
    annotate(path, name=NASTY)
    assert run(capsys, "export", path, "--to", tmp_path / "jam.html")[0] == 0
    return tmp_path / "jam.html"


def test_names_from_outside_begin_and_end_no_element(tmp_path, capsys):
    page = write_with_names_from_outside(tmp_path, capsys).read_text("utf-8")
    assert page.lower().count("</script>") == page.lower().count("<script") == 2
    assert "<b>" not in page


@given(st.text())
def test_any_name_makes_one_page(name):
    page = html.page(session(*slide("human", 0.0, 0.1)), name=name)
    assert page.lower().count("<script") == page.lower().count("</script>") == 2
    page.encode()


def test_changes_of_the_sound_are_as_long_as_what_changes():
    everybody = ",".join(f"human{n}=keys" for n in range(2, 100))
    changes = [SetEvent(0.1, {"instrument": everybody})]
    for n in range(500):
        name = ("chirp", "drums")[n % 2]
        changes.append(SetEvent(0.2, {"instrument": f"human7={name}", "volume": n / 500}))
    changes += [SetEvent(0.3, {"instrument": "human1=keys"}), SetEvent(0.4, {"mode": "duet"})]
    changes.append(SetEvent(0.5, {"instrument": "strings", "range": "36-84"}))
    data = data_of(html.page(jam(slide("human", 0.0, 1.0), changes)))
    at = [change for _, change in data["changes"]]
    assert len(json.dumps(at[1])) > 1500 > 100 > max(len(json.dumps(c)) for c in at[2:])
    assert at[2] == {"instrument": {"human7": "chirp"}}
    assert at[-2:] == [{"instrument": {"human1": "keys"}}, {"instrument": {"human1": None}}]


def test_recording_of_many_fingers_and_players_is_written_in_little_time():
    hostile = [touch(n * 1e-5, "down", f"human{2 + n % 9000}", finger=n) for n in range(40_000)]
    data = data_of(html.page(session(*hostile, EndEvent(1.0, "quit"))))
    assert data["columns"]["strokes"][0] == 40_000


# -- the browser ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Open a session as a page in a browser; the browser and its pages are one module's."""
    folder = tmp_path_factory.mktemp("pages")
    with closing(Browser(folder / "profile")) as browser:
        shown = browser.open()

        def opened(played, *, size=(1180, 820)):
            html.write(played, folder / "jam.html")
            shown.resize(*size, mobile=False)
            shown.go((folder / "jam.html").as_uri())
            return shown

        yield opened


def seen_strokes(page):
    """Return the strokes that a page has decoded: player, touches [n, 5], lifted."""
    script = """(() => {
        const r = page.recording;
        return Array.from(r.byLanding, (s) => {
            const rows = [];
            for (let i = r.first[s]; i < r.first[s + 1]; i++)
                rows.push([r.t[i], r.x[i], r.y[i], r.dt[i], r.pressure[i]]);
            return [r.players[r.player[s]].who, rows, r.lifted[s]];
        });
    })()"""
    return [(who, np.array(rows), lifted) for who, rows, lifted in page.evaluate(script)]


def recorded_strokes(played):
    """Return the strokes of a session in the same form, from the events of its sound."""
    down, landed = {}, []
    for event in wav.events(played):
        if not hasattr(event, "touch"):
            continue
        finger = event.touch.who, event.touch.id
        if event.touch.phase is Phase.DOWN:
            down[finger] = [event.touch.who, [], None]
            landed.append(down[finger])
        if event.touch.phase is Phase.UP:
            down[finger][2] = event.t
            continue
        pressure = -1 if event.touch.pressure is None else event.touch.pressure
        down[finger][1].append((event.t, event.touch.x, event.touch.y, event.dt, pressure))
    return [(who, np.array(rows), lifted) for who, rows, lifted in landed]


@pytest.mark.parametrize("played", [*map(read, EXAMPLES), CROWD], ids=["duet", "call", "crowd"])
class TestRecording:
    pytestmark = peer

    def test_page_decodes_every_stroke(self, pages, played):
        page = pages(played)
        seen, recorded = seen_strokes(page), recorded_strokes(played)
        assert [who for who, _, _ in seen] == [who for who, _, _ in recorded]
        assert sum(len(rows) for _, rows, _ in seen) == sum(played.summary().touches.values())
        # Half a step; a time is a step later where touches came in another order than tracks.
        off = np.array([1.5 / html.SECOND] + [0.5 / html.STEPS] * 2 + [1 / html.SECOND, 1e-4])
        for (_, got, lifted), (_, rows, up) in zip(seen, recorded, strict=True):
            assert np.all(np.abs(got - rows) < off + 1e-6)
            assert lifted == pytest.approx(up, abs=off[0])
        assert page.complaints() == []

    def test_page_knows_whose_turn_it_is(self, pages, played):
        page = pages(played)
        events = list(strokes.walk(played))
        whose = turns(events, played.header.options["mode"])
        # Between events, further apart than the page's step.
        for event, after, turn in list(zip(events, events[1:], whose, strict=False))[::7]:
            if after.t - event.t > 0.001:
                assert page.evaluate(f"page.recording.turnAt({event.t + 0.0005})") == turn

    def test_page_sounds_as_the_wav_file(self, pages, played):
        page = pages(played)
        seconds = min(6.0, played.duration)
        ours = rendered(page, seconds)
        # Else the phases of long notes would differ, by some hundredths of a cent of pitch.
        theirs = np.concatenate(list(wav.render(in_steps(played), rate=RATE)))[: len(ours)]
        # The noise of strings has other random phases; all else is the same.
        error = np.sqrt(np.mean((ours[: len(theirs)] - theirs) ** 2) / np.mean(theirs**2))
        assert error < 0.08

    def test_sound_after_a_seek_is_that_of_playing_there(self, pages, played):
        page = pages(played)
        whole = rendered(page, 5.0)
        part = rendered(page, 1.0, start=3.0)
        there = whole[3 * RATE : 4 * RATE]
        # Noise and reverb of long ago differ.
        assert np.sqrt(np.mean((part - there) ** 2) / np.mean(there**2)) < 0.1
        np.testing.assert_allclose(energy(part), energy(there), rtol=0.1, atol=1e-3)


def in_steps(played):
    """Return a session with its touches in the steps of a page."""

    def rounded(event):
        if not isinstance(event, TouchEvent):
            return event
        one = event.touch
        x, y = (round(at * html.STEPS) / html.STEPS for at in (one.x, one.y))
        t, dt = (round(at * html.SECOND) / html.SECOND for at in (event.t, one.dt))
        return TouchEvent(t, replace(one, x=x, y=y, dt=dt))

    return Session(played.header, tuple(map(rounded, played.events)))


def energy(samples):
    """Return the RMS of each tenth of a second."""
    return np.sqrt(np.mean(samples.reshape(10, -1) ** 2, axis=1))


def rendered(page, seconds, *, start=0.0, speed=1.0):
    """Return what a page renders in an offline context: float32 [frames, 2]."""
    script = f"""(async () => {{
        const context = new OfflineAudioContext(2, {round((seconds + 0.1) * RATE)}, {RATE});
        const sound = new Sound(page.recording, context);
        sound.start({start}, {speed});
        const begin = Math.round(sound.begin * {RATE});
        sound.schedule({seconds + 1});
        const buffer = await context.startRendering();
        const bytes = [0, 1].map((n) => new Uint8Array(
            buffer.getChannelData(n).slice(begin, begin + {round(seconds * RATE)}).buffer));
        return bytes.map((b) => {{
            let text = "";
            for (let i = 0; i < b.length; i += 8192)
                text += String.fromCharCode(...b.subarray(i, i + 8192));
            return btoa(text);
        }});
    }})()"""
    channels = [np.frombuffer(base64.b64decode(text), "<f4") for text in page.evaluate(script)]
    return np.stack(channels, axis=1)


class TestPage:
    pytestmark = peer

    @pytest.mark.parametrize("seed", range(3))
    def test_columns_of_any_integers_are_decoded(self, pages, seed):
        random = np.random.default_rng(seed)
        columns = [
            [],
            [0],
            [rice.MAX_VALUE, -rice.MAX_VALUE, 0, 1, -1],
            random.integers(-3, 4, 500),
            np.cumsum(random.integers(-40, 60, 129)),
            random.integers(-(2**45), 2**45, 256),
            np.where(random.random(1000) < 0.01, 10**12, random.integers(0, 99, 1000)),
        ]
        page = pages(CROWD)
        for column in columns:
            code = base64.b64encode(rice.encode(column)).decode()
            got = page.evaluate(f"Array.from(decodeColumn([{len(column)}, '{code}']))")
            assert got == [int(value) for value in column]
        with pytest.raises(ValueError, match="beyond"):
            rice.encode([rice.MAX_VALUE + 1])

    @pytest.mark.parametrize("instrument", ["keys", "strings", "chirp"])
    @pytest.mark.parametrize(("x", "scale"), [(0.3217, "free"), (0.61, "minor")])
    def test_pitch_is_that_of_music(self, pages, instrument, x, scale):
        held = [touch(0.0, "down", x=x, dt=0.0), touch(4.0, "up", x=x)]
        page = pages(jam(held, instrument=f"human={instrument}", scale=scale, range="40-80"))
        samples = rendered(page, 2.0)[RATE // 2 :].sum(axis=1)  # the attack of a chirp is over
        padded = 1 << 20
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), padded))
        pitches = PitchRange(40, 80)
        note = pitches.quantised(pitches.pitch(x), scale, "A") + 12 * (instrument == "chirp")
        wanted = 440 * 2 ** ((note - 69) / 12)
        near = slice(int(wanted * 0.94 * padded / RATE), int(wanted * 1.06 * padded / RATE))
        heard = (near.start + int(np.argmax(spectrum[near]))) * RATE / padded
        assert abs(1200 * np.log2(heard / wanted)) < 3

    def test_names_from_outside_are_shown_as_text(self, pages, tmp_path, capsys):
        page = pages(CROWD)
        page.go(write_with_names_from_outside(tmp_path, capsys).as_uri())
        assert page.evaluate("document.title") == NASTY
        assert page.evaluate("document.querySelector('h1').innerText") == NASTY
        model = NASTY.rpartition("/")[2]  # a path has been cut to its end
        assert model in page.evaluate("document.getElementById('about').innerText")
        assert page.evaluate("window.stolen === undefined && document.scripts.length === 2")

    def test_speed_changes_time_and_not_pitch(self, pages):
        page = pages(jam(slide("human", 1.0, 1.0, x=0.4, wide=0.0), instrument="human=chirp"))
        fast = rendered(page, 1.5, speed=2.0)
        loud = np.flatnonzero(np.abs(fast).max(axis=1) > 0.01) / RATE
        assert loud[0] == pytest.approx(0.5, abs=0.02)
        assert 1.0 < loud[-1] < 1.5

    def test_panic_silences(self, pages):
        held = [touch(0.0, "down", dt=0.0), SetEvent(0.5, {"panic": 1}), touch(2.0, "up")]
        samples = rendered(pages(jam(held)), 1.5)
        assert np.abs(samples[: RATE // 2]).max() > 0.01
        assert np.abs(samples[RATE * 3 // 4 :]).max() < 1e-4

    def test_page_asks_for_nothing_and_can_reach_nothing(self, pages):
        page = pages(CROWD)
        refused = page.evaluate("fetch('http://127.0.0.1:9/').then(() => false, () => true)")
        assert refused
        page.evaluate("""new Promise(done => {
            const image = new Image();
            image.onload = image.onerror = done;
            image.src = 'http://127.0.0.1:9/a.png';
        })""")
        page.evaluate(
            "document.head.append(Object.assign(document.createElement('script'),"
            " {textContent: 'window.foreign = 1'}))"
        )
        assert page.evaluate("window.foreign") is None
        assert len([c for c in page.complaints() if "Content Security Policy" in c]) >= 3
        assert [url for url in page.requests() if not url.startswith("file:")] == []

    def test_person_plays_and_seeks_with_the_keyboard(self, pages):
        page = pages(CROWD)
        position = "page.player.position"
        page.press("ArrowRight")
        assert page.evaluate(position) == 5
        page.press("ArrowRight")
        assert page.evaluate(position) == pytest.approx(CROWD.duration)
        page.press("Home")
        assert page.evaluate(position) == 0
        page.press("End")
        page.press("ArrowLeft")
        assert page.evaluate(position) == pytest.approx(CROWD.duration - 5)
        page.press("Home")
        assert page.evaluate("document.getElementById('play').textContent") == "Play"
        page.press(" ")
        page.wait_for(f"{position} > 0.2")
        page.wait_for("document.getElementById('play').textContent === 'Pause'")
        page.press(" ")
        assert not page.evaluate("page.player.playing")
        held = page.evaluate(position)
        page.evaluate("document.getElementById('play').focus()")
        page.press(" ")  # a focused button takes it, once
        page.wait_for(f"page.player.playing && {position} > {held}")
        page.press("m")
        assert page.evaluate("page.player.level") == 0
        assert (
            page.evaluate("document.getElementById('mute').getAttribute('aria-pressed')")
            == "true"
        )
        assert page.complaints() == []

    def test_press_on_the_timeline_seeks(self, pages):
        page = pages(CROWD)
        left, top, width, height = page.evaluate(
            "(b => [b.left, b.top, b.width, b.height])"
            "(document.getElementById('slider').getBoundingClientRect())"
        )
        page.click(left + width / 2, top + height / 2)
        got = page.evaluate("page.player.position")
        assert got == pytest.approx(CROWD.duration / 2, abs=2 * CROWD.duration / width)
        spoken = page.wait_for(
            "document.getElementById('slider').getAttribute('aria-valuetext')"
        )
        page.wait_for("document.getElementById('slider').getAttribute('aria-valuenow') !== '0'")
        assert " of " in spoken

    def test_playback_ends_at_the_end_and_begins_again_in_a_loop(self, pages):
        page = pages(CROWD)
        page.evaluate(f"page.player.seek({CROWD.duration - 0.2}), page.toggle()")
        page.wait_for("!page.player.playing")
        assert page.evaluate("page.player.position") == pytest.approx(CROWD.duration)
        page.press("l")
        page.evaluate(f"page.player.seek({CROWD.duration - 0.2}), page.toggle()")
        page.wait_for(f"page.player.playing && page.player.position < {CROWD.duration - 1}")

    def test_picture_depends_on_the_position_alone(self, pages):
        page = pages(CROWD)
        shot = "(t => { page.picture.draw(t); return page.surface.toDataURL(); })"
        first = page.evaluate(f"{shot}(3.1)")
        assert page.evaluate(f"{shot}(1.0)") != first
        for t in (0.0, 2.9, 4.4):
            page.evaluate(f"{shot}({t})")
        assert page.evaluate(f"{shot}(3.1)") == first
        assert page.evaluate(f"{shot}(0.2)") != page.evaluate(f"{shot}(0.0)")

    def test_strokes_have_the_colours_of_the_window(self, pages):
        page = pages(jam(slide("human", 0.0, 0.5, x=0.3), slide("ai", 0.0, 0.5, x=0.7)))
        colours = page.evaluate("""(() => {
            page.picture.setTheme(0);
            page.picture.draw(0.6);
            const r = page.recording;
            return [0, 1].map((s) => {
                const i = r.first[s]; // far from the glow of the finger
                const {data} = page.picture.context.getImageData(
                    page.picture.px[i], page.picture.py[i], 1, 1);
                return [...data].slice(0, 3);
            });
        })()""")
        faded = np.array([DARK.humans[0], DARK.machines[0]]) * level(0.6) / LEVELS
        assert np.abs(np.array(colours) - faded).max() <= 1

    @pytest.mark.parametrize("size", [(390, 844), (1180, 820), (320, 480), (844, 390)])
    def test_page_fits_every_screen(self, pages, size):
        page = pages(CROWD, size=size)
        page.evaluate("new Promise(requestAnimationFrame)")
        wide, high = page.evaluate(
            "[document.documentElement.scrollWidth, page.surface.clientHeight]"
        )
        assert wide <= size[0]
        assert high >= 70
        named = page.evaluate(
            "[...document.querySelectorAll('button, select, input, [role]')].every("
            "e => e.innerText || e.ariaLabel || e.labels?.length || e.role === 'status')"
        )
        assert named

    def test_person_who_wants_little_motion_sees_neither_rings_nor_fading(self, pages):
        page = pages(CROWD)
        page.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-reduced-motion", "value": "reduce"}],
        )
        page.wait_for("page.picture.still")
        one = "(t => { page.picture.draw(t); return page.surface.toDataURL(); })"
        assert page.evaluate(f"{one}(5.0) === {one}(5.3)")
        page.call("Emulation.setEmulatedMedia", features=[])

    def test_page_of_many_fingers_and_players_shows_and_plays(self, pages):
        hostile = [
            touch(n * 1e-4, "down", f"human{2 + n % 4000}", n % 97 / 97, finger=n)
            for n in range(8000)
        ]
        page = pages(session(*hostile, EndEvent(2.0, "quit")))
        page.press("End")
        page.evaluate("page.draw()")
        assert np.isfinite(rendered(page, 0.1, start=1.0)).all()
        assert page.complaints() == []

    def test_page_without_touches_is_empty_and_whole(self, pages):
        page = pages(session(EndEvent(0.0, "quit")))
        page.press(" ")
        page.wait_for("!page.player.playing")
        assert page.evaluate("page.recording.turnAt(0)") == "human"
        assert page.complaints() == []
