"""TouchOSC's dialect of OSC, in which a pad is an address that sends two numbers.

A pad sends `/page/pad a b`, and, if its touch is sent too, `/page/pad/z` 1 and 0 when it is
touched and released, before or after the place, or `/page/pad a b touch` each time. The
fingers of a multi-pad are `/page/pad/1`, `/page/pad/2`, …. The pads of the jam are given, or
learnt from the next one that is touched; so is the range of their numbers. Any message may be
lost, doubled or late.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from robojam.limits import ExpiringTable, network_of
from robojam.touch import LIFT_AFTER, PAUSE_IS_DOWN, Phase, Touch, is_machine
from robojam.wire import native
from robojam.wire.echo import EchoDetector
from robojam.wire.osc import Dropped, Message, encode

#: Lowest and highest number that a pad sends.
Range = tuple[float, float]
_Key = tuple[str, int]  # host and finger

#: Ids of fingers on pads: the first, and how many each pad has.
_FIRST_ID, _FINGERS_PER_PAD = 2000, 16
#: Touches of a finger that wait for their place at most.
_MAX_HELD = 4
#: Most pads that are learnt; the most fingers whose state is kept follow from it.
_MAX_PADS = 64
#: Endings of a pad's address for its touch: TouchOSC Mk1's, and a usual one in Mk2.
_TOUCH_ENDINGS: Final = ("/z", "/touch")
#: Addresses of other dialects, which are never learnt as pads.
_RESERVED: Final = (
    "/robojam", "/touch", "/tuio", "/impsy", "/interface", "/prediction", "/inst",
)  # fmt: skip
#: Parts of the addresses at which phones send what has no part in a jam.
_HARMLESS: Final = frozenset(
    "accxyz accel acceleration accelerometer battery compass gravity gyro gyroscope gyrosc"
    " heading magnetometer orientation ping pong sensors".split()
)
#: Addresses that a pad may have.
ADDRESS: Final = re.compile(r"/[^\s#*,?\[\]{}=]{1,200}(?<!/)")
_PAGE = re.compile(r"/[0-9]{1,3}")

UNIT: Final[Range] = (0.0, 1.0)
_HIGHEST: Final = (1.0, 10.0, 100.0, 127.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)
#: Ranges that pads are known to have, the narrowest first.
_RANGES: Final[tuple[Range, ...]] = tuple(
    (low, high) for high in _HIGHEST for low in (0.0, -high)
)
#: Messages beyond its range in a row, from which a pad has a wider one: one may be a fault.
_BEYOND = 2
#: Seconds for which a pad belongs to the host that plays on it.
_OWNED = 600.0
#: Seconds in which the two messages come that show that a pad with an unusual range moves.
_MOVES_WITHIN = 1.0
#: Seconds around a touch or a release in which a message may be late or doubled.
_LATE = 0.05
#: Seconds without a message and distance (in screens) from which a finger that slides has
#: landed elsewhere: its release and its touch were lost.
_SILENT, _FAR = 0.3, 0.15


@dataclass(frozen=True, slots=True)
class Pad:
    """Pad by its address; axes are what its two numbers are, of x, -x, y and -y.

    ranges are those of the two numbers; fixed: they are given, and not to be learnt.
    """

    address: str
    axes: tuple[str, str] = ("x", "-y")  # across and up, as TouchOSC sends them by default
    ranges: tuple[Range, Range] = (UNIT, UNIT)
    fixed: bool = False

    def __str__(self) -> str:
        """Return the value of --touchosc for this pad."""
        text = f"{self.address}={','.join(self.axes)}"
        ranges = [f"{low:g}..{high:g}" for low, high in dict.fromkeys(self.ranges)]
        return text if self.ranges == (UNIT, UNIT) else f"{text}:{','.join(ranges)}"

    def place(self, first: float, second: float) -> tuple[float, float]:
        """Return x and y of the pad's two numbers."""
        coordinates: dict[str, float] = {}
        for axis, (low, high), number in zip(
            self.axes, self.ranges, (first, second), strict=True
        ):
            share = (number - low) / (high - low)
            coordinates[axis[-1]] = 1 - share if axis.startswith("-") else share
        return coordinates["x"], coordinates["y"]

    def numbers(self, x: float, y: float) -> tuple[float, float]:
        """Return the pad's two numbers for a place."""
        shares = {"x": x, "-x": 1 - x, "y": y, "-y": 1 - y}
        first, second = (
            low + (high - low) * shares[axis]
            for axis, (low, high) in zip(self.axes, self.ranges, strict=True)
        )
        return first, second

    def has(self, *numbers: float) -> bool:
        """Return whether all numbers are within the ranges."""
        pairs = zip(self.ranges, numbers, strict=True)
        return all(low <= number <= high for (low, high), number in pairs)

    def widened(self, *numbers: float) -> "Pad":
        """Return the pad with the narrowest known range that has these numbers, too."""
        low = min(*numbers, *(low for low, _ in self.ranges))
        high = max(*numbers, *(high for _, high in self.ranges))
        for known in _RANGES:
            if known[0] <= low and high <= known[1]:
                return replace(self, ranges=(known, known))
        return self


