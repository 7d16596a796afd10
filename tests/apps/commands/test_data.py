"""Sources can be looked at and written out; a person's folder can be checked and packed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kineograph.data.folder import check as checking
from kineograph.data.sources import folder
from kineograph.data.sources.tutorial import CAPTIONS, Config, Source
from kineograph.data.video_io import read_video

# ---- preview -----------------------------------------------------------------------------------


def test_a_preview_is_a_sheet_of_the_first_clips(call: Any) -> None:
    done = call("data", "preview", "tutorial", "--count", "4")
    assert (done.code, done.out) == (0, "wrote tutorial.png\n")
    with Image.open("tutorial.png") as image:
        assert image.width > 500
    told = call("data", "preview", "tutorial", "--out", "b.png", "--json").json
    assert told == {"files": ["b.png"], "captions": list(CAPTIONS), "notes": {}}


def test_a_preview_tells_what_a_source_found(call: Any, clips: Path) -> None:
    done = call("data", "preview", "folder", "--data.path", "clips", "--data.held-out", "0")
    assert done.out.splitlines() == [
        "  recognised as  Hugging Face VideoFolder: metadata.csv",
        "wrote folder.png",
    ]


@pytest.mark.parametrize("kind", ["webp", "gif", "mp4", "webm"])
def test_a_preview_that_plays_shows_the_clips_side_by_side(kind: str, call: Any) -> None:
    assert call("data", "preview", "tutorial", "--count", "3", "--out", f"a.{kind}").code == 0
    video = read_video(f"a.{kind}")
    assert len(video.frames) == 10
    assert video.frames.shape[2] > 2 * 3 * 64
    assert video.fps == 10


def test_a_preview_into_a_folder_is_a_video_of_each(call: Any) -> None:
    told = call("data", "preview", "tutorial", "--count", "2", "--out", "clips/", "--json").json
    assert told["files"] == ["clips/clip-0000.mp4", "clips/clip-0001.mp4"]


def test_settings_reach_the_source(call: Any) -> None:
    words = ["data", "preview", "tutorial", "--count", "1", "--out"]
    call(*words, "plain.png")
    call(*words, "again.png")
    call(*words, "letter.png", "--data.variation", "0")
    plain, again, letter = (
        Path(f"{name}.png").read_bytes() for name in ("plain", "again", "letter")
    )
    assert plain == again
    assert plain != letter


def test_a_small_source_is_shown_whole(call: Any) -> None:
    told = call("data", "preview", "tutorial", "--data.num-clips", "5", "--json").json
    assert told["captions"] == list(CAPTIONS[:5])


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("tutoril",), 'Did you mean "tutorial"?'),
        (("tutorial", "--data.variaton", "0"), 'Did you mean "data.variation"?'),
        (("tutorial", "--variation", "0"), "--data.variation"),
        (("tutorial", "--data.variation", "much"), "It must be a number"),
        (("tutorial", "--data.variation", "7"), "Choose 0 to 1"),
        (("tutorial", "--count", "0"), "at least one"),
        (("tutorial", "--data.num-clips", "5", "--count", "6"), "Ask for less"),
        (("tutorial", "--out", "x.bmp"), "Known: .mp4"),
        (("tutorial", "--out", "there.png"), "--force"),
        (("mine.py",), "spelling"),
        (("folder",), "data.path is missing"),
    ],
)
def test_a_wrong_preview_is_refused_and_writes_nothing(
    words: tuple[str, ...], hint: str, call: Any
) -> None:
    Path("there.png").write_text("mine")
    done = call("data", "preview", *words)
    assert done.code == 2
    assert hint in " ".join(done.err.split())
    assert [path.name for path in Path().iterdir()] == ["there.png"]
    assert Path("there.png").read_text() == "mine"


# ---- export ------------------------------------------------------------------------------------


def test_an_export_is_read_back_as_it_was(call: Any) -> None:
    told = call("data", "export", "tutorial", "out", "--count", "3", "--seed", "5", "--json").json
    assert told == {"folder": "out", "clips": 3, "seed": 5}
    source, back = Source(Config()), folder.Source(folder.Config(Path("out"), split="all"))
    for index in range(3):
        clip = back.clip(index, 0)
        assert clip.caption == CAPTIONS[index]
        assert np.array_equal(clip.frames, source.clip(index, 5).frames)
    again = call("data", "export", "tutorial", "out", "--count", "3")
    assert again.code == 2
    assert "holds videos already" in again.err


@pytest.mark.parametrize(
    ("words", "tolerance"),
    [
        (("--layout", "frames"), 0.0),
        (("--layout", "videofolder", "--kind", "webp"), 0.0),
        (("--layout", "videofolder", "--kind", "gif"), 0.0),
        (("--layout", "videofolder"), 0.3),
    ],
)
def test_what_is_exported_can_be_trained_on(
    words: tuple[str, ...], tolerance: float, call: Any
) -> None:
    call("data", "export", "tutorial", "out", "--count", "20", *words)
    again = folder.Source(folder.Config(Path("out"), split="all"))
    first = Source(Config()).batch(np.arange(20), 0)
    second = again.batch(np.arange(20), 0)
    assert second.captions == first.captions
    assert np.abs(second.frames.astype(int) - first.frames).mean() <= tolerance


def test_a_video_folder_has_the_columns_that_hugging_face_wants(call: Any) -> None:
    call("data", "export", "tutorial", "out", "--count", "2", "--layout", "videofolder")
    with Path("out/metadata.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"file_name": f"clip-0000{k}.mp4", "caption": CAPTIONS[k]} for k in range(2)
        ]
    again = call("data", "export", "tutorial", "out", "--layout", "videofolder")
    assert again.code == 2
    assert "not empty" in again.err


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("tutorial",),
        ("tutorial", "x", "--count", "0"),
        ("tutoril", "x"),
        ("tutorial", "f/x"),
        ("tutorial", "x", "--layout", "zip"),
    ],
)
def test_a_wrong_export_is_refused(words: tuple[str, ...], call: Any) -> None:
    Path("f").touch()
    assert call("data", "export", *words).code == 2
    assert [path.name for path in Path().iterdir()] == ["f"]


# ---- check and pack ----------------------------------------------------------------------------


@pytest.fixture
def clips(call: Any) -> Path:
    """Four good clips of the tutorial."""
    call("data", "export", "tutorial", "clips", "--count", "4", "--layout", "videofolder")
    return Path("clips")


def test_a_check_of_good_clips_says_yes_and_draws_them(call: Any, clips: Path) -> None:
    done = call("data", "check", "clips", "--workers", "1")
    assert done.code == 0
    assert "Hugging Face VideoFolder" in done.out
    assert "Left out" not in done.out
    with Image.open("clips-check.png") as image:
        assert image.width > 500
    again = call("data", "check", "clips", "--workers", "1", "--json")
    assert again.json["sheet"] == "clips-check-2.png"
    assert again.json["counts"] == {"used": 4}


def test_a_check_tells_changes_apart_from_what_is_left_out_and_what_helps(
    call: Any, clips: Path
) -> None:
    (clips / "clip-00002.mp4").unlink()
    done = call("data", "check", "clips", "--data.fps", "5", "--data.num-frames", "5")
    assert done.code == 1
    assert done.out.splitlines()[:6] == [
        "clips, recognised as Hugging Face VideoFolder: metadata.csv.",
        "",
        "  used       3 of 4",
        "    retimed  3, to 5 frames/s",
        "  missing    1",
        "",
    ]
    said = " ".join(done.out.split())
    assert "3 clips to learn from, 0 kept for testing (--data.held-out 0.1)" in said
    assert "What helps: missing mend the list, or put the file there" in said


def test_a_check_that_drops_something_says_no_and_names_it(call: Any, clips: Path) -> None:
    with (clips / "metadata.csv").open("a") as file:
        file.write("gone\x1b[2J\u202e.mp4,x\n../../out.mp4,y\n")
    (clips / "clip-00001.mp4").write_bytes(b"no video")
    done = call("data", "check", "clips", "--out", "sheet.png")
    assert done.code == 1
    said = " ".join(done.out.split())
    assert "Left out, 3 of 6" in said
    assert "clip-00001.mp4 broken: it is damaged" in said
    assert "../../out.mp4 refused" in said
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    assert Path("sheet.png").exists()
    told = call("data", "check", "clips", "--out", "sheet.png", "--force", "--json")
    assert told.code == 1
    assert told.json["counts"] == {"used": 3, "missing": 1, "refused": 1, "broken": 1}


def test_a_check_goes_by_the_settings(call: Any, clips: Path) -> None:
    words = ["data", "check", "clips", "--json", "--workers", "1"]
    assert call(*words, "--data.num-frames", "11").json["counts"] == {"too short": 4}
    told = call(*words, "--data.fps", "20", "--data.height", "32").json
    assert told["counts"] == {"used": 4, "retimed": 4, "resized": 4}


def test_a_check_where_nothing_can_be_used_draws_nothing(call: Any) -> None:
    Path("clips").mkdir()
    Path("clips/a.mp4").touch()
    told = call("data", "check", "clips", "--json")
    assert told.code == 1
    assert told.json["sheet"] is None


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("nowhere",), "no folder nowhere"),
        (("empty",), "holds no clips"),
        (("f.txt",), "holds no clips"),
        ((), "FOLDER is missing"),
        (("clips", "--data.fsp", "3"), 'Did you mean "data.fps"?'),
        (("clips", "--fps", "3"), "--data.fps"),
        (("clips", "--data.path", "x"), "Drop it"),
        (("clips", "--data.background", "wite"), 'Did you mean "white"'),
        (("clips", "--workers", "0"), "Choose 1"),
        (("clips", "--out", "there.png"), ""),
    ],
)
@pytest.mark.parametrize("command", ["check", "pack"])
def test_a_wrong_request_is_refused(
    command: str, words: tuple[str, ...], hint: str, call: Any, clips: Path
) -> None:
    for name in ("f.txt", "there.png"):
        Path(name).touch()
    Path("empty").mkdir()
    before = sorted(Path().rglob("*"))
    done = call("data", command, *words)
    assert done.code == 2
    assert hint in " ".join(done.err.split())
    assert sorted(Path().rglob("*")) == before


def test_a_sheet_that_cannot_be_written_is_refused_before_anything_is_read(
    call: Any, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "check", None)
    done = call("data", "check", "clips", "--out", "f.txt")
    assert (done.code, "Name a .png" in done.err) == (2, True)
    Path("there.png").touch()
    done = call("data", "check", "clips", "--out", "there.png")
    assert (done.code, "--force" in done.err) == (2, True)


def test_a_pack_is_made_used_and_made_only_once(call: Any, clips: Path) -> None:
    told = call("data", "pack", "clips", "--workers", "1", "--json").json
    assert told["folder"] == "clips/kineograph-pack"
    assert told["clips"] == 4
    assert told["bytes"] == 4 * 10 * 64 * 64 * 3
    again = call("data", "pack", "clips")
    assert again.code == 0
    assert "4 were there" in again.out
    shown = call("data", "preview", "folder", "--data.path", "clips", "--data.split", "all")
    assert shown.code == 0
    stale = call("data", "preview", "folder", "--data.path", "clips", "--data.fps", "5", "--force")
    assert stale.code == 2
    assert "was made with fps 10.0, not 5.0" in " ".join(stale.err.split())


def test_a_pack_says_what_it_left_out(call: Any, clips: Path) -> None:
    (clips / "clip-00001.mp4").write_bytes(b"no video")
    (clips / "unlisted.mp4").write_bytes(b"a video or not")
    done = call("data", "pack", "clips", "--out", "elsewhere")
    assert done.code == 0
    said = " ".join(done.out.split())
    assert "Left out, 2:" in said
    assert "clip-00001.mp4 broken: it is damaged" in said
    assert "unlisted.mp4 caption missing: metadata.csv does not name it" in said
    assert Path("elsewhere/manifest.json").exists()
    assert not Path("clips/kineograph-pack").exists()
    assert call("data", "pack", "elsewhere").code == 2


def test_help_says_what_it_does(call: Any) -> None:
    for command in ("preview", "export", "check", "pack"):
        assert call("data", command, "--help").code == 0
    assert "--workers" in call("data", "check", "--help").out
