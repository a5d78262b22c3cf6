"""Model, GPU, sound, MIDI, display and network: with what is here, and with what is not."""

import shutil

import pytest
from support.display import display
from support.engine import MODEL
from support.jack import missing, peer, running

from robojam.config.options import Options
from robojam.doctor import audio, compute, midi, network
from robojam.doctor.checks import CHECKS
from robojam.doctor.runner import run_checks
from robojam.doctor.tools import Output
from robojam.player.devices import DeviceError
from robojam.ports import clock_port
from robojam.ports.midi_client import MidiError
from robojam.sound.device import BufferInfo, Device, NoSoundError


@pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
@pytest.mark.parametrize("voices", [1, 3])
def test_default_model_answers(voices):
    found = compute.check_model(Options(voices=voices, device="cpu"))
    assert found.status in ("ok", "warning")  # by how fast this machine is now
    assert "touch.safetensors answers on cpu" in found.found
    assert (" voices" in found.found) == (voices > 1)


def test_model_that_is_not_there_or_damaged_is_a_problem(tmp_path):
    found = compute.check_model(Options(model="nosuch", device="cpu"))
    assert (found.status, "nosuch" in found.found) == ("problem", True)
    damaged = tmp_path / "bad.safetensors"
    damaged.write_bytes(b"\xff" * 100)
    found = compute.check_model(Options(model=str(damaged), device="cpu"))
    assert (found.status, "bad.safetensors" in found.found) == ("problem", True)


@pytest.mark.parametrize(
    ("wanted", "likely", "chosen", "status", "text"),
    [
        ("auto", None, "cpu", "ok", "none that robojam could use"),
        ("auto", "cuda", "cuda", "ok", "NVIDIA H200: the model plays on it"),
        ("auto", "cuda", "cpu", "ok", "NVIDIA H200, not used"),
        ("cuda", "cuda", DeviceError("no torch"), "problem", "no torch"),
        ("cuda", None, DeviceError("has no device cuda"), "problem", "has no device cuda"),
        ("auto", "mps", "mps", "ok", "Apple silicon: the model plays on it"),
    ],
)
def test_gpu_is_used_or_not_needed_unless_it_is_asked_for(
    monkeypatch, wanted, likely, chosen, status, text
):
    def choose(_):
        if isinstance(chosen, Exception):
            raise chosen
        return chosen

    printed = "GPU 0: NVIDIA H200 (UUID: GPU-0a1b2c3d-secret)\n"
    monkeypatch.setattr(compute, "may_have", lambda device: device == likely)
    monkeypatch.setattr(compute, "choose_device", choose)
    monkeypatch.setattr(compute, "run_tool", lambda *_: Output(0, printed))
    found = compute.check_gpu(Options(device=wanted))
    assert found.status == status
    assert text in found.found
    assert "secret" not in found.found


@pytest.mark.parametrize("has_torch", [True, False])
def test_gpu_without_torch_is_told_how_to_be_used(monkeypatch, has_torch):
    monkeypatch.setattr(compute, "may_have", lambda device: device == "cuda")
    monkeypatch.setattr(compute, "choose_device", lambda _: "cpu")
    monkeypatch.setattr(compute, "has_torch", lambda: has_torch)
    monkeypatch.setattr(compute, "install_command", lambda package: f"install {package}")
    monkeypatch.setattr(compute, "run_tool", lambda *_: None)
    found = compute.check_gpu(Options())
    assert (found.status, "a GPU of NVIDIA, not used" in found.found) == ("ok", True)
    assert ("robojam[train]" in found.command) == (not has_torch)


def sounding(monkeypatch, info):
    def measure(*_, **__):
        if isinstance(info, Exception):
            raise info
        return info

    monkeypatch.setattr(audio, "measure", measure)
    monkeypatch.setattr(audio, "devices", lambda: [Device("Speakers", "ALSA")])


def info(buffer_ms):
    return BufferInfo("Speakers", "ALSA", 48000, 8.0, buffer_ms, 9.0, 0)


@pytest.mark.parametrize(
    ("found_info", "options", "status", "text"),
    [
        (info(8.0), {}, "ok", "Speakers (ALSA), 48 kHz, buffer 8 ms"),
        (info(93.0), {}, "warning", "heard late"),
        (info(0.0), {}, "warning", "asks for no sound"),
        (NoSoundError("no audio device was found"), {}, "warning", "plays without sound"),
        (NoSoundError("no device is named 'x'"), {"sound_out": "x"}, "problem", "named 'x'"),
        (NoSoundError("none"), {"sound": False}, "ok", "off"),
    ],
)
def test_sound_is_missing_late_or_ok(monkeypatch, found_info, options, status, text):
    sounding(monkeypatch, found_info)
    found = audio.check_audio(Options(**options))
    assert found.status == status
    assert text in found.found


