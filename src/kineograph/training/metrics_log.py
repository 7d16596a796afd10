"""metrics.jsonl: one line a step, whole lines only, no step twice. Every plot is drawn from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kineograph.core.files import translate_os_errors, write_atomically


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics file, none where there is no file; a line cut short is left out."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            break
        if isinstance(row, dict) and "step" in row:
            rows.append(row)
    return rows


def logged(folder: Path) -> list[dict[str, Any]]:
    """What a run has logged, of its own folder or that of its model; [] where that is not kept."""
    places = (folder / "metrics.jsonl", folder.resolve().parent / "metrics.jsonl")
    return next((read_metrics(place) for place in places if place.is_file()), [])


class MetricsLog:
    """Appends rows; opened for step ``start`` it first drops what a lost future had written."""

    def __init__(self, path: Path, start: int) -> None:
        kept = [row for row in read_metrics(path) if row["step"] <= start]
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in kept).encode())
        with translate_os_errors(path):
            self._file = path.open("a", encoding="utf-8", buffering=1)
        self._path = path

    def write(self, row: dict[str, Any]) -> None:
        """Append one row, which must hold its "step"."""
        with translate_os_errors(self._path):
            self._file.write(json.dumps(row) + "\n")

    def close(self) -> None:
        """Nothing is written after this."""
        self._file.close()
