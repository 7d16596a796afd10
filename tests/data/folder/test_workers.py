"""Decoding elsewhere gives what decoding here gives, and survives what would end it here."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kineograph.data.folder import workers
from kineograph.data.folder.conform import Conformed, Form, conform
from kineograph.data.folder.entry import Entry, Member, Row
from kineograph.data.folder.workers import conform_all, explained

FORM = Form(16, 16, None, "letterbox", (1, 2, 3))


@pytest.fixture
def entries(make: Any, tmp_path: Path) -> list[Entry]:
    paths = [make.put(tmp_path / f"{k}.webp", make.counting(k)) for k in range(1, 9)]
    return [Entry(path.name, path) for path in paths]


@pytest.mark.parametrize("count", [1, 3])
def test_clips_come_back_in_order_as_they_are(count: int, entries: list[Entry]) -> None:
    found = list(conform_all(entries, FORM, count))
    for entry, result in zip(entries, found, strict=True):
        here = conform(entry, FORM)
        assert isinstance(result, Conformed)
        assert np.array_equal(result.frames, here.frames)
        assert (result.fps, result.original_frames) == (here.fps, here.original_frames)


def test_what_is_wrong_with_one_clip_ends_nothing(entries: list[Entry]) -> None:
    entries[1].path.write_bytes(b"no video")
    entries[4].path.unlink()
    found = list(conform_all(entries, FORM, 2))
    assert [isinstance(result, str) for result in found] == [k in (1, 4) for k in range(8)]
    assert "damaged" in str(found[1])
    assert "no file" in str(found[4])


def test_parts_of_files_reach_the_worker(entries: list[Entry], tmp_path: Path) -> None:
    content = entries[3].path.read_bytes()
    (tmp_path / "a.tar").write_bytes(bytes(100) + content)
    member = Entry("m", tmp_path / "a.tar", part=Member(100, len(content)))
    row = Entry("r", entries[0].path, part=Row(0, 0, 16, 16, 1, 10.0))
    first, second = conform_all([member, row], FORM, 1)
    assert isinstance(first, Conformed)
    assert len(first.frames) == 4
    assert "damaged" in str(second), "a WebP is no sheet"


def crashing(code: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let workers run ``code`` for the clip 3.webp."""
    (tmp_path / "faulty.py").write_text(
        "import os, signal, time, sys\n"
        "from kineograph.data.folder import workers\n"
        "ours = workers.explained\n"
        "def explained(entry, form):\n"
        f"    if entry.name == '3.webp':\n        {code}\n"
        "    return ours(entry, form)\n"
        "workers.explained = explained\n"
        "workers.main()\n"
    )
    start = subprocess.Popen

    def popen(words: list[str], **more: Any) -> Any:
        return start([sys.executable, str(tmp_path / "faulty.py")], **more)

    monkeypatch.setattr(workers.subprocess, "Popen", popen)


def test_a_decoder_that_crashes_costs_one_clip(
    entries: list[Entry], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    crashing("os.kill(os.getpid(), signal.SIGKILL)", monkeypatch, tmp_path)
    found = list(conform_all(entries, FORM, 2))
    assert [isinstance(result, str) for result in found] == [k == 2 for k in range(8)]
    assert "it makes the decoder crash" in str(found[2])


def test_a_decoder_that_never_ends_costs_one_clip(
    entries: list[Entry], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    crashing("time.sleep(600)", monkeypatch, tmp_path)
    found = list(conform_all(entries[2:4], FORM, 1, time_limit=6.0))
    assert "takes over 6 s" in str(found[0])
    assert isinstance(found[1], Conformed)


def test_what_a_library_prints_is_no_answer(
    entries: list[Entry], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    crashing("print('hello'); os.write(1, b'hello')", monkeypatch, tmp_path)
    assert all(isinstance(result, Conformed) for result in conform_all(entries, FORM, 1))


def test_whoever_stops_asking_leaves_no_process_behind(entries: list[Entry]) -> None:
    before = children()
    results = conform_all(entries, FORM, 2)
    next(results)
    assert len(children()) > len(before)
    results.close()
    assert children() == before


def children() -> set[str]:
    """Processes that this one has started."""
    lists = list(Path(f"/proc/{os.getpid()}/task").glob("*/children"))
    if not lists:
        pytest.skip("this system does not list processes like that")
    found: set[str] = set()
    for each in lists:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended
            found.update(each.read_text().split())
    return found


def test_an_error_that_nobody_foresaw_is_a_reason_too(
    entries: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr(workers, "conform", stumble)
    assert explained(entries[0], FORM) == "it cannot be decoded (KeyError: 'surprise')"


def test_ctrl_c_is_left_to_the_parent() -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "kineograph.data.folder.workers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(
        b'{"entry": {"video": "x", "path": "x", "part": null}, "form": {"height": '
        b'16, "width": 16, "fps": 10, "resize": "crop", "background": [0,0,0]}}\n'
    )
    worker.stdin.flush()
    assert b"no file" in worker.stdout.readline()
    worker.send_signal(signal.SIGINT)
    worker.stdin.close()
    assert worker.wait(20) == 0
    worker.stdout.close()
