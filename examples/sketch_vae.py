"""Sketch-RNN: a variational autoencoder of drawings, which reads and redraws kanji.

    python examples/sketch_vae.py ../shared/corpus/kanji_stroke3.npz --out sketch_vae

The system of Ha & Eck (2017), small, on the kanji of examples/kanji.py. An LSTM reads a kanji
in both directions, and gives the means and deviations of a latent vector z. Another LSTM, with
z at each step, gives the density of the next point: a mixture of correlated Gaussians
(robojam.mixture), and whether the pen is lifted and the drawing is done. The loss is that of
the reconstruction and the KL divergence of z from a unit normal, whose weight grows in the
course of the training (annealing), and which costs nothing below a limit (free bits).

The figures are on drawings that the model has not seen: nats per point of the reconstruction,
against a decoder of the same size without z; the KL; and how many radicals a linear probe reads
from z. The file does not name its kanji. A radical is found by how a kanji begins: the most
common openings of three strokes are tree, water, grass, hand, mouth and others.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from _run import InputError, fit, options, read_checkpoint, run, write_checkpoint, write_figures
from kanji import CORPUS, LICENCE, kanji, strokes
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from robojam.corpus.corpus import Corpus, CorpusError
from robojam.mixture import Mixture, MixtureLayer

TEMPERATURES = (0.1, 0.4, 0.7, 1.0)
LONGEST = 90  # points of a drawing
KL_FIRST = 0.01  # weight of the KL at the first step
FREE_NATS = 0.25  # for each number of z, below which the KL costs nothing
RADICALS, RADIUS = 12, 0.06  # openings; of one, in sides of the square around the kanji
OPENING, PLACES = 3, 5  # strokes of an opening, places on each

Points = NDArray[np.float32]


@dataclass(slots=True)
class Drawings:
    """Drawings of one file: points (N, T, 4), as dx, dy, pen lifted, ended; lengths (N)."""

    points: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, corpus: Corpus) -> Drawings:
        """Return those drawings of a corpus that are not too long."""
        rows = [torch.from_numpy(p.copy()) for p in corpus.performances() if len(p) <= LONGEST]
        if not rows:
            raise InputError(f"{corpus.name} has no drawing of at most {LONGEST} points")
        lengths = torch.tensor([len(row) for row in rows])
        return cls(nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: Tensor) -> Drawings:
        lengths = self.lengths[index]
        return Drawings(self.points[index, : int(lengths.max())], lengths)

    def to(self, device: str | torch.device) -> Drawings:
        return Drawings(self.points.to(device), self.lengths.to(device))

    def scaled(self, scale: float) -> Drawings:
        """Return drawings with offsets as multiples of a length, dequantised by ±1/2."""
        points = self.points.clone()
        points[..., :2] = (points[..., :2] + torch.rand_like(points[..., :2]) - 0.5) / scale
        points *= self.mask[..., None]
        return Drawings(points, self.lengths)

    @property
    def mask(self) -> Tensor:
        """True (N, T) where there is a point."""
        at = torch.arange(self.points.shape[1], device=self.points.device)
        return at < self.lengths[:, None]


class SketchVAE(nn.Module):
    """Encoder and decoder of drawings; with latent=0 the decoder alone.

    units is the size of the decoder's LSTM; those of the encoder have half of it. scale is the
    deviation of an offset in the corpus, by which offsets are divided.
    """

    def __init__(
        self, *, latent: int = 48, units: int = 192, components: int = 12, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.sizes = {
            "latent": latent,
            "units": units,
            "components": components,
            "scale": scale,
        }
        self.latent, self.units, self.scale = latent, units, scale
        if latent:
            half = units // 2
            self.forwards = nn.LSTM(4, half, batch_first=True)
            self.backwards = nn.LSTM(4, half, batch_first=True)
            self.to_latent = nn.Linear(2 * half, 2 * latent)
            self.to_state = nn.Linear(latent, 2 * units)
        self.decoder = nn.LSTM(4 + latent, units, batch_first=True)
        self.offset = MixtureLayer(units, 2, components, covariance="correlated")
        self.flags = nn.Linear(units, 2)  # pen lifted, ended

    def encode(self, drawings: Drawings) -> tuple[Tensor, Tensor]:
        """Return the means and the log deviations (N, Z) of z for scaled drawings."""
        last = drawings.lengths - 1
        rows = torch.arange(len(drawings), device=last.device)
        at = torch.arange(drawings.points.shape[1], device=last.device)
        # Reversed without the padding, which stays at the end.
        turned = torch.where(drawings.mask, last[:, None] - at, at)
        reverse = drawings.points.gather(1, turned[..., None].expand(-1, -1, 4))
        ends = [
            lstm(points)[0][rows, last]
            for lstm, points in ((self.forwards, drawings.points), (self.backwards, reverse))
        ]
        mean, log_deviation = self.to_latent(torch.cat(ends, -1)).chunk(2, -1)
        return mean, log_deviation.clamp(-6, 2)

    def start(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the decoder's first state for z (N, Z)."""
        if not self.latent:
            zeros = torch.zeros(1, len(z), self.units, device=z.device)
            return zeros, zeros
        hidden, cell = torch.tanh(self.to_state(z)).chunk(2, -1)
        return hidden[None].contiguous(), cell[None].contiguous()

    def decode(
        self, points: Tensor, z: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Mixture, Tensor, tuple[Tensor, Tensor]]:
        """Return the density of the offset after each point (N, T, 4), logits of its flags."""
        with_z = torch.cat([points, z[:, None].expand(-1, points.shape[1], -1)], -1)
        features, state = self.decoder(with_z, state)
        return self.offset(features), self.flags(features), state

    def parts(self, drawings: Drawings, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return nats per point of the reconstruction, and the KL per drawing, of scaled ones.

        noise (N, Z), of a unit normal, is that of z; None: z is its mean. The nats are those
        of offsets in the file's units.
        """
        points = drawings.points
        if self.latent:
            mean, log_deviation = self.encode(drawings)
            z = mean if noise is None else mean + log_deviation.exp() * noise
            each = (2 * log_deviation).exp() + mean.square() - 1 - 2 * log_deviation
            kl = 0.5 * each.sum(-1).mean()
        else:
            z, kl = points.new_zeros(len(points), 0), points.new_zeros(())
        before = functional.pad(points[:, :-1], (0, 0, 1, 0))
        mixture, flags, _ = self.decode(before, z, self.start(z))
        mask = drawings.mask
        offset = mixture.loss(points[..., :2], mask=mask) + 2 * math.log(self.scale)
        wrong = functional.binary_cross_entropy_with_logits(
            flags, points[..., 2:], reduction="none"
        )
        return offset + (wrong.sum(-1) * mask).sum() / mask.sum(), kl

    @torch.no_grad()
    def draw(self, z: Tensor, *, temperature: float, seed: int = 0) -> list[Points]:
        """Return drawings, points (n, 4), of latent vectors z (N, Z)."""
        z = z.to(self.flags.weight.device)
        generator = torch.Generator(z.device).manual_seed(seed)
        point, state, drawn = z.new_zeros(len(z), 1, 4), self.start(z), []
        for _ in range(LONGEST):
            mixture, logits, state = self.decode(point, z, state)
            offset = mixture.sample(
                temperature=temperature, spread=math.sqrt(temperature), generator=generator
            )
            chances = torch.sigmoid(logits / max(temperature, 1e-3))
            dice = torch.rand(chances.shape, generator=generator, device=z.device)
            point = torch.cat([offset, (dice < chances).float()], -1)
            drawn.append(point)
        table = torch.cat(drawn, 1).cpu().numpy()
        ended = table[..., 3] > 0.5
        lengths = np.where(ended.any(1), ended.argmax(1) + 1, LONGEST)
        table[..., :2] *= self.scale
        return [row[:n] for row, n in zip(table, lengths, strict=True)]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a run."""

    latent: int = 48
    units: int = 192
    components: int = 12
    batch: int = 100
    steps: int = 2400
    rate: float = 5e-3
    kl_weight: float = 0.25  # of the KL in the end
    kl_decay: float = 0.998  # of what is missing of it, in a step


QUICK = Sizes(
    latent=16,
    units=64,
    components=8,
    batch=50,
    steps=400,
    rate=1e-2,
    kl_weight=0.1,
    kl_decay=0.99,
)


def train(
    corpus: Drawings,
    held_out: Drawings,
    sizes: Sizes,
    *,
    latent: int,
    label: str,
    seed: int = 0,
    device: str = "cpu",
    out: Path | None = None,
    resume: bool = False,
) -> tuple[SketchVAE, bool]:
    """Train a model and return it with its best weights, and whether it was stopped.

    resume continues from the label's checkpoint in the folder out.
    """
    torch.manual_seed(seed)
    mask = corpus.mask
    scale = float(corpus.points[..., :2][mask].std())
    model = SketchVAE(
        latent=latent, units=sizes.units, components=sizes.components, scale=scale
    ).to(device)
    model.offset.spread_means(corpus.points[..., :2][mask][:20_000].to(device) / scale)
    torch.manual_seed(0)
    checked = held_out.scaled(scale).to(device)
    noise = torch.randn(len(checked), latent).to(device)
    points = float(corpus.lengths.float().mean())

    def loss(net: nn.Module, step: int) -> Tensor:
        # Drawings of a similar length, so that little is padding.
        chosen = torch.randint(len(corpus), (8 * sizes.batch,))
        chosen = chosen[corpus.lengths[chosen].argsort()].view(8, -1)[step % 8]
        batch = corpus[chosen].scaled(scale).to(device)
        nats, kl = net.parts(batch, torch.randn(len(batch), latent).to(device))
        missing = (sizes.kl_weight - KL_FIRST) * sizes.kl_decay**step
        weight = sizes.kl_weight - missing
        return nats + weight * kl.clamp(min=FREE_NATS * latent) / points

    def score(net: nn.Module) -> float:
        nats, kl = net.parts(checked, noise)
        return float(nats + sizes.kl_weight * kl / points)

    fitted = fit(
        model,
        loss,
        score,
        steps=sizes.steps,
        rate=sizes.rate,
        label=label,
        score_every=max(20, sizes.steps // 10),
        average=0.99,
        seed=seed,
        checkpoint=out / f"{label}.run" if out else None,
        resume=resume,
        about={"drawings": len(corpus), "scale": scale, "batch": sizes.batch},
    )
    return model, fitted.stopped


# --- What is in z


def opening(points: Points) -> NDArray[np.float32] | None:
    """Return places (n,) on the first strokes of a kanji, in its square; None for too few."""
    found = strokes(points)
    if len(found) < OPENING + 2:
        return None
    places = []
    for stroke in found[:OPENING]:
        along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(stroke, axis=0).T))])
        at = np.linspace(0, along[-1], PLACES)
        places += [np.interp(at, along, stroke[:, i]) for i in (0, 1)]
    return np.concatenate(places).astype(np.float32)


