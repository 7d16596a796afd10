"""WebDataset: tar files in which files of one name and different endings make one example.

Nothing is unpacked: a clip is read where it lies. A member that could write or read elsewhere if
somebody did unpack it (an absolute path, "..", a link, a device) is refused by name.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from kineograph.core.files import translate_os_errors
from kineograph.data.folder.entry import (
    MOVIES,
    Entry,
    Member,
    Status,
    captioned,
    numbered,
    printable,
)
from kineograph.data.folder.tables import CAPTION_COLUMNS, texts_of

_TEXTS = (".txt", ".caption", ".text", ".prompt")
_LONGEST = 1_000_000  # bytes of a caption or its JSON
_BROKEN = (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError, KeyError)


def read_shard(root: Path, name: str) -> list[Entry]:
    """The entries of the tar file ``name`` in ``root``; what is wrong with it is one of them."""
    path = root / name
    with translate_os_errors(path), path.open("rb") as file:
        shard = _Shard(path, name, file)
        try:
            shard.read()
        except _BROKEN as error:
            shard.refuse(name, "broken", f"it is damaged or no plain tar file ({error})")
    found = [entry for example in shard.examples.values() for entry in example.entries(name)]
    return found + shard.wrong


@dataclass
class _Example:
    """What a tar file has under one key."""

    movies: list[Entry] = field(default_factory=list)
    captions: list[str | None] = field(default_factory=list)
    source: str = ""
    """The member that the captions are from."""

    def entries(self, shard: str) -> Iterator[Entry]:
        for index, movie in enumerate(self.movies):
            if index:
                reason = f"another clip of {shard} has its name"
                yield replace(movie, status="same name", reason=reason)
            else:
                where = self.source or shard
                yield from numbered(captioned(movie, c, where) for c in self.captions or [None])


class _Shard:
    """A tar file being read."""

    def __init__(self, path: Path, name: str, file: BinaryIO) -> None:
        self.path, self.name, self.file = path, name, file
        self.size = path.stat().st_size
        self.examples: dict[str, _Example] = {}
        self.wrong: list[Entry] = []

    def read(self) -> None:
        """Fill ``examples`` and ``wrong``. Raises what `tarfile` raises at the damaged place."""
        with tarfile.open(fileobj=self.file, mode="r:") as tar:
            for member in tar:
                self.take(member)
            end = tar.offset
        self.file.seek(end)
        if self.file.read(512).strip(b"\0"):  # tarfile takes a broken header for the end
            raise tarfile.ReadError(f"there is no header at byte {end:,}")

    def take(self, member: tarfile.TarInfo) -> None:
        if member.isdir() and not _unsafe(member):
            return None
        shown = f"{self.name}/{printable(member.name)}"
        if why := _unsafe(member):
            return self.refuse(shown, "refused", f"{why}: {printable(member.name)}")
        if member.offset_data + member.size > self.size:
            return self.refuse(shown, "broken", f"{self.name} is cut short within it")
        pure = PurePosixPath(member.name)
        key, dot, ending = pure.name.partition(".")
        if not key or not dot:  # hidden, or of no kind
            return None
        suffix = "." + ending.rpartition(".")[2].lower()
        example = self.examples.setdefault((pure.parent / key).as_posix(), _Example())
        if suffix in MOVIES:
            part = Member(member.offset_data, member.size)
            example.movies.append(Entry(shown, self.path, part=part))
        elif suffix in _TEXTS or suffix == ".json":
            self.read_caption(member, example, suffix)
        return None

    def read_caption(self, member: tarfile.TarInfo, example: _Example, suffix: str) -> None:
        place = self.file.tell()
        self.file.seek(member.offset_data)
        content = self.file.read(min(member.size, _LONGEST))
        self.file.seek(place)
        text = content.decode("utf-8-sig", "surrogateescape")
        captions: list[str | None] = _json_captions(text) if suffix == ".json" else [text]
        if captions and (not example.captions or suffix != ".json"):
            example.captions = captions
            example.source = f"{self.name}/{printable(member.name)}"

    def refuse(self, shown: str, status: Status, reason: str) -> None:
        self.wrong.append(Entry(shown, self.path, status=status, reason=reason))


def _unsafe(member: tarfile.TarInfo) -> str:
    """Why a member is refused, or ""."""
    pure = PurePosixPath(member.name.replace("\\", "/"))
    if pure.is_absolute() or member.name[1:2] == ":":
        return "it has an absolute path"
    if ".." in pure.parts:
        return 'its path has ".."'
    if member.issym() or member.islnk():
        return "it is a link"
    if not (member.isfile() or member.isdir()) or member.issparse():
        return "it is a device or something else that is no ordinary file"
    return ""


def _json_captions(text: str) -> list[str | None]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(fields, dict):
        return []
    return next((texts_of(fields[c]) for c in CAPTION_COLUMNS if fields.get(c) is not None), [])


class Window(io.RawIOBase):
    """A part of a file, as a file: what a member of a tar file is."""

    def __init__(self, file: BinaryIO, member: Member) -> None:
        self.file, self.member, self.place = file, member, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the part, and tell it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.member.size}[whence]
        self.place = max(0, start + offset)
        return self.place

    def tell(self) -> int:
        """The place in the part."""
        return self.place

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes, none beyond the part."""
        left = max(0, self.member.size - self.place)
        self.file.seek(self.member.offset + self.place)
        content = self.file.read(left if size is None or size < 0 else min(size, left))
        self.place += len(content)
        return content
