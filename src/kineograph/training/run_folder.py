"""What a run folder tells of itself, without torch: how far it has come, and how it goes on."""

from __future__ import annotations

import math
import os
import shlex
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kineograph.core.config import read_toml
from kineograph.core.errors import KineographError, RequestError
from kineograph.core.files import (
    check_seal,
    holder,
    is_locked,
    read_json,
    translate_os_errors,
    write_atomically,
)
from kineograph.training.metrics_log import read_metrics

RunState = Literal["running", "finished", "unfinished", "stopped", "damaged"]
"""An unfinished run was cut off, or waits; a stopped one was ended by hand before its time. Either
can go on."""

SNAPSHOTS = "snapshots"
_STOPPED = "stopped"


@dataclass(frozen=True)
class Run:
    """Where a run stands."""

    folder: Path
    state: RunState
    fault: str | None
    """Why it is damaged."""
    steps: int
    of_steps: int | None
    seconds: float
    of_seconds: float | None
    accuracy: float | None
    """At its last check."""
    has_model: bool

    @property
    def resume_command(self) -> str | None:
        """What to type to go on, where it can."""
        return resume_command(self.folder) if self.state == "unfinished" else None


def resume_command(folder: Path) -> str:
    """What to type to go on with a run."""
    name = shlex.quote(str(folder))
    return f"kineograph train {name}/config.toml --out {name} --resume"


def checkpoints(folder: Path) -> list[Path]:
    """Finished checkpoints, oldest first."""
    found = [path for path in folder.glob("step-*") if path.is_dir()]
    return sorted(found, key=lambda path: (len(path.name), path.name))  # of any number of digits


def snapshots(folder: Path) -> list[Path]:
    """Models as they were at the last checks of a training that is under way, or was cut off;
    oldest first."""
    return checkpoints(folder / SNAPSHOTS)


def told(folder: Path) -> Run:
    """Where the run in a folder stands, damaged or not.

    It is finished where its newest whole checkpoint has reached one of the ends that config.toml
    sets, and the model was written after it; where only the model was kept, it is asked instead.
    """
    rows = read_metrics(folder / "metrics.jsonl")
    last = rows[-1] if rows else {}
    checked = [row["accuracy"] for row in rows if number(row.get("accuracy")) is not None]
    running = is_locked(folder)
    # Of one that is under way nobody wants to know whether its checkpoints are whole.
    training, place, fault = _training(folder), None if running else _newest(folder), None
    model = _model(folder)
    if training is None:
        fault = "its config.toml cannot be read"
    elif place is None and model is None:
        fault = "it has no whole checkpoint"
    ended = bool(training) and _ended(training or {}, place or model or {})
    written = model is not None and (place is None or model.get("steps") == place.get("step"))
    state: RunState = "finished" if ended and written else "unfinished"
    if fault or (place is None and state == "unfinished"):
        state, fault = "damaged", fault or "it has no whole checkpoint"
    if state == "unfinished" and (folder / _STOPPED).exists():
        state = "stopped"
    if running:
        state, fault = "running", None
    of_steps, of_minutes = ((training or {}).get(name) for name in ("steps", "minutes"))
    return Run(
        folder=folder,
        state=state,
        fault=fault,
        steps=last.get("step", 0),
        of_steps=of_steps if isinstance(of_steps, int) else None,
        seconds=number(last.get("elapsed")) or 0.0,
        of_seconds=None if (minutes := number(of_minutes)) is None else 60 * minutes,
        accuracy=checked[-1] if checked else None,
        has_model=bool(snapshots(folder)) or (folder / "model" / "config.json").is_file(),
    )


def pause(folder: Path) -> None:
    """Ask the process that trains a run to end with a checkpoint, from which it can go on.

    Raises RequestError where no process is at it that can be asked from here.
    """
    process = holder(folder)
    if process is None:
        raise RequestError(f"No process of this machine trains {folder.name}.", "See its state.")
    try:
        os.kill(process, getattr(signal, "SIGUSR2", signal.SIGINT))
    except OSError as error:
        raise RequestError(f"{folder.name} cannot be asked to end.", f"{error}.") from error


def stop(folder: Path) -> None:
    """The same, or let a waiting run be; what is there is what it comes to, unless it is resumed.

    Raises RequestError where it cannot be asked.
    """
    if is_locked(folder):
        pause(folder)
    write_atomically(folder / _STOPPED, b"")


def go_on(folder: Path) -> None:
    """Take back that it was stopped."""
    with translate_os_errors(folder):
        (folder / _STOPPED).unlink(missing_ok=True)


def _training(folder: Path) -> Mapping[str, Any] | None:
    """The section of its settings, or None where they cannot be read."""
    try:
        training = read_toml(folder / "config.toml").get("training", {})
    except KineographError:
        return None
    return training if isinstance(training, Mapping) else None


def _newest(folder: Path) -> Mapping[str, Any] | None:
    """What the newest whole checkpoint tells."""
    for path in reversed(checkpoints(folder / "checkpoints")):
        try:
            check_seal(path)
            return read_json(path / "state.json")
        except KineographError:
            continue
    return None


def _model(folder: Path) -> Mapping[str, Any] | None:
    """What the model tells of its training."""
    try:
        info = read_json(folder / "model" / "config.json").get("info")
    except KineographError:
        return None
    return info if isinstance(info, Mapping) else None


def _ended(training: Mapping[str, Any], place: Mapping[str, Any]) -> bool:
    """Whether a training has reached its steps, its time or its accuracy."""
    steps, minutes, stop_at = (number(training.get(k)) for k in ("steps", "minutes", "stop_at"))
    done, seconds = number(place.get("step", place.get("steps"))), number(place.get("seconds"))
    found = place.get("accuracy")
    shares = [number(share) for share in found.values()] if isinstance(found, Mapping) else []
    known = [share for share in shares if share is not None]
    return (
        (steps is not None and done is not None and done >= steps)
        or (minutes is not None and seconds is not None and seconds >= 60 * minutes)
        or (stop_at is not None and bool(known) and sum(known) / len(known) >= stop_at)
    )


def number(value: object) -> float | None:
    """A finite number as it is; None for anything else."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return value if plain and math.isfinite(value) else None  # type: ignore[arg-type, return-value]  # plain says so
    except OverflowError:  # an integer beyond all floats
        return None
