"""Pixels => one or two digits, where each is in every frame and what it looks like.

The tracker knows nothing of prompts. Lengths are units, 64ths of the picture's shorter side, to
which every picture is first brought; T, h, w are frames and the sides in units.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from kineograph.data.digit_images import SIDE

_SIDE = 64
MIN_CONTRAST = 40.0
"""Of 255; what stands out less is not seen."""

_INK = 0.25  # share of the contrast from which a pixel is part of a digit
_MAX_BOX = 24.0  # of what is taken for one digit; MNIST's fill 20
_MAX_GAP = 6.0  # between the strokes of one digit
_MIN_MASS = 8.0  # square units of ink
_MIN_SHARE = 0.15  # of a typical digit's mass; anything less is a speck
_TWO_SHARE = 0.3  # of the frames; where fewer show two digits there is one
_MAX_PIECES = 12  # in a frame; more are noise
_REACH = 18  # how far from where it is expected a digit is looked for when two meet
_MAX_MISSING = 0.4  # of either digit's ink
_MAX_BESIDE = 0.3  # of the ink that is seen, by neither
_PLANE = np.zeros((3, 3, 3), bool)  # neighbours within a frame, never across frames
_PLANE[1] = True
_CROSS = _PLANE & ndimage.generate_binary_structure(3, 1)


@dataclass
class Blob:
    """Ink that hangs together, in one frame: its centre of mass, its mass and its box.

    ``box`` is left, top, right, bottom; ``patch`` (28, 28) its picture about the centre.
    """

    centre: np.ndarray
    mass: float
    box: np.ndarray
    patch: np.ndarray

    @property
    def side(self) -> float:
        """The longer side of its box."""
        return float((self.box[2:] - self.box[:2]).max())


@dataclass
class DigitTrack:
    """One digit. ``centre`` (T, 2) is NaN where it is not seen.

    ``patches`` (n, 28, 28), ``mass`` (n,) and ``frames`` (n,) are of the frames in which it stands
    alone; ``hidden`` (T,) says where it is seen only together with another one.
    """

    centre: np.ndarray
    frames: np.ndarray
    patches: np.ndarray
    mass: np.ndarray
    hidden: np.ndarray
    half: np.ndarray
    """Half the width and height of its ink."""


@dataclass(frozen=True)
class Seen:
    """What a clip shows: ``tracks`` of at most two digits, and what else is there.

    ``number`` (T,) counts what may be a digit; ``residue`` (T,) is the other ink, in square units.
    """

    tracks: list[DigitTrack]
    number: np.ndarray
    residue: np.ndarray
    haze: float
    """Share of all ink that is faint and beside the strokes: ghosts, smears."""
    contrast: np.ndarray
    """What the brightest pixels of each frame stand out by, (T,), in 255ths."""
    extent: np.ndarray
    """Width and height, (2,)."""
    noisy: bool
    """Whether it is too full of pieces to say anything."""


def see(frames: np.ndarray) -> Seen:
    """Find the digits of (T, H, W, 3) uint8; H, W ≥ 16."""
    cover, contrast = _ink(frames)
    extent = np.array(cover.shape[:0:-1], float)
    blobs, residue, noisy = _blobs(cover)
    number = np.array([len(several) for several in blobs])
    several = float((number >= 2).mean()) >= _TWO_SHARE
    tracks = _two(cover, blobs) if several else _one(blobs)
    for track in tracks:
        residue[track.hidden] = 0  # both together explain what is there
    tracks = [] if noisy else tracks
    return Seen(tracks, number, residue, _haze(cover), contrast, extent, noisy)


# ---- pixels => blobs ----------------------------------------------------------------------------


def _ink(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """=> how much each pixel stands out, (T, h, w) from 0 to 1, and in 255ths per frame (T,)."""
    height, width = frames.shape[1:3]
    if min(height, width) != _SIDE:
        unit = min(height, width) / _SIDE
        size = (max(_SIDE, round(width / unit)), max(_SIDE, round(height / unit)))
        soft = Image.Resampling.BILINEAR  # which averages where it makes smaller
        frames = np.stack([np.asarray(Image.fromarray(f).resize(size, soft)) for f in frames])
    sides = (frames[:, :2], frames[:, -2:], frames[:, :, :2], frames[:, :, -2:])
    rim = np.concatenate([side.reshape(-1, 3) for side in sides])
    background = np.median(rim, axis=0).astype(np.float32)
    distance = np.abs(frames[..., 0] - background[0])
    for k in (1, 2):  # a channel at a time, as long videos are large
        np.maximum(distance, np.abs(frames[..., k] - background[k]), out=distance)
    brightest = np.partition(distance.reshape(len(frames), -1), -12, axis=1)[:, -12]
    level = max(float(np.median(brightest)), MIN_CONTRAST)
    return np.minimum(distance / level, 1), brightest


def _haze(cover: np.ndarray) -> float:
    """The share of ink that is more than two units from any that is half as bright as the best."""
    near = ndimage.binary_dilation(cover >= 0.5, _CROSS, iterations=2)
    ink = cover >= 0.5 * _INK
    return float(cover[ink & ~near].sum() / max(float(cover[ink].sum()), 1e-6))


def _blobs(cover: np.ndarray) -> tuple[list[list[Blob]], np.ndarray, bool]:
    """Contrast (T, h, w) => what may be digits in each frame, other ink (T,), whether it is noise.

    Strokes that are at most two units apart hang together, and what else is near enough to a
    large piece to belong to the same digit is added to it.
    """
    ink = cover >= _INK
    labels, count = ndimage.label(ndimage.binary_dilation(ink, _PLANE), _PLANE)
    total = cover.sum(axis=(1, 2), where=cover >= 0.5 * _INK)
    if count > _MAX_PIECES * len(cover):
        return [[] for _ in cover], total, True
    labels *= ink
    mass = ndimage.sum_labels(cover, labels, np.arange(1, count + 1))
    pieces: list[list[int]] = [[] for _ in cover]
    places = ndimage.find_objects(labels, count)
    for k in np.argsort(-mass, kind="stable"):
        if places[k] is not None:
            pieces[places[k][0].start].append(int(k) + 1)
    boxes = {k + 1: _box(place) for k, place in enumerate(places) if place is not None}
    blobs = [
        [_blob(cover[t], labels[t], group) for group in _grouped(several, boxes, mass)]
        for t, several in enumerate(pieces)
    ]
    heaviest = [max(b.mass for b in found) for found in blobs if found]
    least = max(_MIN_MASS, _MIN_SHARE * float(np.median(heaviest))) if heaviest else _MIN_MASS
    blobs = [[blob for blob in found if blob.mass >= least] for found in blobs]
    kept = np.array([sum(blob.mass for blob in found) for found in blobs])
    return blobs, np.maximum(total - kept, 0), False  # blobs have faint pixels around them, too


def _box(place: tuple[slice, slice, slice]) -> np.ndarray:
    rows, columns = place[1:]
    return np.array([columns.start, rows.start, columns.stop, rows.stop], float)


def _grouped(pieces: list[int], boxes: dict[int, np.ndarray], mass: np.ndarray) -> list[list[int]]:
    """Pieces of a frame, the heaviest first => those that may be the strokes of one digit."""
    groups: list[tuple[list[int], np.ndarray]] = []
    for piece in pieces:
        box = boxes[piece]
        for members, around in groups:
            low, high = np.minimum(around[:2], box[:2]), np.maximum(around[2:], box[2:])
            gap = np.maximum(box[:2] - around[2:], around[:2] - box[2:]).max()
            if (high - low).max() <= _MAX_BOX and gap <= _MAX_GAP:
                members.append(piece)
                around[:2], around[2:] = low, high
                break
        else:
            if mass[piece - 1] >= 3:
                groups.append(([piece], box.copy()))
    return [members for members, _ in groups]


def _blob(cover: np.ndarray, labels: np.ndarray, members: list[int]) -> Blob:
    """Pieces of a frame (h, w) => one blob, with the faint pixels around its ink."""
    own = np.isin(labels, members)
    rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)
    foreign = ndimage.binary_dilation((labels > 0) & ~own)
    picture = np.where(ndimage.binary_dilation(own, iterations=2) & ~foreign, cover, 0)
    mass = float(picture.sum())
    centre = np.array([picture.sum(axis=k) @ np.arange(picture.shape[1 - k]) for k in (0, 1)])
    centre = centre / mass + 0.5
    return Blob(centre, mass, box, _patch(picture, centre))


def _patch(picture: np.ndarray, centre: np.ndarray) -> np.ndarray:
    along = np.arange(SIDE) - (SIDE - 1) / 2 - 0.5
    places = np.meshgrid(centre[1] + along, centre[0] + along, indexing="ij")
    patch: np.ndarray = ndimage.map_coordinates(picture, places, order=1)
    return patch


# ---- blobs => tracks ----------------------------------------------------------------------------


def _one(blobs: list[list[Blob]]) -> list[DigitTrack]:
    """The heaviest blob of every frame."""
    chosen = {t: max(found, key=lambda b: b.mass) for t, found in enumerate(blobs) if found}
    return [_track(chosen, len(blobs))] if chosen else []


def _track(chosen: dict[int, Blob], num_frames: int) -> DigitTrack:
    centre = np.full((num_frames, 2), np.nan)
    for t, blob in chosen.items():
        centre[t] = blob.centre
    sides = np.array([blob.box[2:] - blob.box[:2] for blob in chosen.values()])
    return DigitTrack(
        centre,
        np.array(list(chosen)),
        np.stack([blob.patch for blob in chosen.values()]),
        np.array([blob.mass for blob in chosen.values()]),
        np.zeros(num_frames, bool),
        np.median(sides, axis=0) / 2,
    )


def _two(cover: np.ndarray, blobs: list[list[Blob]]) -> list[DigitTrack]:
    """The two heaviest of the frames with two, told apart by place and looks; then the others.

    Where two digits touch there is one blob, or one has caught a stroke of the other. Frames of
    either kind are looked at again, with what the digits look like in the other frames.
    """
    pairs = {
        t: sorted(found, key=lambda b: -b.mass)[:2]
        for t, found in enumerate(blobs)
        if len(found) >= 2
    }
    merged = [t for t, found in enumerate(blobs) if len(found) == 1]
    tracks = _two_tracks(pairs, len(blobs))
    doubtful = _doubtful(pairs, tracks)
    sure = {t: pair for t, pair in pairs.items() if t not in doubtful}
    if doubtful and len(sure) >= max(2.0, _TWO_SHARE * len(blobs)):
        others = _two_tracks(sure, len(blobs))
        if not set(doubtful) & _unexplained(cover, [*merged, *doubtful], list(sure), others):
            return others
    _unexplained(cover, merged, list(pairs), tracks)
    return tracks


def _two_tracks(pairs: dict[int, list[Blob]], num_frames: int) -> list[DigitTrack]:
    swapped = _told_apart(pairs)
    return [
        _track({t: pair[k ^ swapped[t]] for t, pair in pairs.items()}, num_frames) for k in (0, 1)
    ]


def _doubtful(pairs: dict[int, list[Blob]], tracks: list[DigitTrack]) -> list[int]:
    """Frames in which two digits nearly touch and one of them has not its usual weight."""
    ratios = np.stack([track.mass / np.median(track.mass) for track in tracks])
    unusual: np.ndarray = np.any((ratios < 0.8) | (ratios > 1.25), axis=0)
    return [
        t
        for (t, (a, b)), odd in zip(pairs.items(), unusual, strict=True)
        if odd and np.maximum(a.box[:2] - b.box[2:], b.box[:2] - a.box[2:]).max() <= _MAX_GAP
    ]


def _unexplained(
    cover: np.ndarray, frames: list[int], known: list[int], tracks: list[DigitTrack]
) -> set[int]:
    """Look for both digits in ``frames``, those near a known one first; => where that fails."""
    frames = sorted(frames, key=lambda t: min(abs(t - k) for k in known))
    return {t for t in frames if not _look_for_both(cover[t], t, tracks)}


def _told_apart(pairs: dict[int, list[Blob]]) -> dict[int, int]:
    """For each frame with two blobs whether they change places, by the cheapest chain of steps."""
    frames = list(pairs)
    cost, came_from = np.zeros(2), []
    for before, now in itertools.pairwise(frames):
        same, other = (_cost(pairs[before], pairs[now], swap, now - before) for swap in (0, 1))
        total = cost[None, :] + np.array([[same, other], [other, same]])  # [now, before]
        came_from.append(total.argmin(axis=1))
        cost = total.min(axis=1)
    states = [int(cost.argmin())]
    for choice in reversed(came_from):
        states.append(int(choice[states[-1]]))
    return dict(zip(frames, reversed(states), strict=True))


def _cost(before: list[Blob], now: list[Blob], swap: int, apart: int) -> float:
    """How unlikely a step is: pixels a frame, and 40 for looks that have nothing in common."""
    total = 0.0
    for k in (0, 1):
        a, b = before[k], now[k ^ swap]
        total += float(np.hypot(*(b.centre - a.centre))) / apart
        total += 40 * (1 - alike(a.patch, b.patch))
    return total


def alike(a: np.ndarray, b: np.ndarray) -> float:
    """How much two pictures agree, 0 to 1: the cosine between them, a little blurred."""
    a, b = (ndimage.gaussian_filter(p, 1.0).ravel() for p in (a, b))
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-6))


def _look_for_both(frame: np.ndarray, t: int, tracks: list[DigitTrack]) -> bool:
    """Whether drawing both digits explains a frame (h, w); if so it is noted where they are.

    Each is looked for along the line it moves on, near where its other frames let it be expected.
    """
    expected = [_expected(track, t) for track in tracks]
    if np.abs(expected[0][0] - expected[1][0]).max() > _MAX_BOX + _REACH:
        return False
    drawn = [
        _placed(track, place, axis, frame.shape)
        for track, (place, axis) in zip(tracks, expected, strict=True)
    ]
    flat = frame.ravel()
    coarse = [_halved(several, frame.shape) for several in (*drawn, flat[None])]
    errors = [((np.maximum(one, coarse[1]) - coarse[2]) ** 2).sum(axis=1) for one in coarse[0]]
    best = np.unravel_index(int(np.argmin(errors)), (len(drawn[0]), len(drawn[1])))
    pictures = [several[k] for several, k in zip(drawn, best, strict=True)]
    missing = [np.maximum(p - flat, 0).sum() / max(p.sum(), 1e-6) for p in pictures]
    beside = np.maximum(flat - np.maximum(*pictures), 0).sum() / max(flat.sum(), 1e-6)
    if max(missing) > _MAX_MISSING or beside > _MAX_BESIDE:
        return False
    for track, (place, axis), k in zip(tracks, expected, best, strict=True):
        place[axis] += k - _REACH
        track.centre[t] = place
        track.hidden[t] = True
    return True


def _expected(track: DigitTrack, t: int) -> tuple[np.ndarray, int]:
    """Where it should be in frame ``t`` (2,), and the axis that it moves along."""
    known = np.flatnonzero(~np.isnan(track.centre[:, 0]))
    place = np.array([np.interp(t, known, track.centre[known, k]) for k in (0, 1)])
    axis = int(np.ptp(track.centre[known], axis=0).argmax())
    place[1 - axis] = np.median(track.centre[known, 1 - axis])
    return place, axis


def _halved(pictures: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(n, h·w) => (n, about h·w/4), means of 2×2 pixels: as good for comparing, and quicker."""
    height, width = (n // 2 * 2 for n in shape)
    even = pictures.reshape(-1, *shape)[:, :height, :width]
    halved: np.ndarray = even.reshape(len(even), height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    return halved.reshape(len(even), -1)


def _placed(track: DigitTrack, centre: np.ndarray, axis: int, shape: tuple[int, ...]) -> np.ndarray:
    """Its mean picture about ``centre`` in an empty frame (h, w), and moved along its axis.

    => (n, h·w), from ``_REACH`` units before ``centre`` to as many behind it.
    """
    height, width = shape
    middle = (SIDE - 1) / 2 + 0.5
    rows = np.arange(-_REACH, height + _REACH) - centre[1] + middle
    columns = np.arange(-_REACH, width + _REACH) - centre[0] + middle
    places = np.meshgrid(rows, columns, indexing="ij")
    large = ndimage.map_coordinates(track.patches.mean(axis=0), places, order=1)
    drawn = []
    for step in range(-_REACH, _REACH + 1):
        x, y = (_REACH - step * (axis == k) for k in (0, 1))
        drawn.append(large[y : y + height, x : x + width].ravel())
    return np.stack(drawn)
