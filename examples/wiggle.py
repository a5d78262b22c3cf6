"""A curve that is no graph: 20 Gaussians, and what bias does to their samples.

    python examples/wiggle.py --to wiggle.png

x = 7 sin 0.75y + y/2 + noise folds over itself: for one x up to five y are right. A
network of 32 tanh units and 20 Gaussians learns it from 1,000 points in batches of 32,
2,000 times over. Three seeds learn side by side, in one batch of networks. It takes
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
    """Draw x (n, 1) and y (n, 1)."""
    g = torch.Generator().manual_seed(seed)
    y = 21 * torch.rand(points, 1, generator=g) - 10.5
    return curve(y) + torch.randn(points, 1, generator=g), y


class Chorus(nn.Module):
    """Several networks of one shape, 1 → 32 tanh → 20 Gaussians, as one batch (S, …)."""

    def __init__(self, seeds: int = SEEDS) -> None:
        super().__init__()
        nets = []
        for seed in range(seeds):
            torch.manual_seed(seed)
            first, last = nn.Linear(1, UNITS), MixtureLayer(UNITS, 1, COMPONENTS).linear
            with torch.no_grad():  # y reaches from -10.5 to 10.5: let the means begin there
                last.bias[COMPONENTS : 2 * COMPONENTS] = torch.linspace(-10, 10, COMPONENTS)
            nets.append((first.weight.mT, first.bias[None], last.weight.mT, last.bias[None]))
        self.stacked = nn.ParameterList(
            torch.stack(same).detach() for same in zip(*nets, strict=True)
        )

    def forward(self, x: Tensor) -> Mixture:
        """Return the mixtures (S, n) of x (S, n, 1), one network for each row."""
        into, bias, out, bias_out = self.stacked
        hidden = torch.tanh(torch.baddbmm(bias, x, into))
        return Mixture.from_parameters(torch.baddbmm(bias_out, hidden, out), 1, "diagonal")


def learn(chorus: Chorus, x: Tensor, y: Tensor, *, epochs: int = EPOCHS) -> None:
    """Learn x, y (S, n, 1) in batches, shuffled anew at each pass, with Adam at 1e-3."""
    adam = torch.optim.Adam(chorus.parameters(), lr=1e-3, fused=True)
    g = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        order = torch.randperm(x.shape[1], generator=g)
        for rows in order.split(BATCH):
            # Each network is alone with its own mean: their sum mixes nothing.
            loss = chorus(x[:, rows]).loss(y[:, rows], reduction="sum") / len(rows)
            adam.zero_grad()
            loss.backward()
            adam.step()


def losses(chorus: Chorus, x: Tensor, y: Tensor) -> list[float]:
    """Nats per point of each network on its own points."""
    with torch.no_grad():
        return chorus(x).loss(y, reduction="none").mean(-1).tolist()


def stacked(
    seeds: int = SEEDS, *, points: int = POINTS, first: int = 0
) -> tuple[Tensor, Tensor]:
    """Draw x and y (S, n, 1), each row with a seed of its own."""
    drawn = [data(points, seed=first + seed) for seed in range(seeds)]
    return torch.stack([x for x, _ in drawn]), torch.stack([y for _, y in drawn])


def draw(chorus: Chorus, x: Tensor, y: Tensor, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.4), dpi=100, layout="constrained")
    question = torch.linspace(-14, 14, 2400)[:, None].expand(len(x), -1, -1)
    with torch.no_grad():
        mixture = chorus(question)
    shown = {
        "1,000 points to learn from": None,
        "samples": {},
        "bias 1, Graves's: both at once": {"bias": 1.0},
        "deviations alone: spread 0": {"spread": 0.0},
        "weights alone: temperature 0": {"temperature": 0.0},
        "bias 5: the likeliest branch": {"bias": 5.0},
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
    parser.add_argument("--quick", action="store_true", help="a tenth of the passes")
    args = parser.parse_args()
    chorus, (x, y) = Chorus(), stacked()
    learn(chorus, x, y, epochs=EPOCHS // 10 if args.quick else EPOCHS)
    found, held_out = losses(chorus, x, y), losses(chorus, *stacked(points=10_000, first=100))
    for name, each in (("learnt", found), ("held-out", held_out)):
        told = ", ".join(f"{nats:.3f}" for nats in each)
        print(f"{name} points: {told}; median {sorted(each)[len(each) // 2]:.3f} nats")
    draw(chorus, x, y, args.to)


if __name__ == "__main__":
    torch.set_num_threads(1)  # nothing here is large enough to share
    main()
