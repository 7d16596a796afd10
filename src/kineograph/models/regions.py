"""Frames <=> codes, region by region, for pictures without things that move on their own.

A picture is cut into squares, and each has a code, an encoder and a decoder of its own, which see
nothing else. So hair of one character over shoes of another is no new picture: both squares have
been seen. Where everything stands in its place (sprites), that is much more exact than one network
for the whole picture, and learns from three times as many frames in the same time.

Source: pictures as patches, Dosovitskiy et al. 2021 (ViT); here the weights are each one's own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.models.base import VideoShape
from kineograph.models.layers import LinearEach
from kineograph.models.objects import Course

Cut = tuple[int, int, int]
"""Rows and columns of regions, and the side of each in pixels."""


def cut(shape: VideoShape, side: int) -> Cut:
    """How a picture is cut; its height and width are multiples of ``side``."""
    return shape.height // side, shape.width // side, side


class Codes:
    """How the numbers of a code (..., D) are laid out: of R regions, row by row, A numbers each."""

    spread = torch.ones(0)
    """The standard deviations of numbers that change as an object moves."""
    measured = 0
    """Numbers that are measured, not learned."""

    def __init__(self, cut: Cut, appearance: int) -> None:
        rows, columns, _ = cut
        regions, self.appearance = rows * columns, appearance
        self.features = regions * appearance
        self.kinds = regions * [(1, appearance)]
        """How many there are of each kind, and of how many numbers: what the numbers of a region
        mean is like no other's."""
        self.courses = [Course(region) for region in range(regions)]

    def settle(self, codes: Tensor) -> Tensor:
        """The nearest that could be a code: each region's normalised."""
        each = codes.float().view(*codes.shape[:-1], -1, self.appearance)
        return F.layer_norm(each, each.shape[-1:]).flatten(-2)

    def followed(self, codes: Tensor) -> Tensor:
        """Codes (B, T, D) of single frames => those of clips: the same."""
        return codes


def _network(regions: int, inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        LinearEach(regions, inputs, width),
        nn.SiLU(),
        LinearEach(regions, width, width),
        nn.SiLU(),
        LinearEach(regions, width, outputs),
    )


class FrameEncoder(nn.Module):
    """Frames (N, 3, H, W) => codes (N, D)."""

    def __init__(self, cut: Cut, codes: Codes, width: int) -> None:
        super().__init__()
        self.cut, self.codes = cut, codes
        rows, columns, side = cut
        self.network = _network(rows * columns, 3 * side**2, width, codes.appearance)

    def forward(self, frames: Tensor) -> Tensor:
        rows, columns, side = self.cut
        x = frames.view(len(frames), 3, rows, side, columns, side).permute(2, 4, 0, 1, 3, 5)
        seen = self.network(x.reshape(rows * columns, len(frames), -1))
        return self.codes.settle(seen.transpose(0, 1).flatten(1))


class FrameDecoder(nn.Module):
    """Codes (N, D) => frames (N, 3, H, W)."""

    def __init__(self, cut: Cut, codes: Codes, width: int) -> None:
        super().__init__()
        self.cut, self.codes = cut, codes
        rows, columns, side = cut
        self.network = _network(rows * columns, codes.appearance, width, 3 * side**2)

    def forward(self, codes: Tensor) -> Tensor:
        rows, columns, side = self.cut
        each = codes.view(len(codes), rows * columns, -1)
        drawn = self.network(each.transpose(0, 1))
        x = drawn.view(rows, columns, len(codes), 3, side, side).permute(2, 3, 0, 4, 1, 5)
        frames: Tensor = x.reshape(len(codes), 3, rows * side, columns * side).float()
        return frames
