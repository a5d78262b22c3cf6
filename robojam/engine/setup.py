"""Setup of a running jam: its ports, its sound device and its number of voices.

Ports are opened on a thread of their own, because that may wait for a device, a name server
or a process. The engine's thread only takes ports out and puts ports in.
"""

import json
import logging
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

import msgspec

from robojam.config.addresses import WEB_PORT, format_address
from robojam.config.load import OptionsError, change
from robojam.config.options import BY_NAME, Options
from robojam.controls import RefusedError
from robojam.ports.interface import InputPort, OutputPort
from robojam.system.child_process import python_command
from robojam.wire.midi.styles import PRESETS

log = logging.getLogger("robojam")

#: Options that can be changed while a jam goes on, by the group of ports that they name.
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "osc": ("osc-out",),
    "midi": ("midi-in", "midi-out"),
    "sound": ("sound", "sound-out"),
    "web": ("web",),
    "voices": ("voices",),
}
_GROUP_OF: Final = {name: group for group, names in GROUPS.items() for name in names}
#: Groups whose new ports are opened while the old ones are in use: where one cannot be opened,
#: the old ones stay. The ports of the others may need the device that the old ones have.
_OPENED_FIRST: Final = frozenset({"osc"})
#: Characters of a value, as JSON, that is set; names in a list that is answered, and their
#: length.
_LONGEST, _NAMES, _NAME = 16_384, 64, 120
#: Bytes of an answer: macOS sends no packets of more than 9,216 bytes, others 65,507.
MAX_ANSWER: Final = 9000 if sys.platform == "darwin" else 60_000
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
#: Seconds after which the devices of the machine are looked up again, and that this may take.
_STALE, _PATIENCE = 3.0, 20.0
#: Seconds that the ports which were taken out have to be closed when the jam ends.
_CLOSING: Final = 2.0


class PortGroup(NamedTuple):
    """Ports that options of one group name."""

    outputs: tuple[OutputPort, ...] = ()
    inputs: tuple[InputPort, ...] = ()


_NONE: Final = PortGroup()
#: Function that opens the ports of a group as options name them, but for those that are in
#: use already, which it returns too. Raises ValueError.
Open = Callable[[Options, PortGroup], PortGroup]


