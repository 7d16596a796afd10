"""Trajectories => pixels, a batch at a time, anti-aliased."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kineograph.core.conventions import RGB

_CLIPS_AT_ONCE = 64  # keeps what is being worked on in the processor's cache
_STAR_NOTCH = 0.45  # inner radius of the star, in outer radii
_RING_HOLE = 0.5  # diameter of the ring's hole, in outer diameters

# Outer radius of each shape in radii of the disc of the same area. A ring counts its hole, so its
# size is what one sees of it.
_SQUARE = float(np.sqrt(np.pi / 2))
_TRIANGLE = float(np.sqrt(4 * np.pi / (3 * np.sqrt(3))))
_STAR = float(np.sqrt(np.pi / (5 * _STAR_NOTCH * np.sin(np.pi / 5))))

EXTENTS: dict[str, tuple[float, float, float, float]] = {
    "circle": (1, 1, 1, 1),
    "square": (_SQUARE / np.sqrt(2),) * 4,
    "triangle": (_TRIANGLE * np.sqrt(3) / 2, _TRIANGLE, _TRIANGLE * np.sqrt(3) / 2, _TRIANGLE / 2),
    "star": (
        _STAR * np.sin(0.4 * np.pi),
        _STAR,
        _STAR * np.sin(0.4 * np.pi),
        _STAR * np.cos(0.2 * np.pi),
    ),
    "ring": (1, 1, 1, 1),
}
"""How far each upright shape reaches left, up, right, down, in half sizes."""

REACH = {
    "circle": 1.0,
    "square": _SQUARE,
    "triangle": _TRIANGLE,
    "star": _STAR,
    "ring": 1.0,
}
"""How far each shape reaches at most, however it is turned, in half sizes."""

SYMMETRY = {"circle": 0.0, "square": 90.0, "triangle": 120.0, "star": 72.0, "ring": 0.0}
"""Degrees after which a turned shape looks the same; 0: it always does."""


def blank(background: np.ndarray, num_frames: int, height: int, width: int) -> np.ndarray:
    """Backgrounds (B, 3) => empty clips (B, T, H, W, 3) uint8."""
    background = np.asarray(background, np.uint8)
    frames = np.empty((len(background), num_frames, height, width, 3), np.uint8)
    pictures = frames.reshape(len(frames), num_frames, -1)
    # Row by row: 40 times as fast as pixel by pixel.
    pictures[:] = np.tile(background, (1, height * width))[:, None, :]
    return frames


def draw(
    frames: np.ndarray,
    shape: str,
    position: np.ndarray,
    size: np.ndarray,
    color: np.ndarray,
    background: np.ndarray,
    angle: np.ndarray | None = None,
    clip: np.ndarray | None = None,
) -> None:
    """Draw N objects into clips (B, T, H, W, 3) uint8, in place, at most one a clip.

    Centres (N, T, 2), sizes (N, T) (the diameter of the disc of the same area) and angles (N, T)
    clockwise; colours and backgrounds (N, 3); ``clip`` (N,) says which clips, or all in turn. A
    pixel's coverage is its signed distance to the edge, clipped to half a pixel either way, and
    mixes colour and background. Objects may lie partly or wholly outside; a size below 0 draws
    nothing.
    """
    num_frames = frames.shape[1]
    flat = frames.reshape(-1, *frames.shape[2:])
    shades, pair = _shades(np.asarray(color), np.asarray(background))
    clip = np.arange(len(size)) if clip is None else clip
    picture = (clip[:, None] * num_frames + np.arange(num_frames)).reshape(-1)
    pair = np.repeat(pair, num_frames)
    centres, radii = position.reshape(-1, 2), size.reshape(-1) / 2
    turned = None if angle is None or not SYMMETRY[shape] else angle.reshape(-1)
    step = _CLIPS_AT_ONCE * num_frames
    for first in range(0, len(picture), step):
        part = slice(first, first + step)
        turn = None if turned is None else turned[part]
        cover, xs, ys = coverage(shape, centres[part], radii[part], turn)
        _stamp(flat, picture[part], cover, xs, ys, shades, pair[part])


def render_discs(
    position: np.ndarray,
    size: np.ndarray,
    *,
    color: RGB,
    background: RGB,
    height: int,
    width: int,
) -> np.ndarray:
    """One disc a clip: centres (B, T, 2), diameters (B, T) in pixels => (B, T, H, W, 3) uint8."""
    clips, num_frames = size.shape
    colors, backgrounds = (np.tile(np.array(c), (clips, 1)) for c in (color, background))
    frames = blank(backgrounds, num_frames, height, width)
    draw(frames, "circle", position, size, colors, backgrounds)
    return frames


def _shades(color: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours and backgrounds (B, 3) => shades (P, 256) of each pair of them, and each clip's pair.

    A shade is one opaque RGB item, so that a pixel is moved as a whole.
    """
    both = np.concatenate([color, background], axis=1)
    pairs, which = np.unique(both, axis=0, return_inverse=True)
    share = np.arange(256)[:, None] / 255.0
    mixed = pairs[:, None, 3:] + share * (pairs[:, None, :3] - pairs[:, None, 3:].astype(float))
    packed = np.ascontiguousarray(np.rint(mixed).astype(np.uint8)).view("V3")[..., 0]
    return packed, which.reshape(-1)


