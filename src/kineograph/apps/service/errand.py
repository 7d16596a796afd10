"""The process that looks at data or at a model for the page, answers, and ends.

One request, JSON on standard input, and one answer on standard output. What a person's files do to
a decoder they do to this process alone, which has limits on its memory; its time the server limits.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kineograph.apps.terminal import finite
from kineograph.core import config, registry
from kineograph.core.errors import KineographError, RequestError
from kineograph.data.clip import Clip, Source
from kineograph.evaluation.judges import source_by_name
from kineograph.recipes import SOURCES

_MEMORY = 8 << 30  # bytes of address space
_SIDE = 128  # pixels of a picture on a wall, at most
_FRAMES = 48  # of a clip on a wall, at most
_LOOKED_AT = 4  # clips for each that is shown, so that captions differ
_NAMED = 200  # clips that are named one by one


def sources() -> list[dict[str, Any]]:
    """What there is to look into, and which of it needs a folder."""
    from kineograph.apps.commands.looking import sources

    found: list[dict[str, Any]] = sources().data["sources"]
    for each in found:
        known = {f.name for f in fields(registry.load(SOURCES, each["name"]).Config)}
        each["splits"], each["takes_folder"] = "split" in known, "path" in known
        each["needs_folder"] = each["takes_folder"] and not each["captions"]
    return found


def clips(
    source: str, path: str | None, split: str | None, first: int, count: int, seed: int
) -> dict[str, Any]:
    """Some clips of a source, with what is known of them, and a sheet of their frames."""
    opened = _opened(source, path, split)
    last = min(first + count, len(opened))
    found = [opened.clip(index, seed) for index in range(min(first, last), last)]
    return {
        "total": len(opened),
        "clips": [{"caption": clip.caption, "facts": _facts(clip)} for clip in found],
        **_sheet(found),
    }


def check(path: str) -> dict[str, Any]:
    """What will happen to every clip of a folder."""
    from kineograph.data.folder.check import REMEDIES
    from kineograph.data.folder.check import check as checked
    from kineograph.data.sources.folder import Config

    report = checked(Config(path=Path(path)), workers=1)
    statuses = report.statuses()
    return {
        "layout": report.layout,
        "total": len(report.findings),
        "counts": {**statuses, **report.changes()},
        "remedies": {status: REMEDIES[status] for status in statuses if status != "used"},
        "left_out": [
            {"name": found.name, "status": found.status, "reason": found.reason}
            for found in report.left_out[:_NAMED]
        ],
    }


def duel(
    folder: str, written_at: float, folders: Sequence[str], count: int, seed: int
) -> dict[str, Any]:
    """How a GAN's discriminator scores real clips, generated ones, and others' captions.

    ``written_at`` tells a model from what it was before it was trained on. Its real clips are shown
    where they are in no folder, or in one of ``folders``.
    """
    import torch

    from kineograph import api
    from kineograph.lessons import recipe_of
    from kineograph.models.base import TensorBatch, noise_for, to_frames, to_model

    pipeline = api.load(folder)
    model: Any = pipeline.model
    if not hasattr(model, "duel"):
        raise RequestError("This model has no discriminator over clips.", "Choose a GAN.")
    if not model.phases:
        raise RequestError(
            "This model came without its discriminator, for generating alone.",
            "Choose one that was trained here.",
        )
    recipe = recipe_of(pipeline)
    path = getattr(recipe.data, "path", None)
    if path and str(Path(path).resolve()) not in folders:
        raise RequestError(
            "This model learned from a folder that is not to be looked into here.",
            "Start the service with --folder and its path.",
        )
    source = source_by_name(recipe.source, path, config.to_dict(recipe.data))
    real = _different(source, count, seed)
    frames = np.stack([clip.frames for clip in real])
    tokens = torch.from_numpy(pipeline.tokenizer.encode([clip.caption for clip in real]))
    noise = noise_for(seed, range(len(real)), model.noise_shape)
    scores, made = model.duel(TensorBatch(to_model(frames), tokens, 1.0), noise)
    pairs = zip(to_frames(made), real, strict=True)
    fake = [Clip(each, clip.caption, fps=clip.fps) for each, clip in pairs]
    if len(real) < 2:  # there is no other caption
        scores.pop("other")
    return {
        "captions": [clip.caption for clip in real],
        "scores": {name: score.tolist() for name, score in scores.items()},
        **_sheet([*real, *fake]),
    }


def _different(source: Source, count: int, seed: int) -> list[Clip]:
    """Clips of different captions, as far as there are any."""
    first = seed * count % max(len(source) - count, 1)
    some = [source.clip(at % len(source), seed) for at in range(first, first + _LOOKED_AT * count)]
    by_caption = {clip.caption: clip for clip in some[::-1]}
    return [*by_caption.values()][::-1][:count]


def _opened(name: str, path: str | None, split: str | None) -> Source:
    module = registry.load(SOURCES, name)
    told = {"path": path, "split": split}
    known = {f.name for f in fields(module.Config)}
    for setting, value in told.items():
        if value is not None and setting not in known:
            raise RequestError(f"The source {name} has no {setting}.", "Leave it out.")
    values = {setting: value for setting, value in told.items() if value is not None}
    opened: Source = module.Source(config.build(module.Config, values, path="data"))
    return opened


def _facts(clip: Clip) -> dict[str, str]:
    """What is known, in words."""
    if clip.facts is None:
        return {}
    if clip.facts.attributes:
        return dict(clip.facts.attributes)
    told = {}
    for number, each in enumerate(clip.facts.objects, 1):
        of = f" {number}" if len(clip.facts.objects) > 1 else ""
        start, end = each.position[0], each.position[-1]
        told[f"shape{of}"] = each.shape
        told[f"path{of}"] = f"({start[0]:.0f}, {start[1]:.0f}) → ({end[0]:.0f}, {end[1]:.0f}) px"
    return told


def _sheet(found: Sequence[Clip]) -> dict[str, Any]:
    """A row for each clip, a column for each frame, as PNG."""
    if not found:
        return {"num_frames": 0, "height": 0, "width": 0, "fps": 0.0, "sheet": ""}
    shown = np.stack([clip.frames[:_FRAMES] for clip in found])
    number, frames, height, width = shown.shape[:4]
    rows = shown.transpose(0, 2, 1, 3, 4).reshape(number * height, frames * width, 3)
    picture = Image.fromarray(rows)
    if (side := max(height, width)) > _SIDE:
        height, width = (max(1, round(each * _SIDE / side)) for each in (height, width))
        picture = picture.resize((frames * width, number * height), Image.Resampling.BOX)
    out = io.BytesIO()
    picture.save(out, "PNG")
    data = base64.b64encode(out.getvalue()).decode()
    size = {"num_frames": frames, "height": height, "width": width, "fps": found[0].fps}
    return size | {"sheet": f"data:image/png;base64,{data}"}


TASKS: Mapping[str, Callable[..., Any]] = {
    task.__name__: task for task in (sources, clips, check, duel)
}


def main() -> None:
    """Answers {"found": ...} or {"cause": ..., "remedy": ...}."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    if hasattr(os, "nice"):
        os.nice(5)
    asked = json.loads(sys.stdin.buffer.read())
    answer: dict[str, Any]
    try:
        answer = {"found": TASKS[asked.pop("task")](**asked)}
    except KineographError as error:
        answer = {"cause": error.cause, "remedy": error.remedy}
    except MemoryError:
        answer = {"cause": "It does not fit into memory.", "remedy": "Look at smaller clips."}
    json.dump(finite(answer), sys.stdout)


if __name__ == "__main__":
    main()
