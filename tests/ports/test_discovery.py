"""Discovery over zeroconf, and its engines in `robojam ports`."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from contextlib import ExitStack
from functools import partial
from types import SimpleNamespace

import pytest
from support.engine import PATIENCE, command, first_line, serving

from robojam.cli import main
from robojam.ports import discovery

LOOKING = "looking for OSC programs on the network …\n"

zeroconf = pytest.importorskip("zeroconf")
network = pytest.mark.skipif(not discovery.addresses(), reason="no network here")


def test_loopback_does_not_reach_the_network():
    assert not discovery.reaches_network("127.0.0.1")
    assert not discovery.reaches_network("::1")
    assert not discovery.reaches_network("239.1.2.3")
    assert discovery.reaches_network("0.0.0.0")
    assert discovery.reaches_network("::")
    assert all(discovery.reaches_network(host) for host in discovery.addresses())


def seen() -> dict[int, discovery.DiscoveredReceiver]:
    """Return the engines that are announced, by their ports."""
    receivers = discovery.browse()
    return {r.port: r for r in receivers if r.name.startswith("robojam on ")}


def see(*ports: int) -> dict[int, discovery.DiscoveredReceiver]:
    """Browse until all these engines are announced."""
    end = time.monotonic() + PATIENCE
    while not set(ports) <= (found := seen()).keys():
        assert time.monotonic() < end, found
    return found


@network
def test_engine_that_reaches_the_network_is_announced_until_it_ends(tmp_path):
    here = discovery.addresses()  # one may go in the meantime
    with ExitStack() as stack:
        engine = stack.enter_context(serving(tmp_path, osc_in="0.0.0.0:0"))
        quiet = stack.enter_context(serving(tmp_path, "--no-announce", osc_in="0.0.0.0:0"))
        alone = stack.enter_context(serving(tmp_path))
        port = engine.address[1]
        found = see(port)
        assert not found.keys() & {quiet.address[1], alone.address[1]}
        assert found[port].host in {*here, *discovery.addresses()}
        assert engine.end() == 0
        end = time.monotonic() + PATIENCE
        while port in seen():
            assert time.monotonic() < end


@network
def test_web_server_of_an_engine_that_reaches_the_network_is_announced_for_osc_query(tmp_path):
    pytest.importorskip("aiohttp")
    web = ("--web", "0.0.0.0:0")
    with (
        serving(tmp_path, *web, osc_in="0.0.0.0:0") as engine,
        serving(tmp_path, *web) as alone,  # what it tells could not be used
    ):
        lines = [first_line(each.process) for each in (engine, alone)]
        ports = [line.split("/")[2].rpartition(":")[2] for line in lines]
        end, found = time.monotonic() + PATIENCE, set[int]()
        while int(ports[0]) not in found:
            assert time.monotonic() < end, found
            found = {each.port for each in discovery.browse(discovery.OSC_QUERY)}
        assert int(ports[1]) not in found


@network
def test_engine_that_listens_by_ipv6_alone_is_announced():
    six = [host for host in discovery.addresses() if ":" in host]
    if not six:
        pytest.skip("no IPv6 here")
    with discovery.announced(six[0], 5994):
        assert see(5994)[5994].host == six[0]


def test_program_with_several_addresses_is_listed_once_by_ipv4_first():
    hosts = ["0.0.0.0", "ff02::7", "fe80::7", "fe80::7%eth0", "2001:db8::7", "192.0.2.7"]
    for left in (6, 5, 4):
        info = SimpleNamespace(parsed_scoped_addresses=partial(list, hosts[:left]))
        assert discovery._by_preference(info)[0] == hosts[left - 1]  # type: ignore[arg-type]


def test_engines_of_one_machine_are_announced_under_names_of_their_own():
    names = [discovery._name("studio", port) for port in (5005, 5015, 5025)]
    assert names[0] == "robojam on studio"
    assert len(set(names)) == 3


@network
def test_two_engines_on_one_machine_are_found_under_two_names_every_time():
    with discovery.announced("0.0.0.0", 5991), discovery.announced("0.0.0.0", 5992):
        found = see(5991, 5992)  # they may still be starting
        assert {found[5991].name[-4:], found[5992].name[-4:]} == {"5991", "5992"}
        for _ in range(3):
            assert {5991, 5992} <= seen().keys()


def test_address_that_cannot_be_announced_is_reported_on_standard_error(tmp_path):
    errors = tmp_path / "stderr"
    with errors.open("w") as stderr:
        ran = subprocess.run(
            [command()[0], "-m", "robojam.ports.discovery", "203.0.113.1", "5993"],
            stdin=subprocess.PIPE,
            stderr=stderr,
            timeout=PATIENCE,
        )
    assert ran.returncode == 0
    assert "robojam: not announced on the network: " in errors.read_text()


@network
def test_killed_engine_is_announced_no_more(tmp_path):
    with serving(tmp_path, osc_in="0.0.0.0:0") as engine:
        port = engine.address[1]
        see(port)
        engine.process.kill()
        end = time.monotonic() + PATIENCE
        while port in seen():
            assert time.monotonic() < end


def ports(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    with pytest.raises(SystemExit) as left:
        main(["ports", *options])
    assert left.value.code == 0
    printed = capsys.readouterr()
    assert printed.err == ("" if "--no-network" in options else LOOKING)
    return printed.out


def test_ports_as_json_lists_addresses_and_devices(capsys):
    about = json.loads(ports(capsys, "--json", "--no-network"))
    assert set(about) == {"addresses", "osc", "midi", "audio", "compute", "serial", "type"}
    assert [one["for"] for one in about["osc"]] == ["osc-in", "tuio-in", "osc-out"]
    assert about["compute"][-1]["device"] == "cpu"
    assert about["type"][0]["what"] == "robojam jam"


@network
def test_ports_fits_a_screen_and_shows_a_program_on_the_network(capsys):
    info = zeroconf.ServiceInfo(
        discovery.SERVICE,
        f"Phone TouchOSC.{discovery.SERVICE}",
        port=9000,
        parsed_addresses=["192.0.2.77"],
        server="phone.local.",
    )
    with discovery._network() as there:
        there.register_service(info, allow_name_change=True)
        screen = ports(capsys)
        there.unregister_service(info)
    assert len(screen.splitlines()) <= 24
    assert "192.0.2.77:9000" in screen
    assert (
        "robojam jam --osc-in 0.0.0.0:5005 --osc-out 192.0.2.77:9000/touchosc --touchosc learn"
        in screen
    )


def test_ports_tells_an_engine_from_another_program(tmp_path):
    from robojam.cli.ports import _used_by

    with serving(tmp_path, "--mode", "duet") as engine:
        assert _used_by(*engine.address) == "robojam: duet, touch.safetensors"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        address = other.getsockname()
        assert _used_by(*address) == "another program"
    assert _used_by(*address) is None


def test_ports_does_not_import_torch_without_a_gpu():
    code = (
        "import sys\nfrom robojam.cli import main\n"
        "try: main(['ports', '--no-network'])\nfinally: print('torch' in sys.modules)"
    )
    ran = subprocess.run(
        [command()[0], "-c", code], capture_output=True, text=True, timeout=PATIENCE
    )
    assert ran.returncode == 0, ran.stderr
    from robojam.player.devices import choose_device

    assert ran.stdout.endswith("False\n") or choose_device("auto") != "cpu"
