"""The world model: its game, its dream, its controllers, pictures of a jam, and refusals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import EXAMPLES, ROOT
from support.commands import hide_packages

pytest.importorskip("gymnasium")
pytest.importorskip("cma")

import gymnasium
import numpy as np
import world_model
from _run import InputError, options, run
from gymnasium.utils.env_checker import check_env
from world_model import Controller, CurtainVector, Memory, Size, World

from robojam.sessions.session import read

torch.set_num_threads(1)
SIZE = Size(latents=4, units=8, channels=4, population=6, generations=4, tries=5)


def test_game_is_an_environment_of_gymnasium():
    check_env(gymnasium.make(world_model.GAME).unwrapped, skip_render_check=True)
    many = gymnasium.make_vec(world_model.GAME, 3, vectorization_mode="vector_entry_point")
    frames, _ = many.reset(seed=[1, 2, 1])
    assert many.observation_space.contains(frames)
    assert np.array_equal(frames[0], frames[2])
    assert not np.array_equal(frames[0], frames[1])


def still(game: CurtainVector) -> tuple:
    return game.step(np.zeros((game.num_envs, 1), np.float32))


def test_ball_is_seen_above_and_below_the_curtain_and_not_behind_it():
    game = CurtainVector(40)
    game.reset(seed=0)
    top, bottom = game.CURTAIN
    for _ in range(16):
        frames, *_ = still(game)
        assert len(np.unique(frames[:, top:bottom])) == 1  # whatever the ball's place
        lit = np.delete(frames, slice(top, bottom), 1)[:, : int(game.BAR) - bottom + top]
        y = game.ball[0, 1]  # the same for all
        if game.hidden.any():
            assert game.hidden.all()
            assert not lit.any()
        elif y < top or y > bottom + 0.5:
            assert (lit.reshape(40, -1).max(-1) > 120).all()


def test_bar_cannot_note_where_the_ball_was_seen():
    game = CurtainVector(40)
    frames, _ = game.reset(seed=0)
    hard = np.where(np.arange(40)[:, None] < 20, 1, -1).astype(np.float32)
    bar = frames[:, int(game.BAR) :].max((1, 2, 3))
    while not game.hidden.all():
        assert (game.bar == world_model.SIDE / 2).all()
        assert (bar < 140).all()  # it is dim
        frames, reward, *_ = game.step(hard)
        assert not reward.any()
        bar = frames[:, int(game.BAR) :].max((1, 2, 3))
    for _ in range(3):
        frames, *_ = game.step(hard)
    assert (game.bar[:20] > 12).all()
    assert (game.bar[20:] < 12).all()
    assert (frames[:, int(game.BAR) :].max((1, 2, 3)) > 240).all()


def test_free_bar_reaches_every_place_and_after_the_curtain_few():
    reached = []
    for when in ("behind it", "below it"):
        game = CurtainVector(400)
        game.reset(seed=0)
        ended = np.zeros(400, bool)
        while not ended.any() and not game.caught.any():
            seen = when == "behind it" or game.ball[0, 1] > game.CURTAIN[1] - 1
            towards = np.sign(game.ball[:, :1] - game.bar[:, None]) * seen
            _, _, ended, *_ = game.step(towards.astype(np.float32))
        reached.append((game.caught > 0).mean())
    assert reached[0] == 1
    assert reached[1] < 0.5


def test_bar_under_the_ball_catches_ten_and_elsewhere_misses_the_first():
    game = CurtainVector(2)
    game.reset(seed=[5, 5])
    total, ends = np.zeros(2), np.zeros(2)
    done = np.zeros(2, bool)
    while not done.all():
        game.bar[:] = game.ball[0, 0], (game.ball[1, 0] + 12) % 24
        _, reward, ended, over, _ = still(game)
        total += reward * ~done
        ends += ended & ~done
        done |= ended | over
    free = game.FRAMES - game.HELD
    assert total.tolist() == [game.BALLS * free, 0]
    assert ends.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("CartPole-v1", "V sees images"),
        ("Nowhere-v0", "there is no environment Nowhere-v0"),
    ],
)
def test_environment_that_cannot_be_used_is_refused(name, reason):
    with pytest.raises(InputError, match=reason):
        World(name, 24)


def test_environment_whose_package_is_missing_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "Box2D", None)
    monkeypatch.delitem(sys.modules, "gymnasium.envs.box2d", raising=False)
    monkeypatch.delitem(sys.modules, "gymnasium.envs.box2d.car_racing", raising=False)
    with pytest.raises(
        InputError, match=r"CarRacing-v3 is not installed: .*gymnasium\[box2d\]"
    ):
        World("CarRacing-v3", 64)


def test_program_without_gymnasium_says_in_one_line_what_to_type(monkeypatch):
    hide_packages(monkeypatch, "gymnasium")
    ran = subprocess.run(
        [sys.executable, ROOT / "examples" / "world_model.py", "--quick"],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert "needs gymnasium, which is not installed" in ran.stderr
    assert "robojam[examples]" in ran.stderr
    assert ran.stderr.count("\n") == 1


def evaluate(candidates: Controller, generation: int) -> torch.Tensor:
    """Return how near candidates are to a known controller, up to noise."""
    noise = torch.randn(
        len(candidates.weights), generator=torch.Generator().manual_seed(generation)
    )
    return -(candidates.weights - 0.5).square().flatten(1).sum(-1) + 0.01 * noise


def evolve(path: Path, size: Size = SIZE, *, evaluate=evaluate, resume: bool = False):
    return world_model.evolve(
        evaluate,
        (1, 5),
        size,
        sees_memory=False,
        label="C",
        seed=3,
        checkpoint=path,
        resume=resume,
    )


def test_controllers_get_better_and_a_stopped_search_goes_on_as_the_same(tmp_path):
    size = Size(population=8, generations=30)
    straight, curve = evolve(tmp_path / "a.run", size)
    assert curve[-1] > curve[0] + 0.5
    assert float((straight.weights - 0.5).abs().max()) < 0.5

    def interrupted(candidates, generation):
        if generation == 12:
            signal.raise_signal(signal.SIGINT)
        return evaluate(candidates, generation)

    stopped, short = evolve(tmp_path / "b.run", size, evaluate=interrupted)
    assert len(short) == 13
    assert not torch.equal(stopped.weights, straight.weights)
    resumed, whole = evolve(tmp_path / "b.run", size, resume=True)
    assert whole == curve
    assert torch.equal(resumed.weights, straight.weights)


def test_controller_acts_for_each_candidate_by_its_own_weights():
    weights = torch.zeros(2, 1, 5)
    weights[1, 0, -1] = 9.0
    latent, state = torch.randn(6, 4), (torch.zeros(1, 6, 8), torch.zeros(1, 6, 8))
    action = Controller(weights, sees_memory=False).act(latent, state)
    assert action[:, 0].tolist() == pytest.approx([0, 0, 0, 1, 1, 1], abs=1e-4)
    deaf = torch.zeros(1, 1, 13)
    deaf[0, 0, 4] = 1.0
    state[1][0, 2, 0] = 3.0
    action = Controller(deaf, sees_memory=True).act(latent, state)
    assert action[2, 0] == pytest.approx(torch.tanh(torch.tensor(3.0)).item())


def memory_that_ends(chance: float, reward: float) -> Memory:
    """Return an M in whose dream each step has this reward, and may be the last."""
    torch.manual_seed(0)
    memory = Memory(1, SIZE)
    with torch.no_grad():
        memory.end.weight.zero_()
        memory.end.bias.fill_(torch.logit(torch.tensor(chance)).item())
        memory.reward.linear.weight.zero_()
        memory.reward.linear.bias.zero_()
        memory.reward.linear.bias[2:4] = reward  # the means of its two components
    return memory


def test_dream_counts_rewards_to_its_end_and_temperature_moves_the_end():
    starts = torch.randn(400, 4)

    def act(latent, _state):
        return torch.zeros(len(latent), 1)

    def mean(chance: float, temperature: float = 1.0) -> float:
        memory = memory_that_ends(chance, 0.5)
        torch.manual_seed(1)
        total = world_model.dream(memory, act, starts, steps=200, temperature=temperature)
        return float(total.mean())

    assert mean(1 - 1e-6) == pytest.approx(0.5)
    assert mean(0.1) == pytest.approx(5, rel=0.25)
    assert mean(0.1, temperature=2.0) < 3  # 1 in 4 steps is the last


def test_memory_loss_counts_no_step_after_the_end():
    torch.manual_seed(0)
    memory = Memory(1, SIZE)
    shape = (5, 9)
    mask = torch.arange(9) < torch.tensor([9, 4, 1, 7, 2])[:, None]
    given = [torch.randn(5, 10, 4), torch.full((5, 10, 4), -20.0), torch.randn(*shape, 1)]
    seen = world_model.Seen(*given, torch.rand(shape), torch.rand(shape) < 0.5, mask)
    before = memory.loss(seen)
    seen.mean[1, 6:], seen.rewards[1, 4:], seen.actions[1, 5:] = 1e3, 1e3, 1e3
    torch.testing.assert_close(memory.loss(seen), before)


def test_pictures_of_a_jam_show_who_plays_and_paths_fade():
    session = read(EXAMPLES[0])
    frames, humans = world_model.pictures(session)
    assert frames.shape == (int(session.duration * world_model.PICTURES) + 1, 1, 24, 24)
    frames, humans = frames[1:], humans[:-1]  # what is done leads to the next picture
    down = humans[:, 2] > 0
    assert 0.1 < float(down.float().mean()) < 0.9
    for image, (x, y, _) in zip(frames[down][::20], humans[down][::20], strict=True):
        row, column = min(int(24 * y), 23), min(int(24 * x), 23)
        assert int(image[0, row, column]) > 150
    silent = frames[~down].float().flatten(1).max(-1).values
    assert float(silent.median()) < 180  # the machine alone is darker


def test_turned_pictures_have_their_touches_where_the_light_is():
    frames, humans = world_model.pictures(read(EXAMPLES[0]))
    at = int(humans[:, 2].nonzero()[3])
    views, places = world_model.turned(frames[at + 1 : at + 2], humans[at : at + 1])
    assert len({view.numpy().tobytes() for view in views}) == 8
    for view, (x, y, down) in zip(views[:, 0, 0], places[:, 0], strict=True):
        assert float(down) == 1
        assert int(view[min(int(24 * y), 23), min(int(24 * x), 23)]) > 150


@pytest.mark.slow
def test_quick_run_knows_where_a_hidden_ball_is_and_draws_its_picture(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(sys, "argv", ["world_model.py", "--quick", "--out", str(tmp_path)])
    run(world_model.parser(), world_model.main)
    found = json.loads((tmp_path / "world_model.json").read_text())
    assert found["place of a hidden ball, R² from M's cells"] > 0.4
    assert found["place of a hidden ball, R² from V"] < 0.1
    assert found["jam, error of the next latent, of that of repeating the last"] < 0.97
    assert (tmp_path / "world_model.png").read_bytes().startswith(b"\x89PNG")


def test_one_recording_or_a_broken_one_is_refused(tmp_path):
    args = options(None, out="w").parse_args(["--out", str(tmp_path)])
    with pytest.raises(InputError, match="two recordings or more"):
        world_model.jam_figures(EXAMPLES[:1], SIZE, args)
    broken = tmp_path / "jam.jsonl"
    broken.write_text("no recording\n")
    with pytest.raises(InputError, match=r"jam\.jsonl"):
        world_model.jam_figures([broken, EXAMPLES[0]], SIZE, args)
