"""The command status: the account of a running engine, in the terminal."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import click

from robojam.cli.arguments import Command, json_option, option
from robojam.cli.output import duration, fail
from robojam.config.addresses import parse_address, reachable
from robojam.ports.engine_status import Status, ask
from robojam.system.shell import printable

#: Address at which an engine is asked without another.
_ENGINE: Final = "127.0.0.1:5005"
#: Seconds between two accounts with --watch.
_INTERVAL: Final = 1.0
#: Players, ports or reasons that are listed of each kind, and the characters of a value.
_LISTED, _LONGEST = 40, 100


@click.command(cls=Command)
@option(
    "--engine HOST:PORT",
    f"address at which the engine listens (default: {_ENGINE})",
    default=_ENGINE,
)
@option("--watch", "show it every second, until Ctrl-C")
@json_option
def status(*, engine: str, watch: bool, as_json: bool) -> int:
    """Show what a running engine does: players, ports, delays, what it dropped."""
    try:
        address = reachable(parse_address(engine, lowest_port=1))
    except ValueError as error:
        fail(f"--engine: {error}")
    account = _asked(address, engine)
    if watch:
        with suppress(KeyboardInterrupt):
            _watch(account, address, engine, as_json=as_json)
    else:
        print(json.dumps(account, indent=1) if as_json else "\n".join(describe(account)))
    return 0


def _watch(account: Status, address: tuple[str, int], engine: str, *, as_json: bool) -> None:
    """Show the account of an engine every second, in one place of a terminal."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    if as_json:
        while True:
            print(json.dumps(account), flush=True)
            time.sleep(_INTERVAL)
            account = _asked(address, engine)
    console = Console(highlight=False)
    with Live(Text("\n".join(describe(account))), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(_INTERVAL)
            found = ask(address)
            lines = describe(found) if found else [f"no engine answers at {engine} now"]
            live.update(Text("\n".join(lines)), refresh=True)


def _asked(address: tuple[str, int], engine: str) -> Status:
    """Return an engine's status, or exit with an error."""
    found = ask(address)
    if found is None:
        fail(f"no engine answers at {engine}; robojam ports shows the addresses in use", 1)
    return found


# -- in words --------------------------------------------------------------------------------


def describe(account: Status) -> list[str]:
    """Return lines for the terminal from a status, of which any part may be missing."""
    rows = [row for row in _rows(account) if row[1]]
    width = max((len(title) for title, _ in rows), default=0)
    return [f"{title:<{width}}  {text}" for title, text in rows]


def _rows(account: Status) -> Iterator[tuple[str, str]]:
    """Yield a title and a text for each row; a title is given once for several."""
    yield "jam", _jam(account)
    yield "machine", _machine(account)
    yield "recording", _text(account.get("recording")) or "off"
    yield from _titled("players", _records(account, "players"), _player)
    yield from _titled("sends to", _records(account, "outputs"), _output)
    midi = account.get("midi")
    for side, title in (("in", "MIDI in"), ("out", "MIDI out")):
        yield from _titled(title, _records(midi, side), _midi_port)
    web = account.get("web")
    if isinstance(web, dict):
        pages = f"{_count(web.get('connections'))} open, {_count(web.get('players'))} play"
        where = _text(web.get("url")) or "no pad can be opened now"
        yield "pads", ", ".join(filter(None, (where, pages, _text(web.get("problem")))))
    sound = account.get("sound")
    if isinstance(sound, dict):
        device = _text(sound.get("name"))
        yield "sound", ", ".join(filter(None, (_text(sound.get("state")), device)))
    yield "timing", _timing(account)
    yield "windows", _count(account.get("monitors"))
    yield from _titled("loops", _records(account, "echo"), _loop)
    dropped = account.get("dropped")
    if isinstance(dropped, dict):
        counted = sorted(dropped.items(), key=lambda item: -_number(item[1]))[:_LISTED]
        reasons = [f"{_count(count)} {_text(reason)}" for reason, count in counted]
        yield "dropped", ", ".join(reasons) or "nothing"
    left_out = account.get("left_out")
    if isinstance(left_out, dict):
        missing = [f"{_count(n)} of {_text(name)}" for name, n in [*left_out.items()][:_LISTED]]
        yield "no room for", ", ".join(missing)
    trouble = account.get("trouble")
    for i, text in enumerate(trouble if isinstance(trouble, list) else []):
        yield "" if i else "trouble", _text(text)


def _jam(account: Status) -> str:
    turn = {"human": "the humans play", "ai": "the machine plays"}.get(
        _text(account.get("turn")), ""
    )
    state = "paused" if account.get("paused") else turn
    up = duration(_number(account.get("uptime_s")))
    return ", ".join(filter(None, (_text(account.get("mode")), state, f"up {up}")))


def _machine(account: Status) -> str:
    voices = _number(account.get("voices"))
    several = f", {voices:.0f} voices" if voices > 1 else ""
    model, device = _text(account.get("model")), _text(account.get("device"))
    played = f"heard {_count(account.get('heard'))}, played {_count(account.get('played'))}"
    return f"{model} on {device}{several}; {played}{_phrases(account)}"


def _phrases(account: Status) -> str:
    """Return what became of the plans of phrases."""
    counts = [_number(account.get(name)) for name in ("planned", "plans_late", "plans_dropped")]
    if account.get("plans") is False or not any(counts):
        return ""
    planned, late, dropped = counts
    more = f", {late:.0f} plans not in time" if late else ""
    more += f", {dropped:.0f} dropped as there was no time" if dropped else ""
    return f"; {planned:.0f} phrases planned{more}"


def _timing(account: Status) -> str:
    late, worst = (_number(account.get(f"late_ms_{part}")) for part in ("p99", "max"))
    held_up = _number(account.get("held_up"))
    more = f"; held up {held_up:.0f} times" if held_up else ""
    if resting := _number(account.get("resting")):
        more += f"; {resting:.0f} voices rest: there is more to play than this machine can"
    return f"99 of 100 touches at most {late:.2f} ms late, the latest {worst:.1f} ms{more}"


def _player(player: Status) -> str:
    fingers = _number(player.get("fingers"))
    silent = _number(player.get("silent_s"))
    state = f"{fingers:.0f} down" if fingers else f"silent for {duration(silent)}"
    if player.get("out"):
        state += "; it has made others wait, and they are answered as if it did not play"
    source = _text(player.get("source"))  # another machine is not told
    return f"{_text(player.get('name'))}{f' at {source}' if source else ''}: {state}"


def _output(output: Status) -> str:
    error = _text(output.get("error"))
    state = f"FAILS: {error}" if error else _text(output.get("note")) or "works"
    counts = f"{_count(output.get('sent'))} sent, {_count(output.get('unsent'))} not"
    return f"{_text(output.get('address'))} ({_text(output.get('dialect'))}): {state}; {counts}"


def _midi_port(port: Status) -> str:
    problem = _text(port.get("problem"))
    missing = "" if port.get("connected") else "not there"
    name, style = _text(port.get("port")) or _text(port.get("wanted")), _text(port.get("style"))
    state = problem or missing or f"{_count(port.get('messages'))} messages"
    return f"{name} ({style}): {state}"


def _loop(loop: Status) -> str:
    delay = _number(loop.get("delay_ms"))
    source, dropped = _text(loop.get("source")), _count(loop.get("dropped"))
    return f"{source} sends back what robojam plays, after {delay:.0f} ms; {dropped} dropped"


def _titled(title: str, records: list[Status], describe_one: Any) -> Iterator[tuple[str, str]]:
    for i, record in enumerate(records):
        yield "" if i else title, describe_one(record)


def _records(holder: object, key: str) -> list[Status]:
    found = holder.get(key) if isinstance(holder, dict) else None
    listed = found if isinstance(found, list) else []
    return [record for record in listed if isinstance(record, dict)][:_LISTED]


def _text(value: object) -> str:
    """Return a value of the status as text that a terminal can show, shortened."""
    if not isinstance(value, str | int | float):
        return ""
    return printable(str(value)[:_LONGEST])


def _number(value: object) -> float:
    """Return a number of the status; 0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    with suppress(OverflowError):
        return float(value) if math.isfinite(value) else 0.0
    return 0.0


def _count(value: object) -> str:
    return f"{_number(value):,.0f}"
