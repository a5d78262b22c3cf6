"""Program of an engine that has imported and loaded what takes seconds, and waits to play.

The first line of standard input is the options of a jam as it will be, JSON. Then a line is
printed; the second line says how it plays: the words of a command, and the environment.
Standard input ends when what started it does.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress

from robojam.system.child_process import read_first_line


def _prepare(encoded: bytes) -> None:
    """Import what an engine needs, and load the model: once more, that is fast.

    Compiled steps are loaded after that, on a thread of their own.
    """
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
    _prepare(options)
    print("warm", flush=True)
    if not (line := read_first_line()):
        os._exit(0)  # the compiler may be loading
    command, env = json.loads(line)
    os.environ.clear()
    os.environ.update(env)
    sys.stdout.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    sys.argv[1:] = command
    from robojam import cli

    cli.main()


if __name__ == "__main__":
    main()
