"""Protocols of the jam: its player, and the jam itself as the engine sees it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from robojam.jam.dwell import LONG
from robojam.jam.numbers import Seconds
from robojam.touch import Phase


class Recall(Struct, frozen=True):
    """Stroke that a human played before, and that comes back.

    path is where it was played, x and y in turn, in screens; landings_ago how many landings
    the player had been fed since, that one included, when the touch was planned. who played
    it, and when (seconds of the take), are for the jam to fill in; "" where it does not know.
    """

    path: tuple[Seconds, ...]
    landings_ago: int = 0
    who: str = ""
    heard_at: Seconds = 0.0


class Proposal(Struct, frozen=True):
    """Touch that a player would play next: x, y in 0..1, dt in seconds, unscaled.

    recall: what comes back with the stroke that it begins, if that is known. knobs are the
    values of an event of knobs, as of `robojam.touch.Touch`; it rests where none of them moves.
    pressure is 0..1 of a model that has learnt it, else None.
    """

    x: Seconds
    y: Seconds
    dt: Seconds
    moving: bool
    recall: Recall | None = None
    knobs: tuple[Seconds, ...] = ()
    rests: bool = False
    pressure: Seconds | None = None


class Plan(Protocol):
    """Phrases of some voices that are being planned."""

    def step(self) -> bool:
        """Make one step, of a millisecond at most; return whether the plan is finished."""

    def touches(self) -> list[list[Proposal]]:
        """Return the phrase of each voice, in order; empty for one that has none."""


class Player(Protocol):
    """Model at play, with one or more voices: all are fed humans, and each its own touches.

    Where it plays knobs, every touch has their values: see `robojam.touch.Touch.knobs`.
    """

    @property
    def knobs(self) -> int:
        """Number of knobs that it plays; 0 where it plays touches of fingers."""

    @property
    def voices(self) -> int:
        """Number of voices."""

    def set_sampling(self, *, temperature: float, spread: float) -> None:
        """Set temperature and spread, 0..10, of the touches to be sampled."""

    def seed(self, seed: int) -> None:
        """Restart the random numbers of every voice from a seed."""

    def reset(self) -> None:
        """Return to the state before the first touch."""

    def rest(self, resting: int) -> None:
        """Rest the last `resting` voices: they are fed nothing, and never sampled.

        A voice that comes back takes the first voice's state, with its own random numbers.
        """

    def feed(
        self,
        x: float,
        y: float,
        dt: float,
        moving: bool,  # noqa: FBT001
        knobs: tuple[float, ...] = (),
        pressure: float | None = None,
    ) -> None:
        """Feed a human's touch to every voice.

        A pressure that was not measured, None, is that of the touch before.
        """

    def feed_some(
        self,
        heard: Mapping[int, tuple[float, bool]],
        x: float,
        y: float,
        knobs: tuple[float, ...] = (),
        pressure: float | None = None,
    ) -> None:
        """Feed a human's touch to some voices, each with its own dt and moving."""

    def sample(self, voices: Sequence[int]) -> list[Proposal]:
        """Return the next touch of each of these voices. Changes nothing."""

    def take_faults(self) -> int:
        """Return how many touches were replaced since the last call, as numbers overflowed."""

    def commit(
        self,
        voice: int,
        x: float,
        y: float,
        dt: float,
        moving: bool,  # noqa: FBT001
        knobs: tuple[float, ...] = (),
        pressure: float | None = None,
    ) -> None:
        """Feed a voice the touch that it has played, and use up its random numbers."""

    def skip(self, voice: int) -> None:
        """Use up the random numbers of a touch that the voice is not fed."""

    def prepare(self) -> None:
        """Compute ahead what the next touch needs, whatever it is. Changes no touch."""

    @property
    def plans(self) -> bool:
        """Whether it can plan phrases: its model has learnt what belongs to a call."""

    def plan(
        self,
        voices: Sequence[int],
        *,
        seconds: float,
        follow: float,
        memory: float,
        lead: float = 0.0,
        dwell: float = LONG,
        down: Collection[int] = (),
    ) -> Plan | None:
        """Begin a plan of what some voices play next; None if it cannot. Changes nothing.

        Times are in unscaled seconds: the longest phrase, the beginning that is that of the
        ordinary draw (lead), and how long a finger may stay in its place (dwell). down are
        the voices whose finger is down.
        """

    def continue_from(self, other: Any) -> None:
        """Go on with the random numbers of another player of the same kind."""

    def take_over(self, other: Any) -> bool:
        """Go on with the random numbers and, where it can be read, the state of another player.

        The other plays the same model, maybe on a device that is lost. Returns whether its
        state could be read.
        """

    def snapshot(self) -> Any:
        """Return a copy of the state, with the position of the random numbers."""

    def restore(self, snapshot: Any) -> None:
        """Return to a snapshot, which stays valid."""

    @property
    def saves(self) -> bool:
        """Whether its whole state can be saved."""

    def save(self) -> Any:
        """Return a copy of its whole state, which `load` goes on from, bit for bit."""

    def load(self, saved: Any) -> None:
        """Go on from a state that was saved."""

    def checksum(self) -> int:
        """Return a checksum of its state."""

    def pack(self, saved: Any, snapshots: Sequence[Any]) -> bytes:
        """Return a saved state and snapshots as bytes. In any thread."""

    def unpack(self, data: bytes) -> tuple[Any, list[Any]]:
        """Return what was packed. Raises ValueError for what is not of such a player."""

    def forecast(self) -> list[tuple[float, ...]]:
        """Return the mixture that voice 0 expects next.

        Groups of weight, mean x, mean y, deviation x, deviation y, correlation.
        """


