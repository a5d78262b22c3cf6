"""Export of a recorded jam as one HTML file that plays it in a browser, without a network.

The page is made of the files in `robojam/export/page/`. It computes picture and sound in the
browser, from the touches of the recording. Colours, scales, instruments and their constants
are written into it from robojam's own tables.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from html import escape
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from robojam import music
from robojam.controls import Settings
from robojam.export import rice, wav
from robojam.jam.events import ControlChanged, Event, TouchPlayed
from robojam.jam.modes import MODES
from robojam.sessions.library import local_time
from robojam.sessions.playback import settings_of, turns
from robojam.sessions.session import Session
from robojam.sessions.strokes import walk
from robojam.sound import instruments, reverb, synth, voices
from robojam.system.shell import printable
from robojam.touch import Phase, Touch, is_machine
from robojam.window.client import strokes as fading
from robojam.window.view.theme import DARK, LIGHT, Theme

Integers = np.ndarray[Any, np.dtype[np.int64]]

#: Steps of a second, and of x, y and pressure from 0 to 1, in which a page holds touches.
SECOND, STEPS = 10_000, 2**14 - 1
#: Touches of a page, lifts not counted: a browser holds them all in memory.
MAX_TOUCHES: Final = 2_000_000
#: Bytes of a page that a phone takes seconds to open.
LARGE: Final = 3_000_000
#: Letters of a text of the recording that the page shows.
_MAX_TEXT = 80
#: The page's scripts, in this order.
_SCRIPTS = ("data.js", "synth.js", "picture.js", "player.js")


@dataclass(slots=True)
class Track:
    """Strokes of a player's finger, of one at a time, in the steps of the page.

    landings and lifts have one value for each stroke, and lengths its number of touches; the
    others have one for each touch. dt is as scheduled; -1 is a pressure that was not measured.
    """

    player: int
    lifts: array[int] = field(default_factory=lambda: array("q"))
    lengths: array[int] = field(default_factory=lambda: array("q"))
    t: array[int] = field(default_factory=lambda: array("q"))
    x: array[int] = field(default_factory=lambda: array("q"))
    y: array[int] = field(default_factory=lambda: array("q"))
    dt: array[int] = field(default_factory=lambda: array("q"))
    pressure: array[int] = field(default_factory=lambda: array("q"))

    def add(self, step: int, touch: Touch, dt: float) -> None:
        """Add a touch at its step of time; dt is in seconds."""
        if touch.phase is Phase.UP:
            self.lifts.append(step)
            return
        if touch.phase is Phase.DOWN:
            self.lengths.append(0)
        self.lengths[-1] += 1
        self.t.append(step)
        self.x.append(round(touch.x * STEPS))
        self.y.append(round(touch.y * STEPS))
        self.dt.append(max(round(dt * SECOND), int(dt > 0)))  # 0 is a touch without speed
        self.pressure.append(-1 if touch.pressure is None else round(touch.pressure * STEPS))


class Tracks:
    """Tracks of all players, from touches in complete strokes and the controls between them.

    The page takes touches of one step in the order of their tracks, and controls before them.
    What came in another order is moved to the next step.
    """

    def __init__(self) -> None:
        self.players: dict[str, int] = {}
        self._tracks: dict[tuple[int, int], Track] = {}  # by player and slot
        #: For each player, the slot of each finger that is down, and the slots that are free.
        self._slots: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self._free: defaultdict[str, list[int]] = defaultdict(list)
        self._last = (0, -1, -1)  # step, player and slot

    @property
    def ordered(self) -> list[Track]:
        """The tracks, each player's together."""
        return [self._tracks[key] for key in sorted(self._tracks)]

    def add(self, event: TouchPlayed) -> None:
        """Add a touch to the track of its finger; a finger that lands takes the first free."""
        touch = event.touch
        player = self.players.setdefault(touch.who, len(self.players))
        slots = self._slots[touch.who]
        free = self._free[touch.who]
        if touch.phase is Phase.DOWN:
            slots[touch.id] = heappop(free) if free else len(slots)
        slot = slots[touch.id]
        if touch.phase is Phase.UP:
            heappush(free, slots.pop(touch.id))
        track = self._tracks.setdefault((player, slot), Track(player))
        track.add(self._step(event.t, player, slot), touch, event.dt)

    def control_time(self, t: float) -> float:
        """Return the time, in seconds, at which the page applies a control."""
        return self._step(t, -1, -1) / SECOND

    def _step(self, t: float, player: int, slot: int) -> int:
        step = round(t * SECOND)
        if (step, player, slot) < self._last:
            step = self._last[0] + (self._last[1:] > (player, slot))
        self._last = (step, player, slot)
        return step


