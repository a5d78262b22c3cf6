"""MIDI with other programs over JACK: controllers and FluidSynth, by each binding of RtMidi."""

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from support.commands import hide_packages
from support.engine import PATIENCE, Client, command, recordings, serving, stop
from support.jack import SOUNDFONT, Peer, left_on, missing, peer, until
from support.models import described, small

from robojam.model.event import knob_event
from robojam.model.mdrnn import save
from robojam.ports.midi import SILENCE
from robojam.ports.midi_binding import BINDINGS
from robojam.sessions.session import read
from robojam.wire.midi import stream

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]
QUICK = ("--threshold", "0.1", "--response", "1", "--seed", "5")


@pytest.fixture(autouse=True, params=filter(find_spec, BINDINGS))
def _binding(request, monkeypatch):
    hide_packages(monkeypatch, *{*BINDINGS} - {request.param})


def connected(client: Client, side: str = "out", *, there: bool = True):
    return client.ask(lambda status: status["midi"][side][0]["connected"] is there)


def sent_until(client: Client, condition: Callable[[Any], Any], *sent: tuple[Peer, bytes]):
    """Send until the status fulfils a condition: JACK loses some on a busy machine."""

    def fulfilled(status):
        if condition(status):
            return True
        for program, message in sent:
            program.send(message)
        return False

    return client.ask(fulfilled)


def stroke(peer: Peer, channel: int = 1, note: int = 60, length: int = 20) -> None:
    """A finger of an MPE controller: it lands, slides for a third of a second, and lifts."""
    peer.send(stream.bend(channel, 8192), stream.control(channel, 74, 64))
    peer.send(stream.note_on(channel, note, 90))
    for step in range(length):
        time.sleep(0.017)  # as fast as a finger is read
        peer.send(
            stream.bend(channel, 8192 + 40 * step), stream.control(channel, 74, 64 + step)
        )
    peer.send(stream.note_off(channel, note))


def ons(messages):
    return sum(message[0] & 0xF0 == 0x90 and message[2] > 0 for message in messages)


