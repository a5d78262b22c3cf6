"""A spiral: two dimensions at once, with and without correlation.

    python examples/spiral.py --to spiral.png

The question is an angle; the answer is a point on one of two spiral arms, scattered along
the arm and very little across it. Two Gaussians with correlation fit this. Without
correlation their axes are horizontal and vertical, so they blur the arm wherever it is
diagonal, by exactly the nats that theory predicts. Takes about twenty seconds.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor, nn

from robojam.mixture import MixtureLayer

ALONG, ACROSS = 0.20, 0.03
POINTS, STEPS = 4_000, 3_000


def arms(angle: Tensor) -> tuple[Tensor, Tensor]:
    """Return points and directions of the first arm at angles (n,): (n, 2) each."""
    radius, grows = 0.25 + 0.12 * angle, 0.12
    c, s = angle.cos(), angle.sin()
    place = torch.stack([radius * c, radius * s], -1)
    way = torch.stack([grows * c - radius * s, grows * s + radius * c], -1)
    return place, way / way.norm(dim=-1, keepdim=True)


def data(points: int = POINTS, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return angles (n,), over one and a half turns, and points (n, 2), half on each arm."""
    g = torch.Generator().manual_seed(seed)
    angle = 3 * math.pi * torch.rand(points, generator=g)
    place, way = arms(angle)
    z = torch.randn(points, 2, generator=g)
    across = torch.stack([-way[:, 1], way[:, 0]], -1)
    point = place + ALONG * z[:, :1] * way + ACROSS * z[:, 1:] * across
    side = 2.0 * torch.randint(2, (points, 1), generator=g) - 1
    return angle, side * point


def inputs(angle: Tensor) -> Tensor:
    """Return the network's inputs (n, 3) for angles (n,)."""
    return torch.stack([angle.cos(), angle.sin(), angle / 5 - 1], -1)


def network(covariance: str, *, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(3, 64),
        nn.Tanh(),
        nn.Linear(64, 64),
        nn.Tanh(),
        MixtureLayer(64, 2, 2, covariance=covariance),
    )


def learn(net: nn.Sequential, *, steps: int = STEPS, batch: int = 256) -> float:
    """Train on new points at each step; return nats per held-out point."""
    adam = torch.optim.Adam(net.parameters(), lr=4e-3, fused=True)
    for step in range(steps):
        adam.param_groups[0]["lr"] = 4e-3 * (1 - step / steps)
        angle, point = data(batch, seed=step + 1)
        loss = net(inputs(angle)).loss(point)
        adam.zero_grad()
        loss.backward()
        adam.step()
    angle, point = data(20_000)
    with torch.no_grad():
        return float(net(inputs(angle)).loss(point))


def theory() -> tuple[float, float]:
    """Return the nats per point of the best two Gaussians, without and with correlation.

    The Gaussians with correlation are those that made the data. The arms are far enough
    apart that each has a Gaussian of its own.
    """
    _, way = arms(3 * math.pi * torch.linspace(0, 1, 10_001))
    diagonal = (ALONG * way).square() + (ACROSS * way.flip(-1)).square()  # variances of x, y
    own = (
        1 + math.log(2 * math.pi) + math.log(2)
    )  # of two unit normals, and of the choice of arm
    return (
        own + float(0.5 * diagonal.log().sum(-1).mean()),
        own + math.log(ALONG * ACROSS),
    )


def draw(nets: dict[str, nn.Sequential], path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.patches import Ellipse

    figure = Figure(figsize=(8, 4.2), dpi=84, layout="constrained")
    _, point = data(1_500)
    angle = 3 * math.pi * (torch.arange(22) + 0.5) / 22
    for axes, (title, net) in zip(
        figure.subplots(1, 2, sharex=True, sharey=True), nets.items(), strict=True
    ):
        axes.scatter(*point.T, s=3, color="#aaaaaa", linewidths=0)
        with torch.no_grad():
            mixture = net(inputs(angle))
        values, vectors = torch.linalg.eigh(mixture.scale_tril @ mixture.scale_tril.mT)
        for where, size, turn in zip(
            mixture.loc.flatten(0, 1),
            4 * values.sqrt().flatten(0, 1),  # two deviations in each direction
            vectors.flatten(0, 1),
            strict=True,
        ):
            tilt = math.degrees(math.atan2(turn[1, 1], turn[0, 1]))
            axes.add_patch(
                Ellipse(where, size[1], size[0], angle=tilt, fill=False, color="#1f5c8c")
            )
        axes.set(title=title, aspect="equal", xlim=(-1.75, 1.75), ylim=(-1.75, 1.75))
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--to", type=Path, default=Path("spiral.png"))
    parser.add_argument("--quick", action="store_true", help="train for a fifth of the steps")
    args = parser.parse_args()
    nets = {}
    for covariance, best in zip(("diagonal", "correlated"), theory(), strict=True):
        net = network(covariance)
        nats = learn(net, steps=STEPS // 5 if args.quick else STEPS)
        nets[f"{covariance}: {nats:.2f} nats"] = net
        print(f"{covariance}: {nats:.3f} nats per point; the best possible is {best:.3f}")
    draw(nets, args.to)


if __name__ == "__main__":
    torch.set_num_threads(1)  # the matrices are too small for more threads
    main()
