"""Data: looking at a source, writing it out, finding what is wrong with a folder, packing it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kineograph.apps import terminal
from kineograph.apps.terminal import Answer
from kineograph.core.errors import RequestError
from kineograph.core.machine import processors
from kineograph.core.sharing import leads, ranks, together

if TYPE_CHECKING:
    from kineograph.data.clip import Clip, Source
    from kineograph.data.folder.check import Report
    from kineograph.data.folder.packing import Packed
    from kineograph.data.sources.folder import Config

_NAMED = 20  # clips that are named one by one; --json names all


def data_preview(
    source: str,
    /,
    *,
    out: str | None = None,
    count: int | None = None,
    seed: int = 0,
    force: bool = False,
    settings: dict[str, Any],
) -> Answer:
    """Draw the first clips of a source, with their captions, on one sheet.

    Args:
        source: The name of a source (see `kineograph sources`) or a Python file.
        out: A .png of all frames; a .webp, .gif, .mp4 or .webm in which the clips play side by
            side; or a folder, for a video of each. By default SOURCE.png.
        count: How many clips; by default 18, or all if there are fewer.
        seed: Which clips.
        force: Overwrite a file that is there.
    """
    from kineograph.sampling.export import FORMATS, export, plan, wall

    out = out or f"{Path(source).stem}.png"
    together = not out.endswith("/") and Path(out).suffix.lower() in FORMATS
    plan(out, 1 if together else count or 1, force)
    chosen, number = _opened(source, count, 18, settings)
    clips = [chosen.clip(index, seed) for index in range(number)]
    plays = together and not out.lower().endswith(".png")
    files = export([wall(clips)] if plays else clips, out, force=force, scale=1 if plays else None)
    notes: dict[str, str] = getattr(chosen, "notes", {})
    data = {"files": files, "captions": [clip.caption for clip in clips], "notes": notes}

    def show() -> None:
        terminal.print_columns(list(notes.items()))
        print(*(f"wrote {file}" for file in files), sep="\n")

    return Answer(data, show)


def data_export(
    source: str,
    out: Path,
    /,
    *,
    count: int | None = None,
    seed: int = 0,
    layout: Literal["frames", "videofolder"] = "frames",
    kind: Literal["mp4", "webm", "gif", "webp"] = "mp4",
    settings: dict[str, Any],
) -> Answer:
    """Write clips of a source as files that other programs, and `--data.source folder`, can read.

    Args:
        source: The name of a source (see `kineograph sources`) or a Python file.
        out: An empty folder, or a new one.
        count: How many clips; by default 100, or all if there are fewer.
        seed: Which clips.
        layout: "frames" is the tutorial's, video_0/frame_0.png ... and video_0/prompt.txt;
            "videofolder" is Hugging Face's, a video of each clip and a metadata.csv.
        kind: The videos of a videofolder; webp keeps every pixel as it is.
    """
    from kineograph.data.folder.frame_folders import write_frame_folders
    from kineograph.data.folder.video_folder import write_video_folder

    chosen, number = _opened(source, count, 100, settings)
    written = 0

    def counted() -> Iterator[Clip]:
        nonlocal written
        for index in range(number):
            yield chosen.clip(index, seed)
            written += 1

    if layout == "frames":
        write_frame_folders(counted(), out)
    else:
        write_video_folder(counted(), out, kind)
    data = {"folder": out, "clips": written, "seed": seed}
    return Answer(data, lambda: print(f"wrote {written} clips into {out}"))


def _opened(
    source: str, count: int | None, usual: int, settings: dict[str, Any]
) -> tuple[Source, int]:
    """A source with the ``data`` settings, and how many of its clips are wanted."""
    from kineograph.core import config, registry
    from kineograph.recipes import SOURCES

    values = _data_settings(settings)
    if count is not None and count < 1:
        raise RequestError(f"--count is {count}.", "Ask for at least one clip.")
    module = registry.load(SOURCES, source)
    chosen: Source = module.Source(config.build(module.Config, values, path="data"))
    if count is not None and count > len(chosen):
        raise RequestError(
            f"This source has {len(chosen):,} clips, not {count:,}.", "Ask for less."
        )
    return chosen, count or min(usual, len(chosen))


def _data_settings(settings: dict[str, Any]) -> dict[str, Any]:
    for key in settings:
        if key != "data":
            raise RequestError(
                f'There is no setting "{key}" here.', f"Settings of a source: --data.{key}."
            )
    values: dict[str, Any] = settings.get("data", {})
    return values


# ---- a person's own clips ----------------------------------------------------------------------


def data_check(
    folder: Path,
    /,
    *,
    out: str | None = None,
    workers: int | None = None,
    force: bool = False,
    settings: dict[str, Any],
) -> Answer:
    """Say what will happen to every clip of a folder, before an hour is spent on it.

    Reads everything as a training would, and draws clips with their captions on a sheet. Exit
    code 1 says that some are left out.

    Args:
        folder: The folder with the clips; or a .tar or a table in it.
        out: The sheet, a .png; by default FOLDER-check.png, or the next number that is free.
        workers: Processes that decode; by default one for each processor.
        force: Overwrite a sheet that is there.
    """
    from kineograph.data.folder.check import check
    from kineograph.sampling.export import export, plan

    config = _folder_config(folder, settings)
    sheet = out or _free(f"{folder.resolve().name}-check")
    if not sheet.lower().endswith(".png"):
        raise RequestError(f"The sheet cannot be {sheet}.", "Name a .png.")
    plan(sheet, 1, force)
    report = check(config, workers=_workers(workers), progress=_Progress("read"))
    files = export(report.sheet, sheet, force=force) if report.sheet else []
    data = report.as_json() | {"sheet": files[0] if files else None}
    return Answer(data, lambda: _show_check(report, config, files), 1 if report.left_out else 0)


def _folder_config(folder: Path, settings: dict[str, Any]) -> Config:
    from kineograph.core import config
    from kineograph.data.sources.folder import Config

    values = _data_settings(settings)
    if "path" in values:
        raise RequestError("--data.path is given beside a folder.", "Drop it.")
    return config.build(Config, {**values, "path": folder}, path="data")


def _free(stem: str) -> str:
    """A name for a picture that is not taken: STEM.png, STEM-2.png, and on."""
    number = 1
    while Path(f"{stem}{f'-{number}' * (number > 1)}.png").exists():
        number += 1
    return f"{stem}{f'-{number}' * (number > 1)}.png"


def _workers(wanted: int | None) -> int:
    """Processes to decode with; the ranks of one machine share its processors."""
    if wanted is not None and not 1 <= wanted <= 1024:
        raise RequestError(f"--workers is {wanted}.", "Choose 1 to 1024.")
    return wanted or max(1, processors() // ranks().on_this_machine)


class _Progress:
    """Says on stderr how far the work is, every few seconds."""

    EVERY = 5.0

    def __init__(self, done: str) -> None:
        self.done, self.said = done, time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if leads() and time.monotonic() - self.said >= self.EVERY:
            self.said = time.monotonic()
            terminal.say(f"{self.done} {done:,} of {total:,} clips")


def _show_check(report: Report, config: Config, files: list[Path]) -> None:
    from kineograph.data.folder.check import REMEDIES

    print(terminal.wrapped(f"{report.path}, recognised as {report.layout}.") + "\n")
    terminal.print_columns(_counts(report, config))
    used = [finding for finding in report.findings if finding.status == "used"]
    if used:
        held_out = sum(finding.clips for finding in used if finding.split == "held-out")
        learnt = sum(finding.clips for finding in used) - held_out
        share = f"--data.held-out {config.held_out:g}"
        print(f"\n{_clips_of(learnt)} to learn from, {held_out:,} kept for testing ({share}).")
    if report.left_out:
        print(f"\nLeft out, {len(report.left_out):,} of {len(report.findings):,}:")
        _show_left_out({f.name: f"{f.status}: {f.reason}" for f in report.left_out})
        print("\nWhat helps:")
        wrong = [status for status in report.statuses() if status != "used"]
        terminal.print_columns([(status, REMEDIES[status]) for status in wrong])
    for file in files:
        print(f"\nwrote {file}, clips as they would be trained on")


def _counts(report: Report, config: Config) -> list[tuple[str, str]]:
    """How many clips there are of each kind; those that are used come first, with their changes."""
    how = {
        "retimed": f"to {config.fps:g} frames/s" if config.fps else "",
        "resized": f"to {config.width}×{config.height}, {config.resize}",
        "caption duplicated": "other clips have the same",
    }
    statuses = report.statuses()
    rows = [("used", f"{statuses.get('used', 0):,} of {len(report.findings):,}")]
    rows += [(f"  {what}", f"{n:,}, {how[what]}") for what, n in report.changes().items()]
    return rows + [(what, f"{n:,}") for what, n in statuses.items() if what != "used"]


def _clips_of(count: int) -> str:
    return "1 clip" if count == 1 else f"{count:,} clips"


def _show_left_out(reasons: Mapping[str, str]) -> None:
    rows = [(_clean(name), _clean(reason)) for name, reason in reasons.items()]
    terminal.print_columns(rows[:_NAMED])
    _say_more(len(rows))


def _say_more(count: int) -> None:
    if count > _NAMED:
        print(f"  ... and {count - _NAMED:,} more; --json names all")


def _clean(text: str) -> str:
    """Without what would move the cursor or turn the direction of the line."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", "?", text)


