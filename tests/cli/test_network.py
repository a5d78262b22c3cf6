"""Commands as they are printed, against a second host: they hear it, and it hears them.

The commands run on the second host, where every port is free and nothing else listens; the
phone is this machine.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from support import ROOT
from support.engine import PATIENCE, command, first_line, messages, stop
from support.network import SecondHost, second_host

from robojam.config.addresses import DIALECTS, parse_output
from robojam.wire import osc

README = (ROOT / "README.md").read_text()
#: Address of the phone in the README and the examples.
PHONE = "192.168.0.23"
#: The first part of an address of each dialect.
PREFIXES = {
    "native": "/robojam/ai/",
    "tuio": "/tuio/2Dcur",
    "touchosc": "/1/xy",
    "microjam": "/touch",
    "impsy": "/impsy",
    "interface": "/interface",
}


@pytest.fixture(scope="module")
def host() -> Iterator[SecondHost]:
    with second_host() as host:
        yield host


@contextmanager
def running(host: SecondHost, line: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a printed line of a shell on the second host, until it is ready."""
    name, *words = shlex.split(line, comments=True)
    assert name == "robojam"
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    environment = {n: value for n, value in os.environ.items() if n not in displays}
    with (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            host.command(*command(*words)),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=folder,
            env={**environment, "PYTHONPATH": str(ROOT)},
        )
    try:
        while not first_line(process).startswith("listening on udp://"):
            assert process.poll() is None, (folder / "stderr").read_text()
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)
        stop(process)


def phone(at: str, port: int) -> socket.socket:
    """Return a socket of the phone at an address of this machine."""
    made = socket.socket(socket.AF_INET6 if ":" in at else socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((at, port))
    made.settimeout(PATIENCE)
    return made


def play(sender: socket.socket, to: str, address: str = "/touch", port: int = 5005) -> None:
    """Play a short call."""
    for x in (0.3, 0.4, 0.5):
        sender.sendto(osc.encode(address, "ff", x, 0.5), (to, port))


def answered(receiver: socket.socket, prefix: str) -> None:
    """Wait for a message at an address that begins so."""
    end = time.monotonic() + PATIENCE
    while not any(m.address.startswith(prefix) for m in messages(receiver.recv(1 << 16), 0.0)):
        assert time.monotonic() < end, prefix


def readme_lines() -> list[str]:
    """Return the options --osc-out and --osc-in of the README, as they stand there."""
    return re.findall(r"`(--osc-[^`\n]+)`", README)


def test_every_output_of_the_readme_plays_to_a_second_host_that_is_heard(host, tmp_path):
    codes = readme_lines()
    assert "--osc-in 0.0.0.0:5005" in codes
    codes = [code for code in codes if " HOST" in code or PHONE in code]
    typed = [code.replace("HOST", host.here).replace(PHONE, host.here) for code in codes]
    words = [word for code in typed for word in code.split() if host.here in word]
    outputs = dict.fromkeys(map(parse_output, words))
    assert {output.dialect for output in outputs} == set(DIALECTS)
    line = f"robojam serve --no-sound --touchosc learn {' '.join(typed)}"
    numbers = {output.port for output in outputs}
    ports = {number: phone(host.here, number) for number in numbers}
    with running(host, f"{line} --osc-in 0.0.0.0:5005", tmp_path):
        for sender in ports.values():
            play(sender, host.address, "/1/xy")
        for output in outputs:
            answered(ports[output.port], PREFIXES[output.dialect])
    for each in ports.values():
        each.close()


def test_example_of_touchosc_plays_to_a_second_host_that_is_heard(host, tmp_path):
    text = (ROOT / "examples" / "touchosc.md").read_text()
    lines = re.findall(r"^robojam jam .*$", text, re.MULTILINE)
    (line,) = [one for one in lines if PHONE in one]
    (port,) = {int(port) for port in re.findall(PHONE + r":(\d+)/", line)}
    with (
        closing(phone(host.here, port)) as pad,
        running(host, line.replace(PHONE, host.here), tmp_path),
    ):
        play(pad, host.address, "/xy1")
        answered(pad, "/xy1")


def test_output_is_reached_and_ipv4_and_ipv6_of_this_machine_heard_by_default(host, tmp_path):
    with closing(phone(host.here, 9000)) as receiver:
        line = f"robojam serve --no-sound --osc-out {host.here}:9000/touchosc --touchosc /1/xy"
        with running(host, line, tmp_path):
            for to in ("127.0.0.1", "::1"):
                with host.socket(to) as sender:
                    play(sender, to)
                answered(receiver, "/1/xy")


def test_ipv6_second_host_is_heard_and_played_to(host, tmp_path):
    line = f"robojam serve --no-sound --osc-in '[::]:5005' --osc-out '[{host.here6}]:9000'"
    with (
        closing(phone(host.here6, 9000)) as player,
        closing(phone(host.here, 0)) as other,
        running(host, line, tmp_path),
    ):
        play(player, host.address6)
        answered(player, "/robojam/ai/down")
        play(other, host.address)  # IPv4 is heard too
        answered(player, "/robojam/ai/down")


def test_broadcast_and_group_are_played_to_and_a_group_is_heard(host, tmp_path):
    group = "239.77.1.3"
    line = (
        f"robojam serve --no-sound --osc-in {group}:5005 --osc-out {group}:9000 "
        f"--osc-out {host.broadcast}:9000"
    )
    receivers = [phone(to, 9000) for to in (group, host.broadcast)]
    join = socket.inet_aton(group) + socket.inet_aton(host.here)
    receivers[0].setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, join)
    with running(host, line, tmp_path), closing(phone(host.here, 0)) as player:
        here = socket.inet_aton(host.here)
        player.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
        play(player, group)
        for each in receivers:
            answered(each, "/robojam/ai/down")
            each.close()