@dataclass(frozen=True, slots=True)
class _Held:
    """Touch, with its number, that may be an echo: at these delays (s)."""

    level: float
    delays: list[float]


@dataclass(slots=True)
class _PadFinger:
    """State of a finger on a pad: its last place, and when its last message came (s).

    sends_touch: its touches are sent. level: the number of its last touch. new_place: the
    place came after the last release, and the finger has not landed. The other times are
    those of its last touch, landing and release. landings are the touches that show that they
    are sent, if they may be echoes. perhaps_released: a release was taken for an echo; how many
    places may still come before the touch that shows that it was none.
    """

    sends_touch: bool = False
    touched: bool = False
    level: float = 0.0
    down: bool = False
    new_place: bool = False
    place: native.Place | None = None
    received_at: float = -math.inf
    touched_at: float = -math.inf
    landed_at: float = -math.inf
    released_at: float = -math.inf
    landings: list[_Held] = field(default_factory=list)
    perhaps_released: int = 0


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Message of a pad that may be learnt: its host, the pad's address, its numbers, time."""

    host: str
    address: str
    numbers: tuple[float, ...]
    at: float


def _network_of(key: _Key) -> str:
    """Return the network of a finger's host."""
    return network_of(key[0])


class Pads:
    """Pads of the jam and the fingers on them. The machine plays on the first pad."""

    def __init__(
        self,
        pads: Sequence[Pad] = (),
        *,
        learning: bool = False,
        on_learnt: Callable[[Pad], None] = lambda _: None,
    ) -> None:
        """Start with these pads; learning: add the next that is touched.

        on_learnt is called with a pad that is learnt, and with one whose range is.
        """
        self.pads = list(pads)
        self.learning = learning
        self._on_learnt = on_learnt
        self._fingers = ExpiringTable[_Key, _PadFinger](
            _MAX_PADS * _FINGERS_PER_PAD, owner_of=_network_of
        )
        #: Touches that may be echoes, until the place that they belong to comes.
        self._held = ExpiringTable[_Key, list[_Held]](_MAX_PADS, owner_of=_network_of)
        self._owners = ExpiringTable[str, str](_MAX_PADS, _OWNED)  # hosts by pad
        self._beyond: dict[str, int] = {}  # messages in a row beyond the range, by pad
        self._touched: _Candidate | None = None  # last touch (/z) of a pad not yet learnt
        self._placed: _Candidate | None = None  # last place of one with an unusual range

    def read(
        self, message: Message, host: str, now: float, echo: EchoDetector | None = None
    ) -> list[native.Input] | None:
        """Return the inputs of a pad's message that came at an instant (s).

        None for any other message. echo knows what was sent. Never raises.
        """
        echo = echo or EchoDetector()
        base = touch_base(message) if len(message.args) == 1 else None
        match = self._match(message.address if base is None else base)
        if match is None and self.learning:
            if base is not None:
                level = native.numeric(message.args[0]) or 0.0
                self._touched = _Candidate(host, base, (level,), now)
                return []
            if self._learn(message, host, now):
                match = self._match(message.address)
        if match is None:
            return None
        index, number = match
        key = (host, _FIRST_ID + _FINGERS_PER_PAD * index + number)
        numbers_of_pad = "nnn" if len(message.args) == 3 else "nn"
        args = native.coerce(message, numbers_of_pad if base is None else "n")
        if args is None:
            takes = "1 when it is touched, 0 when released"
            if base is None:
                takes = f"two numbers, and a third that is {takes}"
            return [Dropped("wrong arguments", f"a pad takes {takes}")]
        try:
            numbers = [native.parse_number(arg) for arg in args]
            if base is not None:
                return self._hear_touched(key, numbers[0], now, echo)
            changed = self._fit_range(index, host, now, *numbers[:2])
            place = native.parse_place(*self.pads[index].place(*numbers[:2]))
            if len(numbers) == 3:
                return self._hear_both(key, place, numbers[2], now, echo, lands=changed)
            return self._hear_place(key, place, now, echo, lands=changed)
        except native.ArgumentError as error:
            return [Dropped(str(error))]

    def _match(self, address: str) -> tuple[int, int] | None:
        """Return the index of an address's pad, and the number of the finger there."""
        for index, pad in enumerate(self.pads):
            if address == pad.address:
                return index, 0
            rest = address.removeprefix(pad.address + "/")
            if rest != address and rest.isascii() and rest.isdecimal() and len(rest) < 3:
                return index, int(rest) % _FINGERS_PER_PAD
        return None

    # -- learning ----------------------------------------------------------------------------

    def _learn(self, message: Message, host: str, now: float) -> bool:
        """Learn the pad that sends a message, if it is one; return whether it is.

        Two numbers of 0..1 are a pad's. Other numbers are once they move.
        """
        if not is_pad(message) or is_harmless(message) or len(self.pads) >= _MAX_PADS:
            return False
        numbers = tuple(map(native.parse_number, message.args[:2]))
        placed, self._placed = self._placed, _Candidate(host, message.address, numbers, now)
        pad = Pad(_of_multi_pad(message.address))
        if not pad.has(*numbers):
            moves = placed is not None and placed.numbers != numbers
            if not moves or placed is None or now - placed.at > _MOVES_WITHIN:
                return False
            if (placed.host, placed.address) != (host, message.address):
                return False
            pad = pad.widened(*numbers, *placed.numbers)
        self.learning = False
        self.pads.append(pad)
        self._on_learnt(pad)
        touched, self._touched, self._placed = self._touched, None, None
        if touched is not None and (touched.host, touched.address) == (host, message.address):
            index, number = self._match(message.address) or (0, 0)
            finger_id = _FIRST_ID + _FINGERS_PER_PAD * index + number
            finger = self._finger((host, finger_id))
            self._set_touched(finger_id, finger, touched.numbers[0], touched.at)
        return True

    def _fit_range(self, index: int, host: str, now: float, *numbers: float) -> bool:
        """Widen the range of a pad that sends numbers beyond it; return whether it did.

        Only the host that played on it first does so: a stranger is not to spoil it for others.
        """
        pad = self.pads[index]
        if pad.fixed:
            return False
        self._owners.expire(now)
        if self._owners.get(pad.address) not in (None, host):
            return False
        self._owners.put(pad.address, host, now)
        if pad.has(*numbers):
            self._beyond.pop(pad.address, None)
            return False
        wider = pad.widened(*numbers)
        self._beyond[pad.address] = self._beyond.get(pad.address, 0) + 1
        if wider == pad or self._beyond[pad.address] < _BEYOND:
            return False
        self.pads[index] = wider
        self._on_learnt(wider)
        return True

    # -- echoes ------------------------------------------------------------------------------

    def _hear_touched(
        self, key: _Key, level: float, now: float, echo: EchoDetector
    ) -> list[native.Input]:
        """Touch or release a pad, unless that is an echo: the machine's dot does the same.

        A touch that may be one waits for the place that it belongs to.
        """
        host, id_ = key
        finger, held = self._finger(key), self._held.get(key) or []
        if level > 0 and id_ == _FIRST_ID and (delays := echo.landing_delays(now)):
            placed = finger.new_place or (finger.down and not finger.touched)
            if not placed:
                self._held.put(key, [*held, _Held(level, delays)][-_MAX_HELD:])
                return []
        self._held.pop(key)
        at = [delay for touch in held for delay in touch.delays]
        if level <= 0 and id_ == _FIRST_ID and echo.is_echo_lift(host, now, at):
            finger.perhaps_released = 2 if finger.sends_touch else 0
            return [Dropped("echo")]
        inputs = self._release_held(key, held, now, echo, placed=False)
        return inputs + self._set_touched(id_, finger, level, now)

    def _hear_place(
        self, key: _Key, place: native.Place, now: float, echo: EchoDetector, *, lands: bool
    ) -> list[native.Input]:
        """Place a finger, unless the place is an echo; a touch that waited is its own."""
        host, id_ = key
        finger = self._finger(key)
        if echo.is_echo_place(host, place.x, place.y, now):
            return [*self._doubt(key, finger, echo), Dropped("echo")]
        held = self._held.pop(key) or []
        inputs = self._release_held(key, held, now, echo, placed=True)
        return inputs + self._set_place(id_, finger, place, now, lands=lands)

    def _hear_both(
        self,
        key: _Key,
        place: native.Place,
        level: float,
        now: float,
        echo: EchoDetector,
        *,
        lands: bool,
    ) -> list[native.Input]:
        """Place a finger whose touch comes with each place. Only what changes is heard."""
        finger, inputs = self._finger(key), list[native.Input]()
        if level <= 0 and not finger.touched and key not in self._held:
            return [Dropped("absent finger", "its third number says that nobody touches it")]
        if level > 0 and not finger.touched and now - finger.released_at < _LATE:
            return [Dropped("late")]
        if level > 0 and not finger.touched:
            inputs += self._hear_touched(key, level, now, echo)
        if place != finger.place:
            inputs += self._hear_place(key, place, now, echo, lands=lands)
        if level <= 0:
            inputs += self._hear_touched(key, level, now, echo)
        return inputs

    def _release_held(
        self, key: _Key, held: list[_Held], now: float, echo: EchoDetector, *, placed: bool
    ) -> list[native.Input]:
        """Touch a pad whose touches waited, as a person's place (placed) or release comes."""
        finger = self._finger(key)
        own = [touch for touch in held if not echo.is_echo_landing(key[0], touch.delays)]
        released = finger.perhaps_released > 0
        finger.perhaps_released = max(0, finger.perhaps_released - 1)
        at_once = finger.sends_touch and placed and not finger.touched
        if not own and not (held and (released or at_once)):
            return []
        if not finger.sends_touch:
            finger.landings = own
        return self._set_touched(key[1], finger, held[-1].level, now)

    def _doubt(self, key: _Key, finger: _PadFinger, echo: EchoDetector) -> list[native.Input]:
        """Forget a finger, or that it sends its touch, if it was heard of a loop now known."""
        touches = finger.landings
        shown = touches and all(echo.is_echo_landing(key[0], t.delays) for t in touches)
        if not (echo.take_heard(key[0]) or shown):
            return []
        self._fingers.pop(key)
        return [native.Finger(Phase.UP, key[1])] if finger.down else []

    # -- fingers -----------------------------------------------------------------------------

    def _finger(self, key: _Key) -> _PadFinger:
        """Return the state of a finger. The one that is silent longest is forgotten."""
        finger = self._fingers.use(key)
        if finger is None:
            finger = _PadFinger()
            self._fingers.put(key, finger)
        return finger

    def _set_touched(
        self, id_: int, finger: _PadFinger, level: float, now: float
    ) -> list[native.Input]:
        """Touch (level > 0) or release a pad. Its place may come before or after."""
        inputs: list[native.Input] = []
        on, silence = level > 0, now - finger.received_at
        if finger.sends_touch:
            finger.landings = []
        if not finger.sends_touch:
            finger.sends_touch = True
            if finger.place is not None and silence < LIFT_AFTER:
                # It has landed as the finger of a pad that does not send its touch: so that
                # it no longer lifts by itself, it stays where it is.
                finger.down, finger.landed_at = True, finger.received_at
                if on:
                    inputs.append(native.Finger(Phase.MOVE, id_, *finger.place))
        finger.received_at = now
        if on:
            doubled = finger.touched and now - finger.touched_at < _LATE
            if doubled or (finger.touched and level != finger.level):  # the pad sends pressure
                finger.level = level
                return []
            has_landed = finger.down and now - finger.landed_at < _LATE
            finger.touched, finger.level, finger.touched_at = True, level, now
            finger.down = has_landed  # if it was down for longer, its release was lost
            if finger.new_place and finger.place is not None and silence < _LATE:
                inputs += self._land(id_, finger, finger.place, now)
            return inputs
        if finger.touched and finger.place is not None and not finger.down:
            # Released without a place since it was touched: a tap where the last one was.
            inputs += self._land(id_, finger, finger.place, now)
        if finger.down:
            inputs.append(native.Finger(Phase.UP, id_))
        finger.touched = finger.down = finger.new_place = False
        finger.released_at = now
        return inputs

    def _land(
        self, id_: int, finger: _PadFinger, place: native.Place, now: float
    ) -> list[native.Input]:
        finger.down, finger.new_place, finger.landed_at = True, False, now
        return [native.Finger(Phase.DOWN, id_, *_pressed(finger, place))]

    def _set_place(
        self, id_: int, finger: _PadFinger, place: native.Place, now: float, *, lands: bool
    ) -> list[native.Input]:
        """Move a finger to a place; lands: it is not to be a slide."""
        before, silence = finger.place, now - finger.received_at
        finger.place, finger.received_at = place, now
        if not finger.sends_touch:
            touch = native.PhaselessTouch(place.x, place.y, None, place.clipped, id_)
            is_down = before is not None and silence <= PAUSE_IS_DOWN
            return [native.Finger(Phase.UP, id_), touch] if lands and is_down else [touch]
        if not finger.touched and not finger.down and now - finger.released_at < _LATE:
            finger.new_place = True  # late, or its touch comes next
            return []
        if before is not None and silence > _SILENT:
            lands = lands or math.dist(before[:2], place[:2]) > _FAR
        if lands or not finger.down:
            return self._land(id_, finger, place, now)
        return [native.Finger(Phase.MOVE, id_, *_pressed(finger, place))]

    # -- out ---------------------------------------------------------------------------------

    def write(self, touch: Touch) -> list[bytes]:
        """Return the messages of a touch as the first pad sends them, which move its dot.

        There are none without a pad, and none for further voices: a pad has one dot.
        """
        if not self.pads or (is_machine(touch.who) and touch.who != "ai"):
            return []
        pad = self.pads[0]
        if touch.phase is Phase.UP:
            return [encode(f"{pad.address}/z", "f", 0.0)]
        place = encode(pad.address, "ff", *pad.numbers(touch.x, touch.y))
        if touch.phase is Phase.DOWN:
            return [encode(f"{pad.address}/z", "f", 1.0), place]
        return [place]


