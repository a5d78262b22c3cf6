"""ports: what is on this machine and on the network, and what to type."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, Final

from robojam.cli import arguments
from robojam.config.addresses import parse_address, parse_output, parse_tuio
from robojam.config.options import OPTIONS, Options

#: Seconds to wait for an engine's status.
_ANSWER = 0.3


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument(
        "--no-network", action="store_true", help="do not look around on the network"
    )


def _ports(chosen: argparse.Namespace) -> int:
    about: dict[str, Any] = {}
    with ThreadPoolExecutor() as asked:  # each of them waits for something else
        answers: dict[str, Future[Any]] = {
            "addresses": asked.submit(_addresses),
            "osc": asked.submit(_osc),
            "midi": asked.submit(_midi),
            "audio": asked.submit(_audio),
            "compute": asked.submit(_compute),
        }
        if not chosen.no_network:
            print("looking for OSC programs on the network …", file=sys.stderr, flush=True)
            answers["network"] = asked.submit(_network)
        for name, answer in answers.items():
            try:
                about[name] = answer.result()
            except (ImportError, OSError, RuntimeError, ValueError) as error:
                about[name] = {"error": " ".join(str(error).split()) or type(error).__name__}
    about["type"] = _what_to_type(about)
    if chosen.json:
        print(json.dumps(about, indent=1))
    else:
        _screen(about)
    return 0


# -- what there is ---------------------------------------------------------------------------


def _addresses() -> list[str]:
    from robojam.ports.discovery import addresses

    return addresses()


def _osc() -> list[dict[str, Any]]:
    """Say of each address that an engine takes unless told otherwise whether it is free."""
    chosen = Options()
    host, port = parse_address(chosen.osc_in)
    wanted = [("osc-in", host, port)]
    tuio = parse_tuio(chosen.tuio_in, default_host=host)
    if tuio is not None:
        wanted.append(("tuio-in", *tuio))
    wanted += [("osc-out", *parse_output(out)[:2]) for out in chosen.osc_out]
    return [
        {"for": name, "address": f"{host}:{port}", "used by": _used_by(host, port)}
        for name, host, port in wanted
    ]


def _used_by(host: str, port: int) -> str | None:
    """Say who listens at an address of this machine; None when nobody does."""
    from robojam.ports.udp import Endpoint, PortError

    try:
        Endpoint(host, port).close()
    except PortError:
        return _engine_at(host, port) or "another program"
    return None


def _engine_at(host: str, port: int) -> str | None:
    """Ask for the status of an engine; None when none answers."""
    import select

    from robojam.ports.udp import Endpoint
    from robojam.wire import osc

    with closing(Endpoint(host, 0)) as asking:
        asking.send(osc.encode("/robojam/status"), (host, port))
        select.select([asking], [], [], _ANSWER)
        got = asking.receive()
        messages = osc.decode(got[0])[0] if got else []
    if not messages or messages[0].address != "/robojam/status" or messages[0].tags != "s":
        return None
    try:
        status = json.loads(messages[0].args[0])
        return f"robojam: {status['mode']}, {status['model']}"
    except (ValueError, KeyError, TypeError):
        return None


def _named(module: str, function: str) -> Callable[[], Any]:
    """Find a function of a part of robojam that may not have come along."""
    from importlib import import_module

    try:
        return getattr(import_module(module), function)  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as error:
        raise ImportError("not in this version") from error


def _midi() -> dict[str, list[str]]:
    found = _named("robojam.ports.midi_client", "list_ports")()
    return {"in": list(found["in"]), "out": list(found["out"])}


def _audio() -> list[dict[str, str]]:
    return [{"name": d.name, "api": d.api} for d in _named("robojam.sound", "devices")()]


def _compute() -> list[dict[str, str]]:
    from robojam.player.devices import choose_device

    found = [{"device": "cpu", "name": f"{os.cpu_count()} cores"}]
    best = choose_device("auto")
    if best != "cpu":
        import torch

        name = torch.cuda.get_device_name() if best == "cuda" else "Metal"
        found.insert(0, {"device": best, "name": name})
    return found


def _network() -> list[dict[str, Any]]:
    from robojam.ports import discovery

    if not discovery.is_installed():
        raise ImportError("to look around: pip install 'robojam[net]'")
    return [
        {"name": one.name, "address": f"{one.host}:{one.port}"} for one in discovery.browse()
    ]


# -- what to type ----------------------------------------------------------------------------


def _what_to_type(about: dict[str, Any]) -> list[dict[str, str]]:
    """Return what to type, each with what it is for."""
    known = {option.name for option in OPTIONS}
    lines = [{"what": "robojam jam", "for": "jam in a window, with mouse and fingers"}]

    def add(options: str, why: str) -> None:
        lines.append({"what": f"robojam jam {options}", "for": why})

    used = [one["used by"] for one in about["osc"] if one["for"] == "osc-in"]
    if used != [None]:
        add("--osc-in 127.0.0.1:5015", f"a second engine, for {used[0]} has the first port")
    reached = about["addresses"]
    if reached and isinstance(reached, list):
        add(
            "--osc-in 0.0.0.0:5005 --touchosc learn",
            f"a phone or tablet that sends to {reached[0]}, port 5005",
        )
    for one in _listed(about.get("network")):
        if one["address"].rpartition(":")[0] in reached and "robojam" in one["name"]:
            continue
        dialect = "/touchosc --touchosc learn" if "touchosc" in one["name"].lower() else ""
        add(f"--osc-out {one['address']}{dialect}", f"play to {one['name']}")
    midi = about["midi"] if "error" not in about["midi"] else {}
    for name, ports in midi.items():
        for port in ports[:2] if f"midi-{name}" in known else []:
            why = f"listen to {port}" if name == "in" else f"play {port}"
            add(f"--midi-{name} {shlex.quote(port)}", why)
    return lines


def _listed(found: Any) -> list[dict[str, Any]]:
    return found if isinstance(found, list) else []


# -- on one screen ---------------------------------------------------------------------------


def _screen(about: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, show_header=False, padding=(0, 2, 0, 0))

    def rows(title: str, found: Any, lines: list[tuple[str, str]], none: str) -> None:
        if isinstance(found, dict) and "error" in found:
            lines = [("–", found["error"])]
        for i, (what, why) in enumerate(lines or [("–", none)]):
            table.add_row(Text(title if i == 0 else "", style="bold"), Text(what), Text(why))

    reached = about["addresses"]
    here = [(host, "") for host in reached] if isinstance(reached, list) else []
    rows("this machine", reached, here, "no network")
    osc = [(one["address"], f"{one['for']}: {_said(one)}") for one in _listed(about["osc"])]
    rows("OSC", about["osc"], osc, "")
    midi = about["midi"]
    ports = [(port, name) for name in ("in", "out") for port in midi.get(name, ())]
    rows("MIDI", midi, ports, "no port")
    audio = [(one["name"], one["api"]) for one in _listed(about["audio"])]
    rows("audio", about["audio"], audio, "no device")
    compute = [(one["device"], one["name"]) for one in _listed(about["compute"])]
    rows("compute", about["compute"], compute, "")
    if "network" in about:
        seen = [(one["address"], one["name"]) for one in _listed(about["network"])]
        rows("on the network", about["network"], seen, "nobody announces OSC")
    width = None if sys.stdout.isatty() else 100
    Console(width=width, highlight=False).print(table)
    longest = max(len(line["what"]) for line in about["type"])
    for line in about["type"]:  # not in the table, which would break what is to be copied
        print(f"  {line['what']:<{longest}}  {line['for']}")


def _said(one: dict[str, Any]) -> str:
    """Say who is at an address; where robojam plays to, somebody should be."""
    if one["used by"] is None:
        return "nobody listens there yet" if one["for"] == "osc-out" else "free"
    return f"in use, {one['used by']}"


COMMANDS: Final[tuple[arguments.Command, ...]] = (
    (
        "ports",
        "what is on this machine and on the network, and what to type",
        _arguments,
        _ports,
    ),
)
