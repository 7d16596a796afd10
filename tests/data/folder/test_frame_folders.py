"""The tutorial's folders of pictures come back as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kineograph.core.errors import RequestError
from kineograph.data.clip import Clip
from kineograph.data.folder.frame_folders import write_frame_folders
from kineograph.data.sources import folder as own
from kineograph.data.sources.tutorial import Config, Source

CLIP = Source(Config()).clip(3, 0)


def test_the_tutorials_folders_come_back(tmp_path: Path) -> None:
    clips = [Source(Config(num_frames=12)).clip(index, 0) for index in range(11)]
    write_frame_folders(clips, tmp_path / "new" / "data")
    folder = tmp_path / "new" / "data"
    assert sorted(p.name for p in folder.iterdir()) == sorted(f"video_{i}" for i in range(11))
    assert (folder / "video_0" / "prompt.txt").read_text() == "circle moving down"
    assert len(list((folder / "video_0").glob("frame_*.png"))) == 12
    back = own.Source(own.Config(folder, num_frames=12, split="all"))
    for number, clip in enumerate(clips):
        again = back.clip(number, 0)
        assert again.caption == clip.caption, "video_10 comes after video_9"
        assert np.array_equal(again.frames, clip.frames), "frame_10 comes after frame_9"


def test_folders_that_are_there_are_never_mixed_with_new_ones(tmp_path: Path) -> None:
    write_frame_folders([CLIP], tmp_path)
    with pytest.raises(RequestError, match="already"):
        write_frame_folders([CLIP, CLIP], tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(RequestError):
        write_frame_folders([CLIP], tmp_path / "file")


def test_a_clip_that_fails_leaves_no_half_a_folder(tmp_path: Path) -> None:
    def clips() -> Iterator[Clip]:
        yield CLIP
        yield Clip(np.zeros((2, 0, 0, 3), np.uint8), "cannot be a PNG")

    with pytest.raises((ValueError, SystemError, RequestError)):
        write_frame_folders(clips(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["video_0"]
