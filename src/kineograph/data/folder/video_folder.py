"""The layout of Hugging Face's VideoFolder: clips, and a metadata.csv with their captions."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from kineograph.core.errors import RequestError
from kineograph.core.files import check_free, translate_os_errors, write_atomically
from kineograph.data.animation import animation_bytes
from kineograph.data.clip import Clip
from kineograph.data.video_io import video_bytes

Kind = Literal["mp4", "webm", "gif", "webp"]


def write_video_folder(clips: Iterable[Clip], folder: str | Path, kind: Kind = "mp4") -> int:
    """Clips => ``clip-00000.mp4 …`` and, when all are there, ``metadata.csv``; how many there are.

    WebP keeps every pixel as it is, MP4 nearly. Raises RequestError where ``folder`` cannot be
    written or is not empty.
    """
    folder = Path(folder)
    check_free(folder, force=True)
    with translate_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RequestError(f"{folder} is not empty.", "Choose an empty folder.")
    table = io.StringIO(newline="")
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["file_name", "caption"])
    count = 0
    for clip in clips:
        name = f"clip-{count:05d}.{kind}"
        write_atomically(folder / name, _encoded(clip, kind))
        rows.writerow([name, clip.caption])
        count += 1
    write_atomically(folder / "metadata.csv", table.getvalue().encode())
    return count


def _encoded(clip: Clip, kind: Kind) -> bytes:
    if kind == "mp4" or kind == "webm":
        return video_bytes(clip, kind)
    return animation_bytes(clip, kind)
