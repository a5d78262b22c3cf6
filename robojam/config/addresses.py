"""Addresses as text: hosts and ports, outputs with their dialects, pads of TouchOSC."""

import math
import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address, ip_address
from typing import Final, NamedTuple

from robojam.wire import touchosc
from robojam.wire.latency import split_latency, split_thru
from robojam.wire.touchosc import Pad

#: The dialects of an output, the default first.
DIALECTS: Final = ("native", "tuio", "touchosc", "microjam", "impsy", "interface")
#: Stands for a pad: the next one that is touched.
LEARN: Final = "learn"

_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_.@-]{1,15})?")
_BYTE = re.compile("0|[1-9][0-9]{0,2}")


def parse_address(
    text: str, *, default_host: str = "127.0.0.1", lowest_port: int = 0
) -> tuple[str, int]:
    """Return host and port of HOST:PORT, [ADDRESS]:PORT (of IPv6), :PORT or PORT.

    The host is an address, as `canonical_host` writes it, or a name. Port 0 stands for any
    free port; an address to send to has a lowest_port of 1. Raises ValueError, which says
    what is wrong.
    """
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5):
        form = "[ADDRESS]:PORT, as in [::1]:5005" if "[" in text else "HOST:PORT"
        raise ValueError(f"{quoted(text)} is not {form}")
    if not lowest_port <= int(port) <= 65535:
        raise ValueError(f"port {port} of {quoted(text)} is not {lowest_port} to 65535")
    return _parse_host(host, port) if host else default_host, int(port)


def _parse_host(host: str, port: str) -> str:
    """Return an address or a name of a host, checked. Raises ValueError."""
    if host[0] == "[" and host[-1] == "]":
        address = _ipv6(host[1:-1])
        if address is None:
            raise ValueError(f"{quoted(host[1:-1])} is no IPv6 address")
        if address.is_link_local and address.scope_id is None:
            raise ValueError(
                f"{quoted(host)} is an address of one link: name its interface too, "
                f"[{address}%INTERFACE]:{port}"
            )
        return canonical_host(host[1:-1])
    if not is_host(host):
        reason = f"{quoted(host)} is neither an IPv4 address nor the name of a host"
        if ":" in host:
            example = host if _ipv6(host) else "ADDRESS"
            reason += f"; an IPv6 address is written in brackets: [{example}]:{port}"
        raise ValueError(reason)
    return host


def _ipv6(host: str) -> IPv6Address | None:
    """Return an IPv6 address, with %INTERFACE or without; None for another text."""
    if not _IPV6.fullmatch(host):
        return None
    try:
        return IPv6Address(host)
    except AddressValueError:
        return None


def is_host(host: str) -> bool:
    """Return whether a text is an IPv4 address or may be the name of a host."""
    labels = host.split(".")
    if labels[-1].isdecimal():  # no name ends in a number: this must be an address
        return len(labels) == 4 and all(
            _BYTE.fullmatch(label) and int(label) < 256 for label in labels
        )
    return len(host) <= 253 and all(map(_HOST_LABEL.fullmatch, labels))


def format_address(host: str, port: int | str) -> str:
    """Return HOST:PORT, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def canonical_host(host: str) -> str:
    """Return the one text that stands for a host's address; another text as it is.

    An IPv4 address that is mapped into IPv6 (::ffff:192.0.2.1) becomes IPv4.
    """
    address = _ipv6(host)
    return host if address is None else str(address.ipv4_mapped or address)


@lru_cache(maxsize=256)
def player_host(host: str) -> str:
    """Return the host that stands for a canonical one as a player: ::1 is 127.0.0.1."""
    return "127.0.0.1" if host == "::1" else host


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Return whether a canonical host is this machine by an address that no other can reach."""
    return host in ("127.0.0.1", "::1") or (
        host.startswith("127.") and host.replace(".", "").isdecimal()
    )


def is_wildcard(host: str) -> bool:
    """Return whether a canonical host stands for all addresses of this machine."""
    return host in ("0.0.0.0", "::")


def is_group(host: str) -> bool:
    """Return whether a canonical host is the address of a multicast group."""
    try:
        return ip_address(host).is_multicast
    except ValueError:
        return False


def reachable(address: tuple[str, int]) -> tuple[str, int]:
    """Return the address at which programs on this machine reach a listening address."""
    host, port = address
    return ("127.0.0.1" if is_wildcard(host) or is_group(host) else host), port


def reachable_here(address: tuple[str, int]) -> tuple[str, int]:
    """Return the address at which the programs of an engine's own machine reach it.

    It is one that no other machine can forge: an engine listens there, too.
    """
    host, port = reachable(address)
    if is_loopback(host):
        return host, port
    return ("::1" if ":" in host else "127.0.0.1"), port


class Output(NamedTuple):
    """Address that touches are sent to, the dialect of OSC to send them in, and the latency.

    latency is the time in seconds from when a touch is sent until it is heard or seen there.
    thru: what humans play is sent there, too.
    """

    host: str
    port: int
    dialect: str
    latency: float = 0.0
    thru: bool = False


