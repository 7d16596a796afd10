"""Runs: what lies under ``runs/``, how far each has come, and which model is the newest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kineograph.apps import terminal
from kineograph.apps.terminal import Answer
from kineograph.core.errors import RequestError

RUNS = Path("runs")


def runs(folder: Path = RUNS, /) -> Answer:
    """List the runs, how far each has come, and how well.

    Args:
        folder: Where the runs are.
    """
    found = [_described(run) for run in run_folders(folder)]

    def show() -> None:
        if not found:
            print(f"There are no runs in {folder}. Start one: kineograph demo")
        terminal.print_columns([(str(run["folder"]), _in_words(run)) for run in found], indent=0)

    return Answer({"runs": found}, show)


def run_folders(folder: Path) -> list[Path]:
    """The run folders in ``folder``, oldest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if (path / "config.toml").is_file()]
    return sorted(found, key=lambda path: (path / "config.toml").stat().st_mtime)


def newest_model(folder: Path) -> Path:
    """The run whose model was written last. Raises RequestError where no run has one."""
    models = [run for run in run_folders(folder) if (run / "model" / "config.json").is_file()]
    if not models:
        raise RequestError(
            f"There is no model in {folder}.",
            "Train one with `kineograph demo`, or name one with --model.",
        )
    return max(models, key=lambda run: (run / "model" / "config.json").stat().st_mtime)


def _described(run: Path) -> dict[str, Any]:
    from kineograph.core.config import read_toml
    from kineograph.training.metrics_log import read_metrics

    rows = read_metrics(run / "metrics.jsonl")
    last = rows[-1] if rows else {}
    checked = [row["accuracy"] for row in rows if row.get("accuracy") is not None]
    try:
        training = read_toml(run / "config.toml").get("training", {})
    except RequestError:
        training = {}
    return {
        "folder": run,
        "steps": last.get("step", 0),
        "of_steps": training.get("steps"),
        "seconds": last.get("elapsed", 0.0),
        "accuracy": checked[-1] if checked else None,
        "has_model": (run / "model" / "config.json").is_file(),
    }


def _in_words(run: dict[str, Any]) -> str:
    of = f" of {run['of_steps']:,}" if isinstance(run["of_steps"], int) else ""
    parts = [f"{run['steps']:,}{of} steps in {terminal.duration(run['seconds'])}"]
    if run["accuracy"] is not None:
        parts.append(f"verified {run['accuracy']:.0%}")
    return ", ".join([*parts, *([] if run["has_model"] else ["no model yet"])])
