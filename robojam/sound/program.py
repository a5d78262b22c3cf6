"""Program of the synthesiser, which the engine starts.

The device's thread does all the work: it reads the engine's events and renders the samples
that the device requests. The main thread waits for the end, and looks after a device that is
gone. It reports to the engine by lines of JSON on standard output.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import threading
import time
from dataclasses import asdict
from typing import Any

import numpy as np

from robojam.controls import Settings
from robojam.jam.events import BeatCame, ControlChanged, TouchPlayed
from robojam.music import INSTRUMENTS
from robojam.sound import device as audio
from robojam.sound.device import (
    BufferInfo,
    DeviceClock,
    NoSoundError,
    OpenDevice,
    open_device,
)
from robojam.sound.messages import decode
from robojam.sound.synth import RATE, Synth
from robojam.system.child_process import on_stdin_end
from robojam.system.priority import raise_priority
from robojam.touch import Phase, Touch

#: Seconds until the device is first checked, and between checks. A device without a request
#: from one check to the next is gone; then it is opened again as soon as it is back.
_FIRST_CHECK, _CHECK = 0.5, 2.0
#: Seconds that the last sound has to fade.
_FADE = 0.06
#: Seconds after which a touch that came while there was no device is dropped.
_PAST = 1.0


class SynthProgram:
    """Samples for a device, from the events that a socket brings."""

    def __init__(self, synth: Synth, events: socket.socket | None) -> None:
        """Play the events of a socket that does not block; None plays silence."""
        self.synth, self.clock = synth, DeviceClock(int(synth.rate))
        self._events = events
        self._next = synth.at  # the next sample for the device
        self._left = np.zeros((0, 2), np.float32)
        #: Whether everything is to fade; any thread may set it.
        self.ending = False
        self._raised = False

    def fill(self, frames: int) -> Any:
        """Return the next frames, float32 of shape [frames, 2]."""
        if not self._raised:
            self._raised = True
            # Needed where the audio system does not raise the priority of the device's thread.
            if sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_OTHER:
                raise_priority()
        now = time.perf_counter()
        self.clock.requested(now, self._next, frames)
        self._receive(now)
        if self.ending:
            self.ending = False
            self.synth.handle(ControlChanged(now, "panic", 1), 0)
        ticks, ready = [self._left], len(self._left)
        while ready < frames:
            ticks.append(self.synth.render())
            ready += self.synth.tick
        samples = np.concatenate(ticks)
        self._left = samples[frames:]
        self._next += frames
        return np.ascontiguousarray(samples[:frames])

    def _receive(self, now: float) -> None:
        if self._events is None:
            return
        while True:
            try:
                data = self._events.recv(65536)
            except ConnectionError:
                continue  # the engine is gone: standard input will end, too
            except OSError:
                return
            event, at = decode(data) or (None, now)
            sounds = isinstance(event, BeatCame) or (
                isinstance(event, TouchPlayed) and event.touch.phase is not Phase.UP
            )
            if event is not None and (at >= now - _PAST or not sounds):
                self.synth.handle(event, self.clock.sample(at))

    def buffer_info(self, device: OpenDevice) -> BufferInfo:
        """Return the timing of the device that plays."""
        return BufferInfo(
            name=device.device.name,
            api=device.device.api,
            rate=int(self.synth.rate),
            asked_ms=float(audio.PERIOD_MS * audio.PERIODS),
            buffer_ms=round(1000 * self.clock.buffer, 2),
            wait_ms=round(1000 * self.clock.wait, 2),
            gaps=self.clock.gaps,
        )


def measure(seconds: float = 1.0, *, device: str | None = None) -> BufferInfo:
    """Play silence for some seconds; return the timing of the device. Raises NoSoundError."""
    program = SynthProgram(Synth(), None)
    playing = open_device(program.fill, rate=RATE, name=device)
    try:
        time.sleep(seconds)
        return program.buffer_info(playing)
    finally:
        playing.close()


def _warm_up() -> None:
    """Render a tap of each instrument, so that the first touch of the jam is not late."""
    for instrument in INSTRUMENTS:
        synth = Synth(settings=Settings(instrument=f"human={instrument}"))
        for phase in (Phase.DOWN, Phase.MOVE, Phase.UP):
            synth.handle(TouchPlayed(0.0, Touch(0.5, 0.5, 0.01, phase), 0.01), 0)
        for _ in range(3):
            synth.render()


def _report(**fields: object) -> None:
    try:
        print(json.dumps(fields), flush=True)
    except OSError:
        os._exit(0)  # the engine is gone


def main(arguments: list[str]) -> int:
    """Play until standard input closes. The argument is JSON that `output` makes."""
    given: dict[str, Any] = json.loads(arguments[0])
    ended = threading.Event()
    on_stdin_end(ended.set)
    events = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    events.bind(("127.0.0.1", 0))
    events.connect(("127.0.0.1", given["port"]))  # and so receives from the engine alone
    events.setblocking(False)
    synth = Synth(settings=Settings(**given["settings"]))
    _warm_up()
    gc.freeze()  # later collections skip the objects that exist now
    program = SynthProgram(synth, events)
    try:
        playing = open_device(program.fill, rate=RATE, name=given["device"])
    except NoSoundError as error:
        _report(trouble=f"no sound: {error}; the jam goes on without")
        return 0
    _report(port=events.getsockname()[1])
    _watch(program, playing, ended, given["device"])
    return 0


def _watch(
    program: SynthProgram, first: OpenDevice, ended: threading.Event, device: str | None
) -> None:
    """Wait for the end; report the timing of the device, when it goes and when it is back."""
    playing: OpenDevice | None = first
    requests, reported, wait = -1, None, _FIRST_CHECK
    while not ended.wait(wait):
        wait = _CHECK
        if playing is None:
            try:
                playing = open_device(program.fill, rate=RATE, name=device)
            except NoSoundError:
                continue
            _report(back=f"the sound is back, on {playing.device.name}")
        elif playing.error is not None:
            raise playing.error
        elif playing.requests == requests:
            _report(trouble=f"{playing.device.name} is gone; the jam goes on without sound")
            playing.close()
            playing, requests = None, -1
            continue
        requests = playing.requests
        info = program.buffer_info(playing)
        if info != reported and requests:
            reported = info
            _report(info=asdict(info))
    if playing is not None:
        program.ending = True
        time.sleep(_FADE)
        playing.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
