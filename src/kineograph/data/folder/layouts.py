"""How a folder of clips is laid out: which of the usual ways it is, and the clips it names.

Nothing is decoded here. What is wrong with one clip is said in its entry; only what makes the
whole folder unclear is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from kineograph.core.errors import RequestError
from kineograph.core.files import translate_os_errors
from kineograph.data.folder import tables
from kineograph.data.folder.conform import FRAME
from kineograph.data.folder.entry import (
    MOVIES,
    Entry,
    caption_file,
    captioned,
    files_below,
    is_movie,
    movies,
    natural,
    no_clips,
    unlisted,
)
from kineograph.data.folder.links import LEADS_OUT, Borders
from kineograph.data.folder.sheet_rows import is_sheet, read_sheet
from kineograph.data.folder.tar_shards import read_shard

_SPLITS = frozenset(
    (
        *("train", "training", "validation", "valid", "val", "dev"),
        *("test", "testing", "eval", "evaluation"),
    )
)
"""Folders that are no class, as Hugging Face reads them."""

_TELLING = (*MOVIES, *tables.ENDINGS, ".tar", ".json")
"""How the names of files end that are clips or speak of clips."""

_METADATA = tuple(f"metadata{ending}" for ending in tables.ENDINGS if ending != ".tsv")


@dataclass(frozen=True)
class Layout:
    """A folder that was recognised."""

    name: str
    """As people call it, and what it was recognised by."""
    root: Path
    entries: list[Entry]


@dataclass(frozen=True)
class _Folder:
    root: Path
    files: list[str]
    strays: frozenset[str]
    """Links that lead outside; they are none of ``files``."""
    caption_column: str | None


def recognise(path: Path, caption_column: str | None = None, follow_links: bool = False) -> Layout:
    """A folder, or a .tar or table in it => its clips.

    Raises RequestError where it is missing, holds no clips, or is laid out in no known way.
    """
    with translate_os_errors(path):
        if path.is_file():
            named = _file(path, caption_column)
            borders = Borders(path.parent, path)
            return named if follow_links else _bordered(named, borders, frozenset())
        if not path.is_dir():
            raise RequestError(f"There is no folder {path}.", "Check the spelling.")
    borders, files = Borders(path), files_below(path)
    strays = frozenset(() if follow_links else (f for f in files if borders.crossed(path / f)))
    folder = _Folder(path, [f for f in files if f not in strays], strays, caption_column)
    for layout in _LAYOUTS:
        found = layout(folder)
        if found is not None and found.entries:
            return found if follow_links else _bordered(found, borders, strays)
    if strays:
        raise RequestError(
            f"In {path} there are only links that lead outside it, such as {min(strays)}.",
            "If they are as you want them, add --data.follow-links true.",
        )
    raise no_clips(path)


def _bordered(layout: Layout, borders: Borders, strays: frozenset[str]) -> Layout:
    """The layout without what lies elsewhere, and with the links that nothing in it speaks of."""
    spoilt = {layout.root / PurePosixPath(name).parent for name in strays if _is_frame(name)}
    entries = [
        replace(entry, status="refused", reason=f"it is {LEADS_OUT}")
        if entry.has_file and (entry.path in spoilt or borders.crossed(entry.path))
        else entry
        for entry in layout.entries
    ]
    spoken_of = {entry.video for entry in entries}
    for name in sorted(strays - spoken_of, key=natural):
        if name.lower().endswith(_TELLING) or name in (*tables.PROMPTS, tables.VIDEOS):
            path = layout.root / name
            entries.append(Entry(name, path, status="refused", reason=f"it is {LEADS_OUT}"))
    return replace(layout, entries=entries)


def _is_frame(name: str) -> bool:
    return FRAME.fullmatch(PurePosixPath(name).name) is not None


def _file(path: Path, caption_column: str | None) -> Layout:
    root, suffix = path.parent, path.suffix.lower()
    if suffix == ".tar":
        return Layout(f"WebDataset: {path.name}", root, read_shard(root, path.name))
    if suffix in tables.ENDINGS:
        entries = tables.read_table(root, path.name, caption_column)
        if entries:
            return Layout(f"table of clips and captions: {path.name}", root, entries)
    if is_movie(path):
        raise RequestError(f"{path} is a single clip.", f"Name its folder: {root}")
    raise no_clips(path)


def _video_folder(folder: _Folder) -> Layout | None:
    """Hugging Face VideoFolder; each metadata file speaks of its own folder."""
    found = [f for f in folder.files if PurePosixPath(f).name in _METADATA]
    if not found:
        return None
    homes = [PurePosixPath(name).parent for name in found]
    for home, name in zip(homes, found, strict=True):
        if homes.count(home) > 1:
            raise RequestError(
                f"{folder.root / home} holds several metadata files, {name} among them.",
                "Keep the one that counts.",
            )
    entries = [
        entry
        for name in found
        for entry in tables.read_table(folder.root, name, folder.caption_column)
    ]
    named = f"Hugging Face VideoFolder: {_some(found)}"
    return _with_unlisted(named, folder, entries, _some(found))


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _with_unlisted(name: str, folder: _Folder, entries: list[Entry], where: str) -> Layout:
    listed = {entry.video for entry in entries}
    return Layout(name, folder.root, entries + unlisted(folder.root, folder.files, listed, where))


def _pair(folder: _Folder) -> Layout | None:
    prompts = next((name for name in tables.PROMPTS if name in folder.files), None)
    if prompts is None or tables.VIDEOS not in folder.files:
        return None
    entries = tables.read_pair(folder.root, prompts)
    return _with_unlisted(f"{prompts} + {tables.VIDEOS}", folder, entries, tables.VIDEOS)


def _frame_folders(folder: _Folder) -> Layout | None:
    """The tutorial's; a folder without pictures counts where it has a prompt."""
    names = [PurePosixPath(name) for name in folder.files]
    frames = {p.parent for p in names if FRAME.fullmatch(p.name)}
    frames |= {p.parent for p in names if p.name == "prompt.txt" and p.parent.name}
    if not any(FRAME.fullmatch(p.name) for p in names) or not frames:
        return None
    entries = []
    for home in sorted(frames, key=lambda p: natural(p.as_posix())):
        path = folder.root / home
        entry = Entry(home.as_posix() if home.parts else path.resolve().name, path)
        entries.append(_captioned_by(folder, entry, (home / "prompt.txt").as_posix()))
    name = "the tutorial's folders of frames: frame_0.png … and prompt.txt"
    return Layout(name, folder.root, entries)


