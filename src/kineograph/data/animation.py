"""Animated pictures, GIF, WebP and PNG, through Pillow: read frame by frame, and written."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO, Literal
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image

from kineograph.core.errors import RequestError
from kineograph.data.clip import Clip
from kineograph.data.media import (
    Limits,
    Opened,
    Tags,
    Timed,
    check_side,
    check_writable,
    composited,
    damaged,
    enlarged,
    file_tags,
)

_KINDS = {b"GIF8": "GIF", b"RIFF": "WEBP", b"\x89PNG": "PNG"}
_XMP = (  # the packet of metadata in a WebP, with a name space of our own
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:k="urn:kineograph">{}</rdf:Description>'
    "</rdf:RDF></x:xmpmeta>"
)


# ---- reading -----------------------------------------------------------------------------------


def kind_of(start: bytes) -> str:
    """The first 16 bytes of a file => "GIF", "WEBP", "PNG", or "" for anything else."""
    kind = next((kind for magic, kind in _KINDS.items() if start.startswith(magic)), "")
    return "" if kind == "WEBP" and start[8:12] != b"WEBP" else kind  # RIFF may be AVI too


@contextlib.contextmanager
def open_picture(file: BinaryIO, name: str, kind: str, limits: Limits) -> Iterator[Opened]:
    """An animated picture of a ``kind`` that `kind_of` told. Raises what Pillow raises."""
    with Image.open(file, formats=[kind]) as image:
        check_side(name, *image.size, limits)
        tags: dict[str, str] = {}
        count = getattr(image, "n_frames", 1)
        frames = _frames(image, name, count, tags, limits)
        yield Opened(*image.size, count, None, tags, _checked(frames, file, name, kind))


def _frames(
    image: Image.Image, name: str, count: int, tags: dict[str, str], limits: Limits
) -> Iterator[Timed]:
    time, size = 0.0, image.size
    # an animated PNG may begin with a picture for those who cannot play it
    for index in range(1 if image.info.get("default_image") else 0, count):
        image.seek(index)
        if image.size != size:  # Pillow lets a GIF grow
            damaged(name, f"frame {index} is larger than the picture")
        picture = composited(image, limits.background)
        milliseconds = float(image.info.get("duration") or 0)
        lasts = milliseconds / 1000 if milliseconds > 10 else 0.1  # as browsers do
        yield Timed(time, lasts, partial(np.asarray, picture))
        time += lasts
    tags |= _picture_tags(image.info)


def _checked(frames: Iterator[Timed], file: BinaryIO, name: str, kind: str) -> Iterator[Timed]:
    """Frames, and behind them a look at the end: Pillow takes a cut between two for it."""
    yield from frames
    file.seek(-min(13, file.seek(0, io.SEEK_END)), io.SEEK_END)
    if kind == "GIF" and not file.read().rstrip(b"\0").endswith(b";"):
        damaged(name, "it is cut short")


def steady(durations: Sequence[float], tags: Tags) -> tuple[list[int], float]:
    """Seconds of each frame => how often to show it, and frames a second.

    Writers merge frames that are alike, so a longer one stands for several; GIF rounds to 10 ms.
    What `animation_bytes` wrote beside them undoes both.
    """
    known = {k: v for k, v in tags.items() if re.fullmatch(r"\d{1,5}(\.\d{1,9})?", v)}
    fps, num_frames = float(known.get("fps", 0)), float(known.get("num_frames", 0))
    unit = 1 / fps if 0.1 <= fps <= 1000 else min(durations)
    if len(durations) == 1 and fps and num_frames:  # a WebP of like frames becomes a still
        durations = [num_frames * unit]
    times = [max(1, round(duration / unit)) for duration in durations]
    total = math.fsum(durations)
    exact = fps and abs(sum(times) * unit - total) <= 0.0101
    return times, fps if exact else sum(times) / total


def _picture_tags(info: Mapping[Any, Any]) -> dict[str, str]:
    """What Pillow found in a picture => metadata."""
    tags = {str(key).lower(): value for key, value in info.items() if isinstance(value, str)}
    if isinstance(info.get("comment"), bytes):
        text = info["comment"].decode("utf-8", "replace")
        try:
            tags |= {str(key): str(value) for key, value in json.loads(text).items()}
        except (ValueError, AttributeError, RecursionError):  # somebody else's comment
            tags["comment"] = text
    if isinstance(info.get("xmp"), bytes):
        with contextlib.suppress(ElementTree.ParseError):
            for field in ElementTree.fromstring(info["xmp"]).iterfind(".//{urn:kineograph}*"):
                tags[field.tag.partition("}")[2]] = field.text or ""
    return tags


# ---- writing -----------------------------------------------------------------------------------


def animation_bytes(
    clip: Clip, kind: Literal["gif", "webp"], *, scale: int = 1, metadata: Tags | None = None
) -> bytes:
    """Clip => animated picture that loops for ever.

    WebP is lossless. GIF is exact up to 256 colours; beyond that the commonest stay exact and the
    rest moves to the nearest of a palette, without dither. ``metadata`` goes into XMP (WebP) or a
    comment (GIF). Raises RequestError as `video_bytes` does, and above 50 (GIF) or 90 (WebP) fps.
    """
    check_writable(clip, scale)
    tick, fastest = {"gif": (10, 50), "webp": (1, 90)}[kind]  # browsers slow down faster ones
    if clip.fps > fastest:
        raise RequestError(
            f"A {kind} cannot play {clip.fps:g} frames/s, {fastest} at most.", "Write MP4."
        )
    ends = np.rint(np.arange(len(clip.frames) + 1) * 1000 / (clip.fps * tick)).astype(int) * tick
    tags = file_tags(clip, metadata)
    tags |= {"fps": f"{clip.fps:.9g}", "num_frames": str(len(clip.frames))}
    options: dict[str, Any]
    if kind == "webp":
        images = [Image.fromarray(enlarged(frame, scale)) for frame in clip.frames]
        fields = "".join(f"<k:{key}>{escape(value)}</k:{key}>" for key, value in tags.items())
        options = {"lossless": True, "method": 4, "xmp": _XMP.format(fields).encode()}
    else:
        indices, palette = _palettised(clip.frames)
        images = [Image.fromarray(enlarged(frame, scale)) for frame in indices]
        for image in images:
            image.putpalette(palette)
        options = {"palette": palette, "comment": json.dumps(tags, ensure_ascii=False).encode()}
    options |= {"save_all": True, "append_images": images[1:], "loop": 0}
    out = io.BytesIO()
    images[0].save(out, kind.upper(), duration=np.diff(ends).tolist(), **options)
    return out.getvalue()


def _palettised(frames: np.ndarray) -> tuple[np.ndarray, bytes]:
    """RGB (T, H, W, 3) => indices (T, H, W) uint8 into one palette for all frames, RGBRGB..."""
    packed = frames @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    colours, counts = np.unique(packed, return_counts=True)
    rgb = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.uint8)
    if len(rgb) <= 256:
        palette, nearest = rgb, np.arange(len(rgb))
    else:
        from scipy.spatial import KDTree  # a quarter of a second that few need

        common = np.argsort(-counts)[:64]
        kept = rgb[common[counts[common] * 500 >= counts.sum()]]
        sample = Image.fromarray(frames.reshape(-1, 3)[None, :: 1 + frames.size // 3_000_000])
        others = sample.quantize(256 - len(kept), Image.Quantize.FASTOCTREE).getpalette() or []
        palette = np.unique([*kept, *np.reshape(others, (-1, 3))], axis=0).astype(np.uint8)
        nearest = KDTree(palette).query(rgb)[1]
    return nearest.astype(np.uint8)[np.searchsorted(colours, packed)], palette.tobytes()
