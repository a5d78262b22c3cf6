"""Program of Ableton Link, which the engine starts as a process of its own.

It alone imports aalink, which is under the GPL, version 3 or later, and is the optional extra
`link`: no module of robojam imports aalink or this program. The two programs exchange
datagrams (robojam.system.process_messages): the session's beats and its peers one way, a tempo
to change to the other way.

Link's clock is not this machine's `time.perf_counter` on every system. So each look at the
session reads the beat between two readings of that; of several looks the shortest counts.
"""

import asyncio
import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any, Final

from robojam.beats import TEMPI, Beats
from robojam.clock.messages import ClockReport, ClockRequest, Departures
from robojam.system.child_process import on_stdin_end, read_first_line
from robojam.system.process_messages import ALIVE, CLOCK, ERROR, HOPELESS, packet

#: Seconds between two looks at the session, and between two signs of life.
_LOOK: Final = 0.04
_ALIVE: Final = 1.0
#: Readings of the beat of which the shortest counts.
_READINGS: Final = 5
#: Seconds in which a beat is set, or it is set again, and how often at most.
_AT_ONCE: Final = 0.0003
_TRIES: Final = 20
#: Beats of a bar, which Link calls the quantum.
_QUANTUM: Final = 4
#: Seconds for which Link looks for a session before it is joined with a tempo of our own: one
#: that is joined at once may take over ours.
_FINDING: Final = 0.5
#: Nanoseconds by which Linux may delay the timers of aalink's threads, one of which wakes a
#: thousand times a second for a function that is not used here: without it that takes some
#: 3 % of a core.
_SLACK_NS: Final = 50_000_000
_PR_SET_TIMERSLACK: Final = 29


def _slack(nanoseconds: int) -> None:
    """Set by how much timers of this thread, and of those it starts, may be late (Linux)."""
    import ctypes

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(nanoseconds))


class LinkSession:
    """A session of Link that is joined."""

    def __init__(self, tempo: float, beats: Beats | None = None) -> None:
        """Join a session; without one, begin one at a tempo, or with beats that go on.

        Raises ImportError without aalink.
        """
        from aalink import Link

        _slack(_SLACK_NS)
        self._loop = asyncio.new_event_loop()  # which is never run: only its futures need it
        try:
            self._link: Any = Link(tempo, self._loop)
        except TypeError:  # a version that takes the loop that runs
            self._link = self._loop.run_until_complete(self._make(Link, tempo))
        self._link.quantum = _QUANTUM
        self._link.start_stop_sync_enabled = True
        time.sleep(_FINDING)
        if beats is not None:  # of ours alone: a session that there is keeps its own
            self._go_on_with(beats)
        self._link.enabled = True
        _slack(0)  # the usual one
        self._has_played = False

    def _go_on_with(self, beats: Beats) -> None:
        """Set the beat to that of other beats: again where this was interrupted meanwhile."""
        for _ in range(_TRIES):
            now = time.perf_counter()
            self._link.request_beat(beats.beat_at(now))
            if time.perf_counter() - now < _AT_ONCE:
                return

    @staticmethod
    async def _make(link: Any, tempo: float) -> Any:
        return link(tempo)

    def report(self) -> ClockReport:
        """Return what the session says now."""
        link = self._link
        readings = []
        for _ in range(_READINGS):
            before = time.perf_counter()
            beat = link.beat
            after = time.perf_counter()
            readings.append((after - before, (before + after) / 2, beat))
        _, t, beat = min(readings)
        tempo = min(max(link.tempo, TEMPI[0]), TEMPI[1])
        playing = link.playing
        self._has_played |= playing
        # In a session in which nobody uses Start and Stop, none has ever been playing.
        return ClockReport(
            Beats(t, beat, tempo, _QUANTUM),
            playing=playing if self._has_played else None,
            aligned=True,
            peers=link.num_peers,
        )

    def propose(self, tempo: float) -> None:
        """Change the tempo of the session."""
        self._link.tempo = tempo

    def leave(self) -> None:
        """Leave the session."""
        self._link.enabled = False


def run() -> int:
    """Report the session to the port that the first line names, until its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the engine answers a Ctrl-C
    first_line = read_first_line()
    if not first_line:
        return 0
    wanted = json.loads(first_line)
    engine = ("127.0.0.1", wanted["port"])
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    endpoint.bind(("127.0.0.1", 0))
    endpoint.setblocking(False)
    ended, end = socket.socketpair()
    on_stdin_end(lambda: end.send(b"\0"))

    def send(datagram: bytes) -> None:
        with suppress(OSError):  # the engine is gone: standard input tells
            endpoint.sendto(datagram, engine)

    send(packet(ALIVE, data=wanted["token"]))
    try:
        request = ClockRequest.decode(wanted["begin"].encode())
        beats = None if request is None else request.beats
        session = LinkSession(wanted["tempo"] if beats is None else beats.tempo, beats)
    except ImportError as error:
        send(packet(ERROR, data=f"Link cannot be used: {error}"))
        return HOPELESS
    departures = Departures()
    last: ClockReport | None = None
    alive_at = 0.0
    while True:
        now = time.perf_counter()
        if now >= alive_at:
            alive_at = now + _ALIVE
            send(packet(ALIVE))
        report = session.report()
        changed = last is None or ((report.playing, report.peers) != (last.playing, last.peers))
        if departures.take(report.beats, now) or changed:
            send(packet(CLOCK, data=report.encode()))
            last = report
        ready, _, _ = select.select([endpoint, ended], [], [], _LOOK)
        if ended in ready:
            session.leave()
            return 0
        if endpoint in ready:
            _take_requests(endpoint, engine, session)


def _take_requests(
    endpoint: socket.socket, engine: tuple[str, int], session: LinkSession
) -> None:
    """Carry out what the engine has asked for."""
    while True:
        try:
            datagram, sender = endpoint.recvfrom(65536)
        except BlockingIOError:
            return
        except OSError:
            continue
        if sender == engine and datagram[:1] == CLOCK.encode():
            request = ClockRequest.decode(datagram[2:])
            if request is not None and request.tempo is not None:
                session.propose(request.tempo)


if __name__ == "__main__":
    status = run()
    os._exit(status)  # aalink's threads need not be waited for
