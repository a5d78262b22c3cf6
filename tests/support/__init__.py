"""Shared fakes and helpers of the tests, and paths of the checkout."""

from pathlib import Path

import pytest

#: The checkout.
ROOT = Path(__file__).parents[2]
#: Folder of real performances, which not every machine has.
CORPUS = ROOT.parent / "shared" / "corpus"
has_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no {CORPUS}")
#: Recordings that come with robojam.
EXAMPLES = sorted((ROOT / "sessions").glob("example*.jsonl"))
