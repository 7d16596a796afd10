"""The tutorial's layout: ``video_0/frame_0.png …`` and ``video_0/prompt.txt``."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from kineograph.core.errors import RequestError
from kineograph.core.files import TEMPORARY_PREFIX, check_free, publish, translate_os_errors
from kineograph.data.clip import Clip


def write_frame_folders(clips: Iterable[Clip], folder: str | Path) -> None:
    """Clips => the tutorial's layout: ``video_0/frame_0.png …`` and ``video_0/prompt.txt``.

    A clip's folder appears when it is whole. The layout holds no fps. Raises RequestError where
    ``folder`` cannot be written or has such folders already.
    """
    folder = Path(folder)
    check_free(folder, force=True)
    with translate_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if any(re.fullmatch(r"video_\d+", path.name) for path in folder.iterdir()):
            raise RequestError(f"{folder} holds videos already.", "Choose an empty folder.")
        for number, clip in enumerate(clips):
            with tempfile.TemporaryDirectory(dir=folder, prefix=TEMPORARY_PREFIX) as temporary:
                made = Path(temporary, f"video_{number}")
                made.mkdir()
                made.joinpath("prompt.txt").write_text(clip.caption, "utf-8", newline="")
                for index, frame in enumerate(clip.frames):
                    Image.fromarray(frame).save(made / f"frame_{index}.png")
                publish(made, folder / made.name)
