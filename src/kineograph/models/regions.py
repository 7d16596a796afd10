"""Clips <=> a few numbers, without learning, for pictures in which everything stands in its place.

A picture is cut into squares. What varies in each over a whole clip is found from the first clips,
and told by the directions in which it varies most: those that tell the most of all squares, so that
one in which nothing happens has none. That takes seconds. And a square of a new picture is seldom
new, as hair of one character over shoes of another is no new hair.

Sources: principal components, Pearson 1901; found in parts by chance, Halko et al. 2011; pictures
as patches, Dosovitskiy et al. 2021 (ViT).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kineograph.models.base import VideoShape

_SIDE = 8  # of a square, in pixels: in larger ones there are more pictures to tell apart
_NUMBERS = 2048  # of a clip; sprites come back from them within 27 dB, if they never met before
_NUMBERS_OF_ONE = 256  # of a square
_LEAST = 1e-3  # of the mean variance of a number: what is added before one is made to vary by 1


class Regions(nn.Module):
    """What varies in squares of clips (B, T, 3, H, W) <=> numbers (B, D), which vary by 1 on
    average. Before ``find`` there are none."""

    mean: Tensor
    directions: Tensor
    region: Tensor
    deviation: Tensor
    unit: Tensor
    known: Tensor

    def __init__(self, shape: VideoShape) -> None:
        super().__init__()
        self.rows, self.columns = shape.height // _SIDE, shape.width // _SIDE
        regions, pixels = self.rows * self.columns, shape.num_frames * 3 * _SIDE**2
        self.numbers = min(_NUMBERS, regions * min(pixels, _NUMBERS_OF_ONE))
        self.register_buffer("mean", torch.zeros(regions, 1, pixels))
        self.register_buffer("directions", torch.zeros(self.numbers, pixels))
        self.register_buffer("region", torch.zeros(self.numbers, dtype=torch.int64))
        self.register_buffer("deviation", torch.zeros(self.numbers))
        self.register_buffer("unit", torch.ones(()))
        self.register_buffer("known", torch.zeros((), dtype=torch.bool))

    @torch.no_grad()
    def find(self, clips: Tensor) -> None:
        """Find the directions from some hundred clips."""
        squares = self._cut(clips)
        self.mean.copy_(squares.mean(1, keepdim=True))
        apart = squares - self.mean
        most = min(_NUMBERS_OF_ONE, *apart.shape[1:])
        variance = apart.new_zeros(len(apart), most)
        directions = apart.new_zeros(len(apart), most, apart.shape[2])
        with torch.autocast(clips.device.type, enabled=False):
            for region in torch.nonzero(apart.abs().amax((1, 2)))[:, 0].tolist():
                _, found, along = torch.svd_lowrank(apart[region], q=most)
                variance[region] = found.square() / apart.shape[1]
                directions[region] = along.T
        kept, which = variance.flatten().topk(min(self.numbers, variance.numel()))
        self.directions[: len(kept)] = directions.flatten(0, 1)[which]
        self.region[: len(kept)] = which // most
        self.unit.copy_((kept.sum() / self.numbers).sqrt().clamp(min=1e-6))
        self.deviation[: len(kept)] = kept.sqrt() / self.unit
        self.known.fill_(True)

    @torch.no_grad()
    def read(self, clips: Tensor) -> Tensor:
        """Clips (B, T, 3, H, W) => numbers (B, D)."""
        apart = self._cut(clips) - self.mean
        numbers = apart.new_zeros(len(clips), self.numbers)
        for region, which in self._parts():
            numbers[:, which] = (apart[region] @ self.directions[which].T).float()
        return numbers / self.unit

    def draw(self, numbers: Tensor) -> Tensor:
        """The inverse: numbers (B, D) => clips (B, T, 3, H, W)."""
        told = numbers.float() * self.unit
        drawn = self.mean.repeat(1, len(numbers), 1)
        for region, which in self._parts():
            drawn[region] += (told[:, which] @ self.directions[which]).float()
        x = drawn.view(self.rows, self.columns, len(numbers), -1, 3, _SIDE, _SIDE)
        return x.permute(2, 3, 4, 0, 5, 1, 6).flatten(5).flatten(3, 4)

    def alike(self, numbers: Tensor) -> Tensor:
        """The same (B, D), each in its own deviation: three pixels of eyes as loud as hair."""
        return numbers / (self.deviation.square() + _LEAST).sqrt()

    def _cut(self, clips: Tensor) -> Tensor:
        """Clips (B, T, 3, H, W) => squares (R, B, pixels), row by row."""
        count, frames = clips.shape[:2]
        x = clips.view(count, frames, 3, self.rows, _SIDE, self.columns, _SIDE)
        return x.permute(3, 5, 0, 1, 2, 4, 6).reshape(self.rows * self.columns, count, -1)

    def _parts(self) -> list[tuple[int, Tensor]]:
        """For each square that has any, which numbers are its own."""
        which = [torch.nonzero(self.region == region)[:, 0] for region in range(len(self.mean))]
        return [(region, own) for region, own in enumerate(which) if len(own)]
