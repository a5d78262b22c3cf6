"""Channels of a MIDI port: their state, and the MPE zones that they are in. Pure.

Source: M1-100-UM (MPE). A zone has a manager channel, 0 or 15, and member channels next to it.
What comes on the manager channel is meant for the whole zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from robojam.wire.midi import stream
from robojam.wire.midi.styles import Style

#: Bend ranges that a configuration message sets, of the manager and of the members, and that of
#: a channel without a zone, in semitones.
_MANAGER_BEND, _MEMBER_BEND, _PLAIN_BEND = 2, 48, 2
#: The value of a controller that has not been sent.
MIDDLE: Final = 64


@dataclass(slots=True)
class Channel:
    """State of one channel: its bend, and the last values that a new note begins with."""

    bend: int = stream.CENTRE
    bend_range: int = _PLAIN_BEND  # semitones
    bend_cents: int = 0  # added to them
    y: int = MIDDLE
    pressure: int = 0
    hold: bool = False  # the pedals
    sostenuto: bool = False

    @property
    def semitones(self) -> float:
        """How far the channel is bent."""
        full = self.bend_range + self.bend_cents / 100
        return (self.bend - stream.CENTRE) / stream.CENTRE * full


class Zones:
    """The 16 channels of a port."""

    def __init__(self, style: Style) -> None:
        """Begin with the zone, or the bend range, that a style describes."""
        self.channels = [Channel() for _ in range(16)]
        self._sizes = {0: 0, 15: 0}  # members, by manager
        self._zones: list[int | None] = [None] * 16  # the manager of each channel's zone
        if style.master is not None:
            self.configure(style.master, style.members, style.bend)
        else:
            self.channels[(style.channel or 1) - 1].bend_range = style.bend

    def manager(self, channel: int) -> int | None:
        """Return the manager of a member channel; None for a channel that is no member."""
        manager = self._zones[channel]
        return None if manager == channel else manager

    def reach(self, channel: int) -> tuple[int, ...]:
        """Return the channels that a message on this one is meant for."""
        if self._zones[channel] != channel:
            return (channel,)
        return tuple(c for c, manager in enumerate(self._zones) if manager == channel)

    def is_held(self, channel: int) -> bool:
        """Return whether the sustain pedal of a channel, or of its zone, is down."""
        manager = self._zones[channel]
        held = self.channels[channel].hold
        return held or (manager is not None and self.channels[manager].hold)

    def semitones(self, channel: int) -> float:
        """Return how far the zone of a member channel is bent as a whole."""
        manager = self.manager(channel)
        return 0.0 if manager is None else self.channels[manager].semitones

    def configure(self, manager: int, members: int, bend: int = _MEMBER_BEND) -> list[int]:
        """Set the number of members of a zone, 0 to end it; bend is their range in semitones.

        A zone that grows takes channels from the other. Every channel that is now in another
        zone, or in none, is reset; these are returned.
        """
        other, before = 15 - manager, self._zones
        self._sizes[manager] = min(members, 15)
        self._sizes[other] = min(self._sizes[other], max(0, 14 - self._sizes[manager]))
        self._zones = [None] * 16
        for head, size in self._sizes.items():
            for channel in range(1 + size) if head == 0 else range(15 - size, 16):
                if size:
                    self._zones[channel] = head
        changed = [channel for channel in range(16) if self._zones[channel] != before[channel]]
        for channel in changed:
            self.channels[channel] = Channel()
        for channel in self.reach(manager):
            self._set_bend_range(channel, _MANAGER_BEND if channel == manager else bend, 0)
        return changed

    def _set_bend_range(self, channel: int, semitones: int, cents: int) -> None:
        state = self.channels[channel]
        state.bend_range, state.bend_cents = semitones, cents

    def enter_bend_range(self, channel: int, controller: int, value: int) -> tuple[int, ...]:
        """Set the bend range by a data entry; return the channels that have it now.

        The range of one member is that of all. Increment and decrement are of a cent (RP-018).
        """
        state = self.channels[channel]
        semitones, cents = state.bend_range, state.bend_cents
        if controller == stream.DATA:
            semitones = value
        elif controller == stream.DATA_FINE:
            cents = value
        else:
            step = 1 if controller == stream.INCREMENT else -1
            semitones, cents = divmod(max(0, 100 * semitones + cents + step), 100)
        manager = self.manager(channel)
        channels: tuple[int, ...] = (channel,)
        if manager is not None:
            channels = tuple(member for member in self.reach(manager) if member != manager)
        for member in channels:
            self._set_bend_range(member, semitones, cents)
        return channels
