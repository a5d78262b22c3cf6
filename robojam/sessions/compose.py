"""A session of what was made offline, as if it had been played: fingers lift, time passes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np

from robojam import __version__
from robojam.model.file import ModelFile
from robojam.sessions.session import EndEvent, Header, ModelRef, Session, SetEvent, TouchEvent
from robojam.touch import LIFT_AFTER, Phase, Touch

Rows = np.ndarray[Any, np.dtype[np.float64]]


def composed(
    heard: Rows,
    made: Rows,
    *,
    file: ModelFile,
    seed: int,
    options: dict[str, Any],
    goes_on: bool = False,
    started: datetime | None = None,
) -> Session:
    """Return the session in which a human plays heard (n, 4), and the machine made (m, 4).

    Touches are x, y, dt and moving. What goes on may begin with a slide, from a finger that
    is down already; otherwise the machine's lands first. started is when (default: now).
    """
    human = list(fingered(heard, "human", 0.0))
    begins = float(heard[:, 2].sum()) if len(heard) else 0.0
    machine = list(fingered(made, "ai", begins, down=goes_on))
    if human and machine and human[-1].t > machine[0].t:
        # The human's finger is lifted by then, as a jam would have it.
        last = human.pop()
        up = machine[0].t
        touch = last.touch
        human.append(TouchEvent(up, Touch(touch.x, touch.y, up - begins, Phase.UP, 0, "human")))
    header = Header(
        started=(started or datetime.now(UTC)).isoformat(),
        model=ModelRef(file.path.name, file.sha256),
        device="cpu",
        build=f"robojam {__version__}, generated",
        seed=seed,
        options={"mode": "call-response", **options},
    )
    events: list[TouchEvent | SetEvent | EndEvent] = [*human, *machine]
    events.append(EndEvent(events[-1].t if events else 0.0, "the end"))
    return Session(header, tuple(events))


def fingered(
    rows: Rows, who: str, begins: float, *, down: bool = False
) -> Iterator[TouchEvent]:
    """Yield touches (n, 4) from an instant on, with the lifting of the one finger.

    down says whether it is down already, in which case it is not lifted before the first.
    """
    t, x, y = begins, 0.0, 0.0
    landed = False
    for row in rows.tolist():
        moving = row[3] > 0.5 and down
        due = t + row[2]
        if landed and not moving:
            up = min(t + LIFT_AFTER, due)
            yield TouchEvent(up, Touch(x, y, up - t, Phase.UP, 0, who))
        t, x, y, dt = due, row[0], row[1], row[2]
        yield TouchEvent(t, Touch(x, y, dt, Phase.MOVE if moving else Phase.DOWN, 0, who))
        down = landed = True
    if landed:
        yield TouchEvent(t + LIFT_AFTER, Touch(x, y, LIFT_AFTER, Phase.UP, 0, who))
