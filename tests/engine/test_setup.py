"""Setup of a running jam: ports, sound device and voices that are changed while it plays."""

import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from support.engine import (
    MODEL,
    PATIENCE,
    DrivenEngine,
    RunningEngine,
    playing,
    recordings,
    serving,
)
from support.jack import missing, until
from support.players import RandomPlayer
from support.ports import FakePort

from robojam.app.assemble import regenerate_session
from robojam.config.options import Options
from robojam.controls import SETTINGS, RefusedError, loses_digits
from robojam.engine.setup import MAX_ANSWER, PortGroup, Setup
from robojam.ports.udp import PortError
from robojam.sessions.session import read
from robojam.touch import Phase
from robojam.wire import osc
from robojam.wire.native import Finger

pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
NO_JACK = missing()


def change(client: Any, name: str, value: object) -> None:
    client.send("/robojam/setup", "ss", name, json.dumps(value))


# -- with ports of the test's own --------------------------------------------------------------


class SetupEngine(DrivenEngine):
    """Driven engine with a setup, whose worker the test waits for."""

    def __init__(self, folder: Any, **options: Any) -> None:
        super().__init__(folder, **options)
        self.opened: queue.Queue[Options] = queue.Queue()
        self.made: list[FakePort] = []
        groups = {
            "midi": self._open, "sound": self._open, "osc": self._open_outputs,
            "web": self._open,
        }  # fmt: skip
        self.setup = Setup(self.options, groups)
        self.engine._setup = self.setup
        self.engine._collect_ports()
        self.opened = queue.Queue()

    def _open(self, options: Options, _: PortGroup) -> PortGroup:
        self.opened.put(options)
        if "nowhere" in options.midi_in:
            raise PortError("there is no such port")
        port = FakePort()
        self.made.append(port)
        return PortGroup((port,), (port,))

    def _open_outputs(self, options: Options, present: PortGroup) -> PortGroup:
        """Open a port for each output, but for those that are in use."""
        if "no.such.host:9" in options.osc_out:
            raise PortError("there is no host no.such.host")
        made = (
            dict(zip(self.setup.options.osc_out, present.outputs, strict=True))
            if present.outputs
            else {}
        )
        return PortGroup(tuple(made.get(text) or FakePort() for text in options.osc_out))

    def outputs(self) -> dict[str, Any]:
        """Return the OSC outputs in use, by their addresses."""
        return dict(
            zip(self.setup.options.osc_out, self.setup.groups["osc"].outputs, strict=True)
        )

    def change(
        self, name: str, value: object, sender: tuple[str, int] = ("127.0.0.1", 7)
    ) -> None:
        self.send("/robojam/setup", "ss", name, json.dumps(value), sender=sender)

    def settle(self) -> None:
        """Wait for the worker, and make the calls that it has put on the loop."""
        done: queue.Queue[None] = queue.Queue()
        self.setup._run(lambda: done.put(None))
        done.get(timeout=PATIENCE)
        self.engine.calls.drain()

    def answer(self) -> dict[str, Any]:
        self.take()
        self.send("/robojam/setup")
        (sent,) = [s for s in self.take() if s.address == "/robojam/setup"]
        return dict(json.loads(sent.args[0]))


@pytest.fixture
def jam(tmp_path, monkeypatch):
    monkeypatch.setattr(Setup, "look", lambda *_: None)
    return SetupEngine(tmp_path, mode="listen")


def test_port_that_is_replaced_lifts_its_fingers_and_is_closed(jam):
    old = jam.made[0]
    jam.engine._handle(Finger(Phase.DOWN, 3, 0.5, 0.5), "midi:a", jam.now)
    old.held = [("midi:a", Finger(Phase.UP, 3))]
    jam.change("midi-in", ["other/keys"])
    assert jam.status()["fingers"] == 0
    assert old not in jam.engine.inputs
    jam.settle()
    assert old.closed
    assert jam.opened.get(timeout=PATIENCE).midi_in == ("other/keys",)
    new = jam.made[-1]
    assert new in jam.engine.inputs
    jam.send("/robojam/down", "iff", 1, 0.1, 0.1)
    assert [touch[:2] for touch in new.touches] == [("human2", Phase.DOWN)]
    assert jam.answer()["chosen"]["midi-in"] == ["other/keys"]


