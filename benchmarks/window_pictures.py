"""Draw the pictures of docs/window/ from a real jam.

    python benchmarks/window_pictures.py

Plays performances of the corpus to a real engine once, and captures what it sends to a window.
Then draws the window at chosen times, and a short animation of a call and its answer. In a
second jam the machine brings back a stroke of an earlier call. Needs ImageMagick.
"""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

import numpy as np
import pygame
from _captured_jam import CapturedJam, Packets, capture, lively, performances

from robojam.model.file import find
from robojam.model.file import read as read_model
from robojam.sessions.session import read
from robojam.training.knob_performances import performance
from robojam.window.client.mapped_knobs import MappedKnob, MappedKnobs
from robojam.window.client.setup import EngineSetup
from robojam.window.client.state import WindowState
from robojam.window.recordings.library import RecordingsPanel
from robojam.window.recordings.playback import RecordingPlayback
from robojam.window.view import knobs_panel, setup_panel
from robojam.window.view.panels import panel_of
from robojam.window.view.scene import Scene
from robojam.wire.osc import decode

DOCS = Path(__file__).parents[1] / "docs"
#: Times in the jam, in seconds, at which the human plays and the machine answers.
CALL, ANSWER = 4.2, 8.6
#: Knobs of the instrument in the picture of one.
KNOBS = 8
#: Seconds from a stroke that comes back to its picture.
AFTER_MOTIF = 1.2
#: Example devices and ports for the pictures, in the place of this machine's.
PROBLEMS = {
    "osc": ("osc to 192.168.0.23:9000: No route to host",),
    "midi": ("midi from LinnStrument: no port has this name",),
}
SETUP = EngineSetup(
    ports={"midi-in": ("LinnStrument",), "osc-out": ("127.0.0.1:5006",)},
    available={"midi-in": ("LinnStrument",)}, voices=1, model="touch.safetensors",
)  # fmt: skip
KNOBS_MAPPED = MappedKnobs(
    (
        MappedKnob("cutoff", "cc 43", "y", "machine", 110, 20, 74),
        MappedKnob("drive", "cc14 12", "speed", "machine", 0, 16383, 5220),
        MappedKnob("tone", "osc /fx/tone", "x", "machine", 36, 84, 67),
        MappedKnob("space", "osc /fx/room", "density", "humans", 0, 1, 0.82),
        MappedKnob("pan", "cc 10", "direction", "all", 0, 127, 80),
    ),
    ("calm", "bright", "wild"),
)
Size = tuple[int, int]


def captured(folder: Path, calls: Sequence[Any], *options: str, knobs: bool = False) -> Packets:
    """Return the packets of a jam, which is played unless it has been before."""
    path = folder / "packets.pickle"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        packets = capture(folder, list(calls), *options, knobs=knobs)
        path.write_bytes(pickle.dumps(packets))
    jam: Packets = pickle.loads(path.read_bytes())
    return jam


def is_motif(packet: bytes) -> bool:
    """Return whether a packet says that a stroke brings back an earlier one."""
    return any(message.address == "/robojam/motif" for message in decode(packet)[0])


def settle(
    picture: Scene, screen: pygame.Surface, jam: CapturedJam, t: float, **shown: object
) -> WindowState:
    """Draw the last second up to a time, so that everything that moves is in its place."""
    for i in range(60):
        state = jam.advance(t - 1 + i / 60)
        picture.draw(screen, state, t - 1 + i / 60, **shown)  # type: ignore[arg-type]
    return jam.advance(t)


