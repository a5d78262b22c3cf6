"""Composition of a session from touches that were generated offline. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robojam import __version__
from robojam.model.file import ModelFile
from robojam.sessions.session import EndEvent, Header, ModelRef, Session, SetEvent, TouchEvent
from robojam.system.shell import printable
from robojam.touch import LIFT_AFTER, Phase, Touch

Rows = NDArray[np.float64]


def compose(
    human_rows: Rows,
    machine_rows: Rows,
    *,
    file: ModelFile,
    seed: int,
    options: dict[str, Any],
    continues: bool = False,
    started: datetime | None = None,
) -> Session:
    """Return a session in which a human plays some touches [n, 4], then the machine [m, 4].

    Touches are x, y, dt in seconds, moving and, in a fifth column, pressure, if known.
    continues: the machine's finger is down
    already, so that it may begin with a move. started is the instant of t = 0 (default: now).
    """
    human = list(_touch_events(human_rows, "human", 0.0))
    begin = float(human_rows[:, 2].sum()) if len(human_rows) else 0.0
    machine = list(_touch_events(machine_rows, "ai", begin, is_down=continues))
    if human and machine and human[-1].t > machine[0].t:
        # The machine's first touch lifts the human's finger, as it does in a jam.
        last = human.pop()
        up = machine[0].t
        touch = last.touch
        human.append(TouchEvent(up, Touch(touch.x, touch.y, up - begin, Phase.UP, 0, "human")))
    header = Header(
        started=(started or datetime.now(UTC)).isoformat(),
        model=ModelRef(printable(file.path.name), file.sha256),
        device="cpu",
        build=f"robojam {__version__}, generated",
        seed=seed,
        options={"mode": "call-response", **options},
    )
    events: list[TouchEvent | SetEvent | EndEvent] = [*human, *machine]
    events.append(EndEvent(events[-1].t if events else 0.0, "the end"))
    return Session(header, tuple(events))


def _touch_events(
    rows: Rows, who: str, begin: float, *, is_down: bool = False
) -> Iterator[TouchEvent]:
    """Yield touches [n, 4] from an instant on as one finger's, with its ups.

    is_down: the finger is down already, and is not lifted before the first touch.
    """
    t, x, y = begin, 0.0, 0.0
    has_played = False
    for row in rows.tolist():
        moving = row[3] > 0.5 and is_down
        due = t + row[2]
        if has_played and not moving:
            up = min(t + LIFT_AFTER, due)
            yield TouchEvent(up, Touch(x, y, up - t, Phase.UP, 0, who))
        t, x, y, dt = due, row[0], row[1], row[2]
        phase = Phase.MOVE if moving else Phase.DOWN
        pressure = row[4] if len(row) > 4 else None
        yield TouchEvent(t, Touch(x, y, dt, phase, 0, who, pressure))
        is_down = has_played = True
    if has_played:
        yield TouchEvent(t + LIFT_AFTER, Touch(x, y, LIFT_AFTER, Phase.UP, 0, who))
