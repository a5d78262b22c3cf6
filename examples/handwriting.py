"""Text in, handwriting out: an MDN-RNN over pen strokes with a soft window over the text.

    python examples/handwriting.py UNIPEN --out handwriting
    python examples/handwriting.py UNIPEN --model handwriting/handwriting.safetensors --text …

The system of Graves (2013, section 5), small. A point is (dx, dy, pen lifted after it). The
first LSTM moves a window over the text: a mixture of bells over the positions of characters,
which only moves forward. What the window sees is an input of both LSTMs, and the last layer is
a mixture of 20 correlated Gaussians over the next offset (robojam.mixture). A further output
says whether this is the last point. bias makes the writing neater; a writer's own strokes,
fed first, make it similar to theirs (priming).

UNIPEN is the folder of train_r01_v07 (doi.org/10.5281/zenodo.1195803, CC BY 4.0): real lines of
print by some ninety writers. Its lines are few, so that most of what is learnt is composed:
other words from the letters of one writer, each as it was written in a line. Without the folder
the writers are invented: a vector font, bent and slanted. The program trains two models, with
and without the text, and a reader that judges them, which has learnt from other writers.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from _run import (
    Fitted,
    InputError,
    fit,
    options,
    read_checkpoint,
    run,
    write_checkpoint,
    write_figures,
)
from _writers import (
    ALPHABET,
    FONT_LICENCE,
    LETTERS,
    UNIPEN_LICENCE,
    Line,
    Stroke,
    Writer,
    font_writers,
    letter_pairs,
    read_unipen,
    resampled,
    to_points,
    to_strokes,
)
from torch import Tensor, nn
from torch.nn import functional

from robojam.corpus.corpus import STROKE, CorpusError
from robojam.corpus.formats import read
from robojam.mixture import Mixture, MixtureLayer
from robojam.model.event import TOUCH

#: Words that no model has learnt, from a musician's vocabulary: read by the reader.
WORDS = (
    "melody rhythm chord octave tempo ballad drummer violin guitar trumpet flute piano bass "
    "sonata fugue waltz tango samba blues gospel opera lyric verse chorus bridge refrain "
    "cadence accent beat groove swing legato vibrato glide timbre pitch scale minor major "
    "fifth quartet duet solo encore concert improvise jam unison harmony tune"
).split()
END = len(ALPHABET)  # the token after a text
TOKENS = len(ALPHABET) + 1
INPUTS = 4  # dx, dy, pen lifted; and the height, which a small LSTM would have to add up
LONGEST = 40  # points for a character, beyond which a text counts as not ended
LINE = 10  # characters of a composed text


def tokens(text: str) -> list[int]:
    """Return a text as numbers, with the end. Raises InputError for what cannot be written."""
    unknown = [c for c in dict.fromkeys(text) if c not in ALPHABET]
    if unknown:
        named = ", ".join(map(repr, unknown))
        raise InputError(
            f"not learnt: {named}. Known are {LETTERS[0]} to {LETTERS[-1]} and space"
        )
    if not text.strip():
        raise InputError("the text is empty: give at least one letter")
    return [*(ALPHABET.index(character) for character in text), END]


@dataclass(slots=True)
class Batch:
    """Lines of one length: points (B, T, 4) with pen lifted and ended, mask, text (B, U)."""

    points: Tensor
    mask: Tensor
    text: Tensor

    def to(self, device: str) -> Batch:
        return Batch(self.points.to(device), self.mask.to(device), self.text.to(device))


def collate(lines: list[tuple[np.ndarray, str]]) -> Batch:
    """Return points (n, 3) and their texts as a batch, padded; each ends at its last point."""
    longest = max(len(points) for points, _ in lines)
    points = torch.zeros(len(lines), longest, 4)
    mask = torch.zeros(len(lines), longest, dtype=torch.bool)
    text = torch.full((len(lines), max(len(t) for _, t in lines) + 1), END)
    for i, (row, characters) in enumerate(lines):
        points[i, : len(row), :3] = torch.from_numpy(row)
        points[i, len(row) - 1, 3] = 1
        mask[i, : len(row)] = True
        text[i, : len(characters) + 1] = torch.tensor(tokens(characters))
    return Batch(points, mask, text)


@dataclass(slots=True)
class State:
    """State of a model at play: both LSTMs, the pen, the window's places and what it sees."""

    first: tuple[Tensor, Tensor]
    second: tuple[Tensor, Tensor]
    height: Tensor  # (B), of the pen above where it began
    place: Tensor  # (B, K), in characters
    seen: Tensor  # (B, TOKENS)
    share: Tensor  # (B, U): how much of each character the window sees


