"""An exponential moving average of the weights, which is what generates."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


class EMA(Generic[M]):
    """A second model that follows the first: w̄ ← β w̄ + (1 − β) w.

    β grows from 0 with the first steps, so the average never remembers the random start
    (β = min(decay, (1 + n) / (10 + n))).
    """

    def __init__(self, model: M, decay: float) -> None:
        self.model: M = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Follow ``model`` after step ``step``, counted from 0."""
        keep = min(self.decay, (1 + step) / (10 + step))
        mine: list[Tensor] = [*self.model.parameters()]
        theirs: list[Tensor] = [*model.parameters()]
        torch._foreach_lerp_(mine, theirs, 1 - keep)
        for average, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            average.copy_(buffer)
