"""Decoded clips, ready to be read: in memory, or as memory-mapped shards on disk (a pack).

A pack is a folder: ``manifest.json`` and shards, each the pixels of some clips one after the
other, raw uint8 (N, H, W, 3). It holds whole clips in their size and speed; which frames of them
are trained on is decided when they are read. `packing` writes it.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kineograph.core.errors import RequestError, in_short
from kineograph.core.files import MANIFEST, read_json, translate_os_errors
from kineograph.core.machine import processors
from kineograph.data.folder.conform import Form
from kineograph.data.folder.entry import PACK_NAME, Entry, numbered
from kineograph.data.folder.layouts import Layout
from kineograph.data.folder.workers import explained, in_order

_FAMILY = "kineograph pack"
FORMAT = f"{_FAMILY} 1"
_FASTEST = 10**6  # frames a second, beyond any camera

MEMORY_LIMIT = 2 * 1024**3
"""Bytes of decoded clips that are kept in memory; more must be packed first."""


@dataclass(frozen=True)
class Stored:
    """A decoded clip: ``frames`` (N, H, W, 3) uint8, in memory or mapped from disk."""

    frames: np.ndarray
    fps: float


@dataclass(frozen=True)
class Store:
    """Decoded clips by their video's name, and why there is none of the others."""

    clips: Mapping[str, Stored]
    failed: Mapping[str, str]


def decode_all(entries: Sequence[Entry], form: Form, path: Path) -> Store:
    """Decode clips into memory. Raises RequestError where they take more than MEMORY_LIMIT."""
    videos = list({entry.video: entry for entry in entries}.values())
    clips: dict[str, Stored] = {}
    failed: dict[str, str] = {}
    size, workers = 0, processors()
    with ThreadPoolExecutor(workers) as pool:
        decode = functools.partial(explained, form=form)
        results = in_order(pool, decode, videos, 2 * workers)
        for entry, result in zip(videos, results, strict=True):
            if isinstance(result, str):
                failed[entry.video] = result
                continue
            size += result.frames.nbytes
            if size > MEMORY_LIMIT:
                raise RequestError(
                    f"The clips in {path} take over {MEMORY_LIMIT / 1024**3:.0f} GiB when decoded.",
                    f"Decode them once onto the disk: kineograph data pack {path}",
                )
            clips[entry.video] = Stored(result.frames, result.fps)
    return Store(clips, failed)


# ---- a pack ------------------------------------------------------------------------------------


def is_pack(path: Path) -> bool:
    """Whether a folder is a pack, or was to become one; others may hold a manifest.json too."""
    if path.name == PACK_NAME:
        return True
    if not (path / MANIFEST).is_file():
        return False
    with translate_os_errors(path), (path / MANIFEST).open("rb") as file:
        return _FAMILY.encode() in file.read(100)


def place(path: Path, chosen: Path | None) -> Path:
    """Where the pack of the clips at ``path`` is, or would be."""
    if chosen is not None:
        return chosen
    return path / PACK_NAME if path.is_dir() else path.with_name(f"{path.name}-{PACK_NAME}")


def open_pack(folder: Path, form: Form, layout: Layout | None) -> Store:
    """The clips of a pack, mapped into memory.

    Raises RequestError where it is unfinished or was made with other settings or, unless
    ``layout`` is None, of other files than are there now; and where a shard is damaged.
    """
    manifest = read_manifest(folder)
    again = "Pack again with `kineograph data pack`: it makes only what is missing."
    _check_form(folder, manifest, form)
    shards = manifest["shards"]
    if layout is not None:
        _check_files(folder, shards, layout)
    with ThreadPoolExecutor(processors()) as pool:
        for shard, fault in zip(
            shards, pool.map(lambda s: fault_of(folder, s), shards), strict=True
        ):
            if fault:
                raise RequestError(f"{folder / shard['file']} {fault}.", again)
    for shard in shards:
        frames = sum(clip["frames"] for clip in shard["clips"])
        if shard["size"] != frames * form.height * form.width * 3:
            raise RequestError(f"{folder / shard['file']} is not as large as its clips.", again)
    clips = {}
    for shard in shards:
        for clip, frames in zip(shard["clips"], _mapped(folder, shard, form), strict=True):
            clips[clip["video"]] = Stored(frames, clip["fps"])
    return Store(clips, {f["video"]: f["reason"] for shard in shards for f in shard["left_out"]})


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a pack says of itself. Raises RequestError where it is unfinished or damaged."""
    if not folder.is_dir():
        raise RequestError(f"There is no pack {folder}.", "Make it with `kineograph data pack`.")
    if not (folder / MANIFEST).is_file():
        raise RequestError(
            f"The pack {folder} is not finished.",
            "Go on with `kineograph data pack`, or remove it.",
        )
    manifest: dict[str, Any] = dict(read_json(folder / MANIFEST))
    if manifest.get("format") != FORMAT:
        raise RequestError(
            f"{folder} is no pack that this version knows.", "Remove it and pack again."
        )
    if manifest.pop("sha256", None) != digest(manifest):
        raise RequestError(f"{folder / MANIFEST} is damaged.", "Pack again.")
    if not _fits(manifest, _MANIFEST) or not all(map(_holds_clips, manifest["shards"])):
        raise RequestError(f"{folder / MANIFEST} is none of a pack.", "Pack again.")
    return manifest


_CLIP = {"video": str, "signature": list, "frames": int, "fps": float}
_MANIFEST: dict[str, Any] = {
    "layout": str,
    "form": {"height": int, "width": int},
    "captions": [(str, str)],
    "shards": [
        {
            "file": str,
            "size": int,
            "sha256": str,
            "clips": [_CLIP],
            "left_out": [{"video": str, "reason": str, "signature": list}],
        }
    ],
}
"""What a manifest holds: the keys that are read, the kind of a list's items, tuples as they are."""