def test_new_ports_start_with_the_present_values_of_the_controls(jam):
    jam.send("/robojam/volume", "f", 0.25)
    jam.change("sound-out", "speakers")
    jam.settle()
    options = jam.opened.get(timeout=PATIENCE)
    assert (options.sound_out, options.settings().volume) == ("speakers", 0.25)


def test_port_that_cannot_be_opened_is_said_and_the_jam_goes_on(jam, caplog):
    jam.change("midi-in", ["nowhere"])
    jam.settle()
    assert jam.answer()["error"] == "there is no such port"
    assert "midi-in: there is no such port" in caplog.text
    jam.send("/robojam/down", "iff", 1, 0.1, 0.1)
    assert jam.status()["fingers"] == 1
    jam.change("midi-in", [])
    jam.settle()
    assert jam.answer()["error"] == ""


def test_output_that_cannot_be_opened_leaves_the_others_and_the_option_as_they_were(jam):
    jam.change("osc-out", ["10.0.0.1:1", "10.0.0.2:1"])
    jam.settle()
    before = jam.outputs()
    jam.change("osc-out", ["10.0.0.1:1", "no.such.host:9"])
    jam.send("/robojam/down", "iff", 1, 0.1, 0.1)  # while the new ones are opened
    jam.settle()
    assert jam.outputs() == before
    assert all(port.touches and not port.closed for port in before.values())
    assert set(before.values()) <= set(jam.engine._publisher.outputs)
    answer = jam.answer()
    assert answer["error"] == "there is no host no.such.host"
    assert answer["chosen"]["osc-out"] == ["10.0.0.1:1", "10.0.0.2:1"]
    jam.change("osc-out", ["10.0.0.2:1", "10.0.0.3:1"])
    jam.settle()
    assert jam.answer()["error"] == ""
    after = jam.outputs()
    assert after["10.0.0.2:1"] is before["10.0.0.2:1"]
    assert (before["10.0.0.1:1"].closed, before["10.0.0.2:1"].closed) == (True, False)


def test_change_that_is_taken_back_while_it_is_made_is_not_made(jam):
    jam.change("osc-out", ["10.0.0.1:1"])
    jam.settle()
    before = jam.outputs()
    jam.change("osc-out", ["10.0.0.1:1", "10.0.0.2:1"])
    jam.change("osc-out", ["10.0.0.1:1"])
    jam.settle()
    jam.settle()
    assert jam.outputs() == before
    assert not before["10.0.0.1:1"].closed


def test_port_that_could_not_be_opened_is_tried_again_when_it_is_chosen_again(jam):
    for _ in range(2):
        jam.change("midi-in", ["nowhere"])
        jam.settle()
        assert jam.opened.get(timeout=PATIENCE).midi_in == ("nowhere",)


def test_number_of_voices_that_is_taken_back_while_the_model_is_loaded_is_not_used(jam):
    waiting = []
    jam.load = lambda name, voices, on_loaded: waiting.append((voices, on_loaded))
    for voices in (4, 1, 3):
        jam.change("voices", voices)
    assert [voices for voices, _ in waiting] == [4, 3]
    for voices, on_loaded in waiting:
        on_loaded(playing(RandomPlayer(voices=voices)))
        jam.engine.calls.drain()
    assert jam.status()["voices"] == 3
    jam.change("voices", 2)
    jam.change("voices", 3)
    waiting[-1][1](playing(RandomPlayer(voices=2)))
    jam.engine.calls.drain()
    assert jam.status()["voices"] == 3


