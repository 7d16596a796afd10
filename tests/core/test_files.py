"""Files are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from kineograph.core import files
from kineograph.core.errors import MachineError, RequestError


def entries(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def fail_with(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def run_python(code: str, *args: object, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=30,
        **more,  # type: ignore[call-overload]
    )


# ---- write_atomically --------------------------------------------------------------------------


def test_bytes_are_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    files.write_atomically(tmp_path / "a.bin", b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert entries(tmp_path) == ["a.bin"]


def test_a_function_may_write_into_the_file(tmp_path: Path) -> None:
    def write(file: BinaryIO) -> None:
        file.write(b"some ")
        file.write(b"more")

    files.write_atomically(tmp_path / "a.bin", write)
    assert (tmp_path / "a.bin").read_bytes() == b"some more"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def write(file: BinaryIO) -> None:
        file.write(b"half")
        raise error

    with pytest.raises(error):
        files.write_atomically(path, write)
    assert path.read_bytes() == b"old"
    assert entries(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_the_machines_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fail_with(number))
    with pytest.raises(MachineError) as caught:
        files.write_atomically(path, b"new")
    assert caught.value.cause == f"The disk is full: {path} could not be written."
    assert "Free some space" in caught.value.remedy
    assert path.read_bytes() == b"old"
    assert entries(tmp_path) == ["a.bin"]


def test_a_file_beyond_the_size_limit_leaves_nothing(tmp_path: Path) -> None:
    code = """
import sys
from kineograph.core import errors, files
try:
    files.write_atomically(sys.argv[1], bytes(100_000))
except errors.MachineError as error:
    print(error)
"""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))  # noqa: E731
    done = run_python(code, tmp_path / "a.bin", preexec_fn=limit)
    assert "a.bin grew beyond the largest file allowed here" in done.stdout
    assert not entries(tmp_path)


def test_a_kill_leaves_only_a_temporary_name(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"old")
    code = """
