"""The measurements: each starts an engine of its own, and adds its figures to a report."""

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

#: The model plays about 28 touches a second by itself: so 60.
FASTER = ("--timescale", "0.46")


def rest(report: Report, seconds: float, *options: str) -> None:
    """What an engine costs that waits, and how soon it is there."""
    torch = command_time("-c", "import torch", best_of=1)
    with engine(*options) as e:
        note = f"import torch takes {torch:.1f} s, and is not waited for on a CPU"
        report.add("ready after the command", e.ready_s, "s", torch + 0.7, note=note)
        report.add("CPU at rest", e.cpu_share(seconds), "% of a core", 1)
        memory = e.status().get("memory_mb")
        if memory:
            report.add("memory", memory, "MB", 500, note="the largest it was, resident")
    report.add("robojam --help", command_time("-m", "robojam", "--help"), "s", 0.2)


def duet(report: Report, touches: int, *options: str) -> None:
    """Latency of an answer beyond the dt that it was due after."""
    beyond: list[float] = []
    with engine("--mode", "duet", *options) as e:
        e.send("/robojam/down", "iff", 1, 0.5, 0.5)
        list(e.feed(time.perf_counter() + 0.3))
        for i in range(touches):
            angle = i / 9
            x, y = 0.5 + 0.3 * math.cos(angle), 0.5 + 0.3 * math.sin(angle)
            sent = e.send("/robojam/move", "iff", 1, x, y)
            # The next touch goes out when the answer has come, as a finger moves: about
            # every 17 ms. An answer that is due much later is left to be replaced.
            for heard in e.feed(sent + 0.1):
                if heard.is_touch:
                    beyond.append(1000 * (heard.at - sent - heard.args[3]))
                    break
        replaced = e.status()["replaced"]
    note = f"{len(beyond)} answers, {replaced} replaced by a newer touch before they were due"
    for share, limit in ((0.5, 0.7), (0.99, 2)):
        name = f"touch in to touch out beyond dt, {_p(share)}"
        report.add(name, percentile(beyond, share), "ms", limit, note=note, kind="latency")
        note = ""


def turns(report: Report, rounds: int, *options: str) -> None:
    """How soon the machine answers a silence, and is still when the human is back."""
    threshold = 0.2
    answered: list[float] = []
    stilled: list[float] = []
    after = 0
    with engine("--threshold", str(threshold), *options) as e:
        for _ in range(rounds):
            sent = e.send("/robojam/down", "iff", 1, 0.4, 0.4)
            e.send("/robojam/up", "i", 1)
            played = 0
            for heard in e.feed(sent + 4.0):
                if not heard.is_touch:
                    continue
                if played == 0:
                    answered.append(1000 * (heard.at - sent - threshold - heard.args[3]))
                played += 1
                if played == 12:
                    break
            back = e.send("/robojam/down", "iff", 1, 0.6, 0.6)
            e.send("/robojam/up", "i", 1)
            for heard in e.feed(back + 0.15):
                if heard.address == "/robojam/ai/up":
                    stilled.append(1000 * (heard.at - back))
                elif heard.is_touch and heard.at > back + 0.002:
                    after += 1
            list(e.feed(time.perf_counter() + 0.01))
    report.add(
        "silence to first answer, beyond threshold and dt, p99",
        percentile(answered, 0.99),
        "ms",
        2,
        note=f"{len(answered)} answers",
        kind="latency",
    )
    report.add(
        "human returns to finger lifted, p99",
        percentile(stilled, 0.99),
        "ms",
        2,
        note=f"{len(stilled)} times; {after} touches sounded later than 2 ms after",
        kind="latency",
    )


def solo(report: Report, touches: int, *options: str, drawn: bool = False) -> None:
    """Drift and jitter of the machine on its own, recording, with a monitor or a window."""
    with (
        engine("--mode", "solo", *options) as e,
        bare_timer() as bare,
        window(e) if drawn else nullcontext(),
    ):
        e.watch()
        heard = _touches(e, 0.5)
        memory = _memory(e)
        at, due = _played(e, touches)
        grown = _memory(e) - memory
        e.send("/robojam/pause", "i", 1)
        heard += len(at) + _touches(e, 0.3)
        lost = e.status()["played"] - heard
    errors = _errors(at, due)
    where = "with a window drawing: " if drawn else "solo: "
    if not drawn:
        note = f"{len(at)} touches in {due[-1]:.0f} s, recorded, one monitor; {lost} lost"
        report.add("solo: drift", _drift(at, due), "%", 0.02, note=note)
        if not math.isnan(grown):
            report.add("solo: memory grown", grown, "MB", 1)
    for share in (0.5, 0.99, 0.999):
        name = f"{where}error against the due instant, {_p(share)}"
        noise = bare.get(str(share), math.nan)
        limit = 1.0 if share == 0.99 and not drawn else None
        if share == 0.99 and drawn and not math.isnan(noise):
            limit = noise + 1
        if share == 0.999 and not drawn and not math.isnan(noise):
            limit = noise + 2
        note = "" if math.isnan(noise) else f"a bare timer beside it: {noise:.2g} ms"
        report.add(name, percentile(errors, share), "ms", limit, note=note, kind="jitter")


def beside_a_window(report: Report, touches: int, *options: str) -> None:
    """The same with a window attached that draws."""
    solo(report, touches, *options, drawn=True)