@pytest.mark.skipif(missing("fluidsynth") is not None, reason=str(missing("fluidsynth")))
def test_fluidsynth_sounds_the_answer_to_an_mpe_controller(jack, tmp_path):
    sound = tmp_path / "answer.raw"
    synth = subprocess.Popen(
        [
            *("fluidsynth", "-a", "file", "-m", "jack", "-g", "1", "-R", "0", "-C", "0"),
            *("-o", f"audio.file.name={sound}", "-o", "audio.file.type=raw"),
            *("-O", "s16", "-r", "44100"),
            *("-o", f"midi.jack.server={jack.name}", "-o", "midi.jack.id=fluidsynth"),
            str(SOUNDFONT),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    rig = tmp_path / "rig.toml"
    # An organ, which sounds for ever when a note is left on. General MIDI's channel 10 is
    # drums, so the zone ends before it.
    rig.write_text('[midi.organ]\nlike = "mpe"\nmembers = 8\nprogram = 20\n')
    try:
        until(lambda: any("fluidsynth" in port for port in jack.ports()), "fluidsynth's port")
        with (
            peer(jack, "out", "Seaboard") as seaboard,
            serving(
                tmp_path,
                *("--config", str(rig), "--midi-in", "seaboard"),
                *("--midi-out", "fluidsynth/organ", *QUICK),
            ) as engine,
        ):
            connected(engine.out, "in")
            connected(engine.out)
            stroke(seaboard)
            engine.out.until(lambda: any(m.name == "ai/up" for m in engine.out.received))
            status = engine.out.ask(lambda status: status["turn"] == "human")
            assert status["heard"] > 10
            # Of 44: JACK loses what it sends to a program that a busy machine keeps from its
            # period.
            assert status["midi"]["in"][0]["messages"] > 20
            assert status["midi"]["out"][0]["messages"] > 0
            engine.out.listen(1.0)  # an organ's last note is over by then
            assert engine.end() == 0
    finally:
        synth.communicate(b"quit\n", timeout=60)
        stop(synth)
    samples, rate = np.fromfile(sound, "<i2") / 32768, 44100
    level = np.abs(samples.reshape(-1, 2)).max(axis=1)
    assert level.max() > 0.05, "it sounded"
    assert level[-rate // 4 :].max() < 1e-3, "and nothing was left on"


def test_pulled_ports_are_lifted_and_play_on_when_they_return(jack, tmp_path):
    with serving(
        tmp_path, "--midi-in", "board", "--midi-out", "surge/keys", *QUICK, "--mode", "solo"
    ) as engine:
        connected(engine.out, there=False)  # neither is there yet: it plays all the same
        with peer(jack, "in", "Surge") as first:
            connected(engine.out)
            until(lambda: ons(first.received) > 0, "notes at a port that came later")
            first.pull()
        connected(engine.out, there=False)
        with peer(jack, "in", "Surge") as second:
            connected(engine.out)
            until(lambda: ons(second.received) > 0, "notes again")
            with peer(jack, "out", "Board") as board:
                connected(engine.out, "in")
                landing = board, stream.note_on(1, 60, 90)
                sent_until(engine.out, lambda status: status["fingers"] >= 1, landing)
                cut_off, by = 0, time.monotonic() + PATIENCE
                while not cut_off:  # halves, of which JACK may lose some: each ends the last
                    assert time.monotonic() < by
                    board.raw(b"\x91\x3c")
                    engine.out.listen(1.0)
                    cut_off = engine.out.ask()["dropped"].get(stream.CUT_OFF, 0)
                board.pull()  # and the last one is not followed by anything
                status = connected(engine.out, "in", there=False)
                status = engine.out.ask(
                    lambda status: status["dropped"].get(stream.CUT_OFF, 0) > cut_off
                )
            with peer(jack, "out", "Board") as board:
                connected(engine.out, "in")
            engine.out.send("/robojam/panic")
            status = engine.out.ask(lambda status: status["fingers"] == 0)
            assert status["fingers"] == 0
            assert engine.end() == 0
            until(lambda: second.received[-1][:2] == b"\xb0\x78", "all sound off comes last")
            assert not left_on(second.received)


def test_notes_of_a_killed_engine_are_released(jack, tmp_path):
    with peer(jack, "in", "Surge") as surge:
        options = ("--midi-out", "surge/keys", "--mode", "solo", "--seed", "5")
        with serving(tmp_path, *options) as engine:
            until(lambda: left_on(surge.received), "a note is on")
            engine.end(signal.SIGKILL)
        until(lambda: not left_on(surge.received), "the ports' process releases it")
        with serving(tmp_path, *options) as engine:
            until(lambda: left_on(surge.received), "a note is on again")
            # The worst: both are killed at once, so that nobody is left to release it.
            children = subprocess.run(
                ["ps", "--ppid", str(engine.process.pid), "-o", "pid="],
                capture_output=True,
                text=True,
            ).stdout.split()
            for pid in [*map(int, children), engine.process.pid]:
                os.kill(pid, signal.SIGKILL)
            engine.process.wait(60)
        held = until(lambda: left_on(surge.received), "it is left on")
        with serving(tmp_path, *options, "--mode", "listen"):
            until(lambda: not left_on(surge.received), f"the next start releases {held}")


def test_jam_survives_a_jack_server_that_dies_and_returns(jack, tmp_path):
    with serving(tmp_path, "--midi-out", "surge", *QUICK, "--mode", "solo") as engine:
        with peer(jack, "in", "Surge") as surge:
            connected(engine.out)
            until(lambda: ons(surge.received) > 0, "notes")
            jack.kill()
        before = engine.out.ask()["played"]
        engine.out.ask(lambda status: status["played"] > before + 10)  # the jam goes on
        jack.start()
        with peer(jack, "in", "Surge") as surge:
            connected(engine.out)
            until(lambda: ons(surge.received) > 0, "notes again")
        assert engine.out.ask()["midi"]["restarts"] > 0
        assert engine.end() == 0


def test_echoing_synthesiser_is_not_taken_for_a_human(jack, tmp_path):
    with (
        peer(jack, "thru", "Echo"),
        serving(
            tmp_path,
            *("--midi-in", "echo", "--midi-out", "echo/keys", *QUICK, "--mode", "solo"),
        ) as engine,
    ):
        connected(engine.out, "in")
        connected(engine.out)
        status = engine.out.ask(lambda status: status["dropped"].get("echo", 0) >= 5)
        assert status["midi"]["in"][0]["messages"] >= 5
        engine.out.send("/robojam/subscribe", "i", engine.out.port)
        # Echoes vary as people do on a very busy machine: then some are heard at first.
        engine.out.until(lambda: strokes_alone(engine.out.received) > 5)
        assert engine.end() == 0


def strokes_alone(received):
    """Return how many strokes the machine has played since a human was heard."""
    names = [m.name for m in received]
    since = max((i for i, name in enumerate(names) if name.startswith("human")), default=-1)
    return names[since + 1 :].count("ai/up")


def test_virtual_port_plays_to_a_program_that_connects_to_it(jack, tmp_path):
    with (
        peer(jack, "in", "Surge") as surge,
        serving(tmp_path, "--midi-out", "virtual:answers/keys", "--mode", "solo") as engine,
    ):
        status = connected(engine.out)
        port = status["midi"]["out"][0]["port"]
        assert port == "robojam:answers"
        mine = until(lambda: [p for p in jack.ports() if p.endswith(":answers")], port)
        theirs = next(p for p in jack.ports() if p.startswith("Surge:"))
        subprocess.run(["jack_connect", "-s", jack.name, mine[0], theirs], check=True)
        until(lambda: ons(surge.received) > 0, "notes")
        assert engine.end() == 0
        until(lambda: not left_on(surge.received), "nothing is left on")


def test_program_that_connects_late_has_zone_and_bend_range_at_its_first_note(jack, tmp_path):
    with (
        peer(jack, "in", "Surge") as surge,
        serving(tmp_path, "--midi-out", "virtual:answers", *QUICK) as engine,
    ):
        connected(engine.out)
        mine = until(lambda: [p for p in jack.ports() if p.endswith(":answers")], "the port")
        theirs = next(p for p in jack.ports() if p.startswith("Surge:"))
        subprocess.run(["jack_connect", "-s", jack.name, mine[0], theirs], check=True)
        assert surge.received == []  # what was sent when the port was made is lost
        engine.out.listen(SILENCE)  # the port has been silent for that long
        engine.out.send("/robojam/down", "iff", 1, 0.5, 0.5)
        engine.out.send("/robojam/up", "i", 1)
        until(lambda: ons(surge.received) > 0, "the answer")
        assert engine.end() == 0
        received = surge.received
        first = next(n for n, message in enumerate(received) if message[0] & 0xF0 == 0x90)
        channel = received[first][0] & 0x0F
        before = b"".join(received[:first])
        assert before.startswith(stream.parameter(0, stream.CONFIGURATION, 15))
        assert stream.parameter(channel, stream.BEND_RANGE, 48) in before


def test_each_of_two_controllers_of_one_name_is_a_player_and_the_second_can_be_named(
    jack, tmp_path
):
    options = ("--midi-in", "board#2", "--midi-in", "board", "--threshold", "60")
    with (
        peer(jack, "out", "Board") as first,
        peer(jack, "out", "Board") as second,  # JACK names it Board-01
        serving(tmp_path, *options) as engine,
    ):
        connected(engine.out, "in")
        status = engine.out.ask(lambda status: status["midi"]["in"][1]["connected"])
        ports = [port["port"] for port in status["midi"]["in"]]
        assert ports == ["Board-01:midi", "Board:midi"]
        landings = (first, stream.note_on(1, 60, 90)), (second, stream.note_on(1, 64, 90))
        sent_until(engine.out, lambda status: status["fingers"] == 2, *landings)
        first.end()
        status = engine.out.ask(lambda status: not status["midi"]["in"][1]["connected"])
        assert status["midi"]["in"][0]["connected"]
        assert status["midi"]["in"][0]["problem"] is None
        assert status["midi"]["in"][1]["problem"].startswith("gone")
        engine.out.ask(lambda status: status["fingers"] == 1)  # the living one holds its note
        lift = second, stream.note_off(1, 64)
        sent_until(engine.out, lambda status: status["fingers"] == 0, lift)
        assert engine.end() == 0


def test_replay_plays_every_note_over_midi(jack, tmp_path):
    with serving(tmp_path, "--mode", "solo", "--seed", "5") as engine:
        engine.out.until(lambda: sum(m.name == "ai/down" for m in engine.out.received) > 3)
        engine.end()
    with peer(jack, "in", "Surge") as surge:
        downs = [e for e in read(recordings(tmp_path)[-1]).touches() if e.touch.phase == "down"]
        assert downs

        def replay() -> bool:
            before = ons(surge.received)
            subprocess.run(
                command(
                    *("replay", str(recordings(tmp_path)[-1]), "--no-window"),
                    *("--midi-out", "surge", "--osc-out", "127.0.0.1:9", "--speed", "3"),
                ),
                check=True,
                timeout=60,
                capture_output=True,
            )
            with suppress(AssertionError):
                until(lambda: ons(surge.received) - before >= len(downs), seconds=5)
                return True
            return False

        # JACK loses what it sends to a program that a busy machine keeps from its period.
        assert any(replay() for _ in range(4)), f"{len(downs)} notes, from the first on"
        until(lambda: not left_on(surge.received), "nothing is left on")


def test_learn_writes_a_configuration_of_the_turned_controls(jack, tmp_path):
    with peer(jack, "out", "nanoKONTROL") as desk:
        process = subprocess.Popen(
            command("learn", "x", "y", "answer"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            received = ""
            for asked, act in (
                ("x:", lambda: [stream.control(0, 20, n) for n in range(0, 40, 3)]),
                ("y:", lambda: [stream.control(0, 21, n) for n in range(0, 40, 3)]),
                ("answer:", lambda: [stream.control(0, 64, 127)]),
            ):
                while not received.startswith(asked):
                    received = process.stderr.readline()
                    assert received
                # The port may be opened only now: it is turned until it is taken.
                while not received.startswith("   taken"):
                    desk.send(*act())
                    os.set_blocking(process.stderr.fileno(), False)
                    received = process.stderr.readline()
                    time.sleep(0.02)
                os.set_blocking(process.stderr.fileno(), True)
            out, _ = process.communicate(timeout=60)
        finally:
            stop(process)
        assert process.returncode == 0
    rig = tmp_path / "learnt.toml"
    rig.write_text(out)
    with (
        peer(jack, "out", "nanoKONTROL") as desk,
        serving(tmp_path, "--config", str(rig), "--threshold", "60") as engine,
    ):
        connected(engine.out, "in")
        for n in range(10):
            desk.send(stream.control(0, 20, 10 * n), stream.control(0, 21, 5 * n))
            time.sleep(0.02)
        turn = itertools.count()
        engine.out.ask(
            lambda status: (
                status["heard"] > 0  # moves that come together are gathered
                or desk.send(stream.control(0, 20, next(turn) % 128))
            )
        )
        # The last move is gathered for a moment: it must not come after the answer.
        engine.out.ask(lambda status: status["midi"]["in"][0]["idle_s"] > 0.05)
        press = desk, stream.control(0, 64, 127)
        sent_until(engine.out, lambda status: status["played"] > 0, press)
        assert engine.end() == 0


def test_program_at_jack_hears_the_knobs_and_they_stay_where_they_are_at_the_end(
    jack, tmp_path
):
    rig = tmp_path / "rig.toml"
    rig.write_text(
        "[map.out]\n"
        'x = { target = "cc 1", source = "x" }\n'
        'y = { target = "nrpn 3:4", source = "y" }\n'
        'bend = { target = "pitch bend", source = "speed", smooth = 0.05 }\n'
    )
    with (
        peer(jack, "in", "Surge") as surge,
        serving(
            tmp_path,
            *("--config", str(rig), "--midi-out", "surge/keys", "--mode", "solo"),
            *("--seed", "5"),
        ) as engine,
    ):
        connected(engine.out)

        def of_knobs():
            return [m for m in surge.received if m[0] & 0x0F == 15]

        def kinds():
            return {m[:2] if m[0] >> 4 == 0xB else m[:1] for m in of_knobs()}

        wanted = {bytes((0xBF, n)) for n in (1, 99, 98, 6, 38)} | {b"\xef"}
        until(lambda: kinds() == wanted and len(of_knobs()) > 100, "knobs on channel 16")
        assert ons(surge.received) > 0
        assert engine.end() == 0
        reset = stream.control(0, stream.RESET_CONTROLLERS, 0)
        until(lambda: reset in surge.received, "the channel of the notes is silenced")
        assert kinds() == wanted  # no reset of controllers came on their channel


def test_eight_knobs_of_a_desk_are_answered_by_controllers_alone(jack, tmp_path):
    event = knob_event(16, components=16, hidden=16, fewer=True)
    model = small(event, units=16)
    save(model, tmp_path / "knobs.safetensors", described(model))
    with (
        peer(jack, "out", "Desk") as desk,
        peer(jack, "in", "Surge") as surge,
        serving(
            tmp_path,
            *("--knobs", "8", "--model", str(tmp_path / "knobs.safetensors")),
            *("--midi-in", "desk", "--midi-out", "surge", *QUICK),
        ) as engine,
    ):
        connected(engine.out, "in")
        connected(engine.out)
        for step in range(20):
            desk.send(stream.control(0, 102 + step % 8, 4 * step))
            time.sleep(0.01)

        def kinds():
            return {tuple(m[:2]) for m in surge.received if m[1] in range(102, 118)}

        until(lambda: len(kinds()) == 8, "a controller of the answer for each knob")
        assert engine.end() == 0
        assert kinds() == {(0xB0, 102 + knob) for knob in range(8)}
        assert ons(surge.received) == 0
    touches = [event.touch for event in read(recordings(tmp_path)[-1]).touches("human")]
    assert touches[-1].knobs == pytest.approx(
        [4 * step / 127 for step in (16, 17, 18, 19, 12, 13, 14, 15)], abs=1e-6
    )


def test_file_of_impsy_hears_notes_and_plays_them_and_leaves_none_on(jack, tmp_path):
    model, path = small(knob_event(4, components=4, hidden=16)), tmp_path / "own.safetensors"
    save(model, path, described(model))
    config = tmp_path / "impsy.toml"
    config.write_text(
        '[interaction]\nmode = "callresponse"\nthreshold = 0.1\ninput_thru = false\n'
        f"[model]\ndimension = 5\nfile = '{path}'\nsigmatemp = 1\npitemp = 1\ntimescale = 1\n"
        '[midi]\nin_device = ["Desk"]\nout_device = ["Synth"]\n'
        'input."Desk" = [["note_on", 3], ["note_velocity", 3], ["control_change", 3, 19],\n'
        '  ["pitch_bend", 3]]\n'
        'output."Synth" = [["note_on", 4, 80], ["note_on", 5],\n'
        '  ["control_change", 6, 42, 10, 13], ["pitch_bend", 7]]\n'
    )
    with (
        peer(jack, "out", "Desk") as desk,
        peer(jack, "in", "Synth") as synth,
        serving(tmp_path / "jams", "--config", str(config), "--seed", "5") as engine,
    ):
        connected(engine.out, "in")
        connected(engine.out)
        for step in range(12):
            desk.send(stream.note_on(2, 40 + step, 90), stream.control(2, 19, 10 * step))
            desk.send(stream.note_off(2, 40 + step), stream.note_on(9, 40, 90))
            time.sleep(0.02)
        until(lambda: ons(synth.received) > 8, "notes of the answer")
        assert engine.end() == 0
        until(lambda: not left_on(synth.received), "the end of the last notes")
        sent = synth.received
    assert {m[2] for m in sent if m[0] == 0x93 and m[2]} == {80}
    assert {m[2] for m in sent if m[0] == 0x94 and m[2]} == {127}
    ends = {m[2] for m in sent if m[:2] == b"\xb5\x2a"}
    assert ends
    assert ends <= {10, 11, 12, 13}
    channels = {m[0] & 15 for m in sent if m[0] & 0xF0 in (0x90, 0xE0)}
    assert channels <= {3, 4, 6}
    (recording,) = (tmp_path / "jams").glob("*.jsonl")
    touches = [event.touch for event in read(recording).touches("human")]
    assert touches[-1].knobs[:3] == pytest.approx((51 / 127, 90 / 127, 110 / 127))
    assert touches[-1].knobs[3] == 0.5
