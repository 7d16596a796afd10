"""Tar files are read where they lie, and nothing in them leads anywhere else."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kineograph.data.folder.conform import Form, conform
from kineograph.data.folder.entry import Entry
from kineograph.data.folder.layouts import recognise
from kineograph.data.folder.tar_shards import Window, read_shard

FORM = Form(16, 16, 10.0, "crop", (255, 255, 255))


def tar_of(path: Path, *members: tuple[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def reasons(path: Path) -> dict[str, tuple[str, str]]:
    entries = read_shard(path.parent, path.name)
    return {entry.video: (entry.status, entry.reason) for entry in entries}


def used(entries: list[Entry]) -> dict[str, str]:
    return {entry.video: entry.caption for entry in entries if entry.status == "used"}


@pytest.fixture
def webp(make: Any, tmp_path: Path) -> bytes:
    content: bytes = make.put(tmp_path / "clip.webp").read_bytes()
    (tmp_path / "clip.webp").unlink()
    return content


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_files_of_one_name_make_one_clip(form: int, webp: bytes, make: Any, tmp_path: Path) -> None:
    other = make.put(tmp_path / "other.mp4", make.counting(5)).read_bytes()
    (tmp_path / "other.mp4").unlink()
    tar_of(
        tmp_path / "set-0.tar",
        ("000.webp", webp),
        ("000.txt", b"one"),
        ("dir/000.json", b'{"caption": "another", "fps": 3}'),
        ("dir/000.mp4", other),
        ("000.cls", b"7"),
        form=form,
    )
    tar_of(tmp_path / "set-1.tar", ("000.txt", "fünf".encode()), ("000.webp", webp), form=form)
    layout = recognise(tmp_path)
    assert layout.name == "WebDataset: set-0.tar and 1 more"
    assert used(layout.entries) == {
        "set-0.tar/000.webp": "one",
        "set-0.tar/dir/000.mp4": "another",
        "set-1.tar/000.webp": "fünf",
    }
    shown = [make.numbers(conform(entry, FORM).frames) for entry in layout.entries]
    assert shown == [list(range(12)), list(range(5)), list(range(12))]
    assert used(recognise(tmp_path / "set-1.tar").entries) == {"set-1.tar/000.webp": "fünf"}


def test_a_list_of_captions_is_several(webp: bytes, tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", ("0.webp", webp), ("0.json", b'{"text": ["one", "two"]}'))
    entries = read_shard(tmp_path, path.name)
    assert [(e.name, e.caption) for e in entries] == [
        ("a.tar/0.webp", "one"),
        ("a.tar/0.webp (caption 2)", "two"),
    ]


def link(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("/etc/x.mp4", tarfile.REGTYPE, "absolute path"),
        ("C:/x.mp4", tarfile.REGTYPE, "absolute path"),
        ("../x.mp4", tarfile.REGTYPE, '".."'),
        ("a/../../x.mp4", tarfile.REGTYPE, '".."'),
        ("a\\..\\x.mp4", tarfile.REGTYPE, '".."'),
        ("x.mp4", tarfile.SYMTYPE, "link"),
        ("x.txt", tarfile.LNKTYPE, "link"),
        ("x.mp4", tarfile.CHRTYPE, "device"),
        ("x.mp4", tarfile.BLKTYPE, "device"),
        ("x.mp4", tarfile.FIFOTYPE, "device"),
        ("../outside", tarfile.DIRTYPE, '".."'),
    ],
)
def test_what_leads_elsewhere_is_refused_by_name_and_the_rest_is_read(
    name: str, kind: bytes, says: str, webp: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(link(name, kind))
        for good, content in (("b.webp", webp), ("b.txt", b"one")):
            info = tarfile.TarInfo(good)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    found = reasons(path)
    assert found.pop("a.tar/b.webp") == ("used", "")
    ((status, reason),) = found.values()
    assert status == "refused"
    assert says in reason
    assert name in reason


def test_two_members_of_one_name_are_not_mixed(webp: bytes, tmp_path: Path) -> None:
    path = tar_of(
        tmp_path / "a.tar",
        *(("0.webp", webp), ("0.txt", b"one"), ("0.webp", webp), ("0.gif", webp)),
    )
    entries = read_shard(tmp_path, path.name)
    assert [entry.status for entry in entries] == ["used", "same name", "same name"]


def test_a_clip_without_caption_or_with_a_bad_one_says_so(webp: bytes, tmp_path: Path) -> None:
    path = tar_of(
        tmp_path / "a.tar",
        *(("0.webp", webp), ("1.webp", webp), ("1.txt", b"\xff"), ("2.webp", webp)),
        *(("2.json", b"{"), ("3.webp", webp), ("3.json", b'{"text": ""}')),
    )
    assert reasons(path) == {
        "a.tar/0.webp": ("caption missing", "a.tar has no caption for it"),
        "a.tar/1.webp": (
            "caption unusable",
            "the caption in a.tar/1.txt, line 1 is not UTF-8 text",
        ),
        "a.tar/2.webp": ("caption missing", "a.tar has no caption for it"),
        "a.tar/3.webp": ("caption empty", "the caption in a.tar/3.json is empty"),
    }


def test_a_tar_that_is_cut_short_keeps_what_is_whole(webp: bytes, tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", ("0.webp", webp), ("0.txt", b"one"), ("1.webp", webp))
    content = path.read_bytes()
    end = content.rindex(webp) + len(webp) // 2
    path.write_bytes(content[:end])
    found = reasons(path)
    assert found["a.tar/0.webp"] == ("used", "")
    assert found["a.tar/1.webp"] == ("broken", "a.tar is cut short within it")


def test_a_broken_header_in_the_middle_is_not_taken_for_the_end(
    webp: bytes, tmp_path: Path
) -> None:
    path = tar_of(tmp_path / "a.tar", ("0.webp", webp), ("0.txt", b"one"), ("1.webp", webp))
    content = bytearray(path.read_bytes())
    start = content.index(b"1.webp")
    content[start + 100 : start + 160] = b"?" * 60
    path.write_bytes(content)
    found = reasons(path)
    assert found["a.tar/0.webp"] == ("used", "")
    assert found["a.tar"][0] == "broken"
    assert "no header at byte" in found["a.tar"][1]


@pytest.mark.parametrize("content", [b"", b"no tar" * 200, b"\x1f\x8b\x08" + bytes(600), bytes(10)])
def test_what_is_no_tar_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    ((status, reason),) = reasons(tmp_path / "a.tar").values()
    assert status == "broken"
    assert "no plain tar file" in reason


def test_a_window_reads_like_the_part_alone(tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(1000)
    whole = io.BytesIO(b"before" + content + b"behind")
    alone = io.BytesIO(content)
    from kineograph.data.folder.entry import Member

    part = Window(whole, Member(6, 1000))
    random = np.random.default_rng(1)
    for _ in range(300):
        whence = int(random.integers(3))
        offset = int(random.integers(0, 1100)) * (1 if whence == 0 else -1 if whence == 2 else 0)
        alone.seek(max(-1000, offset), whence)
        part.seek(max(-1000, offset), whence)
        assert part.tell() == alone.tell()
        size = int(random.integers(-1, 400))
        assert part.read(size) == alone.read(size)
