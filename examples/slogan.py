"""SLOGAN: a network that learns a density by an adversary, beside a mixture on the same data.

    python examples/slogan.py --out slogan

The data is the folded curve of wiggle.py, here as points (x, y). A generator turns noise into
points; a critic is a function of a point that is to be as high on generated points and as low
on real ones as it can, while its slope stays below 1. The generator then moves its points
downhill. In SLOGAN (single-sided Lipschitz objective GAN, Viehmann 2017), a Wasserstein GAN,
the slope is measured between each real and each generated point of a batch, and only a slope
above 1 is penalised. The mixture learns the same density as two factors, p(x) and p(y | x).

Both learn from the same 1,000 points, and are compared with 4,000 others: by the energy
distance and by a maximum mean discrepancy, 0 for samples of the data's own density. Takes about
a minute on a quiet machine.

Source: T. Viehmann, "Gaussian mixture density networks in one dimension",
https://github.com/t-vi/pytorch-tvmisc, and https://lernapparat.de/more-improved-wgan/.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import wiggle
from _run import (
    CHECKPOINT_EVERY,
    Steps,
    fit,
    options,
    read_checkpoint,
    restore,
    run,
    tensors_of,
    with_prefix,
    without_prefix,
    write_checkpoint,
    write_figures,
)
from torch import Tensor, nn

from robojam.mixture import MixtureLayer
from robojam.training.trainer import NotFiniteError

POINTS, HELD_OUT = 1_000, 4_000
NOISE, UNITS, BATCH = 4, 64, 128
STEPS, QUICK = 6_000, 250
CRITIC_STEPS = 3  # for one of the generator's
PENALTY = 10.0
RATE, AVERAGE = 2e-3, 0.995
SCORE_EVERY = 100
SCALE = 6.0  # one unit of the networks, in units of x and y


def points(count: int, *, seed: int) -> Tensor:
    """Return points (n, 2) of the folded curve."""
    return torch.cat(wiggle.data(count, seed=seed), -1)


def exact_density(places: Tensor) -> Tensor:
    """Return the density (…) of the data at places (…, 2)."""
    x, y = places.unbind(-1)
    miss = x - wiggle.curve(y)
    inside = (y.abs() < 10.5).to(x)
    return inside / 21 * torch.exp(-0.5 * miss.square()) / math.sqrt(2 * math.pi)


def two_sample(a: Tensor, b: Tensor, *, biased: bool = False) -> tuple[float, float]:
    """Return how samples a (n, 2) and b (m, 2) differ: energy distance, and relative MMD².

    The energy distance, 2 E|A - B| - E|A - A'| - E|B - B'| (Székely), sees where the mass is.
    The maximum mean discrepancy (Gretton 2012), here with a Gaussian kernel of deviation 1,
    sees its shape; it is divided by the kernel's mean within b. Both are 0 for two samples of
    one density, up to chance, which can make them negative unless they are biased.
    """

    def means(p: Tensor, q: Tensor, pairs: int) -> tuple[float, float]:
        distance = kernel = 0.0
        for rows in p.split(500):
            apart = torch.cdist(rows, q).double()
            distance += float(apart.sum())
            kernel += float(torch.exp(-0.5 * apart.square()).sum())
        if pairs < len(p) * len(q):
            kernel -= len(p)  # of each point with itself
        return distance / pairs, kernel / pairs

    n, m, one = len(a), len(b), 0 if biased else 1
    between, between_kernel = means(a, b, n * m)
    in_a, in_a_kernel = means(a, a, n * (n - one))
    in_b, in_b_kernel = means(b, b, m * (m - one))
    discrepancy = in_a_kernel + in_b_kernel - 2 * between_kernel
    return 2 * between - in_a - in_b, discrepancy / in_b_kernel


def perceptron(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, UNITS),
        nn.LeakyReLU(0.1),
        nn.Linear(UNITS, UNITS),
        nn.LeakyReLU(0.1),
        nn.Linear(UNITS, outputs),
    )


class Generator(nn.Module):
    """Points from noise: 4 → 64 → 64 → 2."""

    def __init__(self) -> None:
        super().__init__()
        self.net = perceptron(NOISE, 2)

    def forward(self, noise: Tensor) -> Tensor:
        """Return points (n, 2) for noise (n, 4)."""
        return SCALE * self.net(noise)

    def sample(self, count: int) -> Tensor:
        """Return points (n, 2)."""
        return self(torch.randn(count, NOISE, device=self.net[0].weight.device))


class Critic(nn.Module):
    """A function of a point, high on generated and low on real points: 2 → 64 → 64 → 1."""

    def __init__(self) -> None:
        super().__init__()
        self.net = perceptron(2, 1)

    def forward(self, places: Tensor) -> Tensor:
        """Return the critic's values (…) at places (…, 2)."""
        return SCALE * self.net(places / SCALE).squeeze(-1)

    def judge(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss, and the gap: how much higher the generated points (m, 2) are.

        With a slope of at most 1, the largest gap is the Wasserstein distance of both.
        """
        values = self(torch.cat([real, fake]))
        on_real, on_fake = values.split([len(real), len(fake)])
        apart = torch.cdist(real, fake) + 1e-3
        slope = (on_fake - on_real[:, None]).abs() / apart  # of each pair, (n, m)
        penalty = torch.relu(slope - 1).square().mean()
        gap = on_fake.mean() - on_real.mean()
        level = (on_fake.mean() + on_real.mean()).square()  # no other term fixes the level
        return PENALTY * penalty - gap / SCALE + 1e-4 * level, gap


@dataclass
class Gan:
    """The networks of a training, the averaged generator, and what was scored on the way."""

    generator: Generator = field(default_factory=Generator)
    critic: Critic = field(default_factory=Critic)
    history: list[tuple[int, float, float]] = field(default_factory=list)  # step, gap, distance


def train(
    real: Tensor,
    *,
    steps: int = STEPS,
    seed: int = 0,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> Gan:
    """Train on points (n, 2); the generator returned is the average that came nearest to them.

    Raises NotFiniteError for a loss that is not finite.
    """
    torch.manual_seed(seed)
    gan = Gan(Generator().to(real.device), Critic().to(real.device))
    adams = [
        torch.optim.Adam(net.parameters(), lr=RATE, betas=(0.5, 0.9), fused=True)
        for net in (gan.generator, gan.critic)
    ]
    averaged, nearest, first = copy.deepcopy(gan.generator), math.inf, 0
    best = copy.deepcopy(averaged)
    nets = {
        "generator": gan.generator,
        "critic": gan.critic,
        "averaged": averaged,
        "best": best,
    }
    about = {"seed": seed, "steps": steps}
    if resume and checkpoint is not None:
        tensors, saved = read_checkpoint(checkpoint, about)
        for name, net in nets.items():
            net.load_state_dict(without_prefix(name, tensors))
        for number, adam in enumerate(adams):
            restore(adam, without_prefix(f"adam{number}", tensors))
        gan.history = [tuple(row) for row in saved["history"]]
        first, nearest = saved["step"], min(row[2] for row in gan.history)

    def save(step: int) -> None:
        if checkpoint is not None:
            tensors: dict[str, Tensor] = {}
            for name, net in nets.items():
                tensors |= with_prefix(name, net.state_dict())
            for number, adam in enumerate(adams):
                tensors |= with_prefix(f"adam{number}", tensors_of(adam))
            write_checkpoint(
                checkpoint, tensors, about | {"step": step, "history": gan.history}
            )

    def score(step: int) -> float:
        nonlocal nearest
        with torch.no_grad():
            distance, _ = two_sample(averaged.sample(2 * len(real)), real, biased=True)
        gan.history.append((step, gap, distance))
        if distance < nearest:
            nearest = distance
            best.load_state_dict(averaged.state_dict())
        return distance

    written, gap, done = time.monotonic(), 0.0, first
    with Steps("SLOGAN", steps, first=first) as progress:
        for step in progress:
            torch.manual_seed(seed * 1_000_003 + step)
            for adam in adams:
                adam.param_groups[0]["lr"] = RATE * min(1.0, 2 * (1 - step / steps))
            gap = _step(gan, adams, real)
            if not math.isfinite(gap):
                raise NotFiniteError(f"at step {step} the critic's gap is {gap}: lower RATE")
            with torch.no_grad():
                keep = min(AVERAGE, step / (step + 10))
                pairs = zip(averaged.parameters(), gan.generator.parameters(), strict=True)
                for mine, its in pairs:
                    mine.lerp_(its, 1 - keep)
            done = step + 1
            if done % SCORE_EVERY == 0 or done == steps:
                distance = score(done)
                progress.show(f"gap {gap:.2f}, energy distance {distance:.3f}")
                if time.monotonic() - written > CHECKPOINT_EVERY or done == steps:
                    save(done)
                    written = time.monotonic()
    if progress.stopped:
        score(done)
        save(done)
    gan.generator = best
    return gan


def _step(gan: Gan, adams: list[torch.optim.Adam], real: Tensor) -> float:
    """Train the critic for some steps and the generator for one; return the last gap."""
    of_generator, of_critic = adams
    for _ in range(CRITIC_STEPS):
        rows = torch.randint(len(real), (BATCH,), device=real.device)
        with torch.no_grad():
            fake = gan.generator.sample(BATCH)
        loss, gap = gan.critic.judge(real[rows], fake)
        of_critic.zero_grad()
        loss.backward()
        of_critic.step()
    gan.critic.requires_grad_(False)
    downhill = gan.critic(gan.generator.sample(BATCH)).mean() / SCALE
    of_generator.zero_grad()
    downhill.backward()
    of_generator.step()
    gan.critic.requires_grad_(True)
    return float(gap.detach())


class Joint(nn.Module):
    """The density of points by mixtures: p(x), which depends on nothing, times p(y | x)."""

    def __init__(self, real: Tensor) -> None:
        """Start near the points (n, 2)."""
        super().__init__()
        self.of_x = MixtureLayer(1, 1, 12)  # from a constant: a mixture that is learnt
        self.of_y = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), MixtureLayer(32, 1, 20))
        self.of_x.spread_means(real[:, :1])
        self.of_y[-1].spread_means(real[:, 1:])

    def log_prob(self, places: Tensor) -> Tensor:
        """Return the log density (…) of places (…, 2)."""
        x, y = places.split(1, -1)
        return self.of_x(torch.ones_like(x)).log_prob(x) + self.of_y(x).log_prob(y)

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """Return points (n, 2)."""
        ones = torch.ones(count, 1, device=self.of_x.linear.weight.device)
        x = self.of_x(ones).sample()
        return torch.cat([x, self.of_y(x).sample()], -1)


def train_joint(real: Tensor, *, steps: int, seed: int = 0) -> Joint:
    """Train on points (n, 2) but for a tenth; return what scores best on that."""
    torch.manual_seed(seed)
    joint = Joint(real).to(real.device)
    held_out = torch.arange(len(real), device=real.device) % 10 == 0
    learnt, scored = real[~held_out], real[held_out]

    def loss(net: nn.Module, _step: int) -> Tensor:
        rows = torch.randint(len(learnt), (BATCH,), device=real.device)
        return -net.log_prob(learnt[rows]).mean()

    def score(net: nn.Module) -> float:
        return float(-net.log_prob(scored).mean())

    fit(joint, loss, score, steps=steps, rate=1e-2, label="mixture", score_every=50, seed=seed)
    return joint


def figures(gan: Gan, joint: Joint, real: Tensor, *, seed: int = 0) -> dict[str, float]:
    """Return how samples, and the points (n, 2) learnt from, differ from other points."""
    held_out = points(HELD_OUT, seed=1000 + seed).to(real)
    torch.manual_seed(seed)
    with torch.no_grad():
        sampled = {
            "SLOGAN": gan.generator.sample(HELD_OUT),
            "mixture": joint.sample(HELD_OUT),
            "the points learnt from": real,
            "other points": points(HELD_OUT, seed=2000 + seed).to(real),
        }
    found = {}
    for name, sample in sampled.items():
        found[f"energy distance, {name}"], found[f"MMD, {name}"] = two_sample(sample, held_out)
        found[f"within 3 deviations of the curve, {name}"] = _share_near(sample)
    return found


def _share_near(sampled: Tensor) -> float:
    """Return the share of points (n, 2) that are within three deviations of the curve."""
    x, y = sampled.unbind(-1)
    near = ((x - wiggle.curve(y)).abs() < 3) & (y.abs() < 10.5)
    return float(near.float().mean())


def draw(gan: Gan, joint: Joint, real: Tensor, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 8.6), dpi=90, layout="constrained")
    grid = figure.add_gridspec(3, 3)
    wide, high = (-16.0, 16.0), (-12.5, 12.5)
    torch.manual_seed(0)
    with torch.no_grad():
        many = [gan.generator.sample(400_000).cpu(), joint.sample(400_000).cpu()]
    places = torch.stack(
        torch.meshgrid(torch.linspace(*wide, 220), torch.linspace(*high, 190), indexing="xy"),
        -1,
    )
    shown = [("points to learn from", real.cpu())]
    shown += [("SLOGAN", many[0]), ("mixture: p(x) p(y | x)", many[1])]
    darkest = float(exact_density(places).max())
    for column, (title, sampled) in enumerate(shown):
        axes = figure.add_subplot(grid[0, column])
        axes.set_title(title, fontsize=10)
        axes.scatter(*sampled[:POINTS].T, s=3, color=("#1f5c8c", "#555555")[column == 0], lw=0)
        below = figure.add_subplot(grid[1, column])
        if column == 0:
            density = exact_density(places)
            below.set_title("their density", fontsize=10)
        else:
            density = _histogram(sampled, wide, high)
            below.set_title("density of what it makes", fontsize=10)
        below.imshow(
            density, origin="lower", extent=(*wide, *high), aspect="auto", cmap="Blues",
            vmin=0, vmax=darkest, interpolation="bilinear",
        )  # fmt: skip
        for panel in (axes, below):
            panel.set(xlim=wide, ylim=high, xticks=[], yticks=[])
    axes = figure.add_subplot(grid[2, 0])
    axes.set_title("the critic: points run downhill", fontsize=10)
    with torch.no_grad():
        value = gan.critic(places.to(real)).cpu()
    axes.contourf(places[..., 0], places[..., 1], value, levels=24, cmap="BrBG_r")
    axes.contour(
        places[..., 0], places[..., 1], value, levels=24, colors="#ffffff", linewidths=0.35
    )
    axes.scatter(*real.cpu().T, s=1.5, color="#111111", lw=0)
    axes.set(xlim=wide, ylim=high, xticks=[], yticks=[])
    axes = figure.add_subplot(grid[2, 1:])
    step, gap, distance = zip(*gan.history, strict=True)
    axes.set_title("training", fontsize=10)
    axes.plot(
        step,
        np.maximum(gap, 1e-3),
        color="#bbbbbb",
        lw=1,
        label="the critic's gap (Wasserstein distance)",
    )
    axes.plot(step, distance, color="#1f5c8c", lw=1.4, label="energy distance to the points")
    level, _ = two_sample(many[1][: 2 * POINTS].to(real), real, biased=True)
    axes.axhline(level, color="#e67e22", lw=1.2, ls="--", label="the mixture's")
    axes.set(yscale="log", xlabel="steps of the generator", ylim=(5e-3, None))
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(path)


def _histogram(sampled: Tensor, wide: tuple[float, float], high: tuple[float, float]) -> Tensor:
    """Return the density of points (n, 2) in 95 × 110 cells."""
    cells = (95, 110)
    x, y = sampled.unbind(-1)
    column = ((x - wide[0]) / (wide[1] - wide[0]) * cells[1]).floor().long()
    row = ((y - high[0]) / (high[1] - high[0]) * cells[0]).floor().long()
    inside = (row >= 0) & (row < cells[0]) & (column >= 0) & (column < cells[1])
    index = (row * cells[1] + column)[inside]
    count = torch.bincount(index, minlength=cells[0] * cells[1]).view(cells).float()
    area = (wide[1] - wide[0]) * (high[1] - high[0]) / (cells[0] * cells[1])
    return count / (len(sampled) * area)


def main(args: argparse.Namespace) -> None:
    began = time.monotonic()
    real = points(POINTS, seed=args.seed).to(args.device)
    gan = train(
        real,
        steps=QUICK if args.quick else STEPS,
        seed=args.seed,
        checkpoint=args.out / "slogan.run",
        resume=args.resume,
    )
    joint = train_joint(real, steps=200 if args.quick else 2_000, seed=args.seed)
    found = figures(gan, joint, real, seed=args.seed)
    write_figures(
        args.out / "slogan.json", found | {"minutes": (time.monotonic() - began) / 60}
    )
    draw(gan, joint, real, args.out / "slogan.png")
    print(f"{args.out / 'slogan.png'}: the picture")


if __name__ == "__main__":
    torch.set_num_threads(1)  # the matrices are too small for more threads
    run(options(__doc__, out="slogan"), main)
