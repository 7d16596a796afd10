"""What a clip is, what may be known of it, and what every source promises."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kineograph.core.conventions import DEFAULT_FPS, RGB
from kineograph.data.grammar import Motion


@dataclass(frozen=True)
class ObjectFacts:
    """What is true of one object in every frame.

    ``position`` is its centre, (T, 2) pixels, x then y; ``size`` its diameter, (T,) pixels.
    An object may lie partly or wholly outside the picture.
    """

    shape: str
    color: RGB
    motion: Motion
    position: np.ndarray
    size: np.ndarray


@dataclass(frozen=True)
class Facts:
    """What is true of every frame of a clip."""

    objects: tuple[ObjectFacts, ...]
    background: RGB


@dataclass(frozen=True)
class Clip:
    """A video with its caption.

    ``frames`` is (T, H, W, 3) uint8 RGB; ``facts`` is None where nobody knows them.
    """

    frames: np.ndarray
    caption: str
    facts: Facts | None = None
    fps: float = DEFAULT_FPS

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[3] != 3 or self.frames.dtype != np.uint8:
            raise ValueError(
                "Clip.frames must be uint8 of shape (T, H, W, 3), "
                f"not {self.frames.dtype} of shape {self.frames.shape}"
            )

    def _repr_html_(self) -> str:
        """In a notebook a clip shows itself, playing."""
        from html import escape

        from kineograph.data.video_io import animation_bytes

        scale = max(1, 256 // self.frames.shape[2])
        data = base64.b64encode(animation_bytes(self, "webp", scale=scale)).decode()
        width = self.frames.shape[2] * scale
        return (
            f'<figure style="margin:0"><img alt="{escape(self.caption, quote=True)}" '
            f'width="{width}" style="image-rendering:pixelated" src="data:image/webp;base64,{data}">'
            f"<figcaption>{escape(self.caption)}</figcaption></figure>"
        )


@dataclass(frozen=True)
class Batch:
    """Several clips of one size. ``frames`` is (B, T, H, W, 3) uint8."""

    frames: np.ndarray
    captions: list[str]
    facts: list[Facts | None]


class Source(Protocol):
    """Where clips come from. A file in ``data/sources`` holds one, named ``Source``, and its ``Config``.

    Both methods are pure functions of index and seed.
    """

    def __len__(self) -> int: ...

    @property
    def captions(self) -> Sequence[str]:
        """Every caption (or, where there are very many, a sample that spells every word)."""
        ...

    def clip(self, index: int, seed: int) -> Clip: ...

    def batch(self, indices: np.ndarray, seed: int) -> Batch: ...
