"""metrics.jsonl: one line a step, whole lines only, no step twice. Every plot is drawn from it.

What a step took stands beside it, in clock.jsonl, since that differs from run to run: of two runs
of the same recipe and seed metrics.jsonl is the same to the byte.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

from kineograph.core.files import translate_os_errors, write_atomically

_CLOCK = "clock.jsonl"


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics file, each with its "elapsed" seconds where those are known.

    None where there is no file; a line cut short is left out, with all below it.
    """
    times = {row["step"]: row for row in _rows(path.with_name(_CLOCK))}
    return [row | times.get(row["step"], {}) for row in _rows(path)]


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            break
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows


def logged(folder: Path) -> list[dict[str, Any]]:
    """What a run has logged, of its own folder or that of its model; [] where that is not kept."""
    places = (folder / "metrics.jsonl", folder.resolve().parent / "metrics.jsonl")
    return next((read_metrics(place) for place in places if place.is_file()), [])


class MetricsLog:
    """Appends rows; opened for step ``start`` it first drops what a lost future had written."""

    def __init__(self, path: Path, start: int) -> None:
        self._paths = (path, path.with_name(_CLOCK))
        self._files: list[TextIO] = []
        self.back_to(start)

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def back_to(self, step: int) -> None:
        """Forget what came after ``step``."""
        self._close()
        self._files = [self._opened(path, step) for path in self._paths]

    def write(self, row: dict[str, Any], elapsed: float) -> None:
        """Append one row, which must hold its "step"; it was done after ``elapsed`` seconds."""
        clock = {"step": row["step"], "elapsed": round(elapsed, 3)}
        for path, file, told in zip(self._paths, self._files, (row, clock), strict=True):
            with translate_os_errors(path):
                file.write(json.dumps(told) + "\n")

    def _opened(self, path: Path, step: int) -> TextIO:
        kept = [row for row in _rows(path) if row["step"] <= step]
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in kept).encode())
        with translate_os_errors(path):
            return path.open("a", encoding="utf-8", buffering=1)

    def _close(self) -> None:
        for file in self._files:
            file.close()
        self._files = []
