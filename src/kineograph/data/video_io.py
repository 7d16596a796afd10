"""Files <=> frames: videos through PyAV; animated GIF, WebP and PNG through `animation`.

Whatever is wrong with a file ends as a RequestError with a remedy. A file of which a part is
missing is refused as a whole: who is silently shown half a video judges something else.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from PIL import Image

from kineograph.core.conventions import DEFAULT_FPS, RGB
from kineograph.core.errors import RequestError
from kineograph.core.files import translate_os_errors
from kineograph.data.animation import animation_bytes, kind_of, open_picture, steady
from kineograph.data.clip import Clip
from kineograph.data.media import (
    MAX_FRAMES,
    MAX_SIDE,
    Limits,
    Opened,
    Tags,
    Timed,
    Video,
    check_length,
    check_side,
    check_writable,
    composited,
    damaged,
    enlarged,
    file_tags,
)

__all__ = [
    "MAX_SIDE",
    "Tags",
    "Video",
    "animation_bytes",
    "enlarged",
    "file_tags",
    "open_file",
    "open_video",
    "read_video",
    "translate_damage",
    "video_bytes",
]

# What av.open may take a file for. Left out are playlists, which make it open other files and
# addresses, and text, which it would draw as a terminal.
_CONTAINERS = "asf,avi,dv,flv,h264,hevc,ivf,matroska,mov,mp3,mpeg,mpegts,mxf,nut,obu,ogg,wav,webm"
_DAMAGE = (  # what PyAV and Pillow raise for broken files
    *(av.FFmpegError, OSError, SyntaxError, ValueError, EOFError, OverflowError),
    *(IndexError, struct.error, zlib.error, Image.DecompressionBombError),
)
# By default swscale rounds white to 253 and saturated colours off by up to 4 levels.
_EXACT = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_CODECS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "mp4": (
        "libx264",
        {"crf": "14", "preset": "veryfast"},
        {"movflags": "+faststart+use_metadata_tags"},
    ),
    "webm": (
        "libvpx-vp9",
        {"crf": "10", "b": "0", "cpu-used": "4", "row-mt": "1"},
        {"fflags": "+bitexact"},
    ),
}


# ---- reading -----------------------------------------------------------------------------------


def read_video(path: str | Path, *, max_frames: int = MAX_FRAMES) -> Video:
    """Decode a whole file: any common video, or an animated GIF, WebP or PNG.

    Turned upright as its rotation says; transparency lies on white; a picture that stays for
    several of a GIF's shortest durations is repeated. Raises RequestError where the file is
    missing, empty, damaged, cut short, without pictures, longer than ``max_frames``, wider or
    higher than MAX_SIDE, or more than MAX_BYTES when decoded.
    """
    path, limits = Path(path), Limits(max_frames=max_frames)
    with open_file(path) as file, open_video(file, str(path), limits) as opened:
        size = opened.width, opened.height
        check_length(str(path), *size, opened.num_frames, max_frames)
        frames: list[np.ndarray] = []
        durations = []
        for timed in opened.frames:
            check_length(str(path), *size, len(frames) + 1, max_frames)
            frames.append(timed.pixels())
            durations.append(timed.lasts)
        if opened.fps is None:
            times, fps = steady(durations, opened.metadata)
            check_length(str(path), *size, sum(times), max_frames)
            return Video(_stack(frames, times), fps, opened.metadata)
        return Video(_stack(frames, [1] * len(frames)), opened.fps, opened.metadata)


@contextlib.contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """Open an ordinary file. Raises RequestError for one that is missing, a folder or a device."""
    with translate_os_errors(path):
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise RequestError(f"{path} is a folder or device, no video.", "Name a video file.")
        with path.open("rb") as file:
            yield file


@contextlib.contextmanager
def open_video(file: BinaryIO, name: str, limits: Limits) -> Iterator[Opened]:
    """Open a video or animated picture; messages call it ``name``.

    Its frames come one by one, so that a long video needs no more memory than a short one.
    Raises RequestError, then or while frames are read, as `read_video` does.
    """
    start = file.read(16)
    file.seek(0)
    if not start:
        raise RequestError(f"{name} is empty.", "Make or copy it again.")
    kind = kind_of(start)
    with contextlib.ExitStack() as stack:
        with translate_damage(name):
            opening = open_picture(file, name, kind, limits) if kind else _open(file, name, limits)
            opened = stack.enter_context(opening)
        frames = _translated(opened.frames, name)
        yield replace(opened, frames=frames)


def _translated(frames: Iterator[Timed], name: str) -> Iterator[Timed]:
    with translate_damage(name):
        yield from frames


@contextlib.contextmanager
def translate_damage(name: str) -> Iterator[None]:
    """Turn what PyAV and Pillow raise for a broken file into an error that a person can mend."""
    try:
        yield
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno and not isinstance(error, av.FFmpegError):
            raise  # the disk's fault, not the file's
        why = error.strerror if isinstance(error, av.FFmpegError) else str(error)
        if isinstance(error, av.error.ArgumentError):  # _CONTAINERS does not list it
            why = "not a kind of file that is read here"
        damaged(name, re.sub(r" <.*>", "", why or type(error).__name__), error)


@contextlib.contextmanager
def _open(file: BinaryIO, name: str, limits: Limits) -> Iterator[Opened]:
    only = {"format_whitelist": _CONTAINERS}
    with av.open(file, "r", None, only, metadata_errors="replace") as container:
        stream = container.streams.best("video")
        cover = stream is not None and stream.disposition & Disposition.attached_pic
        if not isinstance(stream, av.VideoStream) or cover:
            raise RequestError(f"{name} has no video stream.", "Name one that has.")
        if stream.codec_context is None:
            damaged(name, "nothing here decodes its codec")
        check_side(name, stream.width, stream.height, limits)
        if stream.frames > limits.max_frames:
            check_length(name, stream.width, stream.height, stream.frames, limits.max_frames)
        stream.codec_context.options = {"err_detect": "explode"}  # rather than patch it up
        fps = float(stream.average_rate or stream.guessed_rate or 0) or DEFAULT_FPS
        tags = {key.lower(): value for key, value in container.metadata.items()}
        frames = _frames(container, stream, file, name, limits, fps)
        yield Opened(stream.width, stream.height, stream.frames, fps, tags, frames)


def _frames(
    container: InputContainer,
    stream: av.VideoStream,
    file: BinaryIO,
    name: str,
    limits: Limits,
    fps: float,
) -> Iterator[Timed]:
    first = time = end = 0.0
    count, size = 0, (0, 0)
    for frame in container.decode(stream):
        check_side(name, frame.width, frame.height, limits)
        size = size if count else (frame.width, frame.height)
        if frame.is_corrupt or (frame.width, frame.height) != size:
            damaged(name, f"frame {count} is broken or of another size")
        if count >= limits.max_frames:
            check_length(name, *size, count + 1, limits.max_frames)
        time, lasts = time + bool(count) / fps, 1 / fps
        if frame.pts is not None and frame.time_base is not None:
            time = float(frame.pts * frame.time_base)
            lasts = float(frame.duration * frame.time_base) or lasts
            end = max(end, time + lasts)
        first = first if count else time
        pixels = partial(_pixels, frame, name, limits.background)
        yield Timed(time - first, lasts, pixels, _stretch(stream, frame))
        count += 1
    if not count:
        damaged(name, "it has no frames")
    _check_end(stream, file, name, end + 0.6 / fps)


def _check_end(stream: av.VideoStream, file: BinaryIO, name: str, end: float) -> None:
    """Decoders take a cut for the end: ask the index (MP4) and the duration (Matroska)."""
    needed = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    tag = re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", ""))
    h, m, s = map(float, tag.groups() if tag else (0, 0, 0))
    if needed > file.seek(0, io.SEEK_END) or 3600 * h + 60 * m + s > end:
        damaged(name, "it is cut short")


def _pixels(frame: av.VideoFrame, name: str, background: RGB) -> np.ndarray:
    """Any pixel format, range and matrix => (H, W, 3) uint8, upright."""
    how = Interpolation.BILINEAR | _EXACT
    with translate_damage(name):
        if any(component.is_alpha for component in frame.format.components):
            rgba = frame.to_ndarray(format="rgba", interpolation=how)
            return _upright(frame, composited(Image.fromarray(rgba), background))
        return _upright(frame, frame.to_ndarray(format="rgb24", interpolation=how))


def _upright(frame: av.VideoFrame, picture: np.ndarray) -> np.ndarray:
    """Turn and mirror as the display matrix says: (x, y) => (a·x + c·y, b·x + d·y)."""
    a, b, c, d = _matrix(frame)
    if abs(b) > abs(a):
        picture, a, d = picture.swapaxes(0, 1), c, b
    return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    sides: Any = frame.side_data  # its stub knows motion vectors only
    matrix = sides.get("DISPLAYMATRIX")
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(matrix), "=i4")[:5].tolist()
    return a, b, c, d


def _stretch(stream: av.VideoStream, frame: av.VideoFrame) -> float:
    """The width of a shown pixel in its heights; a ratio that no camera has counts for 1."""
    ratio = float(stream.sample_aspect_ratio or 1)
    if not 0.25 <= ratio <= 4:
        return 1.0
    a, b, _, _ = _matrix(frame)
    return 1 / ratio if abs(b) > abs(a) else ratio


def _stack(frames: list[np.ndarray], times: Sequence[int]) -> np.ndarray:
    """Frames, each so many times => (T, H, W, 3); frees them on the way."""
    out = np.empty((sum(times), *frames[0].shape), np.uint8)
    end = len(out)
    for count in reversed(times):
        out[end - count : end] = frames.pop()
        end -= count
    return out


# ---- writing -----------------------------------------------------------------------------------


def video_bytes(
    clip: Clip, container: Literal["mp4", "webm"], *, scale: int = 1, metadata: Tags | None = None
) -> bytes:
    """Clip => MP4 (H.264) or WebM (VP9), each pixel a square of ``scale`` pixels.

    BT.709, 4:2:0, sides made even by repeating the last row or column. MP4 begins with its index,
    so that it plays while it loads. ``metadata`` becomes the container's tags. Raises RequestError
    for an impossible fps or scale or no frames, MachineError where the temporary disk is full.
    """
    codec, options, muxer = _CODECS[container]
    height, width = check_writable(clip, scale)
    rate = Fraction(clip.fps).limit_denominator(1001)
    # to move the index to the front FFmpeg opens the file a second time, so it must have a name
    with translate_os_errors("the temporary folder"), tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"clip.{container}")
        with av.open(str(path), "w", format=container, options=muxer) as out:
            out.metadata.update(file_tags(clip, metadata))
            stream: Any = out.add_stream(codec, rate=rate, options=options)
            stream.width, stream.height = width + width % 2, height + height % 2
            stream.pix_fmt = "yuv420p"
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
            context.color_range = ColorRange.MPEG
            reformatter = VideoReformatter()
            for index, picture in enumerate(clip.frames):
                frame = _yuv(picture, scale, reformatter)
                frame.pts, frame.time_base, frame.duration = index, 1 / rate, 1
                out.mux(stream.encode(frame))
            out.mux(stream.encode())
        return path.read_bytes()


def _yuv(picture: np.ndarray, scale: int, reformatter: VideoReformatter) -> av.VideoFrame:
    """(H, W, 3) => 4:2:0 of (H·scale, W·scale), made even.

    It is enlarged after its colours are computed, which cost more than anything else.
    """
    planes = reformatter.reformat(
        av.VideoFrame.from_ndarray(np.ascontiguousarray(picture)),
        format="yuv444p",
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        dst_colorspace=Colorspace.ITU709,
        interpolation=_EXACT,  # nothing is scaled
        threads=1,
    ).to_ndarray()
    luma, *chroma = (_even(enlarged(plane, scale)) for plane in planes)
    flat = [luma.ravel(), *(_halved(plane).ravel() for plane in chroma)]
    return av.VideoFrame.from_ndarray(np.concatenate(flat).reshape(-1, luma.shape[1]), "yuv420p")


def _even(plane: np.ndarray) -> np.ndarray:
    """(H, W), with the last row or column again where their number is odd."""
    height, width = plane.shape
    if height % 2 or width % 2:
        return np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge")
    return plane


def _halved(plane: np.ndarray) -> np.ndarray:
    """(2·h, 2·w) => (h, w), means of 2×2 pixels, rounded."""
    wide = plane.astype(np.uint16)
    four = wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2]
    return ((four + 2) >> 2).astype(np.uint8)
