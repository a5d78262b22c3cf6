"""Configurations of IMPSY, as the options of robojam that play the same. Pure.

A TOML file is one of IMPSY's where it has a section of its: ``[interaction]``, ``[model]``,
``[osc]``, ``[websocket]``, ``[serial]``, ``[serialmidi]``, ``[webui]``, or ``[midi]`` with
devices. Its keys are those of IMPSY 1.2.1. What robojam does not do is named in warnings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any, Final, NamedTuple, NoReturn

from robojam.config.addresses import (
    format_address,
    is_wildcard,
    parse_address,
    parse_serial,
    quoted,
)
from robojam.config.toml_file import line_of
from robojam.controls import CONTROLS
from robojam.touch import KNOB_NAMES, MAX_KNOBS
from robojam.wire.knob_target import HIGHEST
from robojam.wire.midi.styles import parse_port

#: Keys that each section may have. Those of the top are beside the sections.
_TOP: Final = ("title", "owner", "name", "description", "verbose", "log_input",
               "log_predictions")  # fmt: skip
_SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "interaction": ("mode", "threshold", "input_thru"),
    "model": ("dimension", "file", "size", "sigmatemp", "pitemp", "timescale"),
    "midi": ("in_device", "out_device", "input", "output", "feedback_protection",
             "feedback_threshold", "thru_matrix"),
    "osc": ("server_ip", "server_port", "client_ip", "client_port"),
    "websocket": ("server_ip", "server_port", "input", "output"),
    "serial": ("port", "baudrate"),
    "serialmidi": ("port", "input", "output"),
    "webui": ("monitor_port", "command_port"),
}  # fmt: skip
#: IMPSY's names of the modes.
_MODES: Final = "callresponse, polyphony, battle, useronly"
#: Kinds of an entry of a mapping, each with how many numbers may follow it.
_ENTRIES: Final[Mapping[str, tuple[int, ...]]] = {
    "note_on": (1, 2), "note_velocity": (1,), "control_change": (2, 4), "pitch_bend": (1,),
}  # fmt: skip
_ENTRY: Final = (
    '["note_on", CHANNEL], ["note_on", CHANNEL, VELOCITY], ["note_velocity", CHANNEL], '
    '["control_change", CHANNEL, CONTROLLER], ["control_change", CHANNEL, CONTROLLER, MIN, '
    'MAX] or ["pitch_bend", CHANNEL], channels from 1 to 16, the others from 0 to 127'
)
#: Spread below which robojam's models stay nearly where they are.
_STILL: Final = 0.5
#: The host that stands for this machine inside a container, and nowhere else.
_CONTAINER: Final = "host.docker.internal"
#: Style of the MIDI ports: nothing but what is mapped is heard and sent.
_STYLE: Final = "map"


class Converted(NamedTuple):
    """Options in place of IMPSY's: names, values, where each stands; and warnings, one line."""

    options: tuple[tuple[str, Any, str], ...]
    warnings: tuple[str, ...]


def is_impsy(table: Mapping[str, Any]) -> bool:
    """Return whether the top table of a TOML file is that of a configuration of IMPSY."""
    midi = table.get("midi")
    own = any(isinstance(table.get(name), dict) for name in _SECTIONS if name != "midi")
    return own or (isinstance(midi, dict) and not {"in_device", "out_device"}.isdisjoint(midi))


def convert(table: Mapping[str, Any], text: str, path: str) -> Converted:
    """Return the options for IMPSY's top table of a file, whose text says where a key stands.

    Raises ValueError, which names the file, the line, the key and what is allowed.
    """
    return _Conversion(table, text, path).convert()


