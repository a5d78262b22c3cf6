"""How long the workshop takes: ten million touches, a thousand sessions, a thousand answers.

python benchmarks/workshop.py ../shared/corpus/microjam_val.npz --json FILE
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from robojam.corpus import clean
from robojam.formats import read

ROOT = Path(__file__).parents[1]
TOUCHES, SESSIONS, ANSWERS = 10_000_000, 1000, 1000


def loaded(path: str) -> None:
    """In a process of its own: load and clean, and say how long it took, and its memory."""
    began = time.perf_counter()
    corpus = clean(read(Path(path)))
    took = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"touches": len(corpus.events), "s": took, "GB": memory}))


def run(*command: object) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *map(str, command)], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    corpus = read(args.corpus)
    times = -(-TOUCHES // len(corpus.events))
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        events = np.tile(corpus.events, (times, 1))
        np.savez(folder / "all.npz", touches=events, lengths=np.tile(corpus.lengths, times))
        np.save(folder / "all.npy", events[:, :3])
        for file in ("all.npz", "all.npy"):
            command = [sys.executable, __file__, "--load", folder / file]
            ran = subprocess.run(command, check=True, capture_output=True, text=True)
            found[f"load {file}"] = json.loads(ran.stdout)
        sessions = folder / "sessions"
        sessions.mkdir()
        for i in range(SESSIONS):
            shutil.copy(ROOT / "sessions" / "example.jsonl", sessions / f"{i:04}.jsonl")
        found[f"list {SESSIONS} sessions of 35 s, s"] = run(
            "-m", "robojam", "sessions", sessions
        )
        half = folder / "answered.npz"
        parts = list(clean(corpus).performances())
        heard = [parts[i % len(parts)] for i in range(ANSWERS)]
        np.savez(half, touches=np.concatenate(heard), lengths=[len(part) for part in heard])
        generate = ["-m", "robojam", "generate", "--seed", 1, "--to", folder / "out.npz"]
        found[f"{ANSWERS} x 5 s from nothing, s"] = run(*generate, "--count", ANSWERS)
        found[f"{ANSWERS} x 5 s answers to {ANSWERS} performances, s"] = run(
            *generate, "--from", half
        )
    print(json.dumps(found, indent=2))
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--load"]:
        loaded(sys.argv[2])
    else:
        main()
