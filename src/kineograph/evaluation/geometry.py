"""The geometry of paths: lines, circles and turning points fitted to n centres, (n, 2) units."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Path:
    """The object from its first sighting to its last, n frames, none missing."""

    centre: np.ndarray  # (n, 2)
    size: np.ndarray  # (n,)
    cut: np.ndarray  # (n,) bool
    extent: np.ndarray  # (2,)
    angle: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """(n,) degrees, up to ``period``; NaN where it cannot be seen."""
    period: float = 0.0
    """Degrees after which it looks the same; 0: it always does, and cannot be seen to turn."""

    @property
    def steps(self) -> np.ndarray:
        """From each centre to the next, (n - 1, 2)."""
        return np.diff(self.centre, axis=0)


def line(centre: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Straight uniform motion by least squares => velocity (2,), and what is left over (n,) each:

    how far the path runs ahead or behind, and how far it strays sideways.
    """
    time = np.arange(len(centre)) - (len(centre) - 1) / 2
    velocity = time @ centre / (time @ time)
    left = centre - centre.mean(axis=0) - time[:, None] * velocity
    ahead = velocity / max(float(np.linalg.norm(velocity)), 1e-9)
    return velocity, left @ ahead, left @ np.array([-ahead[1], ahead[0]])


def circle_centre(points: np.ndarray) -> np.ndarray:
    """The circle through points (n, 2) by algebraic least squares (Kåsa 1976) => its centre."""
    middle = points.mean(axis=0)
    p = points - middle
    system = np.column_stack([2 * p, np.ones(len(p))])
    solution = np.linalg.lstsq(system, (p**2).sum(axis=1), rcond=None)[0]
    centre: np.ndarray = solution[:2] + middle
    return centre


def turning(arm: np.ndarray) -> np.ndarray:
    """Arms (n, 2) from a pivot => degrees clockwise from each to the next, (n - 1,)."""
    angle = np.degrees(np.arctan2(arm[:, 1], arm[:, 0]))
    steps: np.ndarray = (np.diff(angle) + 180) % 360 - 180
    return steps


def angle_between(a: np.ndarray, b: np.ndarray) -> float:
    """Degrees between two vectors (2,), 0 to 180."""
    turn = np.arctan2(a[0] * b[1] - a[1] * b[0], a @ b)
    return float(np.degrees(abs(turn)))


def turns(x: np.ndarray, threshold: float) -> np.ndarray:
    """Indices where a coordinate (n,) turns back by more than ``threshold``, ends included."""
    found, extreme, sense = [0], 0, 0
    for i in range(1, len(x)):
        if sense == 0:
            low, high = x[: i + 1].argmin(), x[: i + 1].argmax()
            if x[high] - x[low] > threshold:
                sense, extreme = (1, int(high)) if high > low else (-1, int(low))
                found = [int(min(low, high))]
        elif sense * (x[i] - x[extreme]) >= 0:
            extreme = i
        elif sense * (x[extreme] - x[i]) > threshold:
            found.append(extreme)
            sense, extreme = -sense, i
    return np.array([*found, extreme])


def slope(x: np.ndarray) -> float:
    """Least-squares change of a coordinate (n,) per frame."""
    time = np.arange(len(x)) - (len(x) - 1) / 2
    return float(time @ x / (time @ time))
