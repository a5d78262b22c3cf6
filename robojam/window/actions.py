"""What is done when a key, a finger on the frame or a panel asks for it, by the action's name.

What changes the jam goes to the engine, and is shown when the engine tells of it, not
before, so that two windows agree; only for the next press is a step remembered until
then, lest quick presses get lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robojam.music import INSTRUMENTS, SCALES, instrument_of, parse_instruments
from robojam.sessions.session import SessionError, read
from robojam.touch import Phase
from robojam.window.client.link import MessageSender
from robojam.window.client.state import WindowState
from robojam.window.input.dials import DIALS
from robojam.window.recordings.library import RecordingsPanel
from robojam.window.recordings.playback import RecordingPlayback
from robojam.window.view.panels import PAGE
from robojam.window.view.theme import THEMES

#: One OSC message to send: address, type tags, arguments.
Send = tuple[str, str, tuple[float | int | str, ...]]
#: A step that the engine has not told back after this long, in seconds, was lost.
REQUEST_TIMEOUT = 0.5
#: The fingers of a phrase that is played again have ids from this one on.
REPLAYED_ID = 2000
_PLAIN = ("answer", "reset", "panic")
_PANELS = ("help", "controls", "sessions")


@dataclass(slots=True)
class Actions:
    """Does what is asked for."""

    state: WindowState
    sender: MessageSender
    recordings: RecordingsPanel
    playback: RecordingPlayback | None = None
    page: int = 0
    #: What is to be sent when, in the order of its instants (seconds): a phrase played again.
    _scheduled: list[tuple[float, Send]] = field(default_factory=list)
    _requested: dict[str, tuple[Any, float]] = field(default_factory=dict)

    def perform(self, action: str, now: float) -> None:
        """Do what is asked for; nothing for a name that means nothing here."""
        name, _, argument = action.partition(":")
        if self.state.refuses(action):
            self.state.notify("a recording plays: it takes pause, panic and volume", now)
        elif name in _PLAIN:
            self.sender.send(f"/robojam/{name}")
            if name == "panic":
                self._cancel_scheduled()
                self.state.view.panel, self.playback = "", None
        elif name == "mode":
            self.sender.send("/robojam/mode", "s", argument)
        elif name == "pause":
            self.sender.send("/robojam/pause", "i", 0 if self.state.paused else 1)
        elif name == "record":
            self.sender.send("/robojam/record", "i", 0 if self.state.recording else 1)
        elif name == "back":
            self.sender.send("/robojam/back", "f", float(argument))
        elif name in ("store", "recall"):
            self.sender.send(f"/robojam/{name}", "s", argument)
        elif name in ("instrument", "scale"):
            self._choose(name, argument, now)
        elif name == "step":
            self._step(*argument.split(":"), now=now)
        elif name in _PANELS:
            self._toggle_panel(name)
        else:
            self._perform_own(name, argument, now)

    def _perform_own(self, name: str, argument: str, now: float) -> None:
        """What concerns this window alone."""
        view = self.state.view
        if name == "forecast":
            view.show_forecast = not view.show_forecast
        elif name == "typing":
            view.letters_play = not view.letters_play
        elif name == "theme":
            names = list(THEMES)
            view.theme = names[(names.index(view.theme) + 1) % len(names)]
        elif name == "turn":
            view.quarter_turns = (view.quarter_turns + 1) % 4
        elif name == "page":
            last = max(0, len(self.recordings.entries) - 1) // PAGE
            self.page = min(last, max(0, self.page + int(argument)))
        elif name == "open":
            self._open_recording(int(argument), now)
        elif self.playback is not None:
            self._perform_playback(self.playback, name, argument, now)

    # -- controls ----------------------------------------------------------------------------

    def _step(self, name: str, sign: str, *, now: float) -> None:
        value = self._current_value(name, now)
        if value is not None:  # the engine has reported the present value
            self._set(name, DIALS[name].step(value, up=sign == "1"), now)

    def _current_value(self, name: str, now: float) -> float | None:
        value = self.state.controls.get(name)
        requested: float
        requested, when = self._requested.get(name, (0.0, float("-inf")))
        return requested if value is not None and now - when < REQUEST_TIMEOUT else value

    def _choose(self, name: str, who: str, now: float) -> None:
        """Choose the next instrument of someone's, or the next scale; round and round."""
        current = self.state.instrument if name == "instrument" else self.state.scale
        requested, when = self._requested.get(name, ("", float("-inf")))
        if not (before := requested if now - when < REQUEST_TIMEOUT else current):
            return  # the engine has not told what it is now
        if name == "scale":
            value = sent = _next_in(before, tuple(SCALES))
        else:
            sent = f"{who}={_next_in(instrument_of(who, before), INSTRUMENTS)}"
            value = parse_instruments(sent, before)
        self._requested[name] = (value, now)
        self.sender.send(f"/robojam/{name}", "s", sent)

    def _set(self, name: str, value: float, now: float) -> None:
        self._requested[name] = (value, now)
        self.sender.send(f"/robojam/{name}", "f", value)

    def turn_dial(self, name: str, share: float, now: float) -> None:
        """Turn a control to a share (0..1) of its way."""
        value = DIALS[name].value(share)
        if value != self._current_value(name, now):
            self._set(name, value, now)

    def hold(self) -> None:
        """Hold the recording that is played."""
        if self.playback is not None:
            self.playback.hold()

    # -- recordings --------------------------------------------------------------------------

    def _toggle_panel(self, name: str) -> None:
        view = self.state.view
        view.panel = "" if view.panel == name else name
        if view.panel == "sessions":
            if self.state.sessions:
                self.recordings.folder = Path(self.state.sessions)
            self.page = 0
            self.recordings.refresh()
        if view.panel != "player":
            self.playback, view.typed_name = None, None

    def _open_recording(self, number: int, now: float) -> None:
        if number >= len(self.recordings.entries):
            return
        entry = self.recordings.entries[number]
        path = entry.path
        try:
            self.playback = RecordingPlayback(read(path), entry.title)
        except SessionError as error:
            self.state.notify(f"{path.name} {error.why}", now)
            return
        self.state.view.panel = "player"
        self.playback.play(now)

    def _perform_playback(
        self, playback: RecordingPlayback, name: str, argument: str, now: float
    ) -> None:
        path = playback.session.path
        if name == "play":
            if playback.playing:
                playback.hold()
            else:
                playback.play(now)
        elif name == "speed":
            playback.faster(-1 if argument == "-1" else 1)
        elif name == "loop":
            playback.loop = not playback.loop
        elif name == "scrub":
            playback.seek(playback.at + float(argument or 0))
        elif name == "again":
            self._answer_again(playback, now)
        elif name == "rename" and path is not None:
            names = {entry.path: entry.annotation.name for entry in self.recordings.entries}
            self.state.view.typed_name = names.get(path, "")
        elif name == "reveal" and path is not None:
            self.recordings.reveal(path)
        elif name == "export" and path is not None:
            self.state.notify("drawing it…", now)
            self.recordings.export(path)
        elif name == "close":
            self.state.view.panel, self.playback = "", None

    def scrub_to(self, share: float) -> None:
        """Go to a share (0..1) of the recording."""
        if self.playback is not None:
            self.playback.seek(share * self.playback.duration)

    def type(self, letter: str, now: float, *, done: bool = False, cancel: bool = False,
             back: bool = False) -> None:  # fmt: skip
        """Write on a recording's new name; done keeps it."""
        view, playback = self.state.view, self.playback
        if view.typed_name is None or playback is None or playback.session.path is None:
            return
        if back:
            view.typed_name = view.typed_name[:-1]
        elif cancel:
            view.typed_name = None
        elif done:
            try:
                playback.name = self.recordings.rename(
                    playback.session.path, view.typed_name
                ).title
            except ValueError as error:
                self.state.notify(str(error), now)
                return
            view.typed_name = None
        elif letter.isprintable():
            view.typed_name = (view.typed_name + letter)[:80]

    def _answer_again(self, playback: RecordingPlayback, now: float) -> None:
        """Play the humans' last phrase to the engine once more, and pass it the turn."""
        phrase = playback.phrase()
        if not phrase:
            self.state.notify("no human plays there", now)
            return
        playback.hold()
        self.state.view.panel, self.playback = "", None
        self._cancel_scheduled()
        began = phrase[0].t
        down: set[int] = set()
        for event in phrase:
            touch, at = event.touch, now + 0.05 + event.t - began
            finger = REPLAYED_ID + touch.id % 1000
            if touch.phase is Phase.UP:
                down.discard(finger)
                self._scheduled.append((at, ("/robojam/up", "i", (finger,))))
                continue
            down.add(finger)
            place = (finger, touch.x, touch.y)
            self._scheduled.append((at, (f"/robojam/{touch.phase.value}", "iff", place)))
        end = self._scheduled[-1][0]
        self._scheduled += [(end, ("/robojam/up", "i", (finger,))) for finger in sorted(down)]
        self._scheduled.append((end + 0.02, ("/robojam/answer", "", ())))

    def _cancel_scheduled(self) -> None:
        """Send no more of a phrase; lift its fingers."""
        for _, (address, tags, args) in self._scheduled:
            if address == "/robojam/up":
                self.sender.send(address, tags, *args)
        self._scheduled.clear()

    def send_due(self, now: float) -> float:
        """Send what is due; return the instant of the next, or infinity."""
        while self._scheduled and self._scheduled[0][0] <= now:
            _, (address, tags, args) = self._scheduled.pop(0)
            self.sender.send(address, tags, *args)
        return self._scheduled[0][0] if self._scheduled else float("inf")


def _next_in(name: str, names: tuple[str, ...]) -> str:
    at = names.index(name) if name in names else -1
    return names[(at + 1) % len(names)]