class Setup:
    """Groups of ports, which are replaced when their options change; the devices there are."""

    def __init__(
        self,
        options: Options,
        open_group: Mapping[str, Open],
        *,
        models: Callable[[], list[str]] = list,
    ) -> None:
        """Open all groups; models lists the models that can be chosen. Raises ValueError."""
        self.options, self._open_group, self._models = options, open_group, models
        self.groups = {name: each(options, _NONE) for name, each in open_group.items()}
        self._error, self._failed = "", set[str]()
        #: Where pads in browsers are served, or would be: their last address in this jam.
        self.pads_at = options.web if options.web != "none" else WEB_PORT
        self._devices: dict[str, Any] = {}
        self._looked_at, self._looking = float("-inf"), False
        self._newest: dict[str, int] = {}  # the number of each group's last change
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._worker: threading.Thread | None = None
        self._closed = False

    @property
    def outputs(self) -> tuple[OutputPort, ...]:
        """The output ports of all groups, in order."""
        return tuple(port for group in self.groups.values() for port in group.outputs)

    @property
    def inputs(self) -> tuple[InputPort, ...]:
        """The input ports of all groups, in order."""
        return tuple(port for group in self.groups.values() for port in group.inputs)

    # -- changes ---------------------------------------------------------------------------

    def check(self, name: str, encoded: str) -> Options:
        """Return the options with another value, as JSON, of one.

        Raises RefusedError; its text is in the descriptions that follow, too.
        """
        if name not in _GROUP_OF:
            allowed = ", ".join(_GROUP_OF)
            raise RefusedError("no such option", f"{name!r:.60} cannot be set; {allowed} can")
        self._error = f"{name}: more than {_LONGEST} characters"
        if len(encoded) > _LONGEST:
            raise RefusedError("out of range", self._error)
        try:
            options = change(self.options, name, json.loads(encoded))
        except (OptionsError, ValueError, RecursionError) as error:
            self._error = f"{error!s:.200}"
            raise RefusedError("out of range", self._error) from error
        self._error = ""
        return options

    def replace(
        self,
        name: str,
        options: Options,
        in_force: Options,
        call: Callable[[Callable[[], None]], None],
        changed: Callable[[], None],
    ) -> PortGroup:
        """Open the ports of an option's group as new options name them.

        in_force are the options with the present values of the controls. call makes a call on
        the engine's thread, where changed is called when ports or options have changed.
        Returns the ports that were taken out at once, which are closed on the worker's thread.
        """
        group, field = _GROUP_OF[name], BY_NAME[name].field
        opened_first = group in _OPENED_FIRST
        if not opened_first and options == self.options and group not in self._failed:
            return _NONE
        self._error = ""
        self._failed.discard(group)
        if options.web != "none":
            self.pads_at = options.web
        number = self._newest[group] = self._newest.get(group, 0) + 1
        old = _NONE
        if not opened_first:
            self.options = options
            old, self.groups[group] = self.groups.get(group, old), old

        def put(ports: PortGroup, error: str) -> None:
            present = self.groups.get(group, _NONE)
            if number != self._newest[group]:
                self._run(lambda: _close(ports, present))
                return
            if error:
                self._error = error
                self._failed.add(group)
            if not (error and opened_first):
                value = getattr(options, field)
                self.options = msgspec.structs.replace(self.options, **{field: value})
                self.groups[group] = ports
                _close(present, ports)
            changed()

        def work() -> None:
            ports, error = _NONE, ""
            try:
                _close(old)
                if number == self._newest[group] and not self._closed:
                    present = self.groups.get(group, _NONE)
                    ports = self._open_group[group](in_force, present)
            except (ValueError, OSError) as reason:
                error = str(reason)
                log.warning("%s: %s", name, error)
            except Exception as reason:
                error = f"{type(reason).__name__}: {reason}"
                log.exception("%s: the ports could not be opened", name)
            call(lambda: put(ports, error))

        self._run(work)
        return old

    def _run(self, job: Callable[[], None]) -> None:
        """Do a job on the worker's thread, after those before it."""
        self._jobs.put(job)
        if self._worker is None:
            worker = threading.Thread(target=self._work, name="setup", daemon=True)
            worker.start()  # raises where there are too many threads: the next job tries again
            self._worker = worker

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:  # the worker is needed for the next change
                log.exception("a port could not be closed")

    def close(self) -> None:
        """Wait, for a short time, until the ports that were taken out are closed."""
        closed, self._closed = self._closed, True
        if self._worker is not None and not closed:
            ended = threading.Event()
            self._run(ended.set)
            self._jobs.put(None)
            ended.wait(_CLOSING)

    # -- what there is ---------------------------------------------------------------------

    def look(self, now: float) -> None:
        """Start to look which devices there are, unless that was done a moment ago."""
        if not self._looking and now - self._looked_at >= _STALE:
            self._looking, self._looked_at = True, now
            try:
                threading.Thread(target=self._find_devices, name="devices", daemon=True).start()
            except RuntimeError:  # there are too many threads just now
                self._looking = False

    def _find_devices(self) -> None:
        # The command looks in processes and threads of its own, and may load drivers.
        command = python_command("robojam", "ports", "--json")
        found: dict[str, Any] = {}
        try:
            with suppress(OSError, ValueError, subprocess.SubprocessError):
                output = subprocess.run(
                    command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE,
                    check=True,
                ).stdout  # fmt: skip
                found = json.loads(output)
            with suppress(OSError):
                found["models"] = self._models()
        finally:
            self._devices, self._looking = found, False

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self.options, BY_NAME[name].field) for name in _GROUP_OF}

    def chosen(self) -> dict[str, str]:
        """Return the values of the options that can be changed, as JSON."""
        return {name: json.dumps(value) for name, value in self._values().items()}

    def describe(self, model: str) -> str:
        """Return what is chosen and what could be, as JSON; model is the one that plays.

        It has MAX_ANSWER bytes at most: names that do not fit are left out and counted.
        """
        options, devices = self.options, self._devices
        midi = devices.get("midi")
        midi = midi if isinstance(midi, dict) else {}
        # An engine on this machine announces itself: it is no receiver of touches.
        own = tuple(format_address(host, "") for host in _strings(devices.get("addresses")))
        receivers = [
            item
            for item in _records(devices.get("network"))
            if not (item["address"].startswith(own) and "robojam" in item["name"])
        ]
        audio = [item["name"] for item in _records(devices.get("audio"))]
        available = {
            "osc-out": [item["address"] for item in receivers],
            "midi-in": _strings(midi.get("in")),
            "midi-out": _strings(midi.get("out")),
            "sound-out": audio,
            "model": _strings(devices.get("models")),
        }
        return _fitted(
            {
                "chosen": self._values() | {"model": model},
                "available": {key: _bounded(names) for key, names in available.items()},
                "left_out": 0,
                "names": {item["address"]: f"{item['name']:.{_NAME}}" for item in receivers},
                "styles": [*PRESETS, *options.midi][:_NAMES],
                "looking": not devices,  # for the first time
                "error": f"{self._error:.300}",
            }
        )


def _close(ports: PortGroup, kept: PortGroup = _NONE) -> None:
    """Close the ports of a group, but for those that are in another one too."""
    for port in dict.fromkeys((*ports.outputs, *ports.inputs)):
        if port not in kept.outputs and port not in kept.inputs:
            port.close()


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _records(value: object) -> list[dict[str, str]]:
    """Return the records of a list; what has no name is left out."""
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict) and "name" in item][:_NAMES]


def _fitted(report: dict[str, Any]) -> str:
    """Return a description as JSON; its longest lists lose names until it is short enough."""
    text = _encoded(report)
    excess = len(text.encode()) - MAX_ANSWER
    if excess <= 0:
        return text
    sizes = {key: [_size(name) for name in names] for key, names in report["available"].items()}
    while excess > 0 and any(sizes.values()):
        longest = max(sizes, key=lambda key: sum(sizes[key]))
        excess -= sizes[longest].pop()
        report["names"].pop(report["available"][longest].pop(), None)
        report["left_out"] += 1
    return _encoded(report)


def _encoded(value: object) -> str:
    """Return a value as JSON, in which only what UTF-8 cannot hold is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return _SURROGATES.sub(lambda found: ascii(found[0])[1:-1], text)


def _size(name: str) -> int:
    """Return the bytes of a name in a list."""
    return len(_encoded(name).encode()) + len(", ")


def _bounded(names: list[str]) -> list[str]:
    """Return the first names, each once, without those that are too long to be chosen."""
    return [name for name in dict.fromkeys(names) if len(name) <= _NAME][:_NAMES]
