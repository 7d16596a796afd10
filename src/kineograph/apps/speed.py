"""How fast this machine trains."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kineograph.training.loop import Status

TRIAL_BATCH = 64
"""Clips a step of the trial: a quarter of the demo's, so that many steps fit into it."""


@dataclass(frozen=True)
class Speed:
    """How fast the recipe of the demo trains here, and how fast it was where it is recorded."""

    clips_per_second: float
    batch_size: int
    """Of the demo."""
    steps: int
    """Of the demo at most."""
    recorded: dict[str, Any] | None
    """The last benchmark's "machine", "date", "steps" and "seconds", where it is at hand."""

    @property
    def recorded_clips_per_second(self) -> float | None:
        """Of the machine of the benchmark."""
        if self.recorded is None:
            return None
        return float(self.recorded["steps"] * self.batch_size / self.recorded["seconds"])

    def seconds(self, steps: int) -> float:
        """What so many steps of the demo take here, about."""
        return steps * self.batch_size / self.clips_per_second


def measure_speed(seconds: float) -> Speed | None:
    """Train the recipe of the demo for so many seconds, with few clips a step, and forget it.

    None where not one step was done by then.
    """
    import time

    import torch

    from kineograph.data.sources.tutorial import Source
    from kineograph.evaluation.report import recorded_speed
    from kineograph.models import checkpoint
    from kineograph.models.base import VideoShape
    from kineograph.recipes import resolve
    from kineograph.text.tokenizer import CaptionTokenizer
    from kineograph.training.loop import Hooks, Trainer

    demo = resolve("tutorial")
    limits = {"minutes": seconds / 60, "batch_size": TRIAL_BATCH, "evaluate_every": 0}
    trial = resolve("tutorial", {"training": limits | {"steps": 10**6, "checkpoint_every": 0}})
    source = Source(trial.data)
    shape = VideoShape(*source.clip(0, 0).frames.shape[:3])
    tokenizer = CaptionTokenizer.train(source.captions)
    torch.manual_seed(0)
    model = checkpoint.make(trial.family, trial.model, shape, tokenizer.vocabulary_size)
    times: list[float] = []

    def note(status: Status) -> None:
        times.append(time.monotonic())

    with tempfile.TemporaryDirectory(prefix="kineograph-trial-") as folder:
        began = time.monotonic()
        trainer = Trainer(
            model,
            source,
            tokenizer,
            trial.training,
            seed=0,
            folder=Path(folder),
            hooks=Hooks(progress=note),
        )
        if trainer.run() == "interrupted":
            raise KeyboardInterrupt
    if not times:
        return None
    # The first step takes longer than all others; where there is no other, it is better than none.
    took, steps = (times[-1] - times[0], len(times) - 1) if times[1:] else (times[0] - began, 1)
    return Speed(
        clips_per_second=steps * TRIAL_BATCH / max(took, 1e-9),
        batch_size=demo.training.batch_size,
        steps=demo.training.steps,
        recorded=recorded_speed(),
    )
