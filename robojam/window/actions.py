"""Actions of keys, buttons and panels, by name: ``mode:duet``, ``step:temperature:1``.

A change to the jam is sent to the engine, and shown when the engine reports it, so that
several windows agree. Only the next step of the same control reckons with a value that the
engine has not yet reported, so that quick presses add up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, TypeVar

from robojam.controls import CONTROLS, amounts_of
from robojam.music import (
    INSTRUMENTS,
    SCALES,
    alone,
    instrument_of,
    parse_instruments,
    parse_ranges,
    range_of,
)
from robojam.sessions.session import SessionError, read
from robojam.touch import Phase, clip
from robojam.window.client.link import MessageSender
from robojam.window.client.state import WindowState
from robojam.window.input.dials import DIALS
from robojam.window.recordings.library import RecordingsPanel
from robojam.window.recordings.playback import RecordingPlayback
from robojam.window.setup_actions import MAX_ADDRESS, SetupActions
from robojam.window.view.panels import last_page
from robojam.window.view.theme import THEMES

#: A requested value that the engine has not reported after this many seconds is lost.
REQUEST_TIMEOUT = 0.5
#: Finger ids of a phrase that is played to the engine again begin here.
PHRASE_ID = 2000
#: Ranges of pitch that can be chosen, as MIDI notes: C2-C6, C3-C5, C4-C6 and C2-C4.
RANGES = ("36-84", "48-72", "60-84", "36-60")
#: Clocks that can be chosen.
CLOCKS = ("off", "internal", "link", "midi", "jack")
#: Seconds for which it is explained why an action is not possible.
EXPLAINED = 4.0
#: Longest name of a recording, in characters.
MAX_NAME = 80
_Value = TypeVar("_Value", float, str)


@dataclass(slots=True)
class Actions:
    """Performs the actions of a window; playback is the open recording, page of the list."""

    state: WindowState
    sender: MessageSender
    recordings: RecordingsPanel
    playback: RecordingPlayback | None = None
    page: int = 0
    setup: SetupActions = field(init=False)
    #: Messages of a phrase that is played again: time in seconds, address, tags, arguments.
    _scheduled: list[tuple[float, str, str, tuple[float, ...]]] = field(default_factory=list)
    #: Values sent to the engine, each with the time of sending.
    _requested: dict[str, tuple[Any, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Prepare the setup panel of the same window."""
        self.setup = SetupActions(self.state, self.sender)

    def perform(self, action: str, now: float) -> None:
        """Perform an action: its name, and an argument after a colon. Others are ignored."""
        name, _, argument = action.partition(":")
        send, state, view = self.sender.send, self.state, self.state.view
        if reason := state.refuses(action):
            state.notify(reason, now, EXPLAINED)
            return
        if self.setup.perform(name, argument, now):
            return
        match name:
            case "keep" | "cancel":
                self.edit_name("", now, confirm=name == "keep", cancel=name == "cancel")
            case "answer" | "reset" | "tap" | "downbeat":
                send(f"/robojam/{name}")
            case "panic":
                send("/robojam/panic")
                self._cancel_scheduled()
                if self.playback is not None:
                    self.playback.hold()
            case "pause":
                send("/robojam/pause", "i", 0 if state.paused else 1)
            case "record":
                send("/robojam/record", "i", 0 if state.recording else 1)
            case "back":
                send("/robojam/back", "f", float(argument))
            case "recall" if state.mode and argument not in state.memories:
                key = view.key_names[f"store:{argument}"]
                how = f"press {key} or touch 'store {argument}' to do so"
                text = f"nothing has been stored as {argument}; {how}"
                state.notify(text, now, EXPLAINED, asks=True)
            case "mode" | "store" | "recall" | "scene":
                send(f"/robojam/{name}", "s", argument)
            case "undo_store":
                if state.stored:
                    send("/robojam/undo_store", "s", state.stored)
                else:
                    state.notify("no memory has been stored that can be taken back", now)
            case "instrument":  # argument: of the machine (ai), or of this window's player
                who = "ai" if argument == "ai" else state.own_touches.who
                if current := self._current(name, state.text(name), now):
                    instrument = _next_after(instrument_of(who, current), INSTRUMENTS)
                    change = f"{alone(who)}={instrument}"
                    expected = parse_instruments(change, current)
                    self._request(name, change if who == "ai" else instrument, expected, now)
            case "scale":
                if current := self._current(name, state.text(name), now):
                    scale = _next_after(current, tuple(SCALES))
                    self._request(name, scale, scale, now)
            case "clock" | "quantum" | "grid":
                if current := self._current(name, state.text(name), now):
                    words = CLOCKS if name == "clock" else CONTROLS[name].words
                    chosen = _next_after(current.partition(":")[0], words)
                    self._request(name, chosen, chosen, now)
            case "range":
                if current := self._current(name, state.text(name), now):
                    chosen = _next_after(str(range_of("", current)), RANGES)
                    self._request(name, chosen, parse_ranges(chosen, current), now)
            case "step":
                control, sign = argument.split(":")
                if control in state.controls:  # the engine has reported the present value
                    value = self._current(control, state.controls[control], now)
                    value = DIALS[control].step(value, up=sign == "1")
                    self._request(control, value, value, now)
            case "help" | "controls" | "sessions" | "map":
                self._toggle_panel(name)
            case "health":
                if state.health:
                    self._toggle_panel(name)
                else:
                    state.notify("health is told to the hosts of a show", now, EXPLAINED)
            case "help_page":
                view.help_page = 1 - view.help_page
            case "close":
                self.close_panel()
            case "page":
                last = last_page(self.recordings.entries)
                self.page = min(last, max(0, min(self.page, last) + int(argument)))
            case "open":
                self._open_recording(argument, now)
            case "forecast":
                view.show_forecast = not view.show_forecast
            case "typing":
                view.letters_play = not view.letters_play
            case "theme":
                view.theme = _next_after(view.theme, tuple(THEMES))
            case "turn":
                view.quarter_turns = (view.quarter_turns + 1) % 4
            case _ if self.playback is not None:
                self._control_playback(self.playback, name, argument, now)

    def dial_share(self, name: str, now: float) -> float:
        """Return how far (0..1) a dial is turned, whose value the engine has reported."""
        return DIALS[name].share(self._current(name, self.state.controls[name], now))

    def turn_dial(self, name: str, share: float, now: float, *, fine: bool = False) -> None:
        """Turn a dial, whose value the engine has reported, to a share (0..1) of its way."""
        value = DIALS[name].value(share, fine=fine)
        if value != self._current(name, self.state.controls[name], now):
            self._request(name, value, value, now)

    def amount(self, knob: str, now: float) -> float:
        """Return the amount (0..1) of a mapped knob."""
        reported = amounts_of(self.state.text("amount")).get(knob, 1.0)
        return self._current(f"amount:{knob}", reported, now)

    def set_amount(self, knob: str, amount: float, now: float) -> None:
        """Set the amount of a mapped knob, clipped to 0..1."""
        value = round(clip(amount, 0.0, 1.0), 2)
        if value != self.amount(knob, now):
            self._requested[f"amount:{knob}"] = (value, now)
            self.sender.send("/robojam/map/amount", "sf", knob, value)

    def _request(self, name: str, sent: float | str, value: float | str, now: float) -> None:
        """Send a control; value is what the engine will report."""
        self._requested[name] = (value, now)
        self.sender.send(f"/robojam/{name}", "s" if isinstance(sent, str) else "f", sent)

    def _current(self, name: str, reported: _Value, now: float) -> _Value:
        """Return the value of a control that was just requested, else the reported one."""
        value, sent_at = self._requested.get(name, (reported, now))
        return value if now - sent_at < REQUEST_TIMEOUT else reported

    def _toggle_panel(self, name: str) -> None:
        view = self.state.view
        view.panel = "" if view.panel == name else name
        if view.panel == "sessions":
            if self.state.sessions:
                self.recordings.folder = Path(self.state.sessions)
            self.page = 0
            self.recordings.refresh()
        self.playback, view.typed_name = None, None

    def _open_recording(self, file: str, now: float) -> None:
        found = (entry for entry in self.recordings.entries if entry.path.name == file)
        if (entry := next(found, None)) is None:
            return
        try:
            session = read(entry.path)
        except SessionError as error:
            self.state.notify(f"{entry.path.name} {error.why}", now)
            return
        if count := len(session.damaged):
            lines = "1 damaged line is" if count == 1 else f"{count:,} damaged lines are"
            self.state.notify(f"{entry.path.name}: {lines} left out", now)
        self.playback = RecordingPlayback(session, entry.title)
        self.state.view.panel = "player"
        self.playback.play(now)

    def close_panel(self) -> None:
        """Close the open panel, and the recording that is open in it."""
        self.state.view.panel, self.state.view.typed_name, self.playback = "", None, None

    def _control_playback(
        self, playback: RecordingPlayback, name: str, argument: str, now: float
    ) -> None:
        path = playback.session.path
        match name:
            case "play" if playback.playing:
                playback.hold()
            case "play":
                playback.play(now)
            case "speed":
                playback.change_speed(-1 if argument == "-1" else 1)
            case "loop":
                playback.loop = not playback.loop
            case "scrub":
                playback.seek(playback.at + float(argument or 0))
            case "again":
                self._answer_again(playback, now)
            case "rename" if path is not None:
                names = {entry.path: entry.annotation.name for entry in self.recordings.entries}
                self.state.view.typed_name = names.get(path, "")
            case "delete" if path is not None:
                self._delete(path, now)
            case "reveal" if path is not None:
                self.recordings.reveal(path)
            case "export" if path is not None:
                self.state.notify("drawing the picture…", now)
                self.recordings.export(path)

    def _delete(self, path: Path, now: float) -> None:
        """Move the open recording to the trash, unless it is the one that is being made."""
        # The status has the path as the engine was given it: it may be relative.
        if PurePath(self.state.recording.replace("\\", "/")).name == path.name:
            self.state.notify("this is being recorded: stop the recording first", now)
            return
        title = self.playback.name if self.playback is not None else path.name
        try:
            self.recordings.delete(path)
        except ValueError as error:
            self.state.notify(str(error), now)
            return
        self.close_panel()
        self.state.view.panel = "sessions"
        self.state.notify(f"moved to the trash: {title}", now)

    def edit_name(
        self, text: str, now: float, *, confirm: bool = False, cancel: bool = False,
        delete: bool = False,
    ) -> None:  # fmt: skip
        """Edit a new name or address: append text, delete a character, confirm or cancel."""
        view, playback = self.state.view, self.playback
        if view.typed_name is None:
            return
        if delete:
            view.typed_name = view.typed_name[:-1]
        elif cancel:
            view.typed_name = None
        elif not confirm:
            longest = MAX_ADDRESS if self.setup.is_open else MAX_NAME
            view.typed_name = (view.typed_name + text)[:longest]
        elif confirm and self.setup.is_open:
            self.setup.confirm_address(now)
        elif confirm and playback is not None and playback.session.path is not None:
            try:
                renamed = self.recordings.rename(playback.session.path, view.typed_name)
            except ValueError as error:
                self.state.notify(str(error), now)
                return
            playback.name, view.typed_name = renamed.title, None

    def _answer_again(self, playback: RecordingPlayback, now: float) -> None:
        """Play the humans' last phrase to the engine again, in time, and pass the turn."""
        phrase = playback.phrase()
        if not phrase:
            self.state.notify("nobody plays at this place of the recording", now)
            return
        self.close_panel()
        self._cancel_scheduled()
        began = phrase[0].t
        down: set[int] = set()
        for event in phrase:
            touch, due = event.touch, now + 0.05 + event.t - began
            finger = PHRASE_ID + touch.id % 1000
            if touch.phase is Phase.UP:
                down.discard(finger)
                self._scheduled.append((due, "/robojam/up", "i", (finger,)))
                continue
            down.add(finger)
            arguments = (finger, touch.x, touch.y)
            self._scheduled.append((due, f"/robojam/{touch.phase.value}", "iff", arguments))
        end = self._scheduled[-1][0]
        self._scheduled += [(end, "/robojam/up", "i", (finger,)) for finger in sorted(down)]
        self._scheduled.append((end + 0.02, "/robojam/answer", "", ()))

    def _cancel_scheduled(self) -> None:
        """Stop a phrase, and lift its fingers."""
        for _, address, tags, arguments in self._scheduled:
            if address == "/robojam/up":
                self.sender.send(address, tags, *arguments)
        self._scheduled.clear()

    def send_due(self, now: float) -> float:
        """Send the messages that are due; return the time of the next, or infinity."""
        while self._scheduled and self._scheduled[0][0] <= now:
            _, address, tags, arguments = self._scheduled.pop(0)
            self.sender.send(address, tags, *arguments)
        return self._scheduled[0][0] if self._scheduled else float("inf")


def _next_after(name: str, names: tuple[str, ...]) -> str:
    """Return the name after this one, the first after the last."""
    index = names.index(name) if name in names else -1
    return names[(index + 1) % len(names)]
