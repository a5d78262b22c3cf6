"""Copy the pages of the documentation, and what they link to, to a folder.

The folder has the tree of the repository, so that every relative link holds in the site as it
does in a checkout. `make docs` builds the site from it.

Usage: python docs/stage.py FOLDER
"""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Containerfile",
    "benchmarks/README.md", "benchmarks/*.py", "benchmarks/results/*.json*",
    "docs/**/*.md", "docs/**/*.png", "docs/**/*.gif",
    "examples/**/*", "models/*.md", "sessions/README.md", "sessions/example*.jsonl",
)  # fmt: skip


def stage(folder: Path) -> None:
    """Copy the pages to a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    for pattern in PAGES:
        for path in ROOT.glob(pattern):
            if path.is_file() and "__pycache__" not in path.parts:
                copy = folder / path.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