def _pressed(finger: _PadFinger, place: native.Place) -> native.Place:
    """Return a finger's place with its pressure, if its pad sends more than touched or not."""
    return place._replace(pressure=finger.level) if 0 < finger.level < 1 else place


def touch_base(message: Message) -> str | None:
    """Return the pad's address of a message that may be a pad's touch (/z); else None."""
    if len(message.args) == 1:
        for ending in _TOUCH_ENDINGS:
            base = message.address.removesuffix(ending)
            if base != message.address and _may_be_pad(base):
                return base
    return None


def is_pad(message: Message) -> bool:
    """Return whether a message may be a pad's: two numbers at an address that is not reserved.

    The numbers are within the widest range that a pad may have. A third is 0 or 1.
    """
    numbers, touch = message.args[:2], message.args[2:]
    if len(numbers) != 2 or set(message.tags[:2]) - set("ihfd"):
        return False
    if len(touch) > 1 or set(touch) - {0, 1}:
        return False
    low, high = _RANGES[-1]
    in_range = all(isinstance(n, int | float) and low <= n <= high for n in numbers)
    return in_range and _may_be_pad(message.address)


def _may_be_pad(address: str) -> bool:
    if any(address == a or address.startswith(a + "/") for a in _RESERVED):
        return False
    return address.isprintable() and ADDRESS.fullmatch(address) is not None


def is_harmless(message: Message) -> bool:
    """Return whether a message is one that phones send besides: sensors, pings, pages."""
    if not message.args and _PAGE.fullmatch(message.address):
        return True  # another page was opened
    return not _HARMLESS.isdisjoint(message.address.lower().split("/"))


def _of_multi_pad(address: str) -> str:
    """Return the address of the multi-pad whose finger an address is; another as it is."""
    base, _, last = address.rpartition("/")
    is_finger = last.isdecimal() and base and not base.rpartition("/")[2].isdecimal()
    return base if is_finger else address


def candidate(message: Message) -> str | None:
    """Return the address of the pad that may have sent a message; None for no pad."""
    address = message.address if is_pad(message) else touch_base(message)
    return None if address is None else _of_multi_pad(address)
