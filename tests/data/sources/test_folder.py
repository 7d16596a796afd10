"""A person's own clips are a source like any other; what cannot be used is left out, and said."""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kineograph.core import config
from kineograph.core.errors import RequestError
from kineograph.data.folder import cache
from kineograph.data.folder.packing import pack
from kineograph.data.sources.folder import Config, Source, form_of, is_held_out, layout_of


@pytest.fixture
def home(make: Any, tmp_path: Path) -> Path:
    """Clips of 5 to 24 frames with a .txt beside each; those below 10 are too short."""
    for k in range(5, 25):
        make.put(tmp_path / "clips" / f"{k}.webp", make.counting(min(k, 20)))
        (tmp_path / "clips" / f"{k}.txt").write_text(f"counting to {k}")
    return tmp_path / "clips"


def settings(home: Path, **more: Any) -> Config:
    values = {"path": home, "height": 16, "width": 16, "split": "all"}
    return config.build(Config, values | more, path="data")


def source(home: Path, **more: Any) -> Source:
    return Source(settings(home, **more))


def pack_of(home: Path, **more: Any) -> None:
    chosen = settings(home, **more)
    place = cache.place(chosen.path, chosen.pack)
    pack(layout_of(chosen), form_of(chosen), place, workers=1)


# ---- what comes out ----------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("extraction", ["head", "uniform", "random", "chunks"])
def test_clips_are_a_pure_function_of_index_and_seed(
    extraction: str, packed: bool, home: Path
) -> None:
    if packed:
        pack_of(home)
    more = {"num_frames": 6, "frame_extraction": extraction, "repeats": 2}
    found = source(home, **more)
    indices = np.array([0, len(found) - 1, 1, 7])
    batch = found.batch(indices, 3)
    assert batch.frames.shape == (4, 6, 16, 16, 3)
    assert batch.frames.dtype == np.uint8
    assert batch.facts == [None] * 4
    for row, index in enumerate(indices):
        clip = source(home, **more).clip(int(index), 3)
        assert np.array_equal(clip.frames, batch.frames[row])
        assert clip.caption == batch.captions[row]
        assert clip.facts is None


