"""Which digit is it? A small classifier, trained here on real digits in seconds.

Pictures are brought upright and to one size, described by the directions of their edges, and
compared with known ones: kernel ridge regression to the ten indicators (Saunders, Gammerman and
Vovk 1998), which is exact, quick at this size, and answers nothing in particular where a picture
is like none of the known ones. It is trained on the judge's part of a data set (see
``data.digit_images``), and its error measured on digits of the other parts.
"""

from __future__ import annotations

import functools
import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import linalg, ndimage

from kineograph.core.errors import KineographError
from kineograph.core.files import cache_folder, write_atomically
from kineograph.data.digit_images import BUNDLED_KEY, SIDE, Digits, load, others, part

MAX_TRAINED = 4000
"""Images that it is trained on at most; each also in altered copies."""

MAX_TESTED = 4000
"""Images that its error is measured on at most."""

_FORMAT = 2  # to be raised with every change, here or of the judge's part, that training shows
_SPREAD = 5.2  # pixels; what the longer standard deviation of the ink is brought to
_DIRECTIONS = 8
_GAMMA, _RIDGE = 3.0, 0.01
_COPIES = 2


@dataclass(frozen=True)
class Classifier:
    """``anchors`` (M, F) are the known digits' features, ``weights`` (M, 10) what each says.

    ``error`` is the share of ``tested`` digits, none of them known to it, that it misreads.
    """

    anchors: np.ndarray
    weights: np.ndarray
    error: float
    tested: int

    def scores(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures of one digit each, (N, h, w), bright on 0 => (N, 10) scores.

        About 1 for the digit that is shown and 0 for the others, less where it is unlike any.
        """
        if not len(pictures):
            return np.zeros((0, 10), np.float32)
        scores: np.ndarray = _kernel(_features(upright(pictures)), self.anchors) @ self.weights
        return scores


@functools.lru_cache(maxsize=4)
def classifier_for(path: str = "") -> Classifier:
    """The classifier of a data set: from this machine's cache, or trained now and kept there.

    ``path`` is a folder of IDX files, or empty for scikit-learn's digits. Raises RequestError as
    :func:`kineograph.data.digit_images.load` does.
    """
    key = load(path).key if path else BUNDLED_KEY
    file = _cache_file(key)
    found = _read(file) if file else None
    if found is None:
        found = train(load(path))
        if file:
            _write(file, found)
    return found


def train(digits: Digits) -> Classifier:
    """Train on the judge's part of ``digits``, and measure the error on the other parts."""
    known = part(digits, "judge")
    chosen = _spread_out(len(known.labels), MAX_TRAINED)
    pictures, labels = known.pixels[chosen] / np.float32(255), known.labels[chosen]
    copies = [_altered(pictures, seed) for seed in range(_COPIES)]
    anchors = _features(np.concatenate([upright(pictures), *copies]))
    targets = np.eye(10, dtype=np.float32)[np.tile(labels, 1 + _COPIES)]
    kernel = _kernel(anchors, anchors)
    kernel[np.diag_indices(len(kernel))] += np.float32(_RIDGE)
    factor = linalg.cho_factor(kernel.T, overwrite_a=True)  # symmetric: .T spares a copy of it
    weights = linalg.cho_solve(factor, targets)
    fresh = others(digits, "judge")
    chosen = _spread_out(len(fresh.labels), MAX_TESTED)
    untested = Classifier(anchors, weights.astype(np.float32), 1.0, 0)
    read = untested.scores(fresh.pixels[chosen] / np.float32(255)).argmax(axis=1)
    error = float((read != fresh.labels[chosen]).mean())
    return Classifier(untested.anchors, untested.weights, error, len(chosen))


def _spread_out(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """k(a, b) = exp(-γ|a - b|²) of unit vectors (N, F), (M, F) => (N, M)."""
    kernel: np.ndarray = a @ b.T
    kernel -= 1  # in place, since it is large
    kernel *= 2 * _GAMMA
    np.exp(kernel, out=kernel)
    return kernel


# ---- pictures => features -----------------------------------------------------------------------


def upright(
    pictures: np.ndarray,
    turn: np.ndarray | float = 0.0,
    scale: np.ndarray | float = 1.0,
    slant: np.ndarray | float = 0.0,
) -> np.ndarray:
    """(N, h, w) => (N, 28, 28): mass in the middle, slant taken out by moments, one size.

    ``turn`` (radians), ``scale`` and ``slant``, each (N,), vary that for training.
    """
    count, height, width = pictures.shape
    mass = np.maximum(pictures.sum(axis=(1, 2)), 1e-6)
    x, y = (
        np.arange(n) - (sums @ np.arange(n) / mass)[:, None]
        for n, sums in ((width, pictures.sum(axis=1)), (height, pictures.sum(axis=2)))
    )
    xx, yy = (
        (pictures.sum(axis=1) * x**2).sum(1) / mass,
        (pictures.sum(axis=2) * y**2).sum(1) / mass,
    )
    xy = np.einsum("nyx,ny,nx->n", pictures, y, x) / mass
    lean = np.clip(xy / np.maximum(yy, 1e-3), -0.6, 0.6)
    spread = np.sqrt(np.maximum(xx - lean * xy, yy))
    size = np.clip(spread / _SPREAD, 0.6, 1.6) * scale
    along = np.arange(SIDE) - (SIDE - 1) / 2
    grid_y, grid_x = np.meshgrid(along, along, indexing="ij")
    cos, sin = (np.broadcast_to(f(turn), count)[:, None, None] for f in (np.cos, np.sin))
    size = size[:, None, None]
    rows = size * (sin * grid_x + cos * grid_y)
    columns = size * (cos * grid_x - sin * grid_y) + (lean + slant)[:, None, None] * rows
    which = np.broadcast_to(np.arange(count)[:, None, None], rows.shape)
    places = [which, rows - y[:, :1, None], columns - x[:, :1, None]]
    result: np.ndarray = ndimage.map_coordinates(pictures.astype(np.float32), places, order=1)
    return result


def _altered(pictures: np.ndarray, seed: int) -> np.ndarray:
    """Copies that are slightly blurred, turned, scaled and slanted, the same ones for a seed."""
    rng = np.random.default_rng(seed)
    count = len(pictures)
    turn, scale, slant = (rng.normal(0, spread, count) for spread in (0.12, 0.06, 0.1))
    strength = rng.uniform(0, 1.2, 10)
    blurred = np.empty_like(pictures)
    for k, sigma in enumerate(strength):
        blurred[k::10] = ndimage.gaussian_filter(pictures[k::10], (0, sigma, sigma))
    return upright(blurred, turn, 1 + scale, slant)


def _features(pictures: np.ndarray) -> np.ndarray:
    """Edges by direction (N, 28, 28) => (N, 8·7·7) float32 of length 1.

    How much the picture brightens toward each of eight directions, in 7×7 overlapping places.
    """
    smooth = ndimage.gaussian_filter(pictures, (0, 0.7, 0.7))
    down, right = np.gradient(smooth, axis=(1, 2))
    planes = []
    for angle in 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS:
        toward = np.maximum(0, right * np.cos(angle) + down * np.sin(angle))
        planes.append(ndimage.gaussian_filter(toward, (0, 2, 2))[:, 2::4, 2::4])
    found = np.sqrt(np.stack(planes, axis=1).reshape(len(pictures), -1))
    length = np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)
    features: np.ndarray = (found / length).astype(np.float32)
    return features


# ---- this machine's cache -----------------------------------------------------------------------


def _cache_file(key: str) -> Path | None:
    """Where the classifier of a data set is kept; None where there is no home for it."""
    folder = cache_folder()
    name = hashlib.sha256(f"{_FORMAT} {MAX_TRAINED} {MAX_TESTED} {key}".encode()).hexdigest()
    return folder / f"digits-{name[:16]}.npz" if folder else None


def _read(file: Path) -> Classifier | None:
    """What is kept; None where there is nothing, or something else, which is then replaced."""
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
            anchors, weights = kept["anchors"], kept["weights"]
            error, tested = float(kept["error"]), int(kept["tested"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    right = anchors.ndim == 2 and weights.shape == (len(anchors), 10) and len(anchors) > 0
    right = right and anchors.shape[1] == _DIRECTIONS * 49 and 0 <= error <= 1 and tested > 0
    right = right and anchors.dtype == weights.dtype == np.float32
    if not right or not np.isfinite(anchors).all() or not np.isfinite(weights).all():
        return None
    return Classifier(anchors, weights, error, tested)


def _write(file: Path, found: Classifier) -> None:
    """Keep it if that can be done; if not, the next process trains again."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, lambda out: np.savez(out, **vars(found)))
    except (KineographError, OSError):
        return
