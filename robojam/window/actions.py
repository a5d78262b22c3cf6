"""What is done when a key, a finger on the frame or a panel asks for it, by the action's name.

What changes the jam goes to the engine, and is shown when the engine tells of it, not
before, so that two windows agree; only for the next press is a step remembered until
then, lest quick presses get lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from robojam.music import INSTRUMENTS, SCALES, instrument_of, parse_instruments
from robojam.sessions.session import SessionError, read
from robojam.touch import Phase
from robojam.window.client.state import WindowState
from robojam.window.input.dials import DIALS
from robojam.window.recordings.library import RecordingsPanel
from robojam.window.recordings.playback import RecordingPlayback
from robojam.window.view.panels import PAGE
from robojam.window.view.theme import THEMES

#: One OSC message to send: address, type tags, arguments.
Send = tuple[str, str, tuple[float | int | str, ...]]
#: A step that the engine has not told back after this long, in seconds, was lost.
FORGET = 0.5
#: The fingers of a phrase that is played again have ids from this one on.
AGAIN_ID = 2000
_STEPS = {"temperature": 0.1, "spread": 0.1, "volume": 0.05}
_FACTORS = {"timescale": 1.1, "threshold": 1.25, "response": 1.25}
_PLAIN = ("answer", "reset", "panic")
_PANELS = ("help", "controls", "sessions")


class Wire(Protocol):
    """Where messages go."""

    def send(self, address: str, tags: str = "", *args: object) -> None:
        """Send one message."""


@dataclass(slots=True)
class Actions:
    """Does what is asked for."""

    state: WindowState
    wire: Wire
    shelf: RecordingsPanel
    rerun: RecordingPlayback | None = None
    page: int = 0
    #: What is to be sent when, in the order of its instants (seconds): a phrase played again.
    pending: list[tuple[float, Send]] = field(default_factory=list)
    _asked: dict[str, tuple[Any, float]] = field(default_factory=dict)

    def do(self, action: str, now: float) -> None:
        """Do what is asked for; nothing for a name that means nothing here."""
        name, _, about = action.partition(":")
        if self.state.refuses(action):
            self.state.say("a recording plays: it takes pause, panic and volume", now)
        elif name in _PLAIN:
            self.wire.send(f"/robojam/{name}")
            if name == "panic":
                self._drop_pending()
                self.state.view.panel, self.rerun = "", None
        elif name == "mode":
            self.wire.send("/robojam/mode", "s", about)
        elif name == "pause":
            self.wire.send("/robojam/pause", "i", 0 if self.state.paused else 1)
        elif name == "record":
            self.wire.send("/robojam/record", "i", 0 if self.state.recording else 1)
        elif name == "back":
            self.wire.send("/robojam/back", "f", float(about))
        elif name in ("store", "recall"):
            self.wire.send(f"/robojam/{name}", "s", about)
        elif name in ("instrument", "scale"):
            self._choose(name, about, now)
        elif name == "step":
            self._step(*about.split(":"), now=now)
        elif name in _PANELS:
            self._open(name)
        else:
            self._own(name, about, now)

    def _own(self, name: str, about: str, now: float) -> None:
        """What concerns this window alone."""
        view = self.state.view
        if name == "forecast":
            view.forecast = not view.forecast
        elif name == "typing":
            view.keys_play = not view.keys_play
        elif name == "theme":
            names = list(THEMES)
            view.theme = names[(names.index(view.theme) + 1) % len(names)]
        elif name == "turn":
            view.quarters = (view.quarters + 1) % 4
        elif name == "page":
            last = max(0, len(self.shelf.entries) - 1) // PAGE
            self.page = min(last, max(0, self.page + int(about)))
        elif name == "open":
            self._take_down(int(about), now)
        elif self.rerun is not None:
            self._rerun(self.rerun, name, about, now)

    # -- controls ----------------------------------------------------------------------------

    def _step(self, name: str, sign: str, *, now: float) -> None:
        dial, up = DIALS[name], sign == "1"
        value = self._in_force(name, now)
        if value is None:
            return  # the engine has not told what it is now
        if name in _STEPS:
            value += _STEPS[name] if up else -_STEPS[name]
        elif dial.endless and value == 0:
            value = value if up else dial.high
        else:
            value *= _FACTORS[name] if up else 1 / _FACTORS[name]
        if name == "timescale" and abs(value - 1) < 0.04:
            value = 1.0  # there and back again is there
        self._set(name, min(dial.highest, max(dial.lowest, round(value, 4))), now)

    def _in_force(self, name: str, now: float) -> float | None:
        value = self.state.controls.get(name)
        asked: float
        asked, when = self._asked.get(name, (0.0, float("-inf")))
        return asked if value is not None and now - when < FORGET else value

    def _choose(self, name: str, who: str, now: float) -> None:
        """Choose the next instrument of someone's, or the next scale; round and round."""
        told = self.state.instrument if name == "instrument" else self.state.scale
        asked, when = self._asked.get(name, ("", float("-inf")))
        if not (before := asked if now - when < FORGET else told):
            return  # the engine has not told what it is now
        if name == "scale":
            value = sent = _after(before, tuple(SCALES))
        else:
            sent = f"{who}={_after(instrument_of(who, before), INSTRUMENTS)}"
            value = parse_instruments(sent, before)
        self._asked[name] = (value, now)
        self.wire.send(f"/robojam/{name}", "s", sent)

    def _set(self, name: str, value: float, now: float) -> None:
        self._asked[name] = (value, now)
        self.wire.send(f"/robojam/{name}", "f", value)

    def turn_dial(self, name: str, share: float, now: float) -> None:
        """Turn a control to a share (0..1) of its way."""
        value = DIALS[name].value(share)
        if value != self._in_force(name, now):
            self._set(name, value, now)

    def hold(self) -> None:
        """Hold the recording that is played."""
        if self.rerun is not None:
            self.rerun.hold()

    # -- recordings --------------------------------------------------------------------------

    def _open(self, name: str) -> None:
        view = self.state.view
        view.panel = "" if view.panel == name else name
        if view.panel == "sessions":
            if self.state.sessions:
                self.shelf.folder = Path(self.state.sessions)
            self.page = 0
            self.shelf.refresh()
        if view.panel != "player":
            self.rerun, view.typing = None, None

    def _take_down(self, number: int, now: float) -> None:
        if number >= len(self.shelf.entries):
            return
        path = self.shelf.entries[number].path
        try:
            self.rerun = RecordingPlayback(read(path), path.stem)
        except SessionError as error:
            self.state.say(f"{path.name} {error.why}", now)
            return
        self.state.view.panel = "player"
        self.rerun.play(now)

    def _rerun(self, rerun: RecordingPlayback, name: str, about: str, now: float) -> None:
        path = rerun.session.path
        if name == "play":
            if rerun.playing:
                rerun.hold()
            else:
                rerun.play(now)
        elif name == "speed":
            rerun.faster(-1 if about == "-1" else 1)
        elif name == "loop":
            rerun.loop = not rerun.loop
        elif name == "scrub":
            rerun.seek(rerun.at + float(about or 0))
        elif name == "again":
            self._again(rerun, now)
        elif name == "rename":
            self.state.view.typing = rerun.name
        elif name == "reveal" and path is not None:
            self.shelf.reveal(path)
        elif name == "export" and path is not None:
            self.state.say("drawing it…", now)
            self.shelf.export(path)
        elif name == "close":
            self.state.view.panel, self.rerun = "", None

    def scrub_to(self, share: float) -> None:
        """Go to a share (0..1) of the recording."""
        if self.rerun is not None:
            self.rerun.seek(share * self.rerun.duration)

    def type(self, letter: str, now: float, *, done: bool = False, cancel: bool = False,
             back: bool = False) -> None:  # fmt: skip
        """Write on a recording's new name; done keeps it."""
        view, rerun = self.state.view, self.rerun
        if view.typing is None or rerun is None or rerun.session.path is None:
            return
        if back:
            view.typing = view.typing[:-1]
        elif cancel:
            view.typing = None
        elif done:
            try:
                path = self.shelf.rename(rerun.session.path, view.typing)
            except ValueError as error:
                self.state.say(str(error), now)
                return
            fresh = RecordingPlayback(read(path), path.stem, speed=rerun.speed, loop=rerun.loop)
            fresh.seek(rerun.at)
            self.rerun, view.typing = fresh, None
        elif letter.isprintable():
            view.typing = (view.typing + letter)[:80]

    def _again(self, rerun: RecordingPlayback, now: float) -> None:
        """Play the humans' last phrase to the engine once more, and pass it the turn."""
        phrase = rerun.phrase()
        if not phrase:
            self.state.say("no human plays there", now)
            return
        rerun.hold()
        self.state.view.panel, self.rerun = "", None
        self._drop_pending()
        began = phrase[0].t
        down: set[int] = set()
        for event in phrase:
            touch, at = event.touch, now + 0.05 + event.t - began
            finger = AGAIN_ID + touch.id % 1000
            if touch.phase is Phase.UP:
                down.discard(finger)
                self.pending.append((at, ("/robojam/up", "i", (finger,))))
                continue
            down.add(finger)
            place = (finger, touch.x, touch.y)
            self.pending.append((at, (f"/robojam/{touch.phase.value}", "iff", place)))
        end = self.pending[-1][0]
        self.pending += [(end, ("/robojam/up", "i", (finger,))) for finger in sorted(down)]
        self.pending.append((end + 0.02, ("/robojam/answer", "", ())))

    def _drop_pending(self) -> None:
        """Send no more of a phrase; lift its fingers."""
        for _, (address, tags, args) in self.pending:
            if address == "/robojam/up":
                self.wire.send(address, tags, *args)
        self.pending.clear()

    def send_due(self, now: float) -> float:
        """Send what is due; return the instant of the next, or infinity."""
        while self.pending and self.pending[0][0] <= now:
            _, (address, tags, args) = self.pending.pop(0)
            self.wire.send(address, tags, *args)
        return self.pending[0][0] if self.pending else float("inf")


def _after(name: str, names: tuple[str, ...]) -> str:
    at = names.index(name) if name in names else -1
    return names[(at + 1) % len(names)]
