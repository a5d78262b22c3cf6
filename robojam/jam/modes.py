"""Modes of a jam, each an object with its behaviour. Pure.

The jam asks its mode at each point where modes differ. To add a mode is to add a class here
and its name to `robojam.controls.MODES`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Final

from robojam.jam.fair_turns import ANSWERED

if TYPE_CHECKING:
    from robojam.jam.history import JamSnapshot
    from robojam.jam.jam import Jam


class Listen:
    """The machine is silent; humans are fed to the model and recorded.

    Also the behaviour that the other modes start from.
    """

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

    def human_touched(self, jam: Jam) -> None:
        """React to a human's landing or slide that counts."""

    def human_fed(self, jam: Jam, who: str) -> None:
        """React to a human's touch that the model was fed."""

    def panicked(self, jam: Jam) -> None:
        """React to a panic."""

    def turn_end(self, _jam: Jam) -> float:
        """Return when the machine's turn ends, by the machine's clock; infinity for never."""
        return math.inf

    def answering(self, _jam: Jam) -> bool:
        """Return whether the machine is in a turn that ends."""
        return False

    def restore(self, _jam: Jam, _snapshot: JamSnapshot) -> bool:
        """Take up the turn of a snapshot; return whether the machine plays on."""
        return False


class CallResponse(Listen):
    """The machine answers after a silence, and gives way to the first human touch."""

    name = "call-response"
    alternates = True
    plans = True

    def chosen(self, jam: Jam) -> None:
        """Answer a silence that has not lasted long enough yet; not one that is over."""
        waiting = jam.human_at + jam.settings.threshold > jam.clock.machine
        if waiting and not jam.silenced:
            jam.silent_since = jam.human_at

    def answer(self, jam: Jam) -> bool:
        """Begin the machine's turn."""
        if jam.turn == "ai":
            return False
        jam.take_plan()
        jam.announce("answer")
        jam.fair.host_touched(jam.clock.machine)
        jam.begin_turn(jam.clock.machine)
        return True

    def counts(self, jam: Jam, who: str) -> bool:
        """Return False for a visitor who has made others wait for their answer for long."""
        settings = jam.settings
        return jam.fair.touch(
            who,
            jam.clock.machine,
            settings.threshold,
            began=jam.turn_began if jam.turn == "ai" else math.inf,
            enough=min(ANSWERED, settings.response / 2) if settings.response else ANSWERED,
        )

    def human_touched(self, jam: Jam) -> None:
        """Give the turn back, and wait for the next silence."""
        if jam.turn == "ai":
            jam.end_turn()
        jam.silent_since = jam.human_at

    def panicked(self, jam: Jam) -> None:
        """Give the turn back."""
        jam.pass_turn("human")

    def turn_end(self, jam: Jam) -> float:
        """Return the turn's beginning plus response seconds; 0 is without end."""
        if jam.turn != "ai" or jam.settings.response == 0:
            return math.inf
        return jam.turn_began + jam.settings.response

    def answering(self, jam: Jam) -> bool:
        """Return whether it is the machine's turn."""
        return jam.turn == "ai"

    def restore(self, jam: Jam, snapshot: JamSnapshot) -> bool:
        """Take up the turn where it was, with as much of it left."""
        plays = snapshot.turn == "ai" and not jam.silenced
        jam.turn_began = jam.clock.machine - snapshot.turn_used
        jam.pass_turn("ai" if plays else "human")
        return plays


class Duet(Listen):
    """The machine answers each fed touch with the touch that the model predicts next.

    A visitor's touch replaces no answer to a host, and none to another visitor, except where
    that one has had its last answer replaced by its own next touch: it may play without end.
    """

    name = "duet"
    feeds_machine = False

    def answer(self, jam: Jam) -> bool:
        """Play one touch."""
        jam.announce("answer")
        jam.partner, jam.partner_again = "", False
        jam.voices.start(jam.clock.machine)
        return True

    def human_fed(self, jam: Jam, who: str) -> None:
        """Replace what is pending by an answer to this touch."""
        pending, again = jam.voices.pending, who == jam.partner
        may_replace = jam.partner in jam.visitors and jam.partner_again
        if pending and not again and who in jam.visitors and not may_replace:
            return
        jam.partner, jam.partner_again = who, again and pending > 0
        jam.counts.replaced += pending
        jam.voices.start(jam.clock.machine)


class Solo(Listen):
    """The machine plays by itself; humans are recorded and not fed to the model."""

    name = "solo"
    first_turn = "ai"
    starts_alone = True
    feeds_humans = False
    plans = True

    def play_on(self, jam: Jam) -> None:
        """Play, unless a panic or a pause holds the machine or a touch is pending already."""
        if jam.begun and jam.starts_alone and not jam.voices.pending:
            jam.voices.start(jam.clock.machine)

    def restore(self, jam: Jam, _snapshot: JamSnapshot) -> bool:
        """Play on, unless something holds the machine."""
        return jam.starts_alone


Mode = Listen

#: All modes, by name, in the order of `robojam.controls.MODES`.
MODES: Final[dict[str, Mode]] = {
    mode.name: mode for mode in (CallResponse(), Duet(), Solo(), Listen())
}
