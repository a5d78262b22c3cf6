"""robojam replay, as a person or a program starts it: real processes, real sockets."""

import json
import subprocess
import time
from pathlib import Path

import msgspec
import pytest
from support.commands import run
from support.engine import (
    MODEL,
    PATIENCE,
    SOON,
    Client,
    address_of,
    command,
    first_line,
    recordings,
    run_program,
    serving,
    stop,
)
from support.recordings import HEAD, LINE

from robojam.sessions.session import EndEvent, encode, encode_header, read
from robojam.touch import is_machine

pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="no default model here")


@pytest.fixture(scope="module")
def jam(tmp_path_factory) -> Path:
    """Record a short jam, with a control, a pause and a player without phases."""
    folder = tmp_path_factory.mktemp("jam")
    with serving(folder, *SOON) as engine:
        out = engine.out
        for i in range(10):
            out.send("/touch", "fff", i / 10, 0.5, 0.02)
            out.listen(0.02)
        out.until(lambda: len(out.received) > 5)
        out.send("/robojam/temperature", "f", 0.8)
        out.send("/robojam/pause", "i", 1)
        out.listen(0.3)
        out.send("/robojam/pause", "i", 0)
        out.send("/robojam/down", "iff", 3, 0.5, 0.5)
        out.until(lambda: len(out.received) > 12)
        assert engine.end() == 0
    return recordings(folder)[-1]


