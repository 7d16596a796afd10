"""What will happen to every clip of a folder: used, changed or left out, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kineograph.core.conventions import MAX_PROMPT_CHARACTERS
from kineograph.core.errors import RequestError
from kineograph.data.clip import Clip
from kineograph.data.folder import cache
from kineograph.data.folder.conform import Conformed
from kineograph.data.folder.entry import Status, printable
from kineograph.data.folder.extraction import Extraction
from kineograph.data.folder.layouts import Layout
from kineograph.data.folder.workers import conform_all
from kineograph.data.sources.folder import Config, form_of, is_held_out, layout_of

SHOWN = 48
"""Clips on the contact sheet, at most."""

REMEDIES: dict[Status, str] = {
    "too short": "ask for fewer frames (--data.num-frames), or for more a second (--data.fps)",
    "caption missing": "put a .txt of the clip's name beside it, or name it in a metadata.csv",
    "caption empty": "write what is to be seen",
    "caption unusable": f"save UTF-8 text of up to {MAX_PROMPT_CHARACTERS:,} characters",
    "missing": "mend the list, or put the file there",
    "refused": "copy it into the folder, under a plain name",
    "same name": "rename one of the two",
    "broken": "copy it again, or convert it: ffmpeg -i CLIP CLIP.mp4",
}
"""What helps, by what is wrong."""

Progress = Callable[[int, int], None]
"""Told how many clips of how many are read."""


@dataclass(frozen=True)
class Finding:
    """What happens to one clip."""

    name: str
    caption: str
    status: Status
    reason: str = ""
    """Why it is left out."""
    changes: tuple[str, ...] = ()
    """"retimed", "resized", and "caption duplicated" where another clip has the same."""
    clips: int = 0
    """How many clips of the wanted length it gives."""
    split: str = ""
    """"train" or "held-out", where it is used."""
    original: dict[str, float] = field(default_factory=dict)
    """The file's own width, height, frames, seconds and fps."""


@dataclass(frozen=True)
class Report:
    """What happens to every clip of a folder."""

    path: Path
    layout: str
    findings: list[Finding]
    sheet: list[Clip]
    """Clips to look at, as they would be trained on: all that are used, or some from all over.

    Before a caption stands the name of its clip.
    """

    @property
    def left_out(self) -> list[Finding]:
        """The clips that are not used."""
        return [finding for finding in self.findings if finding.status != "used"]

    def statuses(self) -> dict[Status, int]:
        """How many have which status; the commonest first."""
        return dict(Counter(finding.status for finding in self.findings).most_common())

    def changes(self) -> dict[str, int]:
        """How many of those that are used are changed in which way; the commonest first."""
        found = Counter(change for finding in self.findings for change in finding.changes)
        return dict(found.most_common())

    def as_json(self) -> dict[str, Any]:
        """Plain values, for machines."""
        return {
            "path": str(self.path),
            "layout": self.layout,
            "counts": {**self.statuses(), **self.changes()},
            "clips": [asdict(finding) for finding in self.findings],
        }


@dataclass(frozen=True)
class _Read:
    """What is kept of a clip once it was decoded."""

    failed: str = ""
    changes: tuple[str, ...] = ()
    clips: int = 0
    frames: int = 0
    fps: float = 0.0
    original: dict[str, float] = field(default_factory=dict)


def check(config: Config, *, workers: int, progress: Progress = lambda done, total: None) -> Report:
    """Read every clip of a folder. Raises RequestError where the request or the layout is wrong."""
    if cache.is_pack(config.path):
        raise RequestError(f"{config.path} is a pack.", "Check the folder that it was made of.")
    form, layout = form_of(config), layout_of(config)
    extraction = Extraction(config.num_frames, config.stride, config.frame_extraction)
    there = {e.video: e for e in layout.entries if e.has_file}
    there |= {e.video: e for e in reversed(layout.entries) if e.status == "used"}
    every = -(-len(there) // SHOWN)
    read: dict[str, _Read] = {}
    samples: dict[str, Clip] = {}
    results = conform_all(there.values(), form, workers)
    for number, (entry, result) in enumerate(zip(there.values(), results, strict=True)):
        read[entry.video] = _kept(result, extraction)
        if number % every == 0 and not isinstance(result, str) and read[entry.video].clips:
            frames = result.frames[extraction.frames(len(result.frames), 0, 0.5)]
            samples[entry.video] = Clip(frames, printable(f"{entry.video}: {entry.caption}"))
        progress(number + 1, len(there))
    findings = list(_findings(layout, read, extraction, config.held_out))
    used = {entry.video for entry, f in zip(layout.entries, findings, strict=True) if f.clips}
    return Report(config.path, layout.name, findings, [samples[v] for v in samples if v in used])


def _kept(result: Conformed | str, extraction: Extraction) -> _Read:
    if isinstance(result, str):
        return _Read(failed=result)
    changes = {"retimed": result.retimed, "resized": result.resized}
    seconds = round(result.original_seconds, 3)
    return _Read(
        changes=tuple(change for change, done in changes.items() if done),
        clips=extraction.pieces(len(result.frames)),
        frames=len(result.frames),
        fps=result.fps,
        original={
            "width": result.original_width,
            "height": result.original_height,
            "frames": result.original_frames,
            "seconds": seconds,
            "fps": round(result.original_frames / result.original_seconds, 3),
        },
    )


def _findings(
    layout: Layout, read: dict[str, _Read], extraction: Extraction, held_out: float
) -> Iterable[Finding]:
    same = Counter(entry.caption for entry in layout.entries if entry.status == "used")
    for entry in layout.entries:
        known = read.get(entry.video) if entry.has_file else None
        name = printable(entry.name)
        if known is None:
            yield Finding(name, entry.caption, entry.status, entry.reason)
        elif known.failed:
            reason = known.failed + f"; and {entry.reason}" * bool(entry.reason)
            yield Finding(name, entry.caption, "broken", reason)
        elif entry.status != "used":
            yield Finding(name, entry.caption, entry.status, entry.reason, original=known.original)
        elif not known.clips:
            frames = "1 frame" if known.frames == 1 else f"{known.frames} frames"
            reason = f"{frames} at {known.fps:g} frames/s, {extraction.span} are needed"
            yield Finding(name, entry.caption, "too short", reason, original=known.original)
        else:
            changes = known.changes + ("caption duplicated",) * (same[entry.caption] > 1)
            split = "held-out" if is_held_out(entry.video, held_out) else "train"
            yield Finding(
                name, entry.caption, "used", "", changes, known.clips, split, known.original
            )
