"""AdamW, save that the matrices inside a network step by Muon (Jordan et al. 2024).

The gradient of a matrix has a few directions with most of its length, and many with little. Muon
takes the mean of the last ones and makes all directions nearly as long (its orthogonal factor, by
Newton and Schulz's iteration), so that what is rare is learned as fast as what is frequent. Its
steps are twice as long as Adam's (0.2 learning rates in the root of the mean square, Liu et al.
2025, §2.2), which left a flow over two objects a lower loss. PyTorch has a Muon of its own, which
iterates in bfloat16 alone, and cannot leave out a turn that is not finite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from kineograph.models.base import Phase
from kineograph.training import sharding

_MOMENTUM = 0.95
_ITERATIONS = 5
_FACTORS = (3.4445, -4.7750, 2.0315)  # of x, (xxᵀ)x and (xxᵀ)²x: from Jordan et al.
_LENGTH = 0.4  # root of the mean square of a step, in learning rates


class Muon(torch.optim.AdamW):
    """A phase's optimiser. It heeds ``found_inf`` as PyTorch's fused Adam does: where that is 1,
    all stays as it was. ``precision`` is that of the training, and of the iteration."""

    def __init__(self, phase: Phase, precision: str) -> None:
        super().__init__(
            sharding.groups(phase),
            lr=1.0,
            betas=phase.betas,
            weight_decay=phase.weight_decay,
            fused=True,
        )
        self.matrices = phase.matrices
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.found_inf = torch.zeros((), device=phase.parameters[0].device)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]  # no loss
        """One step from the gradients, which those of matrices lose."""
        ok = 1 - self.found_inf
        learning, meant = [], []
        for matrix in self.matrices:
            if matrix.grad is not None:
                learning.append(matrix)
                meant.append(self._meant(matrix, matrix.grad, ok))
                matrix.grad = None  # then Adam passes over it
        super().step(closure)
        length = self.param_groups[0]["lr"] * ok
        for some in _alike(learning):
            steps = orthogonal(torch.stack([meant[k] for k in some]).to(self.dtype)).float()
            long = -_LENGTH * max(steps.shape[1:]) ** 0.5 * length
            for k, step in zip(some, steps * long, strict=True):
                learning[k].add_(sharding.as_part(step, learning[k]))

    def _meant(self, matrix: nn.Parameter, gradient: Tensor, ok: Tensor) -> Tensor:
        """The mean of its gradients with this one, whole, as Nesterov's momentum has it."""
        state = self.state[matrix]
        mean = state.setdefault("exp_avg", torch.zeros_like(matrix))
        gradient = torch.nan_to_num(gradient, 0.0, 0.0, 0.0)
        sharding.local(mean).lerp_(sharding.local(gradient), (1 - _MOMENTUM) * ok)
        return sharding.whole(gradient.lerp(mean, _MOMENTUM))


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices (N, m, n) => those with the same directions, all of length 0.7 to 1.2."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    first, third, fifth = _FACTORS
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        factor = torch.baddbmm(square, square, square, beta=third, alpha=fifth)
        x = torch.baddbmm(x, factor, x, beta=first)
    return x.mT if tall else x


def _alike(matrices: Iterable[Tensor]) -> list[list[int]]:
    """The numbers of those that have the same shape, shape by shape."""
    found: dict[torch.Size, list[int]] = {}
    for number, matrix in enumerate(matrices):
        found.setdefault(matrix.shape, []).append(number)
    return list(found.values())
