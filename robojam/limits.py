"""Limits on what a network may ask for: rates, and tables with a bound and an expiry. Pure.

Every table that a network can fill is one of these, and so is every rate. Times are arguments,
in seconds of one clock. Each operation takes constant time, but for the removal of what has
expired, which is constant for each entry, and for the search of an owner with many entries.
docs/limits.md lists the numbers, with their reasons.

Hosts count by their networks: see `network_of`.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
E = TypeVar("E")

#: First bits of an IPv6 address, which name a network: a machine may use any address in it.
NETWORK_BITS: Final = 64


@lru_cache(maxsize=256)
def network_of(host: str) -> str:
    """Return what a host counts as where hosts have limits: its own address, or its network.

    A machine has one IPv4 address, or a few; of IPv6 it may take any of the 2^64 of its /64.
    So 2001:db8::7 counts as 2001:db8::/64, as do all its neighbours, and fe80::7%eth0, of one
    link, as fe80::%eth0/64. An IPv4 address, also one that is mapped into IPv6, and any other
    text count as themselves.
    """
    if ":" not in host:
        return host
    address, percent, interface = host.partition("%")
    try:
        number = IPv6Address(address)
    except AddressValueError:
        return host
    if number.ipv4_mapped is not None:
        return str(number.ipv4_mapped)
    beyond = 128 - NETWORK_BITS
    return f"{IPv6Address(int(number) >> beyond << beyond)}{percent}{interface}/{NETWORK_BITS}"


def host_of(source: str) -> str | None:
    """Return the host of a source, as robojam.engine.senders names it; None for MIDI."""
    kind, _, rest = source.partition(":")
    if kind in ("midi", "serial"):
        return None
    if kind not in ("tuio", "web"):
        return source
    return rest.partition("/")[0]


def source_network(source: str) -> str:
    """Return the network of a source's host; "" for a MIDI connection."""
    return network_of(host_of(source) or "")


