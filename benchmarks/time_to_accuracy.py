"""Each family and the tutorial's model, trained for the same time in one run and judged alike.

    python benchmarks/time_to_accuracy.py               # 5 minutes each, seed 0
    python benchmarks/time_to_accuracy.py --minutes 1   # a quick look

Prints how many times as often a family's clips do what their prompts say, and writes
``benchmarks/results/time_to_accuracy.json``, which the README and the demo quote.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kineograph import api, recipes
from kineograph.data.sources.tutorial import UNSEEN_PROMPTS
from kineograph.evaluation.accuracy import Evaluation
from kineograph.training.environment import environment
from kineograph.training.metrics_log import read_metrics

RESULTS = Path(__file__).resolve().parent / "results" / "time_to_accuracy.json"
RACERS = {"flow": "tutorial", "gan": "tutorial-gan", "tutorial_gan": "tutorial-baseline"}
LIVE_CHECKS = {"flow": 50, "gan": 100, "tutorial_gan": 500}  # steps between them: a few a minute


def race(family: str, minutes: float, seed: int, clips: int, folder: Path) -> dict[str, Any]:
    """Train one of them and judge ``clips`` clips a prompt."""
    limits = {"minutes": minutes, "evaluate_every": LIVE_CHECKS[family], "checkpoint_every": 0}
    recipe = recipes.resolve(RACERS[family], {"seed": seed, "training": limits})
    trained = api.train(recipe, folder)
    evaluation = api.evaluate(folder, count=clips)
    found = result(evaluation)
    rows = read_metrics(folder / "metrics.jsonl")
    found["accuracy_over_time"] = [
        [row["elapsed"], row["accuracy"]] for row in rows if row.get("accuracy") is not None
    ]
    return {"steps": trained.steps, "seconds": round(trained.seconds, 1), **found}


def result(evaluation: Evaluation) -> dict[str, Any]:
    """Shares and their 95 % intervals, over the training prompts and for every prompt."""
    seen = evaluation.total(seen=True)
    return {
        "training_prompts": seen.share,
        "training_prompts_interval": list(seen.interval),
        "prompts": {score.prompt: score.share for score in evaluation.scores},
        "intervals": {score.prompt: list(score.interval) for score in evaluation.scores},
    }


def ratio(ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[float, bool]:
    """How many times as often we are right, and whether that is only a lower bound.

    Where the baseline is never right, it is compared at the upper end of its interval.
    """
    if theirs["training_prompts"] > 0:
        return ours["training_prompts"] / theirs["training_prompts"], False
    return ours["training_prompts_interval"][0] / theirs["training_prompts_interval"][1], True


def main() -> None:
    """Race, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--clips", type=int, default=64, help="clips judged a prompt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    models: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for family in RACERS:
            models[family] = race(
                family, asked.minutes, asked.seed, asked.clips, Path(folder, family)
            )
            unseen = {p: f"{models[family]['prompts'][p]:.1%}" for p in UNSEEN_PROMPTS}
            print(f"{family}: {models[family]['training_prompts']:.1%} verified, unseen {unseen}")
    baseline = models["tutorial_gan"]
    ratios = {name: ratio(models[name], baseline) for name in models if name != "tutorial_gan"}
    for name, (times, at_least) in ratios.items():
        bound = "at least " * at_least
        print(f"ratio: {name} {bound}{times:.0f} times as often as the tutorial's model")
    machine = environment()
    told = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{machine['threads']} cores, {machine['processor']}",
        "commit": machine["commit"],
        "torch": machine["torch"],
        "seed": asked.seed,
        "seconds": 60 * asked.minutes,
        "clips_per_prompt": asked.clips,
        "unseen_prompts": list(UNSEEN_PROMPTS),
        "ratios": {
            name: {"times": times, "is_lower_bound": at_least}
            for name, (times, at_least) in ratios.items()
        },
        "models": models,
    }
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
