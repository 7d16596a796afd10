"""How much memory does training take? The peak of a process that trains, at batch 64.

    python benchmarks/memory.py

Each training runs in a process of its own, through all its phases; one that only imports and draws
the clips is measured beside them. Prints the ratio of the flow, for which the tutorial lacked
memory, to the tutorial's own model, and writes ``benchmarks/results/memory.json``.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from time_to_accuracy import RACERS

from kineograph import api, recipes
from kineograph.core import registry
from kineograph.training.environment import environment

RESULTS = Path(__file__).resolve().parent / "results" / "memory.json"
BATCH = 64
SHORT = {"steps": 20, "batch_size": BATCH, "evaluate_every": 0}


def one(name: str) -> float:
    """Train that family here and return this process's peak in MiB; "nothing" only draws clips."""
    recipe = recipes.resolve(RACERS.get(name, "tutorial"), {"training": SHORT})
    if name == "nothing":
        source = registry.load(recipes.SOURCES, recipe.source).Source(recipe.data)
        for index in range(BATCH):
            source.clip(index, 0)
    else:
        with tempfile.TemporaryDirectory() as folder:
            api.train(recipe, Path(folder, "run"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", help="measure this one in this process (used by the others)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if asked.one:
        print(one(asked.one))
        return
    peaks = {}
    for name in ("nothing", *RACERS):
        command = [sys.executable, __file__, "--one", name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks[name] = round(float(done.stdout.splitlines()[-1]))
        print(f"{name}: {peaks[name]} MiB")
    ratio = peaks["flow"] / peaks["tutorial_gan"]
    print(f"ratio: the flow needs {ratio:.2f} times the memory of the tutorial's model")
    told = {"environment": environment(), "batch": BATCH, "ratio": ratio, "peak_mib": peaks}
    asked.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
