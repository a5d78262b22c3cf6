"""A world model: V sees, M remembers and predicts, C acts (Ha & Schmidhuber 2018).

    python examples/world_model.py --out world_model
    python examples/world_model.py --env CarRacing-v3 --out cars

The world is a game: balls fall one after another, and behind a curtain nobody sees them. A bar
must be where they come out, and may not move before they are hidden. V is a variational
autoencoder of single frames. M is an MDN-RNN of robojam.mixture: from what V saw and what was
done it predicts the next latent as a mixture, then, given that, the reward and the end. C is
one linear layer, found by an evolution strategy (CMA-ES). Three controllers are compared: one
that knows V alone; one that knows V and the cells of M; and one that was trained inside M's
dream, without the world, and is then tried in it. A fourth player moves without aim.

C is given M's cells, not its output (the source gives both in its second world, the output
alone in its first). Until a hidden ball comes out no frame depends on its place, and the gates
of the output are free to hide it; the cells have to hold it.

M is also trained on pictures of a jam (--jam, recordings): it must predict the next picture
better than the last one does.

Needs gymnasium and cma: pip install 'robojam[examples]'. Takes about five minutes;
CarRacing (pip install 'gymnasium[box2d]') takes hours.

Source: D. Ha, J. Schmidhuber, "Recurrent World Models Facilitate Policy Evolution", 2018,
https://worldmodels.github.io.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _run import (
    InputError,
    Steps,
    fit,
    options,
    read_checkpoint,
    run,
    write_checkpoint,
    write_figures,
)
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from robojam.mixture import MixtureLayer, Recurrent
from robojam.sessions.session import Session, SessionError, read
from robojam.sessions.strokes import touches
from robojam.system.install import missing_package
from robojam.touch import Phase, is_machine

try:
    import cma
    import gymnasium
    from gymnasium.vector import AutoresetMode, VectorEnv
except ModuleNotFoundError as error:
    sys.exit(missing_package("examples/world_model.py", error.name) or str(error))

State = tuple[Tensor, Tensor]
Frames = NDArray[np.uint8]

SIDE = 24  # pixels of the game's field, and of a jam's picture
SESSIONS = Path(__file__).parents[1] / "sessions"
JAMS = (SESSIONS / "example.jsonl", SESSIONS / "example-duet.jsonl")
PICTURES = 20.0  # of a jam, in a second
SPREAD = 0.3  # deviation of the first candidates' weights
JAM_NOISE = 0.05  # deviation of the latents of a jam, when M learns them


@dataclass(frozen=True)
class Size:
    """Amounts of what is seen, learnt and tried."""

    latents: int = 8
    units: int = 32  # of M
    channels: int = 8  # of V's first layer
    side: int = SIDE
    episodes: int = 4000  # of a player who knows nothing
    longest: int = 54  # steps of these that are learnt from
    seeing: int = 1500  # steps of V's training
    remembering: int = 8000
    jam: int = 1000  # steps of the training of both on pictures of a jam
    generations: int = 80
    population: int = 24
    tries: int = 16  # episodes of each candidate in a generation
    tests: int = 400  # episodes in which the result is measured
    parallel: int = 600  # episodes at a time
    steps: int = 400  # of an episode, at most


QUICK = Size(
    episodes=1000, seeing=250, remembering=700, jam=150, generations=6, population=8, tries=8,
    tests=40,
)  # fmt: skip
CARS = Size(
    latents=32, units=256, channels=32, side=64, episodes=2000, longest=500, seeing=10_000,
    remembering=8_000, generations=200, population=32, tries=8, tests=100, parallel=8,
    steps=1000,
)  # fmt: skip


# The game.


class CurtainVector(VectorEnv[Frames, NDArray[np.float32], NDArray[np.bool_]]):
    """The game with the curtain, many times at once.

    A ball falls straight down, from anywhere. While it is seen the bar is held in the middle,
    and dim; it is let go when the ball is well behind the curtain, with time to reach any
    place, but when the ball comes out it is too late for most. So who does not remember where
    the ball was can only guess, and the bar is no note of it.

    An action is the bar's speed (n, 1), −1 to 1; a frame is (24, 24, 1) of bytes. Each frame in
    which the bar is free is a reward of 1 less a `REACH`th of its distance from the ball's
    column. A ball that is caught brings the next one, a missed one is the end, and so are ten.
    """

    BALLS, FALL, FRAMES, HELD, SPEED, HALF, REACH = 10, 1.2, 18, 7, 1.0, 2.5, 8.0
    BAR, CURTAIN = 22.0, (6, 21)  # rows
    WIDE, TALL = 0.03, 1.0  # a ball's light falls off by the square of the distance times these
    DIM = 0.5  # light of a bar that is held

    def __init__(self, num_envs: int = 1, *, render_mode: str | None = None) -> None:
        self.metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.DISABLED}
        self.num_envs, self.render_mode = num_envs, render_mode
        self.single_observation_space = gymnasium.spaces.Box(0, 255, (SIDE, SIDE, 1), np.uint8)
        self.single_action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        batch = gymnasium.vector.utils.batch_space
        self.observation_space = batch(self.single_observation_space, num_envs)
        self.action_space = batch(self.single_action_space, num_envs)

    def reset(
        self,
        *,
        seed: int | Sequence[int] | None = None,
        options: Any = None,  # noqa: ARG002 (gymnasium's)
    ) -> tuple[Frames, dict[str, Any]]:
        """Begin all games; each is determined by its seed."""
        if seed is None:
            seed = [int(s) for s in self.np_random.integers(2**31, size=self.num_envs)]
        elif isinstance(seed, int):
            seed = [seed + n for n in range(self.num_envs)]
        drawn = [np.random.default_rng(s).random(self.BALLS) for s in seed]
        self._places = SIDE * np.stack(drawn)
        self.bar = np.full(self.num_envs, SIDE / 2)
        self.caught = np.zeros(self.num_envs, int)
        self.ball = np.stack([self._places[:, 0], np.ones(self.num_envs)], -1)
        return self._render(), {}

    def step(self, actions: NDArray[np.float32]) -> tuple[Any, ...]:
        """Move the bars and balls by one frame."""
        speed, free = self.SPEED * np.clip(actions[:, 0], -1, 1), ~self.held
        self.bar = np.clip(self.bar + free * speed, 0, SIDE)
        self.ball[:, 1] += self.FALL
        landed = self.ball[:, 1] >= self.BAR
        apart = np.abs(self.ball[:, 0] - self.bar)
        caught = landed & (apart <= self.HALF)
        reward = free * np.maximum(0, 1 - apart / self.REACH)
        self.caught += caught
        over = self.caught >= self.BALLS
        for n in np.flatnonzero(caught & ~over):
            self.ball[n] = self._places[n, self.caught[n]], 1
            self.bar[n] = SIDE / 2
        return self._render(), reward.astype(np.float32), landed & ~caught, over, {}

    @property
    def held(self) -> NDArray[np.bool_]:
        """Whether each bar is held in the middle."""
        return self.ball[:, 1] < 1 + self.FALL * (self.HELD - 0.5)

    @property
    def hidden(self) -> NDArray[np.bool_]:
        """Whether each ball is behind the curtain, and none of its light is seen."""
        top, bottom = self.CURTAIN
        return (self.ball[:, 1] > top + 2) & (self.ball[:, 1] < bottom - 2)

    def _render(self) -> Frames:
        pixels = np.arange(SIDE) + 0.5
        across, down = (
            np.exp(-fall * (pixels - self.ball[:, i, None]) ** 2)
            for i, fall in enumerate((self.WIDE, self.TALL))
        )
        image = down[:, :, None] * across[:, None, :]
        top, bottom = self.CURTAIN
        image[:, top:bottom] = 0.25
        edge = self.HALF - np.abs(pixels - self.bar[:, None])
        bar = np.where(self.held, self.DIM, 1)[:, None] / (1 + np.exp(-4 * edge))
        image[:, int(self.BAR) :] = np.maximum(image[:, int(self.BAR) :], bar[:, None])
        return (255 * image).round().astype(np.uint8)[..., None]


class Curtain(gymnasium.Env[Frames, NDArray[np.float32]]):
    """The game with the curtain, once."""

    metadata = {"render_modes": []}  # noqa: RUF012 (gymnasium's own)

    def __init__(self, *, render_mode: str | None = None) -> None:
        self.game, self.render_mode = CurtainVector(), render_mode
        self.observation_space = self.game.single_observation_space
        self.action_space = self.game.single_action_space

    def reset(
        self,
        *,
        seed: int | None = None,
        options: Any = None,  # noqa: ARG002 (gymnasium's)
    ) -> tuple[Frames, dict[str, Any]]:
        """Begin a game."""
        super().reset(seed=seed)
        frames, about = self.game.reset(seed=[int(self.np_random.integers(2**31))])
        return frames[0], about

    def step(self, action: NDArray[np.float32]) -> tuple[Frames, float, bool, bool, dict]:
        """Move the bar and the ball by one frame."""
        frames, reward, ended, over, about = self.game.step(np.asarray(action)[None])
        return frames[0], float(reward[0]), bool(ended[0]), bool(over[0]), about


GAME = "Curtain-v0"
if GAME not in gymnasium.registry:
    gymnasium.register(GAME, entry_point=Curtain, vector_entry_point=CurtainVector)


class World:
    """Environments of gymnasium with images and numbers for actions, as tensors."""

    def __init__(self, name: str, side: int) -> None:
        self.name, self.side = name, side
        environment = self._make(1)
        space = environment.single_observation_space
        acts = environment.single_action_space
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 3:
            raise InputError(
                f"{name} shows {space}, and V sees images (height, width, colours)"
            )
        if not isinstance(acts, gymnasium.spaces.Box) or len(acts.shape) != 1:
            raise InputError(f"{name} takes {acts}, and C gives a few numbers (a Box)")
        self.colours, self.actions = space.shape[2], acts.shape[0]
        self._low, self._high = acts.low, acts.high
        environment.close()
        self._environment: VectorEnv | None = None

    def _make(self, count: int) -> VectorEnv:
        own = gymnasium.registry.get(self.name)
        mode = "vector_entry_point" if own and own.vector_entry_point else "sync"
        if count > 1 and mode == "sync":
            mode = "async"
        try:
            return gymnasium.make_vec(self.name, count, vectorization_mode=mode)
        except gymnasium.error.DependencyNotInstalled as error:
            raise InputError(f"{self.name} is not installed: {error}") from None
        except (gymnasium.error.Error, ModuleNotFoundError) as error:
            raise InputError(f"there is no environment {self.name}: {error}") from None

    def reset(self, seeds: Sequence[int]) -> Tensor:
        """Begin an episode for each seed; return frames (n, colours, side, side), 0 to 1."""
        if self._environment is None or self._environment.num_envs != len(seeds):
            self.close()
            self._environment = self._make(len(seeds))
        frames, _ = self._environment.reset(seed=list(seeds))
        return self._tensor(frames)

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Act, (n, actions) from −1 to 1; return frames, rewards (n) and the ends (n)."""
        assert self._environment is not None
        share = (actions.cpu().numpy() + 1) / 2
        given = (self._low + share * (self._high - self._low)).astype(self._low.dtype)
        frames, reward, ended, over, _ = self._environment.step(given)
        done = torch.from_numpy(ended | over)
        return self._tensor(frames), torch.from_numpy(reward).float(), done

    @property
    def game(self) -> CurtainVector | None:
        """The game itself, which knows where the ball is; None for other environments."""
        unwrapped = getattr(self._environment, "unwrapped", None)
        return unwrapped if isinstance(unwrapped, CurtainVector) else None

    def close(self) -> None:
        """End the environments."""
        if self._environment is not None:
            self._environment.close()
            self._environment = None

    def _tensor(self, frames: Frames) -> Tensor:
        images = torch.from_numpy(np.asarray(frames)).movedim(-1, 1).float() / 255
        if images.shape[-2:] == (self.side, self.side):
            return images
        return functional.interpolate(images, (self.side, self.side), mode="area")


