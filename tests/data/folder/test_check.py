"""A check says of every clip what a training will do with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from kineograph.core import config
from kineograph.core.errors import RequestError
from kineograph.data.folder import cache
from kineograph.data.folder.check import REMEDIES, SHOWN, Finding, Report, check
from kineograph.data.folder.entry import Status
from kineograph.data.sources.folder import Config, Source


@pytest.fixture
def home(make: Any, tmp_path: Path) -> Path:
    """One clip of each fate, listed in a metadata.csv."""
    home = tmp_path / "clips"
    make.put(home / "good.webp")
    make.put(home / "fast.webp", make.counting(60, fps=50))
    make.put(home / "wide.webp", make.counting(12, width=40))
    make.put(home / "short.webp", make.counting(9))
    make.put(home / "still.webp", make.counting(1))
    make.put(home / "broken.webp").write_bytes(b"RIFF\0\0\0\0WEBP")
    make.put(home / "silent.webp")
    make.put(home / "empty.webp")
    make.put(home / "long.webp")
    make.put(home / "both.webp").write_bytes(b"")
    rows = "good.webp,a clip\nfast.webp,another clip\nwide.webp,a clip\nshort.webp,x\n"
    rows += f"still.webp,x\nbroken.webp,x\nempty.webp, \nlong.webp,{'x' * 10_000}\nboth.webp,\n"
    rows += "gone.webp,x\n../out.webp,x\ngood.webp,a clip\n"
    (home / "metadata.csv").write_text("file_name,caption\n" + rows)
    return home


def settings(home: Path, **more: Any) -> Config:
    return config.build(Config, {"path": home, "height": 16, "width": 16} | more)


def found(home: Path, **more: Any) -> Report:
    return check(settings(home, **more), workers=2)


def by_name(report: Report) -> dict[str, Finding]:
    return {finding.name: finding for finding in report.findings}


def test_every_clip_has_its_fate(home: Path) -> None:
    report = found(home)
    assert {finding.name: finding.status for finding in report.findings} == {
        "good.webp": "used",
        "fast.webp": "used",
        "wide.webp": "used",
        "short.webp": "too short",
        "still.webp": "too short",
        "broken.webp": "broken",
        "empty.webp": "caption empty",
        "long.webp": "caption unusable",
        "both.webp": "broken",
        "gone.webp": "missing",
        "../out.webp": "refused",
        "good.webp (caption 2)": "same name",
        "silent.webp": "caption missing",
    }
    assert len(report.left_out) == 10
    assert all(finding.reason for finding in report.left_out)
    assert report.layout == "Hugging Face VideoFolder: metadata.csv"


def test_what_is_changed_is_said(home: Path) -> None:
    fates = by_name(found(home))
    assert fates["good.webp"].changes == ("caption duplicated",)
    assert fates["fast.webp"].changes == ("retimed",)
    assert fates["wide.webp"].changes == ("resized", "caption duplicated")
    assert fates["fast.webp"].original == {
        "width": 16,
        "height": 16,
        "frames": 60,
        "seconds": 1.2,
        "fps": 50,
    }
    assert fates["short.webp"].reason == "9 frames at 10 frames/s, 10 are needed"
    assert fates["still.webp"].reason == "1 frame at 10 frames/s, 10 are needed"
    reason = "it is empty; and the caption in metadata.csv, line 10 is empty"
    assert fates["both.webp"].reason == reason


def test_it_foretells_what_the_source_does(home: Path) -> None:
    for more in ({}, {"num_frames": 4, "frame_extraction": "chunks"}, {"stride": 2, "fps": 20}):
        report = found(home, **more)
        for split in ("train", "held-out"):
            clips = sum(finding.clips for finding in report.findings if finding.split == split)
            try:
                assert len(Source(settings(home, split=split, **more))) == clips
            except RequestError:
                assert clips == 0


def test_the_sheet_shows_the_clips_that_are_used(home: Path, make: Any) -> None:
    report = found(home)
    assert [clip.caption for clip in report.sheet] == [
        "good.webp: a clip",
        "fast.webp: another clip",
        "wide.webp: a clip",
    ]
    assert [make.numbers(clip.frames) for clip in report.sheet] == [
        list(range(10)),
        [round(5 * k * 12 % 256 / 12) for k in range(10)],
        list(range(10)),
    ]


def test_a_sheet_of_many_shows_some_from_all_over(make: Any, tmp_path: Path) -> None:
    content = make.put(tmp_path / "0.webp", make.counting(2)).read_bytes()
    for k in range(100):
        (tmp_path / f"{k}.webp").write_bytes(content)
        (tmp_path / f"{k}.txt").write_text(str(k))
    shown = [clip.caption for clip in found(tmp_path, num_frames=2).sheet]
    assert shown == [f"{k}.webp: {k}" for k in range(0, 100, 3)]
    assert len(shown) <= SHOWN


def test_the_sheet_shows_a_caption_that_is_used(make: Any, tmp_path: Path) -> None:
    make.put(tmp_path / "a.webp")
    rows = "a.webp,one\na.webp,two\na.webp,\n"
    (tmp_path / "metadata.csv").write_text("file_name,caption\n" + rows)
    assert [clip.caption for clip in found(tmp_path).sheet] == ["a.webp: one"]


def test_every_fate_but_one_has_a_remedy() -> None:
    assert set(REMEDIES) == set(get_args(Status)) - {"used"}


def test_it_can_be_told_to_machines(home: Path) -> None:
    told = json.loads(json.dumps(found(home).as_json()))
    assert told["counts"]["used"] == 3
    assert told["counts"]["caption duplicated"] == 2
    assert told["clips"][0]["split"] in ("train", "held-out")
    assert len(told["clips"]) == 13


def test_progress_is_told(home: Path) -> None:
    told: list[tuple[int, int]] = []
    check(settings(home), workers=1, progress=lambda done, total: told.append((done, total)))
    assert told == [(k, 10) for k in range(1, 11)]


def test_a_pack_is_not_checked(tmp_path: Path) -> None:
    (tmp_path / cache.PACK_NAME).mkdir()
    with pytest.raises(RequestError, match="pack"):
        found(tmp_path / cache.PACK_NAME)


def test_real_clips_and_what_becomes_of_them(
    dataset: Callable[[str], Path], tmp_path: Path
) -> None:
    for path in dataset("clips").iterdir():
        content = path.read_bytes()
        (tmp_path / path.name).write_bytes(content)
        (tmp_path / f"cut-{path.name}").write_bytes(content[: len(content) * 2 // 3])
        for name in (path.stem, f"cut-{path.stem}"):
            (tmp_path / f"{name}.txt").write_text(path.stem)
    report = found(tmp_path)
    assert {f.status for f in report.findings if f.name.startswith("cut-")} == {"broken"}
    whole = {f.name: f for f in report.findings if not f.name.startswith("cut-")}
    assert {f.status for f in whole.values()} == {"used"}
    original = whole["nasa_13013.mp4"].original
    assert (original["width"], original["height"], original["frames"]) == (480, 270, 390)
    assert all(np.ptp(clip.frames) > 50 for clip in report.sheet)
