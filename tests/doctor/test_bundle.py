"""File for a bug report: what is in it, and that nothing private is."""

import json
import os
import socket
import zipfile
from pathlib import Path

import pytest

from robojam.config.options import Options
from robojam.doctor import bundle
from robojam.doctor.finding import ok, problem, warning
from robojam.doctor.privacy import of_this_machine

FINDINGS = [
    ("disk", ok("9 GB free in /home/somebody/jams of annabelle")),
    (
        "network",
        problem("reached at 192.168.7.8 and 8.8.8.8", "ask Annabelle", "ssh pit-laptop"),
    ),
]
STATUS = {"mode": "duet", "players": [{"name": "human", "source": "192.168.7.9"}]}


def render(findings):
    return "\n".join(f"{name}: {found.found}" for name, found in findings)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Return the texts in a bundle, by their names, and the names it must not hold."""
    monkeypatch.setattr(bundle, "ask", lambda *_, **__: STATUS)
    environment = {"USER": "annabelle", "HOME": "/home/somebody", "HOSTNAME": "pit-laptop"}
    options = Options(
        sessions="/home/somebody/secret-gig/jams", log="/srv/secret-gig/x.log",
        osc_out=("ipad-of-zoe.example.org:9000",), control=("10.1.2.3",),
        sound_out="Annabelle's AirPods",
    )  # fmt: skip
    private = of_this_machine(options, environment)
    bundle.write(tmp_path / "b.zip", FINDINGS, render, options, private)
    with zipfile.ZipFile(tmp_path / "b.zip") as file:
        return {name: file.read(name).decode() for name in file.namelist()}


def test_bundle_holds_the_documented_files_and_nothing_private(written):
    documented = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text("utf-8")
    assert set(written) == {
        "README.txt", "doctor.txt", "doctor.json", "system.json", "options.json", "status.json",
    }  # fmt: skip
    for name in written:
        assert f"`{name}`" in documented
        assert name in written["README.txt"] or name == "README.txt"
    everything = "\n".join(written.values()).lower()
    for private in (
        "annabelle", "somebody/", "/home", "pit-laptop", "secret-gig", "ipad-of-zoe",
        "192.168.7.8", "192.168.7.9", "8.8.8.8", "10.1.2.3",
    ):  # fmt: skip
        assert private not in everything, private


def test_bundle_says_what_was_found(written):
    assert written["doctor.txt"] == (
        "disk: 9 GB free in ~/jams of USER\nnetwork: reached at 192.168.0.0/16 and PUBLIC-IPV4"
    )
    found = json.loads(written["doctor.json"])
    assert found["checks"][1]["status"] == "problem"
    assert found["checks"][1]["command"] == "ssh HOST"
    system = json.loads(written["system.json"])
    assert system["packages"]["msgspec"]
    options = json.loads(written["options.json"])
    assert (options["sessions"], options["log"]) == ("jams", "x.log")
    assert options["osc-out"] == ["HOST:9000"]
    assert options["control"] == ["10.0.0.0/8"]
    assert "role-rules" not in options
    assert json.loads(written["status.json"])["players"][0]["source"] == "192.168.0.0/16"


def test_bundle_is_whole_or_not_there(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "ask", lambda *_, **__: None)
    monkeypatch.setattr(zipfile.ZipFile, "writestr", fail)
    with pytest.raises(OSError, match="No space left"):
        bundle.write(
            tmp_path / "b.zip", FINDINGS, render, Options(), of_this_machine(Options(), {})
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("findings", "worst"),
    [
        ([ok("a")], "ok"), ([], "ok"), ([ok("a"), warning("b")], "warning"),
        ([warning("b"), problem("c"), ok("a")], "problem"),
    ],
)  # fmt: skip
def test_report_names_the_worst_status(findings, worst):
    report = bundle.report([("x", found) for found in findings])
    assert report["worst"] == worst
    assert (report["doctor"], len(report["checks"])) == (1, len(findings))


def test_memory_and_system_are_those_of_this_machine():
    system = bundle.system()
    assert system["cores"] == os.cpu_count()
    assert socket.gethostname() not in json.dumps(system)
