"""Humans of a jam: their touches on the way to it, and what each has set for itself. No I/O.

`Senders` knows who they are; here is what follows from it: a stranger pays for what is
recorded of it, a note gets its place by its player's range, fingers of who leaves are lifted.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from robojam import music
from robojam.config.roles import Role
from robojam.controls import CONTROLS, RefusedError
from robojam.engine.live_jam import LiveJam
from robojam.engine.metrics import DropCounter
from robojam.engine.quota import line_size
from robojam.engine.roles import Roles
from robojam.engine.senders import Sender, Senders
from robojam.jam.fair_turns import PAUSE
from robojam.limits import HostLimiter, RateLimiter
from robojam.music import range_of
from robojam.ports.udp import Address
from robojam.touch import KNOB_RESTS, Phase, clip, place_of
from robojam.wire import native

log = logging.getLogger("robojam")

#: Touches of a player beyond the surface after which that is logged. A pad whose range is
#: learnt sends a few, and a tracker that is not calibrated well.
_CLIPPED: Final = 8
#: A hundredth of a semitone.
_CENT = 0.01
#: Settings of players of other machines for themselves, a second and in a burst: of one host,
#: the most hosts that are remembered, and of all. Each change is recorded.
_OWN, _OWN_HOSTS, _ALL_OWN = (1, 8), 256, (20, 64)
#: Bytes of a setting's line in the recording, and of the part that a player adds to it.
_SETTING = 100


#: Reason for which what does not fit the instrument is refused.
_SHAPE: Final = "another shape"


class Humans:
    """Players of a live jam; `senders` knows them by their sources."""

    def __init__(
        self,
        live: LiveJam,
        roles: Roles,
        *,
        is_here: Callable[[str], bool],
        counts: DropCounter,
    ) -> None:
        """Start with nobody; is_here says whether a host is this machine."""
        self.senders = Senders(is_here=is_here, on_leave=self._leave)
        self.clipped = 0  # touches that were beyond the edge of the surface
        self._live, self._takes, self._roles, self._counts = live, live.takes, roles, counts
        self._own = HostLimiter(*_OWN, _OWN_HOSTS, of_all=RateLimiter(*_ALL_OWN))

    # -- touches ---------------------------------------------------------------------------

    def touch(
        self,
        touch: native.TouchInput,
        source: str,
        arrival: float,
        sender: Address | None,
        role: Role,
        known: Sender | None,
    ) -> None:
        """Handle a touch of a source, which is `known` if it plays. Raises RefusedError."""
        live, takes = self._live, self._takes
        if live.jam.replaying:
            raise RefusedError("replaying")
        knobs = takes.options.knobs
        if knobs or (isinstance(touch, native.PhaselessTouch) and touch.knobs):
            touch = _as_knobs(touch, knobs)
        if isinstance(touch, native.Finger) and touch.phase is Phase.UP:
            if known is None:
                raise RefusedError("absent finger")
            if known.take_up(touch.id, arrival):
                live.jam.finger(takes.t(arrival), known.name, touch.id, touch.phase)
            return
        admit = self._admit if known is None else self.senders.admit
        player = admit(source, arrival)
        # A host pays for nothing.
        paying = None if role is Role.HOST else self._paying_host(player, role, arrival)
        lands = paying is not None and player.lands(touch, arrival)
        silent = self.senders.take(player, touch, arrival, sender[1] if sender else None)
        takes.quota.cause = None if paying is None or live.jam.starts_alone else paying
        if paying is not None and not isinstance(touch, native.PitchedFinger):
            place = touch.x, touch.y
            size = line_size(player.name, touch.id, *place, touch.pressure, knobs)
            # A landing has a lift, which is never refused.
            takes.quota.charge(paying, 2 * size if lands else size, arrival)
        if silent:
            self._lift(player, silent, arrival)
        if not takes.begun:
            live.begin(arrival)
        if isinstance(touch, native.PitchedFinger):
            if known is None and touch.pitch_range is not None:
                self._set_own(player, "range", str(touch.pitch_range), arrival)
            touch = self._place(touch, player)
        elif touch.clipped:
            player.clipped += 1
            if player.clipped == _CLIPPED:
                log.warning(
                    "%s plays beyond the surface and is heard at its edge: x and y go from 0 "
                    "to 1; it has sent %d such places", player.name, _CLIPPED,
                )  # fmt: skip
        self.clipped += touch.clipped
        jam, t, who = live.jam, takes.t(arrival), player.name
        if (role is Role.PLAYER) != (who in jam.visitors):
            jam.control(t, "visitor" if role is Role.PLAYER else "host", who)
        if isinstance(touch, native.PhaselessTouch):
            jam.plain(
                t, who, touch.x, touch.y, touch.dt,
                finger=touch.id, pressure=touch.pressure, knobs=touch.knobs,
            )  # fmt: skip
        else:
            place = touch.x, touch.y
            jam.finger(
                t, who, touch.id, touch.phase, *place,
                own_dt=touch.own_dt, pressure=touch.pressure,
            )  # fmt: skip
        if jam.is_out(who) != player.is_out:
            player.is_out = not player.is_out
            self._report_out(player)

    def moved(self, request: native.KnobMoves) -> native.PhaselessTouch:
        """Return an event of all knobs for a movement of some. Raises RefusedError.

        The others are where anyone, a human or the machine, moved them last.
        """
        count = self._takes.options.knobs
        highest = max(number for number, _ in request.moves)
        if highest > count:
            raise RefusedError(_SHAPE, _shape(f"knob {highest}", count))
        knobs = list(self._live.jam.knobs) or [KNOB_RESTS] * count
        for number, value in request.moves:
            knobs[number - 1] = value
        place = place_of(knobs)
        return native.PhaselessTouch(*place, clipped=request.clipped, knobs=tuple(knobs))

    def alive(
        self, report: native.Alive, source: str, arrival: float, port: int | None
    ) -> None:
        """Lift the fingers of a source that are not among those that it still has down."""
        if self.senders.get(source) is not None:
            player = self._admit(source, arrival)  # at its rate
            self._lift(player, player.take_alive(report.ids, arrival, port), arrival)
            player.is_gone = report.gone

    def _report_out(self, player: Sender) -> None:
        """Log that a visitor's touches no longer count for the turns, or do again."""
        if player.is_out:
            log.info(
                "%s has made others wait for too long: until it pauses for %.1f s, the machine "
                "answers them as if it did not play", player.name, PAUSE,
            )  # fmt: skip
        else:
            log.info("%s has paused, and takes its turns again", player.name)

    def _paying_host(self, player: Sender, role: Role, now: float) -> str | None:
        """Return the host whose quota pays for what a player adds to the recording, if any.

        Raises RefusedError where nothing of it is left.
        """
        if player.host is None or role is Role.HOST or not self._takes.recording:
            return None
        self._takes.quota.check(player.host, now)
        return player.host

    def _place(self, finger: native.PitchedFinger, player: Sender) -> native.Finger:
        """Return a finger that has a pitch with its x, by the range of its player."""
        everybodys = self._live.settings.range
        pitches = range_of(player.name, everybodys)
        x = pitches.x(finger.pitch)
        # A bend to the edge is rounded, and may end a little beyond it.
        clipped = not pitches.low - _CENT <= finger.pitch <= pitches.high + _CENT
        if clipped and not player.outside_range:
            player.outside_range = True
            wider = pitches.widened(finger.pitch)
            shared = everybodys.partition(",")[0] == str(pitches)
            option = f'range = "{wider}"' if shared else f'range = "{player.name}={wider}"'
            if finger.pitch_range is not None:
                option = f"low = {wider.low:g} and high = {wider.high:g} in its MIDI style"
            log.warning(
                "note %.4g of %s is outside its range, %s, and is played at its edge; "
                "to widen the range: %s",
                finger.pitch, player.name, pitches, option,
            )  # fmt: skip
        x = clip(x, 0, 1)
        return native.Finger(finger.phase, finger.id, x, finger.y, clipped, finger.pressure)

    def _lift(self, player: Sender, fingers: Sequence[int], now: float) -> None:
        for finger in fingers:
            self._live.jam.finger(self._takes.t(now), player.name, finger, Phase.UP)

    # -- who comes and goes ----------------------------------------------------------------

    def _admit(self, source: str, arrival: float) -> Sender:
        """Return the player at a source, who may be new. Raises RefusedError."""
        is_new = self.senders.get(source) is None
        player = self.senders.admit(source, arrival)
        if is_new:
            for name, value in player.own.items():  # it has returned
                if self._may_set(player, name, arrival):
                    self._set_own(player, name, value, arrival)
        return player

    def _leave(self, player: Sender, now: float) -> None:
        """Lift the fingers of a player who leaves, and remove what it had set for itself."""
        player.count_fingers(now)
        self._lift(player, list(player.fingers), now)
        for name in player.own:
            own_name = CONTROLS[name].own_name(player.name)
            rest = music.unassign(getattr(self._live.settings, name), own_name)
            self._live.jam.control(self._takes.t(now), name, rest)

    # -- settings of their own -------------------------------------------------------------

    def set_own(self, source: str, name: str, value: str, arrival: float) -> None:
        """Set a control for the player at a source alone. Raises RefusedError."""
        player = self._admit(source, arrival)
        if not self._may_set(player, name, arrival):
            raise RefusedError("too fast", f"more than {_OWN[0]} settings a second")
        self._set_own(player, name, value, arrival)

    def _may_set(self, player: Sender, name: str, now: float) -> bool:
        """Return whether a player may set a control for itself now."""
        if player.is_here or player.host is None:
            return True
        if not self._own.take(player.host, now):
            return False
        paying = self._paying_host(player, self._roles.of(player.source, now), now)
        if paying is not None:  # with those of all others, and again when it is removed
            size = 2 * (len(getattr(self._live.settings, name)) + _SETTING)
            self._takes.quota.charge(paying, size, now)
        return True

    def _set_own(self, player: Sender, name: str, value: str, arrival: float) -> None:
        """Set a control for one player alone, until it leaves; and again when it returns."""
        text = f"{CONTROLS[name].own_name(player.name)}={value}"
        try:
            checked = CONTROLS[name].check(text, getattr(self._live.settings, name))
        except ValueError as error:  # the control names as many players as it may
            self._counts.drop("out of range", str(error), name)
            return
        player.own[name] = value
        self._live.jam.control(self._takes.t(arrival), name, checked)


def _as_knobs(touch: native.TouchInput, count: int) -> native.TouchInput:
    """Return a touch as one of an instrument with a number of knobs, 0: with a surface.

    Raises RefusedError where it is of another shape.
    """
    if isinstance(touch, native.PhaselessTouch):
        if len(touch.knobs) == count:
            return touch
        if count == 2 and not touch.knobs:
            return replace(touch, knobs=(touch.x, touch.y))
        if touch.knobs:
            if count == 0 and len(touch.knobs) == 2:
                return replace(touch, knobs=())
            raise RefusedError(_SHAPE, _shape(f"{len(touch.knobs)} values", count))
    elif touch.phase is Phase.UP:  # of a finger that is not down
        raise RefusedError("absent finger")
    raise RefusedError(_SHAPE, _shape("a touch of a surface", count))


def _shape(what: str, count: int) -> str:
    """Return how what came differs from the instrument, in words."""
    if count:
        return f"{what} came, and the instrument has {count} knobs (--knobs)"
    return f"{what} came, and the instrument is a surface (--knobs N is for knobs)"
