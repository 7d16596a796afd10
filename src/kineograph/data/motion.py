"""Facts => trajectories: where an object is in every frame.

Plain kinematics, a batch at a time. B clips, T frames; positions are pixels (x, y), y downward,
angles degrees clockwise. Every function returns (B, T) or (B, T, 2) float64.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kineograph.data.grammar import DIRECTIONS, Motion

DIAMETERS = {"small": (7.0, 8.5), "": (11.0, 13.0), "large": (15.5, 18.0)}
"""The word for a size => diameters of the disc of the same area, in units."""

PACES: dict[str, dict[str, tuple[float, float]]] = {
    "moving": {"slowly": (9, 12), "": (17, 21), "quickly": (28, 33)},
    "bouncing": {"slowly": (16, 21), "": (29, 36), "quickly": (48, 60)},
    "zigzagging": {"slowly": (13, 15), "": (19, 23), "quickly": (29, 33)},
    "orbiting": {"slowly": (70, 95), "": (140, 180), "quickly": (250, 310)},
    "spinning": {"slowly": (45, 70), "": (110, 145), "quickly": (210, 250)},
    "shrinking": {"slowly": (1.4, 1.5), "": (1.9, 2.1), "quickly": (2.8, 3.2)},
    "expanding": {"slowly": (1.4, 1.5), "": (1.9, 2.1), "quickly": (2.8, 3.2)},
}
"""How far a verb goes in a clip, by the word for its speed: (least, most).

