"""Export of jams as pictures: posters and contact sheets."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from support import EXAMPLES
from support.commands import run

from robojam.export import poster as picture
from robojam.export.poster import stroke_paths
from robojam.sessions.session import read


def test_poster_and_sheet_show_people_warm_and_the_machine_cool(tmp_path, capsys):
    from matplotlib.image import imread

    for name, paths in (("one", EXAMPLES[:1]), ("sheet", EXAMPLES * 3)):
        to = tmp_path / f"{name}.png"
        assert run(capsys, "export", *paths, "--to", to)[0] == 0
        pixels = imread(to)[..., :3]
        # Warm for people, cool for the machine, on paper.
        assert ((pixels[..., 0] - pixels[..., 2]) > 0.4).mean() > 0.002
        assert ((pixels[..., 2] - pixels[..., 0]) > 0.25).mean() > 0.002
        assert np.allclose(pixels[0, 0], [0xF7 / 255, 0xF2 / 255, 0xE8 / 255], atol=0.01)


def test_stroke_paths_hold_every_touch_from_landing_to_lifting():
    session = read(EXAMPLES[0])  # the duet
    paths = stroke_paths(session)
    downs = [e for e in session.touches() if e.touch.phase == "down"]
    assert len(paths) == len(downs)
    assert sum(len(s.t) for s in paths) == sum(session.summary().touches.values())
    assert sum(s.is_tap for s in paths if not s.machine) == 4
    curve = picture._curved(np.array([[0, 0], [0.5, 0.5], [1, 0.0]]))
    assert curve[0].tolist() == [0, 0]
    assert curve[-1].tolist() == [1, 0]


def test_pictures_show_the_name_and_date_of_each_session(tmp_path, capsys):
    folder, to = tmp_path / "jams", tmp_path / "to.png"
    folder.mkdir()
    for path in EXAMPLES:
        (folder / path.name).write_bytes(path.read_bytes())
    assert run(capsys, "sessions", folder / EXAMPLES[0].name, "--name", "Rain")[0] == 0
    texts: list[list[str]] = []
    for made, paths in (("_sheet", [folder]), ("_poster", [folder / EXAMPLES[0].name])):
        with pytest.MonkeyPatch.context() as patched:
            draw = getattr(picture, made)

            def draw_and_collect(*a: Any, draw: Any = draw) -> Figure:
                figure = draw(*a)
                texts.append([text.get_text() for text in figure.texts])
                return figure

            patched.setattr(picture, made, draw_and_collect)
            assert run(capsys, "export", *paths, "--to", to)[::2] == (0, "")
    sheet, poster = texts
    assert sheet[0] == "Rain"
    assert re.fullmatch(r"\d+ Nov 2026 \d\d:28", sheet[1])
    assert re.fullmatch(r"\d+ Nov 2026 \d\d:25", sheet[3])  # it has no name
    assert len(sheet) == 5
    assert "Rain" in poster
    assert any(re.search(r"13.8 s +\d+ November 2026 +\d\d:28", text) for text in poster)
    (folder / "names.json").write_text("torn")
    assert run(capsys, "export", folder, "--to", to)[::2] == (0, "")


@pytest.mark.parametrize("name", ["W" * 200, "$\\frac", "\u96e8\n$x$", "a " * 60])
def test_long_or_odd_name_stays_below_its_picture(name, tmp_path, recwarn):
    session = read(EXAMPLES[0])
    for count in (1, 2):
        to = tmp_path / f"{count}.png"
        picture.draw([session] * count, to, names=[name] * count)
        assert to.read_bytes().startswith(b"\x89PNG")
    # Warnings of the drawing alone: other tests' objects may be collected here, and warn.
    assert not [warning for warning in recwarn if warning.category is UserWarning]
    figure = picture._sheet([(session, [])] * 2, [" ".join(name.split())] * 2)
    renderer = FigureCanvasAgg(figure).get_renderer()
    names = [t for t in figure.texts if t.get_size() > 8]
    for axes, text in zip(figure.axes, names, strict=True):
        place, around = text.get_window_extent(renderer), axes.get_window_extent(renderer)
        assert place.x1 <= around.x1 + 2
        assert place.y1 < around.y0


def test_picture_of_a_generated_session_shows_its_number_instead_of_a_date():
    session = read(EXAMPLES[0])
    header = msgspec.structs.replace(session.header, started="1970-01-01T00:00:00+00:00")
    figure = picture._sheet([(replace(session, header=header), [])] * 2, ["", ""])
    assert [text.get_text() for text in figure.texts][::2] == ["1", "2"]


def test_poster_without_the_light_face_prints_nothing(tmp_path):
    """matplotlib knows faces of usual weight alone, as where no light one is installed."""
    program = """
import sys
from robojam.cli import main
from robojam.export.figures import make_figure
make_figure()
from matplotlib import font_manager
faces = font_manager.fontManager.ttflist
faces[:] = [face for face in faces if face.weight == 400]
sys.exit(main(sys.argv[1:]))
"""
    arguments = ("export", str(EXAMPLES[0]), "--to", str(tmp_path / "a.png"))
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, check=True
    )
    assert ran.stderr == b""
