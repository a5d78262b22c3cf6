"""Performances in recorded sessions: the humans' touches as the model heard them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from robojam.corpus.corpus import TOUCH, Corpus, CorpusError
from robojam.sessions import session
from robojam.sessions.session import Session, TouchEvent
from robojam.touch import Phase, is_machine


def read_session(path: Path, *, machine: bool = False) -> Corpus:
    """Read what the humans played; or what the machine did, each voice a performance.

    Raises CorpusError.
    """
    try:
        recorded = session.read(path)
    except session.SessionError as error:
        where = "" if error.line is None else f"line {error.line}: "
        raise CorpusError(path, f"{where}{error.why}") from error
    return performed(recorded, path.name, machine=machine)


def performed(recorded: Session, name: str, *, machine: bool = False) -> Corpus:
    """Return what was played in a session, as `read_session` does."""
    if machine:
        voices: dict[str, list[tuple[float, ...]]] = {}
        for event in recorded.touches():
            touch = event.touch
            if is_machine(touch.who) and touch.phase is not Phase.UP:
                moving = float(touch.phase is Phase.MOVE)
                voices.setdefault(touch.who, []).append((touch.x, touch.y, touch.dt, moving))
        parts = list(voices.values())
    else:
        stream = heard(recorded.touches())
        parts = [stream] if stream else []
    rows = [row for part in parts for row in part]
    events = np.array(rows, dtype=np.float64).reshape(-1, len(TOUCH))
    lengths = np.array([len(part) for part in parts], dtype=np.int64)
    dropped = {"torn last line": 1} if recorded.warnings else {}
    if not rows:
        # Not what was asked for; else a session that is full would be empty without a word.
        whose = "a human" if machine else "the machine"
        played = sum(event.touch.phase is not Phase.UP for event in recorded.touches())
        how = "without" if machine else "with"
        dropped |= {f"touches, all by {whose} ({how} --machine they are read)": played}
        dropped = {why: count for why, count in dropped.items() if count}
    return Corpus(events, lengths, TOUCH, name, source="session", dropped=dropped)


def heard(touches: Iterable[TouchEvent]) -> list[tuple[float, ...]]:
    """Return the humans' touches as the model hears them, one stream of (x, y, dt, moving).

    It follows the finger that landed last, whoever's; when that lifts, the one still down
    that landed last, whose next touch is a landing. dt is the time since the stream's last
    touch, 0 for the first: the recorded one where that says the same, as a player with its
    own clock means it exactly.
    """
    stream: list[tuple[float, ...]] = []
    held: list[tuple[str, int]] = []  # the fingers down, in order of landing
    followed: tuple[str, int] | None = None
    before = 0.0
    # For each human, how long the stream was once their last touch was in it; -1: it is not.
    place: dict[str, int] = {}
    for event in touches:
        touch = event.touch
        finger = (touch.who, touch.id)
        if is_machine(touch.who):
            continue
        landing = touch.phase is Phase.DOWN or finger not in held
        if finger in held and touch.phase is not Phase.MOVE:
            held.remove(finger)
        if touch.phase is Phase.UP:
            continue
        if landing:
            held.append(finger)
        if finger != held[-1]:
            place[touch.who] = -1
            continue
        same = place.get(touch.who) == len(stream)
        dt = 0.0 if not stream else touch.dt if same else event.t - before
        stream.append((touch.x, touch.y, dt, float(finger == followed and not landing)))
        followed, before, place[touch.who] = finger, event.t, len(stream)
    return stream