def coverage(
    shape: str, centres: np.ndarray, radii: np.ndarray, angle: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A shape at N places => its coverage of the pixels around each, in 255ths.

    Centres (N, 2), half sizes (N,), angles (N,) clockwise or None => coverage (N, S, S) uint8 of a
    window, and the window's columns and rows, (N, S) each, which may lie outside the picture.
    """
    side = int(np.ceil(2 * REACH[shape] * radii.max(initial=0.0))) + 2
    corner = np.floor(centres - side / 2 + 0.5).astype(np.int64)
    along = np.arange(side)
    xs, ys = corner[:, :1] + along, corner[:, 1:] + along  # (N, side) pixel columns and rows
    dx = (xs + 0.5 - centres[:, :1]).astype(np.float32)[:, None, :]
    dy = (ys + 0.5 - centres[:, 1:]).astype(np.float32)[:, :, None]
    if angle is not None:
        turn = np.radians(angle).astype(np.float32)[:, None, None]
        cos, sin = np.cos(turn), np.sin(turn)
        dx, dy = cos * dx + sin * dy, cos * dy - sin * dx
    distance = _DISTANCES[shape](dx, dy, radii.astype(np.float32)[:, None, None])
    return (np.clip(0.5 - distance, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8), xs, ys


def _stamp(
    frames: np.ndarray,
    picture: np.ndarray,
    coverage: np.ndarray,
    xs: np.ndarray,
    ys: np.ndarray,
    shades: np.ndarray,
    pair: np.ndarray,
) -> None:
    height, width = frames.shape[1:3]
    inside = (ys >= 0)[:, :, None] & (ys < height)[:, :, None]
    inside = inside & (xs >= 0)[:, None, :] & (xs < width)[:, None, :]
    drawn = inside & (coverage > 0)
    rows = picture[:, None, None] * height + ys[:, :, None]
    where = (rows * width + xs[:, None, :])[drawn]
    shade = coverage[drawn].astype(np.int64)
    if len(shades) > 1:
        shade += 256 * np.repeat(pair, drawn.sum(axis=(1, 2)))
    frames.reshape(-1, 3).view("V3")[where, 0] = shades.reshape(-1)[shade]


# ---- signed distances in pixels: x, y from the centre (N, h, w), radius (N, 1, 1) -----------


def _circle(x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> np.ndarray:
    distance: np.ndarray = np.sqrt(x**2 + y**2) - radius
    return distance


def _ring(x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> np.ndarray:
    middle, half = radius * (1 + _RING_HOLE) / 2, radius * (1 - _RING_HOLE) / 2
    distance: np.ndarray = np.abs(np.sqrt(x**2 + y**2) - middle) - half
    return distance


def _square(x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> np.ndarray:
    side = radius * np.float32(EXTENTS["square"][0])
    distance: np.ndarray = np.maximum(np.abs(x), np.abs(y)) - side
    return distance


def _triangle(x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Point up: below the base, or beyond one of the two flanks, which mirror each other."""
    inner = radius * np.float32(_TRIANGLE / 2)
    flank = np.abs(x) * np.float32(np.sqrt(3) / 2) - y / 2
    distance: np.ndarray = np.maximum(y, flank) - inner
    return distance


def _star(x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Point up: folded into a tenth by its mirrors, one edge is left."""
    outer = radius * np.float32(_STAR)
    cos, sin = np.float32(np.cos(np.pi / 5)), np.float32(np.sin(np.pi / 5))
    x, y = np.abs(x), -y
    over = 2 * np.maximum(cos * x - sin * y, 0)
    x, y = x - over * cos, y + over * sin
    over = 2 * np.maximum(-cos * x - sin * y, 0)
    x, y = np.abs(x + over * cos), y + over * sin
    edge = np.array([_STAR_NOTCH * sin, _STAR_NOTCH * cos - 1])  # from a point to a notch
    edge = (edge / np.linalg.norm(edge)).astype(np.float32)
    distance: np.ndarray = -edge[1] * x + edge[0] * (y - outer)
    return distance


_DISTANCES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "ring": _ring,
}
