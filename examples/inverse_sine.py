"""The inverse sine: squared error and a mixture, on the same two hidden layers.

    python examples/inverse_sine.py --to inverse_sine.png

For which y is sin y = x? There is always more than one answer. A network 1 → 15 → 15 → 1
with squared error (286 weights) finds none of them. With five Gaussians as the last layer
(510 weights), nearly every sample is a right answer. Takes about ten seconds.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from robojam.mixture import MixtureLayer

NOISE = 0.05
STEPS = 4_000


def data(points: int = 3_000, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return x (n, 1), which is sin y and noise, and y (n, 1) over two periods."""
    g = torch.Generator().manual_seed(seed)
    y = 2 * math.pi * (2 * torch.rand(points, 1, generator=g) - 1)
    return torch.sin(y) + NOISE * torch.randn(points, 1, generator=g), y


def network(last: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(1, 15), nn.Tanh(), nn.Linear(15, 15), nn.Tanh(), last)


def squared_network(*, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return network(nn.Linear(15, 1))


def mixture_network(y: Tensor, *, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    last = MixtureLayer(15, 1, 5)
    last.spread_means(y)  # else a mean may start where there are no answers, and stay there
    return network(last)


def learn(net: nn.Sequential, x: Tensor, y: Tensor, *, steps: int = STEPS) -> float:
    """Train on all points at once with Adam; return the last loss."""
    adam = torch.optim.Adam(net.parameters(), lr=1e-2, fused=True)
    for step in range(steps):
        adam.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
        answer = net(x)
        loss = functional.mse_loss(answer, y) if isinstance(answer, Tensor) else answer.loss(y)
        adam.zero_grad()
        loss.backward()
        adam.step()
    return float(loss.detach())


def answers(net: nn.Sequential, x: Tensor) -> Tensor:
    """Return a network's answers to x: its only value, or a sample."""
    with torch.no_grad():
        answer = net(x)
        if isinstance(answer, Tensor):
            return answer
        return answer.sample(generator=torch.Generator().manual_seed(1))


def right(net: nn.Sequential, x: Tensor) -> float:
    """Return the share of answers whose sine is x, within four deviations of the noise."""
    miss = (torch.sin(answers(net, x)) - x).abs()
    return float((miss < 4 * NOISE).float().mean())


def draw(nets: dict[str, nn.Sequential], x: Tensor, y: Tensor, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 3.6), dpi=110, layout="constrained")
    for axes, (title, net) in zip(
        figure.subplots(1, 2, sharey=True), nets.items(), strict=True
    ):
        axes.scatter(x, y, s=3, color="#bbbbbb", linewidths=0)
        axes.scatter(x, answers(net, x), s=3, color="#1f5c8c", linewidths=0)
        axes.set(title=title, xlabel="x", ylim=(-7.2, 8.4))
        label = f"{right(net, x):.0%} of answers right"
        axes.text(0.97, 0.96, label, transform=axes.transAxes, ha="right", va="top")
    figure.axes[0].set(ylabel="y, where sin y = x")
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--to", type=Path, default=Path("inverse_sine.png"))
    parser.add_argument("--quick", action="store_true", help="train for a fifth of the steps")
    args = parser.parse_args()
    x, y = data()
    nets = {}
    for name, net in (
        ("squared error", squared_network()),
        ("five Gaussians", mixture_network(y)),
    ):
        loss = learn(net, x, y, steps=STEPS // 5 if args.quick else STEPS)
        weights = sum(p.numel() for p in net.parameters())
        nets[f"{name}, {weights} weights"] = net
        print(f"{name}: {weights} weights, loss {loss:.3f}, {right(net, x):.0%} right")
    draw(nets, x, y, args.to)


if __name__ == "__main__":
    torch.set_num_threads(1)  # the matrices are too small for more threads
    main()
