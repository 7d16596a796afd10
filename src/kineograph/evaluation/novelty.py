"""Does a model vary as the world does, and does it make clips of its own?"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kineograph.data.clip import Clip, Facts
from kineograph.evaluation.verifier import Verdict

_SIDE = 16  # pixels on which clips are compared
_UNSEEN = 4  # of 255, in one channel of a pixel
_LEAST_TRAVEL = 2.0  # units; what stays in its place has no phase


def centres(measured: Mapping[str, Any]) -> list[list[Any]]:
    """Where a judge saw each object in each frame, as it stands in what it measured."""
    several = [measured.get(f"{which} object", {}) for which in ("first", "second")]
    told = [measured, *several, *measured.get("digits", [])]
    return [seen["centre"] for seen in told if seen.get("centre")]


def paths(measured: Mapping[str, Any], height: int, width: int) -> list[list[list[float]]]:
    """The same as [x, y] in pixels of a clip of these sides, of the frames in which it was seen."""
    unit = min(height, width) / 64
    seen = [[point for point in each if point and None not in point] for each in centres(measured)]
    return [[[round(x * unit, 1), round(y * unit, 1)] for x, y in each] for each in seen]


def spread(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """How much start, speed and phase of one object differ between clips.

    "start" is the standard deviation of the first centre (both axes together) and "speed" that of
    its mean step, in units. "phase" is where in its to and fro, or on its way around, it begins:
    0 where it is the same in all clips, 1 where any is as likely (the circular variance).
    """
    paths = [_path(seen) for v in verdicts for seen in centres(v.measured)[:1]]
    return _spread([path for path in paths if path is not None])


def spread_of_facts(facts: Sequence[Facts], unit: float) -> dict[str, float]:
    """The same of what is known of real clips; ``unit`` is the pixels of a unit."""
    return _spread([f.objects[0].position / unit for f in facts if f.objects])


def variety(verdicts: Sequence[Verdict], told: Container[str] = ()) -> dict[str, float]:
    """Fact => how probably two clips show different values of it, 0 to 1; ``told`` is left out."""
    seen = [v.measured["seen"] for v in verdicts if "seen" in v.measured]
    facts = dict.fromkeys(fact for values in seen for fact in values if fact not in told)
    return {fact: _differ([values[fact] for values in seen if fact in values]) for fact in facts}


def _differ(values: Sequence[str]) -> float:
    _, counts = np.unique(values, return_counts=True)
    pairs = len(values) * (len(values) - 1)
    return float(1 - (counts * (counts - 1)).sum() / pairs) if pairs else 0.0


def _path(centre: Sequence[Any]) -> np.ndarray | None:
    path = np.array([[np.nan if x is None else x for x in point] for point in centre], float)
    path = path[np.isfinite(path).all(axis=1)]
    return path if len(path) >= 2 else None


def _spread(paths: Sequence[np.ndarray]) -> dict[str, float]:
    if len(paths) < 2:
        return {}
    starts = np.array([path[0] for path in paths])
    speeds = [np.linalg.norm(np.diff(path, axis=0), axis=1).mean() for path in paths]
    found = {"start": float(np.sqrt(starts.var(axis=0).sum())), "speed": float(np.std(speeds))}
    phases = _phases(paths)
    if len(phases) >= 2:
        found["phase"] = max(0.0, float(1 - np.abs(np.exp(1j * phases).mean())))
    return found


def _phases(paths: Sequence[np.ndarray]) -> np.ndarray:
    """Angles at which paths begin, (N,): place against speed, along the axis of most movement.

    On a circle that is the angle itself. Every straight way begins at one and the same.
    """
    extent = np.array([np.ptp(path, axis=0) for path in paths])
    axis = int(extent[:, 1].mean() > 1.25 * extent[:, 0].mean())  # of a circle, always x
    found = []
    for path, travel in zip(paths, extent[:, axis], strict=True):
        if travel >= _LEAST_TRAVEL:
            along = path[:, axis]
            steps = np.diff(along)
            place = (along[0] - (along.max() + along.min()) / 2) / (travel / 2)
            found.append(np.arctan2(-steps[0] / np.abs(steps).max(), place))
    return np.array(found)


def collapsed(clips: Sequence[np.ndarray]) -> bool:
    """Whether all clips (T, H, W, 3) are one and the same to the eye, as of a GAN that has lost."""
    whole = np.stack(clips).astype(np.int16)
    return len(whole) > 1 and int(np.ptp(whole, axis=0).max()) <= _UNSEEN


def nearest(clips: Sequence[Clip], training: Iterable[np.ndarray]) -> np.ndarray:
    """Root mean square difference, 0 to 255, of each clip to the nearest of ``training``, (N,).

    ``training`` are batches (B, T, H, W, 3) uint8; all are compared at 16×16 pixels.
    """
    ours = _small(np.stack([c.frames for c in clips]))
    best = np.full(len(ours), np.inf, np.float32)
    for batch in training:
        theirs = _small(batch)
        squares = (ours**2).sum(axis=1)[:, None] + (theirs**2).sum(axis=1) - 2 * ours @ theirs.T
        best = np.minimum(best, squares.min(axis=1))
    away: np.ndarray = np.sqrt(np.maximum(best, 0) / ours.shape[1])
    return away


def _small(frames: np.ndarray) -> np.ndarray:
    """Clips (N, T, H, W, 3) => (N, T·16·16·3) float32, averaged over blocks of pixels."""
    height, width = frames.shape[2:4]
    rows, columns = (np.arange(_SIDE) * n // _SIDE for n in (height, width))
    sums = np.add.reduceat(frames.astype(np.float32), rows, axis=2)
    sums = np.add.reduceat(sums, columns, axis=3)
    area = np.diff([*rows, height])[:, None] * np.diff([*columns, width])[None, :]
    return np.asarray(sums / area[..., None]).reshape(len(frames), -1)
