"""Assembly of engines from options: refusals and warnings."""

from __future__ import annotations

import shlex
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from support import ROOT
from support.engine import MODEL

from robojam.app import assemble as module
from robojam.app.assemble import (
    Assembly,
    AssemblyError,
    assemble,
    assemble_replay,
    make_reader,
    prepare_jam,
    regenerate_session,
    with_roles,
)
from robojam.config.options import Options
from robojam.config.roles import Role, RoleRules
from robojam.engine import model_loader
from robojam.engine.model_loader import load
from robojam.engine.setup import PortGroup
from robojam.player.devices import DeviceError
from robojam.ports import udp
from robojam.ports.udp import PortError
from robojam.sessions.session import read
from robojam.wire.osc import Message

pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="no default model here")

QUIET = {"sound": False, "tuio_in": "none", "osc_in": "127.0.0.1:0"}


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as busy:
        busy.bind(("127.0.0.1", 0))
        yield busy.getsockname()[1]


def options(folder: Path, **chosen: object) -> Options:
    return Options(**{**QUIET, "sessions": str(folder), **chosen})


def close(assembly: Assembly) -> None:
    assembly.engine.finish("the test is over")


def test_engine_is_ready_with_a_line_that_names_address_outputs_model_and_device(tmp_path):
    assembly = assemble(options(tmp_path, device="cpu"))
    try:
        host, port = assembly.address
        line = f"listening on udp://{host}:{port}, plays to 127.0.0.1:5006: touch.safetensors"
        assert assembly.ready == f"{line} on cpu"
        assert assembly.warnings == ()
        assert not assembly.announced
    finally:
        close(assembly)


def test_output_to_the_own_input_is_a_warning(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        own = f"127.0.0.1:{free.getsockname()[1]}"
    assembly = assemble(options(tmp_path, osc_in=own, osc_out=(own, "127.0.0.1:5006")))
    try:
        (warning,) = assembly.warnings
        assert warning.startswith(f"the output {own} is this engine's own input")
    finally:
        close(assembly)


def test_learnt_pad_is_one_word_of_a_shell_in_the_log(tmp_path, caplog):
    caplog.set_level("INFO", "robojam")
    reader = make_reader(options(tmp_path, touchosc=("learn",)))
    for address in ("/a\x1b[2J", "/a\n;reboot", "/1/xy;reboot"):  # the first two are no pads
        for x in (0.2, 0.5, 0.8):
            reader.read(Message(address, "ff", (x, 0.5)), "192.0.2.1", 0.0)
    (line,) = [text for text in caplog.messages if "--touchosc" in text]
    option = shlex.split(line)[shlex.split(line).index("--touchosc") + 1]
    assert option.startswith("/1/xy;reboot=")


def test_busy_tuio_port_is_a_warning_and_the_engine_goes_on_without_it(tmp_path, busy_port):
    assembly = assemble(options(tmp_path, tuio_in=f"127.0.0.1:{busy_port}"))
    try:
        (warning,) = assembly.warnings
        assert warning.startswith("no TUIO for now: ")
        assert str(busy_port) in warning
    finally:
        close(assembly)


@pytest.mark.parametrize("make", [assemble, prepare_jam])
@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        ({"osc_in": "127.0.0.1:{busy_port}"}, "port {busy_port} of 127.0.0.1 is in use"),
        ({"osc_out": ("no.such.host.invalid:1",)}, "there is no host no.such.host.invalid"),
        ({"model": "no-such-model"}, "there is no model file no-such-model"),
    ],
)
def test_options_that_no_engine_can_have_are_refused(make, chosen, reason, tmp_path, busy_port):
    filled = {
        name: value.format(busy_port=busy_port) if isinstance(value, str) else value
        for name, value in chosen.items()
    }
    with pytest.raises(AssemblyError, match=reason.format(busy_port=busy_port)):
        make(options(tmp_path, **filled))


def test_jam_whose_engine_died_goes_on_without_what_is_missing_now(
    tmp_path, caplog, monkeypatch
):
    def refuse(name):
        raise DeviceError(f"this machine has no device {name}; it has cpu")

    monkeypatch.setattr(module, "choose_device", refuse)
    chosen = options(
        tmp_path,
        osc_out=("no.such.host.invalid:1", "127.0.0.1:9"),
        model="no-such-model",
        device="cuda",
        log=str(tmp_path / "gone" / "jam.log"),
    )
    with pytest.raises(AssemblyError):
        assemble(chosen)
    assembly = assemble(chosen, again=True)
    assembly.engine.stop("the test is over")
    monkeypatch.setattr(module, "termination_signals", list)
    monkeypatch.setattr(module, "raise_priority", lambda: "ordinary")
    monkeypatch.setattr("signal.set_wakeup_fd", lambda *_, **__: -1)
    assembly.run(on_ready=lambda: None)
    device, model, host = assembly.warnings
    assert device == "this machine has no device cuda; it has cpu; on with the CPU"
    assert model == "there is no model file no-such-model; on with touch.safetensors"
    assert host.startswith("there is no host no.such.host.invalid to send to: ")
    assert host.endswith("; going on without, and trying again")
    outputs = assembly.engine.endpoint.status()["outputs"]
    assert assembly.engine.live.info.device == "cpu"
    assert "jam.log" in caplog.text
    assert isinstance(outputs, list)


