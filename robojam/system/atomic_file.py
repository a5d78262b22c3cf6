"""Files that are replaced as a whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a path to write to; the file there replaces the one at path when the block ends.

    When the block raises, the file at path stays as it was. A path that exists and is no
    regular file (/dev/null, a pipe) is yielded itself. Raises OSError when the file cannot be
    put at path.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
