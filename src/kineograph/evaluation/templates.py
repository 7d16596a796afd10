"""Which shape it is, how it is turned, what colour it has: by comparison with what we would draw.

The renderer is the ruler: the object that was seen is laid over each shape, drawn with the same
anti-aliasing at the same place and size in every orientation, and the best agreement counts.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from kineograph.core.conventions import RGB
from kineograph.data import raster
from kineograph.data.grammar import COLORS
from kineograph.evaluation.tracker import Track

SILHOUETTES = ("circle", "square", "triangle", "star")
"""Shapes by their outline; a ring is a circle with a hole."""

_MOST_FRAMES = 12
_ANGLES = 10  # orientations of a shape that are tried
_ALSO_CALLED: dict[str, tuple[RGB, ...]] = {  # what other people's palettes mean by a name
    "red": ((255, 0, 0), (139, 0, 0), (220, 20, 60)),
    "orange": ((255, 165, 0), (255, 127, 14), (255, 100, 0)),
    "yellow": ((255, 255, 0), (255, 215, 0)),
    "green": ((0, 128, 0), (0, 255, 0), (0, 100, 0), (44, 160, 44)),
    "cyan": ((0, 255, 255), (64, 224, 208), (0, 128, 128), (23, 190, 207)),
    "blue": ((0, 0, 255), (31, 119, 180), (65, 105, 225), (30, 144, 255)),
    "purple": ((128, 0, 128), (148, 103, 189), (138, 43, 226), (75, 0, 130), (160, 0, 255)),
    "pink": ((255, 192, 203), (255, 105, 180), (255, 0, 255), (227, 119, 194)),
    "grey": ((100, 100, 100), (160, 160, 160), (192, 192, 192)),
    "brown": ((139, 69, 19), (165, 42, 42), (92, 51, 23), (150, 110, 70)),
    "navy": ((0, 0, 128), (0, 0, 90)),
}


@dataclass(frozen=True)
class Likeness:
    """How well the object agrees with each silhouette, 0 to 1, and how much of it is a hole."""

    agreement: dict[str, float]
    hole: float

    @property
    def best(self) -> str:
        """The silhouette that agrees best."""
        return max(self.agreement, key=lambda shape: self.agreement[shape])


def likeness(seen: Track) -> Likeness | None:
    """Over the frames in which no edge cuts the object; None where there are none."""
    whole = np.flatnonzero(seen.visible & ~seen.cut)
    if not len(whole):
        return None
    some = whole[np.linspace(0, len(whole) - 1, min(len(whole), _MOST_FRAMES)).astype(int)]
    found = {shape: float(agreement(seen, shape, some)[0].mean()) for shape in SILHOUETTES}
    return Likeness(found, float(np.median(seen.hole[some])))


def agreement(seen: Track, shape: str, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best agreement (N,) of the object in ``frames`` (N,) with a shape, and its angle (N,).

    Agreement is Σ min / Σ max of the two coverages (the soft intersection over union).
    """
    period = raster.SYMMETRY[shape]
    angles = np.arange(_ANGLES) * period / _ANGLES if period else np.zeros(1)
    k, n = len(frames), len(angles)
    centres = np.repeat(seen.centre[frames] / seen.grain, n, axis=0)
    radii = np.repeat(seen.size[frames] / seen.grain / 2, n)
    drawn, xs, ys = raster.coverage(shape, centres, radii, np.tile(angles, k) if period else None)
    cover = np.pad(seen.cover[frames], ((0, 0), (1, 1), (1, 1)))
    rows = np.clip(ys + 1, 0, cover.shape[1] - 1)[:, :, None]
    columns = np.clip(xs + 1, 0, cover.shape[2] - 1)[:, None, :]
    there = cover[np.repeat(np.arange(k), n)[:, None, None], rows, columns]
    template = drawn.astype(np.float32) / 255
    both = np.minimum(template, there).sum(axis=(1, 2))
    seen_area = np.repeat(seen.cover[frames].sum(axis=(1, 2)), n)
    either = template.sum(axis=(1, 2)) + seen_area - both
    shares = (both / np.maximum(either, 1e-9)).reshape(k, n)
    best = shares.argmax(axis=1)
    return shares[np.arange(k), best], angles[best]


def orientation(seen: Track, shape: str) -> np.ndarray:
    """Degrees clockwise from upright, (T,), up to the shape's symmetry; NaN where cut or unseen.

    The angle of the n-fold moment Σ c·(x + iy)ⁿ of the coverage c about its centre, which is exact
    between the pixels.
    """
    period = raster.SYMMETRY[shape]
    if not period:
        return np.full(len(seen.visible), np.nan)
    fold = round(360 / period)
    height, width = seen.cover.shape[1:]
    x = (np.arange(width) + 0.5)[None, None, :] - seen.centre[:, 0, None, None] / seen.grain
    y = (np.arange(height) + 0.5)[None, :, None] - seen.centre[:, 1, None, None] / seen.grain
    reach = np.nan_to_num(seen.size, nan=1.0)[:, None, None] / seen.grain
    away = np.nan_to_num((x + 1j * y) / reach, nan=9.0)
    near = np.abs(away) < 1.2  # beyond every point; else far specks would rule
    moment = (np.where(near, seen.cover, 0) * np.where(near, away, 0) ** fold).sum(axis=(1, 2))
    upright = {"square": 45.0}.get(shape, -90.0)  # where an upright one points
    angle = (np.degrees(np.angle(moment)) / fold - upright) % period
    angle[~seen.visible | seen.cut] = np.nan
    return np.asarray(angle)


@functools.cache
def _palette() -> tuple[list[str], np.ndarray]:
    named = [(name, rgb) for name in COLORS for rgb in (COLORS[name], *_ALSO_CALLED.get(name, ()))]
    return [name for name, _ in named], _lab(np.array([rgb for _, rgb in named]))


def color_names(rgb: RGB) -> list[str]:
    """What a colour may be called: the nearest name in CIELAB, and others nearly as near."""
    names, lab = _palette()
    away = np.linalg.norm(lab - _lab(np.array(rgb)), axis=1)
    order = np.argsort(away, kind="stable")
    near = [names[k] for k in order if away[k] <= 1.15 * away[order[0]] + 2]
    return list(dict.fromkeys(near))


def _lab(rgb: np.ndarray) -> np.ndarray:
    """SRGB (..., 3) of 255 => CIELAB under D65 (CIE 15:2004)."""
    c = rgb / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = linear @ np.array(matrix).T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    lab = [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])]
    return np.stack(lab, axis=-1)