@pytest.mark.parametrize("voices_first", [True, False])
def test_model_and_voices_that_are_asked_for_during_a_load_are_both_used(jam, voices_first):
    """Of the requests during a load the loader answers the last alone."""
    waiting: dict[str, Any] = {}
    jam.load = lambda name, voices, on_loaded: waiting.update(a=(name, voices, on_loaded))

    def load() -> None:
        name, voices, on_loaded = waiting.pop("a")
        on_loaded(playing(RandomPlayer(voices=voices), name, f"0{len(name)}"))
        jam.engine.calls.drain()

    def ask_voices() -> None:
        jam.change("voices", 3)

    def ask_model() -> None:
        jam.send("/robojam/model", "s", "another.safetensors")

    for ask in (ask_voices, ask_model) if voices_first else (ask_model, ask_voices):
        ask()
    while waiting:
        load()
    assert jam.status()["voices"] == 3
    assert jam.status()["model"] == "another.safetensors"


def test_opener_that_fails_unforeseen_is_said_and_the_next_change_opens(jam, caplog):
    jam.setup._open_group["sound"] = lambda *_: 1 / 0
    jam.change("sound-out", "speakers")
    jam.settle()
    assert jam.answer()["error"] == "ZeroDivisionError: division by zero"
    assert "could not be opened" in caplog.text
    jam.setup._open_group["sound"] = jam._open
    jam.change("sound-out", "other")
    jam.settle()
    assert jam.answer()["error"] == ""


def test_refused_change_is_said_in_the_answer_until_one_is_accepted(jam):
    jam.change("voices", "many")
    assert "voices" in jam.answer()["error"]
    jam.change("midi-in", ["x" * 20_000])
    assert "more than" in jam.answer()["error"]
    jam.change("midi-in", ["one"])
    jam.settle()
    assert jam.answer()["error"] == ""


@pytest.mark.parametrize("character", ["x", "ש", "鍵", "🎹", "\udcff"])
def test_answer_fits_in_a_packet_whatever_the_names_and_counts_what_is_left_out(character):
    setup = Setup(Options(), {})
    names = [f"{number} {character * 110}" for number in range(64)]
    setup._devices = {
        "midi": {"in": names, "out": names},
        "audio": [{"name": name} for name in names],
        "network": [{"name": name, "address": name} for name in names],
    }
    text = setup.describe("touch.safetensors")
    answer = json.loads(text)
    assert len(text.encode()) <= MAX_ANSWER
    listed = answer["available"]["midi-in"]
    assert listed == names[: len(listed)]
    assert sum(map(len, answer["available"].values())) + answer["left_out"] == 4 * len(names)


def test_port_that_fails_when_it_is_closed_does_not_end_the_worker(jam, caplog):
    def fail() -> None:
        raise RuntimeError("the driver is gone")

    jam.setup._run(fail)
    jam.change("midi-in", ["other"])
    jam.settle()
    assert jam.opened.get(timeout=PATIENCE).midi_in == ("other",)
    assert "a port could not be closed" in caplog.text


def test_jam_that_ends_waits_for_a_port_that_is_being_closed(jam, monkeypatch):
    old, ending = jam.made[0], threading.Event()
    close = jam.setup.close

    def end() -> None:
        ending.set()
        close()

    monkeypatch.setattr(jam.setup, "close", end)
    jam.setup._run(lambda: ending.wait(PATIENCE))  # a device that is slow
    jam.change("midi-in", ["other"])
    jam.engine.finish("SIGTERM")
    assert old.closed
    assert jam.opened.empty()  # and opens no other


def test_of_two_quick_changes_the_last_stands_and_no_port_is_left_open(jam):
    jam.change("midi-in", ["one"])
    jam.change("midi-in", ["two"])
    jam.settle()
    jam.settle()
    (port,) = jam.setup.groups["midi"].inputs
    others = [made for made in jam.made[3:] if made is not port]
    assert jam.setup.options.midi_in == ("two",)
    assert not port.closed
    assert all(other.closed for other in others)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("osc-in", "0.0.0.0:5005", "no such option"),
        ("voices", 0, "out of range"),
        ("voices", "many", "out of range"),
        ("osc-out", ["nowhere"], "out of range"),
        ("osc-out", "127.0.0.1:9000", "out of range"),
        ("midi-in", ["x" * 5000], "out of range"),
        ("midi-in", {"a": 1}, "out of range"),
    ],
)
def test_wrong_value_is_refused_with_what_is_allowed(jam, name, value, reason, caplog):
    jam.change(name, value)
    assert jam.status()["dropped"] == {reason: 1}
    assert name in caplog.text
    assert jam.setup.options == jam.options


