"""One random stream per (seed, item), so that an item never depends on its batch.

The streams are counter-based: every number is a hash of (seed, item, position), computed for
a whole batch at once, with nothing to carry along and nothing to lose on a resume.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


Integers = npt.NDArray[np.uint64]


def _mix(x: Integers) -> Integers:
    """SplitMix64's output function (Steele, Lea and Flood 2014): a bijection that scrambles."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def fold(*parts: int | np.ndarray) -> Integers:
    """Hash integers (broadcast against one another) into uint64, order-sensitively."""
    with np.errstate(over="ignore"):
        state: Integers = np.zeros((), np.uint64)
        for part in parts:
            state = _mix((state + _GOLDEN) ^ np.asarray(part).astype(np.int64).astype(np.uint64))
        return state


def seed_for(*parts: int) -> int:
    """One 63-bit seed out of several integers, for generators that want a seed."""
    return int(fold(*parts) >> np.uint64(1))


def uniform(seed: int, items: np.ndarray, count: int) -> np.ndarray:
    """``count`` numbers in [0, 1) for each item: (B,) integers => (B, count) float64."""
    positions = np.arange(count, dtype=np.int64)
    bits = fold(seed, np.asarray(items, np.int64)[:, None], positions[None, :])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
