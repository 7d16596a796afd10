"""Pixels => where the object is in every frame, how big, how round, and what else is there.

The tracker knows nothing of prompts. Everything it measures is in *units*: a unit is a 64th of
the picture's shorter side, so that one threshold serves every resolution. T, H, W as everywhere;
h, w are the sides of the reduced picture it works on (64 to 127 on the shorter side).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from kineograph.evaluation.shape import PLANE, STRONG, measure

_SIDE = 64
_MIN_CONTRAST = 40.0  # of 255; below it nothing is called visible
_WEAK = 0.12  # share of the object's contrast from which a pixel belongs to something
_FAINT = 12.0  # of 255; and never below this, whatever the contrast


@dataclass(frozen=True)
class Track:
    """What was seen, frame by frame. Lengths are units; x rightward, y downward.

    Arrays are (T,) unless said otherwise, and NaN (or 0, or False) where nothing is visible.
    """

    objects: np.ndarray
    """How many objects; one is right."""
    visible: np.ndarray
    """Whether the main object is seen (bool)."""
    centre: np.ndarray
    """Centre of the main object, (T, 2); estimated from the uncut side where an edge cuts it."""
    size: np.ndarray
    """Its diameter: of the disc of the same area, or the fitted disc's where an edge cuts it."""
    edges: np.ndarray
    """Which edges it touches: (T, 4) bool, left, top, right, bottom."""
    elongation: np.ndarray
    """Longer axis over shorter, by second moments; 1 is round. NaN where an edge cuts it."""
    overlap: np.ndarray
    """Intersection over union of the object and the fitted disc; 1 is a perfect disc."""
    skirt: np.ndarray
    """How much wider it is at its faintest than at half contrast: blur, ghosts, smears."""
    hole: np.ndarray
    """Share of its area that is a hole: 0 for a disc, a quarter for a ring."""
    cover: np.ndarray
    """How much of each pixel it covers, 0 to 1, holes filled: (T, h, w)."""
    contrast: np.ndarray
    """Largest channel difference from the background, 0 to 255, over the object's middle."""
    residue: np.ndarray
    """Everything else that stands out from the background: area times share of the contrast."""
    color: tuple[int, int, int]
    """The object's."""
    background: tuple[int, int, int]
    """The picture's most common colour."""
    grain: float
    """Side of the pixels it was measured with, at most about 1 unit save in tiny pictures."""
    extent: tuple[float, float]
    """Width and height of the picture."""
    unit: float
    """Pixels of the given picture in one unit."""

    @property
    def cut(self) -> np.ndarray:
        """Whether an edge of the picture touches the object, (T,) bool."""
        return np.asarray(self.edges.any(axis=1))


