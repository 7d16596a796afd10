"""The tutorial's layout: ``video_0/frame_0.png …`` and ``video_0/prompt.txt``."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from kineograph.core.errors import RequestError
from kineograph.core.files import TEMPORARY_PREFIX, check_free, publish, translate_os_errors
from kineograph.data.clip import Clip
from kineograph.data.video_io import read_video


def write_frame_folders(clips: Iterable[Clip], folder: str | Path) -> None:
    """Clips => the tutorial's layout: ``video_0/frame_0.png …`` and ``video_0/prompt.txt``.

    A clip's folder appears when it is whole. The layout holds no fps. Raises RequestError where
    ``folder`` cannot be written or has such folders already.
    """
    folder = Path(folder)
    check_free(folder, force=True)
    with translate_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if _numbered(folder, r"video_(\d+)"):
            raise RequestError(f"{folder} holds videos already.", "Choose an empty folder.")
        for number, clip in enumerate(clips):
            with tempfile.TemporaryDirectory(dir=folder, prefix=TEMPORARY_PREFIX) as temporary:
                made = Path(temporary, f"video_{number}")
                made.mkdir()
                made.joinpath("prompt.txt").write_text(clip.caption, "utf-8", newline="")
                for index, frame in enumerate(clip.frames):
                    Image.fromarray(frame).save(made / f"frame_{index}.png")
                publish(made, folder / made.name)


def read_frame_folders(folder: str | Path) -> list[Clip]:
    """The tutorial's layout => its clips, ordered by number.

    Raises RequestError, naming the file, for a missing prompt or frame, a broken picture, or
    frames of different sizes.
    """
    folder = Path(folder)
    with translate_os_errors(folder):
        videos = _numbered(folder, r"video_(\d+)")
        if not videos:
            raise RequestError(f"{folder} holds no video_0, video_1 ….", "Name another folder.")
        return [_read_frames(video) for video in videos.values()]


def _numbered(folder: Path, name: str) -> dict[int, Path]:
    """Paths by the number in their names, in its order: 9 before 10."""
    found = {int(m[1]): p for p in folder.iterdir() if (m := re.fullmatch(name, p.name))}
    return dict(sorted(found.items()))


def _read_frames(video: Path) -> Clip:
    try:
        caption = (video / "prompt.txt").read_text("utf-8").strip()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        why = "is missing" if isinstance(error, FileNotFoundError) else "is not UTF-8"
        raise RequestError(f"{video}/prompt.txt {why}.", "Write the caption there.") from error
    frames: list[np.ndarray] = []
    for number, path in _numbered(video, r"frame_(\d+)\.png").items():
        if number != len(frames):
            raise RequestError(f"{video}/frame_{len(frames)}.png is missing.", "Restore it.")
        frames.append(read_video(path).frames[0])
        if frames[-1].shape != frames[0].shape:
            raise RequestError(f"{path} is of another size than frame_0.png.", "Make them alike.")
    if not frames:
        raise RequestError(f"{video} holds no frame_0.png.", "Put the frames there.")
    return Clip(np.stack(frames), caption)
