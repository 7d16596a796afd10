"""How fast this machine trains."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kineograph.training.loop import Status


@dataclass(frozen=True)
class Speed:
    """How fast the recipe of the demo trains here, and how fast it did where it is recorded."""

    step: float
    """Seconds of a step."""
    batch_size: int
    """Clips a step."""
    steps: int
    """Of the demo at most."""
    recorded: dict[str, Any] | None
    """The last benchmark's "machine", "date", "steps" and "seconds", where it is at hand."""


def measure_speed(seconds: float) -> Speed | None:
    """Train the recipe of the demo for so many seconds, and forget it.

    None where not one step was done by then.
    """
    import time

    from kineograph.evaluation.report import recorded_speed
    from kineograph.lessons import begin
    from kineograph.recipes import resolve
    from kineograph.training.loop import Hooks, Trainer

    limits = {"minutes": seconds / 60, "evaluate_every": 0, "checkpoint_every": 0}
    trial = resolve("tutorial", {"training": limits})
    begun = begin(trial)
    times: list[float] = []

    def note(status: Status) -> None:
        times.append(time.monotonic())

    with tempfile.TemporaryDirectory(prefix="kineograph-trial-") as folder:
        began = time.monotonic()
        trainer = Trainer(
            begun.model,
            begun.source,
            begun.tokenizer,
            trial.training,
            seed=trial.seed,
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
        step=took / steps,
        batch_size=trial.training.batch_size,
        steps=trial.training.steps,
        recorded=recorded_speed(),
    )