def shot(
    packets: Packets,
    name: str,
    t: float,
    *,
    size: Size = (1280, 800),
    recordings: RecordingsPanel,
    playback: RecordingPlayback | None = None,
    problems: dict[str, tuple[str, ...]] | None = None,
    **view: object,
) -> None:
    """Save one picture of the window."""
    screen = pygame.display.set_mode(size)
    jam, picture = CapturedJam(packets), Scene()
    jam.state.engine_name, jam.state.setup = "127.0.0.1:5005", SETUP
    for key, value in view.items():
        setattr(jam.state.view, key, value)
    settle(picture, screen, jam, t, playback=playback)
    state = jam.state
    if problems:
        state.ports.problems.update(problems)
    state.mapped_knobs = KNOBS_MAPPED
    state.texts["amount"] = "drive=0.4"
    panel = setup_panel.panel_of(state, 0) or knobs_panel.panel_of(state)
    panel = panel or panel_of(
        state, entries=recordings.entries, page=0, playback=playback, full=False, busy=False
    )
    for _ in range(2):  # the second time with the size of the open panel known
        picture.draw(screen, state, t, panel=panel, playback=playback)
    path = DOCS / "window" / f"{name}.png"
    pygame.image.save(screen, path)
    compression = ["-strip", "+dither", "-colors", "240", "-define", "png:compression-level=9"]
    subprocess.run(["mogrify", *compression, str(path)], check=False)


def animation(packets: Packets, begin: float, end: float, *, size: Size = (640, 400)) -> None:
    """Save a call and its answer as a GIF with 15 frames per second, by ImageMagick."""
    jam, picture = CapturedJam(packets), Scene()
    screen = pygame.display.set_mode(size)
    settle(picture, screen, jam, begin)
    with tempfile.TemporaryDirectory() as folder:
        for i in range(round((end - begin) * 60)):
            t = begin + i / 60
            picture.draw(screen, jam.advance(t), t)
            if i % 4 == 0:
                pygame.image.save(screen, f"{folder}/{i:05}.png")
        frames = sorted(str(path) for path in Path(folder).iterdir())
        subprocess.run(
            ["convert", "-delay", "6.67", "-loop", "0", *frames, "+dither", "-colors", "40",
             "-layers", "Optimize", str(DOCS / "window" / "call_and_answer.gif")], check=True,
        )  # fmt: skip


def main() -> None:
    """Play, draw and save."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    model = read_model(find(None)).sha256[:12]  # another model plays another jam
    folder = Path(tempfile.gettempdir()) / f"robojam_window_{model}"
    calls = lively(performances())
    seed = ("--seed", "12", "--response", "4")
    packets = captured(folder / "jam", [calls[3], calls[11]], *seed)
    motif = [calls[3], calls[3], calls[11]]
    recalling = captured(folder / "motif", motif, *seed, "--memory", "1")
    pygame.display.init()
    pygame.font.init()
    (DOCS / "window").mkdir(exist_ok=True)
    recordings = RecordingsPanel(wake=lambda: None)
    recordings.folder = folder / "jam"
    recordings.read()
    entry = recordings.entries[0]
    playback = RecordingPlayback(read(entry.path), entry.title)
    playback.seek(6.5)
    for name, t, options in (
        ("call", CALL, {}),
        ("answer", ANSWER, {}),
        ("light", ANSWER, {"theme": "light"}),
        ("stage", ANSWER, {"theme": "stage"}),
        ("controls", ANSWER, {"panel": "controls"}),
        ("keys", ANSWER, {"panel": "help"}),
        ("dials", ANSWER, {"panel": "help", "help_page": 1}),
        ("map", ANSWER, {"panel": "map"}),
        ("devices", 0.9, {"panel": "setup"}),
        ("ports", ANSWER, {"problems": PROBLEMS}),
        ("sessions", 16.0, {"panel": "sessions"}),
        ("recording", 0.9, {"panel": "player", "playback": playback}),
        ("lost", packets[-1][0] + 3.0, {}),
        ("waiting", 0.9, {}),
        ("small", ANSWER, {"size": (640, 400)}),
        ("portrait", ANSWER, {"size": (600, 960)}),
        ("table", ANSWER, {"quarter_turns": 2, "size": (960, 600)}),
    ):
        shot(packets, name, t, recordings=recordings, **options)  # type: ignore[arg-type]
    hands = np.random.default_rng(5)
    turns = [performance(hands, KNOBS, 4.0) for _ in range(2)]
    turned = captured(folder / "knobs", turns, *seed, "--knobs", str(KNOBS), knobs=True)
    shot(turned, "knobs", turned[-1][0] - 2.0, recordings=recordings)
    returned = max(t for t, packet in recalling if is_motif(packet))
    shot(recalling, "motif", returned + AFTER_MOTIF, recordings=recordings)
    animation(packets, 1.0, 9.5)


if __name__ == "__main__":
    main()
