"""Twins of an engine: others that hear the same, compute the same, and wait to take over.

A twin asks by OSC (`/robojam/twin`), and the engine connects to it: so nothing more listens
here, and who asks is known by its address. It is given the state of the jam, then every touch
and control as the recording has it, and, every few milliseconds, up to when all is played.
Nothing here waits: what a connection does not take at once is sent with the next beat, and a
twin that takes too little is dropped.
"""

import hmac
import logging
import math
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Final, cast

import msgspec

from robojam.config.addresses import format_address
from robojam.controls import RefusedError
from robojam.engine import twin_frames as frames
from robojam.engine.live_jam import SAVED_VOICES, LiveJam
from robojam.engine.senders import Senders
from robojam.jam import saved
from robojam.jam.events import ControlChanged, Event, TouchPlayed
from robojam.jam.jam import RULES, Jam
from robojam.limits import RateLimiter
from robojam.ports.udp import Address
from robojam.sessions.checkpoint import Moment
from robojam.sessions.session import Header, SetEvent, TouchEvent
from robojam.sessions.session import encode as encode_event
from robojam.wire import osc
from robojam.wire.native import Follow

log = logging.getLogger("robojam")

#: Most twins; requests of one a second, and at once.
MAX_TWINS: Final = 2
_REQUESTS = (2, 4)
#: Seconds between two beats, checks of the sum, and looks at who plays.
BEAT: Final = 0.005
_CHECKS, _LOOKS = 1.0, 0.05
#: Most bytes that wait for a twin, seconds to connect, and of a state that cannot be saved
#: just now until it is tried again.
_MAX_WAITING: Final = 96 << 20
_CONNECTING: Final = 2.0
_LATER: Final = 0.01
#: Secrets of twins that are remembered: one may lead while it cannot be reached.
_SECRETS: Final = 8
#: Seconds between two words to the engine that led before.
_TELLING: Final = 0.2


def takes_too_long(voices: int) -> bool:
    """Return whether to copy the state of some voices holds the loop up."""
    return voices > SAVED_VOICES


class _Twin:
    """Connection to one twin."""

    def __init__(
        self, connection: socket.socket, beats: Address, listens: Address, secret: bytes
    ) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection, self.beats, self.secret = connection, beats, secret
        self.listens = listens  # once it leads
        self.waiting = bytearray(secret)
        self.events = 0  # since the last state
        self.needs_state = True
        self.encoding = False  # the state is encoded; what follows it waits in `held`
        self.held = bytearray()
        self.company = b""
        self.lost = ""

    @property
    def is_ready(self) -> bool:
        """Whether it has been sent all."""
        return not (self.needs_state or self.encoding or self.waiting or self.lost)

    def put(self, frame: bytes) -> None:
        """Send a frame, after the state if that is being encoded."""
        if self.encoding:
            self.held += frame
        else:
            self.waiting += frame
            self.flush()
        if len(self.waiting) + len(self.held) > _MAX_WAITING:
            self.lost = "it takes less than it is sent"

    def flush(self) -> None:
        """Send what waits, as far as the connection takes it."""
        try:
            while self.waiting:
                del self.waiting[: self.connection.send(self.waiting[: 1 << 18])]
        except BlockingIOError:
            pass
        except OSError as error:
            self.lost = error.strerror or str(error)

    def is_asked(self) -> bool:
        """Return whether the twin needs the state again; note where it has gone."""
        try:
            data = self.connection.recv(64)
        except BlockingIOError:
            return False
        except OSError as error:
            self.lost = error.strerror or str(error)
            return False
        if not data:
            self.lost = "it has ended"
        return frames.AGAIN in data


