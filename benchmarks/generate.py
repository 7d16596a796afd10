"""How long does a clip take? By family, steps and batch, and from a cold shell to an MP4.

    python benchmarks/generate.py

A clip takes as long whatever a model has learned, so the models are of two steps of training.
Prints how many times as long the flow takes as the GAN, and writes
``benchmarks/results/generate.json``.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from time_to_accuracy import RACERS

from kineograph import api, recipes
from kineograph.training.environment import choose_device, environment

RESULTS = Path(__file__).resolve().parent / "results" / "generate.json"
PROMPT = "circle moving up-right"
STEPS = {"gan": [1], "flow": [4, 8, 20]}
BATCH = 64
REPEATS = 25


def median_seconds(action: Callable[[], object], repeats: int = REPEATS) -> float:
    """Of one call, after one that warms up."""
    action()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def cold_seconds(model: Path, folder: Path) -> float:
    """`kineograph generate` in a process of its own: the import, the model, the clip, the MP4."""
    command = [sys.executable, "-m", "kineograph", "generate", PROMPT, "--model", str(model)]
    videos = (folder / f"{model.name}-{number}.mp4" for number in itertools.count())

    def generate() -> None:
        subprocess.run([*command, "--out", str(next(videos))], check=True, capture_output=True)

    return median_seconds(generate, repeats=3)


def measure(recipe: str, steps: list[int], folder: Path) -> dict[str, Any]:
    """Milliseconds of one clip and clips a second in a batch, by steps; seconds from a shell."""
    short = {"training": {"steps": 2, "batch_size": 4, "evaluate_every": 0}}
    model = folder / recipe
    api.train(recipes.resolve(recipe, short), model)
    pipeline = api.load(model, choose_device("auto").type)
    make = functools.partial(pipeline, PROMPT)
    one = {n: median_seconds(functools.partial(make, 1, num_inference_steps=n)) for n in steps}
    many = {
        n: BATCH / median_seconds(functools.partial(make, BATCH, num_inference_steps=n), 5)
        for n in steps
    }
    return {
        "milliseconds_a_clip": {n: round(1000 * seconds, 2) for n, seconds in one.items()},
        "clips_a_second": {n: round(rate, 1) for n, rate in many.items()},
        "seconds_from_a_cold_shell": round(cold_seconds(model, folder), 2),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for family, steps in STEPS.items():
            found[family] = measure(RACERS[family], steps, Path(folder))
            print(f"{family}: {found[family]}")
    gan = found["gan"]["milliseconds_a_clip"][1]
    ratios = {n: ms / gan for n, ms in found["flow"]["milliseconds_a_clip"].items()}
    for steps, ratio in ratios.items():
        print(f"ratio: a clip of the flow in {steps} steps takes {ratio:.1f} times one of the GAN")
    told = {"environment": environment(), "batch": BATCH, "ratios": ratios, "families": found}
    asked.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