def replaying(jam: Path, *options: str) -> tuple[list, str]:
    out = Client(("127.0.0.1", 0))
    process = subprocess.Popen(
        command(
            "replay",
            str(jam),
            "--osc-out",
            f"127.0.0.1:{out.port}",
            "--no-window",
            "--no-sound",
            *options,
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = first_line(process)
        assert address_of(line)
        end = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < end:
            out.listen(0.05)
        assert process.poll() == 0
        out.listen(0.05)
        return out.received, line
    finally:
        stop(process)
        out.close()


def test_replay_plays_all_players_in_time_and_ends(jam):
    session = read(jam)
    received, line = replaying(jam)
    assert "replays" in line
    events = list(session.touches())
    assert [m.name for m in received] == [f"{e.touch.who}/{e.touch.phase}" for e in events]
    shift = received[0].at - events[0].t
    off = sorted(abs(m.at - e.t - shift) for m, e in zip(received, events, strict=True))
    # Not all at once; how exactly in time they are is measured by benchmarks.
    assert off[len(off) // 2] < (events[-1].t - events[0].t) / 4


def test_replay_plays_faster_and_selected_players_alone(jam):
    session = read(jam)
    received, _ = replaying(jam, "--speed", "4", "--who", "ai")
    events = list(session.touches("ai"))
    assert [m.name for m in received] == [f"ai/{e.touch.phase}" for e in events]
    spans = received[-1].at - received[0].at, events[-1].t - events[0].t
    assert spans[1] / 8 < spans[0] < spans[1] / 2


def test_replay_is_shown_in_the_status_and_takes_pause_but_not_temperature(jam):
    out = Client(("127.0.0.1", 0))
    slow = ("--speed", "0.1", "--no-window", "--no-sound")
    process = subprocess.Popen(
        command("replay", str(jam), "--osc-out", f"127.0.0.1:{out.port}", *slow),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        out.engine = address_of(first_line(process))
        assert out.ask()["replaying"] is True
        out.send("/robojam/temperature", "f", 0.5)
        out.send("/robojam/pause", "i", 1)
        out.ask(lambda status: status["paused"] and status["dropped"] == {"replaying": 1})
    finally:
        stop(process)
        out.close()


def test_replay_without_such_a_player_or_recording_is_refused(jam, tmp_path):
    (tmp_path / "empty.jsonl").write_bytes(b"")
    lines = jam.read_bytes().splitlines(keepends=True)
    (tmp_path / "bad.jsonl").write_bytes(lines[0] + b'{"t": 0.5, "set": {"brightness": 3}}\n')
    for arguments, message in (
        ([str(jam), "--who", "human7"], "nobody named human7 plays there; there is human, ai"),
        ([str(tmp_path / "none.jsonl")], "none.jsonl: cannot be read: No such file"),
        ([str(tmp_path / "empty.jsonl")], "empty.jsonl: is empty"),
        (
            [str(tmp_path / "bad.jsonl"), "--strict"],
            "bad.jsonl, line 2: there is no control 'brightness'",
        ),
        ([str(jam), "--speed", "0"], "'0' is not a number above 0"),
        ([str(jam), "--regenerate"], "--regenerate wants --to FILE"),
        ([str(jam), "--to", "x"], "--to goes with --regenerate"),
        ([str(jam), "--regenerate", "--to", str(jam)], "is the recording itself"),
        ([str(jam), "--regenerate", "--to", str(tmp_path)], "cannot write"),
    ):
        ran = run_program("replay", "--no-window", *arguments)
        assert ran.returncode == 2, ran
        assert message in ran.stderr
        assert ran.stderr.count("\n") == 1, ran.stderr
    assert jam.read_bytes() == b"".join(lines)


def test_replay_tells_of_a_long_time_without_a_touch(tmp_path, capsys):
    path = tmp_path / "jam.jsonl"
    path.write_bytes(HEAD + LINE + encode(EndEvent(1e9, "quit")))
    words = ("replay", path, "--no-window", "--who", "human7")
    assert "nothing is played for 277777:46:40 from 0:00 on" in run(capsys, *words)[2]
    assert "nothing is played" not in run(capsys, *words, "--speed", "1e8")[2]


def test_regenerated_recording_is_the_same_to_the_byte_and_differences_are_named(jam, tmp_path):
    to = tmp_path / "again.jsonl"
    ran = run_program("replay", str(jam), "--regenerate", "--to", str(to))
    assert ran.returncode == 0, ran
    assert ran.stdout.splitlines()[-1] == "the same, touch for touch"
    assert to.read_bytes() == jam.read_bytes()
    session = read(jam)
    moved = json.loads(encode_header(session.header))
    moved["build"], moved["device"] = "another build", "cuda"
    moved["options"]["model"] = "/no/longer/there.safetensors"
    moved["model"]["sha256"] = "00"
    (tmp_path / "moved.jsonl").write_text(
        json.dumps(moved) + "\n" + "".join(encode(e).decode() for e in session.events)
    )
    ran = run_program("replay", str(tmp_path / "moved.jsonl"), "--regenerate", "--to", str(to))
    assert ran.returncode == 0, ran
    assert "model differs: recorded with touch.safetensors (00…), now touch" in ran.stdout
    assert "build differs: recorded with another build, now robojam" in ran.stdout
    ran = run_program("replay", str(jam), "--regenerate", "--to", str(to), "--model", "none")
    assert (ran.returncode, ran.stderr) == (2, "robojam: there is no model file none\n")


def test_second_part_of_a_jam_says_where_the_first_is(jam, tmp_path):
    session = read(jam)
    header = msgspec.structs.replace(session.header, continues="first.jsonl")
    part = tmp_path / "part.jsonl"
    part.write_bytes(encode_header(header) + encode(EndEvent(0.0, "quit")))
    for how in ((), ("--regenerate", "--to", str(tmp_path / "again.jsonl"))):
        ran = run_program("replay", str(part), "--no-window", "--no-sound", *how)
        assert ran.returncode == 0, ran
        assert "'first.jsonl'" in ran.stderr + ran.stdout


def test_regeneration_with_one_touch_altered_gives_another_answer_from_there_on(jam, tmp_path):
    lines = jam.read_bytes().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if b'"x":0.5' in line or b'"x":0.6' in line)
    event = json.loads(lines[at])
    altered = json.dumps({**event, "x": 0.05}).encode() + b"\n"
    changed = tmp_path / "altered.jsonl"
    changed.write_bytes(b"".join([*lines[:at], altered, *lines[at + 1 :]]))
    ran = run_program("replay", str(changed), "--regenerate", "--to", str(tmp_path / "b.jsonl"))
    assert "differs from line" in ran.stdout
    was, now = read(jam), read(tmp_path / "b.jsonl")
    assert now.events[: at - 1] == was.events[: at - 1]
    after = was.events[at - 1].t
    played = [
        [e for e in s.touches() if is_machine(e.touch.who) and e.t > after] for s in (was, now)
    ]
    assert played[0][0] != played[1][0]


def test_replay_turns_the_knobs_of_the_jam_but_not_those_of_a_host_that_it_names(jam, tmp_path):
    session = read(jam)
    elsewhere = Client(("127.0.0.1", 0))
    rows = {
        "across": {"target": "osc /across", "source": "x"},
        "far": {"target": "osc /far", "source": "x", "port": f"127.0.0.1:{elsewhere.port}"},
    }
    options = session.header.options | {"map": {"out": rows}}
    header = msgspec.structs.replace(session.header, options=options)
    path = tmp_path / "mapped.jsonl"
    path.write_bytes(b"".join([encode_header(header), *map(encode, session.events)]))
    received, _ = replaying(path, "--speed", "4")
    turned = [m.args[0] for m in received if m.address == "/across"]
    played = [
        m.args[1] for m in received if m.address in ("/robojam/ai/down", "/robojam/ai/move")
    ]
    assert turned
    assert set(turned) <= set(played)
    assert turned[-1] == played[-1]  # also where it came within 4 ms of the one before
    assert not elsewhere.receive(0.2)
    elsewhere.close()
