"""Measurements: each starts an engine and adds its figures to a report."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass

from robojam.bench.client import BenchError, EngineProcess, engine, window
from robojam.bench.noise import bare_timer
from robojam.bench.report import Report, percentile

#: Options that make a solo play 60 touches a second; the model plays about 28 by itself.
FASTER = ("--timescale", "0.46")


def idle(report: Report, seconds: float, *options: str) -> None:
    """Report how soon an engine is ready, and the CPU and memory it takes while it waits."""
    with engine(*options) as e:
        report.add("ready after the command", e.ready_s, "s", 2)
        report.add("CPU at rest", e.cpu_share(seconds), "% of a core", 1)
        memory = _memory(e)
        if not math.isnan(memory):
            report.add("memory", memory, "MB", 500, note="the most that was resident")
    report.add("robojam --help", command_time("-m", "robojam", "--help"), "s", 0.2)


def beyond_dt(e: EngineProcess, touches: int) -> list[float]:
    """Return how many milliseconds after their dt the answers of a duet to landings come."""
    beyond: list[float] = []
    e.send("/robojam/down", "iff", 1, 0.5, 0.5)
    list(e.messages(time.perf_counter() + 0.3))
    for i in range(touches):
        angle = i / 9
        x, y = 0.5 + 0.3 * math.cos(angle), 0.5 + 0.3 * math.sin(angle)
        sent = e.send("/robojam/down", "iff", 1, x, y)
        # The next landing comes after the answer. A touch that the machine played before it
        # received the landing comes sooner than its dt.
        for message in e.messages(sent + 1.0):
            if message.is_touch and message.at - sent >= message.args[3]:
                beyond.append(1000 * (message.at - sent - message.args[3]))
                break
    return beyond


def duet(report: Report, touches: int, *options: str) -> None:
    """Report the latency of an answer beyond its dt."""
    with engine("--mode", "duet", *options) as e:
        beyond = beyond_dt(e, touches)
    note = f"{len(beyond)} answers to {touches} landings"
    for share, limit in ((0.5, 0.7), (0.99, 2)):
        name = f"touch in to touch out beyond dt, p{100 * share:g}"
        report.add(name, percentile(beyond, share), "ms", limit, note=note, kind="latency")
        note = ""


def turns(report: Report, rounds: int, *options: str) -> None:
    """Report how soon the machine answers a silence, and stops when the human is back."""
    threshold = 0.2
    answered: list[float] = []
    stopped: list[float] = []
    late_touches = 0
    with engine("--threshold", str(threshold), *options) as e:
        for _ in range(rounds):
            sent = e.send("/robojam/down", "iff", 1, 0.4, 0.4)
            e.send("/robojam/up", "i", 1)
            played = 0
            for message in e.messages(sent + 4.0):
                if not message.is_touch:
                    continue
                if played == 0:
                    answered.append(1000 * (message.at - sent - threshold - message.args[3]))
                played += 1
                if played == 12:
                    break
            back = e.send("/robojam/down", "iff", 1, 0.6, 0.6)
            e.send("/robojam/up", "i", 1)
            for message in e.messages(back + 0.15):
                if message.address == "/robojam/ai/up":
                    stopped.append(1000 * (message.at - back))
                elif message.is_touch and message.at > back + 0.002:
                    late_touches += 1
            list(e.messages(time.perf_counter() + 0.01))
        planned = e.status()["planned"]
    late = f"{late_touches} touches sounded later than 2 ms after"
    for name, times, note in (
        (
            "silence to first answer, beyond threshold and dt",
            answered,
            f"answers, {planned} of them planned",
        ),
        ("human returns to finger lifted", stopped, f"times; {late}"),
    ):
        value, note = percentile(times, 0.99), f"{len(times)} {note}"
        report.add(f"{name}, p99", value, "ms", 2, note=note, kind="latency")


def plans(report: Report, rounds: int, *options: str) -> None:
    """Report the CPU time that the plan of an answer of 5 s takes: in the silence before it."""
    spent = {"planned": 0.0, "plain": 0.0}
    with engine("--threshold", "0.6", "--response", "5", *options) as e:
        for kind in spent:
            if kind == "plain":
                planned = e.status()["planned"]
                e.send("/robojam/follow", "f", 0.0)
                e.send("/robojam/memory", "f", 0.0)
            for _ in range(rounds):
                for i in range(90):
                    angle = i / 9
                    x, y = 0.5 + 0.3 * math.cos(angle), 0.5 + 0.3 * math.sin(angle)
                    e.send("/robojam/move", "iff", 1, x, y)
                    list(e.messages(time.perf_counter() + 0.017))
                e.send("/robojam/up", "i", 1)
                before = e.status()["cpu_s"]
                list(e.messages(time.perf_counter() + 0.5))
                spent[kind] += (e.status()["cpu_s"] - before) / rounds
                next((m for m in e.messages(time.perf_counter() + 5.0) if m.is_touch), None)
    cost = 1000 * (spent["planned"] - spent["plain"])
    note = f"{planned} of {rounds} were finished in the silence"
    report.add("plan of an answer of 5 s", cost, "ms of a core", 60, note=note)


def solo(report: Report, touches: int, *options: str, with_window: bool = False) -> None:
    """Report drift and jitter of a solo that is recorded, with a monitor or a window."""
    with (
        engine("--mode", "solo", *options) as e,
        bare_timer() as bare,
        window(e) if with_window else nullcontext(),
    ):
        e.subscribe()
        received = _count_touches(e, 0.5)
        memory = _memory(e)
        at, due = receive_touches(e, touches)
        growth = _memory(e) - memory
        e.send("/robojam/pause", "i", 1)
        received += len(at) + _count_touches(e, 0.3)
        lost = e.status()["played"] - received
    errors = lateness(at, due)
    where = "with a window drawing: " if with_window else "solo: "
    if not with_window:
        note = f"{len(at)} touches in {due[-1]:.0f} s, recorded, one monitor; {lost} lost"
        report.add("solo: drift", _drift(at, due), "%", 0.02, note=note)
        if not math.isnan(growth):
            report.add("solo: memory grown", growth, "MB", 1)
    for share in (0.5, 0.99, 0.999):
        name = f"{where}error against the due instant, p{100 * share:g}"
        noise = bare.get(str(share))
        limit = 1.0 if share == 0.99 and not with_window else None
        if noise is not None and (share, with_window) in ((0.99, True), (0.999, False)):
            limit = noise + (1 if with_window else 2)
        note = "" if noise is None else f"a bare timer beside it: {noise:.2g} ms"
        report.add(name, percentile(errors, share), "ms", limit, note=note, kind="jitter")


def busy(report: Report, seconds: float, *options: str) -> None:
    """Report the CPU time of 60 touches a second."""
    with engine("--mode", "solo", *FASTER, *options) as e:
        list(e.messages(time.perf_counter() + 1.0))
        before = e.status()
        share = e.cpu_share(seconds)
        after = e.status()
    rate = (after["played"] - before["played"]) / (after["uptime_s"] - before["uptime_s"])
    note = f"at {rate:.0f} touches a second, recorded"
    share *= 60 / max(rate, 1)
    report.add("CPU at 60 touches a second", share, "% of a core", 10, note=note)


@dataclass(frozen=True, slots=True)
class VoicesTiming:
    """Timing of many voices."""

    late: list[float]  # of each touch, in ms
    rate: float  # touches a second of all voices
    cores: float  # the share of a core that the engine took
    held_up: int  # how often the engine's loop was held up
    bare: dict[str, float]  # lateness of a bare timer beside it, in ms by percentile

    @property
    def touch_cost(self) -> float:
        """CPU time for one touch, all that the engine does for it, in µs."""
        return 1e6 * self.cores / self.rate if self.rate else math.nan


def time_voices(voices: int, seconds: float, *options: str) -> VoicesTiming:
    """Run many voices, each at about 60 touches a second, and time them."""
    due: dict[str, float] = {}
    offsets: list[float] = []
    # Voices without a human to listen to play about 50 touches a second at this timescale at
    # first, and 70 after ten seconds.
    pace = ("--timescale", "0.395", "--seed", "1")
    arguments = ("--mode", "solo", "--voices", str(voices), *pace)
    with engine(*arguments, *options) as e, bare_timer() as bare:
        before = e.status()
        for message in e.messages(time.perf_counter() + seconds):
            if message.is_touch:
                who = message.address.split("/")[2]
                due[who] = due.get(who, 0.0) + message.args[3]
                offsets.append(message.at - due[who])
        after = e.status()
    earliest = min(offsets, default=0.0)
    elapsed, cpu, played = (after[n] - before[n] for n in ("uptime_s", "cpu_s", "played"))
    late = [1000 * (offset - earliest) for offset in offsets]
    return VoicesTiming(late, played / elapsed, cpu / elapsed, after["held_up"], bare)


def many_voices(report: Report, voices: int, seconds: float, *options: str) -> None:
    """Report how late many voices are together, each at 60 touches a second."""
    timing = time_voices(voices, seconds, *options)
    rate, cost = f"{timing.rate:.0f} touches a second in all", f"{timing.touch_cost:.0f}"
    note = f"{rate}, {cost} µs of a core each; held up {timing.held_up} times"
    late = percentile(timing.late, 0.99)
    report.add(f"{voices} voices: late, p99", late, "ms", 5, note=note, kind="jitter")


def sound(report: Report, seconds: float) -> None:
    """Report the audio device's buffer, which delays the sound of a touch."""
    from robojam.sound.device import NoSoundError
    from robojam.sound.program import measure

    name, limit = "touch to sound: the device's buffer", 10.0
    try:
        info = measure(seconds)
    except NoSoundError as error:
        report.add(name, math.nan, "ms", limit, note=str(error), kind="latency")
        return
    note = (
        f"{info.name} ({info.api}); {info.asked_ms:g} ms asked for; a touch is held for"
        f" {info.wait_ms:g} ms so that all are equally late; {info.gaps} gaps"
    )
    report.add(name, info.buffer_ms, "ms", limit, note=note, kind="latency")


