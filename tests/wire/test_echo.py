"""Echoes of what was sent among what people play: places, pads with /z, notes, controllers."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from robojam.touch import Phase, Touch
from robojam.wire import echo
from robojam.wire.dialects import OscReader
from robojam.wire.echo import EchoDetector, Kind, Origin
from robojam.wire.native import Dropped, Finger, Input, PhaselessTouch
from robojam.wire.osc import Message, decode
from robojam.wire.touchosc import Pad, Pads

HOST = "10.0.0.9"
DOWN, MOVE, UP = Phase.DOWN, Phase.MOVE, Phase.UP
NOTE = Kind(least=5, slow=5, at_once=0.06, alone=True)


@dataclass(frozen=True)
class Loop:
    """Loop: delay and jitter in seconds, the shares of what returns and of what comes twice."""

    delay: float
    jitter: float = 0.0
    returns: float = 1.0
    doubles: float = 0.0

    def echoes(self, sent_at: list[float], random: Random) -> Iterator[tuple[float, int]]:
        """Yield the times of the echoes and which of the sent events each is."""
        for i, t in enumerate(sent_at):
            if random.random() < self.returns:
                came = t + self.delay + random.uniform(0, self.jitter)
                yield came, i
                if random.random() < self.doubles:
                    yield came + 0.0005, i


# The properties hold but for coincidences within milliseconds, once in thousands of strokes and
# notes: so the examples are the same in each run.
loops = st.builds(
    Loop,
    delay=st.floats(0.02, 1.0),
    jitter=st.sampled_from([0.0, 0.001, 0.004]),
    returns=st.sampled_from([1.0, 0.8, 0.5]),
    doubles=st.sampled_from([0.0, 0.3, 1.0]),
)


def strokes(
    random: Random, who: str, seconds: float, begin: float
) -> Iterator[tuple[float, Touch]]:
    """Yield the touches of a player and their times."""
    t = begin + random.uniform(0, 0.5)
    while t < begin + seconds:
        for i in range(random.randint(1, 25)):
            x, y = random.random(), random.random()
            yield t, Touch(x, y, 0.0, MOVE if i else DOWN, 0, who)
            t += random.uniform(0.011, 0.031)
        yield t, Touch(x, y, 0.0, UP, 0, who)
        t += random.uniform(0.02, 0.6)


# -- pads ----------------------------------------------------------------------------------


@dataclass
class Phone:
    """Reader of a pad on which the machine's dot is shown, and whose loop sends it back."""

    z: bool = True
    place_first: bool = False

    def __post_init__(self) -> None:
        self.reader = OscReader(pads=Pads([Pad("/1/xy")]))

    def sent(self, touch: Touch, now: float) -> list[Message]:
        """Return what the pad is sent for a machine's touch."""
        self.reader.echo.sent_touch(touch, now)
        return self.messages(touch)

    def messages(self, touch: Touch) -> list[Message]:
        return [m for packet in self.reader.pads.write(touch) for m in decode(packet)[0]]

    def played(self, touch: Touch) -> list[Message]:
        """Return what the pad sends for a human's touch."""
        messages = self.messages(structs.replace(touch, who="human"))
        if self.place_first:
            messages.reverse()
        return [m for m in messages if self.z or not m.address.endswith("/z")]

    def read(self, message: Message, now: float) -> list[Input]:
        return [input_ for _, input_ in self.reader.read(message, HOST, now)]


def heard(inputs: list[Input]) -> list[tuple[Phase | None, float, float]]:
    """Return phase and place of each landing and move among inputs."""
    touches = [i for i in inputs if isinstance(i, Finger | PhaselessTouch)]
    phases = [getattr(touch, "phase", None) for touch in touches]
    return [(p, t.x, t.y) for p, t in zip(phases, touches, strict=True) if p is not UP]


def has_landed(inputs: list[Input]) -> bool:
    """Return whether a finger has landed, or one without phases has touched."""
    return any(phase is not MOVE for phase, _, _ in heard(inputs))


