"""A clip as a folder names it, before anything is decoded: its file, its caption, what is wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from kineograph.core.conventions import MAX_PROMPT_CHARACTERS
from kineograph.core.errors import RequestError
from kineograph.core.files import is_temporary, translate_os_errors

Status = Literal[
    "used",
    "too short",
    "caption missing",
    "caption empty",
    "caption unusable",
    "missing",
    "refused",
    "same name",
    "broken",
]
"""What becomes of a clip; all but the first are left out."""

PACK_NAME = "kineograph-pack"
"""The folder, inside a folder of clips, that holds what `cache` decoded."""

MOVIES = frozenset(
    (
        *(".3gp", ".asf", ".avi", ".dv", ".f4v", ".flv", ".h264", ".hevc", ".ivf", ".m2ts"),
        *(".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".obu"),
        *(".ogg", ".ogv", ".ts", ".webm", ".wmv", ".gif", ".webp", ".apng"),
    )
)
"""Endings of files that may be clips; a .png is one where it is animated."""

_LONGEST_CAPTION_FILE = 1_000_000  # bytes; a longer one is something else


@dataclass(frozen=True)
class Member:
    """Where a clip lies in a tar file, in bytes."""

    offset: int
    size: int


@dataclass(frozen=True)
class Row:
    """Where a clip lies on a sprite sheet: ``count`` frames, side by side, in pixels."""

    left: int
    top: int
    width: int
    height: int
    count: int
    fps: float


@dataclass(frozen=True)
class Entry:
    """One clip with one caption."""

    video: str
    """The video's own name: its path within the folder, with ``/``."""
    path: Path
    """Its file, or its folder of pictures."""
    caption: str = ""
    status: Status = "used"
    reason: str = ""
    """Why it is left out."""
    part: Member | Row | None = None
    """Where in the file, if it is not all of it."""
    number: int = 1
    """1, 2, ... for the captions of one video."""

    @property
    def name(self) -> str:
        """What no other clip of the folder is called."""
        return self.video if self.number == 1 else f"{self.video} (caption {self.number})"

    @property
    def has_file(self) -> bool:
        """Whether there is something to decode, whatever is wrong with the caption."""
        return self.status == "used" or self.status.startswith("caption")


def captioned(entry: Entry, text: str | None, where: str) -> Entry:
    """The entry with its caption, or with what is wrong about it.

    ``where`` is the file, and the line, for messages; ``text`` None says that there is none, and
    bytes that are not UTF-8 stand in it as `read_text` leaves them.
    """
    if entry.status != "used":
        return replace(entry, caption=printable(" ".join((text or "").split())))
    if text is None:
        return replace(entry, status="caption missing", reason=f"{where} has no caption for it")
    wrong = next((i for i, c in enumerate(text) if "\ud800" <= c <= "\udfff"), None)
    if wrong is not None:
        line = "" if ", line" in where else f", line {text.count(chr(10), 0, wrong) + 1}"
        reason = f"the caption in {where}{line} is not UTF-8 text"
        return replace(entry, status="caption unusable", reason=reason)
    caption = " ".join(text.split())
    if not caption:
        return replace(entry, status="caption empty", reason=f"the caption in {where} is empty")
    if len(caption) > MAX_PROMPT_CHARACTERS:
        reason = (
            f"the caption in {where} has {len(caption):,} characters, "
            f"{MAX_PROMPT_CHARACTERS:,} at most"
        )
        return replace(entry, caption=caption, status="caption unusable", reason=reason)
    return replace(entry, caption=caption)


def numbered(entries: Iterable[Entry]) -> list[Entry]:
    """Give the captions of one video their numbers; the same caption again is left out."""
    seen: dict[str, list[str]] = {}
    result = []
    for entry in entries:
        captions = seen.setdefault(entry.video, [])
        if entry.status == "used" and entry.caption in captions:
            entry = replace(entry, status="same name", reason="listed before, with this caption")
        captions.append(entry.caption)
        result.append(replace(entry, number=len(captions)))
    return result


def read_text(path: Path) -> str:
    """A whole text file; bytes that are not UTF-8 become lone surrogates, so that few are lost.

    Raises RequestError where it cannot be read or is too long for captions.
    """
    with translate_os_errors(path):
        content = path.read_bytes()
    return content.decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n")


