"""What a job is, and what is told of a queue of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kineograph.core.errors import KineographError

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper edges (seconds) of the histograms of times."""

Status = Literal["queued", "in_progress", "completed", "failed"]
ENDED = ("completed", "failed")


class QueueFull(KineographError):
    """Too much is waiting already."""

    exit_code = 2


class KeyInUse(KineographError):
    """An idempotency key came with another request before."""

    exit_code = 2


@dataclass(frozen=True)
class Job:
    """A request for one clip, and how far it is. Times are seconds since 1970."""

    id: str
    status: Status
    model: str
    kind: str
    """Requests of one kind can be made together."""
    asked: Mapping[str, Any]
    """What to make, with all that was left open decided."""
    created_at: float
    started_at: float | None = None
    completed_at: float | None = None
    expires_at: float | None = None
    progress: int = 0
    """0 to 100."""
    error: Mapping[str, Any] | None = None
    """``code`` and ``message``, of one that failed."""
    outcome: Mapping[str, Any] | None = None
    """What the judge says of the clip, and what it took to make it."""
    owner: str | None = None
    tries: int = 0
    cancelled: bool = False
    """Whether it is to end, which its worker heeds within a step."""
    bytes: int = 0
    """Of its files."""
    favourite: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.status in ENDED


@dataclass(frozen=True)
class Limits:
    """What the queue holds at most."""

    queued: int = 256
    """Jobs that wait."""
    jobs: int = 10_000
    """Jobs in all; of those that ended the oldest go first."""
    bytes: int = 4 << 30
    """Of all files."""
    seconds: float = 30 * 86_400
    """After which a job that ended goes, with its files, unless it is a favourite."""


@dataclass(frozen=True)
class Page:
    """Some jobs of a list, in its order."""

    jobs: list[Job]
    has_more: bool


@dataclass
class Counts:
    """How many jobs there are of each status, and what they take."""

    jobs: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    oldest_queued: float | None = None
    """Seconds for which the first in the queue has waited."""
    totals: dict[str, float] = field(default_factory=dict)
    """What was counted since the queue was made: "ended STATUS", "verdict VERDICT", and of the
    times "waited" and "made" the number in each bucket ("waited 0.5", "waited inf") and the sum
    ("waited sum")."""