def track(frames: np.ndarray) -> Track:
    """Find the one object in every frame of (T, H, W, 3) uint8 RGB; any H, W ≥ 16.

    Raises ValueError for any other array.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise ValueError(f"track wants uint8 (T, H, W, 3), not {frames.dtype} {frames.shape}")
    height, width = frames.shape[1:3]
    if min(height, width) < 16:
        raise ValueError(f"track wants pictures of at least 16×16 pixels, not {width}×{height}")
    factor = max(1, min(height, width) // _SIDE)
    unit = min(height, width) / _SIDE
    small = _reduce(frames, factor)
    planes = np.ascontiguousarray(np.moveaxis(small, 3, 0))  # (3, T, h, w)
    background = _background(planes)
    distance = _distance(planes, background)
    scale = unit / factor  # reduced pixels in one unit
    level = _level(distance, scale)
    noise = min(3.5 * _median(distance), 0.45 * level)
    cover = distance * np.float32(1 / level)
    weak, objects, residue = _components(cover, max(_WEAK, (_FAINT + noise) / level), scale)
    seen = measure(np.minimum(cover, 1, out=cover), weak, scale)
    body = seen.solid & (distance >= 0.8 * level)
    color = np.median(small[body], axis=0) if body.any() else background
    rgb = [round(float(v)) for v in (*color, *background)]
    unseen = ~seen.visible
    lengths = {
        "centre": seen.centre / scale,
        "size": seen.size / scale,
        "skirt": seen.skirt / scale,
        "elongation": seen.elongation,
        "overlap": seen.overlap,
    }
    for values in lengths.values():
        values[unseen] = np.nan
    return Track(
        objects=np.where(seen.visible, np.maximum(objects, seen.cores), 0),
        visible=seen.visible,
        hole=seen.hole,
        cover=seen.cover,
        edges=seen.edges & seen.visible[:, None],
        contrast=_contrast(distance, seen.solid & (distance >= STRONG * level)),
        residue=residue / scale**2,
        color=(rgb[0], rgb[1], rgb[2]),
        background=(rgb[3], rgb[4], rgb[5]),
        grain=1 / scale,
        extent=(width / unit, height / unit),
        unit=unit,
        **lengths,
    )


def separate(frames: np.ndarray) -> list[np.ndarray]:
    """Clips (T, h, w, 3) that show one of two objects each, the other painted over.

    Objects are told apart by their colours where these differ, else by where they were a frame
    before. => two clips, smaller than ``frames`` where those are large; one where only one object
    is to be seen in most frames.
    """
    factor = max(1, min(frames.shape[1:3]) // _SIDE)
    small = _reduce(frames, factor)
    planes = np.ascontiguousarray(np.moveaxis(small, 3, 0))
    background = _background(planes)
    distance = _distance(planes, background)
    labels, count = ndimage.label(distance >= max(_FAINT, _WEAK * distance.max()), PLANE)
    flat = labels.ravel()
    area = np.bincount(flat, minlength=count + 1)
    frame = np.zeros(count + 1, int)
    frame[flat] = np.repeat(np.arange(len(small)), small.shape[1] * small.shape[2])
    things = np.flatnonzero(area >= 4 * (min(small.shape[1:3]) / _SIDE) ** 2)
    things = things[things > 0]
    if (np.bincount(frame[things], minlength=len(small)) >= 2).mean() < 0.5:
        return [small]
    core = distance >= 0.7 * ndimage.maximum(distance, labels, np.arange(count + 1))[labels]
    index = np.arange(count + 1)
    color = np.stack([ndimage.mean(p, np.where(core, labels, 0), index) for p in planes], axis=1)
    pair = _two_colors(color[things], area[things])
    if np.abs(pair[0] - pair[1]).max() >= 50:
        away = [_off_shades(small, background, c) for c in pair]
        nearer = away[1] < away[0]
        share = ndimage.mean(nearer & core, np.where(core, labels, 0), index)[labels]
        second = np.where((share > 0.15) & (share < 0.85), nearer, share >= 0.5)  # touching or not
    else:
        middle = np.array(ndimage.center_of_mass(labels > 0, labels, index[1:]))[:, 2:0:-1]
        second = _linked(frame, things, np.concatenate([np.zeros((1, 2)), middle]), area)[labels]
    clips = []
    for other in (second, ~second):
        gone = ndimage.binary_dilation(other & (labels > 0), PLANE, iterations=2)
        kept = ~other & (labels > 0)
        clips.append(np.where((gone & ~kept)[..., None], background, small))
    return clips


def _off_shades(frames: np.ndarray, background: np.ndarray, color: np.ndarray) -> np.ndarray:
    """How far pixels (T, h, w, 3) are from every mixture of a colour and the background."""
    way = color - background
    apart = frames - background.astype(float)
    share = np.clip(apart @ way / (way @ way), 0, 1)
    return np.asarray(np.linalg.norm(apart - share[..., None] * way, axis=-1))


def _two_colors(colors: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The two colours (2, 3) that colours (N, 3) fall into (2-means from the farthest pair)."""
    apart = np.abs(colors[:, None] - colors[None]).sum(axis=2)
    pair = colors[list(np.unravel_index(apart.argmax(), apart.shape))]
    for _ in range(5):
        nearer = np.abs(colors[:, None] - pair[None]).sum(axis=2).argmin(axis=1)
        if not 0 < nearer.sum() < len(nearer):
            break
        pair = np.stack([np.average(colors[nearer == k], 0, weight[nearer == k]) for k in (0, 1)])
    return pair


def _linked(
    frame: np.ndarray, things: np.ndarray, centre: np.ndarray, area: np.ndarray
) -> np.ndarray:
    """Which components are the second object, by going on where each was a frame before."""
    second = np.zeros(len(frame), bool)
    last: np.ndarray | None = None
    for f in range(int(frame.max()) + 1):
        here = things[frame[things] == f]
        here = here[np.argsort(-area[here], kind="stable")]
        if len(here) < 2:
            continue
        both = here[:2]
        if last is None:
            last = centre[both]
        else:
            away = np.linalg.norm(centre[both][:, None] - last[None], axis=2)
            if away[0, 0] + away[1, 1] > away[0, 1] + away[1, 0]:
                both = both[::-1]
            last = centre[both]
        rest = np.linalg.norm(centre[here][:, None] - last[None], axis=2).argmin(axis=1)
        second[here] = rest == 1
        second[both] = [False, True]
    return second