def test_value_that_is_no_json_is_refused(jam):
    for encoded in ("", "[", "[" * 3000, "nan"):
        with pytest.raises(RefusedError):
            jam.setup.check("voices", encoded)


def test_setup_is_neither_told_to_nor_changed_from_another_host(jam):
    stranger = ("10.0.0.5", 4000)
    jam.take()
    jam.change("midi-in", ["other"], sender=stranger)
    jam.send("/robojam/setup", sender=stranger)
    assert jam.status()["dropped"] == {"not allowed": 2}
    assert jam.take() == []
    assert jam.setup.options == jam.options


def test_programs_on_this_machine_are_told_of_a_change_and_when_they_subscribe(jam):
    here, there = ("127.0.0.1", 4100), ("10.0.0.5", 4200)
    for host, port in (here, there):
        jam.send("/robojam/subscribe", "i", port, sender=(host, 1))
    told = [s for s in jam.take() if s.address == "/robojam/setup"]
    assert {s.to for s in told} == {here}
    digits = [row.name for row in SETTINGS.values() if loses_digits(row.default)]
    assert digits[-2:] == ["dwell", "volume"]  # 0.8 and 0.7, which lose digits in 32 bits
    assert [s.args[0] for s in told] == [*digits, *jam.setup.chosen()]
    assert ("dwell", "0.8") in [s.args for s in told]
    jam.change("midi-out", ["synth"])
    (sent,) = [s for s in jam.take() if s.tags == "ss"]
    assert (sent.to, sent.args) == (here, ("midi-out", '["synth"]'))


def pads(jam: SetupEngine, value: int, sender: tuple[str, int] = ("127.0.0.1", 7)) -> Options:
    """Switch the pads in browsers on or off; return the options with which they were opened."""
    jam.send("/robojam/web", "i", value, sender=sender)
    jam.settle()
    return jam.opened.get(timeout=PATIENCE)


def test_pads_are_switched_on_and_off_by_a_control_and_monitors_are_told(jam):
    jam.send("/robojam/subscribe", "i", 4100, sender=("127.0.0.1", 1))
    assert ("/robojam/web", (0,)) in [(s.address, s.args) for s in jam.take()]
    assert pads(jam, 1).web == "8080"
    told = [(s.address, *s.args) for s in jam.take() if "web" in (s.address[9:], s.args[0])]
    assert told == [("/robojam/setup", "web", '"8080"'), ("/robojam/web", 1)]
    assert pads(jam, 0).web == "none"
    assert ("/robojam/web", (0,)) in [(s.address, s.args) for s in jam.take()]


def test_pads_that_are_switched_on_again_have_their_last_address(jam):
    jam.change("web", "127.0.0.1:9000")
    jam.settle()
    assert jam.opened.get(timeout=PATIENCE).web == "127.0.0.1:9000"
    assert pads(jam, 0).web == "none"
    assert pads(jam, 1).web == "127.0.0.1:9000"


def test_pads_are_switched_by_whoever_may_control_the_jam_alone(jam):
    jam.send("/robojam/web", "i", 1, sender=("10.0.0.5", 7))
    jam.settle()
    assert jam.status()["dropped"] == {"not allowed": 1}
    assert jam.setup.options.web == "none"
    for value in (2, -1):
        jam.send("/robojam/web", "i", value)
    assert jam.status()["dropped"]["out of range"] == 2


def test_list_of_devices_is_bounded_and_what_cannot_be_read_is_left_out(jam):
    jam.setup._devices = {
        "midi": {"in": ["a", "a", "b" * 500, 7, None], "out": [f"p{i}" for i in range(9999)]},
        "audio": [{"name": "x", "api": "ALSA"}, "odd"],
        "network": {"error": "none"},
        "addresses": ["10.0.0.1"],
        "models": None,
    }
    answer = json.loads(jam.setup.describe("a.safetensors"))
    available = answer["available"]
    assert available["midi-in"] == ["a"]
    assert len(available["midi-out"]) == 64
    assert (available["sound-out"], available["osc-out"]) == (["x"], [])
    assert len(jam.setup.describe("a")) < 60_000