def jam(
    phone: Phone,
    machine: list[tuple[float, Touch]],
    human: list[tuple[float, Touch]],
    loop: Loop,
) -> tuple[list[list[Input]], list[Input]]:
    """Play; return the inputs of each touch of the human, and those of the echoes."""
    random = Random(7)
    sent = [(t, m) for t, touch in machine for m in phone.messages(touch)]
    coming: list[tuple[float, int, int, Message | Touch]] = []
    coming += [(t, 0, i, touch) for i, (t, touch) in enumerate(machine)]
    coming += [(t, 1, i, sent[i][1]) for t, i in loop.echoes([t for t, _ in sent], random)]
    coming += [(t, 2, i, touch) for i, (t, touch) in enumerate(human)]
    of_touches: list[list[Input]] = [[] for _ in human]
    of_echoes: list[Input] = []
    for t, kind, i, what in sorted(coming, key=lambda c: c[:3]):
        if kind == 0:
            phone.reader.echo.sent_touch(what, t)  # type: ignore[arg-type]
        elif kind == 1:
            of_echoes += phone.read(what, t)  # type: ignore[arg-type]
        else:
            for message in phone.played(what):  # type: ignore[arg-type]
                of_touches[i] += phone.read(message, t)
    return of_touches, of_echoes


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), loops, st.booleans())
@example(3656830, Loop(0.7948563086897612, returns=0.5), True)  # all coincidences at once
def test_on_a_pad_with_z_every_landing_is_heard_and_no_echo(seed, loop, place_first):
    random = Random(seed)
    machine = list(strokes(random, "ai", 3.0, 10.0))
    human = list(strokes(random, "human", 3.0, 10.2))
    came, echoes = jam(Phone(place_first=place_first), machine, human, loop)
    assert heard(echoes) == []
    for i, (_, touch) in enumerate(human):
        if touch.phase is not DOWN:
            continue
        assert heard(came[i])[-1][1:] == pytest.approx((touch.x, touch.y), abs=1e-6)
        # Before /z has come, nothing but the place may tell that the finger landed: then its
        # next message does.
        assert has_landed(came[i] + (came[i + 1] if place_first else []))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), loops)
def test_on_a_pad_without_z_every_touch_is_heard_and_no_echo(seed, loop):
    random = Random(seed)
    machine = list(strokes(random, "ai", 3.0, 10.0))
    human = [pair for pair in strokes(random, "human", 3.0, 10.2) if pair[1].phase is not UP]
    came, echoes = jam(Phone(z=False), machine, human, loop)
    assert heard(echoes) == []
    for (_, touch), inputs in zip(human, came, strict=True):
        assert heard(inputs)[-1][1:] == pytest.approx((touch.x, touch.y), abs=1e-6)
        assert has_landed(inputs) or touch.phase is MOVE


def test_touches_on_a_pad_with_z_are_heard_where_the_loop_s_delay_varies():
    lost = touches = of_loop = 0
    for seed in range(8):
        random = Random(seed)
        machine = list(strokes(random, "ai", 10.0, 10.0))
        human = list(strokes(random, "human", 10.0, 10.2))
        came, echoes = jam(Phone(), machine, human, Loop(0.1, 0.04))  # a wireless network
        of_loop += len(heard(echoes))
        placed = [i for (_, touch), i in zip(human, came, strict=True) if touch.phase is not UP]
        touches += len(placed)
        lost += sum(not heard(inputs) for inputs in placed)
    assert lost < 0.005 * touches
    assert of_loop <= 2


def touch(phase: Phase, x: float = 0.0, y: float = 0.0, who: str = "ai") -> Touch:
    return Touch(x, y, 0.0, phase, 0, who)


def test_human_who_comes_in_while_the_machine_plays_on_the_pad_is_heard_at_once():
    phone = Phone()
    random = Random(1)
    for i in range(60):
        phone.sent(touch(MOVE if i else DOWN, random.random(), random.random()), 10 + i / 60)
    assert phone.read(Message("/1/xy/z", "f", (1.0,)), 11.0) == []  # waits for its place
    places = [(i / 64, 0.5) for i in range(60)]
    came = [
        phone.read(Message("/1/xy", "ff", place), 11.0 + i / 60)
        for i, place in enumerate(places)
    ]
    assert came[0] == [Finger(DOWN, 2000, 0.0, 0.5)]
    assert [len(inputs) for inputs in came] == [1] * 60
    phone.sent(touch(UP), 12.0)
    assert phone.read(Message("/1/xy/z", "f", (0.0,)), 12.05) == [Finger(UP, 2000)]


