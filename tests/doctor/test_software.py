"""Packages that are needed, and extras that are missing."""

import tomllib
from importlib import metadata

import pytest
from support import ROOT

from robojam import __version__
from robojam.config.options import Options
from robojam.doctor import software
from robojam.doctor.software import by_extra, check_packages, check_versions, requirements

#: Lines of Requires-Dist, as build tools write them.
LINES = [
    "click>=8.5",
    "python-rtmidi>=1.5.4; python_version < \"3.13\"",
    "miniaudio>=1.60; platform_machine == 'x86_64' or platform_machine == 'arm64'",
    "miniaudio>=1.60; extra == 'sound'",
    'torch>=2.6; extra == "train"',
    "ruff>=0.8; extra == 'dev'",
    "PyGObject ; sys_platform == 'linux' and extra == 'link'",
]  # fmt: skip


def test_requirements_are_sorted_by_extra():
    assert by_extra(LINES) == (
        ["click"],
        {"sound": ["miniaudio"], "train": ["torch"], "link": ["PyGObject"]},
    )


def having(monkeypatch, *installed):
    monkeypatch.setattr(software, "requirements", lambda: LINES)
    monkeypatch.setattr(
        software, "version_of", lambda name: "1.0" if name in installed else None
    )
    return check_packages(Options())


def test_missing_extra_is_no_fault(monkeypatch):
    found = having(monkeypatch, "click", "miniaudio")
    assert (found.status, found.to_do) == ("ok", "")
    assert "extras: sound" in found.found
    assert "without train (training, GPU), link (optional)" in found.found


def test_missing_package_is_a_problem_with_what_to_type(monkeypatch):
    found = having(monkeypatch, "miniaudio")
    assert (found.status, found.found) == ("problem", "not installed: click")
    assert "click" in found.command


def test_checkout_that_is_not_installed_has_the_requirements_of_its_project(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    needed, extras = by_extra(requirements())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "msgspec" in needed
    assert set(extras) == set(project["optional-dependencies"]) - {"dev", "docs"}


@pytest.mark.parametrize(("bits", "status"), [(64, "ok"), (32, "warning")])
def test_python_of_32_bits_is_a_warning(monkeypatch, bits, status):
    monkeypatch.setattr(software.sys, "maxsize", (1 << (bits - 1)) - 1)
    found = check_versions(Options())
    assert found.status == status
    assert f"robojam {__version__}, Python 3." in found.found
