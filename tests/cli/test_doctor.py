"""The command doctor: its screen, its JSON, its status, and its file for a bug report."""

import json
import os
import pty
import re
import select
import socket
import subprocess
import zipfile

import pytest
from support.commands import refusal, run
from support.engine import PATIENCE, command, run_program, serving, stop

from robojam.cli.doctor import lines, summary
from robojam.doctor import runner
from robojam.doctor.checks import CHECKS
from robojam.doctor.finding import ok, problem, warning
from robojam.ports import discovery

#: Options of a jam for which nothing of this machine is a problem.
QUIET = ("--no-sound", "--osc-in", "127.0.0.1:0", "--tuio-in", "none", "--device", "cpu")
LONG = "a/long_word/" * 20


@pytest.fixture
def finding(monkeypatch):
    """Have the checks find this."""

    def have(*found):
        named = [(f"check{i}", each) for i, each in enumerate(found)]
        monkeypatch.setattr(runner, "run_checks", lambda _: iter(named))

    return have


def test_every_check_of_this_machine_is_in_the_json_with_the_documented_keys():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        done = run_program("doctor", "--json", *QUIET, "--osc-in", address)
    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert set(report) == {"doctor", "robojam", "worst", "checks"}
    assert (report["doctor"], report["worst"]) == (1, "problem")
    assert [check["check"] for check in report["checks"]] == [check.name for check in CHECKS]
    for check in report["checks"]:
        assert set(check) == {"check", "status", "found", "to_do", "command"}
        assert check["status"] in ("ok", "warning", "problem")
        assert all(isinstance(value, str) for value in check.values())
        assert check["found"]
        assert "could not be checked" not in check["found"]
    by_name = {check["check"]: check for check in report["checks"]}
    assert by_name["osc-in"]["status"] == "problem"
    assert f"{address} is held by" in by_name["osc-in"]["found"]


def test_running_engine_is_seen_and_its_status_is_in_the_bundle(tmp_path):
    home = tmp_path / "annabelle-home"
    home.mkdir()
    file = tmp_path / "bundle.zip"
    environment = {
        **os.environ, "HOME": str(home), "USER": "annabelle", "LOGNAME": "annabelle",
        "HOSTNAME": "pit-laptop",
    }  # fmt: skip
    with serving(home / "sessions") as engine:
        address = f"127.0.0.1:{engine.address[1]}"
        options = (*QUIET, "--osc-in", address, "--sessions", str(home / "sessions"))
        done = run_program("doctor", "--bundle", str(file), *options, env=environment)
    assert done.returncode == 0, done.stdout
    assert f"{address} is held by a running robojam" in " ".join(done.stdout.split())
    assert str(file) in done.stderr
    with zipfile.ZipFile(file) as bundle:
        texts = {name: bundle.read(name).decode() for name in bundle.namelist()}
    assert json.loads(texts["status.json"])["mode"] == "call-response"
    everything = "\n".join([*texts, *texts.values()]).lower()
    addresses = discovery.addresses()
    for private in ("annabelle", "pit-laptop", socket.gethostname(), str(tmp_path), *addresses):
        assert private.lower() not in everything, private
    assert json.loads(texts["options.json"])["sessions"] == "sessions"


def test_file_that_exists_is_not_changed(tmp_path, capsys):
    file = tmp_path / "b.zip"
    file.write_text("mine")
    assert "is there already" in refusal(capsys, "doctor", "--bundle", file)
    link = tmp_path / "link.zip"
    link.symlink_to(tmp_path / "nowhere")
    assert "is there already" in refusal(capsys, "doctor", "--bundle", link)
    missing = refusal(capsys, "doctor", "--bundle", tmp_path / "no" / "b.zip")
    assert "not a file in a folder that can be written to" in missing
    assert file.read_text() == "mine"


def test_bundle_that_cannot_be_written_is_one_line(tmp_path, capsys, finding, monkeypatch):
    finding(ok("fine"))

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("robojam.doctor.bundle.write", fail)
    status, _, err = run(capsys, "doctor", "--bundle", tmp_path / "b.zip")
    assert status == 2
    assert err == f"robojam: {tmp_path / 'b.zip'} cannot be written: No space left on device\n"


def test_wrong_option_is_refused_before_anything_is_checked(capsys, finding):
    finding(ok("not to be seen"))
    assert "voices" in refusal(capsys, "doctor", "--voices", "0")
    assert "--osc-on" in refusal(capsys, "doctor", "--osc-on", "5005")


@pytest.mark.parametrize(
    ("found", "status", "last"),
    [
        ([ok("a")], 0, "All is well."),
        ([ok("a"), warning("b")], 0, "1 warning: a jam plays."),
        ([problem("a"), warning("b"), problem("c")], 1,
         "2 problems and 1 warning: a jam needs the problems solved."),
    ],
)  # fmt: skip
def test_status_is_1_only_where_there_is_a_problem(capsys, finding, found, status, last):
    finding(*found)
    code, out, err = run(capsys, "doctor")
    assert (code, out.splitlines()[-1], err) == (status, last, "")
    code, out, _ = run(capsys, "doctor", "--json")
    assert (code, len(json.loads(out)["checks"])) == (status, len(found))


def test_lines_fit_their_width_but_for_what_is_to_be_copied():
    found = problem("word " * 40, "advice " * 20, f"sudo {LONG}")
    printed = list(lines("real-time", found, 80))
    assert printed[0].startswith("problem  real-time word word")
    assert max(map(len, printed[:-1])) <= 80
    assert printed[-1].strip() == f"sudo {LONG}"
    advice = next(line for line in printed if "→" in line)
    assert advice.startswith(" " * 19 + "→ advice")
    assert "\x1b" not in "".join(printed)


def test_text_from_outside_cannot_move_the_cursor():
    printed = "".join(lines("midi", ok("in: \x1b[2Jport\r\nx\u202e", "", "a\x1bb"), 80))
    assert printed.isprintable()


def test_summary_counts_what_was_found():
    assert summary([("a", ok(""))]) == "All is well."


def test_terminal_of_80_columns_shows_colours_and_nothing_wider(tmp_path):
    outer, inner = pty.openpty()
    os.set_blocking(outer, False)
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        command("doctor", *QUIET, "--sessions", str(tmp_path)),
        stdout=inner, stderr=inner, env=environment,
    )  # fmt: skip
    os.close(inner)
    shown = b""
    try:
        while select.select([outer], [], [], PATIENCE)[0]:
            try:
                part = os.read(outer, 4096)
            except OSError:  # the end of a terminal, on Linux
                break
            if not part:
                break
            shown += part
        assert process.wait(PATIENCE) == 0
    finally:
        stop(process)
        os.close(outer)
    text = shown.decode()
    assert "\x1b[32mok       \x1b[0mrobojam" in text
    plain = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in text.splitlines()]
    starts = [line.split()[1] for line in plain if re.match(r"(ok|warning|problem) ", line)]
    assert starts == [check.name for check in CHECKS]
    commands = ("robojam jam --osc-in", "sudo ")
    too_wide = [w for w in plain if len(w) > 80 and not w.strip().startswith(commands)]
    # A path without a space cannot be broken.
    assert [w for w in too_wide if len(w.split()) > 2 and str(tmp_path) not in w] == []