def test_tap_between_the_machine_s_touches_is_heard_where_the_last_place_was():
    phone = Phone()
    for message in [*phone.played(touch(DOWN, 0.25, 0.25)), *phone.played(touch(UP))]:
        phone.read(message, 1.0)
    phone.sent(touch(DOWN, 0.7, 0.7), 10.0)
    phone.sent(touch(UP), 10.1)
    assert phone.read(Message("/1/xy/z", "f", (1.0,)), 10.2) == []
    tap = [Finger(DOWN, 2000, 0.25, 0.25), Finger(UP, 2000)]
    assert phone.read(Message("/1/xy/z", "f", (0.0,)), 10.25) == tap


def test_echo_of_touch_and_release_without_any_place_is_dropped():
    phone = Phone()
    phone.sent(touch(DOWN, 0.7, 0.7), 10.0)
    phone.sent(touch(UP), 10.1)
    assert phone.read(Message("/1/xy/z", "f", (1.0,)), 10.2) == []
    assert phone.read(Message("/1/xy/z", "f", (0.0,)), 10.3) == [Dropped("echo")]


def test_human_in_the_corner_where_the_machine_was_is_heard():
    phone = Phone(z=False)
    for i, place in enumerate([(0.31, 0.17), (1.0, 1.0), (0.11, 0.93)]):
        phone.sent(touch(MOVE if i else DOWN, *place), 10.0 + i / 60)
    assert heard(phone.read(Message("/1/xy", "ff", (1.0, 0.0)), 10.2)) == [(None, 1.0, 1.0)]


def test_place_rounded_to_six_digits_is_an_echo():
    phone = Phone(z=False)
    phone.sent(touch(DOWN, 0.123456789, 0.987654321), 10.0)
    message = Message("/touch", "ff", (0.123457, 0.987654))
    assert phone.read(message, 10.3) == [Dropped("echo")]
    assert heard(phone.read(message, 11.2)) == [(None, 0.123457, 0.987654)]  # too late


def hear_loop(phone: Phone, rounding: Callable[[float], float]) -> list[bool]:
    """Return whether each echo of a loop that rounds places is heard."""
    machine = [m for m in strokes(Random(3), "ai", 10.0, 10.0) if m[1].phase is not UP]
    events = [(t, 0, touch) for t, touch in machine]
    events += [(t + 0.15, 1, touch) for t, touch in machine]
    echoes = []
    for t, kind, what in sorted(events, key=lambda event: event[:2]):
        if kind:
            place = rounding(what.x), rounding(what.y)
            echoes.append(bool(heard(phone.read(Message("/interface", "ff", place), t))))
        else:
            phone.sent(what, t)
    return echoes


def test_places_rounded_to_seven_bits_are_recognised_and_then_dropped():
    phone = Phone(z=False)
    echoes = hear_loop(phone, lambda number: round(127 * number) / 127)
    assert all(echoes[:7])
    assert not any(echoes[8:])
    ((loop),) = phone.reader.echo.status(20.0)
    assert loop == {"source": HOST, "delay_ms": 150, "dropped": len(echoes) - 7}


@pytest.mark.parametrize(
    ("rounding", "most"),
    [
        (lambda number: round(number, 4), 12),
        (lambda number: round(number, 3), 12),
        (lambda number: round(number, 2), 30),
        (lambda number: int(1023 * number) / 1023, 12),
        (lambda number: int(255 * number) / 255, 30),
    ],
)
def test_no_rounded_place_is_heard_once_its_loop_is_known(rounding, most):
    echoes = hear_loop(Phone(z=False), rounding)
    assert not any(echoes[most:])


def test_places_on_the_edge_that_happen_to_be_the_machine_s_are_heard():
    phone = Phone(z=False)
    for i, place in enumerate([(0.31, 0.17), (1.0, 0.3731), (1.0, 0.3732), (0.11, 0.93)]):
        phone.sent(touch(MOVE if i else DOWN, *place), 10.0 + i / 60)
    inputs = phone.read(Message("/1/xy", "ff", (1.0, 1 - 0.3732)), 10.2)
    assert heard(inputs) == [(None, 1.0, pytest.approx(0.3732))]


