"""Lists of clips: CSV, JSON lines and Parquet with captions, and prompts.txt + videos.txt."""

from __future__ import annotations

import csv
import importlib
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from kineograph.core.errors import RequestError, nearest
from kineograph.core.files import translate_os_errors
from kineograph.data.folder.entry import (
    Entry,
    captioned,
    is_movie,
    named,
    numbered,
    printable,
    read_text,
)

ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")
"""What a table may be."""

FILE_COLUMNS = ("file_name", "filename", "file", "path", "video", "video_path", "clip", "videos")
CAPTION_COLUMNS = ("caption", "text", "prompt", "description", "captions", "label")
"""Names of columns that are understood without being told, the first that is there."""

Record = tuple[int, dict[str, Any] | None]
"""A line's number, and its fields by name; None where the line cannot be read."""


def read_table(root: Path, table: str, caption_column: str | None) -> list[Entry]:
    """The entries of a table, given by its path within ``root``.

    Raises RequestError where the whole of it cannot be understood: no such columns, no CSV.
    """
    path, home = root / table, PurePosixPath(table).parent.as_posix()
    columns, records = _records(path)
    file, caption = _columns(columns, path, caption_column)
    entries = []
    for line, fields in records:
        where = f"{table}, line {line}" if line else table
        if fields is None:
            what = "object of JSON" if path.suffix.lower() == ".jsonl" else "row of a CSV file"
            reason = f"{where} is no {what}"
            entries.append(Entry(where, path, status="broken", reason=reason))
            continue
        entry = named(root, home, text_of(fields.get(file)) or "", where)
        entries += [captioned(entry, text, where) for text in texts_of(fields.get(caption))]
    return numbered(entries)


def is_table_of_clips(root: Path, table: str, caption_column: str | None) -> bool:
    """Whether a table has the columns that it needs; any other is somebody's notes."""
    try:
        columns, _ = _records(root / table)
        return bool(_columns(columns, root / table, caption_column))
    except RequestError:
        return False


def texts_of(value: Any) -> list[str | None]:
    """The captions in a field of JSON or Parquet: one, or each of a list."""
    return (
        [text_of(each) for each in value] or [None] if isinstance(value, list) else [text_of(value)]
    )


def text_of(value: Any) -> str | None:
    """A text or number, as text; None for what is none, such as the NaN of an empty cell."""
    if value is None or value != value or isinstance(value, list | dict):
        return None
    return str(value)


def _columns(known: Sequence[str], path: Path, caption_column: str | None) -> tuple[str, str]:
    """Which columns hold the file and the caption."""
    lower = {name.strip().lower(): name for name in reversed(known)}
    files = [*FILE_COLUMNS, *(name for name in lower if name.endswith("_file_name"))]
    file = next((lower[name] for name in files if name in lower), None)
    caption = next((lower[name] for name in CAPTION_COLUMNS if name in lower), None)
    if caption_column:
        caption = lower.get(caption_column.lower())
    have = ", ".join(printable(name) for name in known) or "none"
    if file is None:
        raise RequestError(
            f"{path} has no column with the names of files; its columns: {have}.",
            "Call that column file_name.",
        )
    if caption is None:
        guess = nearest(caption_column or "caption", known)
        hint = f'Did you mean "{guess}"? ' if guess and caption_column else ""
        raise RequestError(
            f"{path} has no column {caption_column or 'caption'}; its columns: {have}.",
            f"{hint}Name the one with the captions: --data.caption-column NAME.",
        )
    return file, caption


def _records(path: Path) -> tuple[list[str], Iterator[Record]]:
    """The names of the columns, and the lines."""
    if path.suffix.lower() == ".parquet":
        return _parquet(path)
    text = read_text(path)
    if path.suffix.lower() == ".jsonl":
        return _json_lines(text, path)
    return _csv(text, path)


# ---- CSV ---------------------------------------------------------------------------------------


def _csv(text: str, path: Path) -> tuple[list[str], Iterator[Record]]:
    """A header, or none where the first line names a clip already: then path, caption."""
    first = text.partition("\n")[0]
    if printable(first) != first:
        raise RequestError(f"{path}, line 1, is not UTF-8 text.", "Save it as UTF-8.")
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise RequestError(f"{path} is no CSV ({error}).", "Mend its first line.") from error
    if len(header) == 2 and is_movie(path.parent / header[0].strip()):
        return ["path", "caption"], _with_fields(reader, ["path", "caption"], header)
    return header, _with_fields(reader, header, None)


def _with_fields(reader: Any, header: list[str], first: list[str] | None) -> Iterator[Record]:
    if first is not None:
        yield 1, dict(zip(header, first, strict=True))
    while True:
        line = reader.line_num + 1  # where the record begins: it may take several lines
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield line, None
            continue
        if values:
            yield line, dict(zip(header, values, strict=False))


# ---- JSON lines, Parquet -----------------------------------------------------------------------


def _json_lines(text: str, path: Path) -> tuple[list[str], Iterator[Record]]:
    records: list[Record] = []
    columns: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        records.append((number, value if isinstance(value, dict) else None))
        columns |= dict.fromkeys(value if isinstance(value, dict) else ())
    return list(columns), iter(records)


def _parquet(path: Path) -> tuple[list[str], Iterator[Record]]:
    try:
        pyarrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise RequestError(
            f"Reading {path} takes pyarrow, which is not installed.",
            "Install it: pip install 'kineograph[parquet]'. Or save the table as CSV.",
        ) from error
    with translate_os_errors(path), path.open("rb") as file:
        try:
            table = parquet.ParquetFile(file)
            columns = list(table.schema_arrow.names)
            rows = table.read().to_pylist()
        except (pyarrow.ArrowException, ValueError) as error:
            raise RequestError(
                f"{path} is damaged or no Parquet ({error}).", "Write it again."
            ) from error
    return columns, ((number, row) for number, row in enumerate(rows, 1))


# ---- prompts.txt + videos.txt ------------------------------------------------------------------

PROMPTS = ("prompts.txt", "prompt.txt", "captions.txt", "caption.txt")
VIDEOS = "videos.txt"


def read_pair(root: Path, prompts: str) -> list[Entry]:
    """``prompts`` and videos.txt in ``root``: line by line a caption and its clip.

    Raises RequestError where they have not the same number of lines: no pair would be certain.
    """
    texts, names = _lines(root / prompts), _lines(root / VIDEOS)
    if len(texts) != len(names):
        raise RequestError(
            f"{root / prompts} has {len(texts):,} lines and {VIDEOS} {len(names):,}.",
            "Line n of one belongs to line n of the other: make them as many.",
        )
    entries = []
    for line, (text, name) in enumerate(zip(texts, names, strict=True), 1):
        entry = named(root, "", name, f"{VIDEOS}, line {line}")
        entries.append(captioned(entry, text, f"{prompts}, line {line}"))
    return numbered(entries)


def _lines(path: Path) -> list[str]:
    """Lines, without the empty ones that end many files."""
    return read_text(path).rstrip("\n").split("\n")
