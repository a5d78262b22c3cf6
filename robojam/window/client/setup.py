"""Setup of the engine as it reports it: what is chosen, and what could be. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from robojam.system.shell import printable
from robojam.wire.midi.port_names import stable_name

#: Names in a list that are shown, and the characters of each.
MAX_NAMES, MAX_LENGTH = 64, 120
#: Options that are lists of ports.
PORT_LISTS = ("midi-in", "midi-out", "osc-out")
#: Most voices that the window sets: more are for the command line.
MAX_VOICES = 16


@dataclass(frozen=True, slots=True)
class Choice:
    """Entry of a list to choose from: its text, what is sent for it, and its MIDI style.

    missing: it is chosen, but is not there at the moment.
    """

    text: str
    value: str
    chosen: bool = False
    style: str = ""
    missing: bool = False


@dataclass(frozen=True, slots=True)
class EngineSetup:
    """What is chosen in the engine's setup, and what could be."""

    ports: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sound: bool = False
    sound_out: str = ""  # "" stands for the system's choice
    voices: int = 0
    model: str = ""
    available: dict[str, tuple[str, ...]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    styles: tuple[str, ...] = ()
    looking: bool = False
    error: str = ""

    def choices(self, name: str) -> tuple[Choice, ...]:
        """Return what can be chosen for an option of ports, chosen ones included."""
        available = self.available.get(name, ())
        chosen = [self._split(name, entry) for entry in self.ports.get(name, ())]
        found: list[Choice] = []
        for port in available:
            style = next(
                (style for base, style in chosen if _is_part(base, port, available)), None
            )
            text = f"{self.names[port]} ({port})" if port in self.names else port
            found.append(Choice(text, port, style is not None, style or ""))
        for (base, style), entry in zip(chosen, self.ports.get(name, ()), strict=True):
            if not any(_is_part(base, port, available) for port in available):
                missing = name != "osc-out" and not base.startswith("virtual:")
                found.append(Choice(base, entry, True, style, missing))
        return tuple(found)

    def _split(self, name: str, entry: str) -> tuple[str, str]:
        """Return a chosen entry's port and style; the first style is that without one."""
        if name == "osc-out":
            return entry, ""
        base, slash, style = entry.rpartition("/")
        if slash and style in self.styles:
            return base, style
        return entry, self.styles[0] if self.styles else ""

    def toggled(self, name: str, choice: Choice) -> list[str]:
        """Return an option's ports with one chosen, or no longer."""
        entries = self.ports.get(name, ())
        if not choice.chosen:
            return [*entries, choice.value]
        return [entry for entry in entries if not self._names(name, entry, choice)]

    def styled(self, name: str, choice: Choice) -> list[str]:
        """Return an option's ports with the next style for one of them."""
        if choice.style not in self.styles:
            return list(self.ports.get(name, ()))
        style = self.styles[(self.styles.index(choice.style) + 1) % len(self.styles)]
        return [
            f"{self._split(name, entry)[0]}/{style}"
            if self._names(name, entry, choice)
            else entry
            for entry in self.ports.get(name, ())
        ]

    def _names(self, name: str, entry: str, choice: Choice) -> bool:
        """Return whether a chosen entry is the one that a choice stands for."""
        base = self._split(name, entry)[0]
        return entry == choice.value or _is_part(
            base, choice.value, self.available.get(name, ())
        )


def parse_setup(text: str) -> EngineSetup | None:
    """Return the setup in an engine's message; None where it cannot be read.

    What is no text of a usual length is left out: the message may be a stranger's.
    """
    try:
        report = json.loads(text)
        chosen, available = report["chosen"], report["available"]
        assert isinstance(chosen, dict)
        assert isinstance(available, dict)
    except (ValueError, KeyError, TypeError, AssertionError, RecursionError):
        return None
    voices = chosen.get("voices")
    names = report.get("names")
    return EngineSetup(
        ports={name: _texts(chosen.get(name)) for name in PORT_LISTS},
        sound=chosen.get("sound") is True,
        sound_out=_text(chosen.get("sound-out")),
        voices=voices if type(voices) is int and 0 < voices < 10_000 else 0,
        model=_text(chosen.get("model")),
        available={name: _texts(names) for name, names in available.items()},
        names={key: _text(name) for key, name in names.items() if _text(name)}
        if isinstance(names, dict)
        else {},
        styles=_texts(report.get("styles")),
        looking=report.get("looking") is True,
        error=_text(report.get("error"), 300),
    )


def _is_part(base: str, port: str, ports: Sequence[str]) -> bool:
    """Return whether a name, or a part of one, means a port: an exact name means it alone."""
    if base in ports:
        return base == port
    # An older file may name it with the numbers that it had then.
    return base.lower() in port.lower() or stable_name(base) == port


def _text(value: object, length: int = MAX_LENGTH) -> str:
    """Return a text that can be shown on one line, shortened; "" for anything else."""
    if not isinstance(value, str):
        return ""
    return printable(value[:length])[:length]


def _texts(value: object) -> tuple[str, ...]:
    texts = [text for text in value if _text(text) == text] if isinstance(value, list) else []
    return tuple(filter(None, texts[:MAX_NAMES]))
