"""Blocks that families share."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResidualMLP(nn.Module):
    """x + W₂ silu(W₁ silu(x)), which begins as the identity: (..., D) => (..., D)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, features)
        self.second = nn.Linear(features, features)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.second(F.silu(self.first(F.silu(x))))
        return out


def coordinate_features(rows: int, columns: int, octaves: int) -> Tensor:
    """Where each cell of a grid lies: x, y in [-1, 1] and their sines and cosines => (N, D).

    The CoordConv observation (Liu et al. 2018): to put something at a place, a network has to be
    told where it is. Sines from half a period per picture up, ``octaves`` of them.
    """
    y = (torch.arange(rows) + 0.5) / rows * 2 - 1
    x = (torch.arange(columns) + 0.5) / columns * 2 - 1
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2)
    waves = [math.pi / 2 * 2**k * grid for k in range(octaves)]
    return torch.cat([grid, *(f(w) for w in waves for f in (torch.sin, torch.cos))], dim=-1)


def pyramid_loss(difference: Tensor, halvings: int = 2) -> Tensor:
    """Mean square of a difference (B, C, H, W), at full size and after each of some halvings.

    A small object in the wrong place is wrong by the same amount wherever it is, as far as the
    pixels are concerned; only the coarse levels say which way to go. Level s is weighted by
    s²/2, which keeps a point-like error equally loud on all of them.
    """
    loss = difference.square().mean()
    for level in range(1, halvings + 1):
        difference = F.avg_pool2d(difference, 2)
        loss = loss + 0.5 * 4**level * difference.square().mean()
    return loss
