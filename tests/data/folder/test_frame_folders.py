"""The tutorial's folders of pictures come back as they were, and a fault names its file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kineograph.core.errors import RequestError
from kineograph.data.clip import Clip
from kineograph.data.folder.frame_folders import read_frame_folders, write_frame_folders
from kineograph.data.sources.tutorial import Config, Source

CLIP = Source(Config()).clip(3, 0)


def test_the_tutorials_folders_come_back(tmp_path: Path) -> None:
    clips = [Source(Config(num_frames=12)).clip(index, 0) for index in range(11)]
    write_frame_folders(clips, tmp_path / "new" / "data")
    folder = tmp_path / "new" / "data"
    assert sorted(p.name for p in folder.iterdir()) == sorted(f"video_{i}" for i in range(11))
    assert (folder / "video_0" / "prompt.txt").read_text() == "circle moving down"
    assert len(list((folder / "video_0").glob("frame_*.png"))) == 12
    back = read_frame_folders(folder)
    assert [clip.caption for clip in back] == [clip.caption for clip in clips]
    for was, now in zip(clips, back, strict=True):
        assert np.array_equal(was.frames, now.frames), "frame_10 comes after frame_9"


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


def drop(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("name", "spoil", "says"),
    [
        ("prompt.txt", drop, "prompt.txt is missing"),
        ("prompt.txt", lambda p: p.write_bytes(b"\xff\xfe\xff"), "not UTF-8"),
        ("frame_3.png", drop, "frame_3.png is missing"),
        ("frame_3.png", lambda p: p.write_bytes(p.read_bytes()[:60]), "frame_3.png is damaged"),
        ("frame_3.png", lambda p: Image.new("RGB", (8, 8)).save(p), "frame_3.png is of another"),
    ],
)
def test_a_fault_in_a_folder_names_the_file(
    name: str, spoil: Callable[[Path], Any], says: str, tmp_path: Path
) -> None:
    write_frame_folders([CLIP, CLIP], tmp_path)
    spoil(tmp_path / "video_1" / name)
    with pytest.raises(RequestError, match=says) as caught:
        read_frame_folders(tmp_path)
    assert "video_1" in caught.value.cause


def test_a_folder_without_videos_or_frames_says_so(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="video_0"):
        read_frame_folders(tmp_path)
    with pytest.raises(RequestError, match="missing"):
        read_frame_folders(tmp_path / "missing")
    (tmp_path / "video_0").mkdir()
    (tmp_path / "video_0" / "prompt.txt").write_text("x")
    with pytest.raises(RequestError, match="frame_0"):
        read_frame_folders(tmp_path)
