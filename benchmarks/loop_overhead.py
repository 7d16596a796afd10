"""What does it cost that a training can be trusted? Its step beside that of a bare loop.

    python benchmarks/loop_overhead.py [--batch 256] [--steps 60] [--device cuda]

Both learn from the same clips, in the same phases, with the same optimisers and the same average of
the weights. The bare loop takes no snapshot to go back to, looks for no number that is not finite,
logs nothing, and writes no checkpoint. The two take turns, step by step, in one run. A checkpoint
is timed apart, until it is on the disk, though a training goes on meanwhile; as many of its
milliseconds count for a step as the recipe's ``checkpoint_every`` says. Told beside it is how long
a step waits for its clips. Prints the ratio of the whole and writes
``benchmarks/results/loop_overhead.json``.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

from kineograph import recipes
from kineograph.lessons import begin
from kineograph.models.base import TensorBatch, to_model
from kineograph.recipes import Recipe
from kineograph.training import schedules
from kineograph.training.ema import EMA
from kineograph.training.environment import environment
from kineograph.training.loop import Hooks, Status, Trainer
from kineograph.training.muon import Muon
from kineograph.training.resume import Saver
from kineograph.training.trial import Stretch, stretches_of

RESULTS = Path(__file__).resolve().parent / "results" / "loop_overhead.json"
RECIPES = ("tutorial", "tutorial-gan")
WARM_UP = 2  # steps of each stretch that do not count


class Bare:
    """The steps of a training, and nothing else."""

    def __init__(self, trainer: Trainer) -> None:
        self.config, self.device = trainer.config, trainer.device
        self.feed = copy.copy(trainer.feed)
        self.waited: list[float] = []
        """Seconds for the clips of each step."""
        self.model = copy.deepcopy(trainer.model)
        self.ema = EMA(self.model, self.config.ema)
        self.optimizers = {
            phase.name: Muon(phase, self.config.precision) for phase in self.model.phases
        }

    def step(self, index: int, progress: float) -> None:
        """One step, counted from 0."""
        came = time.perf_counter()
        frames, tokens = self.feed.at(index)
        self.waited.append(time.perf_counter() - came)
        batch = TensorBatch(to_model(frames, self.device), tokens.to(self.device), progress)
        for phase in self.model.phases:
            if not phase.start <= progress <= phase.stop:
                continue
            done = (progress - phase.start) / (phase.stop - phase.start)
            rate = schedules.learning_rate(done, self.config.warmup, self.config.cooldown)
            optimizer = self.optimizers[phase.name]
            for group in optimizer.param_groups:
                group["lr"] = self.config.learning_rate * phase.learning_rate * rate
            self.model.requires_grad_(False)
            for parameter in phase.parameters:
                parameter.requires_grad_(True)
                parameter.grad = None
            bf16 = self.config.precision == "bf16"
            with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
                losses = phase.losses(batch)
            losses["total"].backward()
            if self.config.gradient_clip:
                torch.nn.utils.clip_grad_norm_(phase.parameters, self.config.gradient_clip)
            optimizer.step()
        self.ema.update(self.model, index)
        if self.device.type == "cuda":
            torch.cuda.synchronize()


class Race:
    """Lets the bare loop take a step after each of a trainer's, and keeps the time of both."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        begun = begin(recipe)
        self.trainer = Trainer(
            begun.model,
            begun.source,
            begun.tokenizer,
            recipe.training,
            seed=recipe.seed,
            folder=folder,
            hooks=Hooks(progress=self._take_turns),
        )
        self.bare = Bare(self.trainer)
        self.stretches = stretches_of(self.trainer.model.phases)
        self.seconds: dict[Stretch, list[tuple[float, float]]] = defaultdict(list)
        """Of the steps of a stretch: the trainer's and the bare one's."""
        self._left = time.perf_counter()

    def run(self) -> None:
        """All steps."""
        self.trainer.run()

    def _take_turns(self, status: Status) -> None:
        came = time.perf_counter()
        index = status.step - 1
        progress = index / status.steps
        self.bare.step(index, progress)
        last, self._left = self._left, time.perf_counter()
        stretch = next(s for s in self.stretches if progress < s.stop)
        self.seconds[stretch].append((came - last, self._left - came))

    def checkpoint_seconds(self, folder: Path) -> float:
        """Of a checkpoint, with the look for what is not finite, until it is on the disk."""
        times = []
        with Saver(folder, 1) as saver:
            for step in range(3):
                started = time.perf_counter()
                self.trainer.state.not_finite()
                saver.save(step, self.trainer.state.snapshot(), {}, -1)
                saver.wait()
                times.append(time.perf_counter() - started)
        return statistics.median(times)


def measure(name: str, training: dict[str, Any]) -> dict[str, Any]:
    """What the steps of a recipe take, and the ratio of the trainer's to the bare ones."""
    every = recipes.resolve(name).training.checkpoint_every
    quiet = {"evaluate_every": 0, "checkpoint_every": 0}
    recipe = recipes.resolve(name, {"training": training | quiet})
    with tempfile.TemporaryDirectory() as folder:
        race = Race(recipe, Path(folder))
        race.run()
        checkpoint = race.checkpoint_seconds(Path(folder, "apart"))
    trusted = bare = 0.0
    told = []
    for stretch, seconds in race.seconds.items():
        pairs = seconds[WARM_UP:] or seconds
        ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
        share = stretch.stop - stretch.start
        trusted, bare = trusted + share * ours, bare + share * theirs
        told.append(
            {
                "phases": stretch.phases,
                "share": share,
                "steps": len(pairs),
                "ms": ours * 1e3,
                "bare_ms": theirs * 1e3,
                "ratio": statistics.median(mine / other for mine, other in pairs),
            }
        )
    return {
        "stretches": told,
        "feed_ms": statistics.median(race.bare.waited) * 1e3,
        "checkpoint_ms": checkpoint * 1e3,
        "checkpoint_every": every,
        "step_ratio": trusted / bare,
        "ratio": (trusted + checkpoint / every) / bare,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=256, help="clips a step")
    parser.add_argument("--steps", type=int, default=60, help="of each recipe")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    training = {"batch_size": asked.batch, "steps": asked.steps, "device": asked.device}
    found = {}
    for name in RECIPES:
        found[name] = measure(name, training)
        for told in found[name]["stretches"]:
            print(
                f"{name}, {' and '.join(told['phases'])}: {told['ms']:.1f} ms a step, "
                f"{told['bare_ms']:.1f} ms bare, ratio {told['ratio']:.3f}"
            )
        print(
            f"{name}: ratio {found[name]['ratio']:.3f}, with {found[name]['checkpoint_ms']:.0f} ms "
            f"for a checkpoint every {found[name]['checkpoint_every']} steps; "
            f"{found[name]['feed_ms']:.0f} ms of a step for its clips"
        )
    told = {"environment": environment(), "batch": asked.batch, "recipes": found}
    asked.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