class Scribe(nn.Module):
    """Two LSTMs and a window over the text, whose output is the density of the next point.

    The first LSTM, of `eyes` units, moves the window; the second, of `units`, writes. Without
    text (reads=False) the window sees nothing, and the rest is the same.
    """

    def __init__(
        self,
        *,
        eyes: int = 64,
        units: int = 160,
        bells: int = 6,
        components: int = 20,
        reads: bool = True,
    ) -> None:
        super().__init__()
        self.sizes = {"eyes": eyes, "units": units, "bells": bells, "components": components}
        self.sizes["reads"] = reads
        self.reads = reads
        self.first = nn.LSTM(INPUTS + TOKENS, eyes, batch_first=True)
        self.window = nn.Linear(eyes, 3 * bells)
        self.second = nn.LSTM(INPUTS + TOKENS + eyes, units, batch_first=True)
        self.offset = MixtureLayer(eyes + units, 2, components, covariance="correlated")
        self.flags = nn.Linear(eyes + units, 2)  # pen lifted, ended
        with torch.no_grad():
            self.window.weight.mul_(0.2)
            start = torch.tensor([1 / bells, 1.0, 1 / 11])  # about 11 points for a character
            self.window.bias.copy_(start.log().repeat_interleave(bells))

    def initial(self, text: Tensor) -> State:
        """Return the state before the first point, the window before the first character."""

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(*shape, device=text.device)

        batch, eyes, units = len(text), self.first.hidden_size, self.second.hidden_size
        first = zeros(batch, eyes), zeros(batch, eyes)
        second = zeros(1, batch, units), zeros(1, batch, units)
        place = zeros(batch, self.sizes["bells"])
        seen, share = zeros(batch, TOKENS), zeros(*text.shape)
        return State(first, second, zeros(batch), place, seen, share)

    def forward(
        self, points: Tensor, text: Tensor, state: State | None = None
    ) -> tuple[Mixture, Tensor, Tensor, State]:
        """Read points (B, T, 3) along a text (B, U).

        Return the density of the offset after each point, logits (B, T, 2) of the flags after
        it, the window's shares (B, T, U) and the state.
        """
        state = state or self.initial(text)
        heights = state.height[:, None] + points[..., 1].cumsum(1)
        inputs = torch.cat([points, heights[..., None]], -1)
        first, seen, shares, state = self._read(inputs, text, state)
        second, after = self.second(torch.cat([inputs, seen, first], -1), state.second)
        features = torch.cat([first, second], -1)
        state = replace(state, second=after, height=heights[:, -1])
        return self.offset(features), self.flags(features), shares, state

    def _read(
        self, inputs: Tensor, text: Tensor, state: State
    ) -> tuple[Tensor, Tensor, Tensor, State]:
        """Return the first LSTM's output, what the window sees, its shares, and the state."""
        hidden, cell = state.first
        if not self.reads:
            blind = inputs.new_zeros(*inputs.shape[:2], TOKENS)
            start = hidden[None], cell[None]
            out, (hidden, cell) = self.first(torch.cat([inputs, blind], -1), start)
            shares = inputs.new_zeros(*inputs.shape[:2], text.shape[1])
            return out, blind, shares, replace(state, first=(hidden[0], cell[0]))
        place, seen, share = state.place, state.seen, state.share
        letters = functional.one_hot(text, TOKENS).to(inputs.dtype)  # (B, U, TOKENS)
        at = torch.arange(text.shape[1], device=inputs.device, dtype=inputs.dtype)
        lstm, hiddens, sights, shares = self.first, [], [], []
        weights = torch.cat([lstm.weight_ih_l0[:, INPUTS:], lstm.weight_hh_l0], 1)
        bias = lstm.bias_ih_l0 + lstm.bias_hh_l0
        # The LSTM by hand: the window moves by its state, and is an input of its next step.
        for given in functional.linear(inputs, lstm.weight_ih_l0[:, :INPUTS], bias).unbind(1):
            gates = given + functional.linear(torch.cat([seen, hidden], -1), weights)
            enter, keep, new, leave = gates.chunk(4, -1)
            cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
            hidden = leave.sigmoid() * cell.tanh()
            # Graves 2013, equations 46 to 51: heights, widths and places of the bells (B, K).
            height, width, move = self.window(hidden).exp().chunk(3, -1)
            place = place + move
            distance = (at - place[..., None]).square()  # (B, K, U)
            share = (height[..., None] * torch.exp(-width[..., None] * distance)).sum(1)
            seen = torch.bmm(share[:, None], letters)[:, 0]
            hiddens.append(hidden)
            sights.append(seen)
            shares.append(share)
        state = State((hidden, cell), state.second, state.height, place, seen, share)
        return torch.stack(hiddens, 1), torch.stack(sights, 1), torch.stack(shares, 1), state