class JamLike(Protocol):
    """Jam as the engine sees it: live, or the playback of a recording.

    Times are seconds since the beginning of the take. silenced: a panic holds the machine.
    incomplete: an exception has cut an act short.
    """

    silenced: bool
    incomplete: bool

    @property
    def t(self) -> float:
        """Time up to which everything has happened."""

    @property
    def due(self) -> float | None:
        """Time of the next event that needs no input; None while there is none."""

    @property
    def turn(self) -> str:
        """Name of whose turn it is: human or ai."""

    @property
    def turn_left(self) -> float | None:
        """Seconds left of the machine's turn; None where it has no known end."""

    @property
    def knobs(self) -> tuple[float, ...]:
        """Where the knobs are, as anyone moved them last; empty before, and without knobs."""

    @property
    def fingers(self) -> int:
        """Number of fingers that are down, everyone's."""

    @property
    def visitors(self) -> Collection[str]:
        """Names of the players who are visitors; all others are hosts."""

    def is_out(self, who: str) -> bool:
        """Return whether a visitor is out of the jam: see `robojam.jam.fair_turns`."""

    @property
    def memories(self) -> tuple[str, ...]:
        """Names of the stored snapshots, sorted."""

    @property
    def plans(self) -> bool:
        """Whether the machine's phrases can be planned: see `Player.plans`."""

    @property
    def replaying(self) -> bool:
        """Whether it plays a recording, which takes few controls and no touches."""

    @property
    def saves(self) -> bool:
        """Whether its state can be saved now."""

    @property
    def starts_alone(self) -> bool:
        """Whether it begins before anyone touches."""

    def begin(self, seed: int, beats: str = "") -> None:
        """Begin the take, at t = 0, with the machine's random numbers from a seed.

        beats are those of the clock, as of the control beats; "" is no clock.
        """

    def advance(self, t: float) -> None:
        """Play everything that is due at or before t, in seconds of the take."""

    def finger(
        self,
        t: float,
        who: str,
        finger: int,
        phase: Phase,
        x: float = 0.0,
        y: float = 0.0,
        *,
        own_dt: float | None = None,
        pressure: float | None = None,
        knobs: tuple[float, ...] = (),
    ) -> None:
        """Handle a human's finger; own_dt where the player has its own clock, in seconds.

        pressure and knobs are those of its touch.
        """

    def plain(
        self,
        t: float,
        who: str,
        x: float,
        y: float,
        dt: float | None = None,
        *,
        finger: int = 0,
        pressure: float | None = None,
        knobs: tuple[float, ...] = (),
    ) -> None:
        """Handle a touch of a player without phases; dt where it has its own clock."""

    def control(self, t: float, name: str, value: float | int | str = 1) -> bool:
        """Apply a checked control at t; return whether it had an effect."""

    def swap(self, t: float, player: Player, name: str) -> None:
        """Replace the player from t on; name is its model's file."""

    def recover(self, t: float) -> None:
        """Go on at t after an exception has cut an act short. Raises what the player raises."""

    def hold(self, t: float) -> None:
        """Lift the machine's fingers, and play nothing of its own until `recover`."""

    def move(self, t: float, player: Player) -> bool:
        """Go on from t with another player of the same model.

        Returns whether what was heard could be taken along.
        """

    def forecast(self) -> list[tuple[float, ...]]:
        """Return the mixture that the machine expects next, as `Player.forecast`."""

    def prepare(self, t: float, *, plans: bool = True) -> float:
        """Use a rest to compute ahead; return the seconds until the next call, or infinity.

        plans: there is time to plan phrases, too.
        """

    def finish(self, t: float) -> None:
        """End the take, and lift every finger."""
