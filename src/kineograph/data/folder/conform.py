"""A clip as its file has it => frames of one size at one speed.

Retiming goes by the clock, not by counting: output frame k is what the clip shows at k/fps
seconds, whatever its own rate and however that varies. So 30 frames/s become 10 by taking the
nearest of three, 24 become 10 evenly, and a picture that stood still for a second is repeated.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np
from PIL import Image

from kineograph.core.conventions import DEFAULT_FPS, RGB
from kineograph.core.errors import RequestError
from kineograph.core.files import translate_os_errors
from kineograph.data.animation import steady
from kineograph.data.folder.entry import Entry, Member, Row
from kineograph.data.folder.sheet_rows import cut
from kineograph.data.folder.tar_shards import Window
from kineograph.data.media import (
    MAX_FRAMES,
    Limits,
    Opened,
    Timed,
    check_length,
    check_side,
    composited,
)
from kineograph.data.video_io import open_file, open_video, translate_damage

MAX_CLIP_SIDE = 4096
"""Pixels; a larger clip (8K) is refused by the size it declares, before it is decoded."""

FRAME = re.compile(r"frame_(\d{1,9})\.(png|jpe?g|webp|bmp)", re.IGNORECASE)
"""The name of a picture in a folder of frames."""

_STILLS = ("PNG", "JPEG", "WEBP", "BMP")
Resize = Literal["crop", "letterbox"]

_EARLY = 0.45
"""How early a frame may be shown, in frames: its predecessor's or the output's, the shorter.

Times in files are rounded, so a frame that is due at this very moment may seem to be a little
late. No ratio of usual speeds has a moment so near to a frame's that rounding would decide.
"""


@dataclass(frozen=True)
class Form:
    """What every clip is brought to."""

    height: int
    width: int
    fps: float | None
    """Frames a second; None keeps each clip's own."""
    resize: Resize
    background: RGB


@dataclass(frozen=True)
class Conformed:
    """A clip in the wanted form, all of it, and what it was before."""

    frames: np.ndarray
    """(N, H, W, 3) uint8."""
    fps: float
    original_frames: int
    original_width: int
    original_height: int
    original_seconds: float
    retimed: bool
    """Frames were left out or repeated."""
    resized: bool


def conform(entry: Entry, form: Form) -> Conformed:
    """Decode one clip and bring it to its form. Raises RequestError where that cannot be done."""
    limits = Limits(MAX_CLIP_SIDE, MAX_FRAMES, form.background)
    frames: list[np.ndarray] = []
    times: list[int] = []
    with _opened(entry, form, limits) as opened:
        if opened.fps is None:  # a few bytes of an animated picture can hold years of work
            size = opened.width, opened.height
            check_length(entry.name, *size, opened.num_frames, MAX_FRAMES)
        watched = _Watched(opened.frames)
        exact, total = form.fps is None, 0
        for timed, count in _one_by_one(watched) if exact else retimed(watched, form.fps or 1):
            times.append(count)
            total += count
            check_length(entry.name, form.width, form.height, total, MAX_FRAMES)
            picture = timed.pixels()
            size = picture.shape[:2]
            frames.append(fitted(picture, form, timed.stretch))
        fps = form.fps or opened.fps
        if fps is None:
            times, fps = steady(watched.durations, opened.metadata)
            check_length(entry.name, form.width, form.height, sum(times), MAX_FRAMES)
    return Conformed(
        frames=np.repeat(np.stack(frames), times, axis=0),
        fps=fps,
        original_frames=len(watched.durations),
        original_width=size[1],
        original_height=size[0],
        original_seconds=watched.seconds,
        retimed=not exact and (len(times) != len(watched.durations) or set(times) != {1}),
        resized=size != (form.height, form.width) or timed.stretch != 1,
    )


class _Watched:
    """Frames on their way, and what is to be known of all of them."""

    def __init__(self, frames: Iterator[Timed]) -> None:
        self.frames = frames
        self.durations: list[float] = []
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Timed]:
        for timed in self.frames:
            self.durations.append(timed.lasts)
            self.seconds = max(self.seconds, timed.time + timed.lasts)
            yield timed


def _one_by_one(frames: _Watched) -> Iterator[tuple[Timed, int]]:
    return ((timed, 1) for timed in frames)


def retimed(frames: Iterable[Timed], fps: float) -> Iterator[tuple[Timed, int]]:
    """Frames with their times => those that are shown at k/fps seconds, and how often in a row.

    There is at least one, and as many in all as the frames last, rounded.
    """
    shown: Timed | None = None
    done, gap = 0, 0.0
    for timed in frames:
        if shown is not None:
            gap = min(max(timed.time - shown.time, 0.0), 1 / fps)
            count = math.ceil((timed.time - _EARLY * gap) * fps) - done
            if count > 0:
                yield shown, count
                done += count
        shown = timed
    if shown is not None:
        lasts = max(shown.lasts, gap)  # of the last one files often have no idea
        count = round((shown.time + lasts) * fps) - done
        if count > 0 or not done:
            yield shown, max(count, 1)


