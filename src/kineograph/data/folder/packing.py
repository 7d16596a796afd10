"""Writes a pack: every clip decoded once, by several processes, on several machines if need be.

The clips are dealt into shards by their names, so that a clip that comes or goes changes its own
shard only, and the processes that torchrun started take turns at the shards. A shard's name carries
a digest of all that it is made of, settings and files, so one that is there and whole is what would
be made: work that was ended goes on, and a shard of other settings is never taken for it. When all
are there the first process writes the manifest.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import operator
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from kineograph.core import sharing
from kineograph.core.errors import RequestError
from kineograph.core.files import (
    MANIFEST,
    TEMPORARY_PREFIX,
    check_free,
    read_json,
    translate_os_errors,
    write_atomically,
)
from kineograph.data.folder import cache
from kineograph.data.folder.conform import Conformed, Form
from kineograph.data.folder.entry import Entry
from kineograph.data.folder.layouts import Layout
from kineograph.data.folder.workers import conform_all

MOST_CLIPS = 64
"""Clips a shard, on average, at most: what a kill can cost."""
_SHARDS = 16  # about so many or more, as far as there are clips, so that there is some to share

Progress = Callable[[int, int], None]
"""Told how many clips of how many are done."""


@dataclass(frozen=True)
class Packed:
    """What a pack came to."""

    folder: Path
    clips: int
    left_out: dict[str, str]
    """By video, why."""
    size: int
    """Bytes."""
    made: int
    """Shards that were decoded now; the others were there."""
    shards: int


@dataclass(frozen=True)
class _Plan:
    """A shard that is to be."""

    stem: str
    entries: list[Entry]
    signatures: list[list[int | float]]


def pack(
    layout: Layout,
    form: Form,
    folder: Path,
    *,
    workers: int,
    progress: Progress = lambda done, total: None,
) -> Packed:
    """Decode the clips of a layout into shards in ``folder``.

    Processes that share their work (`core.sharing`) make as many of the missing shards each; then
    ``workers`` and what ``progress`` is told are those of each. Raises RequestError where
    ``folder`` holds something else or nothing can be decoded.
    """
    plans = _planned(layout, form)
    _prepare(folder)

    def make(share: list[_Plan]) -> list[dict[str, Any]]:
        total = sum(len(plan.entries) for plan in share)
        entries = (entry for plan in share for entry in plan.entries)
        with contextlib.closing(conform_all(entries, form, workers)) as results:
            counted = _counted(results, total, progress)
            return [_make(folder, plan, counted) for plan in share]

    size = sharing.ranks().size
    there = sharing.each(functools.partial(_finished, folder), plans)
    missing = [plan for plan, shard in zip(plans, there, strict=True) if shard is None]
    made = sharing.each(make, [missing[rank::size] for rank in range(size)])
    shards = [shard for shard in there if shard] + [shard for share in made for shard in share]
    shards.sort(key=operator.itemgetter("file"))
    if sharing.leads():
        _finish(folder, plans, shards, layout, form)
    return Packed(
        folder,
        clips=sum(len(shard["clips"]) for shard in shards),
        left_out={left["video"]: left["reason"] for shard in shards for left in shard["left_out"]},
        size=sum(shard["size"] for shard in shards),
        made=len(missing),
        shards=len(shards),
    )


def _counted(
    results: Iterator[Conformed | str], total: int, progress: Progress
) -> Iterator[Conformed | str]:
    progress(0, total)
    for number, result in enumerate(results, 1):
        progress(number, total)
        yield result


def _planned(layout: Layout, form: Form) -> list[_Plan]:
    entries = cache.usable(layout)
    if not entries:
        raise RequestError(
            f"No clip in {layout.root} can be used.",
            f"See what is wrong: kineograph data check {layout.root}",
        )
    count = 1  # doubles as the clips become more: then shards change, and hardly ever otherwise
    while count < min(_SHARDS, len(entries)) or count * MOST_CLIPS < len(entries):
        count *= 2
    shards: dict[int, list[Entry]] = {}
    for entry in entries:
        digest = hashlib.sha256(entry.video.encode("utf-8", "surrogatepass")).digest()
        shards.setdefault(int.from_bytes(digest[:8], "big") % count, []).append(entry)
    plans = []
    for number, chosen in sorted(shards.items()):
        signatures = [cache.signature(entry) for entry in chosen]
        videos = [entry.video for entry in chosen]
        made_of = [cache.FORMAT, cache.plain_form(form), videos, signatures]
        plans.append(_Plan(f"shard-{number:05d}-{cache.digest(made_of)[:16]}", chosen, signatures))
    return plans


def _prepare(folder: Path) -> None:
    """Make the folder, and remove what a killed process left in it an hour ago or more."""
    check_free(folder, force=True)
    with translate_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if path.name.startswith(f"{TEMPORARY_PREFIX}shard-"):
                with contextlib.suppress(FileNotFoundError):  # others do the same
                    if time.time() - path.stat().st_mtime > 3600:
                        path.unlink()
            elif not path.name.startswith((MANIFEST, "shard-", TEMPORARY_PREFIX)):
                raise RequestError(
                    f"{folder} holds something else: {path.name}.", "Choose another folder."
                )


def _finished(folder: Path, plan: _Plan) -> dict[str, Any] | None:
    """What is told of a shard that is there and whole."""
    told = folder / f"{plan.stem}.json"
    if not told.is_file():
        return None
    with contextlib.suppress(RequestError, KeyError, TypeError):
        shard: dict[str, Any] = dict(read_json(told))
        if not cache.fault_of(folder, shard):
            return shard
    return None


def _make(folder: Path, plan: _Plan, results: Iterator[Conformed | str]) -> dict[str, Any]:
    """Write one shard, and beside it what is told of it."""
    clips: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    checksum = hashlib.sha256()

    def write(file: BinaryIO) -> None:
        mine = itertools.islice(results, len(plan.entries))
        for entry, signature, result in zip(plan.entries, plan.signatures, mine, strict=True):
            told = {"video": entry.video, "file": str(entry.path), "signature": signature}
            if isinstance(result, str):
                left_out.append(told | {"reason": result})
                continue
            pixels = result.frames.reshape(-1).data
            file.write(pixels)
            checksum.update(pixels)
            clips.append(told | {"frames": len(result.frames), "fps": result.fps})

    path = folder / f"{plan.stem}.bin"
    write_atomically(path, write)
    shard = {
        "file": path.name,
        "size": path.stat().st_size,
        "sha256": checksum.hexdigest(),
        "clips": clips,
        "left_out": left_out,
    }
    write_atomically(path.with_suffix(".json"), json.dumps(shard, indent=1).encode())
    return shard


def _finish(
    folder: Path, plans: list[_Plan], shards: list[dict[str, Any]], layout: Layout, form: Form
) -> None:
    """Write the manifest, and remove the shards that are none of it."""
    captions = [[e.video, e.caption] for e in layout.entries if e.status == "used"]
    manifest = {
        "format": cache.FORMAT,
        "layout": layout.name,
        "form": cache.plain_form(form),
        "captions": captions,
        "shards": shards,
    }
    manifest["sha256"] = cache.digest(manifest)
    write_atomically(folder / MANIFEST, json.dumps(manifest, indent=1).encode())
    stems = {plan.stem for plan in plans}
    for path in folder.glob("shard-*"):
        if path.stem not in stems:
            path.unlink(missing_ok=True)
