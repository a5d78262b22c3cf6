"""Discovery of OSC programs on the network, by zeroconf (RFC 6762, RFC 6763).

The engine announces itself, and other programs are found, as services of type `_osc._udp`.
Where it has a web server, that is announced as `_oscjson._tcp`, for OSCQuery.
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
from robojam.config.addresses import canonical_host, is_group, is_loopback, is_wildcard
from robojam.system.child_process import ChildProcess, wait_for_stdin_end

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf

SERVICE: Final = "_osc._udp.local."
#: Service of OSCQuery: what an engine can do, as JSON over HTTP.
OSC_QUERY: Final = "_oscjson._tcp.local."
#: Port that an engine listens at unless told otherwise: it is not in its name.
_USUAL_PORT: Final = 5005
#: Seconds that browsing takes. A program that has answered by multicast answers again only
#: after a second (RFC 6762, section 6): browsing twice for less than that would miss it.
_BROWSING: Final = 1.5
#: Programs that are asked for their address; each may let that wait for half a second.
_MOST: Final = 32
#: Seconds that the announcing process has to say goodbye.
_PATIENCE: Final = 2.0
#: Addresses that are nobody's, kept for documentation.
_ELSEWHERE: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


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
    """Return whether other machines can reach what listens at one of this one's addresses."""
    return not is_loopback(host) and not is_group(host)


def addresses() -> list[str]:
    """Return this machine's addresses that others can reach, those of IPv4 first.

    IPv6 addresses of one link (fe80::) are left out: others must know its interface.
    """
    hosts: set[str] = set()
    try:
        import ifaddr
    except ImportError:
        with suppress(OSError):
            found = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_DGRAM)
            hosts = {str(entry[4][0]) for entry in found}
        for family, other in _ELSEWHERE:
            with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((other, 9))  # sends nothing, but selects an address
                hosts.add(probe.getsockname()[0])
    else:
        for card in ifaddr.get_adapters():
            hosts |= {str(ip.ip if ip.is_IPv4 else ip.ip[0]) for ip in card.ips}
    reachable = [h for h in hosts if reaches_network(h) and not h.startswith("fe80:")]
    return sorted(reachable, key=lambda host: (":" in host, host))


@contextmanager
def announced(host: str, port: int, *, service: str = SERVICE) -> Iterator[None]:
    """Announce a service at HOST:PORT while the block runs, without waiting.

    A process of its own does it: on a busy network there is much to read and to answer, which
    would delay the engine's deadlines.
    """
    arguments = ("robojam.ports.discovery", host, str(port), service)
    process = ChildProcess(*arguments, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.end(_PATIENCE)


def main(host: str, port: str, kind: str = SERVICE) -> None:
    """Announce until standard input ends, as it does when the engine ends or is killed."""
    from zeroconf import Error, ServiceInfo

    machine = socket.gethostname().partition(".")[0]
    try:
        service = ServiceInfo(
            kind,
            f"{_name(machine, int(port))}.{kind}",
            port=int(port),
            parsed_addresses=_announced_addresses(host),
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


def _name(machine: str, port: int) -> str:
    """Return the name of an engine, which no other on its machine has.

    Names that are the same are changed by zeroconf, but not where both come at one instant.
    """
    return f"robojam on {machine:.40}" + ("" if port == _USUAL_PORT else f", port {port}")


def _announced_addresses(host: str) -> list[str]:
    """Return the addresses at which an engine that listens at a host is reached."""
    if not is_wildcard(host):
        return [host.partition("%")[0]]
    return [each for each in addresses() if host == "::" or ":" not in each]


@contextmanager
def _network(host: str = "::") -> Iterator[Zeroconf]:
    """Open zeroconf on the interface of an address, or on all; by IPv6 too where there is."""
    from zeroconf import InterfaceChoice, IPVersion, Zeroconf

    cards = InterfaceChoice.All if is_wildcard(host) else [host.partition("%")[0]]
    try:
        version = IPVersion.All if ":" in host else IPVersion.V4Only
        network = Zeroconf(interfaces=cards, ip_version=version)
    except OSError:  # a system without IPv6
        if host != "::":
            raise
        network = Zeroconf(ip_version=IPVersion.V4Only)
    try:
        yield network
    finally:
        network.close()


def can_announce(*hosts: str) -> bool:
    """Return whether what listens at these hosts can be announced to other machines."""
    return is_installed() and all(map(reaches_network, hosts))


def browse(service: str = SERVICE) -> list[DiscoveredReceiver]:
    """Return the programs that offer a service on the network within _BROWSING seconds.

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
        browser = ServiceBrowser(network, service, [on_change], question_type=multicast)
        time.sleep(_BROWSING)
        services = {
            name: network.get_service_info(service, name, 500, multicast)
            for name in sorted(names)[:_MOST]
        }
        browser.cancel()
    return sorted(
        DiscoveredReceiver(name.removesuffix("." + service), hosts[0], info.port)
        for name, info in services.items()
        if info is not None and info.port and (hosts := _by_preference(info))
    )


def _by_preference(info: ServiceInfo) -> list[str]:
    """Return the addresses of a program: by IPv4, by IPv6, and those of one link last."""
    hosts = [canonical_host(host) for host in info.parsed_scoped_addresses()]
    usable = [
        host
        for host in hosts
        if not is_wildcard(host) and not is_group(host)
        if "%" in host or not host.startswith("fe80:")  # the interface must be known
    ]
    return sorted(usable, key=lambda host: (":" in host, "%" in host, host))


if __name__ == "__main__":
    main(*sys.argv[1:])
