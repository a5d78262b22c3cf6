"""Commands run within the test's process."""

from __future__ import annotations

import os

import pytest

from robojam.cli import main
from support import ROOT


def hide_packages(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Hide packages from the programs that are started from here, and from their children."""
    paths = [str(ROOT / "tests" / "support" / "without"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("ROBOJAM_WITHOUT", " ".join(names))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run a command; return its status, and what it printed to output and error."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return (int(left.value.code or 0), *capsys.readouterr())


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 2) -> str:
    """Run a command that must fail; return the one line that it prints."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (status, "")
    assert err.startswith("robojam: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err
