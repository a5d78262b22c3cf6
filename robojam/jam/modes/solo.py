"""Solo: the machine plays by itself. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robojam.jam.modes.listen import Listen

if TYPE_CHECKING:
    from robojam.jam.history import JamSnapshot
    from robojam.jam.jam import Jam


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
