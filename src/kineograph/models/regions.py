"""Clips <=> a few numbers, without learning, for pictures in which everything stands in its place.

A picture is cut into squares. What varies in each over a whole clip is found from the first clips,
and told by the directions in which it varies most: those that tell the most of all squares, so that
one in which nothing happens has none. That takes seconds. And a square of a new picture is seldom
new, as hair of one character over shoes of another is no new hair.

Sources: principal components, Pearson 1901; from products of samples, Sirovich 1987 (snapshots);
pictures as patches, Dosovitskiy et al. 2021 (ViT).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.models.base import VideoShape

_SIDE = 8  # of a square, in pixels: in larger ones there are more pictures to tell apart
_NUMBERS = 2048  # of a clip; sprites come back from them within 27 dB, if they never met before
_NUMBERS_OF_ONE = 256  # of a square
_ROUNDING = 1e-6  # of the largest variance in a square: less is no direction of its own
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
        self.shape, self.columns = shape, shape.width // _SIDE
        regions = shape.height // _SIDE * self.columns
        pixels = shape.num_frames * 3 * _SIDE**2
        self.numbers = min(_NUMBERS, regions * min(pixels, _NUMBERS_OF_ONE))
        self.register_buffer("mean", torch.zeros(regions, pixels))
        self.register_buffer("directions", torch.zeros(self.numbers, pixels))
        self.register_buffer("region", torch.zeros(self.numbers, dtype=torch.int64))
        self.register_buffer("deviation", torch.zeros(self.numbers))
        self.register_buffer("unit", torch.ones(()))
        self.register_buffer("known", torch.zeros((), dtype=torch.bool))

    @torch.no_grad()
    def find(self, clips: Tensor) -> None:
        """Find the directions from some hundred clips."""
        most = min(_NUMBERS_OF_ONE, len(clips), self.mean.shape[1])
        variance = clips.new_zeros(len(self.mean), most)
        directions = clips.new_zeros(len(self.mean), most, self.mean.shape[1])
        with torch.autocast(clips.device.type, enabled=False):
            for region in range(len(self.mean)):
                square = self._square(clips, region)
                self.mean[region] = square.mean(0)
                apart = square - self.mean[region]
                # Of fewer clips than pixels, the products of clips tell the same and are fewer.
                found, among = torch.linalg.eigh(apart @ apart.T / len(clips))
                told = found > _ROUNDING * found[-1]
                variance[region] = (found * told).flip(0)[:most]
                along = F.normalize(among.T @ apart, dim=1) * told[:, None]
                directions[region] = along.flip(0)[:most]
        kept, which = variance.flatten().topk(min(self.numbers, variance.numel()))
        self.directions[: len(kept)] = directions.flatten(0, 1)[which]
        self.region[: len(kept)] = which // most
        self.unit.copy_((kept.sum() / self.numbers).sqrt().clamp(min=1e-6))
        self.deviation[: len(kept)] = kept.sqrt() / self.unit
        self.known.fill_(True)

    @torch.no_grad()
    def read(self, clips: Tensor) -> Tensor:
        """Clips (B, T, 3, H, W) => numbers (B, D)."""
        numbers = clips.new_zeros(len(clips), self.numbers)
        for region, which in self._parts():
            apart = self._square(clips, region) - self.mean[region]
            numbers[:, which] = (apart @ self.directions[which].T).float()
        return numbers / self.unit

    def draw(self, numbers: Tensor) -> Tensor:
        """The inverse: numbers (B, D) => clips (B, T, 3, H, W)."""
        told, of = numbers * self.unit, self.shape
        clips = told.new_empty(told.shape[0], of.num_frames, 3, of.height, of.width)
        for region, which in self._parts():
            drawn = self.mean[region] + (told[:, which] @ self.directions[which]).float()
            square = self._square_of(clips, region)
            square.copy_(drawn.view(square.shape))
        return clips

    def alike(self, numbers: Tensor) -> Tensor:
        """The same (B, D), each in its own deviation: three pixels of eyes as loud as hair."""
        return numbers / (self.deviation.square() + _LEAST).sqrt()

    def _square_of(self, clips: Tensor, region: int) -> Tensor:
        """A part of clips (B, T, 3, H, W): (B, T, 3, side, side)."""
        row, column = region // self.columns * _SIDE, region % self.columns * _SIDE
        return clips[..., row : row + _SIDE, column : column + _SIDE]

    def _square(self, clips: Tensor, region: int) -> Tensor:
        return self._square_of(clips, region).flatten(1)

    def _parts(self) -> list[tuple[int, Tensor]]:
        """Of each square, which numbers are its own."""
        regions = range(len(self.mean))
        return [(region, torch.nonzero(self.region == region)[:, 0]) for region in regions]
