"""Actions of the panels of setup and web pad: what is chosen is sent to the engine.

The engine reports what it has become.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from robojam.config.addresses import parse_output
from robojam.window.client.link import MessageSender
from robojam.window.client.setup import Choice
from robojam.window.client.state import WindowState
from robojam.window.view import setup_panel, web_panel

#: Seconds between questions for the setup while its panel is open: devices come and go.
ASK_INTERVAL = 1.0
#: Longest address that can be typed.
MAX_ADDRESS = 120


@dataclass(slots=True)
class SetupActions:
    """Performs the actions of the setup panel, and of the web pad's."""

    state: WindowState
    sender: MessageSender
    page: int = 0
    _asked_at: float = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether the panel is open, or one of its lists."""
        return self.state.view.panel.partition(":")[0] == setup_panel.NAME

    @property
    def _asks(self) -> bool:
        return self.is_open or self.state.view.panel == web_panel.NAME

    def advance(self, now: float) -> float:
        """Ask for the setup while a panel shows it; return when to call again.

        An engine answers to its own machine alone.
        """
        if not self._asks or self.state.remote:
            return float("inf")
        if now - self._asked_at >= ASK_INTERVAL:
            self._asked_at = now
            self.sender.send("/robojam/setup")
        return self._asked_at + ASK_INTERVAL

    def perform(self, name: str, argument: str, now: float) -> bool:
        """Perform an action; return whether it is one of these panels."""
        view, setup = self.state.view, self.state.setup
        if name == setup_panel.NAME:
            self.open("" if self.is_open else setup_panel.NAME)
        elif name == web_panel.NAME:
            self.open("" if view.panel == web_panel.NAME else web_panel.NAME)
            if view.panel and not (self.state.web.url or self.state.remote):
                self.sender.send("/robojam/web", "i", 1)
        elif name in ("web-start", "web-stop"):
            self.sender.send("/robojam/web", "i", int(name == "web-start"))
        elif name == "setup-open":
            self.open(f"{setup_panel.NAME}:{argument}" if argument else setup_panel.NAME)
        elif name in ("setup-page", "choose", "style", "voices", "type-address"):
            if setup is None or not self.is_open:
                return True
            option, _, value = argument.partition(":")
            choices = setup_panel.list_choices(setup, view.panel.partition(":")[2])
            if name == "setup-page":
                last = setup_panel.last_page(choices)
                self.page = min(last, max(0, min(self.page, last) + int(argument)))
            elif name == "voices":
                self._set("voices", int(argument))
            elif name == "type-address":
                view.typed_name = ""
            elif choice := next((c for c in choices if c.value == value), None):
                self._choose(name, option, choice)
        else:
            return False
        self.advance(now)
        return True

    def open(self, panel: str) -> None:
        """Open the panel, one of its lists, or none of them ("")."""
        self.state.view.panel, self.state.view.typed_name = panel, None
        self.page, self._asked_at = 0, float("-inf")

    def _choose(self, action: str, option: str, choice: Choice) -> None:
        setup = self.state.setup
        assert setup is not None
        if option == "model":
            self.sender.send("/robojam/model", "s", choice.value)
        elif option == "sound-out":
            if choice.value == "off":
                self._set("sound", False)
                return
            if choice.value != setup.sound_out:
                self._set("sound-out", choice.value or None)
            if not setup.sound:
                self._set("sound", True)
        else:
            styled = action == "style"
            change = setup.styled if styled else setup.toggled
            self._set(option, change(option, choice))

    def _set(self, name: str, value: object) -> None:
        self.sender.send("/robojam/setup", "ss", name, json.dumps(value))
        self._asked_at = float("-inf")  # to see soon what it has become

    def confirm_address(self, now: float) -> None:
        """Play to the address that was typed as well; say what is wrong with it."""
        view, setup = self.state.view, self.state.setup
        text = (view.typed_name or "").strip()
        try:
            if text and setup is not None:
                parse_output(text)
                self._set("osc-out", [*setup.ports["osc-out"], text])
        except ValueError as error:
            self.state.notify(str(error), now)
            return
        view.typed_name = None
