"""What the programs here found: told as JSON, and kept in a file where one is named."""

from __future__ import annotations

import json
import platform
from pathlib import Path


def tell(found: object, path: Path | None, *, indent: int = 2) -> None:
    """Print figures, and keep them."""
    print(json.dumps(found, indent=indent))
    keep(found, path, indent=indent)


def keep(found: object, path: Path | None, *, indent: int = 2) -> None:
    """Write figures to a file, where one is named."""
    if path is not None:
        path.write_text(json.dumps(found, indent=indent) + "\n")


def versions() -> dict[str, str]:
    """Tell by which Python and torch figures were found."""
    import torch

    return {"python": platform.python_version(), "torch": torch.__version__}
