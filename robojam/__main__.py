"""robojam, and python -m robojam.

Nothing else is imported before it is settled what a signal does: the rest takes a moment,
and who thinks better of it meanwhile is not shown a traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

#: These leave with status 0 when they are asked to; others were interrupted.
_PLAY = ("jam", "serve", "window")


def main() -> NoReturn:
    """Run the command that the arguments name; leaves with its status."""
    plays = sys.argv[1:2] and sys.argv[1] in _PLAY

    def leave(number: int, _frame: object) -> None:
        os._exit(0 if plays else 128 + number)  # nothing has begun that is to be ended

    before = {n: signal.signal(n, leave) for n in (signal.SIGINT, signal.SIGTERM)}
    from robojam import cli

    if not plays:
        for number, handler in before.items():
            signal.signal(number, handler)
    cli.main()


if __name__ == "__main__":
    main()
