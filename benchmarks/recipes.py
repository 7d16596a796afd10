"""Each recipe trained from nothing by several seeds, and judged on the splits of its source.

    python benchmarks/recipes.py tutorial shapes               # seeds 0, 1 and 2
    python benchmarks/recipes.py sprites --path SHEETS --seeds 0

Prints what each reaches and writes it into ``benchmarks/results/recipes.json``, beside what is
there of other recipes and seeds; the README quotes it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kineograph import api, recipes
from kineograph.evaluation.accuracy import numbers
from kineograph.evaluation.by_fact import SplitEvaluation
from kineograph.training.environment import environment

RESULTS = Path(__file__).resolve().parent / "results" / "recipes.json"


@dataclass(frozen=True)
class Training:
    """How long a recipe is trained, and what it is tried on."""

    minutes: float
    splits: Sequence[str] = ()
    """Empty for a source that has none."""
    clips: int = 512
    """Clips of each split, or of all captions where there are none."""


TRAININGS = {
    "tutorial": Training(4),
    "tutorial-gan": Training(5),
    "shapes": Training(20, ("train", "held-out", "rephrased")),
    "shapes-two": Training(45, ("train", "held-out")),
    "digits": Training(15, ("train", "held-out")),
    "sprites": Training(40, ("train", "held-out"), clips=256),
}
PROMPT_CLIPS = 64
"""Clips of each prompt of the tutorial."""


def train_and_judge(name: str, seed: int, path: str | None, folder: Path) -> dict[str, Any]:
    """One training, then every split."""
    asked = TRAININGS[name]
    limits = {"minutes": asked.minutes, "checkpoint_every": 0}
    told: dict[str, Any] = {"seed": seed, "training": limits}
    if path:
        told["data"] = {"path": path}
    trained = api.train(recipes.resolve(name, told), folder)
    if trained.ended == "interrupted":
        raise SystemExit("Interrupted: this training is not recorded.")
    found: dict[str, Any] = {"steps": trained.steps, "seconds": round(trained.seconds, 1)}
    if not asked.splits:
        evaluation = api.evaluate(folder, count=PROMPT_CLIPS)
        found["training prompts"] = numbers(evaluation.total(seen=True))
        found["prompts"] = {score.prompt: numbers(score.result) for score in evaluation.scores}
    found["splits"] = {
        split or "all": brief(api.evaluate_split(folder, split=split, count=asked.clips))
        for split in asked.splits or [None]
    }
    return found


def brief(evaluation: SplitEvaluation) -> dict[str, Any]:
    """Shares of all facts together, of each, and of real clips; and what else was measured."""
    whole = evaluation.as_json()
    return {
        "all": whole["model"]["joint"],
        "facts": {name: share["share"] for name, share in whole["model"]["facts"].items()},
        "real clips": whole["ceiling"]["joint"]["share"],
        "measures": whole["measures"],
    }


def tell(name: str, seed: int, found: dict[str, Any]) -> None:
    """A line for each split."""
    for split, scores in found["splits"].items():
        share, (low, high) = scores["all"]["share"], scores["all"]["interval"]
        print(f"{name}, seed {seed}, {split}: {share:.1%} ({low:.1%} to {high:.1%})", flush=True)


def main() -> None:
    """Train, judge, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=TRAININGS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--path", help="folder that the source reads")
    parser.add_argument("--runs", help="folder to keep the runs in")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    for name in asked.names:
        for seed in asked.seeds:
            with tempfile.TemporaryDirectory() as folder:
                run = Path(asked.runs or folder, f"{name}-{seed}")
                found = train_and_judge(name, seed, asked.path, run)
            tell(name, seed, found)
            machine = environment()
            known = json.loads(asked.out.read_text("utf-8")) if asked.out.exists() else {}
            known.setdefault(name, {})[str(seed)] = {
                "date": datetime.now(UTC).strftime("%Y-%m-%d"),
                "machine": f"{machine['threads']} cores, {machine['processor']}",
                "gpu": machine["gpu"],
                "commit": machine["commit"],
                "minutes": TRAININGS[name].minutes,
                **found,
            }
            asked.out.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
