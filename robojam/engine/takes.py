"""Takes, one after another: when each began, with which seed, and what is kept of it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from robojam.config.options import Options
from robojam.controls import Settings
from robojam.engine.metrics import Lateness
from robojam.jam.events import ControlChanged, Player, TouchPlayed
from robojam.sessions.recorder import Recorder
from robojam.sessions.session import CLOSED, Header, ModelRef, SetEvent, TouchEvent

log = logging.getLogger("robojam")

#: Of what went wrong, so much is told.
_TROUBLES = 5


@dataclass(frozen=True, slots=True)
class LoadedPlayer:
    """A player with what the recording says of it; path is where its model's file lies."""

    player: Player
    model: ModelRef
    device: str
    build: str
    path: str | None = None


class Takes:
    """One take after another. A take begins with its first touch, which is its t = 0."""

    def __init__(
        self, options: Options, *, on_trouble: Callable[[Callable[[], None]], None]
    ) -> None:
        """Wait for the first take.

        on_trouble lets the engine's thread do what the recorder's asks for.
        """
        self.recording = options.record
        self.seed = options.seed  # in force; None until one is drawn
        self.trouble: list[str] = []
        self._options, self._asked = options, options.seed
        self._origin: float | None = None
        self._recorder = Recorder(
            Path(options.sessions), on_trouble=lambda what: on_trouble(lambda: self._tell(what))
        )

        if options.record:
            self._recorder.check_folder()

    @property
    def begun(self) -> bool:
        """Whether a take has begun."""
        return self._origin is not None

    def t(self, instant: float) -> float:
        """Seconds from the beginning of the take to an instant; 0 while it waits to begin."""
        return 0.0 if self._origin is None else instant - self._origin

    def at(self, t: float) -> float:
        """Return the instant of t, in seconds from the beginning of the take."""
        return t + (self._origin or 0.0)

    def begin(self, instant: float, playing: LoadedPlayer, settings: Settings) -> None:
        """Begin a take: the player begins anew, and so does the recording."""
        self._origin = instant
        self.seed = secrets.randbits(63) if self._asked is None else self._asked
        playing.player.reset()
        playing.player.seed(self.seed)
        if self.recording:
            self.trouble.clear()
            self._recorder.begin(self._header(playing, settings, self.seed))

    def await_next(self) -> None:
        """Wait for the first touch of the next take."""
        self._origin = None
        self.seed = self._asked

    def reseed(self, seed: int) -> None:
        """Take a seed that was asked for: it is that of the takes to come, too."""
        self._asked = self.seed = seed

    def keep(self, what: TouchPlayed | ControlChanged, value: Any = None) -> None:
        """Record a touch, or a control with its value."""
        if not self.recording or self._origin is None:
            return
        if isinstance(what, TouchPlayed):
            self._recorder.write(TouchEvent(what.t, what.touch))
        else:
            self._recorder.write(SetEvent(what.t, {what.name: value}))

    def end(self, t: float, reason: str = CLOSED, late: Lateness | None = None) -> None:
        """End the recording, if there is one, with how late the machine played in it.

        The jam may go on.
        """
        self._recorder.end(t, reason, None if late is None else late.take())

    def close(self) -> None:
        """Write what is waiting."""
        self._recorder.close()

    @property
    def recorded(self) -> str:
        """The file being written; armed while the first touch is awaited; else nothing."""
        if self._recorder.path is not None:
            return str(self._recorder.path)
        return "armed" if self.recording and self._recorder.failed is None else ""

    def _header(self, playing: LoadedPlayer, settings: Settings, seed: int) -> Header:
        options = msgspec.to_builtins(self._options)
        del options["controls"]  # the values in force stand in their place
        in_force = asdict(settings) | {"seed": seed, "model": playing.path}
        return Header(
            started=datetime.now(UTC).isoformat(),
            model=playing.model,
            device=playing.device,
            build=playing.build,
            seed=seed,
            options=options | in_force,
        )

    def _tell(self, what: str) -> None:
        """Tell the musician: in the log, in the status, and so in the window."""
        log.error("%s", what)
        self.trouble = [*self.trouble, what][-_TROUBLES:]