def radicals(drawings: list[Points], count: int = RADICALS) -> NDArray[np.float32]:
    """Return the most common openings (count, n): each is that of the kanji with most alike.

    Those that are like one that was chosen do not count for the next.
    """
    rows = torch.from_numpy(
        np.stack([row for d in drawings if (row := opening(d)) is not None])
    )
    near = torch.cdist(rows, rows) < RADIUS * math.sqrt(rows.shape[1] / 2)
    free, chosen = torch.ones(len(rows)), []
    for _ in range(count):
        alike = near.float() @ free * free
        chosen.append(int(alike.argmax()))
        free[near[chosen[-1]]] = 0
    return rows[chosen].numpy()


def radical_of(points: Points, table: NDArray[np.float32]) -> int:
    """Return the index of a kanji's radical in a table of openings, or -1 for none of them."""
    row = opening(points)
    if row is None:
        return -1
    apart = np.sqrt(2 * np.square(table - row).mean(1))
    return int(apart.argmin()) if apart.min() < RADIUS else -1


def probe(x: Tensor, labels: Tensor, test_x: Tensor, test_labels: Tensor) -> float:
    """Return the share of right answers of a linear classifier, by ridge regression."""
    x, test_x = (torch.cat([t, torch.ones(len(t), 1)], -1).double() for t in (x, test_x))
    wanted = functional.one_hot(labels).double()
    ridge = torch.eye(x.shape[1], dtype=x.dtype)
    weights = torch.linalg.solve(x.mT @ x + ridge, x.mT @ wanted)
    return float(((test_x @ weights).argmax(-1) == test_labels).double().mean())