import os, signal, sys
from kineograph.core import files
def write(file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
files.write_atomically(sys.argv[1], write)
"""
    assert run_python(code, tmp_path / "a.bin").returncode == -signal.SIGKILL
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    leftover, whole = entries(tmp_path)
    assert files.is_temporary(leftover)
    assert not files.is_temporary(whole)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("gone/a.bin", "There is no folder .*gone"),
        ("file/a.bin", "is a file, not a folder"),
        ("folder", "is not a file"),
        ("x" * 300, "too long"),
        ("pipe", "is not a file"),
    ],
)
def test_a_place_that_cannot_hold_a_file_is_refused(tmp_path: Path, place: str, says: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = entries(tmp_path)
    with pytest.raises(RequestError, match=says):
        files.write_atomically(tmp_path / place, b"new")
    assert entries(tmp_path) == before


def test_a_long_name_is_written_all_the_same(tmp_path: Path) -> None:
    files.write_atomically(tmp_path / ("x" * 255), b"new")
    assert entries(tmp_path) == ["x" * 255]


# ---- translate_os_errors -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, MachineError),
        (errno.EIO, MachineError),
        (errno.EMFILE, MachineError),
        (errno.ENXIO, MachineError),
        (errno.EACCES, RequestError),
        (errno.EROFS, RequestError),
        (errno.ENOENT, RequestError),
        (errno.EEXIST, RequestError),
    ],
)
def test_a_system_error_becomes_one_with_a_remedy(number: int, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught, files.translate_os_errors("a.bin"):
        fail_with(number)()
    assert "a.bin" in str(caught.value)
    assert caught.value.remedy  # type: ignore[attr-defined]
    assert isinstance(caught.value.__cause__, OSError)


def test_the_file_that_the_system_names_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"weights\.bin"), files.translate_os_errors(tmp_path):
        (tmp_path / "weights.bin").read_bytes()


def test_a_full_disk_is_known_from_the_words_of_a_rust_library() -> None:
    message = "Error while serializing: I/O error: No space left on device (os error 28)"
    with pytest.raises(MachineError, match="disk is full"), files.translate_os_errors("a"):
        raise RuntimeError(message)


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), OSError("cannot identify image file"), BrokenPipeError(errno.EPIPE, "pipe")],
)
def test_other_errors_pass_unchanged(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, files.translate_os_errors("a"):
        raise error
    assert caught.value is error


# ---- check_free --------------------------------------------------------------------------------


def test_a_free_place_is_free_and_stays_untouched(tmp_path: Path) -> None:
    for place in ("a.mp4", "new/folder/a.mp4"):
        files.check_free(tmp_path / place)
    (tmp_path / "empty").mkdir()
    files.check_free(tmp_path / "empty")
    assert entries(tmp_path) == ["empty"]


def test_a_relative_place_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.check_free("a.mp4")
    files.check_free(".")


def test_what_is_in_the_way_needs_force(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"old")
    (tmp_path / "dangling").symlink_to("nowhere")
    for place in (tmp_path / "a.mp4", tmp_path / "dangling", tmp_path):
        with pytest.raises(RequestError, match=r"exists already\. Add --force"):
            files.check_free(place)
        files.check_free(place, force=True)
    assert (tmp_path / "a.mp4").read_bytes() == b"old"


@pytest.mark.parametrize("place", ["/dev/null", "/proc/new/a.mp4", "a\0b", "x/" + "y" * 300])
def test_a_place_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError) as caught:
        files.check_free(place, force=True)
    assert caught.value.remedy


def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in ("file/a.mp4", "file/deeper/a.mp4"):
        with pytest.raises(RequestError, match="is a file, not a folder"):
            files.check_free(tmp_path / place)


def test_a_full_disk_is_found_before_hours_of_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        fail_with(errno.ENOSPC)()

    monkeypatch.setattr(files.tempfile, "TemporaryFile", full)
    with pytest.raises(MachineError, match="disk is full"):
        files.check_free(tmp_path / "a.mp4")


# ---- seal, check_seal --------------------------------------------------------------------------


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"aaaa")
    (folder / "deep" / "b.bin").write_bytes(b"")
    (folder / ".tmp-rest").write_bytes(b"of a killed process")
    files.seal(folder)
    return folder


def test_a_sealed_folder_holds(sealed: Path) -> None:
    assert files.check_seal(sealed) == ["a.bin", "deep/b.bin"]
    manifest = json.loads((sealed / "manifest.json").read_text())
    assert manifest["format"] == 1
    assert manifest["files"]["a.bin"] == {
        "size": 4,
        "sha256": "61be55a8e2f6b4e172338bddf184d6dbee29c98853e0a0485ecee7f27b9af0b4",
    }


def test_sealing_again_takes_in_what_changed(sealed: Path) -> None:
    (sealed / "a.bin").write_bytes(b"bbbb")
    files.seal(sealed)
    assert files.check_seal(sealed) == ["a.bin", "deep/b.bin"]


def test_a_file_more_does_not_matter(sealed: Path) -> None:
    (sealed / "notes.txt").write_text("mine")
    assert files.check_seal(sealed) == ["a.bin", "deep/b.bin"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "a.bin is missing"),
        (b"aaa", "a.bin is damaged: it has 3 bytes and should have 4"),
        (b"aaab", "a.bin is damaged: its content has changed"),
    ],
)
def test_a_broken_file_is_named(sealed: Path, content: bytes | None, says: str) -> None:
    (sealed / "a.bin").unlink()
    if content is not None:
        (sealed / "a.bin").write_bytes(content)
    with pytest.raises(RequestError, match=says):
        files.check_seal(sealed)


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"format": 2, "files": {}}',
        '{"format": 1}',
        '{"format": 1, "files": {"a.bin": 4}}',
        '{"format": 1, "files": {"../a.bin": {"size": 4}}}',
        '{"format": 1, "files": {"/etc/passwd": {"size": 4}}}',
    ],
)
def test_a_damaged_manifest_is_refused(sealed: Path, manifest: str) -> None:
    (sealed / "manifest.json").write_text(manifest)
    with pytest.raises(RequestError, match=r"manifest\.json"):
        files.check_seal(sealed)


def test_a_folder_that_was_never_finished_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="was not written to its end"):
        files.check_seal(tmp_path)
    with pytest.raises(RequestError, match="There is no folder"):
        files.check_seal(tmp_path / "gone")


# ---- new_folder, publish -----------------------------------------------------------------------


def test_a_new_folder_appears_whole_and_sealed(tmp_path: Path) -> None:
    final = tmp_path / "runs" / "step-000500"
    with files.new_folder(final) as folder:
        (folder / "a.bin").write_bytes(b"a")
        assert files.is_temporary(folder)
        assert not final.exists()
    assert files.check_seal(final) == ["a.bin"]
    assert entries(final.parent) == ["step-000500"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_new_folder_that_fails_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def fill() -> None:
        with files.new_folder(tmp_path / "final") as folder:
            (folder / "a.bin").write_bytes(b"a")
            raise error

    with pytest.raises(error):
        fill()
    assert not entries(tmp_path)


def test_a_disk_that_fills_up_inside_a_new_folder_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill() -> None:
        with files.new_folder(tmp_path / "final") as folder:
            (folder / "a.bin").write_bytes(b"a")
            monkeypatch.setattr(os, "fsync", fail_with(errno.ENOSPC))

    with pytest.raises(MachineError, match=r"disk is full: .*final"):
        fill()
    assert not entries(tmp_path)


def test_a_folder_in_the_way_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    final = tmp_path / "model"
    with files.new_folder(final) as folder:
        (folder / "old.bin").touch()
    with pytest.raises(RequestError, match="exists already"), files.new_folder(final):
        pytest.fail("the body must not run")
    assert files.check_seal(final) == ["old.bin"]
    with files.new_folder(final, replace=True) as folder:
        (folder / "new.bin").touch()
    assert files.check_seal(final) == ["new.bin"]
    assert entries(tmp_path) == ["model"]


def test_a_failed_replacement_brings_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final, fresh = tmp_path / "model", tmp_path / "fresh"
    for folder in (final, fresh):
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    rename = Path.rename

    def fail_once(self: Path, target: Path) -> Path:
        if self == fresh:
            fail_with(errno.EIO)()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(MachineError):
        files.publish(fresh, final, replace=True)
    assert (final / "name").read_text() == "model"


def test_a_kill_while_a_folder_is_filled_leaves_only_a_temporary_name(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from kineograph.core import files
with files.new_folder(sys.argv[1]) as folder:
    (folder / "a.bin").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    final = tmp_path / "step-000500"
    assert run_python(code, final).returncode == -signal.SIGKILL
    (leftover,) = entries(tmp_path)
    assert files.is_temporary(leftover)
    with files.new_folder(final) as folder:  # and the next attempt does not stumble over it
        (folder / "a.bin").write_bytes(b"whole")
    assert files.check_seal(final) == ["a.bin"]


def test_what_only_fills_the_memory_or_never_ends_is_not_read(tmp_path: Path) -> None:
    large, pipe = tmp_path / "large.json", tmp_path / "pipe.json"
    with large.open("wb") as file:
        file.truncate(2**30)
    os.mkfifo(pipe)
    for path in (large, pipe):
        with pytest.raises(RequestError, match="far too large"):
            files.read_json(path)


def test_read_json_refuses_what_is_no_object(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for content in (b"", b"[1]", b"\xff\xfe\x00", b'{"a": '):
        path.write_bytes(content)
        with pytest.raises(RequestError, match=r"a\.json is damaged"):
            files.read_json(path)
    path.write_bytes(b'{"a": 1}')
    assert files.read_json(path) == {"a": 1}


def test_who_looks_whether_a_folder_is_locked_does_not_lock_it(tmp_path: Path) -> None:
    assert not files.is_locked(tmp_path)
    assert not files.is_locked(tmp_path / "missing")
    with files.locked(tmp_path):
        assert files.is_locked(tmp_path)
    assert not files.is_locked(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    with files.locked(tmp_path):
        pass
