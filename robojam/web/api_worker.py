"""Program that plays for the HTTP API: one batch of continuations for each model.

robojam.web.workers starts it. The first line of standard input, JSON, says which models it
plays; then messages come and go as frames on standard input and output
(robojam.web.frames):

    in:  ["take", id, Wanted]; ["drop", id]
    out: ["ready", [ModelInfo]]; ["failed", reason]; then ["done", id, answer], ["invalid", id,
         reason], ["lost", id, reason], and ["steps", steps, rows] about twice a second

An answer is JSON of touches, or MicroJam's CSV where the call was. What is wanted while others
are played joins them at the next touch (robojam.player.batch_generator).
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

import msgspec
import numpy as np

from robojam.model.event import TOUCH
from robojam.model.file import ModelFile, ModelFileError, read
from robojam.player.batch_generator import BatchGenerator, Take, fitting_call
from robojam.player.generate import TakePlanner
from robojam.player.player import ModelPlayer
from robojam.system.child_process import read_first_line
from robojam.system.priority import lower_priority
from robojam.web import microjam
from robojam.web.api_types import InvalidError, ModelInfo, Wanted, encode_touches
from robojam.web.frames import HEADER, frame

#: Seconds between reports of steps.
_REPORT: Final = 0.5


def model_name(path: Path) -> str:
    """Return the name by which requests ask for a model."""
    return path.stem


class _Voice:
    """A model, with the batch of its takes and its planner."""

    def __init__(self, file: ModelFile, rows: int) -> None:
        player = ModelPlayer(file)
        self.info = ModelInfo(
            name=model_name(file.path),
            sha256=file.sha256,
            temperature=file.description.temperature,
            spread=file.description.spread,
            plans=player.plans,
        )
        self.batch = BatchGenerator(player.network, rows=rows)
        self._planner = TakePlanner(player)

    def plan(self, take: Take, wanted: Wanted) -> Iterator[None]:
        """Plan a take, in steps."""
        return self._planner.plan([take], wanted.follow, wanted.memory)


class Worker:
    """Takes that are played, by the ids of their requests."""

    def __init__(self, files: Iterable[ModelFile], rows: int) -> None:
        """Prepare models. Raises ModelFileError."""
        self._voices = {}
        for file in files:
            voice = _Voice(file, rows)
            self._voices[voice.info.name] = voice
        self._takes: dict[int, tuple[Take, Wanted]] = {}
        self._ids: dict[int, int] = {}  # of takes, by id()
        self._plans: dict[int, Iterator[None]] = {}
        self.steps = self.rows = 0

    @property
    def models(self) -> list[ModelInfo]:
        """The models that are played."""
        return [voice.info for voice in self._voices.values()]

    def __len__(self) -> int:
        """Return the number of takes that are played."""
        return len(self._takes)

    def take(self, number: int, wanted: Wanted) -> list[Any] | None:
        """Begin a take; return a message where it cannot be."""
        voice = self._voices.get(wanted.model)
        if voice is None:
            return ["lost", number, f"there is no model {wanted.model}"]
        try:
            if isinstance(wanted.call, str):
                call = microjam.read_performance(wanted.call)
            else:
                call = np.array(wanted.call, np.float64).reshape(-1, 4)
        except InvalidError as error:
            return ["invalid", number, str(error)]
        call = fitting_call(call, voice.batch.network)
        take = Take(
            call=call, seconds=wanted.seconds, seed=wanted.seed, number=wanted.number,
            temperature=wanted.temperature, spread=wanted.spread, silence=wanted.silence,
        )  # fmt: skip
        self._takes[number] = take, wanted
        if wanted.follow or wanted.memory:
            self._plans[number] = voice.plan(take, wanted)
        else:
            self._ids[id(take)] = number
            voice.batch.add(take)
        return None

    def drop(self, number: int) -> None:
        """Drop a take that nobody waits for, if it is here."""
        if number in self._takes:
            take, wanted = self._takes.pop(number)
            if self._plans.pop(number, None) is None:
                self._voices[wanted.model].batch.discard(take)
                del self._ids[id(take)]

    def step(self) -> list[list[Any]]:
        """Play a touch of every take and a step of every plan; return messages of the ended."""
        messages = []
        for voice in self._voices.values():
            if len(voice.batch):
                self.steps, self.rows = self.steps + 1, self.rows + len(voice.batch)
                for take in voice.batch.step():
                    messages.append(self._end(self._ids.pop(id(take))))
        for number, plan in list(self._plans.items()):
            try:
                next(plan)
            except StopIteration:
                del self._plans[number]
                messages.append(self._end(number))
        return messages

    def _end(self, number: int) -> list[Any]:
        take, wanted = self._takes.pop(number)
        if take.overflowed:
            return ["lost", number, f"the numbers of the model {wanted.model} overflow"]
        touches = [touch[: len(TOUCH)] for touch in take.touches]
        if isinstance(wanted.call, str):
            return ["done", number, microjam.write_answer(touches).encode()]
        return ["done", number, encode_touches(touches)]


def _read_frames(inbox: SimpleQueue[Any]) -> None:
    """Put the messages of standard input into a queue, and None at its end."""
    decode = msgspec.msgpack.Decoder(list[Any]).decode

    def read(size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = os.read(0, size - len(data))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    with suppress(EOFError, OSError):
        while True:
            (size,) = HEADER.unpack(read(HEADER.size))
            inbox.put(decode(read(size)))
    inbox.put(None)


def _write(message: list[Any]) -> None:
    data = frame(message)
    while data:
        data = data[os.write(1, data) :]


def _run(worker: Worker) -> None:
    """Play what is wanted until standard input ends."""
    inbox: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_read_frames, args=(inbox,), name="stdin", daemon=True).start()
    reported_at = time.monotonic()
    while True:
        try:
            while (message := inbox.get(block=not len(worker))) is not None:
                if message[0] == "take":
                    wanted = msgspec.convert(message[2], Wanted)
                    if (answer := worker.take(message[1], wanted)) is not None:
                        _write(answer)
                else:
                    worker.drop(message[1])
            return
        except Empty:
            pass
        for answer in worker.step():
            _write(answer)
        now = time.monotonic()
        if now - reported_at > _REPORT:
            reported_at = now
            _write(["steps", worker.steps, worker.rows])
            worker.steps = worker.rows = 0


def main() -> int:
    """Play until standard input ends."""
    given = msgspec.json.decode(read_first_line() or b"null")
    if given is None:
        return 0
    if given["quiet"]:
        lower_priority()
    try:
        worker = Worker(map(read, given["models"]), given["rows"])
    except ModelFileError as error:
        _write(["failed", str(error)])
        return 1
    _write(["ready", worker.models])
    with suppress(BrokenPipeError):
        _run(worker)
    return 0


if __name__ == "__main__":
    sys.exit(main())
