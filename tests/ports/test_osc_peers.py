"""OSC with other programs: liblo's tools, Pure Data, SuperCollider."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import ROOT
from support.engine import PATIENCE, Client, command, first_line, recording, serving, stop

from robojam.sessions.session import Header, ModelRef, TouchEvent, encode, encode_header
from robojam.touch import Phase, Touch

SOON = ("--threshold", "0.02", "--response", "0.4", "--seed", "7")

pytestmark = pytest.mark.peer
liblo = pytest.mark.skipif(
    not (shutil.which("oscsend") and shutil.which("oscdump")), reason="no liblo-tools here"
)
pd = pytest.mark.skipif(not shutil.which("pd"), reason="no puredata-core here")
sclang = pytest.mark.skipif(not shutil.which("sclang"), reason="no supercollider-language here")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# -- liblo ---------------------------------------------------------------------------------


def oscsend(port: int, *words: str) -> None:
    url = f"osc.udp://127.0.0.1:{port}"
    subprocess.run(["oscsend", url, *words], check=True, timeout=PATIENCE)


@contextmanager
def oscdump() -> Iterator[tuple[subprocess.Popen[str], int]]:
    port = free_port()
    dump = subprocess.Popen(["oscdump", "-L", str(port)], stdout=subprocess.PIPE, text=True)
    try:
        yield dump, port
    finally:
        stop(dump)


def dumped(dump: subprocess.Popen[str]) -> tuple[str, str, list[str]]:
    """Parse a line of oscdump: address, type tags, arguments."""
    words = first_line(dump).split()
    at = next(i for i, word in enumerate(words) if word.startswith("/"))
    return words[at], words[at + 1], words[at + 2 :]


#: Words that each dialect's program sends, and words that robojam plays in it: every
#: address that comes, with its type tags.
SENT = {
    "microjam": [("/touch", "sfsfsf", "/x", "0.25", "/y", "0.5", "/z", "20")],
    "impsy": [("/interface", "ff", "0.25", "0.5")],
    "interface": [("/impsy", "ff", "0.25", "0.5")],
    "touchosc": [("/1/xy/z", "f", "1"), ("/1/xy", "ff", "0.25", "0.5"), ("/1/xy/z", "f", "0")],
    "tuio": [
        ("/tuio/2Dcur", "ss", "source", "table@here"),
        ("/tuio/2Dcur", "si", "alive", "12"),
        ("/tuio/2Dcur", "sifffff", "set", "12", "0.25", "0.5", "0", "0", "0"),
        ("/tuio/2Dcur", "si", "fseq", "1"),
        ("/tuio/2Dcur", "ss", "source", "table@here"),
        ("/tuio/2Dcur", "s", "alive"),
        ("/tuio/2Dcur", "si", "fseq", "2"),
    ],
}
PLAYED = {
    "microjam": {("/touch", "sfsfsf")},
    "impsy": {("/impsy", "ff"), ("/prediction", "ff")},
    "interface": {("/interface", "ff")},
    "touchosc": {("/1/xy", "ff"), ("/1/xy/z", "f")},
    "tuio": {
        ("/tuio/2Dcur", "ss"),
        ("/tuio/2Dcur", "s"),
        ("/tuio/2Dcur", "si"),
        ("/tuio/2Dcur", "sifffff"),
    },
}


@liblo
@pytest.mark.parametrize("dialect", SENT)
def test_liblo_is_answered_in_the_dialect_that_it_plays(dialect, tmp_path):
    with (
        oscdump() as (dump, port),
        serving(
            tmp_path,
            *("--osc-out", f"127.0.0.1:{port}/{dialect}", "--touchosc", "/1/xy", *SOON),
        ) as engine,
    ):
        monitor = Client(engine.address)
        monitor.send("/robojam/subscribe", "i", monitor.port)
        monitor.until(lambda: monitor.received)
        for words in SENT[dialect]:
            oscsend(engine.address[1], *words)
        for up in ("/robojam/human/up", "/robojam/ai/up"):  # in either order
            monitor.until(lambda up=up: any(m.address == up for m in monitor.received))
        monitor.close()
        missing, came = set(PLAYED[dialect]), []
        while missing:
            came.append(dumped(dump))
            missing -= {came[-1][:2]}
        status = engine.out.ask(lambda s: s["played"])
        engine.end()
    allowed = PLAYED[dialect] | {("/robojam/ai/move", "ifff")}
    assert {line[:2] for line in came} <= allowed
    assert status["heard"] == 1
    assert not status["dropped"]
    human = [m for m in recorded(tmp_path) if m.who == "human"]
    assert (human[0].phase, human[0].x, human[0].y) == (Phase.DOWN, 0.25, 0.5)
    assert human[-1].phase is Phase.UP


def recorded(folder: Path) -> list[Touch]:
    return [event.touch for event in recording(folder).touches()]


@liblo
def test_values_of_liblo_without_a_number_are_understood(tmp_path):
    with serving(tmp_path) as engine:
        for tag, paused in ("T", 1), ("F", 0), ("I", 1), ("N", 0):
            oscsend(engine.address[1], "/robojam/pause", tag)
            engine.out.ask(lambda s, on=paused: s["pause"] == on)
        oscsend(engine.address[1], "/robojam/mode", "S", "duet")
        oscsend(engine.address[1], "/robojam/down", "sss", "3", "0.5", "0.25")
        oscsend(engine.address[1], "/robojam/store", "c", "B")
        oscsend(engine.address[1], "/robojam/up", "T")  # 1, which is not down
        status = engine.out.ask(lambda s: s["dropped"])
        assert (status["mode"], status["memories"], status["heard"]) == ("duet", ["B"], 1)
        assert status["dropped"] == {"absent finger": 1}
        engine.end()


@liblo
def test_two_tuio_sources_play_at_the_tuio_port(tmp_path):
    tuio = free_port()
    with serving(tmp_path, "--tuio-in", str(tuio)) as engine:
        for words in SENT["tuio"]:
            oscsend(tuio, *words)
        oscsend(tuio, "/tuio/2Dcur", "ss", "source", "other@here")
        for words in SENT["tuio"][1:4]:
            oscsend(tuio, *words)
        status = engine.out.ask(lambda s: s["heard"] == 2)
        assert status["tuio"] == f"127.0.0.1:{tuio}"
        engine.end()
    assert {touch.who for touch in recorded(tmp_path)} >= {"human", "human2"}


def test_busy_tuio_port_is_reported_and_the_engine_goes_on(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        with serving(tmp_path, "--tuio-in", str(taken), stderr=subprocess.PIPE) as engine:
            assert engine.process.stderr is not None
            assert f"no TUIO for now: port {taken}" in engine.process.stderr.readline()
            assert "tuio" not in engine.out.ask()


# -- Pure Data -----------------------------------------------------------------------------

#: Beside the example: says where the engine is, writes what sounds to a file, and hears
#: what is to be drawn on the surface, and when to stop.
BESIDE = """#N canvas 0 0 450 300 12;
#X obj 20 20 loadbang;
#X msg 20 50 \\; pd dsp 1 \\; robojam-listen {listen} \\; robojam-connect 127.0.0.1 {engine};
#X msg 220 50 open out.wav \\, start;
#X obj 20 110 writesf~ 1;
#X obj 20 80 r~ robojam-sound;
#X obj 250 20 netreceive -u {control};
#X obj 250 80 route stop draw;
#X msg 250 110 stop;
#X obj 350 110 s surface;
#X obj 250 140 t b b;
#X msg 350 170 \\; pd quit;
#X obj 250 170 delay 100;
#X obj 120 110 loadbang;
#X obj 120 140 print;
#X msg 120 125 ready;
#X connect 0 0 1 0;
#X connect 0 0 2 0;
#X connect 2 0 3 0;
#X connect 4 0 3 0;
#X connect 5 0 6 0;
#X connect 6 0 9 0;
#X connect 6 1 8 0;
#X connect 7 0 3 0;
#X connect 9 0 11 0;
#X connect 9 1 7 0;
#X connect 11 0 10 0;
#X connect 12 0 14 0;
#X connect 14 0 13 0;
"""


class PureData:
    """Process of Pure Data that plays the example into a file."""

    def __init__(self, folder: Path, engine: int) -> None:
        self.wav, self.listen, self.control = folder / "out.wav", free_port(), free_port()
        beside = folder / "beside.pd"
        # out.wav is beside the patch: a path with a space would be two words to Pd.
        beside.write_text(
            BESIDE.format(listen=self.listen, engine=engine, control=self.control)
        )
        example = ROOT / "examples" / "robojam.pd"
        self.process = subprocess.Popen(
            ["pd", "-nogui", "-noaudio", "-stderr", str(example), str(beside)],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        while (line := self.process.stderr.readline()) != "print: ready\n":
            assert line, "Pd has ended"
            assert "couldn't create" not in line

    def say(self, words: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hand:
            hand.sendto(f"{words};\n".encode(), ("127.0.0.1", self.control))

    def stop(self) -> tuple[np.ndarray[Any, Any], int]:
        """Stop the process; return the samples and their rate."""
        self.say("stop")
        self.process.wait(PATIENCE)
        with wave.open(str(self.wav)) as file:
            raw = file.readframes(file.getnframes())
            assert file.getsampwidth() == 2
            return np.frombuffer(raw, "<i2") / 32768, file.getframerate()


@contextmanager
def pure_data(folder: Path, engine: int) -> Iterator[PureData]:
    data = PureData(folder, engine)
    try:
        yield data
    finally:
        stop(data.process)


def notes(sound: np.ndarray[Any, Any], rate: int) -> list[float]:
    """Return the pitch of each sound between silences, as MIDI notes."""
    step = rate // 50
    loud = [
        float(np.abs(part).max()) > 0.02
        for part in np.split(sound, range(step, len(sound), step))
    ]
    found, start = [], None
    for i, is_loud in enumerate([*loud, False]):
        if is_loud and start is None:
            start = i
        elif not is_loud and start is not None:
            part = sound[start * step : i * step]
            spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 17))
            hertz = np.argmax(spectrum) * rate / (1 << 17)
            found.append(69 + 12 * float(np.log2(hertz / 440)))
            start = None
    return found


@pd
def test_pure_data_sounds_pitches_that_follow_x(tmp_path):
    places = (0.25, 0.5, 0.75, 0.125)
    session = tmp_path / "jam.jsonl"
    write(session, places)
    with pure_data(tmp_path, 1) as data:
        ran = subprocess.run(
            command(
                *("replay", str(session), "--no-window", "--no-sound"),
                *("--osc-out", f"127.0.0.1:{data.listen}"),
            ),
            capture_output=True,
            timeout=PATIENCE,
        )
        assert ran.returncode == 0, ran.stderr
        sound, rate = data.stop()
    assert notes(sound, rate) == pytest.approx([36 + 48 * x for x in places], abs=0.3)


def write(path: Path, places: tuple[float, ...]) -> None:
    """Write a recording in which the machine holds a finger at each place in turn."""
    header = Header(
        started="2026-01-01T00:00:00+00:00",
        model=ModelRef("a.safetensors", "0a"),
        device="cpu",
        build="a build",
        seed=7,
        options={},
    )
    events = []
    for i, x in enumerate(places):
        t = 0.5 + 0.7 * i
        events += [
            TouchEvent(t, Touch(x, 0.9, 0.7, Phase.DOWN, 0, "ai")),
            TouchEvent(t + 0.4, Touch(x, 0.9, 0.4, Phase.UP, 0, "ai")),
        ]
    path.write_bytes(encode_header(header) + b"".join(map(encode, events)))


@pd
def test_pure_data_sounds_the_answer_to_what_it_plays(tmp_path):
    with (
        serving(tmp_path / "jams", *SOON, "--response", "1") as engine,
        pure_data(tmp_path, engine.address[1]) as data,
    ):
        engine.out.send("/robojam/subscribe", "i", data.listen)
        for i in range(10, 20):  # a mouse that draws on the surface
            data.say(f"draw {i} 0.75")
            status = engine.out.ask(lambda s, n=i - 9: s["heard"] >= n)
        assert not status["dropped"]
        engine.out.until(lambda: any(m.name == "ai/down" for m in engine.out.received))
        engine.out.until(lambda: any(m.name == "ai/up" for m in engine.out.received))
        sound, _ = data.stop()
        engine.end()
    # On a busy machine the finger may lift between two of them.
    touches = recorded(tmp_path / "jams")
    human = [t for t in touches if t.who == "human" and t.phase is not Phase.UP]
    assert [t.x for t in human[:10]] == pytest.approx([i / 47 for i in range(10, 20)], abs=1e-6)
    assert {t.y for t in human} == {0.25}
    assert np.abs(sound).max() > 0.05


#: Sends a message as FUDI, which is what [netsend -u] does without [oscformat].
FUDI = """#N canvas 0 0 450 300 12;
#X obj 20 20 loadbang;
#X obj 20 50 t b b b;
#X msg 220 80 connect 127.0.0.1 {port};
#X msg 120 80 send touch 0.5 0.25;
#X msg 20 80 \\; pd quit;
#X obj 120 110 netsend -u;
#X connect 0 0 1 0;
#X connect 1 2 2 0;
#X connect 1 1 3 0;
#X connect 1 0 4 0;
#X connect 2 0 5 0;
#X connect 3 0 5 0;
"""


@pd
def test_fudi_of_pure_data_is_named_in_the_log_with_what_would_be_right(tmp_path):
    log = tmp_path / "log"
    with serving(tmp_path, "--log", str(log)) as engine:
        patch = tmp_path / "fudi.pd"
        patch.write_text(FUDI.format(port=engine.address[1]))
        words = ["pd", "-nogui", "-noaudio", str(patch)]
        subprocess.run(words, timeout=PATIENCE, capture_output=True)
        status = engine.out.ask(lambda s: s["dropped"])
        assert status["dropped"] == {"FUDI, not OSC": 1}
        engine.end()
    text = log.read_text()
    assert "dropped from 127.0.0.1:" in text
    assert "FUDI, not OSC (b'touch 0.5 0.25;\\n'; in Pd: [oscformat touch]" in text


# -- SuperCollider -------------------------------------------------------------------------

#: Code added to the example: prints each touch at its instant instead of sounding it.
PRINTER = """
~play = { |who, phase, x, y, at|
	SystemClock.schedAbs(at, {
		"SOUNDS % % % % %".format(who, phase, x, at, thisThread.seconds - at).postln;
		nil
	});
};
"READY".postln;
"""


@sclang
def test_supercollider_schedules_an_answer_by_its_timetag(tmp_path):
    port = free_port()
    program = tmp_path / "jam.scd"
    example = (ROOT / "examples" / "robojam.scd").read_text("utf-8")
    program.write_text(f"~port = {port};\n{example.rstrip().removesuffix(')')}\n{PRINTER})")
    quiet = {"QT_QPA_PLATFORM": "offscreen", "QTWEBENGINE_DISABLE_SANDBOX": "1"}
    language = subprocess.Popen(
        ["sclang", "-D", str(program)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | quiet,
    )
    try:
        read_until(language, "READY")
        to = ("--osc-out", f"127.0.0.1:{port}", "--osc-ahead", "50")
        with serving(tmp_path, *to, *SOON) as engine:
            engine.out.send("/touch", "ff", 0.5, 0.5)
            engine.out.until(lambda: any(m.name == "ai/up" for m in engine.out.received))
            lines = [read_until(language, "SOUNDS").split()]
            while lines[-1][2] != "up":
                lines.append(read_until(language, "SOUNDS").split())
    finally:
        stop(language)
    sent = [m for m in engine.out.received if m.name.startswith("ai/")][: len(lines)]
    assert [line[2] for line in lines] == [m.name.removeprefix("ai/") for m in sent]
    for line, m in zip(lines, sent, strict=True):
        if m.tags == "ifff":
            assert float(line[3]) == pytest.approx(m.args[1], abs=1e-5)
    # The timetags are as far apart as the touches are, not as the packets were, and
    # what was scheduled came about at its instant by SuperCollider's own clock.
    at = [float(line[4]) for line in lines]
    for was, now, m in zip(at, at[1:], sent[1:], strict=False):
        if m.tags == "ifff":
            assert now - was == pytest.approx(m.args[3], abs=2e-3)
    assert all(float(line[5]) == pytest.approx(0, abs=1e-6) for line in lines)


def read_until(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout is not None
    end = time.monotonic() + 2 * PATIENCE
    while time.monotonic() < end:
        line = process.stdout.readline()
        assert line, "it has ended"
        if line.startswith(word):
            return line
        assert "ERROR" not in line, line
    raise AssertionError(f"no {word}")
