"""The synthesiser as a program, which the engine starts.

The device's thread does all the work: it takes in what has happened, and makes the
samples asked for. The main thread waits for the end, and for a device that is gone. It
tells the engine how it does by lines of JSON on standard output.
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

from robojam.jam.events import ControlChanged, Event, TouchPlayed
from robojam.music import INSTRUMENTS
from robojam.sound.device import PERIOD_MS, PERIODS, BufferInfo, NoSoundError, OpenDevice, Pulse
from robojam.sound.line import decode
from robojam.sound.synth import RATE, Synth
from robojam.system.child_process import on_stdin_end
from robojam.system.priority import raise_priority
from robojam.touch import Phase, Touch

#: Seconds until the device is looked at for the first time, and between looks. One that
#: has asked for nothing from one look to the next is gone; then it is looked for.
_FIRST, _LOOK = 0.5, 2.0
#: Seconds that the last sound has to fade.
_FADE = 0.06
#: What happened so many seconds ago, while there was no device, is not played any more.
_PAST = 1.0


class SynthProgram:
    """Samples for a device, of what a socket brings."""

    def __init__(self, synth: Synth, line: socket.socket | None) -> None:
        """Play what comes in by a socket that does not block."""
        self.synth, self.pulse = synth, Pulse(int(synth.rate))
        self._line = line
        self._given = synth.at  # the next sample that the device will have
        self._left = np.zeros((0, 2), np.float32)
        self._ending = self._raised = False

    def hush(self) -> None:
        """Let everything fade. For any thread."""
        self._ending = True

    def fill(self, frames: int) -> Any:
        """Make the next frames, float32 of shape (frames, 2)."""
        if not self._raised:
            self._raised = True
            _raise()
        now = time.perf_counter()
        self.pulse.pulled(now, self._given, frames)
        self._take_in(now)
        if self._ending:
            self._ending = False
            self.synth.handle(ControlChanged(now, "panic", 1), 0)
        ticks, ready = [self._left], len(self._left)
        while ready < frames:
            ticks.append(self.synth.render())
            ready += self.synth.tick
        made = np.concatenate(ticks)
        self._left = made[frames:]
        self._given += frames
        return np.ascontiguousarray(made[:frames])

    def _take_in(self, now: float) -> None:
        if self._line is None:
            return
        while True:
            try:
                data = self._line.recv(65536)
            except ConnectionError:
                continue  # the engine has gone: standard input will say so
            except OSError:
                return
            what, at = decode(data) or (None, now)
            if what is None or (at < now - _PAST and _lands(what)):
                continue
            self.synth.handle(what, self.pulse.sample(at))

    def got(self, playing: OpenDevice) -> BufferInfo:
        """Say what the device gives."""
        return BufferInfo(
            name=playing.device.name,
            api=playing.device.api,
            rate=int(self.synth.rate),
            asked_ms=float(PERIOD_MS * PERIODS),
            buffer_ms=round(1000 * self.pulse.buffer, 2),
            wait_ms=round(1000 * self.pulse.wait, 2),
            gaps=self.pulse.gaps,
        )


def _raise() -> None:
    """Ask for the device's thread to be woken first, where its system has not seen to it."""
    if sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_OTHER:
        raise_priority()


def _lands(what: Event) -> bool:
    """Whether it is a touch that would sound, and not one that ends or a control."""
    return isinstance(what, TouchPlayed) and what.touch.phase is not Phase.UP


def measure(seconds: float, *, device: str | None) -> BufferInfo:
    """Play silence for some seconds; return what was got. Raises NoSoundError."""
    player = SynthProgram(Synth(), None)
    playing = OpenDevice(player.fill, rate=RATE, name=device)
    try:
        time.sleep(seconds)
        return player.got(playing)
    finally:
        playing.close()


def _warm_up() -> None:
    """Let a tap of each instrument be made, so that the first touch finds all of it ready."""
    for instrument in INSTRUMENTS:
        synth = Synth(instrument=f"human={instrument}")
        for phase in (Phase.DOWN, Phase.MOVE, Phase.UP):
            synth.handle(TouchPlayed(0.0, Touch(0.5, 0.5, 0.01, phase), 0.01), 0)
        for _ in range(3):
            synth.render()


def _tell(**what: object) -> None:
    try:
        print(json.dumps(what), flush=True)
    except OSError:
        os._exit(0)  # nobody is there any more


def main(arguments: list[str]) -> int:
    """Play until standard input closes. The one argument is what `output` says, in JSON."""
    about: dict[str, Any] = json.loads(arguments[0])
    ended = threading.Event()
    on_stdin_end(ended.set)
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.bind(("127.0.0.1", 0))
    line.connect(("127.0.0.1", about["port"]))  # and so hears nobody else
    line.setblocking(False)
    synth = Synth(instrument=about["instrument"], scale=about["scale"], volume=about["volume"])
    _warm_up()
    gc.freeze()  # what is there now stays: later collections have less to look at
    player = SynthProgram(synth, line)
    try:
        playing = OpenDevice(player.fill, rate=RATE, name=about["device"])
    except NoSoundError as error:
        _tell(trouble=f"no sound: {error}; the jam goes on without")
        return 0
    _tell(port=line.getsockname()[1])
    _watch(player, playing, ended, about["device"])
    return 0


def _watch(
    player: SynthProgram, first: OpenDevice, ended: threading.Event, device: str | None
) -> None:
    """Wait for the end; tell how the device does, when it goes, and when it is back."""
    playing: OpenDevice | None = first
    pulls, told, wait = -1, None, _FIRST
    while not ended.wait(wait):
        wait = _LOOK
        if playing is None:
            try:
                playing = OpenDevice(player.fill, rate=RATE, name=device)
            except NoSoundError:
                continue
            _tell(back=f"the sound is back, on {playing.device.name}")
        elif playing.error is not None:
            raise playing.error
        elif playing.pulls == pulls:
            _tell(trouble=f"{playing.device.name} is gone; the jam goes on without sound")
            playing.close()
            playing, pulls = None, -1
            continue
        pulls = playing.pulls
        got = player.got(playing)
        if got != told and pulls:
            told = got
            _tell(got=asdict(got))
    if playing is not None:
        player.hush()
        time.sleep(_FADE)
        playing.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
