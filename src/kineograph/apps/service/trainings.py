"""Trainings that somebody starts from the page, each a `kineograph train` of its own.

A training belongs to its run folder, not to this server: it goes on where the server ends, and one
that was started in a terminal is seen and can be paused from here, too.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from kineograph.apps.commands.runs import run_folders
from kineograph.core.errors import RequestError, in_short
from kineograph.core.files import holder, is_locked
from kineograph.training import run_folder
from kineograph.training.metrics_log import read_metrics

_POINTS = 300  # of a curve, at most
_CHECKS = 40  # with all captions
_SAID = 2000  # bytes from the end of a log, in which the error stands

State = Literal["starting", "running", "pausing", "finished", "unfinished", "stopped", "damaged"]


class NoSuchRun(RequestError):
    """There is no run of that name, or not what is asked of it."""


class RunCard(BaseModel):
    """A training, and how far it has come."""

    id: str
    state: State
    fault: str | None
    """Why it is damaged, or did not start."""
    steps: int = 0
    of_steps: int | None = None
    seconds: float = 0.0
    of_seconds: float | None = None
    accuracy: float | None = None
    """Verified share at the last check."""
    has_model: bool = False


class RunList(BaseModel):
    """All of them."""

    data: list[RunCard]
    trains: bool
    """Whether trainings can be started here."""


class Curve(BaseModel):
    """A number over the training, thinned by means to some hundred points."""

    steps: list[float]
    seconds: list[float | None]
    values: list[float]


class Check(BaseModel):
    """A live verification."""

    step: int
    captions: dict[str, float]
    """The verified share of each."""
    sheet: bool
    """Whether there is a sheet of clips that play."""


class RunDetail(RunCard):
    """What a run folder tells."""

    curves: dict[str, Curve]
    """Losses such as "denoiser.total", and "accuracy"."""
    checks: list[Check]
    settings: str
    """TOML."""


@dataclass
class _Started:
    process: subprocess.Popen[bytes]
    log: Path
    begins: int
    """Where in the log."""


@dataclass
class Trainings:
    """Those in a folder of runs."""

    folder: Path
    _started: dict[str, _Started] = field(default_factory=dict)
    _asked: dict[str, int] = field(default_factory=dict)
    """The process that was told to end, by its run."""
    _told: dict[Path, tuple[Any, run_folder.Run]] = field(default_factory=dict)
    """What is known of those that do not change."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def all(self) -> list[RunCard]:
        """The newest first."""
        known = {run.name: self._card(run) for run in reversed(run_folders(self.folder))}
        waiting = [self._waiting(name) for name in [*self._started][::-1] if name not in known]
        return [*filter(None, waiting), *known.values()]

    def one(self, name: str) -> RunDetail:
        """All that is known of one. Raises NoSuchRun where there is none."""
        waiting = None if self._has(name) else self._waiting(name)
        if waiting:
            return RunDetail(**waiting.model_dump(), curves={}, checks=[], settings="")
        run = self._run(name)
        rows = read_metrics(run / "metrics.jsonl")
        settings = (run / "config.toml").read_text("utf-8", "replace")
        card = self._card(run).model_dump()
        return RunDetail(**card, curves=_curves(rows), checks=_checks(rows, run), settings=settings)

    def sheet(self, name: str, step: int) -> bytes:
        """The clips of a check (WebP). Raises NoSuchRun where there are none."""
        try:
            return _sheet(self._run(name), step).read_bytes()
        except OSError as error:
            raise NoSuchRun(f"There is no sheet of step {step}.", "Name another.") from error

    def start(self, recipe: str, settings: Sequence[str]) -> RunCard:
        """Train a recipe; ``settings`` are further words of `kineograph train`.

        Raises RequestError where a training is under way: two at once would share the processors.
        """
        with self._lock:
            self._refuse_beside_another()
            run = self._new(recipe)
            self._spawn(run, ["train", recipe, "--out", str(run), *settings])
            return self._waiting(run.name) or self._card(run)

    def resume(self, name: str) -> RunCard:
        """Go on with one that waits. Raises RequestError where that cannot be."""
        with self._lock:
            run = self._run(name)
            card = self._card(run)
            if card.state not in ("unfinished", "stopped"):
                raise RequestError(f"{name} is {card.state}.", "Only one that waits can go on.")
            self._refuse_beside_another()
            words = ["train", str(run / "config.toml"), "--out", str(run), "--resume"]
            self._spawn(run, words)
            return self._card(run)

    def end(self, name: str, for_good: bool) -> RunCard:
        """Let one write a checkpoint and end: to go on later, or ``for_good``.

        Raises RequestError where none is under way, or not on this machine.
        """
        with self._lock:
            run = self._run(name)
            state = self._card(run).state
            # One that starts would hear of it too late.
            if state in ("starting", "finished", "damaged"):
                raise RequestError(f"{name} is {state}.", "Only one that learns can be ended.")
            process = holder(run)
            (run_folder.stop if for_good else run_folder.pause)(run)
            if process is not None:
                self._asked[name] = process
            return self._card(run)

    def _new(self, recipe: str) -> Path:
        """A run that nobody has: its log, which is made at once, keeps the name for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = 1
        while not _reserved(run := self.folder / f"{recipe}-{number}"):
            number += 1
        return run

    def _spawn(self, run: Path, words: Sequence[str]) -> None:
        log = _log(run)
        with log.open("ab") as said:
            begins = said.tell()
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "kineograph", *words],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,  # it goes on where the server ends
                env=os.environ | {"NO_COLOR": "1", "COLUMNS": "200"},
            )
        self._asked.pop(run.name, None)
        self._started[run.name] = _Started(process, log, begins)

    def _refuse_beside_another(self) -> None:
        for card in self.all():
            if card.state in ("starting", "running", "pausing"):
                raise RequestError(f"{card.id} is being trained.", "Pause it, or wait for its end.")

    def _has(self, name: str) -> bool:
        return any(run.name == name for run in run_folders(self.folder))

    def _run(self, name: str) -> Path:
        """By its name, which is one of those that are there: so no path is ever made of it.

        Raises NoSuchRun.
        """
        for run in run_folders(self.folder):
            if run.name == name:
                return run
        raise NoSuchRun(f'There is no run "{in_short(name)}".', "See the list.")

    def _card(self, run: Path) -> RunCard:
        told = self._look(run)
        state: State = told.state
        started = self._started.get(run.name)
        ended = started is None or started.process.poll() is not None
        if state == "running" and run.name in self._asked:
            state = "pausing" if self._asked[run.name] == holder(run) else state
        elif state not in ("running", "finished") and not ended:
            state = "starting" if told.steps == 0 or run.name not in self._asked else "pausing"
        fault = told.fault
        if started and started.process.poll() not in (None, 0, 130):
            fault = fault or _error_in(started)
        same = {name: value for name, value in vars(told).items() if name in RunCard.model_fields}
        fault = fault if state in ("damaged", "unfinished") else None
        return RunCard(**same | {"id": run.name, "state": state, "fault": fault})

    def _look(self, run: Path) -> run_folder.Run:
        """What a run folder tells; of one that has not changed it is known."""
        places = ("metrics.jsonl", "config.toml", "model/config.json", "checkpoints", "snapshots")
        seen = [_changed(run / name) for name in (*places, "stopped")] + [is_locked(run)]
        if self._told.get(run, (None,))[0] != seen:
            self._told[run] = (seen, run_folder.told(run))
        return self._told[run][1]

    def _waiting(self, name: str) -> RunCard | None:
        """One that has no folder yet, or never got any."""
        started = self._started.get(name)
        if started is None:
            return None
        failed = started.process.poll() is not None
        return RunCard(
            id=name,
            state="damaged" if failed else "starting",
            fault=_error_in(started) if failed else None,
        )


def _reserved(run: Path) -> bool:
    """Whether the name is ours from now on."""
    try:
        _log(run).touch(exist_ok=False)
    except FileExistsError:
        return False
    return not run.exists()


def _log(run: Path) -> Path:
    return run.with_name(f"{run.name}.log")


def _changed(path: Path) -> tuple[int, int] | None:
    try:
        known = path.stat()
    except OSError:
        return None
    return known.st_mtime_ns, known.st_size


def _error_in(started: _Started) -> str:
    """What a process that has ended called an error, or the last line that it said."""
    said = ""
    with contextlib.suppress(OSError):
        said = started.log.read_bytes()[started.begins :][-_SAID:].decode("utf-8", "replace")
    _, called, error = said.rpartition("error:")
    lines = error.splitlines() if not called else [error]
    told = " ".join(lines[-1].split()) if lines else ""
    return told or f"It has ended (exit code {started.process.poll()}), and did not say why."


def _curves(rows: Sequence[Mapping[str, Any]]) -> dict[str, Curve]:
    names = {name for row in rows for name in row} - {"step", "elapsed", "accuracies"}
    found = {name: _curve(rows, name) for name in sorted(names)}
    return {name: curve for name, curve in found.items() if curve.steps}


def _curve(rows: Sequence[Mapping[str, Any]], name: str) -> Curve:
    points = [row for row in rows if run_folder.number(row.get(name)) is not None]
    each = -(-len(points) // _POINTS) or 1
    parts = [points[first : first + each] for first in range(0, len(points), each)]
    return Curve(
        steps=[part[-1]["step"] for part in parts],
        seconds=[part[-1].get("elapsed") for part in parts],
        values=[sum(row[name] for row in part) / len(part) for part in parts],
    )


def _checks(rows: Sequence[Mapping[str, Any]], run: Path) -> list[Check]:
    """The last and some before."""
    found = [row for row in rows if isinstance(row.get("accuracies"), dict)]
    each = -(-len(found) // _CHECKS) or 1
    return [
        Check(
            step=row["step"], captions=row["accuracies"], sheet=_sheet(run, row["step"]).is_file()
        )
        for row in found[::-1][::each][::-1]
    ]


def _sheet(run: Path, step: int) -> Path:
    return run / "samples" / f"step-{step:06d}.webp"