def busy(report: Report, seconds: float, *options: str) -> None:
    """What 60 touches a second cost."""
    with engine("--mode", "solo", *FASTER, *options) as e:
        list(e.feed(time.perf_counter() + 1.0))
        before = e.status()
        share = e.cpu_share(seconds)
        after = e.status()
    rate = (after["played"] - before["played"]) / (after["uptime_s"] - before["uptime_s"])
    note = f"at {rate:.0f} touches a second, recorded"
    report.add(
        "CPU at 60 touches a second", share * 60 / max(rate, 1), "% of a core", 10, note=note
    )


@dataclass(frozen=True, slots=True)
class Sung:
    """What many voices did: how late each touch was, in ms, and what it cost.

    rate is in touches a second, of all voices; core the share of a core that the engine took;
    bare, how late a bare timer was beside it, in ms by percentile.
    """

    late: list[float]
    rate: float
    core: float
    held_up: int
    bare: dict[str, float]

    @property
    def each(self) -> float:
        """CPU time of a touch, all that the engine does for it, in µs."""
        return 1e6 * self.core / self.rate if self.rate else math.nan


def sing(voices: int, seconds: float, *options: str) -> Sung:
    """Let many voices play, each at about 60 touches a second."""
    due: dict[str, float] = {}
    offsets: list[float] = []
    # Voices that hear no human play about 50 touches a second at that timescale at first,
    # and 70 after ten seconds.
    pace = ("--timescale", "0.395", "--seed", "1")
    arguments = ("--mode", "solo", "--voices", str(voices), *pace)
    with engine(*arguments, *options) as e, bare_timer() as bare:
        before = e.status()
        for heard in e.feed(time.perf_counter() + seconds):
            if heard.is_touch:
                who = heard.address.split("/")[2]
                due[who] = due.get(who, 0.0) + heard.args[3]
                offsets.append(heard.at - due[who])
        after = e.status()
    early = min(offsets, default=0.0)
    spent, cpu, played = (
        after[name] - before[name] for name in ("uptime_s", "cpu_s", "played")
    )
    late = [1000 * (offset - early) for offset in offsets]
    return Sung(late, played / spent, cpu / spent, after["held_up"], bare)


def choir(report: Report, voices: int, seconds: float, *options: str) -> None:
    """How late many voices are together, each at 60 touches a second."""
    sung = sing(voices, seconds, *options)
    note = (
        f"{sung.rate:.0f} touches a second in all, {sung.each:.0f} µs of a core each;"
        f" held up {sung.held_up} times"
    )
    name = f"{voices} voices: late, p99"
    report.add(name, percentile(sung.late, 0.99), "ms", 5, note=note, kind="jitter")


def sound(report: Report, seconds: float) -> None:
    """What buffer the audio device gives, which a touch waits for to be heard."""
    from robojam.sound import measure
    from robojam.sound.device import NoSoundError

    name, limit = "touch to sound: the device's buffer", 10.0
    try:
        got = measure(seconds)
    except NoSoundError as error:
        report.add(name, math.nan, "ms", limit, note=str(error), kind="latency")
        return
    note = (
        f"{got.name} ({got.api}); {got.asked_ms:g} ms asked for; a touch is held for"
        f" {got.wait_ms:g} ms so that all are equally late; {got.gaps} gaps"
    )
    report.add(name, got.buffer_ms, "ms", limit, note=note, kind="latency")


def _played(e: EngineProcess, touches: int) -> tuple[list[float], list[float]]:
    """Hear so many touches: when each came, and when it was due since the beginning."""
    at: list[float] = []
    due: list[float] = []
    for heard in e.feed(time.perf_counter() + 60 + touches / 5):
        if heard.is_touch:
            at.append(heard.at)
            due.append((due[-1] if due else 0.0) + heard.args[3])
            if len(at) % 200 == 0:  # a monitor lapses after ten seconds
                e.watch()
            if len(at) == touches:
                break
    if len(at) < 2:
        raise BenchError("the engine did not play on its own")
    return at, due


def _touches(e: EngineProcess, seconds: float) -> int:
    """Hear some seconds; return how many touches came."""
    return sum(heard.is_touch for heard in e.feed(time.perf_counter() + seconds))


def _errors(at: list[float], due: list[float]) -> list[float]:
    """How late each touch was, in ms, counted from the one that was the least late."""
    offsets = [a - d for a, d in zip(at, due, strict=True)]
    early = min(offsets)
    return [1000 * (offset - early) for offset in offsets]


def _drift(at: list[float], due: list[float]) -> float:
    """By how much of its own time it plays too slow or too fast, in percent."""
    offsets = [a - d for a, d in zip(at, due, strict=True)]
    third = max(len(offsets) // 3, 1)
    gone = percentile(offsets[-third:], 0.5) - percentile(offsets[:third], 0.5)
    return 100 * abs(gone) / (due[-1] - due[0]) * 1.5


def _memory(e: EngineProcess) -> float:
    return float(e.status().get("memory_mb") or math.nan)


def _p(share: float) -> str:
    return f"p{100 * share:g}"


def command_time(*arguments: str, best_of: int = 3) -> float:
    """Return how long a Python command takes, in seconds."""
    times = []
    for _ in range(best_of):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return min(times)
