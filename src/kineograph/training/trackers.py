"""Where else a training can be followed: TensorBoard, trackio, Weights & Biases; each is an extra.

metrics.jsonl is the truth, and these are told the same rows. Whatever happens to one of them, the
training goes on without it. A package is imported only where its tracker is named.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from kineograph.core import config
from kineograph.core.errors import RequestError, unknown

_PROJECT = "kineograph"
_UNWRITTEN = 10  # seconds for which TensorBoard may hold rows back; a crash loses them


class Tracker(ABC):
    """Follows the training in the run folder ``folder`` from after the step ``start`` on."""

    package: ClassVar[str]
    """What it imports; the extra that installs it is called as the tracker is."""

    @abstractmethod
    def __init__(self, folder: Path, start: int) -> None: ...

    @abstractmethod
    def log(self, values: dict[str, float], step: int) -> None:
        """Take the numbers of a step, by name."""

    @abstractmethod
    def close(self) -> None:
        """Finish what is still to be written."""


class TensorBoard(Tracker):
    """Event files in RUN/tensorboard; of steps that come again it shows the later ones."""

    package = "torch.utils.tensorboard"

    def __init__(self, folder: Path, start: int) -> None:
        writer = importlib.import_module(self.package).SummaryWriter
        place = str(folder / "tensorboard")
        self._writer = writer(place, purge_step=start + 1, flush_secs=_UNWRITTEN)

    def log(self, values: dict[str, float], step: int) -> None:
        """Add a point to the curve of each name."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush, and end the thread that writes."""
        self._writer.close()


class Trackio(Tracker):
    """Runs in trackio's own store, which `trackio show` reads; TRACKIO_DIR says where it is."""

    package = "trackio"

    def __init__(self, folder: Path, start: int) -> None:
        with _silenced():
            trackio = importlib.import_module(self.package)
            self._run = trackio.init(**_about(folder, start), embed=False)
        self._finish = trackio.finish

    def log(self, values: dict[str, float], step: int) -> None:
        """Hand them to the thread that writes."""
        self._run.log(values, step=step)

    def close(self) -> None:
        """Wait until all is stored."""
        with _silenced():
            self._finish()


class WandB(Tracker):
    """Runs in RUN/wandb, offline unless WANDB_MODE says otherwise; `wandb sync` uploads them."""

    package = "wandb"

    def __init__(self, folder: Path, start: int) -> None:
        wandb = importlib.import_module(self.package)
        self._run = wandb.init(
            **_about(folder, start),
            dir=str(folder),
            mode=os.environ.get("WANDB_MODE", "offline"),
            reinit="create_new",  # a run that the caller has open is none of ours
            settings=wandb.Settings(console="off", silent=True),  # the terminal is the caller's
        )

    def log(self, values: dict[str, float], step: int) -> None:
        """Hand them to the process that writes."""
        self._run.log(values, step=step)

    def close(self) -> None:
        """Wait until all is stored, or uploaded."""
        self._run.finish()


TRACKERS: dict[str, type[Tracker]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": WandB,
}


def check_trackers(names: Iterable[str]) -> None:
    """Raise RequestError for a name that is not known, and a package that is not installed."""
    for name in names:
        if name not in TRACKERS:
            raise unknown("tracker", name, TRACKERS)
        package = TRACKERS[name].package
        try:
            if importlib.import_module(package).__file__ is None:
                raise ImportError(f"{package} is a mere folder")  # as wandb leaves one behind
        except ImportError as error:
            raise RequestError(
                f"training.trackers names {name}, which cannot be imported.",
                f"Install it: pip install 'kineograph[{name}]'.",
            ) from error


class Trackers:
    """All that follow a training; ``say`` is told of one that fails, which is then left out."""

    def __init__(
        self, names: Iterable[str], folder: Path, start: int, say: Callable[[str], None]
    ) -> None:
        self._names, self._folder, self._say = list(dict.fromkeys(names)), folder, say
        self._open: dict[str, Tracker] = {}
        self.back_to(start)

    def __enter__(self) -> Trackers:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def back_to(self, step: int) -> None:
        """Begin anew after ``step``, since not all of them can take a step twice."""
        self._close()
        for name in [*self._names]:
            with self._or_left_out(name):
                self._open[name] = TRACKERS[name](self._folder, step)

    def log(self, row: dict[str, Any]) -> None:
        """Tell all of them a row of metrics.jsonl."""
        for name, tracker in [*self._open.items()]:
            with self._or_left_out(name):
                tracker.log(numbers(row), row["step"])

    def _close(self) -> None:
        for name, tracker in [*self._open.items()]:
            with self._or_left_out(name):
                tracker.close()
        self._open = {}

    @contextlib.contextmanager
    def _or_left_out(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of any kind: a network, a disk, another's code
            self._names.remove(name)
            self._open.pop(name, None)  # and is not closed, as what has failed may hang
            cause = (str(error).strip() or type(error).__name__).splitlines()[0]
            self._say(f"The tracker {name} has failed; the training goes on without it: {cause}")


def numbers(row: dict[str, Any]) -> dict[str, float]:
    """A row of metrics.jsonl => its numbers by name, those of prompts as accuracy/PROMPT."""
    by_prompt = {f"accuracy/{prompt}": x for prompt, x in row.get("accuracies", {}).items()}
    values = {name: x for name, x in (row | by_prompt).items() if isinstance(x, int | float)}
    return {name: x for name, x in values.items() if name != "step"}


def _about(folder: Path, start: int) -> dict[str, Any]:
    """What a run is called, and its settings; one that goes on is another of the same group."""
    name, settings = folder.resolve().name, folder / "config.toml"
    return {
        "project": _PROJECT,
        "group": name,
        "name": f"{name} from step {start}" if start else name,
        "config": config.read_toml(settings) if settings.is_file() else {},
    }


def _silenced() -> contextlib.AbstractContextManager[Any]:
    """Within, nothing is printed: trackio does, amid the progress that is shown."""
    return contextlib.redirect_stdout(io.StringIO())
