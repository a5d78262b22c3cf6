"""Commands in bad surroundings: one line that says what is wrong, and never a traceback."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from support.engine import command, run_program

from robojam.config.load import OptionsError, resolve
from robojam.config.options import OPTIONS, Options

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="of Linux")


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()


@linux
@pytest.mark.parametrize("arguments", [["serve"], ["sessions", "."], ["generate"]])
def test_deleted_current_folder_is_said_in_one_line(tmp_path, arguments):
    folder = tmp_path / "gone"
    folder.mkdir()
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", str(folder), *command(*arguments)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": sys.path[0]},
    )  # fmt: skip
    assert done.returncode == 2
    assert lines(done) == [
        "robojam: the current folder is gone: change to one that exists, as with cd"
    ]


@linux
@pytest.mark.parametrize("name", ["serve", "corpus"])
def test_limit_of_memory_is_said_in_one_line(name):
    limit = 100 << 20
    done = run_program(
        name, "x.csv", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    )
    assert done.returncode == 2
    (line,) = lines(done)
    assert line.startswith("robojam: a limit allows 104 MB of memory (ulimit -v)")


@linux
@pytest.mark.parametrize("closed", [[1], [2], [0, 1, 2]])
def test_closed_standard_files_are_no_error(tmp_path, closed):
    def close() -> None:
        for number in closed:
            os.close(number)

    done = run_program("sessions", str(tmp_path), preexec_fn=close)
    assert done.returncode == 0
    assert lines(done) == []


def test_text_that_is_not_utf8_is_refused_for_every_option_that_takes_one():
    options = [option for option in OPTIONS if option.kind in (str, tuple)]
    assert len(options) > 8
    for option in options:
        text = "a\udced\udcff"
        with pytest.raises(OptionsError) as refused:
            resolve({option.field: (text,) if option.kind is tuple else text}, None)
        assert option.name in str(refused.value)
        str(refused.value).encode()  # it can be printed
    resolve({"sessions": "é/日本"}, None)
    assert json.loads(msgspec.json.encode(Options(sessions="é")))["sessions"] == "é"


@pytest.mark.parametrize("safe", [[], ["-P"]])
def test_files_of_the_current_folder_are_not_imported(tmp_path, safe):
    for name in ("random", "msgspec", "click", "numpy", "socket", "sitecustomize", "pygame"):
        (tmp_path / f"{name}.py").write_text("import os; os._exit(77)")
    environment = {**os.environ, "PYTHONSTARTUP": str(tmp_path / "random.py")}
    for arguments in (["sessions", "."], ["generate", "--seconds", "1", "--to", "a.csv"]):
        done = subprocess.run(
            [sys.executable, *safe, "-m", "robojam", *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode, lines(done)) == (0, [])
