"""What does `training.compile` gain, and what does it cost the first time and every time?

    python benchmarks/compile.py [tutorial shapes]

A training line by line and a compiled one take turns, step by step, in one process; compiled ones
begin in processes of their own, once with nothing kept from before and once with what the first
one kept. Prints how many times as long a compiled step takes, and after how many steps it has paid
for its first one; writes ``benchmarks/results/compile.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kineograph import recipes
from kineograph.lessons import begin
from kineograph.training.environment import environment
from kineograph.training.loop import Trainer

RESULTS = Path(__file__).resolve().parent / "results" / "compile.json"
RECIPES = ("tutorial",)
STEPS = 8


def trainer(name: str, compiled: bool, folder: str) -> Trainer:
    """Of a recipe, which has not begun."""
    recipe = recipes.resolve(name, {"training": {"compile": compiled}})
    begun = begin(recipe)
    return Trainer(
        begun.model,
        begun.source,
        begun.tokenizer,
        recipe.training,
        seed=0,
        folder=Path(folder),
    )


def seconds_of_step(each: Trainer) -> float:
    """One step after its autoencoder is done."""
    started = time.perf_counter()
    each.stepper(each.place, 0.5)
    each.place.step += 1
    return time.perf_counter() - started


def first_step(name: str, cache: str) -> float:
    """Seconds of the first compiled step in a process of its own, with what ``cache`` keeps."""
    command = [sys.executable, __file__, "--first-step-of", name]
    kept = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}
    done = subprocess.run(command, env=kept, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def measure(name: str) -> dict[str, Any]:
    """Seconds of a step, and of the first one."""
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as folder:
        cold, warm = first_step(name, cache), first_step(name, cache)
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        plain, compiled = trainer(name, False, folder), trainer(name, True, folder)
        seconds_of_step(plain), seconds_of_step(compiled)  # warm up
        pairs = [(seconds_of_step(plain), seconds_of_step(compiled)) for _ in range(STEPS)]
    usual, faster = (statistics.median(each) for each in zip(*pairs, strict=True))
    gained = usual - faster
    return {
        "ratio": round(statistics.median(c / p for p, c in pairs), 3),
        "seconds_of_a_step": {"line_by_line": round(usual, 3), "compiled": round(faster, 3)},
        "seconds_of_the_first_step": {"nothing_kept": round(cold, 1), "kept": round(warm, 1)},
        "steps_until_it_pays": {
            kind: round((first - usual) / gained) if gained > 0 else None
            for kind, first in (("nothing_kept", cold), ("kept", warm))
        },
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=RECIPES)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--first-step-of", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.first_step_of:
        with tempfile.TemporaryDirectory() as folder:
            print(seconds_of_step(trainer(asked.first_step_of, True, folder)))
        return
    found = {}
    for name in asked.names:
        found[name] = measure(name)
        print(f"{name}: a compiled step takes {found[name]['ratio']:.2f} times as long")
        print(f"  {found[name]}")
    told = {"environment": environment(), "recipes": found}
    asked.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
