"""A show from the command line: checks before the doors open, in real processes."""

import subprocess
from pathlib import Path

import pytest
from support.commands import refusal
from support.engine import MODEL, Client, address_of, command, first_line, run_program, stop

pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="no default model here")

#: Options of a show for which this machine has all that is needed.
QUIET = (
    "--show", "--no-sound", "--osc-in", "127.0.0.1:0", "--tuio-in", "none", "--device", "cpu",
)  # fmt: skip


def start(folder: Path, *arguments: str) -> tuple["subprocess.Popen[str]", Path]:
    """Start an engine; return it, and the file of what it prints to standard error."""
    printed = folder / "stderr.txt"
    with printed.open("w") as file:
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=file, text=True)
    return process, printed


def test_show_begins_where_nothing_is_missing_and_is_locked(tmp_path):
    arguments = command("serve", *QUIET, "--sessions", str(tmp_path))
    process, printed = start(tmp_path, *arguments)
    try:
        client = Client(address_of(first_line(process)))
        client.send("/robojam/mode", "s", "solo")
        client.send("/robojam/health")
        client.until(lambda: any(m.name == "health" for m in client.received))
        health = next(m.args for m in client.received if m.name == "health")
        status = client.ask(lambda s: s["dropped"].get("locked"))
        client.close()
    finally:
        stop(process)
    assert health[0] in ("ok", "warn")  # this machine may be busy
    assert (status["show"], status["mode"]) == (True, "call-response")
    assert "robojam: the show may begin: what it needs is here" in printed.read_text()


def test_show_does_not_begin_where_a_check_fails_and_says_which(tmp_path):
    (tmp_path / "file").write_text("no folder")
    wrong = (*QUIET, "--sessions", str(tmp_path / "file" / "folder"))
    done = run_program("serve", *wrong)
    assert (done.returncode, done.stdout) == (2, "")
    assert "problem  disk" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("robojam: the show does not begin: disk; --show-anyway")


def test_show_begins_all_the_same_if_it_is_told_to(tmp_path):
    (tmp_path / "file").write_text("no folder")
    wrong = (*QUIET, "--show-anyway", "--sessions", str(tmp_path / "file" / "folder"))
    process, printed = start(tmp_path, *command("serve", *wrong))
    try:
        client = Client(address_of(first_line(process)))
        status = client.ask(lambda s: s["health"]["state"] != "ok")
        client.close()
    finally:
        stop(process)
    assert "folder" in status["health"]["problems"][0]
    assert "robojam: the show begins although it lacks disk" in printed.read_text()


def test_name_that_is_no_control_cannot_be_allowed(capsys):
    err = refusal(capsys, "serve", "--show-allow", "temprature")
    assert "show-allow: no control is named 'temprature'; did you mean temperature?" in err
