"""Files that are whole or not there: written beside their place, fsynced, checksummed, renamed.

Whatever is under way is named ``.tmp-...``. A killed process leaves such names behind and nothing
else; readers pass them over, and they may be deleted at any time when nothing runs.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # so that one sees that there is none

from kineograph.core.errors import (
    DiskFullError,
    KineographError,
    MachineError,
    RequestError,
    in_short,
)

TEMPORARY_PREFIX = ".tmp-"
"""How the name of everything begins that is not finished."""

MANIFEST = "manifest.json"
"""The file that seals a folder; it is written last."""

_LOCK = ".lock"
_LOCK_TRIES = 6
_MANIFEST_FORMAT = 1
_MOST_TOLD = 2**28  # bytes
_LONGEST_NAME = 255  # bytes, on every file system in common use
_FULL = {errno.ENOSPC, errno.EDQUOT}
_MACHINE = {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENODEV, errno.ESTALE}


@contextlib.contextmanager
def translate_os_errors(path: str | Path) -> Iterator[None]:
    """Turn what the operating system says about ``path`` into an error that a person can mend.

    Raises MachineError for a full disk, a size limit or a failing disk, and RequestError for a
    path that is missing, forbidden, in the way or no folder. A lost connection, and an OSError
    without a number (Pillow raises such), are not about files and pass unchanged.
    """
    try:
        yield
    except KineographError:
        raise
    except OSError as error:
        if error.errno is None or isinstance(error, ConnectionError):
            raise
        raise _translated(error.errno, _blamed(error, Path(path)), error.strerror) from error
    except Exception as error:
        # Rust's libraries (safetensors, tokenizers) hide the system's error number in words.
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        code = int(number[1])
        raise _translated(code, Path(path), os.strerror(code)) from error


def _blamed(error: OSError, path: Path) -> Path:
    """The path to name: the one that the system names, unless it is a temporary name of ours."""
    named = error.filename
    if not isinstance(named, str) or TEMPORARY_PREFIX in named:
        return path
    return Path(named)


def _translated(number: int, path: Path, says: str | None) -> KineographError:
    elsewhere = "Choose another place."
    if number in _FULL:
        return DiskFullError(
            f"The disk is full: {path} could not be written.",
            "Free some space or choose another disk, then run the same command again.",
        )
    if number == errno.EFBIG:
        return DiskFullError(
            f"{path} grew beyond the largest file allowed here.",
            "Raise the limit (`ulimit -f`) or choose another disk.",
        )
    if number in _MACHINE:
        return MachineError(f"{path} failed: {says}.", "See that the disk is well and try again.")
    if number == errno.ENOENT:
        if not path.parent.exists():
            return RequestError(f"There is no folder {path.parent}.", "Check the spelling.")
        return RequestError(f"There is no file or folder {path}.", "Check the spelling.")
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return RequestError(f"{path} may not be read or written ({says}).", elsewhere)
    if number == errno.ENOTDIR:
        return RequestError(f"Part of the path {path} is a file, not a folder.", elsewhere)
    if number == errno.EISDIR:
        return RequestError(f"{path} is a folder, not a file.", "Name a file.")
    if number in (errno.EEXIST, errno.ENOTEMPTY):
        return RequestError(f"{path} is in the way.", "Remove it or choose another place.")
    if number == errno.ENAMETOOLONG:
        return RequestError(f"The name {path.name[:40]}... is too long.", "Choose a shorter one.")
    return MachineError(f"{path} failed: {says}.", elsewhere)


def cache_folder() -> Path | None:
    """Where this user's programs keep what can be made again; None where there is no home."""
    try:
        if os.environ.get("XDG_CACHE_HOME"):
            folder = Path(os.environ["XDG_CACHE_HOME"])
        elif sys.platform == "darwin":
            folder = Path.home() / "Library/Caches"
        elif sys.platform == "win32":
            folder = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local"))
        else:
            folder = Path.home() / ".cache"
    except RuntimeError:
        return None
    return folder / "kineograph"


def is_temporary(path: str | Path) -> bool:
    """Whether the name says that this is unfinished work, or what a killed process left of it."""
    return Path(path).name.startswith(TEMPORARY_PREFIX)


