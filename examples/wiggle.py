"""A folded curve, learnt with 20 Gaussians, and sampled with different biases.

    python examples/wiggle.py --to wiggle.png

The curve x = 7 sin 0.75y + y/2 + noise is folded: for one x, up to five values of y are
right. A network of 32 tanh units and 20 Gaussians learns it from 1,000 points, in batches of
32, with 2,000 passes. Three networks with different seeds train at once, as one batch. Takes
about a minute.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from robojam.mixture import Mixture, MixtureLayer

SEEDS, POINTS, EPOCHS, BATCH = 3, 1_000, 2_000, 32
UNITS, COMPONENTS = 32, 20


def curve(y: Tensor) -> Tensor:
    return 7 * torch.sin(0.75 * y) + 0.5 * y


def data(points: int = POINTS, *, seed: int) -> tuple[Tensor, Tensor]:
    """Return x (n, 1) and y (n, 1)."""
    g = torch.Generator().manual_seed(seed)
    y = 21 * torch.rand(points, 1, generator=g) - 10.5
    return curve(y) + torch.randn(points, 1, generator=g), y


class Networks(nn.Module):
    """Several networks of one shape, 1 → 32 tanh → 20 Gaussians, as one batch (S, …)."""

    def __init__(self, y: Tensor) -> None:
        """Start each network near its targets, y (S, n, 1)."""
        super().__init__()
        nets = []
        for seed, targets in enumerate(y):
            torch.manual_seed(seed)
            first, layer = nn.Linear(1, UNITS), MixtureLayer(UNITS, 1, COMPONENTS)
            layer.spread_means(targets)
            last = layer.linear
            nets.append((first.weight.mT, first.bias[None], last.weight.mT, last.bias[None]))
        self.stacked = nn.ParameterList(
            torch.stack(same).detach() for same in zip(*nets, strict=True)
        )

    def forward(self, x: Tensor) -> Mixture:
        """Return the mixtures (S, n) of x (S, n, 1), one network for each row."""
        into, bias, out, bias_out = self.stacked
        hidden = torch.tanh(torch.baddbmm(bias, x, into))
        return Mixture.from_parameters(torch.baddbmm(bias_out, hidden, out), 1, "diagonal")


def learn(networks: Networks, x: Tensor, y: Tensor, *, epochs: int = EPOCHS) -> None:
    """Train on x, y (S, n, 1) in batches, shuffled at each pass, with Adam at 1e-3."""
    adam = torch.optim.Adam(networks.parameters(), lr=1e-3, fused=True)
    g = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        order = torch.randperm(x.shape[1], generator=g)
        for rows in order.split(BATCH):
            # A network's gradient depends on its own loss only, so the sum trains each alone.
            loss = networks(x[:, rows]).loss(y[:, rows], reduction="sum") / len(rows)
            adam.zero_grad()
            loss.backward()
            adam.step()


def losses(networks: Networks, x: Tensor, y: Tensor) -> list[float]:
    """Return the nats per point of each network on its own points."""
    with torch.no_grad():
        return networks(x).loss(y, reduction="none").mean(-1).tolist()


def stacked(
    seeds: int = SEEDS, *, points: int = POINTS, first: int = 0
) -> tuple[Tensor, Tensor]:
    """Return x and y (S, n, 1), each row made with its own seed."""
    drawn = [data(points, seed=first + seed) for seed in range(seeds)]
    return torch.stack([x for x, _ in drawn]), torch.stack([y for _, y in drawn])


def draw(networks: Networks, x: Tensor, y: Tensor, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.4), dpi=100, layout="constrained")
    question = torch.linspace(-14, 14, 2400)[:, None].expand(len(x), -1, -1)
    with torch.no_grad():
        mixture = networks(question)
    shown = {
        "1,000 points to learn from": None,
        "samples": {},
        "bias 1 (Graves): both at once": {"bias": 1.0},
        "deviations only: spread 0": {"spread": 0.0},
        "weights only: temperature 0": {"temperature": 0.0},
        "bias 5: the most likely branch": {"bias": 5.0},
    }
    panels = figure.subplots(2, 3, sharex=True, sharey=True).flat
    for axes, (title, bias) in zip(panels, shown.items(), strict=True):
        axes.set_title(title, fontsize=10)
        axes.set(xlim=(-14, 14), ylim=(-12.5, 12.5))
        if bias is None:
            axes.scatter(x[0], y[0], s=3, color="#555555", linewidths=0)
            continue
        axes.scatter(x[0], y[0], s=3, color="#dddddd", linewidths=0)
        drawn = mixture.sample(generator=torch.Generator().manual_seed(0), **bias)
        axes.scatter(question[0], drawn[0], s=3, color="#1f5c8c", linewidths=0)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--to", type=Path, default=Path("wiggle.png"))
    parser.add_argument("--quick", action="store_true", help="train for a tenth of the passes")
    args = parser.parse_args()
    x, y = stacked()
    networks = Networks(y)
    learn(networks, x, y, epochs=EPOCHS // 10 if args.quick else EPOCHS)
    training = losses(networks, x, y)
    held_out = losses(networks, *stacked(points=10_000, first=100))
    for name, nats in (("training", training), ("held-out", held_out)):
        values = ", ".join(f"{value:.3f}" for value in nats)
        print(f"{name} points: {values}; median {sorted(nats)[len(nats) // 2]:.3f} nats")
    draw(networks, x, y, args.to)


if __name__ == "__main__":
    torch.set_num_threads(1)  # the matrices are too small for more threads
    main()
