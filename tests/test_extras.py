"""Packages that playing does without: what works without them, and how to get them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support import ROOT
from support.commands import hide_packages, refusal
from support.engine import MODEL, run_program, serving

from robojam.player import devices
from robojam.player.devices import DeviceError, choose_device
from robojam.system.install import EXTRAS, missing_package, require

EXAMPLE = ROOT / "sessions" / "example.jsonl"


@pytest.fixture
def without_extras(monkeypatch):
    """Start programs as in an environment that has robojam without extras."""
    hide_packages(monkeypatch, *EXTRAS, "numba", "zeroconf")


@pytest.fixture
def no_extras(monkeypatch):
    """Hide the packages from this process."""
    for name in EXTRAS:
        monkeypatch.setitem(sys.modules, name, None)


def test_block_reaches_the_programs_that_robojam_starts(without_extras):
    child = "[sys.executable, '-P', '-c', 'import torch']"
    code = f"import subprocess, sys; subprocess.run({child})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ModuleNotFoundError" in ran.stderr


def test_machine_plays_and_records_without_extras(tmp_path, without_extras):
    # auto: on a machine with a GPU, too
    with serving(tmp_path, "--mode", "solo", "--seed", "3", "--device", "auto") as engine:
        engine.out.until(lambda: sum("/ai/" in m.address for m in engine.out.received) > 10)
        assert engine.end() == 0
    assert len(list(tmp_path.glob("*.jsonl"))) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("replay", EXAMPLE, "--speed", "1000", "--no-sound", "--no-window"),
        ("generate", "--seconds", "2", "--to", "new.csv"),
        ("generate", "--from", EXAMPLE, "--seconds", "2", "--to", "new.mid"),
        ("export", EXAMPLE, "--to", "jam.csv"),
        ("export", EXAMPLE, "--to", "jam.html"),
        ("export", EXAMPLE, "--to", "jam.mid"),
        ("export", EXAMPLE, "--to", "jam.npz"),
        ("export", EXAMPLE, "--to", "jam.wav"),
        ("sessions", EXAMPLE.parent),
        ("corpus", EXAMPLE),
        ("ports",),
        ("init",),
    ],
    ids=lambda arguments: " ".join(str(a) for a in arguments if not hasattr(a, "parent")),
)
def test_command_does_without_extras(arguments, tmp_path, without_extras):
    ran = run_program(*map(str, arguments), cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr


def test_recording_is_made_again_without_extras(tmp_path, without_extras):
    to = tmp_path / "again.jsonl"
    ran = run_program("replay", str(EXAMPLE), "--regenerate", "--to", str(to))
    assert ran.stderr == ""  # the status tells whether the result is the same
    assert to.exists()


@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        (("train", EXAMPLE, "--to", "new.safetensors"), "torch"),
        (("train", EXAMPLE, "--to", "new.safetensors", "--resume"), "torch"),
        (("train", EXAMPLE, "--to", MODEL, "--matcher-only"), "torch"),
        (("evaluate", MODEL, EXAMPLE), "torch"),
        (("evaluate", MODEL, EXAMPLE, "--play"), "torch"),
        (("evaluate", MODEL, EXAMPLE, "--play", "--quick"), "sklearn"),
        (("export", EXAMPLE, "--to", "jam.png"), "matplotlib"),
        (("export", EXAMPLE, EXAMPLE, "--to", "sheet.png"), "matplotlib"),
        *(((name, "--device", device), "torch")
          for name in ("serve", "jam") for device in ("cuda", "mps")),
        (("replay", EXAMPLE, "--regenerate", "--to", "x.jsonl", "--device", "cuda"), "torch"),
        (("serve", "--web"), "aiohttp"),
        (("jam", "--web"), "aiohttp"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(map(str, value[:1])),
)  # fmt: skip
def test_command_that_needs_an_extra_says_in_one_line_what_to_type(
    arguments, package, tmp_path, without_extras
):
    arguments = [str(argument) for argument in arguments]
    ran = run_program(*arguments, cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("robojam: ")
    assert ran.stderr.count("\n") == 1
    assert f"needs {package}, which is not installed: " in ran.stderr
    assert f"robojam[{EXTRAS[package]}]" in ran.stderr
    assert not list(tmp_path.iterdir())


def test_option_that_needs_an_extra_is_refused_before_any_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = ("--play", "--page", tmp_path / "page.png")
    text = refusal(capsys, "evaluate", MODEL, EXAMPLE, *page)
    assert "evaluate needs matplotlib, which is not installed" in text


def test_mixture_library_without_torch_says_what_to_type(without_extras):
    ran = subprocess.run(
        [sys.executable, "-c", "import robojam.mixture"], capture_output=True, text=True
    )
    last = ran.stderr.splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: robojam.mixture needs torch")
    assert "pip install 'robojam[train]'" in last


def test_device_without_torch_or_driver_says_both(monkeypatch, no_extras):
    for driver in (True, False):
        monkeypatch.setattr(devices, "may_have", lambda _, driver=driver: driver)
        assert choose_device("auto") == choose_device("cpu") == "cpu"
        with pytest.raises(DeviceError, match="device cuda needs torch, which is") as caught:
            choose_device("cuda")
        assert ("seems to have no device cuda" in str(caught.value)) is not driver


def test_text_is_of_listed_packages_alone(no_extras):
    assert "robojam[report]" in str(missing_package("this", "sklearn.svm"))
    assert missing_package("this", "another") is None
    assert missing_package("this", None) is None


def test_first_missing_package_is_required(no_extras):
    require("sys", "json")
    with pytest.raises(ModuleNotFoundError) as caught:
        require("sys", "matplotlib", "torch")
    assert caught.value.name == "matplotlib"
