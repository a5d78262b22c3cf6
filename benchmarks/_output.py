"""Command line and output of the benchmarks: figures printed as JSON, and saved."""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path


def argument_parser(doc: str) -> argparse.ArgumentParser:
    """Return a parser with a benchmark's docstring as description, and the option --json."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser


def print_and_save(figures: object, path: Path | None) -> None:
    """Print figures as JSON, and write them to a file if a path is given."""
    print(json.dumps(figures, indent=1))
    save(figures, path)


def save(figures: object, path: Path | None) -> None:
    """Write figures as JSON to a file if a path is given."""
    if path is not None:
        path.write_text(json.dumps(figures, indent=1) + "\n")


def versions() -> dict[str, str]:
    """Return the versions of Python and torch."""
    import torch

    return {"python": platform.python_version(), "torch": torch.__version__}