# ---- size --------------------------------------------------------------------------------------


def fitted(picture: np.ndarray, form: Form, stretch: float = 1.0) -> np.ndarray:
    """(h, w, 3) uint8 => (H, W, 3): its middle cut out, or all of it between bars.

    ``stretch`` is how much wider than high its pixels are shown. Enlarging by a whole number
    keeps pixels sharp squares, as drawings need; anything else is interpolated.
    """
    height, width = picture.shape[:2]
    if (height, width) == (form.height, form.width) and stretch == 1:
        return np.ascontiguousarray(picture)
    image = Image.fromarray(np.ascontiguousarray(picture))
    ratios = form.width / (width * stretch), form.height / height
    scale = max(ratios) if form.resize == "crop" else min(ratios)
    sharp = stretch == 1 and scale == int(scale)
    how = Image.Resampling.NEAREST if sharp else Image.Resampling.BICUBIC
    if form.resize == "crop":
        wide, high = min(form.width / scale / stretch, width), min(form.height / scale, height)
        left, top = (width - wide) / 2, (height - high) / 2
        box = (left, top, left + wide, top + high)
        return np.asarray(image.resize((form.width, form.height), how, box, reducing_gap=3.0))
    size = (
        max(1, min(form.width, round(width * stretch * scale))),
        max(1, min(form.height, round(height * scale))),
    )
    inner = image.resize(size, how, reducing_gap=3.0)
    ground = Image.new("RGB", (form.width, form.height), form.background)
    ground.paste(inner, ((form.width - size[0]) // 2, (form.height - size[1]) // 2))
    return np.asarray(ground)


# ---- where the frames are ----------------------------------------------------------------------


@contextlib.contextmanager
def _opened(entry: Entry, form: Form, limits: Limits) -> Iterator[Opened]:
    if isinstance(entry.part, Row):
        rows = _row(entry, entry.part, limits)
        yield _still(entry, rows, entry.part.fps)
    elif entry.path.is_dir():
        pictures = [partial(_picture, file, limits) for file in frame_files(entry.path)]
        yield _still(entry, pictures, form.fps or DEFAULT_FPS)
    else:
        with open_file(entry.path) as file:
            part = Window(file, entry.part) if isinstance(entry.part, Member) else file
            with open_video(cast(BinaryIO, part), entry.name, limits) as opened:
                yield opened


def _row(entry: Entry, row: Row, limits: Limits) -> list[Callable[[], np.ndarray]]:
    """The pictures of a row of a sprite sheet."""
    with (
        open_file(entry.path) as file,
        translate_damage(entry.name),
        Image.open(file, formats=["PNG"]) as image,
    ):
        check_side(entry.name, *image.size, limits)
        pictures = [
            composited(picture, limits.background) for picture in cut(image, row, entry.name)
        ]
    return [partial(np.asarray, picture) for picture in pictures]


def _still(entry: Entry, pictures: Sequence[Callable[[], np.ndarray]], fps: float) -> Opened:
    """Pictures that know no times, as if they were a video of ``fps`` frames a second."""
    if not pictures:
        raise RequestError(f"{entry.name} holds no frames.", "Put pictures there.")

    def frames() -> Iterator[Timed]:
        shape = None
        for index, picture in enumerate(pictures):
            pixels = picture()
            shape = shape or pixels.shape
            if pixels.shape != shape:
                raise RequestError(
                    f"Frame {index} of {entry.name} is of another size than the first.",
                    "Make them alike.",
                )
            yield Timed(index / fps, 1 / fps, partial(np.asarray, pixels))

    return Opened(0, 0, len(pictures), fps, {}, frames())


def frame_files(folder: Path) -> list[Path]:
    """The pictures of a folder of frames, by their numbers, which begin at 0 or 1.

    Raises RequestError for a gap: what happened there is not known.
    """
    with translate_os_errors(folder):
        named = [(int(m[1]), p) for p in folder.iterdir() if (m := FRAME.fullmatch(p.name))]
    named.sort()
    expected = itertools.count(min(named[0][0], 1) if named else 0)
    for (number, path), due in zip(named, expected, strict=False):
        if number != due:
            what = f"frame_{due} is missing" if number > due else f"{path.name} is there twice"
            raise RequestError(f"{folder.name}: {what}.", "Restore the frames.")
    return [path for _, path in named]


def _picture(path: Path, limits: Limits) -> np.ndarray:
    name = f"{path.parent.name}/{path.name}"
    with (
        open_file(path) as file,
        translate_damage(name),
        Image.open(file, formats=_STILLS) as image,
    ):
        check_side(name, *image.size, limits)
        return composited(image, limits.background)