def parse_output(text: str) -> Output:
    """Return the output of HOST:PORT[/DIALECT][?latency=MS&thru].

    Raises ValueError, which says what is wrong.
    """
    rest, thru = split_thru(text)
    rest, latency = split_latency(rest)
    address, slash, dialect = rest.partition("/")
    if slash and dialect not in DIALECTS:
        raise ValueError(
            f"no dialect is named {quoted(dialect)}; allowed: {', '.join(DIALECTS)}"
        )
    host, port = parse_address(address, lowest_port=1)
    if is_wildcard(host):
        raise ValueError(
            f"{quoted(address)} is an address to listen at; to send to this machine: "
            f"127.0.0.1:{port}"
        )
    return Output(host, port, dialect or DIALECTS[0], latency, thru)


def parse_pad(text: str) -> Pad:
    """Return the pad of ADDRESS[=AXES][:LOW..HIGH[,LOW..HIGH]].

    Raises ValueError with the reason.
    """
    rest, colon, ranges = text.rpartition(":")
    if not colon or ".." not in ranges:
        rest, ranges = text, ""
    address, _, axes = rest.partition("=")
    if not touchosc.ADDRESS.fullmatch(address):
        raise ValueError(f"{quoted(text)} is neither the address of a pad, as /1/xy, nor learn")
    first, _, second = (axes or "x,-y").partition(",")
    if {first.removeprefix("-"), second.removeprefix("-")} != {"x", "y"}:
        raise ValueError(f"{quoted(axes)} are no axes: x,-y (across, then up), y,x and so on")
    if not ranges:
        return Pad(address, (first, second))
    both = [_parse_range(part) for part in ranges.split(",")]
    if len(both) > 2:
        raise ValueError(f"{quoted(ranges)}: a pad has two ranges: 0..1023,0..767")
    return Pad(address, (first, second), (both[0], both[-1]), fixed=True)


def _parse_range(text: str) -> tuple[float, float]:
    """Return lowest and highest number of LOW..HIGH. Raises ValueError."""
    low, _, high = text.partition("..")
    try:
        numbers = float(low), float(high)
    except ValueError:
        numbers = 0.0, 0.0
    if not (all(map(math.isfinite, numbers)) and numbers[0] < numbers[1]):
        raise ValueError(f"{quoted(text)} is no range of numbers, as -1..1 or 0..127")
    return numbers


def parse_tuio(text: str, *, default_host: str) -> tuple[str, int] | None:
    """Return host and port of [HOST:]PORT, or None for none. Raises ValueError."""
    return None if text == "none" else parse_address(text, default_host=default_host)


class SerialRequest(NamedTuple):
    """A serial device that an option asks for: its name, or a part of its description.

    thru: what humans play is sent there, too.
    """

    port: str
    baud: int
    thru: bool = False


#: The fastest of the usual rates of serial devices, in bits a second.
_MAX_BAUD: Final = 4_000_000


def parse_serial(text: str, baud: int = 115_200) -> SerialRequest:
    """Return the device of PORT[@BAUD][?thru]; baud is that of one without @BAUD.

    Raises ValueError.
    """
    text, thru = split_thru(text)
    port, at, rate = text.rpartition("@")
    if not at:
        port, rate = text, str(baud)
    is_rate = rate.isascii() and rate.isdecimal() and len(rate) <= 7
    if not is_rate or not 50 <= int(rate) <= _MAX_BAUD:
        raise ValueError(f"{quoted(text)}: the rate is 50 to {_MAX_BAUD} baud, as in @115200")
    port = port.strip()
    if not port or len(port) > 200 or not port.isprintable():
        raise ValueError(f"{quoted(text)} is not PORT[@BAUD], as /dev/ttyACM0@115200 or COM3")
    return SerialRequest(port, int(rate), thru)


def parse_serial_midi(text: str) -> SerialRequest:
    """Return the device of PORT[@BAUD], which speaks MIDI. Raises ValueError."""
    request = parse_serial(text, 31_250)
    if request.thru:
        raise ValueError(
            f'{quoted(text)}: thru is of --serial; a row of [map.out] with who = "all" sends '
            "what humans play, too"
        )
    return request


#: Where pads are served when no address is named: a port, of all addresses of this machine.
WEB_PORT: Final = "8080"


def parse_web(text: str) -> tuple[str, int] | None:
    """Return host and port of [HOST:]PORT, or None for none; "" is all addresses.

    Raises ValueError.
    """
    return None if text == "none" else parse_address(text, default_host="")


def parse_websocket(text: str) -> tuple[str, int] | None:
    """Return host and port of [HOST:]PORT, or None for none. Raises ValueError."""
    return None if text == "none" else parse_address(text)


def quoted(value: object) -> str:
    """Return a value as text of one line, shortened to 60 characters."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write integers of more than 4300 digits
        return "a number too long to show"
    return text if len(text) <= 60 else f"{text[:57]}..."


#: Parsers of the options that are addresses: each raises ValueError for a wrong text.
PARSERS: Final[dict[str, Callable[[str], object]]] = {
    "osc_in": parse_address,
    "osc_out": parse_output,
    "tuio_in": lambda text: parse_tuio(text, default_host="127.0.0.1"),
    "web": parse_web,
    "midi_websocket": parse_websocket,
    "serial": parse_serial,
    "serial_midi": parse_serial_midi,
    "touchosc": lambda text: text == LEARN or parse_pad(text),
}