def receive_touches(e: EngineProcess, touches: int) -> tuple[list[float], list[float]]:
    """Receive touches; return when each arrived and was due (s). Raises BenchError for none."""
    at: list[float] = []
    due: list[float] = []
    for message in e.messages(time.perf_counter() + 60 + touches / 5):
        if message.is_touch:
            at.append(message.at)
            due.append((due[-1] if due else 0.0) + message.args[3])
            if len(at) % 200 == 0:  # a subscription lapses after ten seconds
                e.subscribe()
            if len(at) == touches:
                break
    if len(at) < 2:
        raise BenchError("the engine did not play on its own")
    return at, due


def _count_touches(e: EngineProcess, seconds: float) -> int:
    return sum(message.is_touch for message in e.messages(time.perf_counter() + seconds))


def lateness(at: list[float], due: list[float]) -> list[float]:
    """Return how late each touch arrived, in ms, against the one that was the least late."""
    offsets = [a - d for a, d in zip(at, due, strict=True)]
    earliest = min(offsets)
    return [1000 * (offset - earliest) for offset in offsets]


def _drift(at: list[float], due: list[float]) -> float:
    """Return by how much the engine plays too slow or too fast, in percent of its time."""
    offsets = [a - d for a, d in zip(at, due, strict=True)]
    third = max(len(offsets) // 3, 1)
    change = percentile(offsets[-third:], 0.5) - percentile(offsets[:third], 0.5)
    return 100 * abs(change) / (due[-1] - due[0]) * 1.5


def _memory(e: EngineProcess) -> float:
    return float(e.status().get("memory_mb") or math.nan)


def command_time(*arguments: str, best_of: int = 3) -> float:
    """Return how long Python takes with these arguments, in seconds: the best of some runs."""
    times = []
    for _ in range(best_of):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-P", *arguments], check=True, stdout=subprocess.DEVNULL
        )
        times.append(time.perf_counter() - began)
    return min(times)
