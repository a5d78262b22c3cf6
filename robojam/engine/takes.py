"""Takes, one after another: their beginnings, seeds and recordings."""

import logging
import math
import queue
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from robojam.config.options import Options
from robojam.controls import Settings
from robojam.engine.metrics import Lateness
from robojam.engine.quota import RecordingQuota, line_size
from robojam.engine.twin_frames import Company
from robojam.jam import saved
from robojam.jam.events import ControlChanged, TouchPlayed
from robojam.jam.jam import RULES, Jam
from robojam.jam.protocols import Player
from robojam.sessions.checkpoint import Moment, Saving
from robojam.sessions.recorder import CHECKPOINTS, Before, Recorder
from robojam.sessions.session import (
    CLOSED,
    Header,
    ModelRef,
    SetEvent,
    TouchEvent,
)

log = logging.getLogger("robojam")

#: Most problems of the recording that the status lists.
_MAX_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Description of a model at play, for the recording and the status.

    build names everything else that may change the last bits of a touch.
    """

    model: ModelRef
    device: str
    build: str


@dataclass(frozen=True, slots=True)
class LoadedPlayer:
    """Player that is ready, with the description of its model."""

    player: Player
    info: ModelInfo


@dataclass(frozen=True, slots=True)
class Resumed:
    """A jam that was run through a recording, and goes on from there.

    header and before are what its own recording begins with; loaded is the player with which
    it goes on. seed is the one in force; away (s) is how long ago the recording was left.
    company is given where another engine has just led the jam: then time has gone on, and
    fingers are down.
    """

    jam: Jam
    header: Header
    before: Before
    loaded: LoadedPlayer
    seed: int
    away: float
    company: Company | None = None


class Takes:
    """Takes of a jam. A take begins with its first touch, which is its t = 0."""

    def __init__(
        self,
        options: Options,
        *,
        on_trouble: Callable[[Callable[[], None]], None],
        make_recorder: Callable[..., Recorder] = Recorder,
    ) -> None:
        """Wait for the first take. on_trouble runs a function on the engine's thread.

        make_recorder makes the recorder, from what Recorder takes.
        """
        self._recording = options.record
        self.quota = RecordingQuota()
        self._problems: queue.SimpleQueue[str] = queue.SimpleQueue()  # not reported yet
        self.seed = options.seed  # in force; None until one is drawn
        self.trouble: list[str] = []
        self.options, self._asked = options, options.seed
        #: Whether a take has begun, and the instant of its beginning (0 while it waits). No
        #: properties: asked for several times a touch.
        self.begun, self.origin = False, 0.0
        #: When the next checkpoint may be written, and the events since the last one.
        self._save_at, self._unsaved = math.inf, 0

        def note(problem: str) -> None:
            self._problems.put(problem)
            on_trouble(self._report)

        self._recorder = make_recorder(Path(options.sessions), on_trouble=note)
        if options.record:
            self._recorder.check_folder()

    @property
    def recording(self) -> bool:
        """Whether takes are recorded, this one or the next."""
        return self._recording

    @recording.setter
    def recording(self, on: bool) -> None:
        if on:  # before anybody plays, not with the first touch
            self._recorder.check_folder()
        self._recording = on

    def t(self, instant: float) -> float:
        """Seconds from the beginning of the take to an instant; 0 while it waits to begin.

        Of what came with what began it, the machine alone has taken time: that is 0, too.
        """
        return instant - self.origin if self.begun and instant > self.origin else 0.0

    def begin(self, instant: float, info: ModelInfo, settings: Settings) -> int:
        """Begin a take and its recording; return the seed of its random numbers."""
        self.begun, self.origin = True, instant
        self.seed = secrets.randbits(63) if self._asked is None else self._asked
        if self.recording:
            self.trouble.clear()
            self._recorder.begin(self._header(info, settings, self.seed))
            self._save_at, self._unsaved = instant + CHECKPOINTS, 0
        return self.seed

    def resume(self, instant: float, resumed: Resumed) -> None:
        """Go on with a take, whose time goes on at an instant, and begin its recording."""
        self.begun, self.origin = True, instant - resumed.jam.t
        if resumed.company is not None:
            self.origin -= resumed.away
        self.seed = resumed.seed
        if self.recording:
            self._recorder.begin(resumed.header, resumed.before)
            self._save_at = -math.inf  # for a crash that comes soon

    def await_next(self) -> None:
        """Wait for the first touch of the next take."""
        self.begun, self.origin = False, 0.0
        self.seed = self._asked

    def reseed(self, seed: int) -> None:
        """Use a seed that was asked for, in this take and in those to come."""
        self._asked = self.seed = seed

    def record(self, event: TouchPlayed | ControlChanged, value: Any = None) -> None:
        """Record a touch, or a control with its value."""
        if not self.recording or not self.begun:
            return
        self._unsaved += 1
        if isinstance(event, TouchPlayed):
            self._recorder.write(TouchEvent(event.t, event.touch))
            touch = event.touch
            if touch.who == "ai":  # the number of voices is the host's choice
                place, knobs = (touch.x, touch.y), len(touch.knobs)
                size = line_size(touch.who, touch.id, *place, None, knobs)
                self.quota.charge_answer(size, event.t + self.origin)
        else:
            self._recorder.write(SetEvent(event.t, {event.name: value}))

    def until_checkpoint(self, now: float) -> float:
        """Return the seconds until a checkpoint is due; infinity for none."""
        if not (self.recording and self.begun and self._unsaved):
            return math.inf
        return max(0.0, self._save_at - now)

    def save(self, jam: Jam, info: ModelInfo, now: float) -> None:
        """Have a checkpoint written of a jam, whose events are all recorded."""
        self._save_at, self._unsaved = now + self._recorder.checkpoint_interval, 0
        state, player = jam.save(), jam.player
        moment = Moment(
            t=jam.t, at=time.time(), model=info.model, device=info.device, build=info.build,
            rules=jam.rules, voices=player.voices, seed=self.seed or 0, controls=state.settings,
            heard=jam.counts.heard, played=jam.counts.played,
        )  # fmt: skip
        self._recorder.save(Saving(moment, partial(saved.encode, state, player)))

    def end(self, t: float, reason: str = CLOSED, late: Lateness | None = None) -> None:
        """End the recording, if there is one, with the machine's lateness; the jam goes on."""
        self._recorder.end(t, reason, None if late is None else late.take())

    def close(self) -> None:
        """Write what is waiting, end the recorder's threads, and report what is lost."""
        self._recorder.close()
        self._report()

    @property
    def failed(self) -> str | None:
        """Reason why nothing can be recorded at the moment; None while it goes well."""
        return self._recorder.failed

    @property
    def file_name(self) -> str:
        """Name of the file that is written; "" where there is none."""
        return "" if self._recorder.path is None else self._recorder.path.name

    @property
    def recorded(self) -> str:
        """Path of the file that is written, "armed" before the first touch, else ""."""
        if self._recorder.path is not None:
            return str(self._recorder.path)
        return "armed" if self.recording and self._recorder.failed is None else ""

    def _header(self, info: ModelInfo, settings: Settings, seed: int) -> Header:
        options = msgspec.to_builtins(self.options)
        del options["controls"]  # the values in force stand in their place
        in_force = asdict(settings) | {"seed": seed, "model": info.model.file}
        return Header(
            started=datetime.now(UTC).isoformat(),
            model=info.model,
            device=info.device,
            build=info.build,
            seed=seed,
            options=options | in_force,
            rules=RULES,
        )

    def _report(self) -> None:
        """Report problems to the musician: in the log, the status, and so in the window."""
        while not self._problems.empty():
            problem = self._problems.get()
            log.error("%s", problem)
            self.trouble = [*self.trouble, problem][-_MAX_PROBLEMS:]
