"""Measure many rooms behind one door: lateness, touches lost, load, memory, a killed engine.

    python benchmarks/rooms.py [--rooms 1 5 10 20 30] [--seconds 30] [--players 2] [--kill]
        [--ray [--silent]]

Each row is a `robojam host` of its own with as many rooms, and scripted players in a process
of their own: each slides for 1.5 s, and is silent for 2.5 s, in which the machine answers. What
was sent is compared with the recordings; a player whose connection ends plays no more. With
--kill the engine of one room is killed in the middle, and the time until its players hear one
another again is measured; these play without a pause. With --ray the rooms are on a cluster of
three nodes on this machine, and with --kill all processes of one of them are killed, or, with
--silent, stopped, so that no connection ends, as when a machine loses its power. The load of
the machine before each row is in it. Options of `robojam host` may follow.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

from _output import argument_parser, print_and_save

from robojam.sessions.session import read

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.raw_page import RawPage
from support.ray_nodes import descendants, send_signal, three_nodes

_STROKE, _PAUSE = 1.5, 2.5
_PATIENCE = 120.0


class _Player(RawPage):
    """Page that notes when it last heard somebody else play."""

    heard_at = 0.0

    def _take(self, kind: int, body: bytes) -> None:
        if body.startswith(b'["f"') and b'"web-' in body:
            self.heard_at = time.perf_counter()
        super()._take(kind, body)


async def _play(
    page: RawPage, rate: float, until: float, offset: float, sent: list[int], pause: float
) -> None:
    at = time.perf_counter() + offset
    number = 0
    while at < until:
        for step in range(int(_STROKE * rate)):
            if (wait := at + step / rate - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            if page.ended.is_set():  # a real page comes back by itself; this one does not
                return
            kind = "m" if step else "d"
            x, y = 0.1 + step % 40 / 50, round(0.2 + number % 50 / 100, 4)
            page.send("t", round(1000 * time.perf_counter(), 1), [[kind, 1, x, y]])
            sent[0] += 1
        page.send("t", round(1000 * time.perf_counter(), 1), [["u", 1]])
        sent[0] += 1
        number += 1
        at += _STROKE + pause


def _crowd(
    pipe: Connection, url: str, rooms: list[str], players: int, rate: float, seconds: float,
    *, killed: bool,
) -> None:  # fmt: skip
    """Play in all rooms; send back what was sent in each, and when the killed one was back."""

    async def run() -> None:
        pages: dict[str, list[_Player]] = {}
        for number, room in enumerate(rooms):
            at = url.replace("/?", f"/rooms/{room}/?")
            host = f"127.0.{1 + number // 200}.{1 + number % 200}"
            made = [await _Player.connect(at, host=host) for _ in range(players)]
            for page in made:
                await page.welcomed
            pages[room] = made
        sent = {room: [[0] for _ in made] for room, made in pages.items()}
        until = time.perf_counter() + seconds
        pipe.send("playing")
        tasks = [
            asyncio.create_task(
                _play(
                    page, rate, until, (i * 0.37 + j * 0.11) % 4, sent[room][j],
                    0.0 if killed and i == 0 else _PAUSE,
                )
            )
            for i, (room, made) in enumerate(pages.items())
            for j, page in enumerate(made)
        ]  # fmt: skip
        back = None
        if killed:
            await asyncio.sleep(seconds / 2)
            pipe.send("kill")
            kill_at = await asyncio.to_thread(pipe.recv)
            first = pages[rooms[0]]
            await asyncio.sleep(0.15)  # what was under way
            mark = time.perf_counter()
            while not any(page.heard_at > mark for page in first):
                if time.perf_counter() > until:
                    break
                await asyncio.sleep(0.002)
            else:
                back = time.perf_counter() - kill_at
        await asyncio.gather(*tasks)
        await asyncio.sleep(3)
        ended = sum(page.ended.is_set() for made in pages.values() for page in made)
        counts = {room: sum(each[0] for each in made) for room, made in sent.items()}
        pipe.send({"sent": counts, "back": back, "pages_that_ended": ended})

    asyncio.run(run())


def _pss(process: int) -> float:
    """Return the memory of a process in MB, with its part of what it shares."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    return 0.0