PORTS = {"in": ["LinnStrument", "Foot", "c", "d", "e"], "out": ["Surge XT"]}


@pytest.mark.parametrize(
    ("listed", "options", "status", "text"),
    [
        (PORTS, {}, "ok", "in: LinnStrument, Foot, c and 2 more; out: Surge XT"),
        ({"in": [], "out": []}, {}, "ok", "in: no port; out: no port"),
        (PORTS, {"midi_in": ("linn/pedal",), "midi_out": ("virtual:x",)}, "ok", "in: Linn"),
        (PORTS, {"midi_out": ("Minilogue/scale",)}, "warning", "not there: output Minilogue."),
        (PORTS, {"controls": {"clock": "midi:linn"}}, "ok", "in: Linn"),
        (PORTS, {"controls": {"clock": "midi:drums"}}, "warning", "not there: input drums."),
        (PORTS, {"controls": {"clock_out": "TR-8S"}}, "warning", "not there: output TR-8S."),
        (MidiError("no rtmidi"), {}, "warning", "no rtmidi"),
        (MidiError("no rtmidi"), {"midi_in": ("linn",)}, "problem", "no rtmidi"),
    ],
)
def test_midi_ports_that_are_asked_for_are_looked_for(
    monkeypatch, listed, options, status, text
):
    def list_ports():
        if isinstance(listed, Exception):
            raise listed
        return listed

    monkeypatch.setattr(midi, "list_ports", list_ports)
    found = midi.check_midi(Options(**options))
    assert found.status == status
    assert text in found.found


@pytest.mark.parametrize(
    ("addresses", "osc_in", "status", "command"),
    [
        (["192.0.2.1"], "127.0.0.1:5005", "ok", "robojam jam --osc-in 0.0.0.0:5005"),
        (["192.0.2.1"], "localhost:7000", "ok", "robojam jam --osc-in 0.0.0.0:7000"),
        (["192.0.2.1"], "0.0.0.0:5005", "ok", ""),
        ([], "127.0.0.1:5005", "ok", ""),
        ([], "0.0.0.0:5005", "warning", ""),
    ],
)
def test_network_is_needed_where_others_are_listened_to(
    monkeypatch, addresses, osc_in, status, command
):
    monkeypatch.setattr(network, "addresses", lambda: addresses)
    found = network.check_network(Options(osc_in=osc_in))
    assert (found.status, found.command) == (status, command)
    assert ("192.0.2.1" in found.found) == bool(addresses)


def checked(name, monkeypatch, environment):
    """Run a check in a process of its own, with variables of the environment (None: unset)."""
    for variable, value in environment.items():
        if value is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, value)
    ((_, found),) = run_checks(Options(), [check for check in CHECKS if check.name == name])
    return found


@pytest.mark.parametrize(
    "environment",
    [
        {"DISPLAY": None, "WAYLAND_DISPLAY": None, "SDL_VIDEODRIVER": None},
        {"DISPLAY": ":987", "WAYLAND_DISPLAY": None, "SDL_VIDEODRIVER": "x11"},
    ],
)
def test_machine_without_a_display_is_a_warning(monkeypatch, environment):
    found = checked("display", monkeypatch, environment)
    assert found.status == "warning"
    assert "the engine alone, over OSC" in found.found


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="no Xvfb here")
def test_display_is_named_with_its_size(monkeypatch):
    with display("1024x600") as environment:
        names = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
        found = checked("display", monkeypatch, {n: environment.get(n) for n in names})
    assert (found.status, found.found) == ("ok", "1024x600 (x11)")


@pytest.mark.peer
@pytest.mark.skipif(missing() is not None, reason=missing() or "")
@pytest.mark.parametrize(
    ("clock", "installed", "status", "text"),
    [
        ("off", False, "ok", "clock off; Link needs the extra link"),
        ("internal", True, "ok", "clock internal; Link can be used"),
        ("link", True, "ok", "clock link; Link can be used"),
        ("link", False, "problem", "Ableton Link needs aalink, which is not installed: "),
        ("jack", False, "problem", "JACK's transport needs jack, which is not installed: "),
    ],
)
def test_clock_that_is_asked_for_can_be_used(monkeypatch, clock, installed, status, text):
    for module in (midi, clock_port):
        monkeypatch.setattr(module, "find_spec", lambda _: installed or None)
    found = midi.check_beat(Options(controls={"clock": clock}))
    assert (found.status, found.found.startswith(text)) == (status, True), found


def test_jack_has_sound_and_midi_ports(monkeypatch):
    with running(monkeypatch, period=256) as jack, peer(jack, "in", "Surge"):
        sound = checked("audio", monkeypatch, {})
        ports = checked("midi", monkeypatch, {})
    assert sound.status == "ok", sound.found
    assert "(JACK), 48 kHz, buffer" in sound.found
    assert ports.status == "ok"
    assert "Surge" in ports.found
