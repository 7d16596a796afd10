"""Whatever a file holds, reading it ends in frames or in an error for people: no crash, no hang."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from kineograph.core.errors import RequestError
from kineograph.data.folder.conform import Form, conform
from kineograph.data.folder.entry import Entry, Status
from kineograph.data.folder.layouts import recognise

FORM = Form(16, 16, 10.0, "letterbox", (255, 255, 255))
PATIENCE = 60.0
"""Seconds after which a case counts as hanging; most take milliseconds."""

EXTREMES = [b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1", b"\1\0\0\0"]


@contextlib.contextmanager
def patience() -> Iterator[None]:
    """End the tests, telling where they are, if something takes for ever in a decoder."""
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def mutated(content: bytes, others: list[bytes], random: np.random.Generator) -> bytes:
    """A file with one to four kinds of damage."""
    data = bytearray(content)
    for _ in range(int(random.integers(1, 5))):
        where = int(random.integers(0, max(1, len(data))))
        length = int(min(len(data) - where, 2 ** random.integers(0, 12)))
        match int(random.integers(9)):
            case 0:
                del data[where:]
            case 1:
                del data[where : where + length]
            case 2:
                data[where : where + length] = random.bytes(length)
            case 3:
                data[where : where + length] = bytes(length)
            case 4 if data:
                data[where % len(data)] ^= 1 << int(random.integers(8))
            case 5:
                data[where : where + 4] = EXTREMES[int(random.integers(len(EXTREMES)))]
            case 6:
                data[where:where] = data[where : where + length]
            case 7:
                other = others[int(random.integers(len(others)))]
                data[where : where + length] = other[where : where + length]
            case 8:  # the places that decide most are at the beginning
                data[where % 64 : where % 64 + 1] = random.bytes(1)
    return bytes(data)


@pytest.fixture(scope="module")
def small(make: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Small clips of every kind, by name."""
    home = tmp_path_factory.mktemp("small")
    for kind in ("mp4", "webm", "gif", "webp", "apng"):
        make.put(home / f"plain.{kind}", make.counting(8, fps=12.5, height=24, width=20))
    make.put_at(home / "variable.mp4", [0, 90, 300, 310, 700], 900)
    pictures = [Image.new("RGBA", (12, 12), (k * 20, 0, 99, 255 - 30 * k)) for k in range(6)]
    for kind in ("gif", "webp", "png"):
        first, *more = pictures
        first.save(home / f"clear.{kind}", save_all=True, append_images=more, duration=80)
    return {path.name: path.read_bytes() for path in home.iterdir()}


def expect_words(error: RequestError) -> None:
    """An error for people says what happened and what to do, in what a terminal can show."""
    assert error.cause
    assert error.remedy
    str(error).encode()


def outcome(path: Path) -> bool:
    """Whether a file is a clip; anything but frames or a RequestError fails the test."""
    try:
        with patience():
            found = conform(Entry(path.name, path), FORM)
    except RequestError as error:
        expect_words(error)
        return False
    assert found.frames.shape[1:] == (16, 16, 3)
    assert len(found.frames) >= 1
    assert found.fps == 10
    return True


def read_mutants(files: dict[str, bytes], count: int, seed: int, folder: Path) -> float:
    """Read ``count`` damaged copies, turn by turn of each file; the share that was still read."""
    random = np.random.default_rng(seed)
    others = list(files.values())
    good = 0
    for number in range(count):
        name = sorted(files)[number % len(files)]
        path = folder / name
        path.write_bytes(mutated(files[name], others, random))
        good += outcome(path)
    return good / count


def test_damaged_clips_end_in_frames_or_an_error(small: dict[str, bytes], tmp_path: Path) -> None:
    share = read_mutants(small, 300, 0, tmp_path)
    assert 0.02 < share < 0.9, "the damage is neither always deadly nor always harmless"


@pytest.mark.slow
def test_two_thousand_damaged_clips(small: dict[str, bytes], tmp_path: Path) -> None:
    assert 0.02 < read_mutants(small, 2000, 1, tmp_path) < 0.9