def _tar_shards(folder: _Folder) -> Layout | None:
    shards = [name for name in folder.files if name.lower().endswith(".tar")]
    entries = [entry for name in shards for entry in read_shard(folder.root, name)]
    return Layout(f"WebDataset: {_some(shards)}", folder.root, entries) if shards else None


def _sprite_sheets(folder: _Folder) -> Layout | None:
    sheets = [f for f in folder.files if f.endswith(".json") and is_sheet(folder.root, f)]
    entries = [entry for name in sheets for entry in read_sheet(folder.root, name)]
    return Layout(f"sprite sheets: {_some(sheets)}", folder.root, entries) if sheets else None


def _table(folder: _Folder) -> Layout | None:
    """The one table at the top that speaks of clips."""
    tables_here = [
        name
        for name in folder.files
        if "/" not in name
        and name.lower().endswith(tables.ENDINGS)
        and tables.is_table_of_clips(folder.root, name, folder.caption_column)
    ]
    if not tables_here:
        return None
    if len(tables_here) > 1:
        raise RequestError(
            f"{folder.root} holds several tables of clips: {', '.join(tables_here)}.",
            f"Name one: {folder.root / tables_here[0]}",
        )
    name = tables_here[0]
    entries = tables.read_table(folder.root, name, folder.caption_column)
    return _with_unlisted(f"table of clips and captions: {name}", folder, entries, name)


def _texts_beside(folder: _Folder) -> Layout | None:
    clips, texts = movies(folder.root, folder.files), {*folder.files, *folder.strays}
    if not any(_text_of(name) in texts for name in clips):
        return None
    entries = []
    taken: dict[str, str] = {}
    for name in clips:
        entry, text = Entry(name, folder.root / name), _text_of(name)
        first = taken.setdefault(text, name)
        if first != name:
            reason = f"{first} has this name too, and {text} would belong to both"
            entry = replace(entry, status="same name", reason=reason)
        entries.append(_captioned_by(folder, entry, text))
    return Layout("clips with a .txt of the same name beside each", folder.root, entries)


def _captioned_by(folder: _Folder, entry: Entry, text: str) -> Entry:
    """The entry with the caption that the text file of that name holds."""
    if text in folder.strays:
        return replace(entry, status="caption missing", reason=f"{text} is {LEADS_OUT}")
    return caption_file(entry, folder.root / text, folder.root)


def _text_of(clip: str) -> str:
    return PurePosixPath(clip).with_suffix(".txt").as_posix()


def _class_folders(folder: _Folder) -> Layout | None:
    """The caption is the folders' names; clips beside the folders have none.

    Above the classes there may be a folder for each split, as Hugging Face has it.
    """
    clips = movies(folder.root, folder.files)
    if not any("/" in name for name in clips):
        return None
    split = all(PurePosixPath(name).parts[0].lower() in _SPLITS for name in clips)
    entries = []
    for name in clips:
        parts = PurePosixPath(name).parent.parts[split:]
        words = " ".join(parts).replace("_", " ").replace("-", " ")
        entry = Entry(name, folder.root / name)
        entries.append(captioned(entry, words or None, "the name of its folder"))
    return Layout("class folders: a folder's name is the caption", folder.root, entries)


def _bare(folder: _Folder) -> Layout | None:
    for name in folder.files:  # perhaps a table was meant whose columns nobody knows
        if "/" not in name and name.lower().endswith(tables.ENDINGS):
            tables.read_table(folder.root, name, folder.caption_column)
    entries = [
        Entry(name, folder.root / name, status="caption missing", reason="nothing names one")
        for name in movies(folder.root, folder.files)
    ]
    return Layout("clips without captions", folder.root, entries)


_LAYOUTS: tuple[Callable[[_Folder], Layout | None], ...] = (
    _video_folder,
    _pair,
    _frame_folders,
    _tar_shards,
    _sprite_sheets,
    _table,
    _texts_beside,
    _class_folders,
    _bare,
)
"""In this order: what is written down on purpose comes before what is read out of names."""