def nats(model: Scribe, batch: Batch) -> Tensor:
    """Return nats per point: offset, pen lifted and ended. The first point is given."""
    before, after = batch.points[:, :-1], batch.points[:, 1:]
    mixture, flags, _, _ = model(before[..., :3], batch.text)
    mask = batch.mask[:, 1:]
    offset = mixture.loss(after[..., :2], mask=mask)
    each = functional.binary_cross_entropy_with_logits(flags, after[..., 2:], reduction="none")
    return offset + (each.sum(-1) * mask).sum() / mask.sum()


# --- Lines to learn from


class Library:
    """Texts in the hands of writers: their own lines, and others composed of their letters."""

    def __init__(self, writers: list[Writer]) -> None:
        """Raises InputError where no writer has enough letters."""
        self.writers = [writer for writer in writers if len(writer.letters) >= 8]
        if not self.writers:
            raise InputError("no writer has eight letters to learn from")
        counts = np.array([min(writer.count, 150) for writer in self.writers], float)
        self.chances = counts / counts.sum()
        pairs = letter_pairs(self.writers)
        table = np.array([[pairs[a + b] for b in ALPHABET] for a in ALPHABET], float)
        table = 0.7 * table / table.sum(1, keepdims=True).clip(1) + 0.3 / len(ALPHABET)
        self.follows = table / table.sum(1, keepdims=True)

    def text(self, writer: Writer, length: int, rng: np.random.Generator) -> str:
        """Return invented words of a writer's letters, which follow each other as in English.

        They have that many characters, spaces at the ends included. None of `WORDS` is among
        them.
        """
        known = np.array([c in writer.letters or c == " " for c in ALPHABET])
        while True:
            text = " "
            for _ in range(length):
                chances = self.follows[ALPHABET.index(text[-1])] * known
                if text[-1] == " ":
                    chances = chances * (np.array(list(ALPHABET)) != " ")
                text += ALPHABET[rng.choice(len(ALPHABET), p=chances / chances.sum())]
            text = text.strip()
            if text and not set(text.split()) & set(WORDS):
                return text

    def draw(self, count: int, rng: np.random.Generator, *, shake: float) -> Batch:
        """Return composed lines as a batch, slanted, stretched and turned at random.

        Their texts are about as long as each other, so that little is padding. shake is the
        deviation of the slant; the stretch and the turn follow it.
        """
        lines, length = [], int(rng.integers(3, LINE + 1))
        for i in rng.choice(len(self.writers), count, p=self.chances):
            writer = self.writers[int(i)]
            line = writer.compose(self.text(writer, length, rng), rng)
            points = to_points(line.strokes)
            slant, turn = rng.normal(0, shake), rng.normal(0, 0.2 * shake)
            bend = np.array([[1, turn], [slant, 1]]) * np.exp(
                rng.normal(0, 0.7 * shake, (1, 2))
            )
            points[:, :2] = points[:, :2] @ bend
            lines.append((points, line.text))
        return collate(lines)


