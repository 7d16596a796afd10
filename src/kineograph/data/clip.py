"""What a clip is, what may be known of it, and what every source promises."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What the caption says, fact by fact: {"shape": "star", "motion": "moving left", ...}.

    Splits and scores go by these; a fact that the caption leaves out is not in it.
    """


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        """Without its thousands of pixels."""
        frames, height, width, _ = self.frames.shape
        return f"Clip({self.caption!r}, {frames} frames of {width}×{height} at {self.fps:g}/s)"

    def _repr_html_(self) -> str:
        """In a notebook a clip shows itself, playing: small ones as WebP, large ones as MP4."""
        from html import escape

        from kineograph.data.video_io import animation_bytes, video_bytes

        num_frames, height, width, _ = self.frames.shape
        caption = escape(self.caption)
        if not self.frames.size:
            return f"<p>A clip without frames: {caption}</p>"
        length = f"{num_frames} frames, {self.fps:g} frames/s"
        what = escape(f"Video: {self.caption} ({length})", quote=True)
        scale = max(1, 256 // max(height, width))
        edges = "pixelated" if scale > 1 else "auto"
        look = f'width="{width * scale}" style="max-width:100%;image-rendering:{edges}"'
        if self.frames.size <= 30_000_000 and self.fps <= 90:  # a notebook keeps what it shows
            data = base64.b64encode(animation_bytes(self, "webp", scale=scale)).decode()
            player = f'<img alt="{what}" {look} src="data:image/webp;base64,{data}">'
        else:
            data = base64.b64encode(video_bytes(self, "mp4", scale=scale)).decode()
            source = f'src="data:video/mp4;base64,{data}"'
            player = (
                f'<video aria-label="{what}" {look} autoplay loop muted controls {source}></video>'
            )
        return (
            f'<figure style="margin:0;display:inline-block">{player}<figcaption>{caption}<br>'
            f'<small style="opacity:.65">{width}×{height}, {length}</small></figcaption></figure>'
        )


@dataclass(frozen=True)
class Batch:
    """Several clips of one size. ``frames`` is (B, T, H, W, 3) uint8."""

    frames: np.ndarray
    captions: list[str]
    facts: list[Facts | None]


class Source(Protocol):
    """Where clips come from. A file in ``data/sources`` holds one ``Source`` and its ``Config``.

    Both methods are pure functions of index and seed. A source may also have ``notes``, a dict of
    what its user should know of what was found and done: {"walk": "9 frames, looped"}.
    """

    def __len__(self) -> int: ...

    @property
    def captions(self) -> Sequence[str]:
        """Every caption (or, where there are very many, a sample that spells every word)."""
        ...

    def clip(self, index: int, seed: int) -> Clip:
        """Clip ``index`` of ``seed``."""
        ...

    def batch(self, indices: np.ndarray, seed: int) -> Batch:
        """Clips ``indices`` (B,) of ``seed``, the same as one by one."""
        ...
