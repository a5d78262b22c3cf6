"""Messages between the engine and the programs of clocks: JSON in a datagram. Pure.

A program reports what its clock says, `ClockReport`; the engine asks it for something,
`ClockRequest`.
"""

import json
import math
from dataclasses import dataclass
from typing import Any, Final

from robojam.beats import Beats

#: Least difference that is reported: seconds by which a beat comes earlier or later, and the
#: share of the tempo. And the least time between two reports.
SHIFT: Final = 0.0003
TEMPO: Final = 1e-4
INTERVAL: Final = 0.05
#: Most peers that a report has.
_MOST_PEERS: Final = 10_000


@dataclass(frozen=True, slots=True)
class ClockReport:
    """What a clock says: its beats by time.perf_counter (s), or None as yet.

    playing: its song goes on; None where nobody has said so, as most do not. aligned: it has
    said where a bar begins. peers counts the other programs of a session. problem is what is
    wrong with it, in a word or two, or "".
    """

    beats: Beats | None = None
    playing: bool | None = None
    aligned: bool = False
    peers: int = 0
    problem: str = ""

    def encode(self) -> bytes:
        """Return it as JSON."""
        fields = {
            "beats": _fields(self.beats),
            "playing": self.playing,
            "aligned": self.aligned,
            "peers": self.peers,
            "problem": self.problem,
        }
        return json.dumps(fields).encode()

    @staticmethod
    def decode(data: bytes) -> "ClockReport | None":
        """Read it; None for what is no report."""
        try:
            fields = json.loads(data)
            return ClockReport(
                beats=_beats(fields["beats"]),
                playing=None if fields["playing"] is None else bool(fields["playing"]),
                aligned=bool(fields["aligned"]),
                peers=min(max(int(fields["peers"]), 0), _MOST_PEERS),
                problem=str(fields["problem"])[:200],
            )
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
            return None


@dataclass(frozen=True, slots=True)
class ClockRequest:
    """What a program is to do: change to a tempo (beats a minute), or send beats out.

    playing: the song that is sent out goes on.
    """

    tempo: float | None = None
    beats: Beats | None = None
    playing: bool = True

    def encode(self) -> bytes:
        """Return it as JSON."""
        fields = {"tempo": self.tempo, "beats": _fields(self.beats), "playing": self.playing}
        return json.dumps(fields).encode()

    @staticmethod
    def decode(data: bytes) -> "ClockRequest | None":
        """Read it; None for what is no request."""
        try:
            fields = json.loads(data)
            tempo = fields["tempo"]
            return ClockRequest(
                tempo=None if tempo is None else _finite(tempo),
                beats=_beats(fields["beats"]),
                playing=bool(fields["playing"]),
            )
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
            return None


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _fields(beats: Beats | None) -> list[float] | None:
    return None if beats is None else [beats.t, beats.beat, beats.tempo, beats.beats_per_bar]


def _beats(fields: Any) -> Beats | None:
    if fields is None:
        return None
    t, beat, tempo, per_bar = fields
    return Beats(_finite(t), _finite(beat), _finite(tempo), int(per_bar))


class Departures:
    """When beats depart from what was said last, and are to be said again.

    `said` are the last ones.
    """

    def __init__(self) -> None:
        self.said: Beats | None = None
        self._said_at = -math.inf
        self._waits = False  # whether beats have departed too soon after the last ones

    def take(
        self, beats: Beats | None, now: float, *, shift: float = SHIFT, tempo: float = TEMPO
    ) -> bool:
        """Return whether beats are to be said at an instant (s); they count as said then.

        shift (s) and tempo (a share) are the least differences: a clock that knows its beats
        less well than that needs larger ones. It is said at most once in INTERVAL, but at once
        that there are no beats any more.
        """
        self._waits = False
        if not _depart(self.said, beats, now, shift, tempo):
            return False
        if beats is not None and now < self._said_at + INTERVAL:
            self._waits = True
            return False
        self.said, self._said_at = beats, now
        return True

    def wait(self, now: float) -> float:
        """Return the seconds until beats that came too soon may be said; infinity for none."""
        return max(0.0, self._said_at + INTERVAL - now) if self._waits else math.inf


def _depart(
    said: Beats | None, beats: Beats | None, now: float, shift: float, tempo: float
) -> bool:
    if said is None or beats is None:
        return said is not beats
    seconds = (beats.beat_at(now) - said.beat_at(now)) * 60.0 / beats.tempo
    return (
        abs(seconds) > shift
        or abs(beats.tempo / said.tempo - 1.0) > tempo
        or beats.beats_per_bar != said.beats_per_bar
    )
