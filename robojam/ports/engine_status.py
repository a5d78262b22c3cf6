"""Request for the status of a running engine."""

from __future__ import annotations

import json
import select
import socket
import time
from contextlib import ExitStack, suppress
from typing import Any, Final

#: Seconds to wait for an answer, and times to ask: a packet may be lost.
_WAIT, _TIMES = 0.5, 3

Status = dict[str, Any]


def ask(address: tuple[str, int], *, wait: float = _WAIT, times: int = _TIMES) -> Status | None:
    """Ask the engine at an address for its status; None when none answers.

    A name is asked at all its addresses. wait is in seconds, for each of the times.
    """
    with ExitStack() as stack:
        asking: list[socket.socket] = []
        with suppress(OSError):  # no such host
            for family, kind, _, _, to in socket.getaddrinfo(*address, type=socket.SOCK_DGRAM):
                with suppress(OSError):  # no network leads there
                    made = stack.enter_context(socket.socket(family, kind))
                    made.connect(to)
                    asking.append(made)
        for _ in range(times):
            for each in list(asking):
                try:
                    each.send(REQUEST)
                except OSError:  # nobody listens there
                    asking.remove(each)
            end = time.monotonic() + wait
            while asking and (left := end - time.monotonic()) > 0:
                for each in select.select(asking, (), (), left)[0]:
                    try:
                        packet = each.recv(1 << 16)
                        if packet.startswith(_COOKIE):  # it is asked from another machine
                            each.send(_TEXT + packet[len(_COOKIE) :])
                    except OSError:
                        asking.remove(each)
                        continue
                    if (found := read(packet)) is not None:
                        return found
    return None


#: Packet that asks an engine for its status.
REQUEST: Final = b"/robojam/status\0,\0\0\0"
#: Beginning of an answer, and of a request with a cookie: a text follows. And of a cookie.
_TEXT: Final = b"/robojam/status\0,s\0\0"
_COOKIE: Final = b"/robojam/cookie\0,s\0\0"


def read(packet: bytes) -> Status | None:
    """Return the status in a packet; None for another packet."""
    if not packet.startswith(_TEXT):
        return None
    with suppress(ValueError, RecursionError):
        found = json.loads(packet[len(_TEXT) :].rstrip(b"\0"))
        return found if isinstance(found, dict) else None
    return None
