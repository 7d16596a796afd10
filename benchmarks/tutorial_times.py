"""The tutorial's timing table: 30 epochs over 10,000, 30,000, 100,000 videos, its model and ours.

    python benchmarks/tutorial_times.py [--device cuda]

Some steps of each model are timed, as by ``kineograph train --dry-run``, with the batch of its
recipe. An epoch shows every frame once to the tutorial's model, which learns from single frames,
and every clip once to ours. So all times are extrapolated from measured steps. Prints the table
and writes ``benchmarks/results/tutorial_times.json``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from kineograph import recipes
from kineograph.dry_run import dry_run
from kineograph.evaluation.accuracy import duration
from kineograph.training.environment import environment

RESULTS = Path(__file__).resolve().parent / "results" / "tutorial_times.json"
RECIPES = {"tutorial_gan": "tutorial-baseline", "gan": "tutorial-gan", "flow": "tutorial"}
VIDEOS = (10_000, 30_000, 100_000)
EPOCHS = 30


def timed(name: str, device: str) -> dict[str, Any]:
    """The seconds of 30 epochs over so many videos, and of how many steps."""
    batch = recipes.resolve(name).training.batch_size
    each = recipes.resolve(name).data.num_frames if name == "tutorial-baseline" else 1
    steps = {videos: round(EPOCHS * videos * each / batch) for videos in VIDEOS}
    told = {"steps": max(steps.values()), "minutes": None, "evaluate_every": 0, "device": device}
    tried = dry_run(recipes.resolve(name, {"training": told}))
    return {
        "batch": batch,
        "milliseconds_a_step": 1e3 * tried.seconds / tried.steps,
        "videos": {
            str(videos): {"steps": count, "seconds": tried.seconds * count / tried.steps}
            for videos, count in steps.items()
        },
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    found = {family: timed(name, asked.device) for family, name in RECIPES.items()}
    for family, each in found.items():
        times = (f"{videos}: {duration(t['seconds'])}" for videos, t in each["videos"].items())
        print(f"{family:14} {each['milliseconds_a_step']:7.1f} ms a step   {', '.join(times)}")
    told = {"environment": environment(), "epochs": EPOCHS, "models": found}
    asked.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
