"""The example that redraws kanji: what it reads, its latent vector, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import sketch_vae
import torch
from _run import InputError, run
from support import CORPUS, has_corpus
from torch.nn.functional import pad

torch.set_num_threads(1)


def drawings_file(path: Path, *, seed: int = 0) -> Path:
    """Write 60 drawings: five strokes each, the first three of one of three openings."""
    rng = np.random.default_rng(seed)
    openings = [
        [(60, 0, 1), (-30, -30, 0), (0, 90, 1), (30, -60, 0), (20, 40, 1)],
        [(20, 20, 1), (-10, 20, 0), (20, 10, 1), (-30, 60, 0), (20, -40, 1)],
        [(0, 80, 1), (10, -80, 0), (70, 0, 1), (-70, 40, 0), (70, 0, 1)],
    ]
    rows, lengths = [], []
    for i in range(60):
        rest = [(*rng.integers(-1, 2, 2), int(j % 2)) for j in range(2 * (3 + i % 4))]
        points = [*openings[i % 3], (40, -40, 0), (60, 60, 1), *rest]
        points[-1] = (*points[-1][:2], 1)
        rows += points
        lengths.append(len(points))
    np.savez(path, train_strokes=np.int16(rows), train_lengths=np.int32(lengths))
    return path


@pytest.fixture
def drawings(tmp_path: Path) -> sketch_vae.Drawings:
    return sketch_vae.read_drawings(drawings_file(tmp_path / "d.npz"))[0]


def model(**sizes: int) -> sketch_vae.SketchVAE:
    torch.manual_seed(0)
    settings = {"latent": 4, "units": 16, "components": 2, "scale": 30.0} | sizes
    return sketch_vae.SketchVAE(**settings).eval()


def test_latent_vector_of_a_drawing_does_not_depend_on_the_padding(drawings):
    short = drawings[drawings.lengths.argmin()[None]].scaled(30.0)
    longer = sketch_vae.Drawings(pad(short.points, (0, 0, 0, 7)), short.lengths)
    net = model()
    with torch.no_grad():
        torch.testing.assert_close(net.encode(longer), net.encode(short))
        nats, longer_nats = net.parts(short)[0], net.parts(longer)[0]
        torch.testing.assert_close(longer_nats, nats)


def test_decoder_one_point_at_a_time_gives_what_all_at_once_gives(drawings):
    points = drawings[torch.arange(3)].scaled(30.0).points
    net, z = model(), torch.randn(3, 4)
    with torch.no_grad():
        whole, flags, _ = net.decode(points, z, net.start(z))
        state = net.start(z)
        for t in range(points.shape[1]):
            one, flag, state = net.decode(points[:, t : t + 1], z, state)
            torch.testing.assert_close(one.mean[:, 0], whole.mean[:, t])
            torch.testing.assert_close(flag[:, 0], flags[:, t])


def test_nats_are_those_of_offsets_in_the_units_of_the_file(drawings):
    net, twice = model(latent=0), model(latent=0, scale=60.0)
    scaled = drawings.scaled(30.0)
    with torch.no_grad():
        nats, kl = net.parts(scaled)
        same_numbers, _ = twice.parts(scaled)
    assert float(kl) == 0
    assert float(same_numbers - nats) == pytest.approx(2 * np.log(2), abs=1e-4)


def test_drawings_end_and_repeat_with_the_seed():
    net, z = model(), torch.randn(5, 4)
    drawn = net.draw(z, temperature=0.5, seed=3)
    assert all(1 <= len(points) <= sketch_vae.LONGEST for points in drawn)
    again = net.draw(z, temperature=0.5, seed=3)
    assert all(np.array_equal(a, b) for a, b in zip(drawn, again, strict=True))


def test_openings_that_many_kanji_share_are_found_and_recognised(drawings):
    kanji = sketch_vae.as_list(drawings)
    table = sketch_vae.radicals(kanji, 3)
    labels = [sketch_vae.radical_of(points, table) for points in kanji]
    # Each of the three openings begins with another offset; the rest is noise.
    pairs = {(float(points[0, 0]), label) for points, label in zip(kanji, labels, strict=True)}
    assert len(pairs) == 3
    assert {label for _, label in pairs} == {0, 1, 2}
    other = np.float32([(0, -50, 1), (-50, 0, 1), (20, 70, 1), (5, 5, 1), (5, 5, 1), (9, 9, 1)])
    assert sketch_vae.radical_of(other, table) == -1
    assert sketch_vae.opening(other[:2]) is None


def test_probe_reads_what_is_linear_and_guesses_what_is_not():
    torch.manual_seed(0)
    labels = torch.randint(3, (900,))
    x = torch.eye(3)[labels] @ torch.randn(3, 8) + 0.05 * torch.randn(900, 8)
    assert sketch_vae.probe(x[:600], labels[:600], x[600:], labels[600:]) > 0.98
    noise = torch.randn(900, 8)
    assert sketch_vae.probe(noise[:600], labels[:600], noise[600:], labels[600:]) < 0.5


def test_interpolation_goes_from_one_vector_to_the_other_at_their_length():
    a, b = torch.randn(2, 20)
    b = b * a.norm() / b.norm()
    path = sketch_vae.slerp(a, b, 9)
    torch.testing.assert_close(path[[0, -1]], torch.stack([a, b]))
    torch.testing.assert_close(path.norm(dim=-1), a.norm().expand(9))


def test_other_files_are_refused_and_say_what_they_are(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        sketch_vae.read_drawings(tmp_path / "none.npz")
    touches = tmp_path / "touches.csv"
    touches.write_text("time,x,y,z,moving\n0,0.1,0.2,1,0\n0.1,0.2,0.2,1,1\n")
    with pytest.raises(InputError, match="not pen strokes"):
        sketch_vae.read_drawings(touches)
    long = np.tile(np.int16([[3, 1, 0]]), (40 * 99, 1))
    np.savez(tmp_path / "l.npz", train_strokes=long, train_lengths=np.full(40, 99, np.int32))
    with pytest.raises(InputError, match="has no drawing of at most 90 points"):
        sketch_vae.read_drawings(tmp_path / "l.npz")


def test_saved_model_is_the_same_and_another_file_is_refused(tmp_path):
    net, z = model(), torch.randn(2, 4)
    path = tmp_path / "m.safetensors"
    sketch_vae.save(net, path)
    loaded = sketch_vae.load(path)
    both = (m.draw(z, temperature=0.5) for m in (net, loaded))
    assert all(np.array_equal(a, b) for a, b in zip(*both, strict=True))
    path.write_bytes(b"none")
    with pytest.raises(InputError, match="no checkpoint"):
        sketch_vae.load(path)


@pytest.mark.slow
@has_corpus
def test_quick_run_reads_radicals_from_z_and_draws_the_contact_sheet(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    argv = ["sketch_vae.py", str(CORPUS / "kanji_stroke3.npz"), "--quick"]
    monkeypatch.setattr(sys, "argv", [*argv, "--out", str(tmp_path)])
    run(sketch_vae.parser(), sketch_vae.main)
    figures = json.loads((tmp_path / "figures.json").read_text())
    chance = figures["radicals by chance"]
    assert figures["radicals read from z"] > chance + 0.25  # 0.6 and 0.14; a full run: all
    assert figures["KL, nats per drawing"] > 1
    assert (tmp_path / "sketch_vae.png").read_bytes().startswith(b"\x89PNG")
