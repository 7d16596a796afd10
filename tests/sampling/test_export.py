"""Clips become whole files where they were asked for, or nothing changes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kineograph.core.errors import MachineError, RequestError
from kineograph.data.clip import Clip
from kineograph.data.sources.tutorial import Config, Source
from kineograph.data.video_io import read_video
from kineograph.sampling import export as module
from kineograph.sampling.export import export, plan, sheet_png, wall

SOURCE = Source(Config())
CLIPS = [SOURCE.clip(index, 0) for index in range(3)]
TOLD = [{"prompt": clip.caption, "seed": str(i), "model": "m"} for i, clip in enumerate(CLIPS)]


def everything(folder: Path) -> dict[str, bytes]:
    """What lies in a folder and below."""
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b""
        for p in sorted(folder.rglob("*"))
    }


def refusal(code: int = 2, *args: object, **more: object) -> str:
    with pytest.raises((RequestError, MachineError)) as caught:
        export(*args, **more)  # type: ignore[arg-type]
    assert caught.value.exit_code == code
    assert caught.value.remedy
    return str(caught.value)


# ---- the name decides --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif", "a.webp", "A.MP4"])
def test_one_clip_becomes_one_file_near_512_pixels(name: str, tmp_path: Path) -> None:
    assert export(CLIPS[:1], tmp_path / name, metadata=TOLD[:1]) == [tmp_path / name]
    video = read_video(tmp_path / name)
    assert video.frames.shape == (10, 512, 512, 3)
    assert video.metadata["prompt"] == CLIPS[0].caption
    assert [p.name for p in tmp_path.iterdir()] == [name], "nothing else is left"


@pytest.mark.parametrize("name", ["clips", "clips/", "v1.5/", "new/and/deeper"])
def test_a_name_without_an_ending_is_a_folder(name: str, tmp_path: Path) -> None:
    made = export(CLIPS, f"{tmp_path}/{name}", scale=1, metadata=TOLD)
    assert made == [tmp_path / name / f"clip-000{index}.mp4" for index in range(3)]
    for index, path in enumerate(made):
        video = read_video(path)
        assert video.frames.shape == (10, 64, 64, 3)
        assert video.metadata["seed"] == str(index)
        assert np.abs(video.frames.astype(int) - CLIPS[index].frames).mean() < 1


def test_a_folder_that_is_there_takes_clips_whatever_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "run.v2"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    assert export(CLIPS[:1], folder, scale=1) == [folder / "clip-0000.mp4"]
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("count", [1, 3])
def test_a_png_is_a_sheet_of_all_clips(count: int, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    export(CLIPS[:count], path, metadata=TOLD[:count])
    with Image.open(path) as image:
        assert image.width > 1000
        assert image.text["prompt"] == "\n".join(clip.caption for clip in CLIPS[:count])
        assert image.text["model"] == "m"


def test_an_unknown_ending_names_the_nearest(tmp_path: Path) -> None:
    text = refusal(2, CLIPS[:1], tmp_path / "a.mp5")
    assert '".mp4"' in text
    assert ".webp" in text
    assert "mp5/" in text, "it may have been meant as a folder"


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.webp", "a.webm"])
def test_several_clips_in_one_video_are_refused_with_the_way_out(name: str, tmp_path: Path) -> None:
    text = refusal(2, CLIPS, tmp_path / name)
    assert "a/" in text
    assert "a.png" in text
    assert not everything(tmp_path)


@pytest.mark.parametrize(
    ("side", "scale", "written"), [(64, None, 512), (96, None, 480), (600, None, 600), (64, 1, 64)]
)
def test_the_scale_brings_the_longer_side_near_512(
    side: int, scale: int | None, written: int, tmp_path: Path
) -> None:
    clip = Clip(np.zeros((2, side // 2, side, 3), np.uint8), "")
    (path,) = export([clip], tmp_path / "a.webp", scale=scale)
    assert read_video(path).frames.shape[2] == written


# ---- nothing is lost, nothing is half-written --------------------------------------------------


def test_a_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("mine")
    assert "--force" in refusal(2, CLIPS[:1], path)
    assert path.read_text() == "mine"
    export(CLIPS[:1], path, force=True)
    assert len(read_video(path).frames) == 10


def test_every_target_is_checked_before_any_is_written(tmp_path: Path) -> None:
    (tmp_path / "clip-0002.mp4").write_text("mine")
    before = everything(tmp_path)
    assert "clip-0002.mp4" in refusal(2, CLIPS, tmp_path)
    assert everything(tmp_path) == before


def test_what_is_in_the_way_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder" / "clip-0001.mp4").mkdir(parents=True)
    before = everything(tmp_path)
    for force in (False, True):
        assert "file" in refusal(2, CLIPS, f"{tmp_path}/file/", force=force)
        assert "file" in refusal(2, CLIPS[:1], tmp_path / "file" / "a.mp4", force=force)
        assert "clip-0001" in refusal(2, CLIPS, tmp_path / "folder", force=force)
    assert "file" in refusal(2, CLIPS, tmp_path / "file")
    assert everything(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert "locked" in refusal(2, CLIPS, locked)
    assert "locked" in refusal(2, CLIPS[:1], locked / "a.mp4")


def test_a_place_that_no_one_can_write_is_refused() -> None:
    refusal(2, CLIPS[:1], "/proc/a.mp4")
    refusal(2, CLIPS, "/proc/clips/")


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_disk_that_fills_up_leaves_nothing(
    failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    write = module.write_atomically

    def fills_up(path: Path, data: bytes) -> None:
        if len(written) == failing:
            raise MachineError("The disk is full.", "Free some space.")
        written.append(path)
        write(path, data)

    monkeypatch.setattr(module, "write_atomically", fills_up)
    (tmp_path / "mine").touch()
    assert "full" in refusal(3, CLIPS, tmp_path / "new" / "clips", scale=1)
    assert list(everything(tmp_path)) == ["mine"]


def test_a_clip_that_cannot_be_encoded_leaves_nothing(tmp_path: Path) -> None:
    broken = Clip(np.zeros((0, 64, 64, 3), np.uint8), "no frames")
    refusal(2, [CLIPS[0], broken], tmp_path / "clips")
    refusal(2, [CLIPS[0], broken], tmp_path / "a.png")
    refusal(2, CLIPS, tmp_path / "clips", scale=0)
    refusal(2, CLIPS, tmp_path / "a.png", scale=0)
    refusal(2, CLIPS, tmp_path / "a.png", scale=1000)
    assert not everything(tmp_path)


def test_no_clips_are_refused(tmp_path: Path) -> None:
    refusal(2, [], tmp_path / "clips")


# ---- problems show before the work -------------------------------------------------------------


def test_a_plan_names_the_files_and_writes_nothing(tmp_path: Path) -> None:
    assert plan(tmp_path / "a.gif", 1) == [tmp_path / "a.gif"]
    assert plan(f"{tmp_path}/new/", 2) == [tmp_path / f"new/clip-000{i}.mp4" for i in (0, 1)]
    assert plan(tmp_path / "a.png", 64) == [tmp_path / "a.png"]
    assert not everything(tmp_path)


def test_a_plan_finds_what_export_would(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    for out, count in (("a.mp4", 1), ("b.mp4", 2), ("b.mpeg", 1), ("a.mp4/", 1), ("x", 0)):
        with pytest.raises(RequestError):
            plan(f"{tmp_path}/{out}", count)
    assert plan(tmp_path / "a.mp4", 1, force=True)


# ---- the sheet ---------------------------------------------------------------------------------


def opened(content: bytes, folder: Path) -> np.ndarray:
    path = folder / "sheet.png"
    path.write_bytes(content)
    return read_video(path).frames[0]


def test_a_sheet_holds_every_frame_in_order(tmp_path: Path) -> None:
    clips = [Clip(np.full((3, 8, 8, 3), 40 * k + 80, np.uint8), str(k)) for k in range(3)]
    for clip in clips:
        clip.frames[:] += np.arange(3, dtype=np.uint8)[:, None, None, None]
    sheet = opened(sheet_png(clips, scale=4, columns=1), tmp_path)
    values = [tuple(v) for v in sheet[:, :, 0] if 80 in v or 120 in v or 160 in v]
    for k in range(3):
        rows = [v for v in values if v.count(40 * k + 80) == 32]
        assert len(rows) >= 32, "each frame is 32 pixels high"
        shown = [p for p in rows[0] if 40 * k + 80 <= p <= 40 * k + 82]
        assert shown == [40 * k + 80] * 32 + [40 * k + 81] * 32 + [40 * k + 82] * 32


def test_many_clips_lie_in_columns_and_one_caption_is_written_once(tmp_path: Path) -> None:
    many = [SOURCE.clip(index, 0) for index in range(64)]
    height, width, _ = opened(sheet_png(many), tmp_path).shape
    assert 0.5 < width / height < 2
    alike = [SOURCE.clip(18 * index, 0) for index in range(8)]
    other = [Clip(clip.frames, f"{clip.caption} {i}") for i, clip in enumerate(alike)]
    one, each = (opened(sheet_png(c, scale=2), tmp_path).shape[0] for c in (alike, other))
    assert one < each


def test_a_long_clip_shows_some_frames_and_any_caption_fits(tmp_path: Path) -> None:
    frames = np.arange(200, dtype=np.uint8)[:, None, None, None].repeat(16, 1).repeat(16, 2)
    clip = Clip(frames.repeat(3, 3), "圆 \ud800 \N{SLIGHTLY SMILING FACE}\n" + "long " * 200)
    sheet = opened(sheet_png([clip], scale=1), tmp_path)
    assert sheet.shape[1] < 400
    row = sheet[-20, :, 0].tolist()
    assert 0 in row, "the first frame"
    assert 199 in row, "the last frame"


def test_clips_of_several_sizes_share_a_sheet(tmp_path: Path) -> None:
    small = Clip(np.zeros((2, 8, 12, 3), np.uint8), "small")
    assert opened(sheet_png([CLIPS[0], small]), tmp_path).shape[1] > 640


@pytest.mark.parametrize(("scale", "columns"), [(0, None), (-1, None), (1, 0)])
def test_a_sheet_without_size_is_refused(scale: int, columns: int | None) -> None:
    with pytest.raises(RequestError):
        sheet_png(CLIPS, scale=scale, columns=columns)


def test_a_wall_plays_clips_side_by_side_over_their_captions() -> None:
    clips = [Source(Config()).clip(index, 0) for index in range(5)]
    both = wall(clips, scale=2, columns=3)
    assert both.frames.shape[0] == 10
    assert all(clip.caption in both.caption for clip in clips)
    second = both.frames[:, :128, 130:258]
    assert np.array_equal(second[:, ::2, ::2], clips[1].frames)
    below = both.frames[0, 128:150, :128]
    assert below.min() < 120  # ink: the caption