class RateLimiter:
    """Token bucket: allows rate requests a second, and a burst at once."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst, self._left, self._at = rate, burst, burst, -math.inf

    def take(self, now: float, cost: float = 1.0) -> bool:
        """Take a request at an instant (s), which counts as cost; return whether it is allowed.

        One that is not allowed costs nothing.
        """
        if now > self._at:
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
            self._at = now
        if self._left < cost:
            return False
        self._left -= cost
        return True

    def wait(self, now: float) -> float:
        """Return the seconds from an instant (s) until a request is allowed; 0 if it is now."""
        left = min(self._burst, self._left + max(0.0, now - self._at) * self._rate)
        return max(0.0, 1 - left) / self._rate

    def charge(self, now: float, cost: float) -> None:
        """Count a request that is made in any case; the debt is at most the burst."""
        self.take(now, 0.0)  # what has been refilled until now
        self._left = max(self._left - cost, -self._burst)


class ExpiringTable(Generic[K, V]):
    """Table of at most `most` entries (LRU), each for `life` seconds after its last use.

    The order is that of the last use, the least recent first. Where a newcomer finds no room,
    the first leaves, of the owner that has most entries.
    """

    __slots__ = ("_entries", "_on_leave", "_owned", "_owner_of", "life", "most")

    def __init__(
        self,
        most: int,
        life: float = math.inf,
        *,
        on_leave: Callable[[K, V], object] = lambda *_: None,
        owner_of: Callable[[K], Hashable] = lambda _: None,
    ) -> None:
        """Start empty.

        on_leave is called with an entry that expires or gives up its place. owner_of returns
        whose a key is; by default all have one owner.
        """
        self.most, self.life = most, life
        self._on_leave, self._owner_of = on_leave, owner_of
        self._entries: OrderedDict[K, tuple[V, float, Hashable]] = OrderedDict()
        self._owned = Counter[Hashable]()  # entries of each owner

    def __len__(self) -> int:
        """Return the number of entries, with those that `expire` would remove."""
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[K]:
        """Return the keys, the least recently used first."""
        return iter(self._entries)

    def items(self) -> Iterator[tuple[K, V]]:
        """Return keys and values, the least recently used first."""
        return ((key, value) for key, (value, _, _) in self._entries.items())

    def get(self, key: K) -> V | None:
        """Return the value of a key, which this does not use; None for none."""
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def use(self, key: K, now: float = 0.0) -> V | None:
        """Return the value of a key, whose life begins again; None for none."""
        self.expire(now)
        entry = self._entries.get(key)
        if entry is None:
            return None
        value, _, owner = entry
        self._entries[key] = value, now, owner
        self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V, now: float = 0.0) -> None:
        """Set the value of a key, whose life begins again.

        Where there is no room, another entry leaves. A table without a life needs no times.
        """
        self.expire(now)
        owner = self._owner_of(key)
        if key not in self._entries:
            self._owned[owner] += 1
        self._entries[key] = value, now, owner
        self._entries.move_to_end(key)
        if len(self._entries) > self.most:
            left = self._first_of_largest()
            self._on_leave(left, self._remove(left))

    def pop(self, key: K) -> V | None:
        """Remove a key; return its value, or None for none. Nobody is called."""
        return self._remove(key) if key in self._entries else None

    def expire(self, now: float) -> float:
        """Remove what has not been used for its life; return the seconds until more expires.

        These are infinite for an empty table.
        """
        while self._entries:
            key, (_, used_at, _) = next(iter(self._entries.items()))
            if used_at + self.life > now:
                return used_at + self.life - now
            self._on_leave(key, self._remove(key))
        return math.inf

    def clear(self) -> None:
        """Remove all entries. Nobody is called."""
        self._entries.clear()
        self._owned.clear()

    def _remove(self, key: K) -> V:
        value, _, owner = self._entries.pop(key)
        self._owned[owner] -= 1
        if not self._owned[owner]:
            del self._owned[owner]
        return value

    def _first_of_largest(self) -> K:
        """Return the least recently used key of the owner that has most."""
        owned = self._owned
        if len(owned) == 1:
            return next(iter(self._entries))
        most = max(owned.values())
        return next(key for key, (_, _, owner) in self._entries.items() if owned[owner] == most)


class RecentTable(Generic[K]):
    """Keys of the last moments: at most `most`, each for `life` seconds.

    As `ExpiringTable`, for the path of every touch: one look at a key instead of a search for
    what has expired.
    """

    __slots__ = ("_added", "_life", "_most")

    def __init__(self, most: int, life: float) -> None:
        self._most, self._life = most, life
        self._added: dict[K, float] = {}  # instants, the earliest first

    def __len__(self) -> int:
        """Return the number of keys, with those that have expired."""
        return len(self._added)

    def add(self, key: K, now: float) -> bool:
        """Add a key; return False if it is there already, which then changes nothing."""
        added_at = self._added.pop(key, None)
        if added_at is not None and added_at + self._life > now:
            self._added[key] = added_at
            return False
        self._added[key] = now
        if len(self._added) > self._most:
            del self._added[next(iter(self._added))]
        return True


def of_largest(entries: Iterable[tuple[E, Hashable]]) -> list[E]:
    """Return the entries of the owners that have most of them; each is given with its owner.

    Where one of these gives up its place, nobody can take the places of others who have fewer.
    """
    every = list(entries)
    counts = Counter(owner for _, owner in every)
    most = max(counts.values(), default=0)
    return [entry for entry, owner in every if counts[owner] == most]


class HostLimiter:
    """Rate limiters of hosts, each a token bucket of its own, and one of all hosts together.

    A host is `network_of` its address. It is forgotten when its bucket is full again, or when
    `most` others came after it.
    """

    __slots__ = ("_all", "_limiters", "_rate")

    def __init__(
        self, rate: float, burst: float, most: int, *, of_all: RateLimiter | None = None
    ) -> None:
        """Allow each host rate requests a second and a burst at once; of_all limits all."""
        self._rate, self._all = (rate, burst), of_all
        self._limiters = ExpiringTable[str, RateLimiter](most, burst / rate)

    def __len__(self) -> int:
        """Return the number of hosts that are known."""
        return len(self._limiters)

    def take(self, host: str, now: float, cost: float = 1.0) -> bool:
        """Take a request of a host, which counts as cost; return whether it is allowed."""
        limiter = self._of(host, now)
        return limiter.take(now, cost) and (self._all is None or self._all.take(now, cost))

    def charge(self, host: str, now: float, cost: float) -> None:
        """Count a request of a host that is made in any case."""
        self._of(host, now).charge(now, cost)
        if self._all is not None:
            self._all.charge(now, cost)

    def _of(self, host: str, now: float) -> RateLimiter:
        network = network_of(host)
        limiter = self._limiters.use(network, now)
        if limiter is None:
            limiter = RateLimiter(*self._rate)
            self._limiters.put(network, limiter, now)
        return limiter
