"""Bookkeeping of the process that holds MIDI ports, with the port lists of macOS and Windows.

rtmidi is replaced, since neither system is here: what it lists, opens and refuses there.
"""

import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.ports.midi_process import OUTPUTS, ManagedPort, MidiBackends, PortManager

API = 4


class Device:
    """A device with one port, in or out."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.there = True
        self.handles: list[FakePort] = []
        self.received: list[bytes] = []

    def play(self, *data: int) -> None:
        for handle in self.handles:
            callback, user = handle.callback
            callback((list(data), 0.0), user)


class System:
    """A MIDI system: its devices in the order of its list, and how many ports were opened."""

    def __init__(self, system: str) -> None:
        self.system = system
        self.known: dict[bool, list[Device]] = {False: [], True: []}
        self.opened = 0

    def devices(self, *, outputs: bool = False) -> list[Device]:
        return [device for device in self.known[outputs] if device.there]

    def names(self, *, outputs: bool) -> list[str]:
        number = (lambda place: f" {place}") if self.system == "win32" else (lambda place: "")
        return [
            device.name + number(i) for i, device in enumerate(self.devices(outputs=outputs))
        ]

    def plug(self, name: str, *, outputs: bool = False, place: int | None = None) -> Device:
        """Plug in a new device; by default it comes last."""
        device, known = Device(name), self.known[outputs]
        known.insert(len(known) if place is None else place, device)
        return device

    def replug(self, name: str) -> Device:
        """Plug in a device that was unplugged, which returns to its place; or a new one."""
        gone = (d for d in self.known[False] if d.name == name and not d.there)
        device = next(gone, None) or self.plug(name)
        device.there = True
        return device


class FakePort:
    """rtmidi's MidiIn or MidiOut."""

    def __init__(self, system: System, *, outputs: bool) -> None:
        self.system, self.outputs = system, outputs
        self.device: Device | None = None
        self.callback = (lambda message, user: None, None)

    def get_ports(self):
        return self.system.names(outputs=self.outputs)

    def get_port_name(self, place):
        names = self.get_ports()
        return names[place] if place < len(names) else ""

    def open_port(self, place, name):
        device = self.system.devices(outputs=self.outputs)[place]
        if self.system.system == "win32" and device.handles:
            raise RuntimeError("the device is in use")
        self.device = device
        device.handles.append(self)
        self.system.opened += 1

    def set_callback(self, callback, user):
        self.callback = callback, user

    def send_message(self, message):
        if not self.device.there and self.system.system == "win32":
            raise RuntimeError("the device is gone")
        if self.device.there:
            self.device.received.append(bytes(message))

    def close_port(self):
        if self.device is not None:
            self.device.handles.remove(self)
            self.device = None

    def delete(self):
        self.close_port()


class Rig:
    """A manager of ports at a system, and what it has reported."""

    def __init__(self, monkeypatch, system: str, *wanted: str, outputs: bool = False) -> None:
        self.system = System(system)
        module = types.SimpleNamespace(
            RtMidiError=RuntimeError,
            API_LINUX_ALSA=2,
            API_UNIX_JACK=3,
            API_RTMIDI_DUMMY=5,
            get_compiled_api=lambda: [API],
            MidiIn=lambda api, client: FakePort(self.system, outputs=False),
            MidiOut=lambda api, client: FakePort(self.system, outputs=True),
        )
        monkeypatch.setitem(sys.modules, "rtmidi", module)
        first = OUTPUTS if outputs else 0
        self.ports = [
            ManagedPort(first + n, name, virtual=False) for n, name in enumerate(wanted)
        ]
        self.reports: list[bytes] = []
        self.manager = PortManager(
            MidiBackends(), self.ports, self.reports.append, system=system
        )

    def scan(self) -> list[str]:
        """Scan; return the letters reported since the last scan, each with its port."""
        self.manager.scan(0.0)
        reported = [f"{chr(data[0])}{data[1] % OUTPUTS}" for data in self.reports]
        self.reports.clear()
        return [report for report in reported if report[0] in "gom"]


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_two_devices_of_one_name_are_each_opened_once(monkeypatch, system):
    rig = Rig(monkeypatch, system, "board", "board")
    first, second = rig.system.plug("Board"), rig.system.plug("Board")
    assert rig.scan() == ["o0", "o1"]
    assert [len(device.handles) for device in (first, second)] == [1, 1]
    second.play(0x90, 60, 1)
    first.play(0x90, 60, 1)
    assert rig.scan() == ["m1", "m0"]
    assert rig.system.opened == 2


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_second_device_of_a_name_can_be_asked_for_alone(monkeypatch, system):
    rig = Rig(monkeypatch, system, "Board#2")
    first = rig.system.plug("Board")
    assert rig.scan() == []
    second = rig.system.plug("Board")
    assert rig.scan() == ["o0"]
    assert (len(first.handles), len(second.handles)) == (0, 1)


