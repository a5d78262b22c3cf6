"""The behaviour that all modes start from: the machine listens, and plays nothing. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from robojam.jam.fingers import FingerEvent
    from robojam.jam.history import JamSnapshot
    from robojam.jam.jam import Jam
    from robojam.jam.voices import Voice
    from robojam.touch import Touch


class Listen:
    """The machine is silent; humans are fed to the model and recorded.

    Also the behaviour that the other modes start from. A jam has an object of its mode, made
    when the mode is chosen.
    """

    #: What an object of the mode keeps (robojam.jam.saved).
    STATE: ClassVar[dict[str, Any]] = {}
    name: ClassVar[str] = "listen"
    #: Turn with which the mode begins: human or ai.
    first_turn: ClassVar[str] = "human"
    #: Whether the machine begins by itself.
    starts_alone: ClassVar[bool] = False
    #: Whether humans and machine take turns, which pass with who plays.
    alternates: ClassVar[bool] = False
    #: Whether human touches are fed to the model, and end a silence after panic.
    feeds_humans: ClassVar[bool] = True
    #: Whether phrases are planned (robojam.jam.phrases): what the machine plays depends on
    #: nothing but what was heard before it.
    plans: ClassVar[bool] = False
    #: Whether the machine's touches are fed to the model, each followed by another.
    feeds_machine: ClassVar[bool] = True

    def chosen(self, jam: Jam) -> None:
        """Begin, when the mode has just been chosen."""
        self.play_on(jam)

    def play_on(self, jam: Jam) -> None:
        """Play without a request: when the take begins, or a pause ends."""

    def answer(self, _jam: Jam) -> bool:
        """Play on request (the control answer); return whether the machine will."""
        return False

    def counts(self, jam: Jam, who: str) -> bool:
        """Note a player's landing or slide; return whether it counts (`jam.fair_turns`)."""
        if who not in jam.visitors:
            jam.fair.host_touched(jam.clock.machine)
        return True

    def hears(self, _jam: Jam, _who: str) -> bool:
        """Return whether a player's touch, which counts, may be fed to the model."""
        return True

    def human_touched(self, jam: Jam, touch: Touch) -> None:
        """React to a human's landing or slide that counts, before the model is fed it."""

    def feed(self, jam: Jam, event: FingerEvent, dt: float, *, moving: bool) -> None:
        """Feed a human's touch to the model; dt in seconds since the last that it was fed."""
        touch = event.touch
        jam.player.feed(touch.x, touch.y, dt, moving, touch.knobs, touch.pressure)

    def human_fed(self, jam: Jam, touch: Touch) -> None:
        """React to a human's touch that the model was fed."""

    def machine_played(self, jam: Jam, voice: Voice) -> None:
        """React to a touch of the machine, once the next one is pending."""

    def panicked(self, jam: Jam) -> None:
        """React to a panic."""

    def paused(self, _jam: Jam, _seconds: float) -> None:
        """Add a pause, which is over, to all times of the machine's clock."""

    def turn_end(self, _jam: Jam) -> float:
        """Return when the machine's turn ends, by the machine's clock; infinity for never."""
        return math.inf

    def last_due(self, jam: Jam) -> float:
        """Return the time, by the machine's clock, from which on nothing is played."""
        return self.turn_end(jam)

    def wakes_at(self, _jam: Jam) -> float:
        """Return when `wake` is to be called, by the machine's clock; infinity for never."""
        return math.inf

    def wake(self, jam: Jam) -> None:
        """React to the time of `wakes_at`, which is another one afterwards."""

    def answering(self, _jam: Jam) -> bool:
        """Return whether the machine is in a turn that ends."""
        return False

    def restore(self, _jam: Jam, _snapshot: JamSnapshot) -> bool:
        """Take up the turn of a snapshot; return whether the machine plays on."""
        return False
