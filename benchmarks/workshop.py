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
from kept import tell

from robojam.corpus.corpus import clean
from robojam.corpus.formats import read

ROOT = Path(__file__).parents[1]
TOUCHES, SESSIONS, ANSWERS = 10_000_000, 1000, 1000


def loaded(path: str) -> None:
    """In a process of its own: load and clean, and say how long it took, and its memory."""
    began, before = time.perf_counter(), time.process_time()
    corpus = clean(read(Path(path)))
    took, cpu = time.perf_counter() - began, time.process_time() - before
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"touches": len(corpus.events), "s": took, "cpu s": cpu, "GB": memory}))


def run(*command: object) -> dict[str, float]:
    """Run a command; return how long it took, and the time of processors in it."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *map(str, command)], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"s": round(time.perf_counter() - began, 3), "cpu s": round(cpu, 3)}


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
        for when in ("for the first time", "again"):
            found[f"list {SESSIONS} sessions of 35 s {when}"] = run(
                "-m", "robojam", "sessions", sessions
            )
        half = folder / "answered.npz"
        parts = list(clean(corpus).performances())
        heard = [parts[i % len(parts)] for i in range(ANSWERS)]
        np.savez(half, touches=np.concatenate(heard), lengths=[len(part) for part in heard])
        generate = ["-m", "robojam", "generate", "--seed", 1, "--to", folder / "out.npz"]
        found[f"{ANSWERS} x 5 s from nothing"] = run(*generate, "--count", ANSWERS)
        found[f"{ANSWERS} x 5 s answers to {ANSWERS} performances"] = run(
            *generate, "--from", half
        )
    tell(found, args.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--load"]:
        loaded(sys.argv[2])
    else:
        main()
