"""Twin: an engine that follows another one, computes the same, and takes over when it is gone.

It asks the engine that leads (`/robojam/twin`), which connects to it: with the state of the
jam first, and then every touch and control as the recording has it. Its own jam plays them,
without a sound, up to the time that the leader has played everything until. What leads is gone
for certain when its system closes the connection: that takes a millisecond, wherever it runs.
Where the machine or the network is gone nothing is closed, and the beats stop: from another
machine that counts as gone after a time by the longest pause that there was. On this machine it
does not, as an engine that stands still has its ports.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import math
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from robojam.app import resume
from robojam.config.addresses import format_address, is_loopback
from robojam.config.load import recorded
from robojam.config.options import Options
from robojam.controls import SETTINGS
from robojam.engine import twin_frames as frames
from robojam.engine.model_loader import Models, is_compiled
from robojam.engine.takes import LoadedPlayer, Resumed
from robojam.engine.twin_frames import Beat, Check, Company, FrameError
from robojam.jam.jam import Jam
from robojam.model.file import ModelFileError
from robojam.ports import udp
from robojam.ports.udp import Address
from robojam.sessions.recorder import Before
from robojam.sessions.regenerate import Rerun
from robojam.sessions.session import (
    Session,
    SetEvent,
    TouchEvent,
    parse_event,
)
from robojam.touch import is_machine
from robojam.wire import osc

log = logging.getLogger("robojam")

#: Seconds between two requests to be told the state, until there is an answer.
_ASKING: Final = 0.3
#: Seconds without a beat after which a leader on another machine is gone: this many times the
#: longest pause between beats, within limits; beats by which that is measured, and beats that
#: there must have been, until when it is the longest.
_TIMES, _SHORTEST, _LONGEST = 4.0, 0.1, 0.5
_MEASURED: Final = 2000
_FEW: Final = 1000
#: Seconds without a beat in which the jam is still computed ahead.
_SOON: Final = 0.025
#: Most seconds of the take that pass while the twin takes over; with more, time stands still.
_MOST_LATE: Final = 1.0
#: Bytes that are read at once.
_READ: Final = 1 << 20


class FollowError(ValueError):
    """Reason why an engine cannot be followed, in one line."""


@dataclass(frozen=True, slots=True)
class Lead:
    """Jam that a twin begins to lead, if a take had begun, and where.

    address is where the engine listened that led, if that was on this machine; skip the
    machine's events that it has played already; term the number of this lead; secret the one
    that the leader knows. over: the jam has ended, and there is nothing to lead.
    """

    resumed: Resumed | None
    options: Options
    address: Address | None
    leader: Address
    skip: int
    term: int
    secret: str
    over: bool = False


class _Jam:
    """The jam that is followed, and how far it is."""

    def __init__(
        self, told: frames.Jam, loaded: LoadedPlayer, load: Callable[..., Any]
    ) -> None:
        """Load the state. Raises ValueError for one that is none."""
        self.told, self.loaded = told, loaded
        session = Session(told.header, ())
        self.rerun = Rerun(session, loaded.player, load, told.state)
        self.jam: Jam = self.rerun.jam
        self.jam.follows = True
        moment = told.moment
        assert moment is not None
        self.jam.counts.heard, self.jam.counts.played = moment.heard, moment.played
        #: Events that came since; those of the machine that came, and that were made here.
        self.events = self.came = self.made = 0
        self.seed = moment.seed

    def take(self, event: TouchEvent | SetEvent) -> None:
        """Play an event of the leader."""
        self.events += 1
        if isinstance(event, SetEvent):
            self.seed = int(event.values.get("seed", self.seed))
        elif is_machine(event.touch.who):
            self.came += 1
        self.rerun.play(event)
        self._count()

    def advance(self, t: float) -> None:
        """Play until a time up to which the leader has played."""
        self.jam.advance(max(t, self.jam.t))
        self._count()

    def _count(self) -> None:
        for event in self.rerun.take_made():
            touch = getattr(event, "touch", None)
            self.made += touch is not None and is_machine(touch.who)


class Follower:
    """Connection to the engine that leads, and the jam that is followed."""

    def __init__(
        self,
        leader: Address,
        models: Callable[[Options], Models],
        *,
        listens: int,
        clock: Callable[[], float] = time.perf_counter,
        say: Callable[[str], None] = log.warning,
    ) -> None:
        """Prepare to follow. models returns where models are, by the options.

        listens is the port at which it will listen to OSC, if on another machine. say tells
        the musician something. Raises FollowError where no socket can be opened.
        """
        self.leader = self._leader = leader
        self._models, self._clock, self._say = models, clock, say
        self._listens = listens
        family = udp.family_of(leader[0])
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as trial:
                trial.connect(udp.sockaddr(leader))
                here = trial.getsockname()[0]
            self._beats = socket.socket(family, socket.SOCK_DGRAM)
            self._beats.bind((here, 0))
            self._beats.setblocking(False)
            self._server = socket.socket(family, socket.SOCK_STREAM)
            self._server.bind((here, 0))
            self._server.listen(4)
            self._server.setblocking(False)
        except OSError as error:
            raise FollowError(
                f"{format_address(*leader)} cannot be followed: {error.strerror or error}"
            ) from error
        #: Whether the leader is on this machine.
        self.is_here = is_loopback(leader[0]) or here == leader[0]
        self._secret = os.urandom(frames.SECRET)
        self._connection: socket.socket | None = None
        self._frames, self._greeting = frames.Frames(), b""
        self._told: frames.Jam | None = None
        self._jam: _Jam | None = None
        self._company = Company([], [])
        self._loaded: LoadedPlayer | None = None
        self._waiting: Beat | None = None
        self._heard_at = math.inf  # the last beat, or anything else
        self._pauses: deque[float] = deque(maxlen=_MEASURED)
        self._origins: deque[float] = deque(maxlen=_MEASURED)
        self._asked_at = -math.inf
        self._ended = ""
        self._differs = False  # and the state has been asked for again
        self._early: Lead | None = None
        self.options: Options | None = None

    @property
    def told(self) -> frames.Jam:
        """The jam as the leader has told it."""
        assert self._told is not None
        return self._told

    def connect(self, options: Options) -> Options:
        """Wait until the leader says what it plays; return options with its ports.

        Raises FollowError, also for a jam that cannot be followed here.
        """
        self._given = options
        began, said = self._clock(), False
        while self.options is None:
            self._early = self._turn(_ASKING)
            if not said and self.options is None and self._clock() - began > 2.0:
                said = True
                self._say(f"waiting for the engine at {format_address(*self._leader)}")
        return self.options

    def run(self) -> Lead:
        """Follow until the leader is gone; return what to lead."""
        if self._early is not None:  # it has ended meanwhile
            return self._early
        self._heard_at = self._clock()
        while (lead := self._turn(self._prepare())) is None:
            pass
        return lead

    # -- one turn of the loop ------------------------------------------------------------------

    def _prepare(self) -> float:
        """Compute ahead what the jam plays next; return the seconds until there is more."""
        jam = self._jam
        if jam is None or self._clock() - self._heard_at > _SOON:
            return _ASKING
        return min(jam.jam.prepare(jam.jam.t), _ASKING)

    def _turn(self, wait: float) -> Lead | None:
        """Wait for what comes, and take it; return what to lead once the leader is gone."""
        now = self._clock()
        if self._connection is None and now - self._asked_at >= _ASKING:
            self._ask(now)
        patience = self._patience
        wait = min(wait, _ASKING, max(0.0, self._heard_at + patience - now))
        files = [self._beats, self._connection or self._server]
        ready, _, _ = select.select(files, (), (), wait)
        gone = False
        if self._beats in ready:
            self._take_beats()
        if self._server in ready:
            self._accept()
        elif self._connection is not None and self._connection in ready:
            gone = self._read(self._connection)
        self._play_to_beat()
        silent = self._clock() - self._heard_at > patience
        if self._connection is None or not (gone or silent):
            return None
        self._connection.close()
        self._connection = None
        if self._told is None:  # it has said nothing yet
            self._heard_at = math.inf
            return None
        return self._lead(certain=gone)

    @property
    def _patience(self) -> float:
        """Seconds without a beat after which the leader is gone."""
        if self.is_here or self._told is None:
            return math.inf
        if len(self._pauses) < _FEW:
            return _LONGEST
        return min(max(_TIMES * max(self._pauses), _SHORTEST), _LONGEST)

    def _ask(self, now: float) -> None:
        self._asked_at = now
        port, beats = self._server.getsockname()[1], self._beats.getsockname()[1]
        request = osc.encode(
            "/robojam/twin", "iiis", port, beats, self._listens, self._secret.hex()
        )
        with contextlib.suppress(OSError):
            self._beats.sendto(request, udp.sockaddr(self._leader))

    def _accept(self) -> None:
        """Take a connection, which must say the secret first."""
        with contextlib.suppress(OSError):
            connection, _ = self._server.accept()
            connection.setblocking(False)
            self._connection = connection
            self._frames, self._greeting = frames.Frames(), b""

    def _read(self, connection: socket.socket) -> bool:
        """Take what has come; return whether that was all that ever will."""
        try:
            data = connection.recv(_READ)
        except BlockingIOError:
            return False
        except OSError:
            return True
        if not data:
            return True
        self._heard_at = self._clock() if self._told is not None else math.inf
        try:
            if len(self._greeting) < frames.SECRET:
                missing = frames.SECRET - len(self._greeting)
                self._greeting, data = self._greeting + data[:missing], data[missing:]
                if len(self._greeting) == frames.SECRET and not hmac.compare_digest(
                    self._greeting, self._secret
                ):
                    raise FrameError("it does not know the secret")
            for kind, content in self._frames.feed(data):
                self._take(kind, content)
        except (FrameError, msgspec.DecodeError) as error:
            self._say(f"what came from {format_address(*self._leader)} is no jam ({error})")
            if self._told is None:
                return True
            self._again("what came was damaged")
        return bool(self._ended)

    # -- what comes ------------------------------------------------------------------------

    def _take(self, kind: bytes, content: bytes) -> None:
        if kind == frames.STATE:
            self._load(msgspec.msgpack.decode(content, type=frames.Jam))
        elif kind == frames.END:
            self._ended = content.decode("ascii", "replace")
        elif kind == frames.PLAYERS:
            self._company = msgspec.msgpack.decode(content, type=Company)
        elif self._jam is not None:
            try:
                if kind == frames.EVENT:
                    self._jam.take(parse_event(content))
                elif kind == frames.CHECK:
                    self._check(msgspec.msgpack.decode(content, type=Check))
            except (ValueError, TypeError, LookupError) as error:
                self._again(f"{type(error).__name__}: {error}")

    def _load(self, told: frames.Jam) -> None:
        """Take the state of the jam."""
        self._told, self._waiting, self._differs = told, None, False
        self._heard_at = self._clock()
        self._origins.clear()
        session = Session(told.header, ())
        options = resume.with_ports(self._given, session)
        voices = recorded(told.header.options, "voices")
        knobs = session.knobs
        controls = {name: told.header.options[name] for name in SETTINGS}
        self.options = msgspec.structs.replace(
            options, controls=controls, voices=voices, knobs=knobs
        )
        self._jam = None
        if told.moment is None:
            return
        models = self._models(self.options)
        models.compiled = is_compiled(told.moment.build)
        try:
            loaded = resume.load_recorded(models, told.moment.model, told.header, voices)
            if loaded.info.build != told.moment.build:
                raise FollowError(
                    f"it plays with {told.moment.build}, and this is {loaded.info.build}: a "
                    "twin needs the same"
                )
            self._jam = _Jam(told, loaded, lambda _: loaded.player)
        except (ValueError, TypeError, ModelFileError) as error:
            raise FollowError(
                f"{format_address(*self._leader)} cannot be followed: {error}"
            ) from error
        self._heard_at = self._clock()
        self._pauses.clear()

    def _take_beats(self) -> None:
        """Take the beats that have come; the last one counts."""
        now = self._clock()
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while True:
                packet = self._beats.recv(256)
                try:
                    beat = frames.decode_beat(packet)
                except FrameError:
                    continue
                if not hmac.compare_digest(beat.secret, self._secret):
                    continue
                if self._told is None or beat.term != self._told.term:
                    continue
                if math.isfinite(self._heard_at):
                    self._pauses.append(now - self._heard_at)
                self._heard_at = now
                self._waiting = beat
                self._origins.append(now - beat.t)

    def _play_to_beat(self) -> None:
        """Play up to the time of the last beat, once all events until then are here."""
        jam, beat = self._jam, self._waiting
        if jam is not None and beat is not None and beat.events <= jam.events:
            self._waiting = None
            if math.isfinite(beat.t):
                jam.advance(beat.t)

    def _check(self, check: Check) -> None:
        jam = self._jam
        if jam is None or self._differs:
            return
        if check.events != jam.events:
            self._again("an event is missing")
            return
        jam.advance(check.t)
        if jam.jam.checksum() != check.sum:
            self._again("it computes something else")

    def _again(self, why: str) -> None:
        """Ask for the state again, and go on with what there is until it comes."""
        if self._differs:
            return
        self._differs = True
        self._say(f"the twin differs ({why}): it is given the state again")
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.send(frames.AGAIN)

    # -- taking over -----------------------------------------------------------------------

    def _lead(self, *, certain: bool) -> Lead:
        told, jam, now = self.told, self._jam, self._clock()
        assert self.options is not None
        address = told.address if self.is_here else None
        over = self._ended == frames.OVER
        resumed = None
        skip = 0
        if jam is not None and not over:
            resumed = self._resumed(jam, now)
            skip = max(0, jam.came - jam.made)
        log.debug("the leader is gone (%s)", "certain" if certain else "silent")
        return Lead(
            resumed, self.options, address, self._leader, skip, told.term + 1,
            self._secret.hex(), over=over,
        )  # fmt: skip

    def _resumed(self, jam: _Jam, now: float) -> Resumed:
        moment, info = self.told.moment, jam.loaded.info
        assert moment is not None
        t = jam.jam.t
        origin = min(self._origins, default=now - t)
        late = now - origin - t
        away = late if 0.0 <= late <= _MOST_LATE else 0.0
        settings = {name: getattr(jam.jam.settings, name) for name in SETTINGS}
        header = msgspec.structs.replace(
            self.told.header,
            seed=jam.seed,
            model=info.model,
            options=self.told.header.options | settings | {"seed": jam.seed},
            continues=self._company.recording or None,
        )
        return Resumed(jam.jam, header, Before(), jam.loaded, jam.seed, away, self._company)

    def close(self) -> None:
        """Close all sockets."""
        for each in (self._beats, self._server, self._connection):
            if each is not None:
                each.close()