def columns(tracks: list[Track]) -> dict[str, Integers]:
    """Return the columns of integers that hold tracks, one track after the other.

    - strokes: for each track, its number of strokes; owners: its player.
    - lengths: for each stroke, its touches after the landing.
    - waits, holds: for each stroke, the time from the end of the one before (of its track) to
      its landing, and from its last touch to its lift.
    - left, top: for each stroke, where it lands. dx, dy, times: for each further touch, what
      has changed since the one before.
    - dts: for each touch, its dt less the time since the player's last touch, where touches
      of one time are in the order of their tracks.
    - pressures: for each touch.
    """
    lengths = _joined(track.lengths for track in tracks)
    t, x, y = (_joined(getattr(track, name) for track in tracks) for name in ("t", "x", "y"))
    landings = np.cumsum(lengths) - lengths
    further = np.ones(len(t), bool)
    further[landings] = False
    lifts = _joined(track.lifts for track in tracks)
    strokes = np.array([len(track.lengths) for track in tracks], np.int64)
    before = np.concatenate([np.zeros(min(1, len(lifts)), np.int64), lifts[:-1]])
    before[(np.cumsum(strokes) - strokes)] = 0
    owners = np.array([track.player for track in tracks], np.int64)
    player = np.repeat(owners, [len(track.t) for track in tracks])
    order = np.lexsort((t, player))  # stable
    since = np.empty_like(t)
    since[order] = np.diff(t[order], prepend=t[order[:1]])
    first = np.flatnonzero(np.diff(player[order], prepend=-1))
    since[order[first]] = 0
    return {
        "owners": owners,
        "strokes": strokes,
        "lengths": lengths - 1,
        "waits": t[landings] - before,
        "holds": lifts - t[landings + lengths - 1],
        "left": x[landings],
        "top": y[landings],
        "times": np.diff(t, prepend=0)[further],
        "dx": np.diff(x, prepend=0)[further],
        "dy": np.diff(y, prepend=0)[further],
        "dts": _joined(track.dt for track in tracks) - since,
        "pressures": _joined(track.pressure for track in tracks),
    }


def _joined(parts: Iterable[array[int]]) -> Integers:
    return np.concatenate([np.zeros(0, np.int64), *(np.frombuffer(p, np.int64) for p in parts)])


def write(session: Session, path: Path, *, name: str = "") -> None:
    """Write a page that plays a session; name is the session's, "" for none.

    Raises ValueError for a control of the recording that is not allowed and for a recording of
    more than `MAX_TOUCHES`, and OSError.
    """
    path.write_bytes(page(session, name=name).encode())


def page(session: Session, *, name: str = "") -> str:
    """Return a page that plays a session. Raises ValueError as `write` does."""
    summary = session.summary()
    count = sum(summary.touches.values())
    if count > MAX_TOUCHES:
        raise ValueError(
            f"the recording has {count:,} touches, and a page holds {MAX_TOUCHES:,}: export "
            "a player of it (--who), or another format"
        )
    settings = settings_of(session)
    mode = settings.mode
    tracks = Tracks()
    changes = [(0.0, _all_settings(settings))]
    for event in wav.events(session):
        if isinstance(event, TouchPlayed):
            tracks.add(event)
        elif change := _sound_change(event, settings):
            changes.append((tracks.control_time(event.t), change))
    first, passed = _turns(session, mode)
    players = list(tracks.players)
    played = "" if summary.started.year <= 1970 else local_time(summary.started)
    title = printable(name or played or "A jam")
    model = printable(summary.model.removesuffix(".safetensors"))[:_MAX_TEXT]
    modes = printable(", ".join(summary.modes))[:_MAX_TEXT]
    parts = [f"{label(who)} {n:,}" for who, n in summary.touches.items()]
    if len(parts) > 8:
        parts[7:] = [f"and {len(parts) - 7} more"]
    about = "; ".join(
        filter(None, [
            played if name else "",
            _length(session.duration),
            f"mode {modes}" if modes else "",
            f"model {model}" if model else "",
            f"touches: {', '.join(parts)}",
        ])
    )  # fmt: skip
    data = {
        "seconds": session.duration,
        "second": SECOND,
        "steps": STEPS,
        "players": [{"who": who, "name": label(who), "machine": is_machine(who),
                     "colours": [DARK.player_colour(who), LIGHT.player_colour(who)]}
                    for who in players],
        "columns": {key: [len(values), base64.b64encode(rice.encode(values)).decode()]
                    for key, values in {**columns(tracks.ordered), "turns": passed}.items()},
        "firstTurn": first,
        "changes": changes,
        "rice": {"block": rice.BLOCK, "escape": rice.ESCAPE, "wide": rice.WIDE},
        "look": {"themes": [_theme(DARK), _theme(LIGHT)], "fade": fading.FADE,
                 "glare": fading.GLARE, "afterglow": fading.AFTERGLOW, "ring": fading.RING,
                 "head": fading.HEAD, "smoothing": fading.SPEED_SMOOTHING},
        "music": {"scales": music.SCALES, "key": music.key_semitone(music.SOUND_KEY),
                  "first": music.FIRST_HUMAN},
        "sound": _sound(),
    }  # fmt: skip
    return _filled(title=title, about=about, data=data)