def test_engine_on_this_machine_is_not_offered_as_an_output(jam):
    network = [
        {"name": "iPad", "address": "10.0.0.7:9000"},
        {"name": "robojam on studio", "address": "10.0.0.1:5005"},
    ]
    jam.setup._devices = {"network": network, "addresses": ["10.0.0.1"]}
    answer = json.loads(jam.setup.describe("a.safetensors"))
    assert answer["available"]["osc-out"] == ["10.0.0.7:9000"]
    assert answer["names"] == {"10.0.0.7:9000": "iPad"}


# -- in a real engine --------------------------------------------------------------------------


@contextmanager
def receiver() -> Iterator[tuple[str, Callable[[], bool]]]:
    """Yield the address of a UDP receiver, and whether a touch of the machine has come."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)

        def has_played() -> bool:
            try:
                messages, _ = osc.decode(sock.recv(65536))
            except BlockingIOError:
                return False
            return any(m.address == "/robojam/ai/down" for m in messages)

        yield f"127.0.0.1:{sock.getsockname()[1]}", has_played


def devices(
    engine: RunningEngine, condition: Callable[[dict[str, Any]], Any]
) -> dict[str, Any]:
    """Ask for the setup until a condition on it holds; return it."""
    answers: list[dict[str, Any]] = []

    def asked() -> bool:
        engine.out.send("/robojam/setup")
        engine.out.receive(1.0)
        found = [s.args[0] for s in engine.out.received if s.address == "/robojam/setup"]
        answers[:] = [json.loads(text) for text in found if text.startswith("{")][-1:]
        return bool(answers and condition(answers[0]))

    until(asked)
    return answers[0]


def test_output_that_is_chosen_while_the_machine_plays_receives_it(tmp_path):
    with receiver() as (address, has_played), serving(tmp_path, "--mode", "solo") as engine:
        change(engine.out, "osc-out", [address])
        until(has_played)
        found = devices(
            engine, lambda answer: "touch.safetensors" in answer["available"]["model"]
        )
        assert found["chosen"]["osc-out"] == [address]
        assert set(found["names"]) == set(found["available"]["osc-out"])


def test_number_of_voices_that_is_set_begins_a_recording_that_regenerates(tmp_path):
    with serving(tmp_path, "--mode", "solo", "--timescale", "0.2") as engine:
        engine.out.ask(lambda status: status["played"] > 10)
        change(engine.out, "voices", 3)
        engine.out.ask(lambda status: status["voices"] == 3)
        engine.out.until(
            lambda: any(s.address == "/robojam/ai3/move" for s in engine.out.received)
        )
        assert engine.end() == 0
    first, second = (read(path) for path in recordings(tmp_path))
    assert first.ended == "another number of voices"
    assert set(first.summary().touches) == {"ai"}
    assert set(second.summary().touches) == {"ai", "ai2", "ai3"}
    for session in (first, second):
        again, differences = regenerate_session(session)
        assert differences == []
        assert list(again.touches()) == list(session.touches())


@pytest.mark.peer
@pytest.mark.skipif(NO_JACK is not None, reason=str(NO_JACK))
def test_midi_port_that_is_chosen_while_the_jam_goes_on_is_opened_and_left(tmp_path, jack):
    del jack
    with serving(tmp_path) as engine:
        change(engine.out, "midi-out", ["virtual:first"])
        ports = partial(lambda status: status.get("midi", {}).get("out", []))
        status = engine.out.ask(lambda s: any(port["connected"] for port in ports(s)))
        assert [port["wanted"] for port in ports(status)] == ["first"]
        change(engine.out, "midi-out", [])
        engine.out.ask(lambda s: "midi" not in s)
        assert engine.end() == 0


def test_setup_that_gets_no_thread_gets_one_the_next_time(jam, monkeypatch):
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    done = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        jam.setup.look(0.0)
        with pytest.raises(RuntimeError):
            jam.setup._run(lambda: None)
    assert not jam.setup._looking
    jam.setup._run(done.set)
    assert done.wait(PATIENCE)
