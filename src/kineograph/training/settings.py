"""What can be set about a training, whatever the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainingConfig:
    """How long, how fast, how often."""

    steps: int = 4000
    """Steps of every phase; fewer if ``minutes`` or ``stop_at`` ends it first."""
    minutes: float | None = None
    """Time limit of the training; the schedules end with it."""
    stop_at: float | None = None
    """End at this verified accuracy over the training captions, 0 to 1."""
    batch_size: int = 128
    """Clips a step."""
    learning_rate: float = 1e-3
    """Peak learning rate; a model's phases may scale it."""
    warmup: float = 0.01
    """Share of the training in which the learning rate rises to its peak."""
    cooldown: float = 0.5
    """Share of the training, at its end, in which the learning rate falls to nothing."""
    gradient_clip: float = 1.0
    """Largest norm of a phase's gradient; 0 does not clip."""
    ema: float = 0.05
    """Share of the training so far over which the weights that generate are averaged; 0 takes the
    last ones."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Of matrix products and convolutions (autocast); auto is the faster one on this device."""
    device: str = "auto"
    """cpu, cuda, or auto: cuda where there is one."""
    checkpoint_every: int = 500
    """Steps between checkpoints; 0 writes one at the end only."""
    keep_checkpoints: int = 3
    """Checkpoints kept, the newest ones."""
    evaluate_every: int = 100
    """Steps between live verifications of a few clips a caption, with a sheet; 0 never."""
