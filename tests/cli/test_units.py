"""The option --units of the commands that read performances."""

from __future__ import annotations

from support.commands import refusal, run
from support.models import TOUCHES, corpus, npz


def test_every_command_that_reads_performances_takes_units(tmp_path, model, capsys):
    path = tmp_path / "a.csv"
    path.write_text("time,x,y\n" + "".join(f"{i / 50},{300 + 9 * i},200\n" for i in range(40)))
    to = tmp_path / "to"
    for command in (
        ["corpus", path, "--to", to.with_suffix(".npz")],
        ["train", path, "--to", to],
        ["train", path, "--to", to, "--from", model],
        ["evaluate", model, path],
        ["generate", "--from", path, "--to", to.with_suffix(".csv")],
    ):
        assert "outside 0..1 in 40 of 40 touches" in refusal(capsys, *command)
    units = ["--units", "px:1024x768"]
    status, out, _ = run(capsys, "corpus", path, *units)
    assert status == 0
    assert "touches read with --units px:1024x768: 40" in out
    assert run(capsys, "evaluate", model, path, *units)[0] == 0
    given = ["--from", path, "--to", to.with_suffix(".csv"), *units]
    assert run(capsys, "generate", *given, "--seconds", 1, "--model", model)[0] == 0
    short = "--passes 1 --width 8 --components 2 --hidden 8".split()
    assert run(capsys, "train", path, path, "--to", to, *units, *short)[0] == 0
    assert "--units goes with --from" in refusal(
        capsys, "generate", *units, "--to", to.with_suffix(".csv")
    )


def test_a_whole_number_of_units_is_the_width_of_a_model(tmp_path, capsys):
    data = npz(tmp_path / "a.npz", corpus(TOUCHES, [40, 30]))
    common = ["train", data, "--to", tmp_path / "m", *"--passes 1 --components 2".split()]
    assert "0" in refusal(capsys, *common, "--units", 0)
    assert "px:WIDTHxHEIGHT" in refusal(capsys, *common, "--units", "many")
