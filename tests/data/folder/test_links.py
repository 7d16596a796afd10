"""Links stay inside a folder of clips, or its owner says that they need not."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest

from kineograph.core.errors import RequestError
from kineograph.data.folder.check import check
from kineograph.data.folder.layouts import Layout, recognise
from kineograph.data.sources.folder import Config, Source


def fates(layout: Layout) -> dict[str, str]:
    return {e.name: e.status if e.status != "used" else e.caption for e in layout.entries}


def reasons(layout: Layout) -> str:
    return "\n".join(entry.reason for entry in layout.entries)


@pytest.fixture
def private(make: Any, tmp_path: Path) -> Path:
    """A folder of somebody's own: a clip, frames, and a text."""
    home = tmp_path / "private"
    make.put(home / "film.webp")
    (home / "diary.txt").write_text("dear diary")
    return home


@pytest.fixture
def clips(make: Any, private: Path, tmp_path: Path) -> Path:
    """A folder with a clip of its own and one that is a link to the private one."""
    home = tmp_path / "clips"
    make.put(home / "mine.webp")
    (home / "mine.txt").write_text("a clip")
    (home / "theirs.webp").symlink_to(private / "film.webp")
    (home / "theirs.txt").write_text("their clip")
    return home


def test_a_linked_clip_outside_is_refused_unless_it_is_wanted(clips: Path) -> None:
    layout = recognise(clips)
    assert fates(layout) == {"mine.webp": "a clip", "theirs.webp": "refused"}
    assert "--data.follow-links" in reasons(layout)
    wanted = recognise(clips, follow_links=True)
    assert fates(wanted) == {"mine.webp": "a clip", "theirs.webp": "their clip"}
    assert len(Source(Config(clips, follow_links=True, split="all"))) == 2


def test_a_refused_link_is_not_even_decoded(clips: Path, private: Path) -> None:
    (private / "film.webp").write_bytes(b"no film")
    (clips / "theirs.txt").write_text("")
    assert {f.name: f.status for f in check(Config(clips), workers=1).findings} == {
        "mine.webp": "used",
        "theirs.webp": "refused",
    }


def test_a_list_does_not_make_a_link_outside_good(clips: Path, private: Path) -> None:
    (clips / "there").symlink_to(private)
    rows = "mine.webp,one\ntheirs.webp,two\nthere/film.webp,three\n"
    (clips / "metadata.csv").write_text("file_name,caption\n" + rows)
    expected = {"mine.webp": "one", "theirs.webp": "refused", "there/film.webp": "refused"}
    assert fates(recognise(clips)) == expected
    (clips / "metadata.csv").rename(clips / "list.csv")
    assert fates(recognise(clips / "list.csv")) == expected


def test_a_linked_caption_outside_is_not_read(clips: Path, private: Path) -> None:
    (clips / "mine.txt").unlink()
    (clips / "mine.txt").symlink_to(private / "diary.txt")
    layout = recognise(clips)
    assert fates(layout)["mine.webp"] == "caption missing"
    assert "mine.txt is a link" in reasons(layout)
    assert fates(recognise(clips, follow_links=True))["mine.webp"] == "dear diary"


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "prompts.txt", "x.tar"])
def test_a_linked_list_outside_is_not_read(name: str, clips: Path, private: Path) -> None:
    (private / name).write_text("file_name,caption\nmine.webp,hers\n")
    (clips / name).symlink_to(private / name)
    (clips / "videos.txt").write_text("mine.webp")
    found = fates(recognise(clips))
    assert found[name] == "refused"
    assert found["mine.webp"] == "a clip"


def test_a_linked_frame_outside_costs_its_clip(make: Any, private: Path, tmp_path: Path) -> None:
    from kineograph.data.folder.frame_folders import write_frame_folders

    home = tmp_path / "frames"
    write_frame_folders([make.counting(3)] * 3, home)
    first, second = home / "video_1" / "frame_1.png", home / "video_2" / "prompt.txt"
    first.rename(private / "frame_1.png")
    first.symlink_to(private / "frame_1.png")
    second.unlink()
    second.symlink_to(private / "diary.txt")
    assert fates(recognise(home)) == {
        "video_0": "counting to 3",
        "video_1": "refused",
        "video_2": "caption missing",
    }
    assert fates(recognise(home / "video_0")) == {"video_0": "counting to 3"}


def test_a_folder_of_nothing_but_links_says_what_to_do(private: Path, tmp_path: Path) -> None:
    home = tmp_path / "links"
    home.mkdir()
    (home / "a.webp").symlink_to(private / "film.webp")
    with pytest.raises(RequestError, match="only links") as caught:
        recognise(home)
    assert "--data.follow-links" in caught.value.remedy


def test_links_inside_the_folder_and_to_it_are_fine(clips: Path, tmp_path: Path) -> None:
    (clips / "theirs.webp").unlink()
    (clips / "theirs.webp").symlink_to("mine.webp")
    (tmp_path / "way").symlink_to(clips)
    expected = {"mine.webp": "a clip", "theirs.webp": "their clip"}
    assert fates(recognise(clips)) == fates(recognise(tmp_path / "way")) == expected


def test_a_cache_of_hugging_face_is_read(clips: Path, private: Path, tmp_path: Path) -> None:
    """There every file is a link into the blobs beside the snapshots."""
    repository = tmp_path / "datasets--me--clips"
    snapshot, blobs = repository / "snapshots" / "0a1b", repository / "blobs"
    (snapshot / "train").mkdir(parents=True)
    blobs.mkdir()
    (blobs / "c0ffee").write_bytes((private / "film.webp").read_bytes())
    (blobs / "beef").write_text("file_name,caption\na.webp,one\nb.webp,two\n")
    (snapshot / "train" / "a.webp").symlink_to("../../../blobs/c0ffee")
    (snapshot / "train" / "b.webp").symlink_to(private / "film.webp")
    (snapshot / "train" / "metadata.csv").symlink_to("../../../blobs/beef")
    assert fates(recognise(snapshot)) == {"train/a.webp": "one", "train/b.webp": "refused"}
    assert fates(recognise(snapshot / "train")) == {"a.webp": "one", "b.webp": "refused"}


def test_a_file_that_the_user_names_may_be_a_link(private: Path, tmp_path: Path) -> None:
    with tarfile.open(private / "x.tar", "w") as tar:
        tar.add(private / "film.webp", "film.webp")
        tar.add(private / "diary.txt", "film.txt")
    (tmp_path / "way.tar").symlink_to(private / "x.tar")
    assert fates(recognise(tmp_path / "way.tar")) == {"way.tar/film.webp": "dear diary"}
