"""The command ports: what is on this machine and on the network, and what to type."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import click

from robojam.cli.arguments import Command, json_option, option
from robojam.config.addresses import (
    format_address,
    parse_address,
    parse_output,
    parse_tuio,
)
from robojam.config.options import Options
from robojam.system.shell import printable, shell_quoted
from robojam.wire.midi.styles import port_option

#: The port of an engine, and that of another beside it.
_PORT, _OTHER_PORT = 5005, 5015
#: Characters of a program's name that are shown.
_LONGEST: Final = 60
#: Seconds to wait for an engine's status.
_STATUS_WAIT: Final = 0.3


@click.command(cls=Command)
@json_option
@option("--no-network", "do not look for programs on the network")
def ports(*, as_json: bool, no_network: bool) -> int:
    """Show MIDI ports, audio and compute devices and addresses, and what to type."""
    searches = {
        "addresses": _addresses,
        "osc": _osc_addresses,
        "midi": _midi_ports,
        "serial": _serial_ports,
        "audio": _audio_devices,
        "compute": _compute_devices,
    }
    if not no_network:
        print("looking for OSC programs on the network …", file=sys.stderr, flush=True)
        searches["network"] = _network
    report: dict[str, Any] = {}
    with ThreadPoolExecutor() as pool:  # each search waits for something else
        pending = {name: pool.submit(search) for name, search in searches.items()}
        for name, result in pending.items():
            try:
                report[name] = result.result()
            except (ImportError, OSError, RuntimeError, ValueError) as error:
                report[name] = {"error": " ".join(str(error).split()) or type(error).__name__}
    report["type"] = _commands_to_type(report)
    if as_json:
        print(json.dumps(report, indent=1))
    else:
        _print_report(report)
    return 0


# -- what there is ---------------------------------------------------------------------------


def _addresses() -> list[str]:
    from robojam.ports.discovery import addresses

    return addresses()


def _osc_addresses() -> list[dict[str, Any]]:
    """Return the default addresses of an engine, each with the program that uses it."""
    defaults = Options()
    host, port = parse_address(defaults.osc_in)
    addresses = [("osc-in", host, port)]
    if tuio := parse_tuio(defaults.tuio_in, default_host=host):
        addresses.append(("tuio-in", *tuio))
    addresses += [("osc-out", *parse_output(output)[:2]) for output in defaults.osc_out]
    return [
        {"for": option, "address": format_address(host, port), "used by": _used_by(host, port)}
        for option, host, port in addresses
    ]


def _used_by(host: str, port: int) -> str | None:
    """Return mode and model of the engine at an address, or "another program"; None if free."""
    from robojam.ports.engine_status import ask
    from robojam.ports.udp import Endpoint, PortError

    try:
        Endpoint(host, port).close()
    except PortError:
        pass
    else:
        return None
    status = ask((host, port), wait=_STATUS_WAIT, times=1)
    if status is not None:
        return f"robojam: {status.get('mode')}, {status.get('model')}"[: 2 * _LONGEST]
    return "another program"


def _midi_ports() -> dict[str, list[str]]:
    from robojam.ports.midi_client import list_ports

    return list_ports()


def _serial_ports() -> list[dict[str, str]]:
    from robojam.ports.serial_link import devices
    from robojam.system.install import missing_package

    try:
        return [{"name": name, "about": about} for name, about in devices()]
    except ModuleNotFoundError as error:
        raise ImportError(missing_package("a serial port", error.name) or error) from error


def _audio_devices() -> list[dict[str, str]]:
    from robojam.sound.device import devices

    return [{"name": device.name, "api": device.api} for device in devices()]


def _compute_devices() -> list[dict[str, str]]:
    """Return the devices that a model can compute on, the default first."""
    from robojam.player.devices import can_compile, choose_device

    steps = "numba" if can_compile() else "numpy"
    devices = [{"device": "cpu", "name": f"{os.cpu_count()} cores, steps by {steps}"}]
    default = choose_device("auto")
    if default != "cpu":
        import torch

        name = torch.cuda.get_device_name() if default == "cuda" else "Metal"
        devices.insert(0, {"device": default, "name": name})
    return devices


def _network() -> list[dict[str, Any]]:
    from robojam.ports import discovery

    if not discovery.is_installed():
        raise ImportError("to look around: pip install 'robojam[net]'")
    return [
        {"name": receiver.name, "address": format_address(receiver.host, receiver.port)}
        for receiver in discovery.browse()
    ]


# -- what to type ----------------------------------------------------------------------------


def _commands_to_type(report: dict[str, Any]) -> list[dict[str, str]]:
    """Return commands that work as they are printed, each with what it is for.

    Names from outside are quoted in both: a line may be copied to a shell as a whole.
    """
    commands = [{"what": "robojam jam", "for": "jam in a window, with mouse and fingers"}]

    def add(options: str, purpose: str) -> None:
        commands.append({"what": f"robojam jam {options}", "for": purpose})

    port = _PORT
    for address in _items(report["osc"]):
        if address["for"] == "osc-in" and address["used by"]:
            port = _OTHER_PORT
            user = shell_quoted(address["used by"])
            commands[0]["what"] += f" --osc-in 127.0.0.1:{port}"
            commands[0]["for"] = f"a second engine, for {user} has the first port"
    hosts = _items(report["addresses"])
    if hosts:
        purpose = f"a phone or tablet that sends to {hosts[0]}, port {port}"
        purpose += "; --control ITS-ADDRESS lets it control, too"
        add(f"--osc-in {_everywhere(hosts[0], port)} --touchosc learn", purpose)
    for receiver in _items(report.get("network")):
        name, address = receiver["name"], receiver["address"]
        host = address.rpartition(":")[0].strip("[]")
        if host in hosts and "robojam" in name:
            continue
        is_touchosc = "touchosc" in name.lower()
        output = shell_quoted(address + "/touchosc" * is_touchosc)
        options = f"--osc-in {_everywhere(host, port)} --osc-out {output}"
        options += " --touchosc learn" * is_touchosc
        add(options, f"play with {shell_quoted(f'{name:.{_LONGEST}}')}")
    for direction, verb in (("in", "listen to"), ("out", "play")):
        for name in report["midi"].get(direction, ())[:2]:
            port_text = shell_quoted(port_option(name))
            add(f"--midi-{direction} {port_text}", f"{verb} {shell_quoted(name)}")
    # A port of a PC without a plug has no description.
    devices = [item for item in _items(report.get("serial")) if item["about"] != "n/a"]
    for device in devices[:2]:
        add(
            f"--serial {shell_quoted(device['name'])}", "exchange values with a microcontroller"
        )
    return commands


def _everywhere(host: str, port: int) -> str:
    """Return the address to listen at, so that a host can send here, as a word of a shell."""
    return shell_quoted(f"[::]:{port}" if ":" in host else f"0.0.0.0:{port}")


def _items(result: Any) -> list[Any]:
    """Return the items of a result; none for an error or for no result."""
    return result if isinstance(result, list) else []


# -- on one screen ---------------------------------------------------------------------------


def _print_report(report: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, show_header=False, padding=(0, 2, 0, 0))
    directions = [(way, name) for way in ("in", "out") for name in report["midi"].get(way, ())]
    for key, title, row, nothing in (
        ("addresses", "this machine", lambda host: (host, ""), "no network"),
        ("osc", "OSC", lambda item: (item["address"], f"{item['for']}: {_use(item)}"), ""),
        ("midi", "MIDI", lambda item: item[::-1], "no port"),
        ("serial", "serial", lambda item: (item["name"], item["about"]), "no port"),
        ("audio", "audio", lambda item: (item["name"], item["api"]), "no device"),
        ("compute", "compute", lambda item: (item["device"], item["name"]), ""),
        ("network", "on the network", lambda item: (item["address"], item["name"]),
         "no program announces OSC"),
    ):  # fmt: skip
        if key not in report:
            continue
        result = report[key]
        if isinstance(result, dict) and "error" in result:
            rows = [("–", result["error"])]
        else:
            rows = [row(item) for item in (directions if key == "midi" else result)]
        for i, (name, detail) in enumerate(rows or [("–", nothing)]):
            texts = [Text(printable(text)) for text in (name, detail)]
            table.add_row(Text("" if i else title, style="bold"), *texts)
    width = None if sys.stdout.isatty() else 100
    Console(width=width, highlight=False).print(table)
    longest = max(len(line["what"]) for line in report["type"])
    for line in report["type"]:  # outside the table, which would break lines to be copied
        print(f"  {line['what']:<{longest}}  # {line['for']}")


def _use(address: dict[str, Any]) -> str:
    """Return who uses an address; a program should listen where robojam plays to."""
    if address["used by"] is None:
        return "nobody listens there yet" if address["for"] == "osc-out" else "free"
    return f"in use, {address['used by']}"
