"""An exponential moving average of the weights, which is what generates."""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from kineograph.training.sharding import local

M = TypeVar("M", bound=nn.Module)


class EMA(Generic[M]):
    """A second model that follows the first: w̄ ← β w̄ + (1 − β) w, with β = (1 − 1/n)^(γ + 1).

    n counts the steps, so the average reaches back over the same share of the training at any
    moment, and soon forgets its start (Karras et al. 2024, eq. 123 and 126). ``width`` is that
    share, the standard deviation of what is averaged; 0 follows at once.
    """

    def __init__(self, model: M, width: float) -> None:
        self.model: M = copy.deepcopy(model).eval().requires_grad_(False)
        self.power = _power(width) if width else math.inf

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Follow ``model`` after step ``step``, counted from 0."""
        keep = (step / (1 + step)) ** self.power
        mine: list[Tensor] = [local(each) for each in self.model.parameters()]
        theirs: list[Tensor] = [local(each) for each in model.parameters()]
        torch._foreach_lerp_(mine, theirs, 1 - keep)
        for average, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            average.copy_(buffer)


def _power(width: float) -> float:
    """γ + 1, where width² = (γ + 1) / ((γ + 2)² (γ + 3))."""
    cubic = [1.0, 7.0, 16.0 - width**-2, 12.0 - width**-2]
    return float(np.roots(cubic).real.max()) + 1
