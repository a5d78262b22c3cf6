"""Checks of the ports that an engine listens at, and of the addresses that it sends to."""

from __future__ import annotations

import errno
import sys
from typing import Final

from robojam.config.addresses import (
    format_address,
    is_wildcard,
    parse_address,
    parse_output,
    parse_tuio,
    reachable_here,
)
from robojam.config.options import Options
from robojam.doctor.finding import Finding, ok, problem, warning
from robojam.doctor.port_owner import owner_of
from robojam.ports.engine_status import ask
from robojam.ports.listener import Listener
from robojam.ports.udp import Endpoint, PortError, is_local, resolve

#: Seconds to wait for an engine's status, and times to ask.
_WAIT, _TIMES = 0.3, 2
#: Number that is added to a port for that of a second engine.
_NEXT: Final = 10
#: Most characters of what an engine says of itself.
_LONGEST: Final = 60
#: Errors of a port that another program has, and of one that Windows reserves.
_IN_USE: Final = (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", -1))
_RESERVED: Final = "netsh int ipv4 show excludedportrange protocol=udp"


def check_osc_in(options: Options) -> Finding:
    """Check that the engine can listen for OSC; say who has the port where it cannot."""
    host, port = parse_address(options.osc_in)
    address = format_address(host, port)
    error = _refusal(host, port)
    if error is None:
        return ok(f"{address} is free" if port else "any free port")
    if not _is_in_use(error):
        windows = _RESERVED if sys.platform == "win32" else ""
        return problem(str(error), "ports that Windows reserves:" if windows else "", windows)
    other = format_address(host, port + _NEXT if port + _NEXT < 1 << 16 else 0)
    second = f"robojam jam --osc-in {other}"
    status = ask(reachable_here((host, port)), wait=_WAIT, times=_TIMES)
    if status is not None:
        engine = f"{status.get('mode')}, {status.get('model')}"[:_LONGEST]
        return warning(
            f"{address} is held by a running robojam ({engine})",
            "robojam window opens its window; a second jam needs another port:",
            second,
        )
    owner = owner_of(port) or "another program, maybe of another user"
    return problem(f"{address} is held by {owner}", "end it, or take another port:", second)


def check_tuio_in(options: Options) -> Finding:
    """Check that the engine can listen for TUIO."""
    host, _ = parse_address(options.osc_in)
    parsed = parse_tuio(options.tuio_in, default_host=host)
    if parsed is None:
        return ok("off (--tuio-in none)")
    address = format_address(*parsed)
    error = _refusal(*parsed)
    if error is None:
        return ok(f"{address} is free")
    to_do = "a jam plays without TUIO; end it, or name another: --tuio-in PORT or none"
    if not _is_in_use(error):
        return warning(str(error), to_do)
    if ask(reachable_here(parse_address(options.osc_in)), wait=_WAIT, times=_TIMES) is not None:
        return ok(f"{address} is held, likely by the running robojam")
    owner = owner_of(parsed[1]) or "another program, maybe of another user"
    return warning(f"{address} is held by {owner}", to_do)


def check_osc_out(options: Options) -> Finding:
    """Check that the outputs' hosts are known, and on this machine, that somebody listens."""
    texts: list[str] = []
    for output in map(parse_output, options.osc_out):
        address = format_address(output.host, output.port)
        try:
            host, port = resolve(output.host, output.port)[0]
        except PortError as error:
            return problem(str(error), "correct --osc-out, or connect to its network")
        here = not is_wildcard(host) and is_local(host)
        listening = not here or _has_listener(host, port)
        texts.append(address if listening else f"{address} (nobody listens there yet)")
    return ok(", ".join(texts) or "none")


def _refusal(host: str, port: int) -> PortError | None:
    """Return why an address cannot be listened at; None where it can."""
    try:
        Listener(host, port).close()
    except PortError as error:
        return error
    return None


def _is_in_use(error: PortError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in _IN_USE


def _has_listener(host: str, port: int) -> bool:
    try:
        Endpoint(host, port).close()
    except PortError:
        return True
    return False
