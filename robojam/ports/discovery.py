"""Discovery of OSC programs on the network, by zeroconf (RFC 6762, RFC 6763).

The engine announces itself, and other programs are found, as services of type `_osc._udp`.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from robojam import __version__
from robojam.system.child_process import ChildProcess, wait_for_stdin_end

if TYPE_CHECKING:
    from zeroconf import Zeroconf

SERVICE: Final = "_osc._udp.local."
#: Seconds that browsing takes. A program that has answered by multicast answers again only
#: after a second (RFC 6762, section 6): browsing twice for less than that would miss it.
_BROWSING: Final = 1.5
#: Seconds that the announcing process has to say goodbye.
_PATIENCE: Final = 2.0


@dataclass(frozen=True, slots=True, order=True)
class DiscoveredReceiver:
    """Program on the network that listens for OSC at HOST:PORT."""

    name: str
    host: str
    port: int


def is_installed() -> bool:
    """Return whether zeroconf is installed."""
    return find_spec("zeroconf") is not None


def reaches_network(host: str) -> bool:
    """Return whether other machines can reach a program that listens at an IPv4 address."""
    return not host.startswith("127.")


def addresses() -> list[str]:
    """Return this machine's IPv4 addresses that others can reach."""
    hosts: set[str] = set()
    try:
        import ifaddr
    except ImportError:
        with suppress(OSError):
            hosts = set(socket.gethostbyname_ex(socket.gethostname())[2])
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing, but selects an address
            hosts.add(probe.getsockname()[0])
    else:
        hosts = {str(ip.ip) for card in ifaddr.get_adapters() for ip in card.ips if ip.is_IPv4}
    return sorted(host for host in hosts if reaches_network(host))


@contextmanager
def announced(host: str, port: int) -> Iterator[None]:
    """Announce an engine that listens at HOST:PORT while the block runs, without waiting.

    A process of its own does it: on a busy network there is much to read and to answer, which
    would delay the engine's deadlines.
    """
    arguments = ("robojam.ports.discovery", host, str(port))
    process = ChildProcess(*arguments, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.end(_PATIENCE)


def main(host: str, port: str) -> None:
    """Announce until standard input ends, as it does when the engine ends or is killed."""
    from zeroconf import Error, ServiceInfo

    machine = socket.gethostname().partition(".")[0]
    try:
        service = ServiceInfo(
            SERVICE,
            f"robojam on {machine:.40}.{SERVICE}",
            port=int(port),
            parsed_addresses=[host] if host != "0.0.0.0" else addresses(),
            properties={"program": "robojam", "version": __version__},
            server=f"{machine:.40}.local.",
        )
        with _network(host) as network:
            network.register_service(service, allow_name_change=True)
            wait_for_stdin_end()
            network.unregister_all_services()
    except (OSError, Error, RuntimeError) as error:
        reason = str(error) or type(error).__name__
        print(f"robojam: not announced on the network: {reason}", file=sys.stderr)


@contextmanager
def _network(host: str = "0.0.0.0") -> Iterator[Zeroconf]:
    from zeroconf import InterfaceChoice, IPVersion, Zeroconf

    cards = InterfaceChoice.All if host == "0.0.0.0" else [host]
    network = Zeroconf(interfaces=cards, ip_version=IPVersion.V4Only)
    try:
        yield network
    finally:
        network.close()


def browse() -> list[DiscoveredReceiver]:
    """Return the OSC receivers that answer on the network within _BROWSING seconds.

    Every question is sent by multicast (QM). A browser's usual first question asks for a
    unicast answer (QU). That goes to port 5353 of this machine, where the system gives it to
    any one of the processes that share the port: programs on this machine would be missed.
    Raises OSError where there is no network.
    """
    from zeroconf import DNSQuestionType, ServiceBrowser, ServiceStateChange

    names: set[str] = set()

    def on_change(name: str, state_change: ServiceStateChange, **_: object) -> None:
        if state_change is not ServiceStateChange.Removed:
            names.add(name)

    multicast = DNSQuestionType.QM
    with _network() as network:
        browser = ServiceBrowser(network, SERVICE, [on_change], question_type=multicast)
        time.sleep(_BROWSING)
        services = {
            name: network.get_service_info(SERVICE, name, 500, multicast)
            for name in sorted(names)
        }
        browser.cancel()
    return sorted(
        DiscoveredReceiver(name.removesuffix("." + SERVICE), host, info.port)
        for name, info in services.items()
        if info is not None and info.port
        for host in info.parsed_addresses()
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
