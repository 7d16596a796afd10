"""How big, how round and how solid the one object is, and where its centre is when it is cut.

Everything here is in the pixels of the reduced picture (T, h, w) that the tracker works on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

STRONG = 0.5  # half covered: where the edge of an anti-aliased shape is
PLANE = np.zeros((3, 3, 3), int)  # neighbours within a frame, never across frames
PLANE[1] = 1
_CROSS = np.zeros((3, 3, 3), int)
_CROSS[1] = [[0, 1, 0], [1, 1, 1], [0, 1, 0]]


@dataclass
class Seen:
    """Measures of the main object, in reduced pixels."""

    solid: np.ndarray  # (T, h, w) bool: half covered, holes filled
    cover: np.ndarray  # (T, h, w) coverage, 0 to 1, holes filled
    hole: np.ndarray  # share of the area that was filled in
    visible: np.ndarray
    cores: np.ndarray
    centre: np.ndarray
    size: np.ndarray
    edges: np.ndarray
    elongation: np.ndarray
    overlap: np.ndarray
    skirt: np.ndarray


def measure(cover: np.ndarray, weak: np.ndarray, scale: float) -> Seen:
    """Coverage (T, h, w) in 0 to 1 and the main object's mask => its measures."""
    cover = np.where(weak, cover, np.float32(0))
    drawn = cover.sum(axis=(1, 2))
    solid = cover >= STRONG
    inner = _silhouette(solid, weak)
    if inner is not None:
        solid, weak = solid | inner, weak | inner
        cover = np.where(inner, np.float32(1), cover)
    area, centre, _ = _moments(cover)
    solid_area, solid_centre, solid_axes = _moments(solid)
    weak_area, _, weak_axes = _moments(weak)
    visible = solid_area >= 2 * scale**2
    size = 2 * np.sqrt(area / np.pi)
    sides = (solid[:, :, 0], solid[:, 0], solid[:, :, -1], solid[:, -1])
    touched = np.stack([side.any(axis=1) for side in sides], axis=1)
    ratio = np.maximum(_ratio(solid_axes, 1 / 12), _ratio(weak_axes, 0.6))
    cut = visible & touched.any(axis=1)
    fitted = solid_centre, 2 * np.sqrt(solid_area / np.pi)
    if cut.any():
        _fit_cut(cover, touched, cut, visible, centre, size)
        ratio[cut] = np.nan
        fitted[0][cut], fitted[1][cut] = centre[cut], size[cut]
    overlap = _overlap(solid, *fitted)
    sliver = cut & (solid_area < np.maximum(8.0, 0.15 * np.pi / 4 * size**2))
    overlap[sliver] = 1.0  # too little to tell a disc by
    return Seen(
        solid=solid,
        cover=cover,
        hole=1 - drawn / np.maximum(cover.sum(axis=(1, 2)), 1e-9),
        visible=visible,
        cores=_cores(solid, solid_area, scale),
        centre=centre,
        size=size,
        edges=touched,
        elongation=ratio,
        overlap=overlap,
        skirt=2 * (np.sqrt(weak_area / np.pi) - np.sqrt(solid_area / np.pi)),
    )


def _silhouette(solid: np.ndarray, weak: np.ndarray) -> np.ndarray | None:
    """What to fill in where the object is hollow, (T, h, w), or None if it nowhere is.

    A circle drawn as an outline, or in two colours, or with a highlight, is judged by its
    silhouette. An outline that an edge of the picture cuts is closed by that edge.
    """
    hollow = np.flatnonzero(_gaps(solid) | _gaps(weak))
    if not len(hollow):
        return None
    inner = np.zeros_like(solid)
    inner[hollow] = _enclosed(solid[hollow])
    holes = _enclosed(weak[hollow]).sum(axis=(1, 2))
    typical = np.median(holes[holes > 0]) if holes.any() else 0
    if typical > 0.15 * weak[hollow].sum(axis=(1, 2)).mean():  # an outline: fill it, gaps and all
        walled = np.pad(weak, ((0, 0), (1, 1), (1, 1)))
        for picture, line in zip(walled, weak, strict=True):
            _wall(picture, line)
        filled = weak | _enclosed(walled)[:, 1:-1, 1:-1]
        inner |= ndimage.binary_erosion(filled, _CROSS, border_value=1)
    return inner


def _gaps(mask: np.ndarray) -> np.ndarray:
    """Whether any row of a mask (T, h, w) has two runs, as every hollow shape does, (T,) bool."""
    starts = (mask[:, :, 1:] & ~mask[:, :, :-1]).sum(axis=2, dtype=np.int16) + mask[:, :, 0]
    gaps: np.ndarray = (starts > 1).any(axis=1)
    return gaps