def test_another_process_makes_the_same_clip(home: Path) -> None:
    code = (
        "import hashlib, sys; from pathlib import Path; "
        "from kineograph.data.sources.folder import Config, Source; "
        "c = Config(Path(sys.argv[1]), split='all', frame_extraction='random', repeats=9); "
        "print(hashlib.sha256(Source(c).clip(50, 9).frames.tobytes()).hexdigest())"
    )
    words = [sys.executable, "-c", code, str(home)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    here = source(home, height=64, width=64, frame_extraction="random", repeats=9).clip(50, 9)
    assert said.strip() == hashlib.sha256(here.frames.tobytes()).hexdigest()


def test_a_pack_and_the_files_give_the_same(home: Path) -> None:
    more = {"frame_extraction": "random", "repeats": 3}
    plain = source(home, **more)
    before = plain.batch(np.arange(len(plain)), 7)
    pack_of(home)
    packed = source(home, **more)
    after = packed.batch(np.arange(len(packed)), 7)
    assert np.array_equal(before.frames, after.frames)
    assert before.captions == after.captions


def test_frames_and_captions_belong_together(home: Path, make: Any) -> None:
    found = source(home, num_frames=5)
    assert len(found) == 20
    for index, k in enumerate(range(5, 25)):
        clip = found.clip(index, 0)
        assert clip.caption == f"counting to {k}"
        assert make.numbers(clip.frames) == [0, 1, 2, 3, 4]
        assert clip.fps == 10
    assert list(found.captions) == [f"counting to {k}" for k in range(5, 25)]


def test_what_is_drawn_on_a_clip_changes_no_other(home: Path) -> None:
    found = source(home)
    found.clip(0, 0).frames[:] = 99
    found.batch(np.array([0]), 0).frames[:] = 99
    assert not (found.clip(0, 0).frames == 99).any()


def test_random_places_vary_with_index_and_seed_and_cover_the_clip(home: Path, make: Any) -> None:
    found = source(home, num_frames=3, frame_extraction="random", repeats=200)
    places = {make.numbers(found.clip(20 * k + 19, 0).frames)[0] for k in range(200)}
    assert places == set(range(18))
    other = [make.numbers(found.clip(19, seed).frames)[0] for seed in range(50)]
    assert len(set(other)) > 10


def test_chunks_are_clips_of_their_own(home: Path, make: Any) -> None:
    found = source(home, num_frames=5, frame_extraction="chunks")
    assert len(found) == sum(min(k, 20) // 5 for k in range(5, 25))
    shown = [make.numbers(found.clip(k, 0).frames) for k in range(len(found))]
    assert shown[-4:] == [list(range(start, start + 5)) for start in (0, 5, 10, 15)]


def test_repeats_come_round_after_all_clips(home: Path) -> None:
    found = source(home, num_frames=5, repeats=3)
    assert len(found) == 60
    captions = found.batch(np.arange(60), 0).captions
    assert captions[:20] == captions[20:40] == captions[40:]


def test_strides_and_speeds_work_together(home: Path, make: Any) -> None:
    found = source(home, num_frames=4, stride=3, fps=20.0)
    clip = found.clip(19, 0)
    assert make.numbers(clip.frames) == [0, 1, 3, 4]
    assert clip.fps == pytest.approx(20 / 3)


# ---- what is left out --------------------------------------------------------------------------


def test_too_short_and_broken_clips_are_left_out_with_a_warning(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (home / "20.webp").write_bytes(b"no video")
    (home / "21.txt").write_text("")
    found = source(home)
    with caplog.at_level(logging.WARNING):
        assert len(found) == 13
    (record,) = caplog.records
    assert "6 of 19 clips are left out" in record.getMessage()
    assert "kineograph data check" in record.getMessage()
    assert "counting to 20" not in found.batch(np.arange(13), 0).captions


def test_a_folder_of_good_clips_gives_no_warning(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(source(home, num_frames=5)) == 20
    assert not caplog.records


def test_captions_are_known_before_anything_is_decoded(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "decode_all", None)
    assert len(source(home).captions) == 20


def test_where_nothing_is_left_the_reason_is_said(home: Path) -> None:
    for path in home.glob("*.webp"):
        path.write_bytes(b"no video")
    found = source(home)
    with pytest.raises(RequestError, match="damaged") as caught:
        len(found)
    assert "kineograph data check" in caught.value.remedy
    for path in home.glob("*.txt"):
        path.write_text("")
    with pytest.raises(RequestError, match="empty"):
        source(home)


def test_too_many_clips_for_the_memory_must_be_packed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MEMORY_LIMIT", 100_000)
    with pytest.raises(RequestError, match="GiB") as caught:
        len(source(home))
    assert f"kineograph data pack {home}" in caught.value.remedy
    pack_of(home)
    assert len(source(home)) == 15


# ---- splits ------------------------------------------------------------------------------------


def test_the_splits_share_no_video_and_leave_none_out(home: Path) -> None:
    parts = {
        split: {e.video for e in source(home, split=split, held_out=0.3).entries}
        for split in ("train", "held-out", "all")
    }
    assert not parts["train"] & parts["held-out"]
    assert parts["train"] | parts["held-out"] == parts["all"]
    assert parts["held-out"]


def test_new_clips_move_no_old_one(home: Path, make: Any) -> None:
    before = {e.video for e in source(home, split="held-out", held_out=0.3).entries}
    for k in range(30):
        make.put(home / f"0{k}.webp")
        (home / f"0{k}.txt").write_text("x")
    after = {e.video for e in source(home, split="held-out", held_out=0.3).entries}
    assert {video for video in after if not video.startswith("0")} == before


def test_the_share_is_kept_and_a_larger_one_contains_the_smaller() -> None:
    names = [f"clip-{k:05d}.mp4" for k in range(5000)]
    tenth = {name for name in names if is_held_out(name, 0.1)}
    third = {name for name in names if is_held_out(name, 0.3)}
    assert 440 <= len(tenth) <= 560
    assert tenth < third
    assert not any(is_held_out(name, 0.0) for name in names)
    assert is_held_out("k\udce4se", 0.9999), "a name need not be UTF-8"


def test_two_captions_of_one_video_stay_together(home: Path) -> None:
    rows = "".join(f"{k}.webp,one\n{k}.webp,two\n" for k in range(5, 25))
    (home / "metadata.csv").write_text("file_name,caption\n" + rows)
    for split in ("train", "held-out"):
        names = [e.video for e in source(home, split=split, held_out=0.4).entries]
        assert all(names.count(name) == 2 for name in names)


def test_a_split_without_clips_says_how_to_get_some(home: Path) -> None:
    with pytest.raises(RequestError, match="held-out") as caught:
        source(home, split="held-out", held_out=0.0)
    assert "--data.held-out" in caught.value.remedy


# ---- packs -------------------------------------------------------------------------------------


def test_a_pack_that_is_out_of_date_is_never_used(home: Path, make: Any) -> None:
    pack_of(home)
    assert len(source(home)) == 15
    make.put(home / "24.webp", make.counting(11))
    with pytest.raises(RequestError, match=r"1 changed \(24\.webp\)"):
        len(source(home))
    pack_of(home)
    with pytest.raises(RequestError, match=r"height 16, not 32"):
        len(source(home, height=32))


def test_which_frames_are_taken_may_change_without_a_new_pack(home: Path) -> None:
    pack_of(home)
    assert len(source(home, num_frames=4, frame_extraction="chunks", stride=2, repeats=2)) > 40


def test_a_pack_may_be_elsewhere_or_stand_for_its_clips(home: Path, tmp_path: Path) -> None:
    place = tmp_path / "fast disk" / "pack"
    pack_of(home, pack=place)
    assert not (home / cache.PACK_NAME).exists()
    there = source(home, pack=place)
    alone = source(place)
    assert np.array_equal(there.clip(3, 0).frames, alone.clip(3, 0).frames)
    assert list(alone.captions) == list(there.captions)
    with pytest.raises(RequestError, match="There is no pack"):
        len(source(home, pack=tmp_path / "nowhere"))


def test_somebody_elses_manifest_makes_no_pack(home: Path) -> None:
    (home / "manifest.json").write_text('{"format": 1, "files": {}}')
    assert len(source(home)) == 15


def test_a_pack_of_a_single_file_lies_beside_it(home: Path) -> None:
    table = home / "list.csv"
    table.write_text("path,caption\n15.webp,one\n16.webp,two\n")
    pack_of(table)
    assert cache.place(table, None) == home / f"list.csv-{cache.PACK_NAME}"
    assert cache.place(table, None).is_dir()
    assert len(source(table)) == 2
    assert len(layout_of(settings(home)).entries) == 20, "it is not taken for clips itself"


# ---- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"num_frames": 0}, "num_frames"),
        ({"height": 8}, "height"),
        ({"width": 5000}, "width"),
        ({"stride": 0}, "stride"),
        ({"repeats": 0}, "repeats"),
        ({"fps": 0.0}, "fps"),
        ({"fps": 1e9}, "fps"),
        ({"held_out": 1.0}, "held_out"),
        ({"background": "blak"}, 'Did you mean "black"'),
        ({"background": "#12"}, "#00ff00"),
        ({"frame_extraction": "middle"}, "head"),
        ({"resize": "stretch"}, "letterbox"),
        ({"split": "test"}, "held-out"),
    ],
)
def test_a_wrong_setting_is_refused(wrong: dict[str, Any], says: str, home: Path) -> None:
    with pytest.raises(RequestError) as caught:
        source(home, **wrong)
    assert says in str(caught.value)
    assert caught.value.remedy


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="nowhere"):
        source(tmp_path / "nowhere")


def test_the_path_must_be_given() -> None:
    with pytest.raises(RequestError, match=r"data\.path is missing"):
        config.build(Config, {}, path="data")


def test_settings_survive_a_file(home: Path) -> None:
    chosen = settings(home, fps="none", caption_column="words", pack=home / "p", split="train")
    assert config.build(Config, config.to_dict(chosen), path="data") == chosen


# ---- real clips --------------------------------------------------------------------------------


def test_real_clips_are_read(dataset: Callable[[str], Path], tmp_path: Path) -> None:
    """H.264 with two streams, H.265, AV1, ten bits, full range; at their own speeds."""
    home = tmp_path / "real"
    home.mkdir()
    for path in dataset("clips").iterdir():
        (home / path.name).write_bytes(path.read_bytes())
        (home / path.name).with_suffix(".txt").write_text(path.stem)
    found = source(home, height=64, width=64, frame_extraction="chunks")
    clips = [found.clip(k, 0) for k in range(len(found))]
    counts = {name: sum(c.caption == name for c in clips) for name in found.captions}
    assert counts == {
        "av1_video": 5,
        "bt709_full_range": 1,
        "h264_10bits": 1,
        "h265_video": 1,
        "nasa_13013": 13,
    }
    assert all(clip.frames.std() > 5 for clip in clips)
