"""Parts of a job on a cluster: the results of one machine, also where processes are lost."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from support.commands import run
from support.models import TOUCHES, small
from threadpoolctl import threadpool_limits

from robojam.cluster import connect
from robojam.cluster.connect import ClusterError
from robojam.cluster.jobs import generate_on, measure_on, score_on
from robojam.cluster.models import SentModel, receive, send
from robojam.cluster.tasks import run_tasks
from robojam.corpus.corpus import TOUCH, Corpus
from robojam.evaluation.likelihood import score
from robojam.model.file import ModelFileError, folder, read
from robojam.player.generate import generate

SMALL = folder() / "small.safetensors"
SAMPLING = {"seconds": 0.5, "seed": 5, "temperature": 1.0, "spread": 1.0}


@pytest.fixture(autouse=True)
def _functions_of_this_module(cluster):
    """Send the functions below with a part: other processes cannot import this module."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def nothing(ended: int, total: int) -> None:
    pass


def square(offset: int, number: int) -> int:
    return offset + number**2


def die_once(folder: str, number: int) -> int:
    """Kill this process, unless one has died here before."""
    mark = Path(folder) / str(number)
    if number and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(_number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(_number: int) -> None:
    raise ModelFileError("a model that cannot be played")


def performances(*lengths: int) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    made = []
    for length in lengths:
        touches = random.random((length, 4))
        touches[:, 2] *= 0.05
        touches[:, 3] = touches[:, 3] > 0.2
        made.append(touches)
    return made


def test_results_come_with_the_indices_of_their_parts(cluster):
    results = dict(run_tasks(cluster, square, [(n,) for n in range(20)], shared=[100]))
    assert results == {n: 100 + n**2 for n in range(20)}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_lost_process_costs_its_part_alone(cluster, tmp_path):
    results = dict(run_tasks(cluster, die_once, [(str(tmp_path), n) for n in range(4)]))
    assert results == {n: n for n in range(4)}
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_part_that_is_lost_again_and_again_ends_the_job(cluster):
    with pytest.raises(ClusterError, match="a part was lost 4 times"):
        list(run_tasks(cluster, die, [(0,)]))


def test_error_of_a_part_is_raised_as_it_is_on_one_machine(cluster):
    with pytest.raises(ModelFileError) as caught:
        list(run_tasks(cluster, refuse, [(0,)]))
    assert str(caught.value) == "a model that cannot be played"


def test_model_with_another_hash_is_refused():
    sent = send([SMALL])[0]
    assert receive(sent).sha256 == read(SMALL).sha256
    with pytest.raises(ModelFileError, match=r"the model small\.safetensors came with hash"):
        receive(SentModel(sent.name, "ab" * 32, sent.data))


@pytest.mark.parametrize("follow", [0.0, 0.5])
def test_takes_of_a_cluster_are_those_of_one_machine(cluster, follow):
    model = SMALL if not follow else folder() / "touch.safetensors"
    beginnings = performances(*([0, 3, 9] * (30 if not follow else 12)))
    seen: list[tuple[int, int]] = []
    options = {**SAMPLING, "follow": follow, "memory": 0.0}
    made = generate_on(cluster, model, beginnings, lambda *state: seen.append(state), **options)
    with threadpool_limits(1):
        here = generate(read(model), beginnings, **options)
    assert len(made) == len(here)
    assert all(np.array_equal(one, other) for one, other in zip(made, here, strict=True))
    assert seen[0][0] == 0
    assert seen[-1] == (len(seen) - 1, len(seen) - 1)
    assert len(seen) > 2


def test_scores_of_a_cluster_are_those_of_one_machine(cluster, tmp_path):
    from support.models import described

    from robojam.model.mdrnn import save

    model = small(TOUCHES)
    path = tmp_path / "model.safetensors"
    save(model, path, described(model))
    corpora = []
    for seed in range(2):
        lengths = np.random.default_rng(seed).integers(1, 12, 100)
        touches = np.concatenate(performances(*lengths)).astype(np.float32)
        corpora.append(Corpus(touches, lengths, TOUCH, f"c{seed}"))
    on_cluster = score_on(cluster, path, corpora, nothing)
    assert on_cluster == [score(model, corpus, flagless=True) for corpus in corpora]


def test_parts_of_a_measurement_keep_their_order(cluster):
    from functools import partial

    measured = measure_on(cluster, nothing)
    assert measured([partial(square, 1, n) for n in range(3)]) == [1, 2, 5]


def test_commands_write_and_print_what_they_do_without_a_cluster(
    cluster, tmp_path, capsys, monkeypatch
):
    # A program has one connection, and this one has it.
    monkeypatch.setattr(connect, "connected", lambda _address: nullcontext(cluster))
    written, printed = [], []
    for name, where in (("here.npz", ()), ("there.npz", ("--ray", "local"))):
        asked = ("--model", "small", "--seconds", "1", "--count", "40", "--seed", "3")
        assert run(capsys, "generate", *asked, "--to", tmp_path / name, *where)[0] == 0
        written.append((tmp_path / name).read_bytes())
        data = tmp_path / "here.npz"
        printed.append(run(capsys, "evaluate", "small", data, "--json", *where))
    assert written[0] == written[1]
    assert printed[0] == printed[1]
    assert printed[0][0] == 0
