"""Files that are replaced as a whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from robojam.system.atomic_file import atomic_write


def test_complete_file_replaces_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with atomic_write(path) as part:
        part.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("wrong", [ValueError, KeyboardInterrupt])
def test_block_that_raises_leaves_the_old_file_and_no_other(tmp_path, wrong):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def half() -> None:
        with atomic_write(path) as part:
            part.write_text("half")
            raise wrong

    with pytest.raises(wrong):
        half()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


posix = pytest.mark.skipif(os.name == "nt", reason="has no such files or limits")
EXAMPLE = str(Path(__file__).parents[2] / "sessions" / "example.jsonl")
#: Runs a command where files cannot grow past a kilobyte, as on a disk that fills up.
FULL = """
import resource, sys
from robojam.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
main(sys.argv[1:])
"""


@posix
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *((f"a.{kind}", ("export", EXAMPLE)) for kind in ("csv", "mid", "npz", "png", "wav")),
        ("a.jsonl", ("replay", EXAMPLE, "--regenerate")),
    ],
)
def test_command_on_a_full_disk_leaves_the_old_file(
    name, arguments, tmp_path, tmp_path_factory
):
    path = tmp_path / name
    alone = ("--who", "human") if name == "a.csv" else ()  # else it is a file for each
    path.write_text("before")
    ran = subprocess.run(
        [sys.executable, "-c", FULL, *arguments, *alone, "--to", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        # Without a cache of fonts, as on a new machine: matplotlib cannot write that either.
        env=os.environ | {"MPLCONFIGDIR": str(tmp_path_factory.mktemp("matplotlib"))},
    )
    assert ran.returncode == 2, ran
    assert ran.stderr.count("\n") == 1, ran.stderr
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_init_on_a_full_disk_leaves_no_file(tmp_path):
    path = tmp_path / "a.toml"
    ran = subprocess.run(
        [sys.executable, "-c", FULL, "init", str(path)], capture_output=True, check=False
    )
    assert ran.returncode == 2, ran
    assert not list(tmp_path.iterdir())


@posix
def test_path_that_is_no_regular_file_is_written_to_directly(tmp_path):
    null = tmp_path / "null"
    null.symlink_to("/dev/null")
    with atomic_write(null) as part:
        part.write_text("x")
    assert null.is_symlink()
    assert null.is_char_device()


def test_folder_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "none" / "a.txt") as part:
        part.write_text("x")
