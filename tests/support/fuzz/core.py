"""Targets of fuzzing, meters of what an input costs, mutation and shrinking of inputs.

An input is a literal: bytes, text, a number, or a tuple or list of these. So its `repr` can be
pasted into a test, and one function shrinks all of them. Generators draw from a `Random`: the
program for hours passes a fast one, and hypothesis its own.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, TypeVar

Result = TypeVar("Result")


class Meter:
    """Meter of the parts of an input that each have a limit; this one measures nothing."""

    def measure(self, function: Callable[..., Result], *args: Any) -> Result:
        """Call a function, and measure it."""
        return function(*args)


@dataclass
class TimeMeter(Meter):
    """Meter of the processor's seconds: the most that one call took, whatever else runs."""

    most: float = 0.0

    def measure(self, function: Callable[..., Result], *args: Any) -> Result:
        began = time.thread_time()
        try:
            return function(*args)
        finally:
            self.most = max(self.most, time.thread_time() - began)


@dataclass
class WorkMeter(Meter):
    """Meter of work: the most functions, of Python and C, that one call called.

    It does not depend on the machine, nor on what else runs there.
    """

    most: int = 0
    _count: int = field(default=0, repr=False)

    def _profile(self, _frame: object, event: str, _arg: object) -> None:
        if event in ("call", "c_call"):
            self._count += 1

    def measure(self, function: Callable[..., Result], *args: Any) -> Result:
        before, self._count = sys.getprofile(), 0
        sys.setprofile(self._profile)
        try:
            return function(*args)
        finally:
            sys.setprofile(before)
            self.most = max(self.most, self._count)


@dataclass(frozen=True)
class Target:
    """Parser, or the engine, with a generator of inputs and a check of each.

    check raises for a fault: an exception that is not documented, or a promise that is not
    kept. It passes what has a limit to a meter. size returns how many inputs a value stands
    for: a sequence of packets is as many. work is the most functions that a metered call may
    call in tests; None: it is not counted, for a file of the user's own.
    """

    name: str
    generate: Callable[[Random], Any]
    check: Callable[[Any, Meter], None]
    size: Callable[[Any], int] = lambda _value: 1
    work: int | None = 20_000


# -- values ------------------------------------------------------------------------------------

#: Numbers at which parsers and tables turn.
INTEGERS = (
    0, 1, -1, 2, 3, 7, 8, 15, 16, 63, 64, 65, 100, 127, 128, 255, 256, 1000, 1024, 5005, 16383,
    65535, 65536, 2**24, 2**27, 2**31 - 1, -(2**31), 2**32 - 1, 2**53, 2**63 - 1, -(2**63),
)  # fmt: skip
FLOATS = (
    0.0, -0.0, 0.5, 1.0, -1.0, 0.001, 0.02, 0.1, 0.15, 0.25, 2.0, 5.0, 10.0, 59.0, 60.0, 1e-45,
    1e-300, 1e6, 1e9, 3.4e38, 1e300, float("inf"), float("-inf"), float("nan"), 0.1 + 0.2,
)  # fmt: skip
#: Words with a meaning somewhere, and text that is hard to show, to read or to count.
WORDS = (
    "", " ", "0", "1", "-1", "0.5", "1e5", "1e999", "-1e-999", "nan", "inf", "0x10", "1_000",
    "true", "off", "human", "human1", "human2", "human9999", "human10000", "ai", "ai2", "ai0",
    "call-response", "duet", "solo", "listen", "battle", "keys", "strings", "human=keys",
    "ai=strings,human2=keys", "36-84", "C2-C6", "human2=35-51", "free", "chromatic", "A", "H",
    "a.safetensors", "b.safetensors", "../a", "/etc/passwd", "/x", "/y", "/z", "alive", "set",
    "source", "fseq", "TUIO", "learn", "native", "tuio", "mpe", "cc 64", "nrpn 1:2", "answer",
    "temperature 0 2", "127.0.0.1:5005", "[::1]:5005", "0.0.0.0", "::", "é", "雨", "\u202e",
    "\x1b[31m", "\0", "\n", "\r", "\ud800", "\U0001f600", "%s%n", "{}", "[]", "null", "'", '"',
)  # fmt: skip


def integer(random: Random) -> int:
    """Return a whole number: one at which something turns, near one, or any."""
    kind = random.random()
    if kind < 0.5:
        return random.choice(INTEGERS)
    if kind < 0.7:
        return random.choice(INTEGERS) + random.randrange(-2, 3)
    return random.randrange(-20, 200)


def number(random: Random) -> float:
    """Return a number, mostly between 0 and 1."""
    kind = random.random()
    if kind < 0.5:
        return random.random()
    if kind < 0.8:
        return random.choice(FLOATS)
    return random.uniform(-10, 10) * 10.0 ** random.randrange(-5, 6)