class _Conversion:
    """One file on its way: the options so far, the warnings, and the rows of the map."""

    def __init__(self, table: Mapping[str, Any], text: str, path: str) -> None:
        self._table, self._text, self._path = table, text, path
        self._options: list[tuple[str, Any, str]] = []
        self._warnings: list[str] = []
        self._rows: dict[str, dict[str, Mapping[str, Any]]] = {"in": {}, "out": {}}
        self._sources: Sequence[str] = ()  # what the machine's values are for [map]
        self._thru = False

    def convert(self) -> Converted:
        """Return what the file says."""
        for name, value in self._table.items():
            if name in _SECTIONS:
                self._check_keys(name, value)
            elif name not in _TOP:
                self._warn_unknown(name, "", (*_TOP, *_SECTIONS))
        if isinstance(verbose := self._take("", "verbose", False), bool):
            self._set("verbose", verbose, "", "verbose")
        else:
            self._refuse("", "verbose", "true or false")
        # IMPSY sounds by its outputs alone, and hears no TUIO.
        self._set("sound", False, "", "")
        self._set("tuio-in", "none", "", "")
        self._model()
        self._interaction()
        for section, read in (
            ("midi", self._midi), ("osc", self._osc), ("serial", self._serial),
            ("serialmidi", self._serial_midi), ("websocket", self._websocket),
        ):  # fmt: skip
            if section in self._table:
                read()
        self._others()
        if self._rows["in"] or self._rows["out"]:
            self._set("map", self._rows, "midi", "")
        return Converted(tuple(self._options), tuple(self._warnings))

    # -- sections ---------------------------------------------------------------------------

    def _model(self) -> None:
        dimension = self._take("model", "dimension", None)
        if not _is_whole(dimension) or not 2 <= dimension <= MAX_KNOBS + 1:
            self._refuse("model", "dimension", f"a whole number from 2 to {MAX_KNOBS + 1}")
        count = dimension - 1
        # Of two values, x and y, robojam has a surface.
        self._sources = ("x", "y") if count == 2 else KNOB_NAMES[:count]
        self._set("knobs", 0 if count == 2 else count, "model", "dimension")
        covariance = self._number("model", "sigmatemp", 0, CONTROLS["spread"].high ** 2)
        if covariance is not None:
            spread = math.sqrt(covariance)
            self._set("spread", spread, "model", "sigmatemp")
            if spread < _STILL and not self._has_own_model():
                self._warn(
                    "model", "sigmatemp",
                    f"a spread of {spread:.2g}, which suits IMPSY's models; with it robojam's "
                    "hardly moves: --spread 1, or leave the line out",
                )  # fmt: skip
        for key, control in (("pitemp", "temperature"), ("timescale", "timescale")):
            row = CONTROLS[control]
            value = self._number("model", key, row.low, row.high)
            if value is not None:
                self._set(control, value, "model", key)
        file = self._take("model", "file", "")
        if not isinstance(file, str):
            self._refuse("model", "file", "the name of a file")
        if self._has_own_model():
            self._set("model", file, "model", "file")
        elif file:
            kind = "touches" if count == 2 else "knobs"
            self._warn(
                "model", "file",
                f"robojam cannot play {PurePath(file).name!r:.90}, a model for TensorFlow, and "
                f"plays its own of {kind}; to train one by what IMPSY has logged: robojam "
                'train logs --to own.safetensors, and file = "own.safetensors"',
            )  # fmt: skip

    def _has_own_model(self) -> bool:
        """Return whether the file names a model of robojam's."""
        return str(self._take("model", "file", "")).endswith(".safetensors")

    def _interaction(self) -> None:
        mode = self._take("interaction", "mode", "callresponse")
        try:
            CONTROLS["mode"].check(mode)
        except ValueError:
            self._refuse("interaction", "mode", _MODES)
        self._set("mode", mode, "interaction", "mode")
        row = CONTROLS["threshold"]
        threshold = self._number("interaction", "threshold", row.low, row.high)
        if threshold is not None:
            self._set("threshold", threshold, "interaction", "threshold")
        self._set("response", 0, "interaction", "")  # IMPSY plays until somebody else does
        thru = self._take("interaction", "input_thru", False)
        if not isinstance(thru, bool):
            self._refuse("interaction", "input_thru", "true or false")
        self._thru = thru

    def _osc(self) -> None:
        listen = self._address("osc", "server", lowest_port=0)
        self._set("osc-in", listen, "osc", "server_port")
        if not self._is_here("server_ip"):
            self._warn(
                "osc", "server_ip",
                "anybody may play; controls as /impsy/mode are taken from this machine alone: "
                "--control HOST allows another",
            )  # fmt: skip
        client = f"{self._address('osc', 'client', 1)}/impsy{self._thru_mark}"
        self._set("osc-out", [client], "osc", "client_port")

    @property
    def _thru_mark(self) -> str:
        """Suffix of the outputs that get what humans play; empty without input_thru."""
        return "?thru" if self._thru else ""

    def _is_here(self, key: str) -> bool:
        return str(self._take("osc", key, "")) in ("localhost", "127.0.0.1", "::1")

    def _address(self, section: str, who: str, lowest_port: int) -> str:
        """Return the address that IMPSY's server or client has, as an option has it."""
        host_key, port_key = f"{who}_ip", f"{who}_port"
        host = self._take(section, host_key, None)
        if not isinstance(host, str):
            self._refuse(section, host_key, "the address or the name of a host, as text")
        port = self._take(section, port_key, None)
        if not _is_whole(port) or not lowest_port <= port <= 65535:
            self._refuse(section, port_key, f"a whole number from {lowest_port} to 65535")
        if who == "server":
            host = host or "0.0.0.0"
        elif not host or is_wildcard(host):
            self._warn(section, host_key, f"{quoted(host)} is no receiver; sent to 127.0.0.1")
            host = "127.0.0.1"
        elif host == _CONTAINER:
            self._warn(
                section, host_key,
                f"{host} is known in a container alone; sent to 127.0.0.1 (in a container: "
                f"--osc-out {host}:{port}/impsy)",
            )  # fmt: skip
            host = "127.0.0.1"
        address = format_address(host, port)
        try:
            parse_address(address)
        except ValueError:
            self._refuse(section, host_key, "the address or the name of a host")
        return address

    def _midi(self) -> None:
        for direction, key, devices_key in (
            ("in", "input", "in_device"), ("out", "output", "out_device"),
        ):  # fmt: skip
            devices, mappings = self._devices(devices_key), self._mappings(key, devices_key)
            ports = []
            for device in devices:
                if device not in mappings:
                    self._warn(
                        "midi", devices_key,
                        f"{quoted(device)} has no {key}: nothing of it is used",
                    )  # fmt: skip
                    continue
                ports.append(f"{device}/{_STYLE}")
                self._map(direction, device, "midi", key, mappings[device], of=device)
            for device in mappings:
                if device not in devices:
                    reason = f"it is not in {devices_key} and not used"
                    self._warn("midi", key, reason, of=device)
            self._set(f"midi-{direction}", ports, "midi", devices_key)
        if not isinstance(self._take("midi", "feedback_protection", False), bool):
            self._refuse("midi", "feedback_protection", "true or false")
        if self._number("midi", "feedback_threshold", 0, math.inf) is not None:
            self._warn(
                "midi", "feedback_threshold",
                "robojam takes for an echo what comes back within 60 ms, always",
            )  # fmt: skip
        if "thru_matrix" in self._table["midi"]:
            self._warn(
                "midi", "thru_matrix",
                "robojam passes what humans play to all outputs or to none: input_thru = true "
                "for all",
            )  # fmt: skip

    def _devices(self, key: str) -> list[str]:
        """Return the names of the devices; older versions of IMPSY had one, as a text."""
        value = self._take("midi", key, [])
        devices = [value] if isinstance(value, str) else value
        allowed = 'a list of parts of names of MIDI ports, as ["X-TOUCH"]'
        if not isinstance(devices, list):
            self._refuse("midi", key, allowed)
        for device in devices:
            if not isinstance(device, str):
                self._refuse("midi", key, allowed)
            try:
                parse_port(f"{device}/{_STYLE}", {})
            except ValueError:
                self._refuse("midi", key, allowed)
        return list(dict.fromkeys(devices))

    def _mappings(self, key: str, devices_key: str) -> dict[str, Any]:
        """Return the mapping of each device; a list alone is of all of them."""
        value = self._take("midi", key, {})
        if isinstance(value, list):
            return dict.fromkeys(self._devices(devices_key), value)
        if not isinstance(value, dict):
            self._refuse("midi", key, f'lists by device, as {key}."X-TOUCH" = [ … ]')
        return value

    def _serial(self) -> None:
        port, baud = self._serial_port("serial"), self._take("serial", "baudrate", None)
        if not _is_whole(baud) or not 50 <= baud <= 4_000_000:
            self._refuse("serial", "baudrate", "a whole number from 50 to 4000000")
        if "serialmidi" in self._table and self._serial_port("serialmidi") == port:
            self._warn(
                "serial", "port",
                f"{quoted(port)} is the port of [serialmidi], too, and speaks MIDI; for lines "
                "of values leave [serialmidi] out",
            )  # fmt: skip
        else:
            self._set("serial", [f"{port}@{baud}{self._thru_mark}"], "serial", "port")

    def _serial_midi(self) -> None:
        port = self._serial_port("serialmidi")
        self._set("serial-midi", [port], "serialmidi", "port")
        for direction, key in (("in", "input"), ("out", "output")):
            entries = self._take("serialmidi", key, None)
            if entries is None:
                self._warn("serialmidi", key, "it is missing: nothing of it is used")
            else:
                self._map(direction, f"serial:{port}", "serialmidi", key, entries)

    def _serial_port(self, section: str) -> str:
        """Return the device of a section; IMPSY reads that of [serial] for both."""
        port = self._take(section, "port", self._take("serial", "port", None))
        try:
            if not isinstance(port, str):
                raise ValueError("no text")
            return parse_serial(f"{port}@9600").port
        except ValueError:
            self._refuse(section, "port", "the name of a serial port, as /dev/ttyACM0 or COM3")

    def _websocket(self) -> None:
        address = self._address("websocket", "server", lowest_port=0)
        self._set("midi-websocket", address, "websocket", "server_port")
        self._warn(
            "websocket", "server_ip",
            "programs may come, and pages of the same host; --allow-origin ORIGIN allows "
            "those of another origin",
        )  # fmt: skip
        for direction, key, devices_key in (
            ("in", "input", "in_device"), ("out", "output", "out_device"),
        ):  # fmt: skip
            entries = self._take("websocket", key, None)
            if entries is not None:
                self._map(direction, "websocket", "websocket", key, entries)
                continue
            mappings = self._mappings(key, devices_key)
            device = next((name for name in self._devices(devices_key) if name in mappings), "")
            if device:
                self._warn("websocket", key, f"it is missing; that of {quoted(device)} is used")
                self._map(direction, "websocket", "midi", key, mappings[device], of=device)
            else:
                self._warn("websocket", key, "it is missing: nothing of it is used")

    def _others(self) -> None:
        if "webui" in self._table:
            self._warn(
                "webui", "",
                "there is no web interface of IMPSY: robojam jam has a window, and robojam "
                "status tells what goes on; controls as /impsy/mode come to the port of [osc]",
            )  # fmt: skip

    # -- mappings ---------------------------------------------------------------------------

    def _map(
        self, direction: str, port: str, section: str, key: str, entries: Any, of: str = ""
    ) -> None:
        """Add the rows of the map for a mapping of one port."""
        if not isinstance(entries, list):
            self._refuse(section, key, f"a list of {_ENTRY}", of=of)
        count = len(self._sources)
        if len(entries) != count:
            self._warn(
                section, key,
                f"{len(entries)} entries, and the model has {count} values (dimension - 1): "
                "the others are not mapped",
                of=of,
            )  # fmt: skip
        velocities: dict[int, str] = {}
        parsed = [
            self._entry(section, key, of, entry, number)
            for number, entry in enumerate(entries[:count], start=1)
        ]
        for (kind, numbers), source in zip(parsed, self._sources, strict=False):
            if kind == "note_velocity":
                velocities.setdefault(numbers[0], source)
        for (kind, numbers), source in zip(parsed, self._sources, strict=False):
            row: dict[str, Any]
            name = f"{len(self._rows[direction]) + 1} {port:.30}"
            if kind == "control_change" and numbers[1] > HIGHEST["cc"]:
                self._warn(
                    section, key,
                    f"controller {numbers[1]} switches the mode of a synthesiser and is not "
                    f"mapped; 0 to {HIGHEST['cc']} are",
                    of=of,
                )  # fmt: skip
            elif direction == "in":
                ends = {"from": numbers[2:]} if len(numbers) == 4 else {}
                row = {"source": _source(kind, numbers), "target": source, "port": port}
                self._rows["in"][name] = row | ends
            elif kind != "note_velocity":  # which sends nothing of its own
                who = "all" if self._thru else "machine"
                row = {"source": source, "channel": numbers[0], "who": who, "port": port}
                self._rows["out"][name] = row | _target(kind, numbers, velocities)

    def _entry(
        self, section: str, key: str, of: str, entry: Any, number: int
    ) -> tuple[str, list[int]]:
        """Return kind and numbers of an entry of a mapping, checked."""
        kind, *numbers = entry if isinstance(entry, list) and entry else ("",)
        lengths = _ENTRIES.get(kind, ()) if isinstance(kind, str) else ()
        limits = [(1, 16), (0, 127), (0, 127), (0, 127)]
        if len(numbers) not in lengths or not all(
            _is_whole(value) and low <= value <= high
            for value, (low, high) in zip(numbers, limits, strict=False)
        ):
            where = f"{self._where(section, key, of)}, entry {number} = {quoted(entry)}"
            raise ValueError(f"{where}; allowed: {_ENTRY}")
        return kind, numbers

    # -- keys -------------------------------------------------------------------------------

    def _check_keys(self, section: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{self._where('', section)} is no section; write [{section}]")
        for key in value:
            if key not in _SECTIONS[section]:
                self._warn_unknown(key, section, _SECTIONS[section])

    def _warn_unknown(self, key: str, section: str, known: Sequence[str]) -> None:
        hint = f"it has {', '.join(known)}"
        for match in get_close_matches(key, known, n=1):
            hint = f"did you mean {match}?"
        self._warn(section, key, f"IMPSY has no such key; {hint}")

    def _take(self, section: str, key: str, default: Any) -> Any:
        table = self._table.get(section, {}) if section else self._table
        return table.get(key, default)

    def _number(self, section: str, key: str, low: float, high: float) -> float | None:
        """Return a number within limits; None where the key is not there."""
        value = self._take(section, key, None)
        if value is None:
            return None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:
            to = f" to {high:g}" if high < math.inf else ""
            self._refuse(section, key, f"a number from {low:g}{to}")
        return float(value)

    def _set(self, option: str, value: Any, section: str, key: str) -> None:
        self._options.append((option, value, self._where(section, key)))

    def _warn(self, section: str, key: str, reason: str, of: str = "") -> None:
        self._warnings.append(f"{self._where(section, key, of)}: {reason}")

    def _refuse(self, section: str, key: str, allowed: str, of: str = "") -> NoReturn:
        table = self._take("", section, {}) if section else self._table
        where = self._where(section, key, of)
        if key not in table:
            raise ValueError(f"{where} is missing; allowed: {allowed}")
        value = table[key]
        if of and isinstance(value, dict):
            value = value[of]
        raise ValueError(f"{where} = {quoted(value)}; allowed: {allowed}")

    def _where(self, section: str, key: str, of: str = "") -> str:
        """Return file, line and name of a key, or of a whole section; of: of which device."""
        line = line_of(key or section, self._text, section=section if key else "", item=of)
        name = ".".join(filter(None, (section, key, of and f'"{of}"')))
        return f"{self._path}, line {line}: {name}".removesuffix(": ")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _source(kind: str, numbers: Sequence[int]) -> str:
    """Return the source of [map.in] that an entry is."""
    what = {"note_on": "note", "note_velocity": "velocity", "pitch_bend": "pitch bend"}
    return f"{what.get(kind) or f'cc {numbers[1]}'} on {numbers[0]}"


def _target(kind: str, numbers: Sequence[int], velocities: Mapping[int, str]) -> dict[str, Any]:
    """Return what an entry is in a row of [map.out]; velocities are sources by channel."""
    if kind == "control_change":
        row: dict[str, Any] = {"target": f"cc {numbers[1]}"}
        return row | ({"to": list(numbers[2:])} if len(numbers) == 4 else {})
    if kind == "pitch_bend":
        return {"target": "pitch bend"}
    velocity: Any = velocities.get(numbers[0])
    if velocity is None and len(numbers) == 2:
        velocity = max(1, numbers[1])
    return {"target": "note"} | ({} if velocity is None else {"velocity": velocity})