def data_pack(
    folder: Path,
    /,
    *,
    out: Path | None = None,
    workers: int | None = None,
    settings: dict[str, Any],
) -> Answer:
    """Decode the clips of a folder once, and have them at the speed of memory from then on.

    Whatever is finished stays finished: after an end, or when clips were added, the same command
    goes on. Under torchrun the processes share the work.

    Args:
        folder: The folder with the clips; or a .tar or a table in it.
        out: Where to; by default kineograph-pack in the folder, where trainings look for it.
        workers: Processes that decode; by default one for each processor.
    """
    from kineograph.data.folder import cache
    from kineograph.data.folder.entry import printable
    from kineograph.data.folder.packing import pack
    from kineograph.data.sources.folder import form_of, layout_of

    config = _folder_config(folder, settings)
    if cache.is_pack(folder):
        raise RequestError(f"{folder} is a pack already.", "Name the folder of clips.")
    layout, place = layout_of(config), out or cache.place(folder, config.pack)

    def work() -> Packed:
        progress = _Progress("packed")
        return pack(layout, form_of(config), place, workers=_workers(workers), progress=progress)

    if together():  # PyTorch takes a second to load, and alone one does not need it
        from kineograph.training.distributed import shared_out

        work = shared_out(work)
    packed = work()
    if not leads():
        return Answer(None, lambda: None)
    unusable = [e for e in layout.entries if e.status != "used"]
    left_out = {printable(e.name): f"{e.status}: {e.reason}" for e in unusable}
    left_out |= {printable(video): f"broken: {why}" for video, why in packed.left_out.items()}
    data = {
        "folder": packed.folder,
        "clips": packed.clips,
        "left_out": left_out,
        "bytes": packed.size,
        "shards": packed.shards,
        "made": packed.made,
    }
    return Answer(data, lambda: _show_pack(packed, left_out))


def _show_pack(packed: Packed, left_out: Mapping[str, str]) -> None:
    there = f", {packed.shards - packed.made} were there" if packed.made < packed.shards else ""
    print(
        f"{packed.folder}: {_clips_of(packed.clips)}, {packed.size / 1e6:,.1f} MB, "
        f"{packed.shards:,} shards{there}."
    )
    if left_out:
        print(f"Left out, {len(left_out):,}:")
        _show_left_out(left_out)
