"""Facts => trajectories: where an object is in every frame.

Plain kinematics, a batch at a time. B clips, T frames; positions are pixels (x, y), y downward,
angles degrees clockwise. Every function returns (B, T) or (B, T, 2) float64.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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


def ramp(first: Floats, last: Floats, num_frames: int) -> Floats:
    """A quantity that changes steadily from ``first`` (B,) to ``last`` (B,) => (B, T)."""
    share = np.arange(num_frames) / max(num_frames - 1, 1)
    return first[:, None] + (last - first)[:, None] * share[None, :]
