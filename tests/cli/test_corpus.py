"""The command robojam corpus: output, errors and exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
from support.commands import refusal, run
from support.models import STROKES, corpus, npz


def test_corpus_describes_each_file_and_all_together(data, tmp_path, capsys):
    table = tmp_path / "a.csv"
    table.write_text("time,x,y\n0,0.5,0.5\n0.1,0.6,0.5\nwhat\n")
    status, out, err = run(capsys, "corpus", data, table, "--to", tmp_path / "all.npz")
    assert (status, err) == (0, "")
    assert "some.npz (arrays): 4 performances, 107 touches" in out
    assert "lines that are not 3 numbers: 1 (line 4)" in out
    assert "in all         5 performances, 109 touches" in out
    assert "of 2 touches inferred" in out
    status, out, _ = run(capsys, "corpus", tmp_path / "all.npz", "--json")
    assert json.loads(out)["all"]["performances"] == 5


def test_corpus_describes_what_it_can_read_and_ends_with_status_2(data, tmp_path, capsys):
    bad = tmp_path / "bad.npz"
    bad.write_text("hello")
    status, out, err = run(capsys, "corpus", bad, data, tmp_path / "none")
    assert status == 2
    assert "in all         4 performances" in out
    assert [line.partition(": ")[2][:20] for line in err.splitlines()]
    assert err.count("\n") == 2
    status, _, err = run(capsys, "corpus", bad)
    assert status == 2
    assert err.count("\n") == 1
    kanji = npz(tmp_path / "k.npz", corpus(STROKES, [9, 9]))
    assert "cannot be joined" in refusal(capsys, "corpus", data, kanji)
    assert run(capsys, "corpus", kanji)[0] == 0


def test_corpus_never_replaces_what_it_reads(data, tmp_path, capsys):
    before, link = data.read_bytes(), tmp_path / "link.npz"
    link.hardlink_to(data)
    for to in (data, link):
        assert "among the data and would be replaced" in refusal(
            capsys, "corpus", data, "--to", to
        )
    assert data.read_bytes() == before


def test_corpus_writes_nothing_when_a_named_file_cannot_be_read(data, tmp_path, capsys):
    to = tmp_path / "joined.npz"
    to.write_bytes(b"as before")
    status, _, err = run(capsys, "corpus", data, tmp_path / "missing.csv", "--to", to)
    assert status == 2
    assert "missing.csv: cannot be read: No such file or directory" in err
    assert f"{to} is not written" in err
    assert to.read_bytes() == b"as before"
    (tmp_path / "missing.csv").write_text("hello")
    assert run(capsys, "corpus", tmp_path / "missing.csv", data, "--to", to)[0] == 2
    assert to.read_bytes() == b"as before"


def test_corpus_writes_its_file_though_the_reader_of_the_output_has_gone(data, tmp_path):
    to = tmp_path / "joined.npz"
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "robojam", "corpus", str(data), "--to", str(to)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(np.load(to)["touches"]) == 107  # and the lone one is left out
