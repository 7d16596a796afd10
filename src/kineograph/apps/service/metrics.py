"""What Prometheus reads of a service, in its text format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from kineograph.apps.service.asking import VerdictName
from kineograph.apps.service.jobs import BUCKETS, ENDED, Counts, Status


def exposition(counts: Counts, alive: int, restarts: int) -> str:
    """What Prometheus reads."""
    totals = counts.totals
    waits, verdicts = counts.oldest_queued or 0.0, get_args(VerdictName)
    told = [
        *_series(
            "jobs", "gauge", {f'status="{s}"': counts.jobs.get(s, 0) for s in get_args(Status)}
        ),
        *_series("file_bytes", "gauge", {"": counts.bytes}),
        *_series("oldest_queued_seconds", "gauge", {"": waits}),
        *_series("workers", "gauge", {"": alive}),
        *_series("worker_restarts_total", "counter", {"": restarts}),
        *_series(
            "ended_total",
            "counter",
            {f'status="{status}"': totals.get(f"ended {status}", 0) for status in ENDED},
        ),
        *_series(
            "verdicts_total",
            "counter",
            {f'verdict="{verdict}"': totals.get(f"verdict {verdict}", 0) for verdict in verdicts},
        ),
        *_histogram("waited", totals),
        *_histogram("made", totals),
    ]
    return "\n".join(told) + "\n"


def _series(name: str, kind: str, values: Mapping[str, float]) -> list[str]:
    lines = [f"kineograph_{name}{{{labels}}} {float(value)!r}" for labels, value in values.items()]
    return [f"# TYPE kineograph_{name} {kind}", *(line.replace("{}", "") for line in lines)]


def _histogram(name: str, totals: Mapping[str, float]) -> list[str]:
    buckets: dict[str, float] = {}
    count = 0.0
    for edge in (*BUCKETS, "inf"):
        count += totals.get(f"{name} {edge}", 0)
        buckets[f'le="{"+Inf" if edge == "inf" else edge}"'] = count
    whole = f"{name}_seconds"
    lines = _series(f"{whole}_bucket", "histogram", buckets)[1:]
    ends = (f"{whole}_sum {totals.get(f'{name} sum', 0.0)!r}", f"{whole}_count {count!r}")
    return [f"# TYPE kineograph_{whole} histogram", *lines, *(f"kineograph_{e}" for e in ends)]
