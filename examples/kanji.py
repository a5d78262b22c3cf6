"""New kanji: an MDN-RNN over pen strokes.

    python examples/kanji.py ../shared/corpus/kanji_stroke3.npz --to kanji.png

A point of a kanji is (dx, dy, pen lifted after it): the stroke-3 format of sketches. Here a
fourth column says whether the kanji ends with this point. So the event has another
description than a touch has; the code of the model, of the corpora and of the score is the
same (robojam.model.mdrnn, robojam.corpus, robojam.evaluation.likelihood). The program trains
for some minutes (--passes), prints the nats per point on kanji that the model has not seen,
and draws new kanji at several temperatures. --against-diagonal also trains a model of the same
size whose mixtures have five Gaussians without correlation.

The corpus is not part of robojam. It is KanjiVG, © Ulrich Apel, CC BY-SA 3.0, in the
stroke-3 version of hardmaru/sketch-rnn-datasets. The files there are pickled, which robojam
never opens; examples/convert_pickled.py converts them.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from robojam.corpus.corpus import STROKE, Corpus, CorpusError
from robojam.corpus.formats import read
from robojam.corpus.split import split
from robojam.evaluation.likelihood import score
from robojam.model.event import EventSpec, Factor
from robojam.model.file import DataFile, ModelDescription
from robojam.model.mdrnn import EventModel, load, save
from robojam.player.reference import Network
from robojam.training.trainer import Trainer, TrainingSettings

CORPUS = Path(__file__).parents[2] / "shared" / "corpus" / "kanji_stroke3.npz"
LICENCE = "Trained on KanjiVG, © Ulrich Apel, CC BY-SA 3.0, by way of sketch-rnn-datasets."
TEMPERATURES = (0.2, 0.4, 0.7, 1.0)
LONGEST = 120  # points of a kanji


def kanji_event(*, components: int = 20, hidden: int = 192) -> EventSpec:
    """Return the description of a point: offset of the pen, lifted or not, last or not."""
    return EventSpec(
        name="kanji",
        columns=(*STROKE, "ended"),
        factors=(
            Factor(
                name="offset",
                kind="offset",
                columns=(0, 1),
                components=components,
                hidden=hidden,
                noise=1.0,
                scale=40.0,
            ),
            Factor(name="lifted", kind="flag", columns=(2,)),
            Factor(name="ended", kind="flag", columns=(3,)),
        ),
    )


def kanji(path: Path) -> tuple[Corpus, Corpus]:
    """Return the training data and the held-out data of a file of strokes."""
    corpus = read(path)
    if corpus.columns != STROKE:
        raise CorpusError(path, f"holds ({', '.join(corpus.columns)}), not pen strokes")
    try:
        held_out = read(path, split="test")
    except CorpusError:
        corpus, held_out = split(corpus, every=20)
    return with_endings(corpus), with_endings(held_out)


def with_endings(corpus: Corpus) -> Corpus:
    """Add the column that is 1 at the last point of each kanji."""
    ended = np.zeros((len(corpus.events), 1), np.float32)
    ended[corpus.offsets[1:] - 1] = 1
    return replace(corpus, events=np.hstack([corpus.events, ended]), columns=(*STROKE, "ended"))


def weight_count(model: EventModel) -> int:
    return sum(p.numel() for p in model.parameters())


def build(*, units: int, seed: int = 0, **described: int) -> EventModel:
    torch.manual_seed(seed)
    return EventModel(kanji_event(**described), units=units, layers=1)


def diagonal(like: EventModel, components: int = 5) -> EventModel:
    """Return a model no smaller than another, with few Gaussians without correlation."""
    hidden = like.event.factors[0].hidden
    while True:
        model = build(units=like.units, components=components, hidden=hidden)
        if weight_count(model) >= weight_count(like):
            break
        hidden += 1
    keep = torch.ones(model.head[0].out_features)
    keep[-components:] = 0  # the numbers that correlate x and y stay 0
    for parameter in model.head[0].parameters():
        mask = keep.reshape(-1, *[1] * (parameter.ndim - 1))
        parameter.data.mul_(mask)
        parameter.register_hook(lambda gradient, mask=mask: gradient * mask)
    return model


def train(
    model: EventModel,
    corpus: Corpus,
    held_out: Corpus,
    *,
    passes: float,
    steps: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> EventModel:
    """Train a model and return the version that scored best. steps limits the training."""
    settings = TrainingSettings(
        units=model.units,
        layers=1,
        passes=passes,
        window=int(corpus.lengths.max()),
        batch=2048,
        rate=4e-3,
        warmup=50,
        average=0.995,
        mirror=False,
        score_every=1000,
        seed=seed,
    )
    trainer = Trainer(corpus, held_out, settings, start=model)
    trainer.steps = steps or trainer.steps
    for parameter, like in zip(trainer.model.parameters(), model.parameters(), strict=True):
        for hook in (like._backward_hooks or {}).values():
            parameter.register_hook(hook)
    task = progress.add_task("", total=trainer.steps, loss=math.nan) if progress else None
    for now in trainer:
        if progress is not None:
            progress.update(task, completed=now.step, loss=now.loss)
    return trainer.best


def nats(model: EventModel, held_out: Corpus) -> dict[str, float]:
    """Return nats per held-out point, in all and by factor; offsets have noise of ±1/2."""
    scores = score(model, held_out)
    stroke = scores.parts["offset"] + scores.parts["lifted"]
    return {"point": stroke, **scores.parts, "points": scores.touches}


def write_new(
    model: EventModel, count: int, *, temperature: float, seed: int = 0
) -> list[np.ndarray]:
    """Return count kanji that a model writes: arrays of points (n, 4), each up to its end."""
    weights = {name: t.detach().numpy() for name, t in model.state_dict().items()}
    network = Network(np, model.event, weights)
    rng = np.random.default_rng(seed)
    memory, points = network.initial(count), []
    for _ in range(LONGEST):
        drawn = network.sample(
            memory,
            rng.random((count, 3), np.float32),
            rng.standard_normal((count, 4), np.float32),
            temperature=temperature,
            spread=math.sqrt(temperature),  # as Sketch-RNN has it
        )
        points.append(drawn)
        memory = network.feed(memory, drawn)
    written = np.stack(points, 1)
    ends = np.where(written[..., 3].any(1), written[..., 3].argmax(1) + 1, LONGEST)
    return [kanji[:end] for kanji, end in zip(written, ends, strict=True)]


def strokes(points: np.ndarray) -> list[np.ndarray]:
    """Return the strokes (n, 2) of a kanji, scaled to a square of side 1."""
    path = np.vstack([np.zeros((1, 2)), np.cumsum(points[:, :2], 0)])
    low, high = path.min(0), path.max(0)
    path = (path - (low + high) / 2) / max(*(high - low), 1)
    lifted = np.flatnonzero(points[:, 2] > 0.5) + 1
    return [s for s in np.split(path, lifted + 1) if len(s) > 1]


def draw(sheet: dict[str, list[np.ndarray]], path: Path, title: str) -> None:
    """Draw a contact sheet: a row of kanji for each name."""
    from matplotlib.figure import Figure

    columns = max(len(row) for row in sheet.values())
    figure = Figure(figsize=(0.75 * (columns + 1.3), 0.75 * (len(sheet) + 0.55)), dpi=88)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-1.7, columns - 0.4), ylim=(len(sheet) - 0.4, -0.95), aspect="equal")
    axes.axis("off")
    for y, (name, row) in enumerate(sheet.items()):
        axes.text(-0.65, y, name, ha="right", va="center", fontsize=9)
        ink = "#111111" if y else "#8c5a2b"
        for x, points in enumerate(row):
            for stroke in strokes(points):
                axes.plot(
                    x + 0.8 * stroke[:, 0],
                    y + 0.8 * stroke[:, 1],
                    color=ink,
                    linewidth=1.15,
                    solid_capstyle="round",
                    solid_joinstyle="round",
                )
    axes.text(-0.5, -0.76, title, fontsize=9, va="center")
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", nargs="?", type=Path, default=CORPUS, help="a stroke-3 .npz")
    parser.add_argument("--to", type=Path, default=Path("kanji.png"), help="the picture")
    parser.add_argument("--passes", type=float, default=14, help="passes over the corpus")
    parser.add_argument("--units", type=int, default=256, help="of the LSTM")
    parser.add_argument("--quick", action="store_true", help="train for half a minute only")
    parser.add_argument(
        "--against-diagonal", action="store_true", help="also train a model without correlation"
    )
    parser.add_argument("--save", type=Path, help="save the model as .safetensors")
    parser.add_argument("--model", type=Path, help="draw with a saved model")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not args.corpus.is_file():
        parser.error(f"there is no file {args.corpus}; give the path of a stroke-3 .npz file")
    try:
        corpus, held_out = kanji(args.corpus)
    except CorpusError as error:
        parser.error(str(error))
    steps = 40 if args.quick else None
    scores = {}
    model = load(args.model)[0] if args.model else build(units=args.units, seed=args.seed)
    models = {"20 correlated": model}
    if args.against_diagonal:
        models["5 diagonal"] = diagonal(model)
    for name in models:
        if name != "20 correlated" or not args.model:
            with Progress(
                TextColumn(f"{name}, {weight_count(models[name]):,} weights"),
                BarColumn(),
                TextColumn("{task.fields[loss]:.3f} nats"),
                TimeRemainingColumn(),
            ) as progress:
                models[name] = train(
                    models[name],
                    corpus,
                    held_out,
                    passes=args.passes,
                    steps=steps,
                    progress=progress,
                )
        scores[name] = {"weights": weight_count(models[name]), **nats(models[name], held_out)}
        print(f"{name}: {scores[name]['point']:.3f} nats per held-out point")
    model = models["20 correlated"]
    if args.save:
        description = ModelDescription(
            event=model.event,
            units=model.units,
            layers=model.layers,
            trained_on=(DataFile(corpus.name, corpus.sha256),),
            score=scores["20 correlated"]["point"],
            score_on=(DataFile(held_out.name, held_out.sha256),),
            licence=LICENCE,
        )
        save(model, args.save, description)
    if args.json:
        args.json.write_text(json.dumps(scores, indent=2) + "\n")
    real = [k.copy() for k in list(held_out.performances())[:12]]
    sheet = {"people": real}
    for temperature in TEMPERATURES:
        sheet[f"at {temperature:g}"] = write_new(
            model, 12, temperature=temperature, seed=args.seed
        )
    nats_of = scores["20 correlated"]["point"]
    draw(sheet, args.to, f"New kanji at several temperatures ({nats_of:.2f} nats per point)")
    print(f"{args.to}: new kanji at {', '.join(map(str, TEMPERATURES))}")


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
