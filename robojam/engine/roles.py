"""Roles: what each sender may do. Pure.

A sender is known by its source, as `robojam.engine.senders` knows it: a host, a source of TUIO
or a MIDI connection. `_LEAST` is the one table of what each role may do.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Final

from robojam.config.networks import Network, parse_network
from robojam.config.roles import Role, RoleRules
from robojam.controls import CONTROLS, RefusedError
from robojam.limits import host_of
from robojam.system.shell import printable, shell_quoted
from robojam.wire import native
from robojam.wire.midi.port_names import matches

#: The lowest role that may send a request. A player may send a control, too, where it is its
#: own: see `_is_own`. What is not in the table is for hosts.
_LEAST: Final[Mapping[type, Role]] = {
    native.StatusRequest: Role.WATCHER,
    native.MapRequest: Role.WATCHER,
    native.Subscribe: Role.WATCHER,
    native.Finger: Role.PLAYER,
    native.PitchedFinger: Role.PLAYER,
    native.PhaselessTouch: Role.PLAYER,
    native.KnobMoves: Role.PLAYER,
    native.Alive: Role.PLAYER,
}
#: Other requests, as a refusal names them.
_WHAT: Final[Mapping[type, str]] = {
    native.PreviewTouch: "a preview",
    native.HealthRequest: "the health of the jam",
    native.SetupRequest: "the setup",
    native.SetupChange: "the setup",
    native.LearnPad: "learning a pad",
}
#: Reasons of a refusal.
NOT_ALLOWED: Final = "not allowed"
LOCKED: Final = "locked"
#: Requests that are locked in a show besides controls: they change the jam, or are heard.
_LOCKED: Final = (native.PreviewTouch, native.SetupChange, native.LearnPad)
#: Control that is never locked.
_NEVER_LOCKED: Final = "panic"
_RANK: Final = {Role.WATCHER: 0, Role.PLAYER: 1, Role.HOST: 2}
#: Most sources whose roles are remembered, and for how many seconds: the addresses of this
#: machine may change.
_MAX_SOURCES, _MEMORY = 256, 10.0
#: End of the player's name of the second TUIO source, or a further one, of one name.
_NUMBERED: Final = re.compile(r" \(\d+\)$")


class Roles:
    """Roles of all senders; `refused` counts, by role, what a sender was not allowed."""

    def __init__(
        self,
        control: Collection[str] = (),
        rules: RoleRules | None = None,
        *,
        is_here: Callable[[str], bool],
        pads_control: bool = False,
        unlocked: Collection[str] | None = None,
    ) -> None:
        """Start with networks whose hosts may control, and rules for all others.

        pads_control: players at pads in browsers may control the jam, too. is_here says
        whether a host is this machine, for certain. Names of hosts have been replaced by
        their addresses. unlocked: the controls that hosts, too, may set; None for all, and
        then the setup is not locked either.
        """
        self._unlocked = unlocked
        self._is_here, self._rules = is_here, rules or RoleRules()
        self._pads_control = pads_control
        named = [(who, role) for who, role in self._rules.address.items()]
        networks = [
            *((parse_network(who), Role.HOST) for who in control),
            *sorted(((parse_network(who), role) for who, role in named), key=_size),
        ]
        self._networks = [(n, role) for n, role in networks if isinstance(n, Network)]
        # Asked for twice for each packet.
        self._known = lru_cache(maxsize=_MAX_SOURCES)(self._find)
        self._forget_at = -math.inf
        self.refused: Counter[Role] = Counter()

    def of(self, source: str, now: float) -> Role:
        """Return the role of a source at an instant (s)."""
        if now >= self._forget_at:
            self._known.cache_clear()
            self._forget_at = now + _MEMORY
        return self._known(source)

    def check(self, request: native.Input, source: str, name: str | None, now: float) -> Role:
        """Return the role of a source that may send a request; name is its player's, if any.

        Raises RefusedError, which says what to do.
        """
        if isinstance(request, native.Dropped):
            return Role.WATCHER
        role = self.of(source, now)
        if self._unlocked is not None and self._is_locked(request, self._unlocked):
            self.refused[role] += 1
            raise RefusedError(LOCKED, _how_to_unlock(request))
        if role is Role.HOST:
            return role
        if _RANK[role] >= _RANK[_LEAST.get(type(request), Role.HOST)]:
            return role
        if role is Role.PLAYER and _is_own(request, name):
            return role
        is_control = isinstance(request, native.Control)
        if is_control and self._pads_control and role is Role.PLAYER and _is_pad(source):
            return Role.HOST
        self.refused[role] += 1
        raise RefusedError(NOT_ALLOWED, self._advice(request, source, role))

    @property
    def unlocked(self) -> list[str] | None:
        """The controls that are not locked; None where none is."""
        return None if self._unlocked is None else sorted({*self._unlocked, _NEVER_LOCKED})

    def status(self) -> dict[str, int]:
        """Return how many requests were refused, by role, as JSON values.

        A host is refused what is locked alone.
        """
        roles = [Role.PLAYER, Role.WATCHER]
        if self._unlocked is not None:
            roles.insert(0, Role.HOST)
        return {role: self.refused[role] for role in roles}

    @staticmethod
    def _is_locked(request: native.Input, unlocked: Collection[str]) -> bool:
        if isinstance(request, native.Control):
            return request.name not in unlocked and request.name != _NEVER_LOCKED
        return isinstance(request, _LOCKED)

    def _find(self, source: str) -> Role:
        """Return the role of a source by the rules."""
        kind, _, rest = source.partition(":")
        if kind == "serial":
            return Role.HOST
        if kind == "midi":
            roles = [role for who, role in self._rules.midi.items() if matches(who, [rest])]
            return roles[0] if roles else Role.HOST
        if _is_pad(source):
            return self._of_host(host_of(source) or "")
        if kind == "tuio":
            rest = _NUMBERED.sub("", rest)
            host, _, name = rest.partition("/")
            tuio = self._rules.tuio
            # A source may name itself HOST/NAME, as another one is named in the rules.
            role = tuio.get(rest) or (None if "/" in name else tuio.get(name))
            return role or self._of_host(host)
        return self._of_host(source)

    def _of_host(self, host: str) -> Role:
        if self._is_here(host):
            return Role.HOST
        named = (role for network, role in self._networks if host in network)
        return next(named, self._rules.others)

    def _advice(self, request: native.Input, source: str, role: Role) -> str:
        kind, _, rest = source.partition(":")
        if kind in ("midi", "tuio"):
            table, who = kind, rest
        else:
            table, who = "address", host_of(source) or source
        line = f'{json.dumps(who)} = "%s" under [{table}] in the file of roles'
        if role is Role.WATCHER:
            return f"a watcher may only watch; to let it play: {line % Role.PLAYER:.200}"
        what = _WHAT.get(type(request), "this")
        if isinstance(request, native.Control):
            what = f"the {request.name} of all" if _is_per_player(request) else request.name
        is_host = table == "address"
        needed = f"--control {shell_quoted(who)}" if is_host else line % Role.HOST
        return f"{what} is for hosts alone, and this is a player; to let it: {needed:.200}"


def _how_to_unlock(request: native.Input) -> str:
    """Return what a person does about a request that is locked."""
    if isinstance(request, native.Control):
        name = printable(f"{request.name:.40}")
        return f"{name} is locked in a show; to let it: --show-allow {name}"
    what = _WHAT.get(type(request), "this")
    return f"{what} is locked in a show, which was started with --show"


def _size(rule: tuple[Network | str, Role]) -> tuple[float, int]:
    """Return the size of a rule's network: the smallest decides; of one network, the least."""
    network, role = rule
    return network.size if isinstance(network, Network) else math.inf, _RANK[role]


def _is_pad(source: str) -> bool:
    """Return whether a source is a pad in a browser."""
    return source.startswith("web:")


def _is_per_player(request: native.Control) -> bool:
    return request.name in CONTROLS and CONTROLS[request.name].per_player


def _is_own(request: native.Input, name: str | None) -> bool:
    """Return whether a request sets a control of the player of that name alone."""
    if not isinstance(request, native.Control) or not _is_per_player(request):
        return False
    who, _, value = str(request.value).rpartition("=")
    own = "" if name is None else CONTROLS[request.name].own_name(name)
    return who.strip().lower() in ("", own) and "," not in value
