"""Tracker of the ports that a MIDI system lists, through changes of place and name. Pure.

rtmidi tells a port by its place in a list and its name alone. ALSA's and JACK's names are
unique. On macOS two devices of one kind have the same name, and on Windows a name ends in the
place, which changes when another device is unplugged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from robojam.wire.midi.port_names import stable_name

Listed = tuple[int, int, str]  # MIDI system, place in its list, name
_Key = tuple[int, str]  # MIDI system, the name that stays


@dataclass(slots=True, eq=False)
class TrackedPort:
    """A port that is listed. Its place and name are those of now.

    uncertain: of several ports of its name some have gone, and it may be one of them. ranks:
    which of n ports of its name it was when there were n, as devices return to their places.
    """

    api: int
    place: int
    name: str
    uncertain: bool = False
    ranks: dict[int, int] = field(default_factory=dict)


class PortTracker:
    """The ports of one direction, the same objects as long as they are there."""

    def __init__(self, system: str) -> None:
        """Track the ports of a system, named as in sys.platform."""
        self._system = system
        self._listing: list[Listed] = []
        #: The ports, in the order of the list.
        self.ports: list[TrackedPort] = []

    def update(self, listing: Sequence[Listed], opened: Collection[TrackedPort]) -> None:
        """Compare a list with the last one: ports are kept, come or go.

        opened are the ports that robojam listens or sends to. Where some of one name have gone
        and nothing tells which, they are uncertain if all are opened, since one that is there
        will be heard; otherwise all are new, so that what is left is opened for certain.
        """
        if listing == self._listing:
            return
        before = [self._key(*listed) for listed in self._listing]
        now = [self._key(*listed) for listed in listing]
        counts = Counter(before)
        ports: list[TrackedPort] = []
        for key in dict.fromkeys(now):
            places = [i for i, other in enumerate(now) if other == key]
            known = [p for p in self.ports if self._key_of(p) == key]
            if len(places) > counts[key]:
                # Which of the uncertain ones has returned cannot be known: all are new.
                known = [port for port in known if not port.uncertain]
            ports += self._assign(key, known, places, before, now, listing, opened)
        self.ports = sorted(ports, key=lambda port: (port.api, port.place))
        self._listing = list(listing)

    def _key(self, api: int, _place: int, name: str) -> _Key:
        return api, stable_name(name, "win32") if self._system == "win32" else name

    def _assign(
        self,
        key: _Key,
        known: list[TrackedPort],
        places: list[int],
        before: list[_Key],
        now: list[_Key],
        listing: Sequence[Listed],
        opened: Collection[TrackedPort],
    ) -> list[TrackedPort]:
        """Return the ports of one key: those known that are still there, and new ones."""
        old_places = [i for i, other in enumerate(before) if other == key]
        kept = dict(zip(old_places, places, strict=False))  # place before: place now
        if known and len(known) != len(places):  # some have come or gone: which of them?
            around = _pair(key, before, now)
            # The rest of the list tells, if a comparison from its end gives the same as one
            # from its beginning.
            from_end = _pair(key, before[::-1], now[::-1])
            same = around == {
                len(before) - 1 - old: len(now) - 1 - new for old, new in from_end.items()
            }
            if same and len(around) == min(len(known), len(places)):
                kept = around
            elif all(len(places) in port.ranks for port in known):  # as when there were as many
                ranks = [port.ranks[len(places)] for port in known]
                kept = {old: places[rank] for old, rank in zip(old_places, ranks, strict=False)}
            if len(known) > len(places) and (kept is not around or known[0].uncertain):
                if all(port in opened for port in known):
                    for port in known:
                        port.uncertain = True
                    return known
                known = []
        of_place = {
            kept[old]: port for port, old in zip(known, old_places, strict=False) if old in kept
        }
        for place, port in of_place.items():
            port.api, port.place, port.name = listing[place]
        ports = [of_place.get(place) or TrackedPort(*listing[place]) for place in places]
        for rank, port in enumerate(ports):
            port.ranks[len(ports)] = rank
        return ports

    def heard(self, port: TrackedPort) -> None:
        """Take a port as there, since a message has come from it."""
        port.uncertain = False
        self._settle(port)

    def failed(self, port: TrackedPort) -> None:
        """Take an uncertain port as gone, since nothing could be sent to it."""
        if port.uncertain:
            self.ports.remove(port)
            self._settle(port)

    def _settle(self, port: TrackedPort) -> None:
        """Decide about the uncertain ports of a port's name, where no doubt is left."""
        of_name = self._of_name(port)
        there = sum(self._key(*listed) == self._key_of(port) for listed in self._listing)
        if len(of_name) == there:
            for other in of_name:
                other.uncertain = False
        elif sum(not other.uncertain for other in of_name) == there:
            self.ports = [p for p in self.ports if p not in of_name or not p.uncertain]

    def namesakes(self, port: TrackedPort) -> list[TrackedPort]:
        """Return the other ports of a port's name."""
        return [other for other in self._of_name(port) if other is not port]

    def _of_name(self, port: TrackedPort) -> list[TrackedPort]:
        return [other for other in self.ports if self._key_of(other) == self._key_of(port)]

    def _key_of(self, port: TrackedPort) -> _Key:
        return self._key(port.api, port.place, port.name)


def _pair(key: _Key, before: list[_Key], now: list[_Key]) -> dict[int, int]:
    """Return the place now of each place before of a key, in a longest common subsequence.

    Of those, it is the one that takes what comes first.
    """
    longest = [[0] * (len(now) + 1) for _ in range(len(before) + 1)]  # from two places on
    for i in reversed(range(len(before))):
        for j in reversed(range(len(now))):
            longest[i][j] = max(longest[i + 1][j], longest[i][j + 1])
            if before[i] == now[j]:
                longest[i][j] = longest[i + 1][j + 1] + 1
    pairs = {}
    i = j = 0
    while i < len(before) and j < len(now):
        if before[i] == now[j]:
            if before[i] == key:
                pairs[i] = j
            i, j = i + 1, j + 1
        elif longest[i + 1][j] >= longest[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs
