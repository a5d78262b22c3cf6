"""Shared fakes and helpers of the tests, and where things lie."""

from pathlib import Path

#: The checkout.
ROOT = Path(__file__).parents[2]
#: Real performances, where they are at hand.
CORPUS = ROOT.parent / "shared" / "corpus"
#: Recordings that come with robojam.
EXAMPLES = sorted((ROOT / "sessions").glob("example*.jsonl"))
