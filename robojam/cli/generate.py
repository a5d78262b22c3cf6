"""generate: performances made offline, from nothing or going on from one."""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from robojam.cli import arguments
from robojam.controls import CONTROLS

if TYPE_CHECKING:
    import numpy as np

#: No more takes than this are made at once: each needs its own memory.
_MOST = 100_000


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--from", metavar="FILE", dest="start", type=Path, help="a performance to go on from")
    add("--machine", action="store_true", help="go on from what the machine played in it")
    add(
        "--to",
        metavar="FILE",
        type=Path,
        required=True,
        help=".jsonl, .csv, .mid, .npz, .png or .wav",
    )
    add(
        "--seconds",
        metavar="N",
        type=arguments.positive,
        default=5.0,
        help="of each (default: 5)",
    )
    add("--count", metavar="N", type=arguments.count, default=1, help="how many (default: 1)")
    add(
        "--seed", metavar="N", type=arguments.seed, help="gives the same again (default: drawn)"
    )
    add("--temperature", metavar="T", type=float, help="how adventurous its choices are")
    add("--spread", metavar="S", type=float, help="how far it strays from them")
    add("--model", metavar="FILE", help="the model that plays (default: the one it comes with)")


def _generate(chosen: argparse.Namespace) -> int:
    from robojam.export.writers import WRITERS, write_session
    from robojam.model.file import ModelFileError, find, read
    from robojam.player.generate import generate
    from robojam.sessions.compose import compose

    writers = {".jsonl": write_session, **WRITERS}
    writer = writers.get(chosen.to.suffix.lower())
    if writer is None:
        arguments.fail(f"--to {chosen.to}: generated is to {', '.join(writers)}")
    arguments.writable(chosen.to)
    start, to = chosen.start, chosen.to
    if start is not None and start.exists() and to.exists() and start.samefile(to):
        arguments.fail(f"{to} is what it goes on from: name another file")
    if chosen.machine and chosen.start is None:
        arguments.fail("--machine is of --from: name a session too")
    if chosen.seconds > 3600:
        arguments.fail("--seconds: at most 3600")
    try:
        file = read(find(chosen.model))
        heard, told = _heard(chosen.start, machine=chosen.machine)
        heard *= chosen.count
    except ValueError as error:
        arguments.fail(error)
    if len(heard) > _MOST:
        arguments.fail(f"{len(heard):,} performances at once: {_MOST:,} are the most")
    seed = secrets.randbits(63) if chosen.seed is None else chosen.seed
    how: dict[str, Any] = {
        "temperature": _tempered(
            chosen.temperature, "temperature", file.description.temperature
        ),
        "spread": _tempered(chosen.spread, "spread", file.description.spread),
    }
    try:
        takes = generate(file, heard, seconds=chosen.seconds, seed=seed, **how)
    except ModelFileError as error:
        arguments.fail(error)
    except MemoryError:
        arguments.fail(f"{len(heard):,} at once do not fit into memory: take a smaller --count")
    # A table or arrays hold what was made alone, as it goes on from what came before; a
    # session and a picture hold that too; what sounds begins with a finger that lands.
    kind = chosen.to.suffix.lower()
    whole, table = kind in (".jsonl", ".png"), kind in (".csv", ".npz")
    made = [
        compose(
            before if whole else before[:0],
            take,
            file=file,
            seed=seed,
            options=how,
            continues=table and len(before) > 0,
        )
        for before, take in zip(heard, takes, strict=True)
    ]
    try:
        written = writer(made, chosen.to)
    except ValueError as error:
        arguments.fail(error, 1)
    except OSError as error:
        arguments.fail(f"{chosen.to} cannot be written: {error.strerror or error}")
    touches = sum(len(take) for take in takes)
    for line in told:
        print(line)
    where = str(written[0]) if len(written) == 1 else f"{written[0]} … {written[-1]}"
    print(f"{arguments.performances(len(takes))}, {touches:,} touches, seed {seed}: {where}")
    return 0


def _heard(path: Path | None, *, machine: bool) -> tuple[list[np.ndarray[Any, Any]], list[str]]:
    """Read what is to be heard first: the performances of a file, or nothing.

    Returns what was left out of it as well, in lines.
    """
    import numpy as np

    from robojam.corpus.corpus import TOUCH, CorpusError, clean
    from robojam.corpus.formats import read_all

    if path is None:
        return [np.empty((0, len(TOUCH)))], []
    corpora = [clean(corpus) for corpus in read_all([path], machine=machine)]
    if any(corpus.columns != TOUCH for corpus in corpora):
        raise CorpusError(path, "holds pen strokes: it plays on from touches")
    found = [performance for corpus in corpora for performance in corpus.performances()]
    if not found:
        why = "".join(f"; {line}" for corpus in corpora for line in corpus.notes)
        raise CorpusError(path, f"holds no performance of two touches or more{why}")
    return found, arguments.told(corpora)


def _tempered(given: float | None, name: str, recommended: float) -> float:
    value = recommended if given is None else given
    if not CONTROLS[name].has(value):
        arguments.fail(f"--{name} {value}: a number from 0 to 10")
    return value


COMMANDS: Final[tuple[arguments.Command, ...]] = (
    ("generate", "performances made offline, from nothing or from one", _arguments, _generate),
)
