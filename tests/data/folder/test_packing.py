"""A pack holds what decoding gives, survives a kill, can be shared, and notices changes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kineograph.core.errors import RequestError
from kineograph.data.folder import cache
from kineograph.data.folder.cache import Store, open_pack, packed_layout
from kineograph.data.folder.conform import Form, conform
from kineograph.data.folder.layouts import Layout, recognise
from kineograph.data.folder.packing import Packed, pack

FORM = Form(16, 16, 10.0, "crop", (255, 255, 255))
COUNT = 20


@pytest.fixture
def folder(make: Any, tmp_path: Path) -> Path:
    """Twenty clips of 1 to 20 frames, each with a caption."""
    home = tmp_path / "clips"
    for k in range(1, COUNT + 1):
        make.put(home / f"{k}.webp", make.counting(k))
        (home / f"{k}.txt").write_text(f"counting to {k}")
    return home


def packed(folder: Path, form: Form = FORM, **more: Any) -> Packed:
    return pack(recognise(folder), form, folder / cache.PACK_NAME, workers=1, **more)


def opened(folder: Path, form: Form = FORM) -> Store:
    return open_pack(folder / cache.PACK_NAME, form, recognise(folder))


def refusal(folder: Path, form: Form = FORM) -> str:
    with pytest.raises(RequestError) as caught:
        opened(folder, form)
    assert caught.value.remedy
    return caught.value.cause


def files(folder: Path, pattern: str = "shard-*.bin") -> list[Path]:
    return sorted((folder / cache.PACK_NAME).glob(pattern))


def is_mapped(frames: Any) -> bool:
    while isinstance(frames, np.ndarray) and not isinstance(frames, np.memmap):
        frames = frames.base
    return isinstance(frames, np.memmap)


# ---- what is in it -----------------------------------------------------------------------------


def test_a_pack_holds_what_decoding_gives(folder: Path) -> None:
    done = packed(folder)
    assert (done.clips, done.left_out) == (COUNT, {})
    assert done.size == sum(path.stat().st_size for path in files(folder)) == 210 * 16 * 16 * 3
    store = opened(folder)
    for entry in recognise(folder).entries:
        stored, plain = store.clips[entry.video], conform(entry, FORM)
        assert np.array_equal(stored.frames, plain.frames)
        assert stored.fps == plain.fps
        assert is_mapped(stored.frames), "it is not read before it is asked for"
        assert not stored.frames.flags.writeable


def test_one_bad_clip_is_left_out_and_named(folder: Path) -> None:
    (folder / "3.webp").write_bytes(b"no video")
    done = packed(folder)
    assert done.clips == COUNT - 1
    assert list(done.left_out) == ["3.webp"]
    assert "damaged" in opened(folder).failed["3.webp"]


def test_a_pack_where_nothing_can_be_decoded_is_still_one(folder: Path) -> None:
    for path in folder.glob("*.webp"):
        path.write_bytes(b"no video")
    assert packed(folder).clips == 0
    assert len(opened(folder).failed) == COUNT


def test_a_video_with_two_captions_is_decoded_once(folder: Path) -> None:
    (folder / "metadata.csv").write_text("file_name,caption\n1.webp,one\n1.webp,a single one\n")
    assert packed(folder).clips == 1
    assert [e.name for e in packed_layout(folder / cache.PACK_NAME).entries] == [
        "1.webp",
        "1.webp (caption 2)",
    ]


def test_the_manifest_says_where_everything_is_from(folder: Path) -> None:
    packed(folder)
    manifest = json.loads((folder / cache.PACK_NAME / "manifest.json").read_text())
    assert manifest["form"] == {
        "height": 16,
        "width": 16,
        "fps": 10.0,
        "resize": "crop",
        "background": [255, 255, 255],
    }
    clips = [clip for shard in manifest["shards"] for clip in shard["clips"]]
    assert {c["video"]: c["frames"] for c in clips} == {f"{k}.webp": k for k in range(1, COUNT + 1)}
    for clip in clips:
        stat = Path(clip["file"]).stat()
        assert clip["signature"] == [1, stat.st_size, stat.st_mtime_ns]
    assert all(len(shard["sha256"]) == 64 for shard in manifest["shards"])


def test_a_pack_can_be_read_where_its_clips_are_not(folder: Path, tmp_path: Path) -> None:
    packed(folder)
    (folder / cache.PACK_NAME).rename(tmp_path / "elsewhere")
    shutil.rmtree(folder)
    layout = packed_layout(tmp_path / "elsewhere")
    assert "a .txt of the same name" in layout.name
    assert [e.caption for e in layout.entries] == [f"counting to {k + 1}" for k in range(COUNT)]
    assert len(open_pack(tmp_path / "elsewhere", FORM, None).clips) == COUNT


def test_how_many_processes_makes_no_difference(folder: Path, tmp_path: Path) -> None:
    packed(folder)
    pack(recognise(folder), FORM, tmp_path / "other", workers=3)
    for path in files(folder, "*"):
        assert (tmp_path / "other" / path.name).read_bytes() == path.read_bytes()


def test_progress_is_told(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    packed(folder, progress=lambda done, total: told.append((done, total)))
    assert told == [(k, COUNT) for k in range(COUNT + 1)]


# ---- going on ----------------------------------------------------------------------------------


def test_what_is_finished_is_not_made_again(folder: Path) -> None:
    first = packed(folder)
    assert first.made == first.shards > 1
    times = [path.stat().st_mtime_ns for path in files(folder)]
    assert packed(folder).made == 0
    assert [path.stat().st_mtime_ns for path in files(folder)] == times


DYING = """
import os, signal, sys
from pathlib import Path
from kineograph.data.folder import packing
from kineograph.data.folder.conform import Form
from kineograph.data.folder.layouts import recognise
whole = packing.write_atomically
def dying(path, data):
    made = len(list(path.parent.glob("shard-*.json")))
    if made == 3 and path.suffix == sys.argv[2]:
        (path.parent / f".tmp-{path.stem}-half").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    whole(path, data)