def label(who: str) -> str:
    """Return a player's name as the page shows it: human, human 2, machine, machine 2, …"""
    kind, prefix = ("machine", "ai") if is_machine(who) else ("human", "human")
    return f"{kind} {who.removeprefix(prefix)}".rstrip()


def _length(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:,.0f} min {rest:.0f} s" if minutes else f"{rest:.1f} s"


def _turns(session: Session, mode: str) -> tuple[str, Integers]:
    """Return whose turn is the first, human or ai, and the steps from change to change."""
    events = tuple(walk(session))
    whose = turns(events, mode)
    passes = zip(events[1:], pairwise(whose), strict=True) if events else ()
    at = np.array([round(event.t * SECOND) for event, (a, b) in passes if a != b], np.int64)
    at[1:] -= at[:-1].copy()
    return next(iter(whose), MODES[mode].first_turn), at


def _sound_change(event: Event, settings: Settings) -> dict[str, Any]:
    """Return a control that took effect as the page's synthesiser takes it; {} for others.

    Of instruments and ranges, those that differ; None for a player that is no longer named.
    settings is brought up to date.
    """
    if not isinstance(event, ControlChanged):
        return {}
    before, value = _all_settings(settings), event.value
    if event.name == "panic":
        return {"panic": True}
    if event.name == "instrument":
        settings.instrument = music.parse_instruments(str(value), settings.instrument)
    elif event.name == "range":
        settings.range = music.parse_ranges(str(value), settings.range)
    elif event.name in before:
        setattr(settings, event.name, value)
    after = _all_settings(settings)
    return {
        name: _difference(before[name], now)
        for name, now in after.items()
        if before[name] != now
    }


def _difference(before: Any, after: Any) -> Any:
    if not isinstance(after, dict):
        return after
    names = before | after
    return {who: after.get(who) for who in names if before.get(who) != after.get(who)}


def _all_settings(settings: Settings) -> dict[str, Any]:
    """Return the controls of the sound as the page's synthesiser takes them."""
    ranges = music.read_assignments(settings.range)
    return {
        "instrument": music.read_assignments(settings.instrument),
        "range": {
            who: (pitches.low, pitches.high)
            for who, pitches in ((w, music.parse_range(text)) for w, text in ranges.items())
        },
        "scale": music.parse_scale(settings.scale),
        "volume": min(max(float(settings.volume), 0.0), 1.0),
    }


def _theme(theme: Theme) -> dict[str, Any]:
    names = ("frame", "surface", "edge", "panel", "text", "muted")
    colours = {name: getattr(theme, name) for name in names}
    return {
        **colours,
        "human": theme.humans[0],
        "machine": theme.machines[0],
        "light": theme.dark_on_light,
    }


def _sound() -> dict[str, Any]:
    """Return the constants of the synthesiser, of its voices and of its instruments."""
    return {
        "instruments": {
            name: {"ratios": instrument.ratios.tolist(), "gain": instrument.gain,
                   "attack": instrument.attack, "release": instrument.release,
                   "transpose": instrument.transpose, "air": instrument.air}
            for name, instrument in zip(music.INSTRUMENTS, instruments.ALL, strict=True)
        },
        "partials": instruments.PARTIALS, "body": instruments.BODY,
        "own": instruments.OWN, "others": instruments.OTHERS,
        "ticks": synth.TICKS, "ceiling": synth.CEILING, "letGo": synth.RELEASE,
        "wet": synth.WET, "pan": synth.PAN, "width": synth.WIDTH, "fast": synth.FAST,
        "fastLanding": synth.FAST_LANDING, "softest": synth.SOFTEST, "fader": synth.FADER,
        "sounding": voices.SOUNDING, "places": voices.PLACES,
        "stolenFade": voices.STOLEN_FADE, "ended": voices.ENDED, "glide": voices.GLIDE,
        "follow": voices.FOLLOW, "rest": voices.REST, "hollow": voices.HOLLOW,
        "noise": voices.NOISE, "air": voices.AIR,
        "delays": reverb.DELAYS, "decay": reverb.DECAY, "fade": reverb.FADE,
        "tail": wav.TAIL, "silence": wav.SILENCE,
    }  # fmt: skip


def _filled(*, title: str, about: str, data: dict[str, Any]) -> str:
    """Return the page with its texts, its style, its scripts and its data.

    The page runs the scripts and uses the style whose hashes it states, and nothing else.
    """
    folder = resources.files(__package__) / "page"
    script = "".join((folder / name).read_text("utf-8") for name in _SCRIPTS)
    style = (folder / "page.css").read_text("utf-8")
    parts = {
        "title": escape(title),
        "about": escape(about),
        "policy": f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'",
        "script": script,
        "style": style,
        # "<" could begin a tag that ends the data.
        "data": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    }
    template = (folder / "page.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
