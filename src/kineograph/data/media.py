"""What all readers and writers of videos share: what a video is, its limits, what is told of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from PIL import Image

from kineograph.core.conventions import RGB, WHITE
from kineograph.core.errors import RequestError
from kineograph.data.clip import Clip

Tags = Mapping[str, str]
"""What is told of a clip beside its pixels: prompt, seed, model, version."""

MAX_SIDE = 8192
"""Pixels; a wider or higher picture is refused, read or written."""
MAX_FRAMES = 100_000
"""More frames than this are refused: an hour at 27 frames/s."""
MAX_BYTES = 2 * 1024**3
"""What the frames of one video may take when decoded: 25 s of 1280×720 at 30 fps."""


@dataclass(frozen=True)
class Video:
    """A decoded file: ``frames`` (T, H, W, 3) uint8 RGB, T >= 1; metadata keys in lower case."""

    frames: np.ndarray
    fps: float
    metadata: dict[str, str]


@dataclass(frozen=True)
class Limits:
    """What is refused, and on which colour transparency lies."""

    max_side: int = MAX_SIDE
    max_frames: int = MAX_FRAMES
    background: RGB = WHITE


@dataclass(frozen=True)
class Timed:
    """A frame as a file has it: when it appears, how long it stays, and its pixels on demand."""

    time: float
    """Seconds from the file's first frame."""
    lasts: float
    """Seconds."""
    pixels: Callable[[], np.ndarray]
    """=> (H, W, 3) uint8 RGB, upright. Costs time, so frames that nobody needs are not asked."""
    stretch: float = 1.0
    """How much wider than high a pixel is shown; not 1 with old camcorders and discs."""


@dataclass(frozen=True)
class Opened:
    """A file that is open: what it says of itself, and its frames, which can be read once."""

    width: int
    height: int
    num_frames: int
    """As declared; 0 where the file does not say."""
    fps: float | None
    """Frames a second; None for animated pictures, where each frame says how long it stays."""
    metadata: dict[str, str]
    """Complete once the frames have been read."""
    frames: Iterator[Timed]


# ---- what is refused ---------------------------------------------------------------------------


def check_side(name: str, width: int, height: int, limits: Limits) -> None:
    """Refuse too large a picture by the size that a file declares, before it is decoded."""
    if max(width, height) > limits.max_side:
        raise RequestError(
            f"{name} is {width}×{height} pixels, {limits.max_side} a side at most.",
            "Scale it down first.",
        )


def check_length(name: str, width: int, height: int, num_frames: int, most: int) -> None:
    """Refuse what would fill the memory, before it does."""
    if num_frames > most or num_frames * width * height * 3 > MAX_BYTES:
        raise RequestError(
            f"{name} is too long: {num_frames} or more frames of {width}×{height}.",
            "Cut it into pieces or scale it down first.",
        )


def damaged(name: str, why: str, error: BaseException | None = None) -> NoReturn:
    """Raise the error for a file that cannot be decoded."""
    raise RequestError(
        f"{name} is damaged or no video ({why}).", "Copy it again or convert it to MP4."
    ) from error


def check_writable(clip: Clip, scale: int) -> tuple[int, int]:
    """Height and width as written; RequestError for what no format can hold."""
    height, width = clip.frames.shape[1] * scale, clip.frames.shape[2] * scale
    if not len(clip.frames) or not 0.1 <= clip.fps <= 1000:
        raise RequestError(
            f"{len(clip.frames)} frames at {clip.fps:g} frames/s cannot be written.",
            "A video needs at least 1 frame and 0.1 to 1000 frames/s.",
        )
    if scale < 1 or not 1 <= min(height, width) <= max(height, width) <= MAX_SIDE:
        raise RequestError(
            f"At scale {scale} the video would be {width}×{height} pixels.",
            f"Choose a whole scale that keeps both sides between 1 and {MAX_SIDE}.",
        )
    return height, width


# ---- pixels and words --------------------------------------------------------------------------


def enlarged(pixels: np.ndarray, scale: int) -> np.ndarray:
    """(H, W, ...) => (H·scale, W·scale, ...), each pixel a square."""
    return pixels.repeat(scale, axis=1).repeat(scale, axis=0)  # whole rows last: faster


def composited(picture: Image.Image, background: RGB) -> np.ndarray:
    """A picture of any mode => (H, W, 3) uint8; what is transparent shows a plain background."""
    if picture.mode in ("RGB", "L", "1"):
        return np.asarray(picture.convert("RGB"))
    rgba = picture.convert("RGBA")
    ground = Image.new("RGB", picture.size, background)
    ground.paste(rgba, mask=rgba)
    return np.asarray(ground)


def file_tags(clip: Clip, metadata: Tags | None) -> dict[str, str]:
    """What is written into a file: ``metadata``, and a title and comment for other programs."""
    tags = {
        re.sub(r"[^a-z0-9_]+", "_", key.lower()): _printable(str(value))
        for key, value in (metadata or {}).items()
    }
    summary = "; ".join(f"{key}: {value}" for key, value in tags.items())
    named = {"title": _printable(clip.caption), "comment": summary} | tags
    return {key: value for key, value in named.items() if value}


def _printable(text: str) -> str:
    """Without what some format or XML cannot hold: control characters, lone surrogates."""
    text = text.replace("\r\n", "\n").encode("utf-8", "replace").decode()
    return re.sub(r"[^\t\n\x20-\x7e\xa0-\ufffd\U00010000-\U0010ffff]", " ", text)