@pytest.mark.parametrize("seed", range(6))
def test_finger_of_a_pad_that_a_loop_has_put_down_is_lifted_when_the_loop_is_known(seed):
    phone, random = Phone(), Random(seed)
    machine = list(strokes(random, "ai", 5.0, 10.0))
    coming: list[tuple[float, int, Message | Touch]] = [(t, 0, m) for t, m in machine]
    for t, played in machine:
        for message in phone.messages(played):
            rounded = tuple(round(number, 3) for number in message.args)  # type: ignore[arg-type]
            coming.append((t + 0.2, 1, structs.replace(message, args=rounded)))
    inputs: list[Input] = []
    for t, _, what in sorted(coming, key=lambda c: c[:2]):
        if isinstance(what, Touch):
            phone.reader.echo.sent_touch(what, t)
        else:
            inputs += [i for i in phone.read(what, t) if i != Dropped("echo")]
    assert isinstance(inputs[-1], Finger)
    assert inputs[-1].phase is UP


def test_two_loops_of_one_host_are_both_recognised():
    phone, random = Phone(), Random(1)
    machine = list(strokes(random, "ai", 10.0, 10.0))
    sent = [(t, m) for t, touch in machine for m in phone.messages(touch)]
    coming: list[tuple[float, int, Message | Touch]] = [(t, 0, m) for t, m in machine]
    coming += [(t + delay, 1, message) for delay in (0.2, 0.5) for t, message in sent]
    for t, _, what in sorted(coming, key=lambda c: c[:2]):
        if isinstance(what, Touch):
            phone.reader.echo.sent_touch(what, t)
            continue
        inputs = phone.read(what, t)
        is_landing = what.address.endswith("/z") and what.args == (1.0,)
        assert inputs == ([] if is_landing else [Dropped("echo")])
    assert [loop["delay_ms"] for loop in phone.reader.echo.status(20.0)] == [200, 500]


def test_loop_is_reported_once_with_its_delay():
    phone = Phone(z=False)
    random = Random(5)
    for i in range(5):
        (message,) = phone.sent(touch(MOVE, random.random(), random.random()), 10.0 + i)
        phone.read(message, 10.3 + i)
    ((source, delay),) = phone.reader.echo.take_found()
    assert (source, delay) == (HOST, pytest.approx(0.3))
    assert phone.reader.echo.take_found() == []
    assert phone.reader.echo.status(20.0) == [{"source": HOST, "delay_ms": 300, "dropped": 5}]


# -- notes ---------------------------------------------------------------------------------


def notes(random: Random, seconds: float, begin: float) -> list[tuple[float, int]]:
    """Return notes of a pentatonic scale with their times."""
    played = []
    t = begin
    while t < begin + seconds:
        played.append((t, random.choice([57, 60, 62, 64, 67, 69])))
        t += random.choice([0.12, 0.25, 0.5]) * random.uniform(0.8, 1.25)
    return played


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.floats(0.1, 0.9), st.booleans())
def test_human_who_plays_the_machine_s_notes_again_is_never_an_echo(seed, lag, even):
    random, echo = Random(seed), EchoDetector()
    machine = notes(random, 20.0, 10.0)
    jitter = (lambda: random.uniform(-0.03, 0.03)) if even else (lambda: random.gauss(0, 0.015))
    human = [(max(t + lag + jitter(), t + 0.07), note) for t, note in machine]
    events = sorted([(t, 0, note) for t, note in machine] + [(t, 1, note) for t, note in human])
    for t, is_human, note in events:
        if is_human:
            assert not echo.is_echo("keys", note, t, kind=NOTE)
        else:
            echo.sent(note, t)
    assert echo.status(40.0) == []


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**32),
    loops.filter(lambda loop: loop.delay > 0.061),
)
@example(6876, Loop(1.0, 0.004, 0.5, 1.0))  # many runs that show nothing
def test_loop_of_notes_is_found_and_a_human_who_plays_other_notes_is_heard(seed, loop):
    random, echo = Random(seed), EchoDetector()
    machine = notes(random, 60.0, 10.0)
    human = [(t, note + 1) for t, note in notes(random, 60.0, 10.0)]
    events = [(t, 0, note) for t, note in machine] + [(t, 1, note) for t, note in human]
    events += [(t, 2, machine[i][1]) for t, i in loop.echoes([t for t, _ in machine], random)]
    of_echoes: list[bool] = []
    found: int | None = None
    for t, kind, note in sorted(events):
        if kind == 0:
            echo.sent(note, t)
        elif kind == 1:
            assert not echo.is_echo("keys", note, t, kind=NOTE)
        else:
            of_echoes.append(echo.is_echo("keys", note, t, kind=NOTE))
            if found is None and echo.take_found():
                found = len(of_echoes)
    assert found is not None
    assert found <= (12 if loop.jitter == 0 and loop.returns == 1 else 100)
    # Of echoes that come twice, three are heard until that is known.
    assert of_echoes[found:].count(False) <= 3
    assert loop.delay * 1000 - 6 <= echo.status(75.0)[0]["delay_ms"] <= loop.delay * 1000 + 6  # type: ignore[operator]


