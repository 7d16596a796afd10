"""Which frames of a long clip make a short one, by the names that other trainers use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FrameExtraction = Literal["head", "uniform", "random", "chunks"]


@dataclass(frozen=True)
class Extraction:
    """``num_frames`` frames, every ``stride``-th, from where ``how`` says.

    head: from the beginning. random: from a place that index and seed decide. chunks: piece after
    piece, each a clip of its own, without the rest at the end. uniform: evenly spread over the
    whole, first and last included, so that a longer clip plays faster.
    """

    num_frames: int
    stride: int
    how: FrameExtraction

    @property
    def span(self) -> int:
        """Frames from the first to the last of a piece."""
        return (self.num_frames - 1) * self.stride + 1

    def pieces(self, length: int) -> int:
        """How many clips come out of one of ``length`` frames; 0 where it is too short."""
        if length < self.span:
            return 0
        if self.how != "chunks":
            return 1
        return 1 + (length - self.span) // (self.num_frames * self.stride)

    def frames(self, length: int, piece: int, u: float) -> slice | list[int]:
        """The frames of a piece, out of ``length``; ``u`` in [0, 1) is what random goes by."""
        if self.how == "uniform":
            last, gaps = (length - 1) // self.stride, max(self.num_frames - 1, 1)
            return [
                self.stride * ((2 * k * last + gaps) // (2 * gaps)) for k in range(self.num_frames)
            ]
        start = 0
        if self.how == "chunks":
            start = piece * self.num_frames * self.stride
        elif self.how == "random":
            start = int(u * (length - self.span + 1))
        return slice(start, start + self.span, self.stride)

    def fps(self, length: int, fps: float) -> float:
        """The speed at which a piece shows what a clip of ``fps`` frames a second showed."""
        if self.how == "uniform" and self.num_frames > 1:
            last = self.stride * ((length - 1) // self.stride)
            return fps * (self.num_frames - 1) / last
        return fps / self.stride