def _children(parent: int) -> dict[int, str]:
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            above = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if above == parent:
                found[int(path.name)] = (path / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _heard(folder: Path) -> int:
    """Return the touches of humans in the recordings of a room; of one that goes on, all."""
    paths = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    events = [e for e in read(paths[-1]).events if hasattr(e, "touch")] if paths else []
    return sum(e.touch.who.startswith("human") for e in events)


def _report(page: str) -> dict[str, Any]:
    with urlopen(page.replace("/host?", "/host.json?"), timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def _node_of(raylets: Mapping[str, int], place: str) -> str:
    return next(node for node in raylets if f", {node[:6]})" in place)


def _measure(count: int, args: Any, options: list[str]) -> dict[str, Any]:
    figures: dict[str, Any] = {"load_before": round(os.getloadavg()[0], 2)}
    with TemporaryDirectory() as folder, ExitStack() as stack:
        raylets, env = dict[str, int](), dict(os.environ)
        if args.ray:
            address, raylets, env = stack.enter_context(three_nodes())
            options = [*options, "--ray", address]
        began = time.perf_counter()
        host = subprocess.Popen(
            [sys.executable, "-m", "robojam", "host", "--rooms", str(count), "--web",
             "127.0.0.1:0", "--sessions", folder, "--seed", "1", *options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env,
        )  # fmt: skip
        assert host.stdout is not None
        url = host.stdout.readline().split(" on ")[1].split()[0]
        page = host.stdout.readline().split(": ")[1].strip()
        while not all(room["up"] for room in _report(page)["rooms"]):
            time.sleep(0.1)
            assert time.perf_counter() - began < _PATIENCE
        figures["all_up_after_s"] = round(time.perf_counter() - began, 2)
        time.sleep(args.settle)
        places = {room["name"]: room["place"] for room in _report(page)["rooms"]}
        rooms, killed = list(places), list(places)[:1]
        if raylets:  # the host is on the first node, which is not killed
            nodes = {each: _node_of(raylets, place) for each, place in places.items()}
            rooms.sort(key=lambda name: nodes[name] == next(iter(raylets)))
            killed = [name for name in rooms if nodes[name] == nodes[rooms[0]]]
        programs = _children(host.pid)
        pipe, theirs = multiprocessing.Pipe()
        crowd = multiprocessing.get_context("spawn").Process(
            target=_crowd,
            args=(theirs, url, rooms, args.players, args.rate, args.seconds),
            kwargs={"killed": args.kill},
            daemon=True,
        )
        crowd.start()
        assert pipe.recv() == "playing"
        before, at = {each: _cpu(each) for each in programs}, time.monotonic()
        message = pipe.recv()
        if message == "kill":
            if raylets:
                send_signal(
                    descendants(raylets[nodes[rooms[0]]]),
                    signal.SIGSTOP if args.silent else signal.SIGKILL,
                )
            else:
                found = (each for each, words in programs.items() if '/room-1"' in words)
                engine = next(found)
                os.kill(engine, signal.SIGKILL)
                del before[engine], programs[engine]
            pipe.send(time.perf_counter())
            message = pipe.recv()
        used = {each: (_cpu(each) - before[each]) / (time.monotonic() - at) for each in before}
        told = _report(page)["rooms"]
        engines = [each for each, words in programs.items() if " serve " in words]
        gateway = next(each for each, words in programs.items() if "gateway_program" in words)
        figures |= {
            "cores_of_a_room": round(statistics.mean(used[each] for each in engines), 4)
            if engines else None,
            "cores_of_the_gateway": round(used[gateway], 4),
            "mb_of_a_room": round(statistics.mean(map(_pss, engines)), 1) if engines else None,
            "mb_of_the_gateway": round(_pss(gateway), 1),
        }  # fmt: skip
        crowd.join()
        host.send_signal(signal.SIGINT)
        host.wait(_PATIENCE)
        p99 = sorted(room["late_ms_p99"] for room in told if room["late_ms_p99"] is not None)
        sent = message["sent"]
        lost = {room: sent[room] - _heard(Path(folder, room)) for room in rooms}
        size = sum(path.stat().st_size for path in Path(folder).glob("*/*.jsonl"))
        figures |= {
            "late_ms_p99_of_the_median_room": round(statistics.median(p99), 2),
            "late_ms_p99_of_the_worst_room": round(p99[-1], 2),
            "touches_sent": sum(sent.values()),
            "touches_played": sum(room["played"] or 0 for room in told),
            "touches_lost": sum(lost.values())
            - (sum(lost[name] for name in killed) if args.kill else 0),
            "pages_that_ended": message["pages_that_ended"],
            "recorded_kb_a_minute_of_a_room": round(
                size / 1000 / count / (args.seconds / 60), 1
            ),
        }
        if args.kill:
            figures |= {
                "killed_back_after_s": message["back"] and round(message["back"], 2),
                "touches_lost_of_the_killed": [lost[name] for name in killed],
                "killed_back_in_s_by_the_gateway": [
                    room["back_in"] and round(room["back_in"], 2)
                    for room in told
                    if room["name"] in killed
                ],
            }
    return figures


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--rooms", type=int, nargs="+", default=[1, 5, 10, 20, 30])
    parser.add_argument("--players", type=int, default=2, help="of each room")
    parser.add_argument("--rate", type=float, default=20, help="touches a second of a stroke")
    parser.add_argument("--seconds", type=float, default=30, help="of each row")
    parser.add_argument("--settle", type=float, default=20, help="seconds after the start")
    parser.add_argument(
        "--kill", action="store_true", help="kill the engine of one room, or a node"
    )
    parser.add_argument("--ray", action="store_true", help="on a cluster of three nodes here")
    parser.add_argument("--silent", action="store_true", help="stop the node instead")
    args, options = parser.parse_known_args()
    figures = {f"{count} rooms": _measure(count, args, options) for count in args.rooms}
    print_and_save(figures, args.json)


if __name__ == "__main__":
    main()