@pytest.mark.slow
def test_two_thousand_damaged_real_clips(
    small: dict[str, bytes], dataset: Callable[[str], Path], tmp_path: Path
) -> None:
    real = {path.name: path.read_bytes() for path in dataset("clips").iterdir()}
    assert 0.02 < read_mutants(small | real, 2000, 1, tmp_path) < 0.9


def test_damaged_real_clips_end_in_frames_or_an_error(
    dataset: Callable[[str], Path], tmp_path: Path
) -> None:
    real = {path.name: path.read_bytes() for path in dataset("clips").iterdir()}
    short = {name: content for name, content in real.items() if len(content) < 100_000}
    assert len(short) >= 3
    read_mutants(short, 60, 2, tmp_path)


# ---- what lists and holds clips ----------------------------------------------------------------


def tar_bytes(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture(scope="module")
def lists(small: dict[str, bytes]) -> dict[str, bytes]:
    """The files that lay out a folder, by name; each alone makes one."""
    names = [*sorted(small), "gone.mp4", "../out.mp4"]
    rows = [{"file_name": name, "caption": f'clip "{k}", ü'} for k, name in enumerate(names)]
    texts = {f"{Path(name).stem}-{k}.txt": b"one" for k, name in enumerate(names)}
    sheet = io.BytesIO()
    Image.new("RGBA", (64, 32), (9, 9, 9, 255)).save(sheet, "PNG")
    cut = {"frame_width": 16, "frame_height": 16, "rows": ["a", {"frames": 3, "caption": "b"}]}
    return {
        "metadata.csv": b"file_name,caption\n"
        + "".join(f'{r["file_name"]},"{k}\nü"\n' for k, r in enumerate(rows)).encode(),
        "metadata.jsonl": "\n".join(json.dumps(row) for row in rows).encode(),
        "list.tsv": "\n".join(
            f"{r['file_name']}\t{k} \U0001f389" for k, r in enumerate(rows)
        ).encode(),
        "prompts.txt": "\n".join(r["caption"] for r in rows).encode(),
        "videos.txt": "\n".join(names).encode(),
        "plain.txt": "a caption, كرة".encode(),
        "set.tar": tar_bytes({**small, **texts, "clear.json": b'{"caption": "x"}'}),
        "hero.json": json.dumps(cut).encode(),
        "hero.png": sheet.getvalue(),
    }


def test_damaged_lists_end_in_entries_or_an_error(
    lists: dict[str, bytes], small: dict[str, bytes], tmp_path: Path
) -> None:
    random = np.random.default_rng(3)
    others = [*lists.values(), *small.values()]
    used = 0
    for number in range(360):
        name = sorted(lists)[number % len(lists)]
        home = tmp_path / str(number)
        home.mkdir()
        for other in ("plain.mp4", "clear.gif"):
            (home / other).write_bytes(small[other])
        for needed in {
            "prompts.txt": ["videos.txt"],
            "videos.txt": ["prompts.txt"],
            "hero.json": ["hero.png"],
            "hero.png": ["hero.json"],
        }.get(name, []):
            (home / needed).write_bytes(lists[needed])
        (home / name).write_bytes(mutated(lists[name], others, random))
        used += entries_of(home)
    assert used > 100


def entries_of(home: Path) -> int:
    """How many entries of a folder are clips, all of which are read."""
    try:
        with patience():
            layout = recognise(home)
    except RequestError as error:
        expect_words(error)
        return 0
    used = 0
    for entry in layout.entries:
        assert entry.status in get_args(Status)
        assert bool(entry.reason) == (entry.status != "used")
        entry.caption.encode()
        entry.reason.encode()
        if entry.status == "used":
            assert 0 < len(entry.caption) <= 1000
            assert entry.path.resolve().is_relative_to(home.resolve())
            with contextlib.suppress(RequestError), patience():
                conform(entry, FORM)
                used += 1
    return used
