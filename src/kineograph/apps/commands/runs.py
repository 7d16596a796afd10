"""Runs: what lies under ``runs/``, how far each has come, the newest model, and sharing one."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kineograph.apps import terminal
from kineograph.apps.terminal import Answer

if TYPE_CHECKING:
    from kineograph.training.run_folder import Run

RUNS = Path("runs")


def runs(folder: Path = RUNS, /) -> Answer:
    """List the runs, how far each has come, how well, and the command that goes on with it.

    Args:
        folder: Where the runs are.
    """
    from kineograph.training import run_folder

    found = [run_folder.told(run) for run in run_folders(folder)]

    def show() -> None:
        if not found:
            print(terminal.wrapped(f"There are no runs in {folder}. Start one: kineograph demo"))
        terminal.print_columns([(str(run.folder), _in_words(run)) for run in found], indent=0)
        commands = [run.resume_command for run in found if run.resume_command]
        if commands:
            print("\nGo on with:")
        for command in commands:  # in a line each, so that it can be copied from any terminal
            print(command)

    return Answer({"runs": [_as_data(run) for run in found]}, show)


def push(model: Path, name: str, /, *, private: bool = False) -> Answer:
    """Copy a model to the Hugging Face Hub, where others find it by its name.

    Args:
        model: A run or model folder.
        name: Its name there, such as somebody/circles.
        private: Keep it to yourself, where it is new.
    """
    from kineograph.models import hub

    address = hub.push(model, name, private=private)

    def show() -> None:
        print(f"The model is at {address}. Try next:")
        print(f'kineograph generate "..." --model {name}')

    return Answer({"address": address, "name": name}, show)


def run_folders(folder: Path) -> list[Path]:
    """The run folders in ``folder``, oldest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if (path / "config.toml").is_file()]
    return sorted(found, key=lambda path: (path / "config.toml").stat().st_mtime)


def free_folder(path: Path) -> Path:
    """``path`` or, where it is taken, the same with the next number that is not."""
    stem = re.sub(r"-\d+$", "", path.name)
    number = 1
    while path.exists():
        number += 1
        path = path.with_name(f"{stem}-{number}")
    return path


def newest_model(folder: Path) -> Path | None:
    """The run whose model was written last, if any has one."""
    models = [run for run in run_folders(folder) if (run / "model" / "config.json").is_file()]
    return max(
        models, key=lambda run: (run / "model" / "config.json").stat().st_mtime, default=None
    )


def _as_data(run: Run) -> dict[str, Any]:
    return asdict(run) | {"resume": run.resume_command}


def _in_words(run: Run) -> str:
    of = "" if run.of_steps is None else f" of {run.of_steps:,}"
    parts = [f"{run.state}: {run.fault}" if run.fault else run.state]
    parts.append(f"{run.steps:,}{of} steps in {terminal.duration(run.seconds)}")
    if run.accuracy is not None:
        parts.append(f"verified {run.accuracy:.0%}")
    return ", ".join([*parts, *([] if run.has_model else ["no model yet"])])