packing.write_atomically = dying
folder = Path(sys.argv[1])
form = Form(16, 16, 10.0, "crop", (255, 255, 255))
packing.pack(recognise(folder), form, folder / "kineograph-pack", workers=1)
"""


@pytest.mark.parametrize("moment", [".bin", ".json"])
def test_a_killed_pack_goes_on_where_it_was(moment: str, folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", DYING, str(folder), moment], check=False)
    assert done.returncode == -signal.SIGKILL
    assert "not finished" in refusal(folder)
    whole = [path for path in files(folder) if path.with_suffix(".json").exists()]
    left = {path: path.stat().st_mtime_ns for path in whole}
    assert len(left) == 3
    again = packed(folder)
    assert again.made == again.shards - 3
    assert left == {path: path.stat().st_mtime_ns for path in left}
    assert len(opened(folder).clips) == COUNT


def test_old_leavings_of_a_kill_are_removed_and_fresh_ones_kept(folder: Path) -> None:
    packed(folder)
    old, fresh = (folder / cache.PACK_NAME / f".tmp-shard-{k}" for k in range(2))
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    packed(folder)
    assert not old.exists()
    assert fresh.exists(), "somebody may be writing it now"


@pytest.mark.parametrize("processes", ["3", "100"])
def test_work_that_is_shared_comes_to_the_same_pack(
    processes: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed(folder)
    whole = {path.name: path.read_bytes() for path in files(folder, "*")}
    shutil.rmtree(folder / cache.PACK_NAME)
    monkeypatch.setenv("WORLD_SIZE", processes)  # here one process does the share of each
    assert packed(folder).clips == COUNT
    assert {path.name: path.read_bytes() for path in files(folder, "*")} == whole


def test_only_the_first_process_finishes_a_pack(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    packed(folder)
    assert "not finished" in refusal(folder)


# ---- changes are noticed -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"fps": 12.0},
        {"fps": None},
        {"height": 32},
        {"resize": "letterbox"},
        {"background": (0,) * 3},
    ],
)
def test_another_setting_is_noticed_and_packed_anew(change: dict[str, Any], folder: Path) -> None:
    packed(folder)
    other = replace(FORM, **change)
    said = refusal(folder, other)
    assert next(iter(change)) in said
    again = packed(folder, other)
    assert again.made == again.shards
    assert len(files(folder)) == again.shards, "the shards of the old settings are gone"
    assert len(opened(folder, other).clips) == COUNT
    assert next(iter(change)) in refusal(folder)


def test_a_changed_a_new_and_a_missing_clip_are_noticed(make: Any, folder: Path) -> None:
    packed(folder)
    make.put(folder / "7.webp", make.counting(9))
    assert "1 changed (7.webp)" in refusal(folder)
    packed(folder)
    assert len(opened(folder).clips["7.webp"].frames) == 9
    make.put(folder / "21.webp")
    (folder / "21.txt").write_text("x")
    (folder / "2.webp").unlink()
    said = refusal(folder)
    assert "1 new (21.webp)" in said
    assert "1 gone (2.webp)" in said
    assert packed(folder).made <= 2, "only their own shards"
    assert "21.webp" in opened(folder).clips
    assert "2.webp" not in opened(folder).clips


def test_a_file_that_was_only_touched_may_be_another(folder: Path) -> None:
    packed(folder)
    os.utime(folder / "5.webp", ns=(1, 1))
    assert "1 changed (5.webp)" in refusal(folder)
    again = packed(folder)
    assert again.made == 1, "only its own shard"


def test_a_change_in_a_folder_of_frames_is_noticed(make: Any, tmp_path: Path) -> None:
    from kineograph.data.folder.frame_folders import write_frame_folders

    write_frame_folders([make.counting(3)] * 2, tmp_path)
    packed(tmp_path)
    assert len(opened(tmp_path).clips) == 2
    (tmp_path / "video_1" / "frame_2.png").unlink()
    assert "1 changed (video_1)" in refusal(tmp_path)


def test_a_new_caption_needs_no_new_pack(folder: Path) -> None:
    packed(folder)
    (folder / "5.txt").write_text("other words")
    assert len(opened(folder).clips) == COUNT


# ---- damage ------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    stat = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (flip, "content has changed"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "should have"),
        (lambda path: path.unlink(), "is missing"),
    ],
)
def test_a_damaged_shard_is_named_and_made_again(spoil: Any, says: str, folder: Path) -> None:
    packed(folder)
    victim = files(folder)[2]
    spoil(victim)
    said = refusal(folder)
    assert victim.name in said
    assert says in said
    assert packed(folder).made == 1
    assert len(opened(folder).clips) == COUNT


def test_a_damaged_manifest_is_noticed(folder: Path) -> None:
    packed(folder)
    path = folder / cache.PACK_NAME / "manifest.json"
    path.write_text(path.read_text().replace('"frames": 3', '"frames": 4'))
    assert "manifest.json is damaged" in refusal(folder)
    path.write_text("{")
    assert "manifest.json is damaged" in refusal(folder)
    path.write_text('{"format": "something else"}')
    assert "no pack that this version knows" in refusal(folder)
    packed(folder)
    assert len(opened(folder).clips) == COUNT


def test_what_is_told_of_a_shard_may_be_damaged_too(folder: Path) -> None:
    packed(folder)
    (folder / cache.PACK_NAME / "manifest.json").unlink()
    for path, content in zip(files(folder, "*.json"), ("{", "{}", '{"file": 1}'), strict=False):
        path.write_text(content)
    assert packed(folder).made == 3


# ---- what is refused ---------------------------------------------------------------------------


def test_a_folder_with_something_else_is_left_alone(folder: Path) -> None:
    (folder / cache.PACK_NAME).mkdir()
    (folder / cache.PACK_NAME / "diary.txt").write_text("mine")
    with pytest.raises(RequestError, match=r"diary\.txt"):
        packed(folder)
    assert [path.name for path in files(folder, "*")] == ["diary.txt"]


def test_nothing_to_pack_is_said(tmp_path: Path) -> None:
    nothing = Layout("x", tmp_path, [])
    with pytest.raises(RequestError, match="No clip"):
        pack(nothing, FORM, tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()