class Twins:
    """Twins of the engine that leads a jam."""

    def __init__(
        self,
        live: LiveJam,
        senders: Senders,
        *,
        address: Callable[[], Address],
        monitors: Callable[[], list[Address]],
        send: Callable[[bytes, Address], object],
        call: Callable[[Callable[[], None]], object],
        hear: Callable[[Callable[[Event], Callable[[], None] | None] | None], None],
        clock: Callable[[], float],
        term: int = 1,
    ) -> None:
        """Start without any. send sends a packet; call runs a function on this thread.

        hear is given what is to be called with each event (`event`) from now on, or None.
        """
        self._live, self._senders, self._address = live, senders, address
        self._monitors, self._call, self._clock = monitors, call, clock
        self._hear = hear
        self.term = term
        self._twins: list[_Twin] = []
        self._connecting = 0
        self._requests = RateLimiter(*_REQUESTS)
        self._send = send
        #: Address of an engine on another machine that led the jam before; None without one.
        self.led_before: Address | None = None
        self.secret = ""  # that it knows of this one
        self._secrets: deque[str] = deque(maxlen=_SECRETS)
        self._tell_at = -math.inf
        self._beats: dict[int, socket.socket] = {}
        self._take: tuple[float, bool] | None = None
        self._beat_at = self._check_at = self._look_at = -math.inf

    def __len__(self) -> int:
        return len(self._twins)

    def _tell_leader(self, now: float) -> float:
        """Send the engine that led before, which may live, the word that it leads no more."""
        if self.led_before is None:
            return math.inf
        if now >= self._tell_at:
            self._tell_at = now + _TELLING
            word = osc.encode("/robojam/yield", "is", self.term, self.secret)
            self._send(word, self.led_before)
        return self._tell_at - now

    # -- who follows -------------------------------------------------------------------------

    def ask(self, request: Follow, host: str, now: float) -> None:
        """Connect to a twin at a host that has asked. Raises RefusedError."""
        if self._live.jam.replaying:
            raise RefusedError("replaying")
        if self._live.info.device != "cpu":
            raise RefusedError("no twin", "only a jam on a processor can have a twin")
        if takes_too_long(self._live.takes.options.voices):
            raise RefusedError("no twin", f"a jam of {SAVED_VOICES} voices at most has one")
        if len(self._twins) + self._connecting >= MAX_TWINS or not self._requests.take(now):
            raise RefusedError("too many twins", f"{MAX_TWINS} at most")
        self._connecting += 1
        connect = partial(self._connect, host, request)
        threading.Thread(target=connect, name="twin", daemon=True).start()

    def _connect(self, host: str, request: Follow) -> None:
        """Connect in a thread of its own."""
        connection = None
        with suppress(OSError):
            connection = socket.create_connection((host, request.port), _CONNECTING)
        self._call(partial(self._connected, connection, host, request))

    def _connected(self, connection: socket.socket | None, host: str, request: Follow) -> None:
        self._connecting -= 1
        if connection is None:
            log.warning("a twin at %s could not be reached", format_address(host, request.port))
            return
        here = connection.getsockname()[0] == connection.getpeername()[0]
        listens = self._address() if here else (host, request.listens)
        secret = bytes.fromhex(request.secret)
        self._secrets.append(request.secret)
        self._twins.append(_Twin(connection, (host, request.beats), listens, secret))
        self._hear(self.event)
        self._beat_at = -math.inf
        log.info("a twin at %s follows", format_address(host, request.port))

    def knows(self, secret: str) -> bool:
        """Return whether a secret is that of an engine that has followed this one."""
        return any(hmac.compare_digest(secret.encode(), s.encode()) for s in self._secrets)

    @property
    def heir(self) -> Address | None:
        """Address of the twin to which the jam can be handed over now; None without one."""
        ready = self._ready
        return None if ready is None else ready.listens

    @property
    def _ready(self) -> _Twin | None:
        return next((twin for twin in self._twins if twin.is_ready), None)

    def _drop(self, twin: _Twin) -> None:
        self._twins.remove(twin)
        if not self._twins:
            self._hear(None)
        twin.connection.close()
        log.warning("the twin at %s is gone: %s", format_address(*twin.beats), twin.lost)

    # -- what they are told --------------------------------------------------------------------

    def event(self, event: Event) -> Callable[[], None] | None:
        """Return what sends an event, once it has been played or has taken effect.

        A kill in between makes a touch come twice, or go lost: so this is short.
        """
        if not self._live.takes.begun:
            return None
        self._note_take()
        if isinstance(event, TouchPlayed):
            line = encode_event(TouchEvent(event.t, event.touch))
        elif isinstance(event, ControlChanged):
            if event.name == "model":
                self.resync()
                return None
            line = encode_event(SetEvent(event.t, {event.name: event.value}))
        else:
            return None
        return partial(self._put_event, frames.encode(frames.EVENT, line))

    def _put_event(self, frame: bytes) -> None:
        for twin in self._twins:
            if not twin.needs_state:  # which will have the event
                twin.events += 1
                twin.put(frame)

    def _note_take(self) -> None:
        """Send everybody the state again where another take has begun, or this one is over."""
        takes = self._live.takes
        take = takes.origin, takes.begun
        if take != self._take:
            self._take = take
            self.resync()

    def resync(self) -> None:
        """Send everybody the state again."""
        for twin in self._twins:
            twin.needs_state = True
        self._beat_at = -math.inf

    def advance(self, now: float) -> float:
        """Send what is due; return the seconds until the next call, or infinity."""
        wait = self._tell_leader(now)
        if not self._twins:
            return wait
        if now < self._beat_at:
            return min(wait, self._beat_at - now)
        self._beat_at = now + BEAT
        self._note_take()
        looks, checks = now >= self._look_at, now >= self._check_at
        for twin in list(self._twins):
            twin.needs_state |= twin.is_asked()
            if twin.needs_state and not twin.encoding and not self._send_state(twin):
                self._beat_at = now + min(BEAT, _LATER)
            if looks:
                self._send_company(twin)
            if checks:
                self._send_check(twin)
            twin.flush()
            self._beat(twin)
            if twin.lost:
                self._drop(twin)
        if looks:
            self._look_at = now + _LOOKS
        if checks:
            self._check_at = now + _CHECKS
        return BEAT

    def _beat(self, twin: _Twin) -> None:
        beat = frames.Beat(twin.secret, self._live.jam.t, twin.events, self.term)
        family = socket.AF_INET6 if ":" in twin.beats[0] else socket.AF_INET
        if family not in self._beats:
            self._beats[family] = socket.socket(family, socket.SOCK_DGRAM)
            self._beats[family].setblocking(False)
        with suppress(OSError):
            self._beats[family].sendto(frames.encode_beat(beat), twin.beats)

    def _send_state(self, twin: _Twin) -> bool:
        """Begin to send the state; return whether it can be saved now."""
        live, takes = self._live, self._live.takes
        jam = cast("Jam", live.jam)
        if takes.begun and takes_too_long(jam.player.voices):
            twin.lost = "there are too many voices"
            return True
        if takes.begun and not jam.saves:
            return False
        state = jam.save() if takes.begun else None
        info, settings = live.info, asdict(live.settings)
        options = msgspec.to_builtins(takes.options)
        del options["controls"]
        seed = takes.seed or 0
        header = Header(
            started=datetime.fromtimestamp(time.time() - jam.t, UTC).isoformat(),
            model=info.model, device=info.device, build=info.build, seed=seed, rules=RULES,
            options=options | settings | {"seed": takes.seed, "model": info.model.file},
        )  # fmt: skip
        moment = None
        if takes.begun:
            moment = Moment(
                t=jam.t, at=time.time(), model=info.model, device=info.device,
                build=info.build, rules=jam.rules, voices=jam.player.voices, seed=seed,
                controls=settings, heard=jam.counts.heard, played=jam.counts.played,
            )  # fmt: skip
        twin.needs_state, twin.encoding, twin.events = False, True, 0
        player = jam.player

        def encode() -> None:
            data = b"" if state is None else saved.encode(state, player)
            content = frames.Jam(self.term, self._address(), header, moment, data)
            frame = frames.encode(frames.STATE, msgspec.msgpack.encode(content))
            self._call(partial(self._encoded, twin, frame))

        threading.Thread(target=encode, name="twin state", daemon=True).start()
        return True

    def _encoded(self, twin: _Twin, frame: bytes) -> None:
        twin.encoding = False
        held, twin.held = twin.held, bytearray()
        twin.put(frame + held)
        twin.company = b""

    def _send_company(self, twin: _Twin) -> None:
        recording = self._live.takes.file_name
        content = msgspec.msgpack.encode(
            frames.Company(self._senders.company(), list(self._monitors()), recording)
        )
        if content != twin.company and not twin.encoding:
            twin.company = content
            twin.put(frames.encode(frames.PLAYERS, content))

    def _send_check(self, twin: _Twin) -> None:
        jam = cast("Jam", self._live.jam)
        if self._live.takes.begun and not twin.encoding and jam.saves:
            check = frames.Check(jam.t, twin.events, jam.checksum())
            twin.put(frames.encode(frames.CHECK, msgspec.msgpack.encode(check)))

    def close(self, reason: str) -> None:
        """Tell everybody the end, and why."""
        heir = self._ready
        for twin in self._twins:
            why = reason if twin is heir else frames.OVER  # one alone goes on
            with suppress(OSError):
                twin.connection.setblocking(True)
                twin.connection.settimeout(_CONNECTING)
                twin.connection.sendall(twin.waiting + frames.encode(frames.END, why.encode()))
            twin.connection.close()
        self._twins.clear()
        for each in self._beats.values():
            each.close()
        self._beats.clear()