def real_lines(writers: list[Writer], limit: int) -> list[tuple[np.ndarray, str]]:
    """Return the lines of writers as they wrote them, cut between letters to a length."""
    found = []
    for writer in writers:
        for line in writer.lines:
            for start in range(0, len(line.text), limit):
                part = Line(line.text[start : start + limit], line.letters[start:][:limit])
                text, letters = part.text, part.letters
                skip = len(text) - len(text.lstrip())
                text, letters = text[skip:].rstrip(), letters[skip:]
                strokes = [stroke for letter in letters[: len(text)] for stroke in letter]
                if len(text) >= 3:
                    found.append((to_points(strokes), text))
    return found


# --- The reader


class Reader(nn.Module):
    """Recogniser of lines: convolutions over the points, trained with CTC (Graves 2006)."""

    def __init__(self, channels: int = 96) -> None:
        super().__init__()
        self.enter = nn.Conv1d(4, channels, 7, stride=2, padding=3)
        self.layers = nn.ModuleList(
            nn.Conv1d(channels, channels, 5, padding=2 * wide, dilation=wide)
            for wide in (1, 2, 4, 1, 2)
        )
        self.letter = nn.Conv1d(channels, len(ALPHABET) + 1, 1)  # the last is CTC's blank

    def forward(self, points: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return logarithms of chances (B, T', letters and blank) and the lengths (B) in T'."""
        lengths = mask.sum(1)
        height = points[..., 1].cumsum(1)
        middle = (height * mask).sum(1) / lengths
        inputs = torch.cat([points[..., :3], (height - middle[:, None])[..., None]], -1)
        hidden = self.enter((inputs * mask[..., None]).mT)
        for layer in self.layers:
            hidden = hidden + layer(functional.gelu(hidden))
        chances = functional.log_softmax(self.letter(functional.gelu(hidden)).mT, -1)
        return chances, (lengths + 1) // 2

    def loss(self, batch: Batch) -> Tensor:
        """Return CTC's nats per character."""
        chances, lengths = self(batch.points[..., :3], batch.mask)
        inside = batch.text != END
        return functional.ctc_loss(
            chances.transpose(0, 1),
            batch.text,
            lengths,
            inside.sum(1),
            blank=len(ALPHABET),
            zero_infinity=True,
        )

    @torch.no_grad()
    def read(self, lines: list[np.ndarray]) -> list[str]:
        """Return the texts of lines of points (n, 3)."""
        batch = collate([(points, "a") for points in lines]).to(self.letter.weight.device)
        chances, lengths = self(batch.points[..., :3], batch.mask)
        texts = []
        for row, length in zip(chances.argmax(-1), lengths.tolist(), strict=True):
            found = torch.unique_consecutive(row[:length]).tolist()
            texts.append("".join(ALPHABET[i] for i in found if i < len(ALPHABET)).strip())
        return texts


def accuracy(read: list[str], written: list[str]) -> float:
    """Return the share of characters that were read: 1 - edits / characters."""
    wrong = sum(edits(a, b) for a, b in zip(read, written, strict=True))
    return max(0.0, 1 - wrong / sum(map(len, written)))


def edits(a: str, b: str) -> int:
    """Return the number of characters to insert, remove or replace between two texts."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


# --- Writing


@dataclass(slots=True)
class Written:
    """A line that a model wrote: points (n, 3), and the window's shares (m, U).

    The shares are what the window saw when the last m points were written; m is n, or n - 1
    where the first point was given.
    """

    text: str
    points: np.ndarray
    shares: np.ndarray


@torch.no_grad()
def write(
    model: Scribe,
    texts: list[str],
    *,
    bias: float = 0.0,
    seed: int = 0,
    prime: tuple[np.ndarray, str] | None = None,
) -> list[Written]:
    """Write texts, as one batch. prime is a writer's points (n, 3) and their text.

    bias sharpens the mixture (temperature 1 / (1 + bias), spread exp(-bias)) and the flags.
    Raises InputError for a text that cannot be written, and for strokes without a text.
    """
    device = model.flags.weight.device
    generator = torch.Generator(device).manual_seed(seed)
    before, start = "", np.zeros((1, 3), np.float32)
    if prime is not None:
        start, before = prime[0], prime[1].strip() + " "
        tokens(before)
    rows = [tokens(before + text) for text in texts]
    for text in texts:
        tokens(text)
    text = torch.full((len(rows), max(map(len, rows))), END, device=device)
    for i, row in enumerate(rows):
        text[i, : len(row)] = torch.tensor(row)
    ends = torch.tensor([len(row) - 1 for row in rows], device=device)
    given = torch.from_numpy(start).to(device).expand(len(rows), -1, -1)
    mixture, flags, shares, state = model(given, text)
    mixture, flags = mixture[:, -1], flags[:, -1]
    points, paths = [given[:, -1:, :3]], [shares[:, -1:]]
    lengths = torch.zeros(len(rows), dtype=torch.long, device=device)
    for step in range(LONGEST * max(map(len, rows))):
        offset = mixture.sample(bias=bias, generator=generator)
        chances = torch.sigmoid(flags * (1 + bias))
        drawn = torch.rand(chances.shape, generator=generator, device=device) < chances
        point = torch.cat([offset, drawn[:, :1].float()], -1)[:, None]
        points.append(point)
        mixture, flags, shares, state = model(point, text, state)
        mixture, flags = mixture[:, 0], flags[:, 0]
        paths.append(shares)
        # Not done before the window is at the last character, and done with the stroke after
        # which it has passed the text (Graves 2013, section 5.3).
        at = state.share.argmax(-1)
        ended = (drawn[:, 1] & (at >= ends - 1)) | (drawn[:, 0] & (at >= ends))
        lengths[(lengths == 0) & ended] = step + 1
        if bool((lengths > 0).all()):
            break
    lengths[lengths == 0] = len(points) - 1
    all_points = torch.cat(points, 1).cpu().numpy()
    all_shares = torch.cat(paths, 1).cpu().numpy()
    written = []
    for i, (line, count) in enumerate(zip(texts, lengths.tolist(), strict=True)):
        mine = all_points[i, (1 if prime is not None else 0) : count + 1].copy()
        mine[-1, 2] = 1
        shares_of_line = all_shares[i, :count, len(before) : len(rows[i]) - 1]
        written.append(Written(line, mine, shares_of_line))
    return written


# --- The experiment


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a run."""

    eyes: int = 64
    units: int = 160
    components: int = 16
    batch: int = 64
    steps: int = 1500
    reader_steps: int = 2500
    font_writers: int = 60
    rate: float = 5e-3


QUICK = Sizes(
    eyes=32,
    units=48,
    components=6,
    batch=32,
    steps=150,
    reader_steps=200,
    font_writers=9,
    rate=1e-2,
)


@dataclass(slots=True)
class Trained:
    """The model with text, the one without, and the reader, which learnt from others."""

    scribe: Scribe
    blind: Scribe
    reader: Reader
    figures: dict[str, float]
    stopped: bool


def share_out(writers: list[Writer]) -> tuple[list[Writer], list[Writer]]:
    """Return the writers that the models learn from, two of three, and the others."""
    return [w for i, w in enumerate(writers) if i % 3 != 1], writers[1::3]


def train(
    mine: list[Writer],
    others: list[Writer],
    sizes: Sizes,
    *,
    seed: int = 0,
    device: str = "cpu",
    out: Path | None = None,
    resume: bool = False,
) -> Trained:
    """Train models on the writing of some writers, and a reader on that of the others.

    The models are scored on what the others wrote, so the reader and they share no writer.
    """
    library, foreign = Library(mine), Library(others)
    held_out = collate(real_lines(others, LINE)[:400]).to(device)
    theirs = real_lines(mine, LINE)[:400]

    def lines(step: int) -> Batch:
        rng = np.random.default_rng((seed, step))
        return library.draw(sizes.batch, rng, shake=0.05).to(device)

    def read_loss(net: nn.Module, step: int) -> Tensor:
        rng = np.random.default_rng((seed, 1, step))
        batch = foreign.draw(sizes.batch, rng, shake=0.12)
        batch.points[..., :2] += 0.02 * torch.randn(batch.points[..., :2].shape)
        return net.loss(batch.to(device))

    def misread(net: nn.Module) -> float:
        return 1 - accuracy(net.read([p for p, _ in theirs]), [text for _, text in theirs])

    def fitted(net: nn.Module, label: str, loss, score, steps: int) -> Fitted:
        path = out / f"{label}.run" if out else None
        return fit(
            net.to(device),
            loss,
            score,
            steps=steps,
            rate=sizes.rate if label != "reader" else 3e-3,
            label=label,
            score_every=max(20, steps // 10),
            average=0.98,
            seed=seed,
            checkpoint=path,
            # A run that was stopped in the first training has no checkpoint of the others.
            resume=resume and (label == "with text" or (path is not None and path.is_file())),
            about={"writers": [writer.name for writer in mine], "batch": sizes.batch},
        )

    scribes, results = {}, {}
    for label, reads in (("with text", True), ("without text", False)):
        torch.manual_seed(seed)
        net = Scribe(
            eyes=sizes.eyes, units=sizes.units, components=sizes.components, reads=reads
        )
        some = lines(0)
        net.offset.spread_means(some.points[some.mask][:, :2].cpu())
        scribes[label] = net
        results[label] = fitted(
            net,
            label,
            lambda net, step: nats(net, lines(step)),
            lambda net: float(nats(net, held_out)),
            sizes.steps,
        )
    torch.manual_seed(seed)
    reader = Reader()
    results["reader"] = fitted(reader, "reader", read_loss, misread, sizes.reader_steps)
    return Trained(
        scribes["with text"],
        scribes["without text"],
        reader,
        {
            "nats per point with text": results["with text"].score,
            "nats per point without text": results["without text"].score,
            "characters of people that the reader reads": 1 - results["reader"].score,
        },
        any(result.stopped for result in results.values()),
    )


def legibility(scribe: Scribe, reader: Reader, *, bias: float, seed: int = 0) -> float:
    """Return the share of the characters of `WORDS` that the reader reads."""
    written = write(scribe, list(WORDS), bias=bias, seed=seed)
    return accuracy(reader.read([line.points for line in written]), list(WORDS))


def save(scribe: Scribe, path: Path, licence: str) -> None:
    write_checkpoint(path, scribe.state_dict(), {"sizes": scribe.sizes, "licence": licence})


def load(path: Path) -> Scribe:
    """Return a saved model. Raises InputError for another file."""
    tensors, about = read_checkpoint(path, {})
    try:
        scribe = Scribe(**about["sizes"])
        scribe.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError):
        raise InputError(f"{path} is no model that writes") from None
    return scribe.eval()


def strokes_of(path: Path, text: str | None) -> tuple[np.ndarray, str]:
    """Return a writer's strokes from a recording or a file of strokes, and their text.

    They are scaled so that a stroke of the median height is as high as an x. Raises InputError
    for strokes without a text, and for files that hold no strokes.
    """
    if not (text or "").strip():
        raise InputError(f"{path} has strokes without a text: give it with --prime-text")
    tokens(str(text))
    try:
        corpus = read(path)
    except CorpusError as error:
        raise InputError(str(error)) from None
    events = next(iter(corpus.performances()))
    if corpus.columns == TOUCH:  # y goes down; 1 is a move, 0 a landing
        starts = np.flatnonzero(events[:, 3] < 0.5)
        strokes = [s[:, :2] * [1, -1] for s in np.split(events, starts) if len(s)]
    elif corpus.columns == STROKE:
        from_origin = np.concatenate([np.zeros((1, 3), np.float32), events])
        strokes = [stroke * [1, -1] for stroke in to_strokes(from_origin)]
    else:
        raise InputError(f"{path} holds ({', '.join(corpus.columns)}), not strokes")
    heights = [float(np.ptp(stroke[:, 1])) for stroke in strokes]
    if not max(heights):
        raise InputError(f"{path} holds no strokes with a height")
    scale = float(np.median([height for height in heights if height > 0]))
    return to_points([resampled(stroke / scale) for stroke in strokes]), str(text)


# --- The pictures

INK, OWN, PAPER = "#16324f", "#8c5a2b", "#fbf9f4"


def smooth(stroke: Stroke) -> Stroke:
    """Return a stroke as a Catmull-Rom curve through its points."""
    if len(stroke) < 3:
        return stroke
    padded = np.concatenate([stroke[:1], stroke, stroke[-1:]])
    a, b, c, d = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = np.linspace(0, 1, 6, endpoint=False)[:, None, None]
    terms = 2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
    curve = (terms + (3 * b - a - 3 * c + d) * t**3) / 2
    return np.concatenate([curve.transpose(1, 0, 2).reshape(-1, 2), stroke[-1:]])


def draw_line(axes, strokes: list[Stroke], x: float, y: float, *, ink: str = INK) -> float:
    """Draw a line of writing that begins at x, y; return its right edge."""
    places = np.concatenate(strokes)
    low = np.array([places[:, 0].min(), np.median(places[:, 1])])
    for stroke in strokes:
        xs, ys = (smooth(stroke) - low + [x, y]).T
        if np.ptp(stroke, 0).max() < 0.12:  # a dot
            axes.plot(xs[:1], ys[:1], ".", color=ink, markersize=2.2)
        else:
            axes.plot(
                xs, ys, color=ink, linewidth=1.25, solid_capstyle="round",
                solid_joinstyle="round",
            )  # fmt: skip
    return x + float(places[:, 0].max() - low[0])


def page(width: float, height: float):
    """Return a figure and its axes, a page of paper in heights of an x, with y up."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(0.19 * width, 0.19 * height), dpi=110)
    figure.set_facecolor(PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(-height, 0), aspect="equal")
    axes.axis("off")
    return figure, axes


def draw(
    scribe: Scribe,
    path: Path,
    *,
    text: str,
    primes: dict[str, tuple[np.ndarray, str]],
    seed: int = 0,
) -> None:
    """Draw a text in several hands, at several biases, and in the hands of writers."""
    biases = (0.0, 0.5, 1.0, 2.0, 4.0)
    rows = 3 + len(biases) + len(primes)
    figure, axes = page(50, 5.2 * rows + 3)

    def label(row: float, name: str) -> None:
        axes.text(8, -y(row), name, ha="right", fontsize=8, color="#777777")

    def y(row: float) -> float:
        return 5.2 * row + 4 + 0.9 * (row >= 3) + 0.9 * (row >= 3 + len(biases))

    for row, line in enumerate(write(scribe, [text] * 3, bias=1.0, seed=seed)):
        draw_line(axes, to_strokes(line.points), 10, -y(row))
    label(0, "bias 1")
    for row, bias in enumerate(biases, 3):
        (line,) = write(scribe, [text], bias=bias, seed=seed)
        draw_line(axes, to_strokes(line.points), 10, -y(row))
        label(row, f"bias {bias:g}")
    for row, (name, prime) in enumerate(primes.items(), 3 + len(biases)):
        (line,) = write(scribe, [text], bias=1.0, seed=seed, prime=prime)
        label(row, name)
        right = draw_line(axes, to_strokes(prime[0]), 10, -y(row), ink=OWN)
        draw_line(axes, to_strokes(line.points), right + 2.5, -y(row))
    figure.savefig(path)


def draw_window(line: Written, path: Path) -> None:
    """Draw a line and below it, at each point, how much of each character the window sees."""
    figure, axes = page(46, 8 + len(line.text) + 2)
    strokes = to_strokes(line.points)
    draw_line(axes, strokes, 6, -5)
    places = np.cumsum(line.points[:, 0])
    shares = line.shares
    xs = (places - places.min() + 6)[-len(shares) :]
    order = np.argsort(shares, None)  # the strongest last, on top
    at, character = np.unravel_index(order, shares.shape)
    strength = np.clip(shares[at, character] / shares.max(), 0, 1)
    kept = strength > 0.04
    axes.scatter(
        xs[at[kept]], -8 - character[kept], s=9, marker="s", linewidths=0, color=INK,
        alpha=strength[kept],
    )  # fmt: skip
    for i, letter in enumerate(line.text):
        axes.text(4.2, -8 - i, letter, ha="center", va="center", fontsize=8, color="#555555")
    figure.savefig(path)


def check(scribe: Scribe, reader: Reader, figures: dict[str, float], seed: int) -> None:
    """Add to the figures how many characters of `WORDS` the reader reads, at biases."""
    for bias in (0.0, 1.0, 2.0):
        name = f"characters read at bias {bias:g}"
        figures[name] = legibility(scribe, reader, bias=bias, seed=seed)


def main(args: argparse.Namespace) -> None:
    tokens(args.text)
    sizes = QUICK if args.quick else Sizes()
    if args.corpus is not None:
        writers, licence = read_unipen(args.corpus), UNIPEN_LICENCE
    else:
        writers, licence = font_writers(sizes.font_writers, seed=args.seed), FONT_LICENCE
        print("The writers are invented (a vector font). Real ones: name a folder of UNIPEN.")
    mine, others = share_out(writers)
    if args.model:
        scribe = load(args.model).to(args.device)
    else:
        trained = train(
            mine, others, sizes, seed=args.seed, device=args.device, out=args.out,
            resume=args.resume,
        )  # fmt: skip
        scribe = trained.scribe
        save(scribe, args.out / "handwriting.safetensors", licence)
        if not trained.stopped:
            check(scribe, trained.reader, trained.figures, args.seed)
            write_figures(args.out / "figures.json", {"seed": args.seed, **trained.figures})
    if args.prime:
        primes = {"your hand": strokes_of(args.prime, args.prime_text)}
    else:
        hands = [w for w in others if w.knows("a quick one")][:4]
        rng = np.random.default_rng(args.seed)
        primes = {}
        for i, writer in enumerate(hands, 1):
            line = writer.compose("a quick one", rng)
            primes[f"hand {i}"] = to_points(line.strokes), line.text
    draw(scribe, args.out / "handwriting.png", text=args.text, primes=primes, seed=args.seed)
    (line,) = write(scribe, [args.text], bias=1.0, seed=args.seed)
    draw_window(line, args.out / "window.png")
    print(f"{args.out}: handwriting.png, window.png")


def parser() -> argparse.ArgumentParser:
    found = options(__doc__, out="handwriting")
    found.add_argument("corpus", nargs="?", type=Path, help="a folder of UNIPEN train_r01_v07")
    found.add_argument("--text", default="play it again", help="what to write: a to z, space")
    found.add_argument("--prime", type=Path, help="strokes of a writer: a recording, .npz, …")
    found.add_argument("--prime-text", help="the text of these strokes")
    found.add_argument("--model", type=Path, help="write with a saved model")
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)  # the matrices are too small for more threads
    run(parser(), main)
