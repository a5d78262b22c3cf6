"""OSC outlets: who is sent the machine's touches, and in which dialect."""

from __future__ import annotations

import math

from robojam.happenings import Happening, Sounded
from robojam.options import Options, parse_output
from robojam.ports import Address, Endpoint, resolve
from robojam.rig import Outlet
from robojam.touch import is_machine
from robojam.wire import native


class NativeOutlet:
    """One receiver of the native dialect."""

    def __init__(self, endpoint: Endpoint, to: Address, *, everyone: bool) -> None:
        """Send to an address; everyone: the humans' touches too."""
        self._endpoint, self._to, self._everyone = endpoint, to, everyone

    def happened(self, what: Happening, at: float) -> None:
        """Send a touch."""
        del at
        if isinstance(what, Sounded) and (self._everyone or is_machine(what.touch.who)):
            self._endpoint.send(native.touch(what.touch, what.dt), self._to)

    def look(self, now: float) -> float:
        """Nothing is due by itself."""
        del now
        return math.inf

    def status(self) -> dict[str, object]:
        """What is there to say is the endpoint's."""
        return {}

    def close(self) -> None:
        """The endpoint is not its own."""


def outlets(options: Options, endpoint: Endpoint, *, everyone: bool = False) -> list[Outlet]:
    """Make what the options name. Raises PortError when a host is not known."""
    named = map(parse_output, options.osc_out)
    return [
        NativeOutlet(endpoint, resolve(output.host, output.port), everyone=everyone)
        for output in named
    ]