def text(random: Random, words: tuple[str, ...] = WORDS) -> str:
    """Return a text: words, sometimes long ones, joined by what separates."""
    kind = random.random()
    if kind < 0.5:
        return random.choice(words)
    if kind < 0.55:
        return random.choice(("0", "9", "a", "[", "{", "(", ",", "=", "/", " ", "1e", "é"))[
            :1
        ] * random.choice((30, 41, 300, 5000))
    count = random.randrange(1, 5)
    separator = random.choice(("", " ", ",", "=", "/", ":", "-", "\n", "."))
    return separator.join(random.choice(words) for _ in range(count))


def mutate(random: Random, data: bytes, special: bytes = b"\0\1\x7f\x80\xff") -> bytes:
    """Return bytes with up to four faults: set, inserted, deleted, doubled, cut."""
    mutated = bytearray(data)
    for _ in range(random.randrange(1, 5)):
        at = random.randrange(len(mutated) + 1)
        kind = random.randrange(6)
        if kind == 0 and at < len(mutated):
            mutated[at] = random.choice(special)
        elif kind == 1 and at < len(mutated):
            mutated[at] ^= 1 << random.randrange(8)
        elif kind == 2:
            mutated[at:at] = bytes(random.choice(special) for _ in range(random.randrange(6)))
        elif kind == 3:
            del mutated[at : at + random.randrange(1, 9)]
        elif kind == 4:
            mutated[at:at] = mutated[at : at + random.randrange(1, 40)] * random.randrange(1, 4)
        elif random.random() < 0.3:
            del mutated[at:]
    return bytes(mutated)


def mutate_text(random: Random, whole: str, special: str) -> str:
    """Return a text with up to four faults."""
    letters = list(whole)
    for _ in range(random.randrange(1, 5)):
        at = random.randrange(len(letters) + 1)
        kind = random.randrange(5)
        if kind == 0 and at < len(letters):
            letters[at] = random.choice(special)
        elif kind == 1:
            letters[at:at] = text(random)
        elif kind == 2:
            del letters[at : at + random.randrange(1, 9)]
        elif kind == 3:
            letters[at:at] = letters[at : at + random.randrange(1, 30)]
        elif random.random() < 0.3:
            del letters[at:]
    return "".join(letters)


# -- faults ------------------------------------------------------------------------------------


def fault_of(target: Target, value: Any, meter: Meter | None = None) -> tuple[str, str] | None:
    """Return what tells the fault of a value from others, and its traceback; None for none.

    What tells it is the exception, and the line of robojam or of the check that raised it.
    """
    try:
        target.check(value, meter or Meter())
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "robojam" in frame.filename] or frames
        where = ours[-1]
        key = f"{type(error).__name__} at {where.filename.rpartition('/')[2]}:{where.lineno}"
        return key, traceback.format_exc()
    return None


def shrink(value: Any, fails: Callable[[Any], bool], *, seconds: float = 20.0) -> Any:
    """Return the smallest value found within a time for which fails is still true."""
    until = time.monotonic() + seconds
    before: Any = None
    while repr(value) != before and time.monotonic() < until:
        before = repr(value)
        value = _shrink_once(value, lambda c: time.monotonic() < until and fails(c))
    return value


def _shrink_once(value: Any, fails: Callable[[Any], bool]) -> Any:
    """Return a value from which parts have been removed, and whose parts are smaller."""
    if isinstance(value, bytes | str | list):
        part = len(value)
        while part:
            at = 0
            while at < len(value):
                less = value[:at] + value[at + part :]
                if fails(less):
                    value = less
                else:
                    at += part
            part = min(part, len(value)) // 2
    if isinstance(value, tuple | list):
        for index in range(len(value)):
            rebuilt = partial(_with, value, index)
            less = _shrink_once(value[index], lambda c, make=rebuilt: fails(make(c)))
            value = rebuilt(less)
        return value
    for simpler in _simpler(value):
        if fails(simpler):
            return simpler
    return value


def _with(value: Any, index: int, element: Any) -> Any:
    return type(value)((*value[:index], element, *value[index + 1 :]))


def _simpler(value: Any) -> Iterator[Any]:
    """Yield values of the same size that are simpler."""
    if isinstance(value, bytes):
        for index, byte in enumerate(value):
            if byte:
                yield value[:index] + b"\0" + value[index + 1 :]
    elif isinstance(value, str):
        for index, letter in enumerate(value):
            if letter.isalnum() and letter not in "0a":
                yield value[:index] + "0" + value[index + 1 :]
    elif isinstance(value, int) and value:
        yield 0
        yield int(value / 2)
        yield value - 1 if value > 0 else value + 1
    elif isinstance(value, float) and value:
        yield from (each for each in (0.0, 1.0) if each != value)