def _fits(value: Any, wanted: Any) -> bool:
    """Whether a value of JSON is of a kind, all through."""
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(
            key in value and _fits(value[key], kind) for key, kind in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(value, list) and all(_fits(item, wanted[0]) for item in value)
    if isinstance(wanted, tuple):
        return (
            isinstance(value, list) and len(value) == len(wanted) and all(map(_fits, value, wanted))
        )
    return type(value) is wanted or (wanted is float and type(value) is int)


def _holds_clips(shard: dict[str, Any]) -> bool:
    """Whether a shard lies in the pack's folder, and its clips have frames and a speed."""
    name = shard["file"]
    return (
        name == Path(name).name
        and "\0" not in name
        and all(clip["frames"] > 0 and 0 < clip["fps"] <= _FASTEST for clip in shard["clips"])
    )


def digest(values: Any) -> str:
    """SHA-256 of plain values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _check_form(folder: Path, manifest: dict[str, Any], form: Form) -> None:
    made, wanted = manifest["form"], plain_form(form)
    if made == wanted:
        return
    changed = [
        f"{key} {in_short(made.get(key))}, not {wanted[key]}"
        for key in wanted
        if made.get(key) != wanted[key]
    ]
    raise RequestError(
        f"The pack {folder} was made with {'; '.join(changed)}.",
        "Pack again with these settings, or set the ones that it was made with.",
    )


def plain_form(form: Form) -> dict[str, Any]:
    """A form as JSON holds it."""
    return asdict(form) | {"background": list(form.background)}


def _check_files(folder: Path, shards: list[dict[str, Any]], layout: Layout) -> None:
    """Raise where a file is not the one that was packed."""
    packed = {c["video"]: c["signature"] for s in shards for c in s["clips"] + s["left_out"]}
    there = {entry.video: signature(entry) for entry in usable(layout)}
    changed = [v for v in there if v in packed and packed[v] != there[v]]
    new = [video for video in there if video not in packed]
    gone = [video for video in packed if video not in there]
    told = [
        f"{len(videos)} {what} ({', '.join(videos[:3])}{', …' * (len(videos) > 3)})"
        for what, videos in (("changed", changed), ("new", new), ("gone", gone))
        if videos
    ]
    if told:
        raise RequestError(
            f"The clips are not those of the pack {folder} any more: {'; '.join(told)}.",
            "Pack again with `kineograph data pack`, or remove the pack.",
        )


def usable(layout: Layout) -> list[Entry]:
    """One entry for each video that has a caption and may be decoded."""
    found = {entry.video: entry for entry in layout.entries if entry.status == "used"}
    return list(found.values())


def signature(entry: Entry) -> list[int | float]:
    """What changes when a clip's file does: size in bytes, time in ns, and where in the file."""
    with translate_os_errors(entry.path):
        stats = [
            file.stat() for file in (entry.path.iterdir() if entry.path.is_dir() else [entry.path])
        ]
    part = astuple(entry.part) if entry.part else ()
    newest = max((s.st_mtime_ns for s in stats), default=0)
    return [len(stats), sum(s.st_size for s in stats), newest, *part]


def fault_of(folder: Path, shard: Mapping[str, Any]) -> str:
    """What is wrong with a shard, or ""."""
    path = folder / Path(shard["file"]).name
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != shard["size"]:
        return f"is damaged: it has {path.stat().st_size:,} bytes and should have {shard['size']:,}"
    if _sha256(path, path.stat().st_mtime_ns) != shard["sha256"]:
        return "is damaged: its content has changed since it was written"
    return ""


@functools.lru_cache(maxsize=100_000)
def _sha256(path: Path, modified: int) -> str:
    """Remembered as long as the file is not written, since sources are made more than once."""
    with translate_os_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _mapped(folder: Path, shard: Mapping[str, Any], form: Form) -> list[np.ndarray]:
    """The clips of a shard, each (N, H, W, 3), without reading them."""
    if not shard["clips"]:
        return []
    shape = (sum(clip["frames"] for clip in shard["clips"]), form.height, form.width, 3)
    pixels = np.asarray(np.memmap(folder / shard["file"], np.uint8, "r", shape=shape))
    return np.split(pixels, np.cumsum([clip["frames"] for clip in shard["clips"]])[:-1])


def packed_layout(folder: Path) -> Layout:
    """The clips that a pack holds, as a layout, for where the files themselves are not."""
    manifest = read_manifest(folder)
    entries = numbered(Entry(video, folder, caption) for video, caption in manifest["captions"])
    return Layout(f"a pack of {manifest['layout']}", folder, entries)
