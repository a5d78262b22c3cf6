"""Found without typing: the engine on the network, and what else speaks OSC there.

OSC's receivers announce themselves as `_osc._udp` by zeroconf (RFC 6762, RFC 6763).
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from robojam import __version__
from robojam.system.child_process import ChildProcess, wait_for_stdin_end

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf

SERVICE: Final = "_osc._udp.local."
#: Seconds that a look takes. Who has answered by multicast within the last second waits until
#: that is over (RFC 6762, section 6): a shorter look right after another one sees nobody.
LOOK: Final = 1.5
#: Seconds that the announcing process has to say goodbye.
_PATIENCE: Final = 2.0


@dataclass(frozen=True, slots=True, order=True)
class DiscoveredReceiver:
    """Who listens for OSC on the network, at HOST:PORT."""

    name: str
    host: str
    port: int


def is_installed() -> bool:
    """Tell whether there is what announces and looks."""
    from importlib.util import find_spec

    return find_spec("zeroconf") is not None


def is_beyond(host: str) -> bool:
    """Tell whether who listens at an IPv4 address is heard from beyond this machine."""
    return not host.startswith("127.")


def addresses() -> list[str]:
    """Return this machine's IPv4 addresses that others can reach."""
    found: set[str] = set()
    try:
        import ifaddr
    except ImportError:
        with suppress(OSError):
            found = set(socket.gethostbyname_ex(socket.gethostname())[2])
        with (
            suppress(OSError),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        ):
            one.connect(("192.0.2.1", 9))  # sends nothing: asks which way it would go
            found.add(one.getsockname()[0])
    else:
        found = {str(ip.ip) for card in ifaddr.get_adapters() for ip in card.ips if ip.is_IPv4}
    return sorted(host for host in found if is_beyond(host))


@contextmanager
def announced(host: str, port: int) -> Iterator[None]:
    """Announce who listens at HOST:PORT, for as long as it lasts; nobody waits for it.

    A process of its own does it: on a busy network there is much to read and to answer,
    and the engine's deadlines wait for no other thread.
    """
    process = ChildProcess(
        "robojam.ports.discovery", host, str(port), stdout=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.end(_PATIENCE)


def main(host: str, port: str) -> None:
    """Announce until standard input ends, as it does when the engine does, however."""
    from zeroconf import Error

    try:
        with _network(host) as network:
            network.register_service(_service(host, int(port)), allow_name_change=True)
            wait_for_stdin_end()
            network.unregister_all_services()
    except (OSError, Error, RuntimeError) as error:
        why = str(error) or type(error).__name__
        print(f"robojam: not announced on the network: {why}", file=sys.stderr)


def _service(host: str, port: int) -> ServiceInfo:
    from zeroconf import ServiceInfo

    here = socket.gethostname().partition(".")[0]
    return ServiceInfo(
        SERVICE,
        f"robojam on {here:.40}.{SERVICE}",
        port=port,
        parsed_addresses=[host] if host != "0.0.0.0" else addresses(),
        properties={"program": "robojam", "version": __version__},
        server=f"{here:.40}.local.",
    )


@contextmanager
def _network(host: str = "0.0.0.0") -> Iterator[Zeroconf]:
    from zeroconf import InterfaceChoice, IPVersion, Zeroconf

    cards = InterfaceChoice.All if host == "0.0.0.0" else [host]
    network = Zeroconf(interfaces=cards, ip_version=IPVersion.V4Only)
    try:
        yield network
    finally:
        network.close()


def look_around(seconds: float = LOOK) -> list[DiscoveredReceiver]:
    """Return the OSC receivers that answer on the network within some seconds.

    Every question is sent by multicast (QM). A browser's usual first question asks for a
    unicast answer (QU), which goes to port 5353 of this machine, and there to whichever of
    the processes that share the port the system picks: other programs on the same machine
    would not be seen.
    Raises OSError where there is no network.
    """
    from zeroconf import DNSQuestionType, ServiceBrowser, ServiceStateChange

    names: set[str] = set()

    def changed(name: str, state_change: ServiceStateChange, **_: object) -> None:
        if state_change is not ServiceStateChange.Removed:
            names.add(name)

    found: list[DiscoveredReceiver] = []
    with _network() as network:
        multicast = DNSQuestionType.QM
        browser = ServiceBrowser(network, SERVICE, handlers=[changed], question_type=multicast)
        time.sleep(seconds)
        for name in sorted(names):
            info = network.get_service_info(SERVICE, name, 500, multicast)
            if info is not None and info.port:
                told = name.removesuffix("." + SERVICE)
                found += [
                    DiscoveredReceiver(told, host, info.port)
                    for host in info.parsed_addresses()
                ]
        browser.cancel()
    return sorted(found)


if __name__ == "__main__":
    main(*sys.argv[1:])