def test_loop_without_jitter_is_found_at_the_sixth_note_and_the_five_before_are_returned():
    echo = EchoDetector()
    came = []
    for i, note in enumerate([60, 62, 60, 64, 65, 60, 60]):
        echo.sent(note, 10.0 + i / 4)
        came.append(echo.is_echo("keys", note, 10.2 + i / 4, kind=NOTE, heard=(note, i)))
    assert came == [False] * 5 + [True] * 2
    assert echo.take_heard("keys") == [(60, 0), (62, 1), (60, 2), (64, 3), (65, 4)]
    assert echo.take_heard("keys") == []
    assert not echo.is_echo("other keys", 60, 11.45, kind=NOTE)


def test_message_that_returns_at_once_is_an_echo_unless_those_before_it_did_not():
    echo = EchoDetector()
    echo.sent(60, 10.0)
    assert echo.is_echo("synth", 60, 10.03, kind=NOTE)
    for i in range(3):
        echo.sent(62 + i, 11.0 + i)
    assert not echo.is_echo("synth", 64, 13.03, kind=NOTE)  # 62 and 63 did not come back


def test_loop_that_has_ended_is_forgotten():
    echo = EchoDetector()
    for i in range(8):
        echo.sent(i, 10.0 + i / 4)
        echo.is_echo("keys", i, 10.2 + i / 4, kind=NOTE)
    assert echo.status(15.0)
    for i in range(60):
        echo.sent(60, 20.0 + i)
    assert not echo.is_echo("keys", 60, 79.2, kind=NOTE)
    assert echo.status(79.2) == []


def test_memory_is_bounded():
    echo = EchoDetector()
    random = Random(1)
    for i in range(30_000):
        echo.sent_touch(
            touch(MOVE, random.random(), random.random(), f"ai{i % 5000}"), 10 + i / 1e6
        )
        echo.sent(i, 10 + i / 1e6, series=i)
        echo.is_echo(f"host{i % 300}", i, 10 + i / 1e6 + 1e-7, kind=NOTE)
    assert len(echo._order) <= 8192
    assert len(echo._sent) <= 3 * 8192
    assert len(echo._series) <= 1024
    assert len(echo._sources) <= 64
    assert all(len(source.runs) <= 32 for _, source in echo._sources.items())


def test_what_is_forgotten_of_many_voices_needs_no_garbage_collection():
    detector = EchoDetector()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for i in range(3000):
            place = (i % 64) / 64
            detector.sent_touch(Touch(place, place, 0.1, Phase.MOVE, 0, f"ai{i}"), i * 0.01)
            detector.settle()
        gc.collect()
        # Only the detector's own objects: other parts of the run leave cycles, too.
        cycles = [item for item in gc.garbage if type(item).__module__ == echo.__name__]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert cycles == []


@pytest.mark.parametrize(
    ("source", "port", "is_echo"),
    [("10.0.0.9", 7000, False), ("10.0.0.9", None, False), ("10.0.0.9", 7001, True),
     ("10.0.0.8", 7000, True)],
)  # fmt: skip
def test_touch_that_is_passed_on_is_an_echo_but_from_where_it_came(source, port, is_echo):
    detector, touch = EchoDetector(), Touch(0.123, 0.456, 0.1, DOWN, 3, "human")
    detector.sent_touch(touch, 1.0, Origin("10.0.0.9", 7000))
    assert detector.is_echo_place(source, 0.123, 0.456, 1.5, port=port) is is_echo


def test_slow_finger_that_is_passed_on_is_never_taken_for_its_own_echo():
    detector = EchoDetector()
    for i in range(400):  # it stays in one part of the coarse grid for many events
        x, now = i / 4000, 0.01 * i
        assert not detector.is_echo_place(HOST, x, 0.5, now, port=7000)
        detector.sent_touch(Touch(x, 0.5, 0.01, MOVE), now, Origin(HOST, 7000))
    assert detector.status(4.0) == []