def test_output_that_is_chosen_later_must_be_known_after_a_restart_too(tmp_path):
    assembly = assemble(options(tmp_path, osc_out=()), again=True)
    try:
        setup = assembly.engine._setup
        with pytest.raises(PortError):
            setup._open_group["osc"](
                options(tmp_path, osc_out=("no.such.host.invalid:1",)), PortGroup()
            )
    finally:
        close(assembly)


def test_prepared_jam_has_a_free_port_and_finds_the_models_of_the_folder(tmp_path):
    prepared, find = prepare_jam(options(tmp_path))
    assert not prepared.osc_in.endswith(":0")
    assert Path(find("small")) == MODEL.with_name("small.safetensors")
    assert find("no-such-model") == "no-such-model"


def test_replay_without_the_named_player_or_with_a_wrong_option_is_refused():
    session = read(ROOT / "sessions" / "example.jsonl")
    with pytest.raises(AssemblyError, match="nobody named ai9 plays there; there is human, ai"):
        assemble_replay(session, {"osc_in": "127.0.0.1:0"}, who=["ai9"])
    with pytest.raises(AssemblyError, match="osc-in: 'x' is not HOST:PORT"):
        assemble_replay(session, {"osc_in": "x"})


def test_regeneration_names_model_and_device_that_differ():
    session = read(ROOT / "sessions" / "example-duet.jsonl")
    made, differences = regenerate_session(session, model="small", device="cpu")
    assert made.header.model.file == "small.safetensors"
    assert any(line.startswith("model differs: ") for line in differences)
    assert made.events
    damaged = replace(session, damaged=(7,))
    _, differences = regenerate_session(damaged, model="small", device="cpu")
    assert "the first is line 7" in differences[0]


@pytest.mark.parametrize("has_numba", [True, False])
def test_take_of_compiled_steps_is_regenerated_by_them_or_the_difference_is_named(
    has_numba, tmp_path, monkeypatch
):
    asked = []

    def loads(path, *, device, voices, compiled=False, knobs=0):
        if threading.current_thread() is not threading.main_thread():  # of an engine before
            return load(path, device=device, voices=voices, compiled=compiled)
        asked.append(compiled)
        if compiled and not has_numba:
            raise ImportError("no numba")
        loaded = load(path, device=device, voices=voices)
        steps = "numba 1.2" if compiled else "numpy 2"
        return replace(loaded, info=replace(loaded.info, build=f"x, steps by {steps}"))

    monkeypatch.setattr(model_loader, "load", loads)
    session = read(ROOT / "sessions" / "example-duet.jsonl")
    header = msgspec.structs.replace(session.header, build="x, steps by numba 1.2")
    _, differences = regenerate_session(
        replace(session, header=header), model=str(MODEL), device="cpu"
    )
    assert asked == ([True] if has_numba else [True, False])
    named = [text for text in differences if text.startswith("build differs")]
    differs = "build differs: recorded with x, steps by numba 1.2, now x, steps by numpy 2"
    assert named == ([] if has_numba else [differs])


# -- roles ------------------------------------------------------------------------------------


def test_roles_are_read_and_names_looked_up_once(tmp_path, monkeypatch):
    addresses = {"ipad.local": (("10.0.0.7", 1), ("fd00::7", 1))}
    monkeypatch.setattr(udp, "resolve", lambda host, *_, **__: addresses[host])
    path = tmp_path / "roles.toml"
    path.write_text('others = "watcher"\n[address]\n"ipad.local" = "player"\n')
    options = Options(control=("ipad.local", "10.0.1.0/24"), roles=str(path))
    found = with_roles(options)
    assert found.control == ("10.0.0.7", "fd00::7", "10.0.1.0/24")
    assert found.role_rules == RoleRules(
        others=Role.WATCHER, address={"10.0.0.7": Role.PLAYER, "fd00::7": Role.PLAYER}
    )
    path.unlink()
    addresses.clear()  # an engine that is started again needs neither file nor name server
    again = msgspec.json.decode(msgspec.json.encode(found), type=Options)
    assert with_roles(again) == found


@pytest.mark.parametrize("address", ["0.0.0.0", "224.0.0.1"])
def test_name_of_a_host_that_is_no_host_s_gets_no_role(monkeypatch, address):
    monkeypatch.setattr(udp, "resolve", lambda *_, **__: ((address, 1),))
    with pytest.raises(AssemblyError, match="nobody"):
        with_roles(Options(control=("ipad.local",)))


def test_wrong_file_of_roles_and_unknown_host_are_errors_that_name_them(tmp_path):
    path = tmp_path / "roles.toml"
    path.write_text('others = "watcher"\n\nguests = "player"\n')
    with pytest.raises(AssemblyError, match=r"roles\.toml, line 3: 'guests' is unknown"):
        with_roles(Options(roles=str(path)))
    with pytest.raises(AssemblyError, match=r"no host no\.such\.invalid to give a role to"):
        with_roles(Options(control=("no.such.invalid",)))
