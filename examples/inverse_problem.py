"""Bishop's inverse problem (PRML, section 5.6): one question with several right answers.

    python examples/inverse_problem.py --to inverse_problem.png

From t to x, x = t + 0.3 sin(2πt) + noise is easy to learn. From x to t there are up to
three right answers. A network that minimises squared error answers with their average, which
is wrong: first with a straight line (0.048), later with the exact average (0.038), and no
function that gives one answer can be better (`limits`). The same network with 26 Gaussians as
its last layer, 4,078 weights in all, gives each branch its probability. Takes about twenty
seconds.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from robojam.mixture import MixtureLayer

POINTS, STEPS = 4_000, 5_400


def data(points: int = POINTS, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return x (n, 1), the question, and t (n, 1), the answer."""
    g = torch.Generator().manual_seed(seed)
    t = torch.rand(points, 1, generator=g)
    noise = 0.2 * torch.rand(points, 1, generator=g) - 0.1
    return t + 0.3 * torch.sin(2 * math.pi * t) + noise, t


def network(*, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(1, 50), nn.Tanh(), MixtureLayer(50, 1, 26))


def squared_network(*, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(1, 50), nn.Tanh(), nn.Linear(50, 1))


def learn(net: nn.Sequential, x: Tensor, t: Tensor, *, steps: int = STEPS) -> float:
    """Train on all points at once with Adam; return the last loss."""
    adam = torch.optim.Adam(net.parameters(), lr=2e-3, fused=True)
    for _ in range(steps):
        answer = net(x)
        loss = functional.mse_loss(answer, t) if isinstance(answer, Tensor) else answer.loss(t)
        adam.zero_grad()
        loss.backward()
        adam.step()
    return float(loss.detach())


def limits() -> tuple[float, float]:
    """Return the squared error of the best straight line and of the best function.

    The second is the mean variance of the answers to one question.
    """
    t = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    x = t + 0.3 * torch.sin(2 * math.pi * t)
    both = torch.cov(torch.stack([x, t]), correction=0)
    line = both[1, 1] - both[0, 1] ** 2 / (both[0, 0] + 0.2**2 / 12)
    asked = torch.linspace(-0.2, 1.2, 1401, dtype=torch.float64)
    right = ((asked[:, None] - x).abs() <= 0.1).double()  # the likelihood of t, given x
    count = right.sum(1).clamp_min(1e-9)
    least = (right @ t.square() - (right @ t).square() / count).sum() / count.sum()
    return float(line), float(least)


def off_branch(net: nn.Sequential) -> float:
    """Return the greatest distance from x to the x of the most likely answer."""
    x = torch.linspace(0.05, 0.95, 181)[:, None]
    with torch.no_grad():
        t = net(x).mode
    return float((t + 0.3 * torch.sin(2 * math.pi * t) - x).abs().max())


def draw(net: nn.Sequential, squared: nn.Sequential, x: Tensor, t: Tensor, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), dpi=110, layout="constrained")
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    line = torch.linspace(-0.05, 1.05, 221)[:, None]
    with torch.no_grad():
        answer, average = net(line), squared(line)
        drawn = net(x).sample(generator=torch.Generator().manual_seed(0))
    for axes in panels:
        axes.title.set_size(11)
        axes.scatter(x[::3], t[::3], s=2, color="#bbbbbb", linewidths=0, rasterized=True)
        axes.set(xlabel="x, the question", xlim=(-0.05, 1.05), ylim=(-0.08, 1.08))
    panels[0].set(ylabel="t, the answer", title="squared error: the average")
    panels[0].plot(line, average, color="#c0392b")
    panels[1].set(title="all means; orange: the most likely")
    weight = answer.weights
    for k in range(weight.shape[-1]):
        shade = torch.zeros(len(line), 4)
        shade[:, 0], shade[:, 2] = 0.12, 0.55
        shade[:, 1], shade[:, 3] = 0.36, (3 * weight[:, k]).clamp(0, 1)
        panels[1].scatter(
            line[:, 0], answer.loc[:, k, 0], s=4, color=shade.numpy(), linewidths=0
        )
    panels[1].scatter(line[:, 0], answer.mode[:, 0], s=5, color="#e67e22", linewidths=0)
    panels[2].set(title="samples of the mixture")
    panels[2].scatter(x[::3], drawn[::3], s=2, color="#1f5c8c", linewidths=0)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--to", type=Path, default=Path("inverse_problem.png"))
    parser.add_argument("--quick", action="store_true", help="train for a fifth of the steps")
    args = parser.parse_args()
    steps = STEPS // 5 if args.quick else STEPS
    x, t = data()
    squared, net = squared_network(), network()
    line, least = limits()
    print(f"squared error: {learn(squared, x, t, steps=steps):.4f}")
    print(f"the best straight line reaches {line:.4f}, the best function {least:.4f}")
    weights = sum(p.numel() for p in net.parameters())
    print(f"mixture: {learn(net, x, t, steps=steps):.3f} nats, {weights:,} weights")
    print(f"the most likely answers miss x by at most {off_branch(net):.3f}")
    draw(net, squared, x, t, args.to)


if __name__ == "__main__":
    torch.set_num_threads(1)  # the matrices are too small for more threads
    main()