def _reduce(frames: np.ndarray, factor: int) -> np.ndarray:
    """Average over factor × factor pixels: (T, H, W, 3) => (T, h, w, 3) uint8."""
    if factor == 1:
        return frames
    height, width = frames.shape[1:3]
    pad = ((0, 0), (0, -height % factor), (0, -width % factor), (0, 0))
    if any(p[1] for p in pad):
        frames = np.pad(frames, pad, mode="edge")
    tall = np.zeros((len(frames), frames.shape[1] // factor, *frames.shape[2:]), np.uint32)
    for i in range(factor):
        tall += frames[:, i::factor]
    total = np.zeros((*tall.shape[:2], tall.shape[2] // factor, 3), np.uint32)
    for j in range(factor):
        total += tall[:, :, j::factor]
    mean = (total + factor**2 // 2) // factor**2
    return mean.astype(np.uint8)


def _background(planes: np.ndarray) -> np.ndarray:
    """The most common colour of (3, T, h, w), (3,) uint8; the rim counts as much as all the rest.

    The rim decides where a large object fills most of the picture.
    """
    coarse = (planes >> 3).astype(np.int16)
    codes = (coarse[0] << 10) | (coarse[1] << 5) | coarse[2]
    sides = (codes[:, :2], codes[:, -2:], codes[:, :, :2], codes[:, :, -2:])
    rim = np.concatenate([side.ravel() for side in sides])
    votes = np.bincount(codes.ravel(), minlength=1 << 15) / codes.size
    votes += np.bincount(rim, minlength=1 << 15) / rim.size
    top = int(votes.argmax())
    middle = np.array([top >> 10, (top >> 5) & 31, top & 31], np.uint8) * 8 + 4
    some = planes[:, :, ::2, ::2]  # enough of them, in a quarter of the time
    near = _distance(some, middle) <= 12  # a colour on the border of two bins belongs to both
    mean = [plane[near].mean() if near.any() else m for plane, m in zip(some, middle, strict=True)]
    return np.rint(mean).astype(np.uint8)


def _distance(planes: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Largest difference in a channel: (3, T, h, w), (3,) uint8 => (T, h, w) uint8."""
    apart = [np.maximum(p, c) - np.minimum(p, c) for p, c in zip(planes, color, strict=True)]
    largest: np.ndarray = np.maximum(np.maximum(apart[0], apart[1]), apart[2])
    return largest


def _median(values: np.ndarray) -> float:
    """Of uint8, by counting."""
    counts = np.bincount(values.ravel(), minlength=256).cumsum()
    return float(np.searchsorted(counts, counts[-1] / 2))


def _level(distance: np.ndarray, scale: float) -> float:
    """The object's contrast: what its best few pixels reach in a typical frame, in 255ths."""
    few = max(1, round(6 * scale**2))
    flat = distance.reshape(len(distance), -1)
    peaks = np.partition(flat, flat.shape[1] - few, axis=1)[:, -few]
    peaks = peaks[peaks >= _MIN_CONTRAST]
    return float(np.median(peaks)) if len(peaks) else 255.0


def _components(
    cover: np.ndarray, threshold: float, scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Contrast (T, h, w) => mask of the main object, number of objects (T,), other mass (T,)."""
    labels, count = ndimage.label(cover >= threshold, PLANE)
    num_frames = len(cover)
    flat = labels.ravel()
    area = np.bincount(flat, minlength=count + 1)[1:]
    mass = np.bincount(flat, cover.ravel(), count + 1)[1:]
    per_frame = labels.reshape(num_frames, -1).max(axis=1)  # labels ascend from frame to frame
    last = np.maximum.accumulate(per_frame)
    frame = np.searchsorted(last, np.arange(1, count + 1))
    main = np.zeros(num_frames, int)
    order = np.argsort(mass, kind="stable")
    main[frame[order]] = order + 1  # the heaviest is written last
    main_area = np.append(0, area)[main]
    main_mass = np.append(0.0, mass)[main]
    px = scale**2  # in a square unit
    counted = area >= np.clip(0.15 * main_area[frame], 6 * px, 12 * px)
    counted &= mass >= np.minimum(0.06 * main_mass[frame], 5 * px)
    counted[main[main > 0] - 1] = True
    objects = np.bincount(frame[counted], minlength=num_frames)
    total = np.bincount(frame, mass, minlength=num_frames)
    mask = (labels == main[:, None, None]) & (labels > 0)
    return mask, objects, total - main_mass


def _contrast(distance: np.ndarray, solid: np.ndarray) -> np.ndarray:
    mass = (distance * solid).sum(axis=(1, 2))
    area: np.ndarray = solid.sum(axis=(1, 2))
    mean: np.ndarray = mass / np.maximum(area, 1)
    return mean