@torch.no_grad()
def means(model: SketchVAE, drawings: Drawings) -> Tensor:
    """Return the means (N, Z) of z, on the CPU."""
    device = model.flags.weight.device
    parts = torch.arange(len(drawings)).split(500)
    scaled = (drawings[rows].scaled(model.scale).to(device) for rows in parts)
    return torch.cat([model.encode(part)[0].cpu() for part in scaled])


def as_list(drawings: Drawings) -> list[Points]:
    return [p[:n].numpy() for p, n in zip(drawings.points, drawings.lengths, strict=True)]


@torch.no_grad()
def figures(
    model: SketchVAE, alone: SketchVAE, corpus: Drawings, held_out: Drawings
) -> dict[str, float]:
    """Return the figures of a model, beside those of a decoder without z."""
    torch.manual_seed(0)
    device = model.flags.weight.device
    test = held_out.scaled(model.scale).to(device)
    nats, kl = model.parts(test, torch.randn(len(test), model.latent).to(device))
    without = alone.parts(test)[0]
    table = radicals(as_list(corpus))
    classes = [
        torch.tensor([radical_of(points, table) for points in as_list(drawings)])
        for drawings in (corpus, held_out)
    ]
    known = [labels >= 0 for labels in classes]
    z = [means(model, drawings)[is_known] for drawings, is_known in
         zip((corpus, held_out), known, strict=True)]  # fmt: skip
    labels = [label[is_known] for label, is_known in zip(classes, known, strict=True)]
    commonest = int(labels[0].mode().values)
    return {
        "reconstruction, nats per point": float(nats),
        "KL, nats per drawing": float(kl),
        "KL, nats per point": float(kl / held_out.lengths.float().mean()),
        "without z, nats per point": float(without),
        "radicals read from z": probe(z[0], labels[0], z[1], labels[1]),
        "radicals by chance": float((labels[1] == commonest).double().mean()),
        "held-out kanji with one of the radicals": len(labels[1]),
    }