Units (64ths of the picture's shorter side) of the path for moving and bouncing and of the advance
for zigzagging, degrees for orbiting and spinning, the ratio of sizes for shrinking and expanding.
"""

Floats = npt.NDArray[np.float64]


def straight(start: Floats, velocity: Floats, num_frames: int) -> Floats:
    """Steady motion: start (B, 2), velocity (B, 2) pixels per frame => positions (B, T, 2)."""
    frame = np.arange(num_frames)[None, :, None]
    return start[:, None, :] + velocity[:, None, :] * frame


def orbit(
    centre: Floats,
    radius: Floats,
    angle: Floats,
    degrees_per_frame: Floats,
    num_frames: int,
) -> Floats:
    """A turn about ``centre`` (B, 2), from ``angle`` (B,), clockwise for positive speeds (B,).

    Angle 0 points right and 90 down, which is clockwise because y grows downward.
    """
    frame = np.arange(num_frames)[None, :]
    turned = np.radians(angle[:, None] + degrees_per_frame[:, None] * frame)
    arm: Floats = np.stack([np.cos(turned), np.sin(turned)], axis=-1)
    return centre[:, None, :] + radius[:, None, None] * arm


def bounce(wall: Floats, speed: Floats, hit: Floats, side: Floats, num_frames: int) -> Floats:
    """One coordinate of an object that flies to a wall and back: => (B, T).

    ``wall`` (B,) is where its centre turns, ``hit`` (B,) the frame (not necessarily whole) at
    which it does, ``side`` (B,) +1 for the wall at the right or bottom and -1 for the other.
    """
    frame = np.arange(num_frames)[None, :]
    away = speed[:, None] * np.abs(frame - hit[:, None])
    return wall[:, None] - side[:, None] * away


def alternate(swing: Floats, phase: Floats, num_frames: int) -> Floats:
    """One coordinate's offset that changes side with every frame: ±swing/2 => (B, T).

    ``phase`` (B,) is +1 or -1, the side of frame 0.
    """
    sign = 1.0 - 2.0 * (np.arange(num_frames)[None, :] % 2)
    return 0.5 * swing[:, None] * phase[:, None] * sign


def zigzag(swing: Floats, phase: Floats, leg: int, num_frames: int) -> Floats:
    """One coordinate's offset that swings from side to side in straight legs => (B, T).

    It goes from -swing/2 to swing/2 in ``leg`` frames and back in as many; ``phase`` (B,) is the
    share of that period, 0 to 1, at which it begins.
    """
    frame = np.arange(num_frames)[None, :] / (2 * leg) + phase[:, None]
    triangle: Floats = np.abs(2 * (frame % 1.0) - 1)
    return swing[:, None] * (triangle - 0.5)


def ramp(first: Floats, last: Floats, num_frames: int) -> Floats:
    """A quantity that changes steadily from ``first`` (B,) to ``last`` (B,) => (B, T)."""
    share = np.arange(num_frames) / max(num_frames - 1, 1)
    return first[:, None] + (last - first)[:, None] * share[None, :]


# ---- motions that stay inside the picture ---------------------------------------------------

_MARGIN = 1.0  # between an object and the edge
_INSIDE = 4.0  # the same in training, so that a start at the edge is out of range


def _room(box: Floats, extent: Floats, margin: float, needed: Floats) -> tuple[Floats, Floats]:
    """Least and most of a centre on both axes, (N, 2): the box inside, and a margin if it fits."""
    spare = (extent - box[:, :2] - box[:, 2:] - needed) / 2
    kept = np.clip(spare, 0.5, margin)
    return box[:, :2] + kept, extent - box[:, 2:] - kept


def inside(
    what: Motion,
    pace: Floats,
    box: Floats,
    at_edge: npt.NDArray[np.bool_],
    u: Floats,
    extent: Floats,
    num_frames: int,
) -> Floats:
    """Where centres go, (N, T, 2), so that boxes (N, 4) about them stay inside the picture."""
    frames = num_frames - 1
    axis = 0 if what.manner == "horizontally" else 1
    if what.verb == "orbiting":
        sense = 1 if what.manner == "clockwise" else -1
        room = np.minimum(extent / 2 - box[:, :2], extent / 2 - box[:, 2:]).min(axis=1) - 0.5
        radius = np.minimum(12 + 6 * u[:, 2], room)
        centre = np.broadcast_to(extent / 2, (len(pace), 2))
        return orbit(centre, radius, 360 * u[:, 3], sense * pace / frames, num_frames)
    needed = np.zeros((len(pace), 2))
    swing = 9 + 4 * u[:, 4]
    if what.verb == "moving":
        step = np.array(DIRECTIONS[what.manner]) / np.linalg.norm(DIRECTIONS[what.manner])
        needed = pace[:, None] * np.abs(step)
    elif what.verb == "zigzagging":
        needed[:, axis], needed[:, 1 - axis] = pace, swing
    low, high = _room(box, extent, _MARGIN, needed)
    inner = _room(box, extent, _INSIDE, needed)
    place = np.where(at_edge[:, None], np.rint(u[:, 2:4]), u[:, 2:4])
    low = np.where(at_edge[:, None], low, inner[0])
    high = np.where(at_edge[:, None], high, inner[1])
    scale = np.clip((high - low) / np.maximum(needed, 1e-9), 0, 1).min(axis=1, keepdims=True)
    needed = needed * scale  # where even that is too much for the picture
    first = low + place * (high - low - needed)  # the corner of what it needs
    position = np.repeat(first[:, None, :], num_frames, axis=1)
    if what.verb == "moving":
        start = np.where(step >= 0, first, first + needed)
        position = straight(start, np.sign(step) * needed / frames, num_frames)
    elif what.verb == "bouncing":
        side = np.where(u[:, 4] < 0.5, -1.0, 1.0)
        hit = frames * (0.35 + 0.3 * u[:, 5])
        wall = np.where(side > 0, extent[axis] - box[:, 2 + axis] - 0.5, box[:, axis] + 0.5)
        room = extent[axis] - box[:, axis] - box[:, 2 + axis] - 1
        speed = np.minimum(pace, room / 0.65) / frames
        position[:, :, axis] = bounce(wall, speed, hit, side, num_frames)
    elif what.verb == "zigzagging":
        leg = max(2, round(frames / 4.5))
        onward = np.where(u[:, 5] < 0.5, -1.0, 1.0) * needed[:, axis] / 2
        swing = needed[:, 1 - axis]
        phase = np.where(u[:, 6] < 0.5, 0.0, 0.5)
        position[:, :, axis] += needed[:, [axis]] / 2 + ramp(-onward, onward, num_frames)
        across = zigzag(swing, phase, leg, num_frames)
        position[:, :, 1 - axis] += swing[:, None] / 2 + across
    return position
