"""Small clips whose frames can be told apart, as files of any kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from kineograph.data.clip import Clip
from kineograph.data.video_io import animation_bytes, video_bytes

STEP = 12
"""Grey levels from one frame of a counting clip to the next; the first is 0."""


def counting(num_frames: int = 12, fps: float = 10.0, height: int = 16, width: int = 16) -> Clip:
    """Frame i is grey i·STEP all over."""
    grey = np.arange(num_frames) * STEP % 256
    frames = np.broadcast_to(grey[:, None, None, None], (num_frames, height, width, 3))
    return Clip(frames.astype(np.uint8), f"counting to {num_frames}", fps=fps)


def numbers(frames: np.ndarray) -> list[int]:
    """The frames of a counting clip => which they are, even after a lossy codec."""
    return [round(float(frame.mean()) / STEP) for frame in frames]


def put(path: Path, clip: Clip | None = None) -> Path:
    """Write a clip, by the ending of its name; "apng" and "png" are animated PNG."""
    clip = clip or counting()
    kind = path.suffix[1:]
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind in ("png", "apng"):
        first, *more = (Image.fromarray(frame) for frame in clip.frames)
        lasts = 1000 / clip.fps
        first.save(path, "PNG", save_all=True, append_images=more, duration=lasts)
    elif kind in ("gif", "webp"):
        path.write_bytes(animation_bytes(clip, kind))  # type: ignore[arg-type]
    else:
        path.write_bytes(video_bytes(clip, kind))  # type: ignore[arg-type]
    return path


def put_at(path: Path, times: Sequence[int], last: int, **settings: Any) -> Path:
    """An MP4 of variable rate: frame i of a counting clip at ``times[i]`` ms, up to ``last``."""
    clip = counting(len(times), height=32, width=32)
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=1000, options={"qp": "0", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv444p"
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        packets = []
        for picture, time in zip(clip.frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture))
            frame.pts = time
            packets += stream.encode(frame)
        packets += stream.encode()
        for packet, time, until in zip(packets, times, [*times[1:], last], strict=True):
            packet.duration = until - time
            out.mux(packet)
    return path


@pytest.fixture(scope="session")
def make() -> type[Make]:
    """What makes clips and files."""
    return Make


class Make:
    """The functions above, for tests, which cannot import one another."""

    counting: Callable[..., Clip] = staticmethod(counting)
    numbers: Callable[[np.ndarray], list[int]] = staticmethod(numbers)
    put: Callable[..., Path] = staticmethod(put)
    put_at: Callable[..., Path] = staticmethod(put_at)