def test_replay_reaches_a_second_host(host, tmp_path):
    session = ROOT / "sessions" / "example.jsonl"
    line = f"robojam replay {session} --no-window --no-sound --osc-out {host.here}:9000"
    with closing(phone(host.here, 9000)) as receiver, running(host, line, tmp_path):
        answered(receiver, "/robojam/")


def test_line_that_ports_prints_for_a_tablet_works_both_ways_as_printed(host, tmp_path):
    zeroconf = pytest.importorskip("zeroconf")
    from robojam.ports.discovery import SERVICE

    tablet = zeroconf.ServiceInfo(
        SERVICE,
        f"Tom's iPad (TouchOSC);rm -rf ~.{SERVICE}",
        port=9000,
        parsed_addresses=[host.here],
        server="toms-ipad.local.",
    )
    network = zeroconf.Zeroconf(interfaces=[host.here])
    try:
        network.register_service(tablet)
        printed = host.run(*command("ports"), timeout=60, cwd=ROOT).stdout
    finally:
        network.close()
    (line,) = [one.strip() for one in printed.splitlines() if f"{host.here}:9000/" in one]
    assert line.startswith("robojam jam --osc-in 0.0.0.0:5005 ")
    assert shlex.split(line)[-1] == "Tom's iPad (TouchOSC);rm -rf ~"  # one word of a shell
    with closing(phone(host.here, 9000)) as pad, running(host, line, tmp_path):
        play(pad, host.address, "/1/xy")
        answered(pad, "/1/xy")


def test_output_that_fails_stands_in_log_and_status(host, tmp_path):
    line = f"robojam serve --no-sound --osc-out {host.here}:9009 --osc-out {host.here}:9000"
    with (
        closing(phone(host.here, 9000)) as receiver,
        running(host, line, tmp_path),
        host.socket("127.0.0.1") as player,
    ):
        status: dict[str, object] = {}
        end = time.monotonic() + PATIENCE
        while not status.get("error"):
            assert time.monotonic() < end
            play(player, "127.0.0.1")
            answered(receiver, "/robojam/ai/")
            player.sendto(osc.encode("/robojam/status"), ("127.0.0.1", 5005))
            (answer,), _ = osc.decode(player.recv(1 << 16))
            failing, fine = json.loads(str(answer.args[0]))["outputs"]
            assert fine["error"] is None
            status = failing
        assert status["address"] == f"{host.here}:9009"
    log = (tmp_path / "stderr").read_text()
    assert log.count(f"cannot send to {host.here}:9009: nobody listens there") == 1
