"""Call and response: the machine answers a silence. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from robojam.jam.fair_turns import ANSWERED
from robojam.jam.modes.listen import Listen

if TYPE_CHECKING:
    from robojam.jam.history import JamSnapshot
    from robojam.jam.jam import Jam
    from robojam.touch import Touch


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
        if jam.turn == "ai" or jam.asked_at < math.inf:
            return False
        if jam.timing.quantum is not None:
            jam.ask()
            return True
        jam.take_plan()
        jam.announce("answer")
        jam.fair.host_touched(jam.clock.machine)
        jam.begin_turn(jam.clock.machine)
        return True

    def counts(self, jam: Jam, who: str) -> bool:
        """Return False for a visitor who has made others wait for their answer for long."""
        response = jam.timing.response
        return jam.fair.touch(
            who,
            jam.clock.machine,
            jam.settings.threshold,
            began=jam.turn_began if jam.turn == "ai" else math.inf,
            enough=min(ANSWERED, response / 2) if response else ANSWERED,
        )

    def human_touched(self, jam: Jam, _touch: Touch) -> None:
        """Give the turn back, and wait for the next silence."""
        if jam.turn == "ai":
            jam.end_turn()
        jam.silent_since = jam.human_at
        if jam.asked_at == math.inf:
            jam.stop_waiting()

    def panicked(self, jam: Jam) -> None:
        """Give the turn back."""
        jam.pass_turn("human")

    def turn_end(self, jam: Jam) -> float:
        """Return the turn's beginning plus response seconds, or a line of the clock.

        A response of 0 is without end.
        """
        return math.inf if jam.turn != "ai" else jam.timing.turn_end(jam.turn_began)

    def answering(self, jam: Jam) -> bool:
        """Return whether it is the machine's turn."""
        return jam.turn == "ai"

    def restore(self, jam: Jam, snapshot: JamSnapshot) -> bool:
        """Take up the turn where it was, with as much of it left."""
        plays = snapshot.turn == "ai" and not jam.silenced
        jam.turn_began = jam.clock.machine - snapshot.turn_used
        jam.pass_turn("ai" if plays else "human")
        return plays