# --- The contact sheet


def slerp(a: Tensor, b: Tensor, count: int) -> Tensor:
    """Return vectors (count, Z) from a to b along a great circle, as is usual for normals."""
    angle = torch.arccos((a @ b / (a.norm() * b.norm())).clamp(-0.9999, 0.9999))
    t = torch.linspace(0, 1, count)[:, None]
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def sheet_of(
    model: SketchVAE, held_out: Drawings, *, columns: int = 14, seed: int = 0
) -> dict[str, list[Points]]:
    """Return the rows of the contact sheet: names and drawings."""
    chosen = torch.linspace(0, len(held_out) - 1, columns).long()
    real = held_out[chosen]
    z = means(model, real)
    sheet = {"people": as_list(real), "again": model.draw(z, temperature=0.1, seed=seed)}
    for row in range(3):
        a, b = z[3 * row], z[3 * row + 1]
        between = slerp(a, b, columns)
        sheet[f"between {row + 1}"] = model.draw(between, temperature=0.1, seed=seed)
    torch.manual_seed(seed)
    prior = torch.randn(columns, model.latent)
    for temperature in TEMPERATURES:
        sheet[f"{temperature:g}"] = model.draw(prior, temperature=temperature, seed=seed)
    return sheet


def draw(sheet: dict[str, list[Points]], path: Path) -> None:
    """Draw a contact sheet: a row of drawings for each name."""
    from matplotlib.figure import Figure

    columns = max(map(len, sheet.values()))
    gaps = {2: 0.35, 5: 0.35}  # before the interpolations, and before the samples
    height = len(sheet) + sum(gaps.values())
    figure = Figure(figsize=(0.62 * (columns + 2.1), 0.62 * (height + 0.2)), dpi=110)
    figure.set_facecolor("#fbf9f4")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-2.5, columns - 0.4), ylim=(height - 0.4, -0.6), aspect="equal")
    axes.axis("off")
    y = 0.0
    for i, (name, row) in enumerate(sheet.items()):
        y += gaps.get(i, 0)
        axes.text(-0.75, y, name, ha="right", va="center", fontsize=8, color="#555555")
        for x, points in enumerate(row):
            ends = name.startswith("between") and x in (0, len(row) - 1)
            for stroke in strokes(points):
                axes.plot(
                    x + 0.78 * stroke[:, 0],
                    y + 0.78 * stroke[:, 1],
                    color="#8c5a2b" if name == "people" else "#1f5c8c" if ends else "#111111",
                    linewidth=1.1,
                    solid_capstyle="round",
                    solid_joinstyle="round",
                )
        y += 1
    figure.savefig(path)