# V, M and C.


class Vision(nn.Module):
    """V: a variational autoencoder of frames (…, colours, side, side)."""

    def __init__(self, colours: int, size: Size) -> None:
        super().__init__()
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        side, before, channels = size.side, colours, size.channels
        while side > 6:
            down += [nn.Conv2d(before, channels, 4, 2, 1), nn.ReLU()]
            up = [nn.ConvTranspose2d(channels, before, 4, 2, 1), nn.ReLU(), *up]
            side, before, channels = side // 2, channels, 2 * channels
        wide = before * side * side
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(wide, 2 * size.latents))
        self.decoder = nn.Sequential(
            nn.Linear(size.latents, wide), nn.ReLU(), nn.Unflatten(1, (before, side, side)),
            *up[:-1],
        )  # fmt: skip

    def encode(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log deviation of the latent, (n, latents) each."""
        mean, log_scale = self.encoder(frames).chunk(2, -1)
        return mean, log_scale.clamp(-5, 2)

    def decode(self, latents: Tensor) -> Tensor:
        """Return frames for latents (n, latents)."""
        return torch.sigmoid(self.decoder(latents))

    def loss(self, frames: Tensor) -> Tensor:
        """Return the nats of frames (n, …): of their pixels, and of the latent (KL)."""
        mean, log_scale = self.encode(frames)
        latent = mean + log_scale.exp() * torch.randn_like(mean)
        pixels = functional.binary_cross_entropy_with_logits(
            self.decoder(latent), frames, reduction="sum"
        )
        kl = 0.5 * (mean.square() + (2 * log_scale).exp() - 1) - log_scale
        return (pixels + kl.sum()) / len(frames)


@dataclass
class Seen:
    """Episodes as V saw them: latents (E, T + 1, …), what was done, and what came of it."""

    mean: Tensor
    log_scale: Tensor
    actions: Tensor  # (E, T, actions)
    rewards: Tensor  # (E, T)
    ended: Tensor  # (E, T), of booleans
    mask: Tensor  # (E, T): False after the end

    def part(self, rows: Tensor | slice) -> Seen:
        """Return some of the episodes."""
        return Seen(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def sample(self) -> Tensor:
        """Return latents, drawn from what V saw: (E, T + 1, latents)."""
        return self.mean + self.log_scale.exp() * torch.randn_like(self.mean)


class Memory(nn.Module):
    """M: an MDN-RNN over latents, and what it says of reward and end, given the next latent.

    Its mixture is of how the latent changes: where nothing moves, nothing has to be learnt.
    """

    WIDTH = 0.2  # a reward is known to this

    def __init__(self, actions: int, size: Size, components: int = 5) -> None:
        super().__init__()
        self.recurrent = Recurrent(size.latents + actions, size.units)
        self.change = MixtureLayer(size.units, size.latents, components)
        self.outcome = nn.Sequential(
            nn.Linear(size.units + size.latents, size.units), nn.Tanh()
        )
        self.reward = MixtureLayer(size.units, 1, 2)
        self.end = nn.Linear(size.units, 1)

    def begin(self, count: int) -> State:
        """Return the state before the first frame of episodes."""
        weight = self.end.weight
        state = weight.new_zeros(1, count, self.recurrent.units)
        return state, state

    def step(self, latent: Tensor, action: Tensor, state: State) -> State:
        """Return the state after a frame (n, latents) and an action (n, actions)."""
        return self.recurrent.step(torch.cat([latent, action], -1), state)[1]

    def loss(self, seen: Seen) -> Tensor:
        """Return nats per step, of the next latent, its reward and the end."""
        latents = seen.sample()
        hidden = self.recurrent(torch.cat([latents[:, :-1], seen.actions], -1))[seen.mask]
        before, after = latents[:, :-1][seen.mask], latents[:, 1:][seen.mask]
        both = self.outcome(torch.cat([hidden, after], -1))
        reward = seen.rewards[seen.mask][:, None]
        of_reward = self.reward(both).interval_log_prob(reward, self.WIDTH)
        of_end = functional.binary_cross_entropy_with_logits(
            self.end(both)[:, 0], seen.ended[seen.mask].float()
        )
        return self.change(hidden).loss(after - before) - of_reward.mean() + of_end


@dataclass
class Controller:
    """C: one linear layer for each candidate, from latents, or latents and M's cells."""

    weights: Tensor  # (candidates, actions, inputs + 1)
    sees_memory: bool

    def act(self, latent: Tensor, state: State) -> Tensor:
        """Return the action (n, actions) of candidates for n episodes, as many for each."""
        inputs = torch.cat([latent, state[1][0]], -1) if self.sees_memory else latent
        each = inputs.view(len(self.weights), -1, inputs.shape[-1])
        linear = each @ self.weights[..., :-1].mT + self.weights[:, None, :, -1]
        return torch.tanh(linear).flatten(0, 1)


# What is done with them.

Act = Callable[[Tensor, State], Tensor]


def play(
    world: World, vision: Vision, memory: Memory, act: Act, seeds: Sequence[int], *, steps: int
) -> Tensor:
    """Return what players get in the world, (n) for n seeds."""
    device = memory.end.weight.device
    total = torch.zeros(len(seeds))
    with torch.no_grad():
        frames, state = world.reset(seeds), memory.begin(len(seeds))
        alive = torch.ones(len(seeds), dtype=torch.bool)
        for _ in range(steps):
            latent = vision.encode(frames.to(device))[0]
            action = act(latent, state)
            state = memory.step(latent, action, state)
            frames, reward, done = world.step(action)
            total += reward * alive
            alive &= ~done
            if not bool(alive.any()):
                break
    return total


def dream(
    memory: Memory, act: Act, starts: Tensor, *, steps: int, temperature: float
) -> Tensor:
    """Return what players get in M's dream, (n) from first latents (n, latents)."""
    with torch.no_grad():
        latent, state = starts, memory.begin(len(starts))
        total, alive = starts.new_zeros(len(starts)), torch.ones(len(starts)).to(starts)
        for _ in range(steps):
            action = act(latent, state)
            state = memory.step(latent, action, state)
            hidden = state[0][0]
            latent = latent + memory.change(hidden).sample(
                temperature=temperature, spread=temperature**0.5
            )
            both = memory.outcome(torch.cat([hidden, latent], -1))
            total += alive * memory.reward(both).mean[:, 0]
            chance = torch.sigmoid(memory.end(both)[:, 0] / max(temperature, 1e-3))
            alive = alive * (torch.rand_like(chance) >= chance)
            if not bool(alive.any()):
                break
    return total


class Aimless:
    """A player who knows nothing: it moves somewhere for a while, then elsewhere."""

    def __init__(self, actions: int, generator: torch.Generator) -> None:
        self._actions, self._generator = actions, generator
        self._held: Tensor | None = None

    def __call__(self, latent: Tensor, _state: State) -> Tensor:
        """Return actions (n, actions); each changes once in ten steps."""
        shape = (len(latent), self._actions)
        new = (2.4 * torch.rand(shape, generator=self._generator) - 1.2).clamp(-1, 1)
        if self._held is None:
            self._held = new
        changes = torch.rand((len(latent), 1), generator=self._generator) < 0.1
        self._held = torch.where(changes, new, self._held)
        return self._held


@dataclass
class Recorded:
    """Episodes: frames (E, T + 1, …) of bytes, actions, rewards, ends and which steps count."""

    frames: Tensor
    actions: Tensor
    rewards: Tensor
    ended: Tensor
    mask: Tensor

    def seen(self, vision: Vision) -> Seen:
        """Return the episodes as V sees them."""
        device = next(vision.parameters()).device
        flat = self.frames.flatten(0, 1)
        with torch.no_grad():
            parts = [vision.encode(f.to(device).float() / 255) for f in flat.split(2048)]
        mean, log_scale = (
            torch.cat(p).unflatten(0, self.frames.shape[:2]) for p in zip(*parts, strict=True)
        )
        rest = (t.to(device) for t in (self.actions, self.rewards, self.ended, self.mask))
        return Seen(mean, log_scale, *rest)


def record(world: World, size: Size, *, seed: int) -> Recorded:
    """Return what an aimless player has played: the first steps of its episodes."""
    generator = torch.Generator().manual_seed(seed)
    parts: list[Recorded] = []
    with Steps("episodes", size.episodes) as progress:
        batch: list[int] = []
        for episode in progress:
            batch.append(seed * 1_000_000 + episode)
            if len(batch) == min(size.parallel, size.episodes) or episode + 1 == size.episodes:
                parts.append(_record(world, size.longest, batch, generator))
                batch = []
    return joined(parts)


def joined(parts: Sequence[Recorded]) -> Recorded:
    """Return the episodes of several recordings as one."""
    names = Recorded.__dataclass_fields__
    return Recorded(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def _record(
    world: World, steps: int, seeds: Sequence[int], generator: torch.Generator
) -> Recorded:
    player = Aimless(world.actions, generator)
    state = (torch.zeros(0), torch.zeros(0))
    frames = world.reset(seeds)
    alive = torch.ones(len(seeds), dtype=torch.bool)
    rows: list[list[Tensor]] = [[], [], [], [], []]
    rows[0].append((255 * frames).byte())
    for _ in range(steps):
        action = player(alive, state)
        frames, reward, done = world.step(action)
        found = ((255 * frames).byte(), action, reward * alive, done & alive, alive.clone())
        for row, value in zip(rows, found, strict=True):
            row.append(value)
        alive &= ~done
    return Recorded(*(torch.stack(row, 1) for row in rows))


def train_vision(
    frames: Tensor, colours: int, size: Size, *, steps: int, label: str, seed: int, **kept: Any
) -> Vision:
    """Train V on frames (n, colours, side, side) of bytes; a twentieth is held out."""
    torch.manual_seed(seed)
    device = kept.pop("device")
    vision = Vision(colours, size).to(device)
    held_out = frames[::20][:1000].to(device).float() / 255
    rest = torch.arange(len(frames))
    rest = rest[rest % 20 != 0]

    def loss(net: nn.Module, _step: int) -> Tensor:
        rows = rest[torch.randint(len(rest), (128,))]
        return net.loss(frames[rows].to(device).float() / 255)

    def score(net: nn.Module) -> float:
        torch.manual_seed(0)
        return float(net.loss(held_out))

    fit(vision, loss, score, steps=steps, rate=2e-3, label=label, seed=seed, clip=100.0, **kept)
    return vision


def train_memory(
    seen: Seen, actions: int, size: Size, *, steps: int, label: str, seed: int, **kept: Any
) -> Memory:
    """Train M on episodes; a tenth is held out."""
    torch.manual_seed(seed)
    memory = Memory(actions, size).to(seen.mean.device)
    memory.change.spread_means((seen.mean[:, 1:] - seen.mean[:, :-1])[seen.mask])
    count = len(seen.mean)
    held_out = seen.part(slice(0, max(1, count // 10)))

    def loss(net: nn.Module, _step: int) -> Tensor:
        rows = torch.randint(max(1, count // 10), count, (64,), device=seen.mean.device)
        return net.loss(seen.part(rows))

    def score(net: nn.Module) -> float:
        torch.manual_seed(0)
        return float(net.loss(held_out))

    fit(memory, loss, score, steps=steps, rate=4e-3, label=label, seed=seed, **kept)
    return memory


Evaluate = Callable[[Controller, int], Tensor]


def evolve(
    evaluate: Evaluate,
    shape: tuple[int, int],
    size: Size,
    *,
    sees_memory: bool,
    label: str,
    seed: int,
    checkpoint: Path,
    resume: bool,
) -> tuple[Controller, list[float]]:
    """Find a controller by CMA-ES; return the middle of the last candidates, and their scores.

    evaluate is given candidates and the number of the generation, and returns what each gets.
    A checkpoint holds what all candidates got: the strategy asks for the same ones again.
    """
    about = {"label": label, "seed": seed, "shape": list(shape), "population": size.population}
    got: list[list[float]] = []
    if resume and checkpoint.exists():
        tensors, _ = read_checkpoint(checkpoint, about)
        got = tensors["got"].tolist()
    settings = {"popsize": size.population, "seed": seed + 1, "verbose": -9}
    strategy = cma.CMAEvolutionStrategy(np.zeros(shape[0] * shape[1]), SPREAD, settings)
    generations = size.generations
    with Steps(label, generations) as progress:
        for generation in progress:
            candidates = strategy.ask()
            if generation == len(got):
                weights = torch.from_numpy(np.array(candidates, np.float32)).view(-1, *shape)
                got.append(evaluate(Controller(weights, sees_memory), generation).tolist())
                write_checkpoint(checkpoint, {"got": torch.tensor(got)}, about)
            strategy.tell(candidates, [-value for value in got[generation]])
            progress.show(f"mean {np.mean(got[generation]):.2f}")
    best = torch.from_numpy(np.asarray(strategy.result.xfavorite, np.float32)).view(1, *shape)
    return Controller(best, sees_memory), [float(np.mean(row)) for row in got]


def in_world(world: World, vision: Vision, memory: Memory, size: Size, tries: int) -> Evaluate:
    """Return a function that lets candidates play in the world, all the same episodes."""

    def evaluate(candidates: Controller, generation: int) -> Tensor:
        device = memory.end.weight.device
        first = 10_000_000 + generation * tries
        seeds = [*range(first, first + tries)]
        count = len(candidates.weights)
        at_once = max(1, size.parallel // tries)  # candidates
        scores = []
        for some in candidates.weights.to(device).split(at_once):
            player = Controller(some, candidates.sees_memory)
            total = play(world, vision, memory, player.act, seeds * len(some), steps=size.steps)
            scores.append(total.view(len(some), tries).mean(-1))
        found = torch.cat(scores)
        assert len(found) == count
        return found

    return evaluate


def in_dream(memory: Memory, starts: Tensor, size: Size, temperature: float) -> Evaluate:
    """Return a function that lets candidates play in M's dream."""

    def evaluate(candidates: Controller, generation: int) -> Tensor:
        torch.manual_seed(generation)
        count = len(candidates.weights)
        rows = torch.randint(len(starts), (size.tries,), device=starts.device).repeat(count)
        player = Controller(candidates.weights.to(starts.device), candidates.sees_memory)
        total = dream(
            memory, player.act, starts[rows], steps=size.steps, temperature=temperature
        )
        return total.view(count, size.tries).mean(-1).cpu()

    return evaluate


def measured(
    world: World, vision: Vision, memory: Memory, act: Act, size: Size
) -> tuple[float, float]:
    """Return the mean of what a player gets in new episodes, and the mean's standard error."""
    seeds = range(20_000_000, 20_000_000 + size.tests)
    totals = []
    for first in range(0, size.tests, size.parallel):
        some = seeds[first : first + size.parallel]
        totals.append(play(world, vision, memory, act, some, steps=size.steps))
    total = torch.cat(totals)
    return float(total.mean()), float(total.std() / len(total) ** 0.5)


@dataclass
class Belief:
    """Linear readings of a hidden ball's place: their R², and their weights."""

    from_cells: float  # of M
    from_output: float  # of M
    from_vision: float
    read: Tensor  # weights of the reading from the cells, (units + 1)


def believed(
    world: World, vision: Vision, memory: Memory, *, episodes: int, seed: int
) -> Belief:
    """Return how well a hidden ball's place is read from M and from V, in aimless games.

    The reading is learnt from half of the games, and measured in the others.
    """
    game, inputs, places, hidden, number = _watch(world, vision, memory, episodes, seed)
    assert game is not None
    units = memory.recurrent.units

    def fitted(columns: slice) -> tuple[float, Tensor]:
        ones = torch.ones(len(inputs), 1, dtype=torch.float64)
        table = torch.cat([inputs[:, columns].double(), ones], -1)
        learnt = number % 2 == 0
        a, b = table[learnt & hidden], places[learnt & hidden]
        ridge = 1e-4 * len(a) * torch.eye(a.shape[1], dtype=torch.float64)
        weights = torch.linalg.solve(a.mT @ a + ridge, a.mT @ b)
        error = table[~learnt & hidden] @ weights - places[~learnt & hidden]
        return 1 - float(error.var() / places[~learnt & hidden].var()), weights

    from_cells, read = fitted(slice(units))
    from_output, _ = fitted(slice(units, 2 * units))
    from_vision, _ = fitted(slice(2 * units, None))
    return Belief(from_cells, from_output, from_vision, read)


def _watch(
    world: World, vision: Vision, memory: Memory, episodes: int, seed: int
) -> tuple[CurtainVector | None, Tensor, Tensor, Tensor, Tensor]:
    """Return M's cells and output and V's latent (n, …), the ball's x, if hidden, the game."""
    player = Aimless(world.actions, torch.Generator().manual_seed(seed))
    device = memory.end.weight.device
    frames = world.reset(range(30_000_000, 30_000_000 + episodes))
    game = world.game
    state, alive = memory.begin(episodes), torch.ones(episodes, dtype=torch.bool)
    inputs, places, hidden, number = [], [], [], []
    with torch.no_grad():
        for _ in range(60):
            latent = vision.encode(frames.to(device))[0]
            if game is not None:
                inputs.append(torch.cat([state[1][0], state[0][0], latent], -1)[alive].cpu())
                places.append(torch.from_numpy(game.ball[:, 0])[alive])
                hidden.append(torch.from_numpy(game.hidden)[alive])
                number.append(torch.arange(episodes)[alive])
            action = player(latent, state)
            state = memory.step(latent, action.to(device), state)
            frames, _, done = world.step(action)
            alive &= ~done
            if not bool(alive.any()):
                break
    parts = inputs, places, hidden, number
    inputs, places, hidden, number = (torch.cat(part) for part in parts)
    return game, inputs, places.double(), hidden, number


# A jam as a world.


def pictures(session: Session, *, fade: float = 0.8) -> tuple[Tensor, Tensor]:
    """Return pictures (T, 1, 24, 24) of bytes of a jam, and the humans' touches (T, 3).

    A picture shows the last moments: fingers are bright and their paths fade. Humans are
    brighter than the machine. A row of touches is what is done until the next picture: x, y
    and 1 if a human's finger is down there then.
    """
    count = int(session.duration * PICTURES) + 1
    image, humans = np.zeros((count, SIDE, SIDE)), np.zeros((count, 3), np.float32)
    pixels = (np.arange(SIDE) + 0.5) / SIDE
    down: dict[tuple[str, int], tuple[float, float]] = {}
    events, at = list(touches(session)), 0
    canvas = np.zeros((SIDE, SIDE))
    for n in range(count):
        canvas = fade * canvas
        spots = [(who, place) for (who, _), place in down.items()]
        while at < len(events) and events[at].t <= n / PICTURES:
            touch = events[at].touch
            finger, place = (touch.who, touch.id), (touch.x, touch.y)
            at += 1
            if touch.phase is Phase.UP:
                down.pop(finger, None)
                continue
            down[finger] = place
            spots.append((touch.who, place))
        for who, (x, y) in spots:
            across, along = (np.exp(-0.5 * ((pixels - v) * SIDE / 0.8) ** 2) for v in (x, y))
            light = (0.6 if is_machine(who) else 1.0) * along[:, None] * across
            canvas = np.maximum(canvas, light)
        image[n] = canvas
        for (who, _), (x, y) in down.items():
            if not is_machine(who):
                humans[n] = x, y, 1
    frames = torch.from_numpy((255 * image).round().astype(np.uint8))[:, None]
    return frames, torch.from_numpy(humans).roll(-1, 0)


def turned(frames: Tensor, humans: Tensor) -> tuple[Tensor, Tensor]:
    """Return pictures and touches as seen in all eight ways: mirrored and transposed."""
    views, places = [], []
    for transpose in (False, True):
        for flip_x in (False, True):
            for flip_y in (False, True):
                f, h = frames, humans.clone()
                if transpose:
                    f, h = f.mT, h[:, [1, 0, 2]]
                if flip_x:
                    f, h = f.flip(-1), torch.stack([h[:, 2] - h[:, 0], h[:, 1], h[:, 2]], -1)
                if flip_y:
                    f, h = f.flip(-2), torch.stack([h[:, 0], h[:, 2] - h[:, 1], h[:, 2]], -1)
                views.append(f)
                places.append(h)
    return torch.stack(views), torch.stack(places)


def jam_episodes(frames: Tensor, humans: Tensor, *, length: int = 50) -> Recorded:
    """Return a jam's pictures as episodes of some seconds, in all eight ways."""
    views, places = turned(frames, humans)
    count = (frames.shape[0] - 1) // length
    begin = [n * length for n in range(count)]
    cut = torch.cat([views[:, b : b + length + 1] for b in begin])
    acts = torch.cat([places[:, b : b + length] for b in begin])
    nothing = torch.zeros(acts.shape[:2])
    return Recorded(cut, acts, nothing, nothing > 0, nothing == 0)


def jam_figures(
    jams: Sequence[Path], size: Size, args: argparse.Namespace
) -> tuple[dict[str, float], Any]:
    """Train V and M on pictures of all jams but the last; return how well M predicts that.

    The figure is the mean squared error of the next latent, as a share of that of repeating
    the last one.
    """
    try:
        read_jams = [pictures(read(path)) for path in jams]
    except SessionError as error:
        raise InputError(str(error)) from None
    if len(read_jams) < 2 or min(len(frames) for frames, _ in read_jams) < 60:
        raise InputError("--jam takes two recordings or more, each of three seconds or more")
    parts = [jam_episodes(*jam) for jam in read_jams[:-1]]
    learnt = joined(parts)
    vision = train_vision(
        learnt.frames.flatten(0, 1), 1, size, steps=size.jam, label="V of a jam",
        device=args.device, **_kept(args, "jam_vision"),
    )  # fmt: skip
    order = torch.randperm(len(learnt.frames), generator=torch.Generator().manual_seed(0))
    seen = learnt.seen(vision).part(order)
    # Paths move latents by less than V is unsure of them, so these are taken as nearly exact.
    seen.log_scale.fill_(math.log(JAM_NOISE))
    memory = train_memory(
        seen, 3, size, steps=size.jam, label="M of a jam", **_kept(args, "jam_memory")
    )
    frames, humans = read_jams[-1]
    with torch.no_grad():
        latent = vision.encode(frames.to(args.device).float() / 255)[0]
        inputs = torch.cat([latent, humans.to(args.device)], -1)[None, :-1]
        guessed = latent[:-1] + memory.change(memory.recurrent(inputs)).mean[0]
        error = (guessed - latent[1:]).square().sum(-1)
        repeated = (latent[:-1] - latent[1:]).square().sum(-1)
        shown = vision.decode(guessed).cpu()
    figures = {
        "jam, error of the next latent, of that of repeating the last": float(
            error.sum() / repeated.sum()
        )
    }
    return figures, (frames[1:].float() / 255, shown, repeated.cpu())


# The picture.


def draw(
    world: World,
    vision: Vision,
    memory: Memory,
    players: dict[str, Controller],
    curves: dict[str, list[float]],
    scores: dict[str, tuple[float, float]],
    belief: Belief | None,
    jam: Any,
    path: Path,
) -> None:
    """Draw what is seen, believed and dreamt, how the controllers learnt, and a jam."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 9.6), dpi=100, layout="constrained")
    figure.patch.set_facecolor("#fbfaf7")
    strips, lower, music = figure.subfigures(3, 1, height_ratios=[3.3, 3.6, 1.8])
    device = memory.end.weight.device
    # A fall, as the world shows it, as V sees it, and as M expects it one step before.
    count, every = 12, 2 if world.name == GAME else 8
    best = players["V, M and C"]
    rows: dict[str, list[Tensor]] = {"the world": [], "V sees": [], "M expected": []}
    rings: list[tuple[float, float] | None] = []
    with torch.no_grad():
        frames, state = world.reset([20_000_003]), memory.begin(1)
        expected = vision.encode(frames.to(device))[0]
        for step in range(count * every):
            latent = vision.encode(frames.to(device))[0]
            if step % every == 0:
                rows["the world"].append(frames[0])
                rows["V sees"].append(vision.decode(latent)[0])
                rows["M expected"].append(vision.decode(expected)[0])
                game = world.game
                hides = game is not None and bool(game.hidden[0])
                rings.append(tuple(game.ball[0]) if hides and game is not None else None)
            action = best.act(latent, state)
            state = memory.step(latent, action, state)
            expected = latent + memory.change(state[0][0]).mean
            frames, _, _ = world.step(action)
        rows["a dream"] = _dream_frames(vision, memory, best, latent, count, every)
    grid = strips.subplots(len(rows), count)
    for line, (name, images) in zip(grid, rows.items(), strict=True):
        line[0].set_ylabel(name, fontsize=9)
        for axes, image, ring in zip(line, images, rings, strict=True):
            _show(axes, image.cpu())
            if ring is not None and name == "the world":
                axes.plot(
                    ring[0] - 0.5, ring[1] - 0.5, "o", ms=5, mfc="none", mec="#7fd1ff", mew=1
                )
    left, right = lower.subplots(1, 2, width_ratios=[1.75, 1])
    if belief is not None:
        _draw_game(left, world, vision, memory, best, belief)
    else:
        left.axis("off")
    colours = {"V and C": "#a9a9a9", "V, M and C": "#1f5c8c", "in the dream": "#e67e22"}
    for name, curve in curves.items():
        right.plot(curve, color=colours[name], lw=1, alpha=0.55, ls="-")
        smooth = np.convolve(np.pad(curve, 4, mode="edge"), np.ones(9) / 9, "valid")
        score, error = scores[name]
        right.plot(
            smooth, color=colours[name], lw=2, label=f"{name}: {score:.2f} ± {error:.2f}"
        )
    right.set_xlabel("generation of CMA-ES", fontsize=9)
    right.set_title("reward of a game; in the legend, of new games", fontsize=10)
    right.legend(fontsize=8, frameon=False)
    right.set_facecolor("none")
    if jam is not None:
        _draw_jam(music, *jam)
    else:
        music.set_visible(False)
    figure.savefig(path)


def _show(axes: Any, image: Tensor) -> None:
    image = image.movedim(0, -1).clamp(0, 1)
    if image.shape[-1] == 1:
        axes.imshow(image[..., 0], cmap="magma", vmin=0, vmax=1.05)
    else:
        axes.imshow(image)
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)


def _dream_frames(
    vision: Vision, memory: Memory, player: Controller, start: Tensor, count: int, every: int
) -> list[Tensor]:
    torch.manual_seed(2)
    latent, state, shown = start, memory.begin(1), []
    for step in range(count * every):
        if step % every == 0:
            shown.append(vision.decode(latent)[0])
        state = memory.step(latent, player.act(latent, state), state)
        latent = latent + memory.change(state[0][0]).sample(temperature=0.7, spread=0.7)
    return shown


def _draw_game(
    axes: Any, world: World, vision: Vision, memory: Memory, player: Controller, belief: Belief
) -> None:
    """Draw a game over time: the ball, hidden and seen, the bar, and where M has the ball."""
    frames, state = world.reset([20_000_003]), memory.begin(1)
    game = world.game
    assert game is not None
    ball, bar, guessed, hides = [], [], [], []
    device = memory.end.weight.device
    with torch.no_grad():
        for _ in range(110):
            latent = vision.encode(frames.to(device))[0]
            known = state[1][0, 0].double().cpu()
            guessed.append(float(known @ belief.read[:-1] + belief.read[-1]))
            ball.append(game.ball[0].copy())
            bar.append(game.bar[0])
            hides.append(bool(game.hidden[0]))
            action = player.act(latent, state)
            state = memory.step(latent, action, state)
            frames, _, done = world.step(action)
            if bool(done[0]):
                break
    x, t = np.array(ball)[:, 0], np.arange(len(ball))
    hidden, place = np.array(hides), np.array(guessed)
    new = np.flatnonzero(np.diff(np.array(ball)[:, 1]) < 0) + 1
    axes.fill_between(t, 0, SIDE, where=hidden, color="#2b2440", alpha=0.10, lw=0, step="mid")
    axes.fill_between(
        t, np.array(bar) - 2.5, np.array(bar) + 2.5, color="#e67e22", alpha=0.35, lw=0,
        label="the bar",
    )  # fmt: skip
    for part in np.split(t, new):
        axes.plot(
            part, x[part], color="#2b2440", lw=1.1, label="the ball" if not part[0] else ""
        )
    axes.plot(
        t[hidden],
        place[hidden],
        ".",
        color="#1f8fcc",
        ms=4.5,
        label="where M has the hidden ball",
    )
    axes.set(xlim=(0, len(t) - 1), ylim=(0, SIDE + 3))
    axes.set_xlabel("frames; shaded: the ball is hidden", fontsize=9)
    axes.set_title(
        f"a game; hidden balls are read from M's cells with R² {belief.from_cells:.2f}, "
        f"from V with {belief.from_vision:.2f}",
        fontsize=10,
    )
    axes.legend(fontsize=8, frameon=False, loc="upper right", ncols=3)
    axes.set_facecolor("none")


def _draw_jam(figure: Any, real: Tensor, shown: Tensor, moved: Tensor) -> None:
    count = 12
    window = moved.unfold(0, 2 * count, 1).sum(-1)  # where most happens
    first = int(window.argmax())
    grid = figure.subplots(2, count)
    for line, images, name in zip(grid, (real, shown), ("a jam", "M expected"), strict=True):
        line[0].set_ylabel(name, fontsize=9)
        for axes, image in zip(line, images[first::2], strict=False):
            _show(axes, image)


def main(args: argparse.Namespace) -> None:
    began = time.monotonic()
    size = QUICK if args.quick else Size() if args.env == GAME else CARS
    if args.env != GAME and args.quick:
        size = replace(QUICK, side=64, episodes=4, longest=100, parallel=2, steps=100, tests=2)
    world = World(args.env, size.side)
    recorded = record(world, size, seed=args.seed)
    counted = torch.cat([torch.ones(len(recorded.mask), 1, dtype=torch.bool), recorded.mask], 1)
    vision = train_vision(
        recorded.frames[counted], world.colours, size, steps=size.seeing, label="V",
        device=args.device, **_kept(args, "vision"),
    )  # fmt: skip
    seen = recorded.seen(vision)
    memory = train_memory(
        seen, world.actions, size, steps=size.remembering, label="M", **_kept(args, "memory")
    )  # fmt: skip
    starts = seen.mean[:, 0]
    del recorded, seen, counted
    found: dict[str, Any] = {}
    belief = None
    if args.env == GAME:
        belief = believed(world, vision, memory, episodes=220, seed=args.seed + 1)
        found["place of a hidden ball, R² from M's cells"] = belief.from_cells
        found["place of a hidden ball, R² from M's output"] = belief.from_output
        found["place of a hidden ball, R² from V"] = belief.from_vision
    wide = {False: size.latents + 1, True: size.latents + size.units + 1}
    real = in_world(world, vision, memory, size, size.tries)
    dreamt = in_dream(memory, starts, size, args.temperature)
    players, curves, scores = {}, {}, {}
    aimless = Aimless(world.actions, torch.Generator().manual_seed(args.seed))
    found["aimless"], _ = measured(world, vision, memory, aimless, size)
    for name, knows, evaluate, file in (
        ("V and C", False, real, "seeing"),
        ("V, M and C", True, real, "remembering"),
        ("in the dream", True, dreamt, "dreaming"),
    ):
        player, curves[name] = evolve(
            evaluate, (world.actions, wide[knows]), size, sees_memory=knows, label=name,
            **_kept(args, file),
        )  # fmt: skip
        players[name] = Controller(player.weights.to(args.device), knows)
        scores[name] = measured(world, vision, memory, players[name].act, size)
        found[name], found[f"{name}, standard error"] = scores[name]
    found["in the dream, as dreamt"] = (
        curves["in the dream"][-1] if curves["in the dream"] else 0.0
    )
    jam = None
    if args.env == GAME:
        figures, jam = jam_figures(args.jam, size, args)
        found |= figures
    found["minutes"] = (time.monotonic() - began) / 60
    write_figures(args.out / "world_model.json", found)
    draw(
        world, vision, memory, players, curves, scores, belief, jam,
        args.out / "world_model.png",
    )  # fmt: skip
    world.close()
    print(f"{args.out / 'world_model.png'}: the picture")


def _kept(args: argparse.Namespace, name: str) -> dict[str, Any]:
    """Return seed, checkpoint and whether to resume: a part without a checkpoint begins."""
    path = args.out / f"{name}.run"
    return {
        "seed": args.seed, "checkpoint": path, "resume": args.resume and path.exists()
    }  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    result = options(__doc__, out="world_model")
    result.add_argument(
        "--env", default=GAME, help="an environment of gymnasium with images: CarRacing-v3"
    )
    result.add_argument(
        "--temperature", type=float, default=1.0, help="of the dream in which C is trained"
    )
    result.add_argument(
        "--jam", type=Path, nargs="+", default=JAMS, metavar="SESSION",
        help="recorded jams; the last one is predicted, from what the others taught",
    )  # fmt: skip
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)  # the matrices are too small for more threads
    run(parser(), main)
