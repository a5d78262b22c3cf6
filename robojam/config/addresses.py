"""Parsers of addresses: hosts and ports, outputs with their dialects, pads of TouchOSC."""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

#: The dialects of an output, the default first.
DIALECTS: Final = ("native", "tuio", "touchosc", "microjam", "impsy", "interface")
#: Stands for a pad: the next one that is touched.
LEARN: Final = "learn"

_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_PAD_ADDRESS = re.compile(r"/[^\s#*,?\[\]{}=]{1,200}(?<!/)")
_BYTE = re.compile("0|[1-9][0-9]{0,2}")


def parse_address(
    text: str, *, default_host: str = "127.0.0.1", lowest_port: int = 0
) -> tuple[str, int]:
    """Return host and port of HOST:PORT, :PORT or PORT.

    The host is an IPv4 address or a name. Port 0 stands for any free port; an address to
    send to has a lowest_port of 1. Raises ValueError, which says what is wrong.
    """
    host, _, port = text.rpartition(":")
    host = host or default_host
    if not (port.isascii() and port.isdecimal() and len(port) <= 5):
        raise ValueError(f"{quoted(text)} is not HOST:PORT")
    if not lowest_port <= int(port) <= 65535:
        raise ValueError(f"port {port} of {quoted(text)} is not {lowest_port} to 65535")
    if not _is_host(host):
        raise ValueError(f"{quoted(host)} is neither an IPv4 address nor the name of a host")
    return host, int(port)


def _is_host(host: str) -> bool:
    labels = host.split(".")
    if labels[-1].isdecimal():  # no name ends in a number: this must be an address
        return len(labels) == 4 and all(
            _BYTE.fullmatch(label) and int(label) < 256 for label in labels
        )
    return len(host) <= 253 and all(map(_HOST_LABEL.fullmatch, labels))


class Output(NamedTuple):
    """Address that touches are sent to, and the dialect of OSC to send them in."""

    host: str
    port: int
    dialect: str


def parse_output(text: str) -> Output:
    """Return the output of HOST:PORT[/DIALECT]. Raises ValueError, which says what is wrong."""
    address, slash, dialect = text.partition("/")
    if slash and dialect not in DIALECTS:
        raise ValueError(
            f"no dialect is named {quoted(dialect)}; allowed: {', '.join(DIALECTS)}"
        )
    return Output(*parse_address(address, lowest_port=1), dialect or DIALECTS[0])


def parse_pad(text: str) -> tuple[str, tuple[str, str]]:
    """Return address and axes of a pad, ADDRESS[=AXES]. Raises ValueError with the reason."""
    address, _, axes = text.partition("=")
    if not _PAD_ADDRESS.fullmatch(address):
        raise ValueError(f"{quoted(text)} is neither the address of a pad, as /1/xy, nor learn")
    first, _, second = (axes or "x,-y").partition(",")
    if {first.removeprefix("-"), second.removeprefix("-")} != {"x", "y"}:
        raise ValueError(f"{quoted(axes)} are no axes: x,-y (across, then up), y,x and so on")
    return address, (first, second)


def parse_tuio(text: str, *, default_host: str) -> tuple[str, int] | None:
    """Return host and port of [HOST:]PORT, or None for none. Raises ValueError."""
    return None if text == "none" else parse_address(text, default_host=default_host)


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
    "touchosc": lambda text: text == LEARN or parse_pad(text),
}