def save(model: SketchVAE, path: Path) -> None:
    write_checkpoint(path, model.state_dict(), {"sizes": model.sizes, "licence": LICENCE})


def load(path: Path) -> SketchVAE:
    """Return a saved model. Raises InputError for another file."""
    tensors, about = read_checkpoint(path, {})
    try:
        model = SketchVAE(**about["sizes"])
        model.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError):
        raise InputError(f"{path} is no model of drawings") from None
    return model.eval()


def read_drawings(path: Path, *, most: int | None = None) -> tuple[Drawings, Drawings]:
    """Return the drawings of a file to learn from, at most `most`, and the held-out ones."""
    if not path.is_file():
        raise InputError(f"there is no file {path}; give the path of a stroke-3 .npz file")
    try:
        corpus, held_out = map(Drawings.of, kanji(path))
    except CorpusError as error:
        raise InputError(str(error)) from None
    return corpus[torch.arange(min(len(corpus), most or len(corpus)))], held_out


def main(args: argparse.Namespace) -> None:
    sizes = QUICK if args.quick else Sizes()
    corpus, held_out = read_drawings(args.corpus, most=2000 if args.quick else None)
    if args.model:
        model = load(args.model).to(args.device)
        if not model.latent:
            raise InputError(f"{args.model} has no z: it is the decoder alone")
    else:
        common = {"seed": args.seed, "device": args.device, "out": args.out}
        model, stopped = train(
            corpus, held_out, sizes, latent=sizes.latent, label="autoencoder",
            resume=args.resume, **common,
        )  # fmt: skip
        save(model, args.out / "sketch_vae.safetensors")
        if not stopped:
            # A run that was stopped in the first training has no checkpoint of this one.
            begun = args.resume and (args.out / "decoder alone.run").is_file()
            alone, stopped = train(
                corpus, held_out, sizes, latent=0, label="decoder alone", resume=begun,
                **common,
            )  # fmt: skip
        if not stopped:
            numbers = figures(model, alone, corpus, held_out)
            write_figures(args.out / "figures.json", {"seed": args.seed, **numbers})
    draw(sheet_of(model, held_out, seed=args.seed), args.out / "sketch_vae.png")
    print(f"{args.out / 'sketch_vae.png'}: a contact sheet")


def parser() -> argparse.ArgumentParser:
    found = options(__doc__, out="sketch_vae")
    found.add_argument("corpus", nargs="?", type=Path, default=CORPUS, help="a stroke-3 .npz")
    found.add_argument("--model", type=Path, help="draw with a saved model")
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)  # more threads gain little on matrices of this size
    run(parser(), main)
