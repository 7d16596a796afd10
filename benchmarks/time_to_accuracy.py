"""Each family and the tutorial's model, trained for the same time in one run and judged alike.

    python benchmarks/time_to_accuracy.py               # 5 minutes each, seed 0
    python benchmarks/time_to_accuracy.py --minutes 1   # a quick look
    python benchmarks/time_to_accuracy.py --ddpm 1      # beside the plain recipe of `ddpm.py`, too

Prints how many times as often a family's clips do what their prompts say, and writes
``benchmarks/results/time_to_accuracy.json``, which the README and the demo quote. All of them are
trained on the GPU where there is one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ddpm
import torch

from kineograph import api, recipes
from kineograph.data.sources.tutorial import CAPTIONS, UNSEEN_PROMPTS, Config, Source
from kineograph.evaluation.accuracy import Evaluation, judged
from kineograph.evaluation.judges import judge_of
from kineograph.training.environment import environment
from kineograph.training.metrics_log import read_metrics

RESULTS = Path(__file__).resolve().parent / "results" / "time_to_accuracy.json"
RACERS = {"flow": "tutorial", "gan": "tutorial-gan", "tutorial_gan": "tutorial-baseline"}
BASELINES = {"tutorial_gan": "the tutorial's model", "ddpm": "the plain DDPM"}
STEPS = (1, 2, 4, 8)  # of the flow's sampler, of which each but the last takes two evaluations
LIVE_CHECKS = {"flow": 50, "gan": 25, "tutorial_gan": 500}  # steps between them: a few a minute


DISTILLING = 0.4  # of the minutes of the race, on top of them


def race(family: str, minutes: float, seed: int, clips: int, folder: Path) -> dict[str, Any]:
    """Train one of them and judge ``clips`` clips a prompt; the flow is distilled, too."""
    limits = {"minutes": minutes, "evaluate_every": LIVE_CHECKS[family], "checkpoint_every": 0}
    recipe = recipes.resolve(RACERS[family], {"seed": seed, "training": limits})
    trained = api.train(recipe, folder)
    evaluation = api.evaluate(folder, count=clips)
    found = result(evaluation)
    rows = read_metrics(folder / "metrics.jsonl")
    found["accuracy_over_time"] = [
        [row["elapsed"], row["accuracy"]] for row in rows if row.get("accuracy") is not None
    ]
    if family == "flow":
        quick = folder.with_name("distilled")
        distilled = api.distill(folder, quick, minutes=DISTILLING * minutes, seed=seed)
        found["accuracy_by_evaluations"] = by_evaluations(folder, clips)
        found["distilled"] = {
            "seconds": round(distilled.seconds, 1),
            "accuracy_by_evaluations": by_evaluations(quick, clips),
        }
    return {"steps": trained.steps, "seconds": round(trained.seconds, 1), **found}


def by_evaluations(folder: Path, clips: int) -> dict[int, float]:
    """How often its network is asked => the share of the training prompts that are right."""
    found = {}
    for steps in STEPS:
        evaluation = api.evaluate(folder, count=clips, num_inference_steps=steps)
        found[2 * steps - 1] = evaluation.total(seen=True).share
    return found


def result(evaluation: Evaluation) -> dict[str, Any]:
    """Shares and their 95 % intervals, over the training prompts and for every prompt."""
    seen = evaluation.total(seen=True)
    return {
        "training_prompts": seen.share,
        "training_prompts_interval": list(seen.interval),
        "prompts": {score.prompt: score.share for score in evaluation.scores},
        "intervals": {score.prompt: list(score.interval) for score in evaluation.scores},
    }


def race_ddpm(settings: ddpm.Settings, place: Path) -> dict[str, Any]:
    """Train the plain recipe, which is installed in ``place``, and judge its clips likewise."""
    figures, clips = ddpm.run(settings, place)
    judge = judge_of(Source(Config()))
    scores = [judged(prompt, own, prompt in CAPTIONS, judge) for prompt, own in clips.items()]
    return figures | result(Evaluation(scores))


def tell(name: str, found: dict[str, Any]) -> None:
    """One racer's line."""
    unseen = {prompt: f"{found['prompts'][prompt]:.1%}" for prompt in UNSEEN_PROMPTS}
    print(f"{name}: {found['training_prompts']:.1%} verified, unseen {unseen}", flush=True)


def ratio(ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[float, bool]:
    """How many times as often we are right, and whether that is only a lower bound.

    Where the baseline is never right, it is compared at the upper end of its interval.
    """
    if theirs["training_prompts"] > 0:
        return ours["training_prompts"] / theirs["training_prompts"], False
    return ours["training_prompts_interval"][0] / theirs["training_prompts_interval"][1], True


def ratios(models: dict[str, Any], baseline: str) -> dict[str, Any]:
    """Each of our families beside a baseline."""
    found = {}
    for name in ("flow", "gan"):
        times, at_least = ratio(models[name], models[baseline])
        found[name] = {"times": times, "is_lower_bound": at_least}
        bound = "at least " * at_least
        print(f"ratio: {name} {bound}{times:.1f} times as often as {BASELINES[baseline]}")
    return found


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--clips", type=int, default=64, help="clips judged a prompt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    about = "race a 3D U-Net DDPM, too, and judge so many of its clips a prompt: they are slow"
    parser.add_argument("--ddpm", type=positive, metavar="CLIPS", help=about)
    about = "steps it learns and samples in (default: 1000)"
    parser.add_argument("--ddpm-timesteps", type=positive, metavar="N", help=about)
    about = "clips it trains on at once (default: 4, or 32 on a GPU, which take some 60 GiB)"
    parser.add_argument("--ddpm-batch", type=positive, metavar="N", help=about)
    asked = parser.parse_args()
    if asked.minutes <= 0:
        parser.error("argument --minutes: more than 0")
    if (asked.ddpm_timesteps or asked.ddpm_batch) and not asked.ddpm:
        parser.error("--ddpm-timesteps and --ddpm-batch mean nothing without --ddpm CLIPS")
    return asked


def positive(text: str) -> int:
    """A number from 1 on."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return int(text)


def main() -> None:
    """Race, print, write."""
    asked = arguments()
    models: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if asked.ddpm:
            place = Path(folder, "packages")
            ddpm.install(place)
            settings = ddpm.Settings(
                minutes=asked.minutes,
                seed=asked.seed,
                clips=asked.ddpm,
                timesteps=asked.ddpm_timesteps or 1000,
                batch=asked.ddpm_batch or (32 if torch.cuda.is_available() else 4),
            )
            models["ddpm"] = race_ddpm(settings, place)
            tell("ddpm", models["ddpm"])
        for family in RACERS:
            models[family] = race(
                family, asked.minutes, asked.seed, asked.clips, Path(folder, family)
            )
            tell(family, models[family])
    machine = environment()
    told = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{machine['threads']} cores, {machine['processor']}",
        "gpu": machine["gpu"],
        "commit": machine["commit"],
        "torch": machine["torch"],
        "seed": asked.seed,
        "seconds": 60 * asked.minutes,
        "clips_per_prompt": asked.clips,
        "unseen_prompts": list(UNSEEN_PROMPTS),
        "ratios": ratios(models, "tutorial_gan"),
        **({"ratios_to_ddpm": ratios(models, "ddpm")} if asked.ddpm else {}),
        "models": models,
    }
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