def test_port_on_windows_stays_open_when_its_number_changes(monkeypatch):
    rig = Rig(monkeypatch, "win32", "board")
    synth, board = rig.system.plug("Synth"), rig.system.plug("Board")
    assert rig.scan() == ["o0"]
    synth.there = False
    assert rig.scan() == []
    board.play(0x90, 60, 1)
    assert rig.scan() == ["m0"]
    rig.system.plug("Drums", place=0)
    assert rig.scan() == []
    board.there = False
    assert rig.scan() == ["g0"]
    assert rig.system.opened == 1


@pytest.mark.parametrize("system", ["darwin", "win32"])
@pytest.mark.parametrize("unplugged", [0, 1])
def test_living_one_of_two_of_a_name_is_not_closed(monkeypatch, system, unplugged):
    rig = Rig(monkeypatch, system, "board", "board")
    devices = [rig.system.plug("Board"), rig.system.plug("Board")]
    rig.scan()
    devices[unplugged].there = False
    living = 1 - unplugged
    # What both held is lifted, and both are taken for open.
    assert rig.scan() == ["g0", "o0", "g1", "o1"]
    assert rig.scan() == []
    devices[living].play(0x90, 60, 1)
    # The one that is heard is there, so the other is not.
    assert rig.scan() == [f"m{living}", f"g{unplugged}"]
    assert rig.system.opened == 2
    returned = rig.system.plug("Board", place=unplugged)
    assert rig.scan() == [f"o{unplugged}"]
    assert rig.system.opened == 3
    returned.play(0x90, 60, 1)
    devices[living].play(0x90, 60, 1)
    assert rig.scan() == [f"m{unplugged}", f"m{living}"]


def test_new_device_before_one_of_its_name_is_opened_on_windows(monkeypatch):
    rig = Rig(monkeypatch, "win32", "board", "board")
    first = rig.system.plug("Board")
    assert rig.scan() == ["o0"]
    second = rig.system.plug("Board", place=0)
    assert rig.scan() == ["o1"]  # Windows refuses to open the first again
    second.play(0x90, 60, 1)
    first.play(0x90, 60, 1)
    assert rig.scan() == ["m1", "m0"]


@given(
    st.sampled_from(["darwin", "win32"]),
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 9), st.booleans()), max_size=12),
)
def test_after_any_changes_every_wanted_device_is_open_once(system, changes):
    with pytest.MonkeyPatch.context() as patch:
        rig, wanted = Rig(patch, system, "a", "a", "b"), {"A": 2, "B": 1}
        for name, number, plays in changes:
            devices = rig.system.devices()
            if number < len(devices):
                devices[number].there = False
            elif sum(device.name == name for device in devices) < wanted[name]:
                rig.system.replug(name)
            rig.scan()
            for device in rig.system.devices() if plays else ():
                device.play(0x90, 60, 1)
            rig.scan()
        devices = rig.system.devices()
        for device in devices:
            device.play(0x90, 60, 1)
        rig.scan()
        assert [len(device.handles) for device in devices] == [1] * len(devices)


def test_silent_twins_are_opened_again_when_one_returns(monkeypatch):
    rig = Rig(monkeypatch, "darwin", "board", "board")
    first, _ = rig.system.plug("Board"), rig.system.plug("Board")
    rig.scan()
    first.there = False
    rig.scan()
    returned = rig.system.plug("Board", place=0)
    assert rig.scan() == ["g0", "g1", "o0", "o1"]
    returned.play(0x90, 60, 1)
    assert rig.scan() == ["m0"]
    assert [len(device.handles) for device in rig.system.devices()] == [1, 1]


def test_output_that_is_left_of_two_plays_on(monkeypatch):
    rig = Rig(monkeypatch, "win32", "synth", "synth", outputs=True)
    devices = [rig.system.plug("Synth", outputs=True) for _ in range(2)]
    assert rig.scan() == ["o0", "o1"]
    devices[0].there = False
    assert rig.scan() == []
    rig.manager.send(OUTPUTS + 1, b"\x90\x3c\x40")
    rig.manager.send(OUTPUTS, b"\x90\x3c\x40")  # refused: it is the one that has gone
    assert devices[1].received == [b"\x90\x3c\x40"]
    assert rig.scan() == ["g0"]
    assert rig.scan() == []
    assert rig.system.opened == 2


def test_port_that_cannot_be_opened_is_reported_once(monkeypatch):
    rig = Rig(monkeypatch, "win32", "board")
    rig.system.plug("Board").handles.append(FakePort(rig.system, outputs=False))
    rig.scan()
    rig.manager.scan(0.0)
    assert rig.reports == []
    assert rig.ports[0].last_error == "the device is in use"
