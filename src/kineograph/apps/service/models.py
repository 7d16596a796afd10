"""The models that can be asked, told from their folders, which are not opened for that."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kineograph.apps.commands.runs import run_folders
from kineograph.core.conventions import DEFAULT_FPS
from kineograph.core.errors import KineographError, RequestError, nearest
from kineograph.core.files import read_json
from kineograph.models import bundled
from kineograph.training.run_folder import SNAPSHOTS, snapshots

_CONFIG = "config.json"


@dataclass(frozen=True)
class Known:
    """A model folder, by the name of its run."""

    name: str
    folder: Path
    written_at: float
    """Seconds since 1970."""
    family: str
    source: str
    """What it was trained on."""
    num_frames: int
    height: int
    width: int
    fps: float
    num_inference_steps: int | None
    """What it takes unless somebody asks for another number; None where it takes no steps."""
    guidance_scale: float
    """The same of guidance."""
    captions: tuple[str, ...] = field(repr=False)
    accuracy: float | None
    learns: bool
    """Whether it is what a training that is under way, or was cut off, has come to."""


def is_run(place: Path) -> bool:
    """A model or a run, not a folder of runs."""
    return any((place / name).is_file() for name in (_CONFIG, "config.toml", f"model/{_CONFIG}"))


class Models:
    """Those in some places, each a model, a run or a folder of runs; new ones are found, too."""

    def __init__(self, places: Sequence[Path]) -> None:
        self.places = places

    def all(self) -> list[Known]:
        """The newest first, then those that come with the package, and last those that still learn.
        A run that has no model yet, or a broken one, is passed over."""
        found: dict[str, Known] = {}
        for place in self.places:
            for folder in _folders(place):
                with contextlib.suppress(KineographError, KeyError, TypeError, ValueError, OSError):
                    known = _told(folder, (folder / _CONFIG).stat().st_mtime_ns)
                    found.setdefault(known.name, known)
        return sorted(
            found.values(),
            key=lambda known: (
                known.learns,
                0.0 if known.folder.parent == bundled.FOLDER else -known.written_at,
            ),
        )

    def named(self, name: str | None) -> Known:
        """A model by its name, or the newest. Raises RequestError where there is none."""
        known = self.all()
        if not known:
            raise RequestError("There is no model yet.", "Train one: kineograph demo.")
        if name is None:
            return known[0]
        for each in known:
            if each.name == name:
                return each
        names = [each.name for each in known]
        guess = nearest(name, names)
        raise RequestError(
            f'There is no model "{name}".',
            (f'Did you mean "{guess}"? ' if guess else "") + f"Known: {', '.join(names)}.",
        )


def _folders(place: Path) -> list[Path]:
    """Model folders: the place itself, its ``model``, or those of the runs in it."""
    if (place / _CONFIG).is_file():
        return [place]
    return [_of_run(run) for run in ([place] if is_run(place) else run_folders(place))]


def _of_run(run: Path) -> Path:
    """Its model; while it learns, that of the last check."""
    return next(reversed(snapshots(run)), run / "model")


@functools.lru_cache(maxsize=256)
def _told(folder: Path, written_at: int) -> Known:
    """What a folder tells since it was written, in nanoseconds: each request asks for it."""
    described = read_json(folder / _CONFIG)
    shape, info = _mapping(described["shape"]), _mapping(described["info"])
    run, learns = folder.resolve(), folder.parent.name == SNAPSHOTS
    recipe = _mapping(info.get("recipe", {}))
    steps: Any = described.get("num_inference_steps")
    guidance: Any = described.get("guidance_scale", 1.0)  # of a folder from before there was one
    accuracy = info.get("accuracy")
    return Known(
        name=run.parts[-3 if learns else -2 if run.name == "model" else -1],
        folder=folder,
        written_at=written_at / 1e9,
        family=str(described["family"]),
        source=str(_mapping(recipe.get("data", {})).get("source", "")),
        num_frames=int(shape["num_frames"]),
        height=int(shape["height"]),
        width=int(shape["width"]),
        fps=float(info.get("fps", DEFAULT_FPS)),
        num_inference_steps=None if steps is None else int(steps),
        guidance_scale=float(guidance),
        captions=tuple(map(str, info.get("captions", ()))),
        accuracy=None if accuracy is None else float(accuracy),
        learns=learns,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(value)
    return value
