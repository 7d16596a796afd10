"""Clips => files: a video, an animated picture, a contact sheet, or a folder of videos.

The name decides: ``.mp4 .webm .gif .webp`` hold one clip, ``.png`` is a sheet of all of them, and a
name without an ending (or a folder that is there) is a folder of ``clip-0000.mp4`` and on.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from kineograph.core.errors import RequestError, nearest
from kineograph.core.files import check_free, translate_os_errors, write_atomically
from kineograph.data.clip import Clip
from kineograph.data.video_io import (
    MAX_SIDE,
    Tags,
    animation_bytes,
    enlarged,
    file_tags,
    video_bytes,
)

FORMATS = (".mp4", ".webm", ".gif", ".webp", ".png")
"""What one file may be; all but the last hold a single clip."""

USUAL_SIDE = 512
"""Pixels of the longer side of a written video, where nobody asked for a scale."""

_PAPER, _INK = (226, 226, 231), (50, 50, 58)
_GAP, _APART, _MARGIN, _LINE = 2, 12, 16, 22  # pixels: frames, clips, the sheet's edge, a caption


def plan(out: str | Path, count: int, force: bool = False) -> list[Path]:
    """The files that `export` would write for ``count`` clips, before there is any clip.

    Costs next to nothing, so ask before minutes of work. Raises RequestError for an unknown
    format, several clips in a file that holds one, a file in the way (unless ``force``), or a
    folder that cannot be written; MachineError where the disk is full already. Writes nothing.
    """
    if count < 1:
        raise RequestError("There is no clip to write.", "Ask for at least one.")
    path = Path(out)
    if _is_folder(out):
        if path.exists() and not path.is_dir():
            raise RequestError(f"{path} is a file, not a folder.", "Choose another folder.")
        targets = [path / f"clip-{index:04d}.mp4" for index in range(count)]
    else:
        _check_format(path, count)
        targets = [path]
    for target in targets:
        if target.is_dir():
            raise RequestError(f"{target} is a folder.", "Remove it or choose another place.")
        check_free(target, force)
    return targets


def export(
    clips: Sequence[Clip],
    out: str | Path,
    *,
    scale: int | None = None,
    force: bool = False,
    metadata: Sequence[Tags] | None = None,
) -> list[Path]:
    """Write clips to ``out`` and return the files, each whole; on an error there are none.

    ``scale`` makes each pixel a square of so many; None brings the longer side of a video near 512
    pixels and a sheet near 1400 wide. ``metadata`` holds for each clip what its file should tell
    (prompt, seed, model, version). Folders are made. Raises what `plan` and the encoders raise.
    """
    targets = plan(out, len(clips), force)
    told = list(metadata or [{}] * len(clips))
    if len(told) != len(clips):
        raise ValueError(f"{len(clips)} clips, but metadata for {len(told)}")
    if targets[0].suffix.lower() == ".png":
        files = [sheet_png(clips, scale=scale, metadata=_together(told))]
    else:
        files = [
            _encoded(clip, target.suffix.lower()[1:], scale, about)
            for clip, target, about in zip(clips, targets, told, strict=True)
        ]
    _write(targets, files)
    return targets


def _is_folder(out: str | Path) -> bool:
    slash = str(out).endswith(("/", os.sep))  # Path forgets it
    return slash or not Path(out).suffix or Path(out).is_dir()


def _check_format(path: Path, count: int) -> None:
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        guess = nearest(suffix, FORMATS)
        raise RequestError(
            f'There is no format "{suffix}".',
            (f'Did you mean "{guess}"? ' if guess else "")
            + f'Known: {", ".join(FORMATS)}. For a folder write "{path}/".',
        )
    if count > 1 and suffix != ".png":
        raise RequestError(
            f"{path} holds one clip, not {count}.",
            f'For {count} videos name a folder ("{path.with_suffix("")}/"), for all of them in one '
            f'picture "{path.with_suffix(".png")}".',
        )


def usual_scale(height: int, width: int) -> int:
    """Pixels on a side that each pixel becomes, where nobody asked for a number."""
    return max(1, round(USUAL_SIDE / max(1, height, width)))


def _encoded(clip: Clip, form: str, scale: int | None, metadata: Tags) -> bytes:
    """One clip => the bytes of a file of that form (mp4, webm, gif, webp)."""
    if scale is None:
        scale = usual_scale(*clip.frames.shape[1:3])
    if form in ("gif", "webp"):
        picture = cast(Literal["gif", "webp"], form)
        return animation_bytes(clip, picture, scale=scale, metadata=metadata)
    video = cast(Literal["mp4", "webm"], form)
    return video_bytes(clip, video, scale=scale, metadata=metadata)


def _together(metadata: Sequence[Tags]) -> dict[str, str]:
    """What to tell of a sheet: of every key the different values, a line each."""
    keys = dict.fromkeys(key for each in metadata for key in each)
    return {
        key: "\n".join(dict.fromkeys(each[key] for each in metadata if key in each)) for key in keys
    }


def _write(targets: Sequence[Path], files: Sequence[bytes]) -> None:
    """Write all of them, or leave nothing that was not there before."""
    folder = targets[0].parent
    new_files = [target for target in targets if not target.exists()]
    new_folders = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        with translate_os_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        for target, data in zip(targets, files, strict=True):
            write_atomically(target, data)
    except BaseException:
        for target in new_files:
            target.unlink(missing_ok=True)
        for each in new_folders:
            with contextlib.suppress(OSError):
                each.rmdir()
        raise


def sheet_png(
    clips: Sequence[Clip],
    *,
    scale: int | None = None,
    columns: int | None = None,
    metadata: Tags | None = None,
) -> bytes:
    """Clips => a PNG: each clip is a strip of its frames (of many, up to 16).

    ``columns`` strips lie side by side; None keeps the sheet from growing taller than wide.
    ``scale`` None makes it about 1400 pixels wide. Captions stand above their strips, or once
    above all where they are the same. Raises RequestError for no frames or too large a sheet.
    """
    if not clips or not all(clip.frames.size for clip in clips):
        raise RequestError("There is nothing to draw.", "Give clips that have frames.")
    if min(1 if scale is None else scale, 1 if columns is None else columns) < 1:
        raise RequestError("A sheet's scale and columns start at 1.", "Choose 1 or more.")
    shown = [_some_of(clip.frames) for clip in clips]
    high, wide = max(f.shape[1] for f in shown), max(len(f) * f.shape[2] for f in shown)
    columns = columns or max(1, round((len(clips) * high / wide) ** 0.5))
    scale = scale or max(1, 1400 // (wide * columns))
    titles = list(dict.fromkeys(clip.caption for clip in clips))
    top, line = (_MARGIN + _LINE, 0) if len(titles) == 1 else (_MARGIN, _LINE)
    wide = max(len(f) * (f.shape[2] * scale + _GAP) - _GAP for f in shown) + _APART
    high = high * scale + line + _APART
    across, down = min(columns, len(clips)), -(-len(clips) // columns)
    size = _MARGIN + across * wide - _APART + _MARGIN, top + down * high - _APART + _MARGIN
    if max(size) > 2 * MAX_SIDE:
        raise RequestError(f"The sheet would be {size[0]}×{size[1]} pixels.", "Lower the scale.")
    sheet = Image.new("RGB", size, _PAPER)
    for index, (clip, frames) in enumerate(zip(clips, shown, strict=True)):
        x, y = _MARGIN + index % columns * wide, top + index // columns * high
        if line or index == 0:
            some = len(frames) < len(clip.frames)
            title = clip.caption + some * f" ({len(frames)} of {len(clip.frames)} frames)"
            _print(sheet, (x, y + line - _LINE), title, wide - _APART)
        for frame in frames:
            sheet.paste(Image.fromarray(enlarged(frame, scale)), (x, y + line))
            x += frame.shape[1] * scale + _GAP
    text = PngImagePlugin.PngInfo()
    about = {"title": "\n".join(titles)} | dict(metadata or {})
    for key, value in file_tags(clips[0], about).items():
        text.add_itxt(key, value)
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True, pnginfo=text)
    return out.getvalue()


def wall(clips: Sequence[Clip], *, scale: int = 3, columns: int | None = None) -> Clip:
    """Clips of one size, playing side by side over their captions => one clip.

    ``scale`` makes each pixel a square of so many; ``columns`` None is about half as wide again
    as high.
    """
    columns = columns or math.ceil((1.5 * len(clips)) ** 0.5)
    rows = -(-len(clips) // columns)
    num_frames, height, width = clips[0].frames.shape[:3]
    high, wide = height * scale + _LINE, width * scale + _GAP
    ground = Image.new("RGB", (columns * wide - _GAP, rows * high), _PAPER)
    places = [(index % columns * wide, index // columns * high) for index in range(len(clips))]
    for (x, y), clip in zip(places, clips, strict=True):
        _print(ground, (x + _GAP, y + height * scale + _GAP), clip.caption, width * scale, size=10)
    frames = np.repeat(np.asarray(ground)[None], num_frames, axis=0)
    for (x, y), clip in zip(places, clips, strict=True):
        for frame, picture in zip(frames, clip.frames, strict=True):
            frame[y : y + height * scale, x : x + width * scale] = enlarged(picture, scale)
    caption = "; ".join(dict.fromkeys(clip.caption for clip in clips))
    return Clip(frames, caption, fps=clips[0].fps)


def _some_of(frames: np.ndarray) -> np.ndarray:
    """Frames, evenly spaced, as many as a sheet shows: the first and the last among them."""
    most = max(4, min(16, 2400 // frames.shape[2]))
    shown = np.rint(np.linspace(0, len(frames) - 1, min(len(frames), most)))
    return np.asarray(frames[shown.astype(int)])


def _print(
    sheet: Image.Image, place: tuple[int, int], text: str, width: int, size: int = 14
) -> None:
    """One line of text, cut to ``width`` pixels."""
    font = ImageFont.load_default(size)
    text = " ".join(text.encode("utf-8", "replace").decode().split())
    if font.getlength(text) > width:
        while text and font.getlength(text + "…") > width:
            text = text[:-1]
        text += "…"
    ImageDraw.Draw(sheet).text(place, text, _INK, font)