def check_free(path: str | Path, force: bool = False) -> None:
    """See, before hours of work, that ``path`` (a file or a folder) can be written.

    An empty folder counts as free. Folders above it need not exist. Raises RequestError where
    something is in the way and not ``force``, where it is no file and no folder (a device), and
    where its folder cannot be made or written; MachineError where the disk is full already.
    """
    path = Path(path)
    if "\0" in str(path):
        raise RequestError("A path cannot hold a null character.", "Choose another name.")
    for part in path.parts:
        if len(os.fsencode(part)) > _LONGEST_NAME:
            raise _translated(errno.ENAMETOOLONG, Path(part), None)
    with translate_os_errors(path):
        if path.is_symlink() or path.exists():
            _check_replaceable(path, force)
        folder = path if path.is_dir() else path.parent
        while not folder.exists():
            folder = folder.parent
        _check_writable(folder)


def _check_replaceable(path: Path, force: bool) -> None:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise RequestError(f"{path} is neither a file nor a folder.", "Choose another place.")
    empty = path.is_dir() and not any(path.iterdir())
    if not force and not empty:
        raise RequestError(
            f"{path} exists already.", "Add --force to overwrite it, or choose another place."
        )


def _check_writable(folder: Path) -> None:
    """Write into the folder: permission bits alone say too little (root, read-only mounts)."""
    if not folder.is_dir():
        raise RequestError(f"{folder} is a file, not a folder.", "Choose another place.")
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=TEMPORARY_PREFIX) as file:
            file.write(b"\0")
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise RequestError(
            f"The folder {folder} cannot be written ({error.strerror}).", "Choose another place."
        ) from error


def write_atomically(path: str | Path, data: bytes | Callable[[BinaryIO], object]) -> None:
    """Write ``data``, or let it write into a file, so that ``path`` is the old or the new, whole.

    Replaces a file that is there: ask :func:`check_free` first. Raises MachineError for a full
    disk, and RequestError for a missing or forbidden folder or a path that is no file.
    """
    path = Path(path)
    with translate_os_errors(path):
        if path.exists() and not path.is_file():  # a rename would replace even /dev/null
            raise RequestError(f"{path} is not a file.", "Choose another place.")
        temporary = _sibling(path)
        try:
            with temporary.open("xb") as file:
                if callable(data):
                    data(file)
                else:
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def _sibling(path: Path) -> Path:
    """A temporary name in the same folder, since a rename is atomic only within a disk."""
    return path.with_name(f"{TEMPORARY_PREFIX}{path.name[:40]}-{secrets.token_hex(6)}")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder last; where a system cannot do that there is nothing to do."""
    if os.name == "nt":
        return
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def read_small(path: str | Path) -> bytes:
    """Read a file that tells of others. Raises RequestError where it is missing, a device, or above
    256 MiB, so that nobody's file fills the memory."""
    path = Path(path)
    with translate_os_errors(path):
        told = path.stat()
        if not stat.S_ISREG(told.st_mode) or told.st_size > _MOST_TOLD:
            raise RequestError(f"{path} is no such file, or far too large.", "Use another copy.")
        return path.read_bytes()


def read_json(path: str | Path) -> dict[str, object]:
    """Read a JSON object. Raises RequestError where it is missing, damaged or something else."""
    path = Path(path)
    try:
        value = json.loads(read_small(path))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{path} is damaged: {error}.", "Restore it or make it anew.") from error
    if not isinstance(value, dict):
        raise RequestError(f"{path} is damaged: it holds no object.", "Restore it or make it anew.")
    return value


def seal(folder: str | Path) -> None:
    """Write ``manifest.json``: size and SHA-256 of every file in ``folder`` and below."""
    folder = Path(folder)
    with translate_os_errors(folder):
        files = {
            path.relative_to(folder).as_posix(): {
                "size": path.stat().st_size,
                "sha256": _sha256(path),
            }
            for path in _files(folder)
            if path != folder / MANIFEST
        }
    text = json.dumps({"format": _MANIFEST_FORMAT, "files": files}, indent=2) + "\n"
    write_atomically(folder / MANIFEST, text.encode())


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and not is_temporary(p))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_seal(folder: str | Path) -> list[str]:
    """See that every file of a sealed folder is as it was; returns their names.

    Raises RequestError, naming the file, where one is missing, cut short or changed, and where
    the folder or its manifest is. Files that the manifest does not name do not matter.
    """
    folder = Path(folder)
    if folder.is_dir() and not (folder / MANIFEST).exists():
        raise RequestError(
            f"{folder} has no {MANIFEST}: it was not written to its end.", "Use another copy."
        )
    sealed = _sealed(folder / MANIFEST)
    for name, entry in sealed.items():
        fault = _fault(folder / name, entry)
        if fault:
            raise RequestError(f"{folder / name} {fault}.", "Restore it, or use another copy.")
    return list(sealed)


