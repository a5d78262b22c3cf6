"""Setup of the engine as it reports it: what is chosen, and what could be. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import islice

from robojam.system.shell import printable
from robojam.wire.midi.port_names import stable_name

#: Names in a list that are shown, and the characters of each.
MAX_NAMES, MAX_LENGTH = 64, 120
#: Options that are lists of ports.
PORT_LISTS = ("midi-in", "midi-out", "osc-out")
#: Lists to choose from.
LISTS = (*PORT_LISTS, "sound-out", "model")
#: Most voices that the window sets: more are for the command line.
MAX_VOICES = 16


@dataclass(frozen=True, slots=True)
class Choice:
    """Entry of a list to choose from: its text, what is sent for it, and its MIDI style.

    missing: it is chosen, but is not there at the moment. The text is escaped, the value is
    not.
    """

    text: str
    value: str
    chosen: bool = False
    style: str = ""
    missing: bool = False


@dataclass(frozen=True, slots=True)
class EngineSetup:
    """Values that are chosen in the engine's setup, and possible ones; names are not escaped.

    left_out is how many names the engine did not send.
    """

    ports: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sound: bool = False
    sound_out: str = ""  # "" stands for the system's choice
    voices: int = 0
    model: str = ""
    available: dict[str, tuple[str, ...]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    styles: tuple[str, ...] = ()
    looking: bool = False
    left_out: int = 0
    error: str = ""

    def choices(self, name: str) -> tuple[Choice, ...]:
        """Return what can be chosen for an option of ports, chosen ones included."""
        available = self.available.get(name, ())
        meant = [(entry, self._meant(name, entry)) for entry in self.ports.get(name, ())]
        found: list[Choice] = []
        for port in available:
            entry = next((entry for entry, ports in meant if port in ports), None)
            style = "" if entry is None else self._split(name, entry)[1]
            text = f"{self.names[port]} ({port})" if port in self.names else port
            found.append(Choice(printable(text), port, entry is not None, style))
        for entry, ports in meant:
            if not ports:
                base, style = self._split(name, entry)
                missing = name != "osc-out" and not base.startswith("virtual:")
                found.append(Choice(printable(base), entry, True, style, missing))
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
        return [entry for entry in entries if not self._means(name, entry, choice.value)]

    def styled(self, name: str, choice: Choice) -> list[str]:
        """Return an option's ports with the next style for one of them."""
        if choice.style not in self.styles:
            return list(self.ports.get(name, ()))
        style = self.styles[(self.styles.index(choice.style) + 1) % len(self.styles)]
        return [
            f"{self._split(name, entry)[0]}/{style}"
            if self._means(name, entry, choice.value)
            else entry
            for entry in self.ports.get(name, ())
        ]

    def _means(self, name: str, entry: str, port: str) -> bool:
        """Return whether a chosen entry means a port, which may not be available."""
        if port not in self.available.get(name, ()):
            return port == entry
        return port in self._meant(name, entry)

    def _meant(self, name: str, entry: str) -> set[str]:
        """Return the available ports that a chosen entry means: by a name, or a part of it.

        An exact name means that port alone. Addresses are never meant by a part.
        """
        available = self.available.get(name, ())
        base = self._split(name, entry)[0]
        if name == "osc-out" or base in available:
            return {base} & {*available}
        # An older file may name it with the numbers that it had then.
        part, stable = base.lower(), stable_name(base)
        return {port for port in available if part in port.lower() or stable == port}


def parse_setup(text: str) -> EngineSetup | None:
    """Return the setup in an engine's message; None where it cannot be read.

    A name of an unusual length is left out: the message may be a stranger's.
    """
    try:
        report = json.loads(text)
        chosen, available = report["chosen"], report["available"]
        assert isinstance(chosen, dict)
        assert isinstance(available, dict)
    except (ValueError, KeyError, TypeError, AssertionError, RecursionError):
        return None
    voices = chosen.get("voices")
    names, left_out = report.get("names"), report.get("left_out")
    return EngineSetup(
        ports={name: _names_in(chosen.get(name)) for name in PORT_LISTS},
        sound=chosen.get("sound") is True,
        sound_out=_name(chosen.get("sound-out")),
        voices=voices if type(voices) is int and 0 < voices < 10_000 else 0,
        model=_name(chosen.get("model")),
        available={name: _names_in(available.get(name)) for name in LISTS},
        names={key: _text(name) for key, name in names.items() if _text(name)}
        if isinstance(names, dict)
        else {},
        styles=_names_in(report.get("styles")),
        looking=report.get("looking") is True,
        left_out=left_out if type(left_out) is int and 0 < left_out < 10_000 else 0,
        error=_text(report.get("error"), 300),
    )


def _name(value: object) -> str:
    """Return the name of a port, device or model; "" for anything that cannot be one."""
    return value if isinstance(value, str) and len(value) <= MAX_LENGTH else ""


def _names_in(value: object) -> tuple[str, ...]:
    names = map(_name, value) if isinstance(value, list) else ()
    return tuple(islice(filter(None, names), MAX_NAMES))


def _text(value: object, length: int = MAX_LENGTH) -> str:
    """Return a text that can be shown on one line, shortened; "" for anything else."""
    return printable(value[:length])[:length] if isinstance(value, str) else ""