def caption_file(entry: Entry, path: Path, root: Path) -> Entry:
    """The entry with the caption that a text file of its own holds."""
    where = path.relative_to(root).as_posix()
    if not path.is_file():
        reason = f"there is no {where}"
        return replace(entry, status="caption missing", reason=reason)
    if path.stat().st_size > _LONGEST_CAPTION_FILE:
        reason = f"{where} is too long for a caption: {path.stat().st_size:,} bytes"
        return replace(entry, status="caption unusable", reason=reason)
    return captioned(entry, read_text(path), where)


def named(root: Path, folder: str, name: str, where: str) -> Entry:
    """The entry for a file that a list names; refused where it would lie outside ``root``.

    ``folder`` is the list's own, within ``root``; names are relative to it, or absolute.
    """
    clean = name.strip().replace("\\", "/")
    pure = PurePosixPath(clean)
    video = (PurePosixPath(folder) / pure).as_posix()
    if pure.is_absolute() and pure.is_relative_to(root.absolute().as_posix()):
        video = pure.relative_to(root.absolute().as_posix()).as_posix()
    shown = printable(clean)
    if re.match(r"[a-z][a-z0-9+.-]+://", clean, re.IGNORECASE):
        reason = f"{where} names an address: download the clip and name its file"
        return Entry(shown, root, status="missing", reason=reason)
    if not clean or "\0" in clean or shown != clean:
        return Entry(shown or where, root, status="broken", reason=f"{where} names no file")
    pure = PurePosixPath(video)
    if pure.is_absolute() or ".." in pure.parts or re.match(r"[A-Za-z]:/", video):
        reason = f"{where} names a path outside the folder"
        return Entry(shown, root, status="refused", reason=reason)
    path = root / video
    if not _is_file(path):
        reason = f"{where} names it, and there is no such file"
        return Entry(video, path, status="missing", reason=reason)
    return Entry(video, path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for one
        return False


def printable(text: str) -> str:
    """Without lone surrogates, which no file and few terminals can hold."""
    return text.encode("utf-8", "replace").decode()


# ---- the files of a folder ---------------------------------------------------------------------


def files_below(root: Path) -> list[str]:
    """Every file's path within ``root``, with ``/``, 9 before 10.

    Hidden and unfinished files are passed over, and so are linked folders, which may be circular.
    """
    found = []
    with translate_os_errors(root):
        for folder, folders, names in os.walk(root, onerror=_fail):
            folders[:] = [f for f in folders if not _passed_over(f) and f != PACK_NAME]
            inside = Path(folder).relative_to(root)
            found += [(inside / name).as_posix() for name in names if not _passed_over(name)]
    return sorted(found, key=natural)


def _fail(error: OSError) -> None:
    raise error


def _passed_over(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX" or is_temporary(name)


def natural(name: str) -> list[tuple[int, str]]:
    """A key to sort by: numbers by their value, the rest by its letters."""
    parts = re.split(r"(\d{1,18})", name)
    return [(int(part), "") if i % 2 else (-1, part) for i, part in enumerate(parts)]


def movies(root: Path, files: Sequence[str]) -> list[str]:
    """Those of ``files`` that may be clips."""
    return [name for name in files if is_movie(root / name)]


def is_movie(path: Path) -> bool:
    """Whether a file may be a clip, by its ending; a .png must be animated."""
    suffix = path.suffix.lower()
    return suffix in MOVIES or (suffix == ".png" and _is_animated(path))


def _is_animated(path: Path) -> bool:
    """An animated PNG says so before its first picture."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError:
        return False
    return b"acTL" in start.partition(b"IDAT")[0]


def unlisted(root: Path, files: Sequence[str], listed: Collection[str], where: str) -> list[Entry]:
    """Entries for the clips that lie in a folder and that its list does not name."""
    return [
        Entry(name, root / name, status="caption missing", reason=f"{where} does not name it")
        for name in movies(root, files)
        if name not in listed
    ]


def no_clips(path: Path) -> RequestError:
    """The error for a folder that holds none."""
    return RequestError(
        f"{path} holds no clips that are recognised.",
        "Put videos there with a .txt of the same name beside each, or a metadata.csv with the "
        "columns file_name and caption.",
    )
