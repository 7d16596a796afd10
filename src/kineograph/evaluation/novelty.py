"""Does a model vary as the world does, and does it make clips of its own?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from kineograph.data.clip import Clip, Facts
from kineograph.evaluation.verifier import Verdict

_SIDE = 16  # pixels on which clips are compared


def spread(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """How much start and speed of one object differ between clips: standard deviations.

    "start" is of the first centre (both axes together) and "speed" of its mean step, in units.
    """
    paths = [_path(v) for v in verdicts]
    return _spread([path for path in paths if path is not None])


def spread_of_facts(facts: Sequence[Facts], unit: float) -> dict[str, float]:
    """The same of what is known of real clips; ``unit`` is the pixels of a unit."""
    return _spread([f.objects[0].position / unit for f in facts if f.objects])


def _path(verdict: Verdict) -> np.ndarray | None:
    centre = verdict.measured.get("centre")
    if centre is None:
        return None
    path = np.array([[np.nan if x is None else x for x in point] for point in centre], float)
    path = path[np.isfinite(path).all(axis=1)]
    return path if len(path) >= 2 else None


def _spread(paths: Sequence[np.ndarray]) -> dict[str, float]:
    if len(paths) < 2:
        return {}
    starts = np.array([path[0] for path in paths])
    speeds = [np.linalg.norm(np.diff(path, axis=0), axis=1).mean() for path in paths]
    return {"start": float(np.sqrt(starts.var(axis=0).sum())), "speed": float(np.std(speeds))}


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
