"""What commands print: names of files as they can be shown, and errors of a full disk."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from support import EXAMPLES, ROOT
from support.commands import run
from support.engine import command, run_program
from support.recordings import HEADER, LINE

from robojam.sessions.session import ModelRef, encode_header


@pytest.mark.skipif(sys.platform != "linux", reason="names of files need not be UTF-8 there")
def test_file_whose_name_is_not_utf_8_is_listed_escaped_named_and_written(tmp_path):
    folder = tmp_path / "s"
    folder.mkdir()
    odd = Path(os.fsdecode(os.fsencode(folder) + b"/\xff\x1b[31m.jsonl"))
    for path in (folder / "usual.jsonl", odd):
        shutil.copy(EXAMPLES[0], path)
    for _ in range(2):  # the second time from the cache
        listed = run_program("sessions", str(folder))
        assert (listed.returncode, listed.stderr) == (0, "")
        assert "usual" in listed.stdout
        assert r"\udcff\x1b[31m" in listed.stdout
    assert len(json.loads(run_program("sessions", str(folder), "--json").stdout)) == 2
    named = run_program("sessions", str(odd), "--name", "mine")
    assert (named.returncode, "mine" in named.stdout) == (0, True)
    assert "mine" in run_program("sessions", str(folder)).stdout
    corpus = run_program("corpus", str(folder), "--to", str(tmp_path / "c.npz"))
    assert corpus.returncode == 0
    assert "\x1b" not in corpus.stdout
    to = os.fsdecode(os.fsencode(tmp_path) + b"/\xfe\n.csv")
    written = run_program("export", str(odd), "--who", "human", "--to", to)
    assert written.returncode == 0
    assert written.stdout.count("\n") == 1
    missing = run_program("replay", str(odd) + "x")
    assert missing.returncode == 2
    assert missing.stderr.isascii()
    assert "\x1b" not in missing.stderr


def test_names_in_a_recording_that_fill_screens_are_cut_in_the_list(tmp_path, capsys):
    options = {"mode": "m" * 5000}
    model = ModelRef("n" * 4000, "ab12")
    header = msgspec.structs.replace(HEADER, model=model, options=options)
    (tmp_path / "jam.jsonl").write_bytes(encode_header(header) + LINE)
    status, out, _ = run(capsys, "sessions", tmp_path)
    assert status == 0
    assert max(map(len, out.splitlines())) < 400


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    "arguments", [("sessions", "sessions"), ("--help",), ("init", "--print")]
)
def test_output_to_a_full_disk_is_one_line_and_status_1(arguments):
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            command(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "No space left on device" in ran.stderr


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "mid", "wav"])
def test_generate_on_a_disk_that_fills_writes_all_files_or_none(suffix, tmp_path):
    """The third file is the first for which there is no space."""
    program = """
import sys
from robojam.cli import main
from robojam.export import writers
write, left = writers.atomic_write, [2]
def limited(path):
    left[0] -= 1
    if left[0] < 0:
        raise OSError(28, "No space left on device")
    return write(path)
writers.atomic_write = limited
main(sys.argv[1:])
"""
    before = tmp_path / f"a-1.{suffix}"
    before.write_text("before")
    arguments = ("generate", "--count", "4", "--seconds", "1", "--to", tmp_path / f"a.{suffix}")
    ran = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True
    )
    assert ran.returncode == 2
    assert "No space left on device" in ran.stderr
    assert list(tmp_path.iterdir()) == [before]
    assert before.read_text() == "before"


@pytest.mark.parametrize(
    "option", [("--temperature", "0.5"), ("--spread", "1"), ("--seed", "1")]
)
def test_evaluate_refuses_an_option_of_play_without_play(option, tmp_path):
    ran = run_program("evaluate", "touch", str(tmp_path), *option)
    assert ran.returncode == 2
    assert f"{option[0]} goes with --play" in ran.stderr
