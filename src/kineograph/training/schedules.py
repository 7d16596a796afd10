"""What changes with the progress of a training, from 0 to 1."""

from __future__ import annotations

import math


def learning_rate(progress: float, warmup: float, cooldown: float) -> float:
    """Share of the peak rate: a linear rise, a plateau, and half a cosine down to nothing."""
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    left = (1 - progress) / cooldown if cooldown else 1.0
    return 0.5 * (1 - math.cos(math.pi * min(max(left, 0.0), 1.0)))
