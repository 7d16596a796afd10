"""Blocks that families share."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LinearEach(nn.Module):
    """A linear map of its own for each of R: (R, N, I) => (R, N, O)."""

    def __init__(self, count: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(count, inputs, outputs) / math.sqrt(inputs))
        self.bias = nn.Parameter(torch.zeros(count, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x @ self.weight + self.bias
        return out


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


def attention(looking: Tensor, heads: int, hidden: Tensor) -> Tensor:
    """Queries, keys and values (B, N, 3·D) => what each of N sees in the others (B, N, D).

    ``hidden`` (N, N) says which others it does not look at.

    Spelled out, since there are a handful: PyTorch's own takes six times as long for 12, forward
    and backward, on a processor (``scaled_dot_product_attention``, 2.13).
    """
    parts = looking.view(*looking.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
    query, key, value = parts.unbind(0)
    likeness = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
    seen: Tensor = likeness.masked_fill(hidden, -math.inf).softmax(-1) @ value
    return seen.transpose(1, 2).flatten(2)