def _sealed(path: Path) -> dict[str, dict[str, object]]:
    manifest = read_json(path)
    again = "Restore it, or use another copy."
    if manifest.get("format") != _MANIFEST_FORMAT:
        raise RequestError(f"{path} is of a format that this version does not know.", again)
    files = manifest.get("files")
    if not isinstance(files, dict) or not all(isinstance(e, dict) for e in files.values()):
        raise RequestError(f"{path} is damaged: it lists no files.", again)
    for name, entry in files.items():
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or "\0" in name:
            raise RequestError(f"{path} names {in_short(name)}, outside its folder.", again)
        if type(entry.get("size")) is not int or not isinstance(entry.get("sha256"), str):
            raise RequestError(
                f"{path} is damaged: it tells too little of {in_short(name)}.", again
            )
    return files


def _fault(path: Path, entry: dict[str, object]) -> str | None:
    """What is wrong with a sealed file, or None."""
    if not path.is_file():
        return "is missing"
    with translate_os_errors(path):
        size = path.stat().st_size
        if size != entry.get("size"):
            return f"is damaged: it has {size} bytes and should have {entry.get('size')}"
        if _sha256(path) != entry.get("sha256"):
            return "is damaged: its content has changed since it was written"
    return None


def publish(temporary: str | Path, final: str | Path, *, replace: bool = False) -> None:
    """Make a finished folder last and give it its name in one rename.

    Raises RequestError where ``final`` is in the way and not ``replace``. With ``replace`` the old
    one is first moved aside, so a kill at that very moment leaves it as ``.tmp-...``.
    """
    temporary, final = Path(temporary), Path(final)
    with translate_os_errors(final):
        for path in sorted(temporary.rglob("*"), reverse=True):  # what is inside comes first
            _sync_folder(path) if path.is_dir() else _sync(path)
        _sync_folder(temporary)
        if not replace:
            check_free(final)
        aside = _sibling(final)
        moved = replace and final.exists()
        if moved:
            final.rename(aside)
        try:
            temporary.rename(final)
        except BaseException:
            if moved:
                aside.rename(final)
            raise
        _sync_folder(final.parent)
        if moved:
            _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Have a folder for oneself; the lock ends with the process, however that ends.

    Raises RequestError where another process has it. Where a system knows no such locks, nobody
    is kept out.
    """
    if fcntl is None:
        yield
        return
    path = Path(folder) / _LOCK
    with translate_os_errors(path), path.open("ab") as file:
        if not _taken(file):
            raise RequestError(
                f"Another process is writing into {folder}.",
                "Wait for it to end, or choose another folder.",
            )
        file.truncate(0)
        file.write(f"{os.getpid()} {platform.node()}".encode())
        file.flush()
        yield


def _taken(file: BinaryIO) -> bool:
    """Whether the lock is ours now; who only looks at it holds it for an instant."""
    for _ in range(_LOCK_TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.05)
    return False


def holder(folder: str | Path) -> int | None:
    """The process that has a folder for itself, where it is known and on this machine."""
    if not is_locked(folder):
        return None
    with contextlib.suppress(OSError, ValueError):
        process, machine = (Path(folder) / _LOCK).read_text("utf-8").split(" ", 1)
        return int(process) if machine == platform.node() else None
    return None


def is_locked(folder: str | Path) -> bool:
    """Whether somebody has a folder for themselves; looks, and keeps nobody out for longer."""
    if fcntl is None:
        return False
    try:
        with (Path(folder) / _LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # such as a folder that nobody has ever locked
        return False
    return False


@contextlib.contextmanager
def new_folder(final: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield an empty folder to fill; at the end it is sealed and becomes ``final``.

    If the body raises, nothing is left. Folders above ``final`` are made. Raises what
    :func:`check_free`, :func:`seal` and :func:`publish` raise.
    """
    final = Path(final)
    check_free(final, force=replace)
    with translate_os_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = _sibling(final)
        try:
            temporary.mkdir()
            yield temporary
            seal(temporary)
            publish(temporary, final, replace=replace)
        except BaseException:
            _remove(temporary)
            raise
