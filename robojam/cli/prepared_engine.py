"""Program of an engine that has imported and loaded what takes seconds, and waits to play.

The first line of standard input is the options of a jam as it will be, JSON. The second line
says how it plays: the words of a command, and the environment. Standard input ends when what
started it does. With --report a line is printed when it is prepared.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import suppress
from typing import Final

from robojam.system.child_process import read_first_line

#: Niceness while it is prepared: an engine beside it plays.
_NICE: Final = 10


def _prepare(encoded: bytes) -> None:
    """Import what an engine needs, and load the model: once more, that is fast.

    Compiled steps are loaded after that, on a thread of their own.
    """
    if sys.platform == "linux":  # elsewhere a thread has none of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
    import msgspec

    import robojam.app.assemble  # noqa: F401
    from robojam.config.options import Options
    from robojam.engine import model_loader
    from robojam.model import file as model_file
    from robojam.player.devices import choose_device

    options = msgspec.json.decode(encoded, type=Options)
    model_loader.one_thread()
    with suppress(Exception):  # what is wrong with it, the engine says when it plays
        path = model_file.find(options.model, of_knobs=bool(options.knobs))
        device = choose_device(options.device)
        models = model_loader.Models([path.parent], device=device, knobs=options.knobs)
        models.load_file(path, options.voices)
        models.load_compiled(path, options.voices, lambda _: None)


def main() -> None:
    """Wait until it is said how to play, and play."""
    if not (options := read_first_line()):
        return
    reports = sys.argv[1:] == ["--report"]

    def prepare() -> None:
        _prepare(options)
        if reports:
            print("prepared", flush=True)

    preparing = threading.Thread(target=prepare, name="preparing", daemon=True)
    preparing.start()
    if not (line := read_first_line()):
        os._exit(0)  # the compiler may be loading
    if sys.platform == "linux" and preparing.is_alive() and preparing.native_id is not None:
        with suppress(OSError):  # where that is not allowed, it takes a while longer
            nice = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, preparing.native_id, nice)
    preparing.join()
    command, env = json.loads(line)
    os.environ.clear()
    os.environ.update(env)
    sys.argv[1:] = command
    from robojam import cli

    cli.main()


if __name__ == "__main__":
    main()
