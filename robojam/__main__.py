"""Entry point of robojam and of python -m robojam.

What a signal does is settled before anything else is imported: the imports take a moment,
and Ctrl-C during them shows no traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

#: Commands that end with status 0 when they are asked to; others were interrupted.
_PLAYING_COMMANDS = ("jam", "serve", "window")


def main() -> NoReturn:
    """Run the command that the arguments name, and exit with its status."""
    playing = sys.argv[1:2] and sys.argv[1] in _PLAYING_COMMANDS

    def leave(number: int, _frame: object) -> None:
        os._exit(0 if playing else 128 + number)  # nothing has begun that needs an end

    before = {n: signal.signal(n, leave) for n in (signal.SIGINT, signal.SIGTERM)}
    from robojam import cli

    if not playing:
        for number, handler in before.items():
            signal.signal(number, handler)
    cli.main()


if __name__ == "__main__":
    # `python -m` puts the current folder first: a file random.py there is not to be imported.
    # The package itself is found by its own path. torchrun starts it so, too.
    if not sys.flags.safe_path:
        del sys.path[0]
    main()
