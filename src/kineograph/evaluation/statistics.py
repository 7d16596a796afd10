"""What a share of a few trials says about the truth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval in which the true share lies (Wilson 1927): (low, high), both in 0 to 1.

    Unlike the textbook's p ± z·√(p(1−p)/n) it says something honest at 0 and at n of n. Without
    trials nothing is known: (0, 1). Raises ValueError unless 0 ≤ successes ≤ trials and
    0 < confidence < 1.
    """
    if not 0 <= successes <= trials or not 0 < confidence < 1:
        raise ValueError(f"wilson({successes}, {trials}, {confidence}) is not a share of trials")
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, z2 = successes / trials, z * z / trials
    middle = (share + z2 / 2) / (1 + z2)
    half = z * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials)) / (1 + z2)
    low = 0.0 if successes == 0 else middle - half
    high = 1.0 if successes == trials else middle + half
    return max(low, 0.0), min(high, 1.0)


@dataclass(frozen=True)
class Share:
    """How many of how many clips were accepted."""

    accepted: int
    of: int

    @property
    def share(self) -> float:
        """NaN without trials."""
        return self.accepted / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        return wilson(self.accepted, self.of)

    def __add__(self, other: Share) -> Share:
        return Share(self.accepted + other.accepted, self.of + other.of)
