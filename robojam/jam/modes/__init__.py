"""Modes of a jam, each a class with its behaviour. Pure.

The jam asks its mode at each point where modes differ. To add a mode is to add a module here
and the mode's name to `robojam.controls.MODES`.
"""

from typing import Final

from robojam.jam.modes.call_response import CallResponse
from robojam.jam.modes.duet import Duet, PredictionDuet
from robojam.jam.modes.ensemble import Ensemble
from robojam.jam.modes.listen import Listen
from robojam.jam.modes.solo import Solo

__all__ = ["EARLIER_MODES", "MODES", "Mode"]

Mode = Listen

#: All modes, by name, in the order of `robojam.controls.MODES`.
MODES: Final[dict[str, type[Mode]]] = {
    mode.name: mode for mode in (CallResponse, Duet, Solo, Listen, Ensemble)
}
#: The modes of recordings that were made before there was an ensemble: they are regenerated
#: by these.
EARLIER_MODES: Final = MODES | {Duet.name: PredictionDuet}