def _enclosed(solid: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(~solid, _CROSS)
    outside = np.zeros(count + 1, bool)
    for side in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        outside[side.ravel()] = True
    outside[0] = True
    enclosed: np.ndarray = ~outside[labels]
    return enclosed


def _wall(walled: np.ndarray, solid: np.ndarray) -> None:
    """Close an outline that the edge cuts, by the edge between its two ends (or their corner)."""
    left, right = solid[:, 0].any(), solid[:, -1].any()
    top, bottom = solid[0].any(), solid[-1].any()
    for wall, line, low, high in (
        (walled[:, 0], solid[:, 0], top, bottom),
        (walled[:, -1], solid[:, -1], top, bottom),
        (walled[0], solid[0], left, right),
        (walled[-1], solid[-1], left, right),
    ):
        ends = np.flatnonzero(line) + 1
        if len(ends):
            wall[0 if low else ends[0] : None if high else ends[-1] + 1] = True


def _moments(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (T, h, w) => area (T,), centroid (T, 2), variances on its axes (T, 2)."""
    weight = weight.astype(np.float32, copy=False)
    height, width = weight.shape[1:]
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    rows, columns = weight.sum(axis=2, dtype=float), weight.sum(axis=1, dtype=float)
    area = rows.sum(axis=1)
    safe = np.maximum(area, 1e-9)
    mx, my = columns @ x / safe, rows @ y / safe
    xx, yy = columns @ x**2 / safe - mx**2, rows @ y**2 / safe - my**2
    xy = np.einsum("ti,i->t", weight @ x.astype(np.float32), y) / safe - mx * my
    middle, spread = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    axes = np.stack([middle + spread, middle - spread], axis=1)
    return area, np.stack([mx, my], axis=1), np.maximum(axes, 0)


def _ratio(axes: np.ndarray, own: float) -> np.ndarray:
    """Variances along the axes (T, 2) => longer over shorter; ``own`` is what blur adds to each."""
    ratio: np.ndarray = np.sqrt((axes[:, 0] + own) / (axes[:, 1] + own))
    return ratio


def _cores(solid: np.ndarray, solid_area: np.ndarray, scale: float) -> np.ndarray:
    """How many solid pieces a faint bridge joins, (T,)."""
    labels, count = ndimage.label(solid, PLANE)
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    last = np.maximum.accumulate(labels.reshape(len(solid), -1).max(axis=1))
    frame = np.searchsorted(last, np.arange(1, count + 1))
    real = area >= np.maximum(4 * scale**2, 0.15 * solid_area[frame])
    return np.bincount(frame[real], minlength=len(solid))


def _disc(centre: np.ndarray, radius: np.ndarray, height: int, width: int) -> np.ndarray:
    """Distances from each pixel to the edge, positive inside: (K, 2), (K,) => (K, h, w)."""
    dx = (np.arange(width) + 0.5)[None, :] - centre[:, :1]
    dy = (np.arange(height) + 0.5)[None, :] - centre[:, 1:]
    away = np.sqrt((dx**2)[:, None, :] + (dy**2)[:, :, None])
    depth: np.ndarray = radius[:, None, None] - away
    return depth


def _overlap(solid: np.ndarray, centre: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Intersection over union with the disc; pixels within 0.6 of its edge agree with anything."""
    depth = _disc(centre.astype(np.float32), (size / 2).astype(np.float32), *solid.shape[1:])
    missing = (~solid & (depth > 0.6)).sum(axis=(1, 2))
    excess = (solid & (depth < -0.6)).sum(axis=(1, 2))
    disc = (depth >= 0).sum(axis=(1, 2))
    share: np.ndarray = (disc - missing) / np.maximum(disc + excess, 1)
    return share


def _fit_cut(
    cover: np.ndarray,
    edges: np.ndarray,
    cut: np.ndarray,
    visible: np.ndarray,
    centre: np.ndarray,
    size: np.ndarray,
) -> None:
    """Put the true centre and diameter of discs cut by the edge into ``centre`` and ``size``.

    A blob's centroid is biased there. The nearest frame that shows the disc whole lends its
    radius as a prior, which counts the more the less is visible; then damped Gauss-Newton on
    coverage = clip(depth / blur + 1/2, 0, 1) for centre and radius, blurred at first to find far
    edges.
    """
    index = np.flatnonzero(cut)
    whole = np.flatnonzero(visible & ~cut)
    target = cover[index]
    height, width = target.shape[1:]
    box = np.array([_box(picture >= STRONG) for picture in target], float)  # x0 y0 x1 y1
    span = np.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]) / 2
    prior = np.zeros(len(index))
    radius = span
    if len(whole):
        nearest = whole[np.abs(index[:, None] - whole[None, :]).argmin(axis=1)]
        lent = size[nearest] / 2
        prior = np.where(span <= 1.1 * lent, 6.0, 0.0)  # what is wider has grown since
        radius = np.maximum(lent, span)
    known = radius
    place = (box[:, :2] + box[:, 2:]) / 2
    for axis in range(2):
        low, high = edges[index, axis], edges[index, axis + 2]
        place[:, axis] = np.where(low & ~high, box[:, axis + 2] - radius, place[:, axis])
        place[:, axis] = np.where(high & ~low, box[:, axis] + radius, place[:, axis])
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    reach = np.maximum(2.0, 0.2 * radius)[:, None]  # of one iteration
    for blur in (4.0, 4.0, 3.0, 3.0, 2.0, 2.0, 1.5, 1.5):
        depth = _disc(place, radius, height, width) / blur + 0.5
        error = target - np.clip(depth, 0, 1)
        band = ((depth > 0) & (depth < 1)) / blur
        away = np.maximum((radius[:, None, None] - (depth - 0.5) * blur), 1e-6)
        toward = np.stack(
            [
                band * (x[None, None, :] - place[:, 0, None, None]) / away,
                band * (y[None, :, None] - place[:, 1, None, None]) / away,
                band,
            ],
            axis=-1,
        ).reshape(len(index), -1, 3)
        normal = toward.transpose(0, 2, 1) @ toward + 0.05 * np.eye(3)
        pull = (toward * error.reshape(len(index), -1, 1)).sum(axis=1)
        normal[:, 2, 2] += prior / blur
        pull[:, 2] += prior / blur * (known - radius)
        step = np.clip(np.linalg.solve(normal, pull[..., None])[..., 0], -reach, reach)
        place = place + step[:, :2]
        radius = np.maximum(radius + step[:, 2], 0.5)
    centre[index], size[index] = place, 2 * radius


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Bounding box of a mask (h, w): left, top, right, bottom, the last two exclusive."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
