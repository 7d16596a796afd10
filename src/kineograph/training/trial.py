"""What a training will cost: a few steps of each stretch of it, timed, and what they hold.

A model's phases come and go with the progress, so a training has stretches, in each of which every
step costs the same: that of an autoencoder, and then that of what learns over its codes.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from kineograph.models.base import Phase, VideoModel
from kineograph.training.loop import Trainer
from kineograph.training.settings import TrainingConfig

_STEPS = 2  # of each stretch that are timed, at least, after one that warms up
_ENOUGH = 1.0  # seconds of them; steps that are short vary more
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Stretch:
    """Where the same phases run in every step: from ``start`` to ``stop`` of the progress."""

    phases: tuple[str, ...]
    start: float
    stop: float
    seconds: float = 0.0
    """Of a step."""


@dataclass(frozen=True)
class Trial:
    """What was measured."""

    stretches: list[Stretch]
    check_seconds: float
    """Of a live verification; 0 where there is none."""
    checkpoint_bytes: int
    weights_bytes: int
    """Of the model alone."""
    memory_bytes: int | None
    """Peak of this process; None where the system does not tell."""
    gpu_bytes: int | None
    """Peak of what was allocated on a GPU, where it trains on one."""


def stretches_of(phases: Sequence[Phase]) -> list[Stretch]:
    """Those of a model, in their order."""
    edges = {0.0, 1.0} | {edge for each in phases for edge in (each.start, each.stop)}
    ordered = sorted(edges)
    found = []
    for start, stop in itertools.pairwise(ordered):
        names = [each.name for each in phases if each.start <= start and stop <= each.stop]
        found.append(Stretch(tuple(dict.fromkeys(names)), start, stop))
    return found


def measure(trainer: Trainer, check: Callable[[VideoModel], object] | None) -> Trial:
    """Try the steps of a trainer that has not begun, and ``check`` with the averaged model.

    Nothing is written. To tell its peak of memory, the process must have done nothing else before.
    """
    stretches = [_timed(trainer, each) for each in stretches_of(trainer.model.phases)]
    snapshot = trainer.state.snapshot()  # held while it trains on, as while a checkpoint is written
    trainer.stepper(trainer.place, 1.0)
    started = time.perf_counter()
    if check:
        check(trainer.ema.model)
    gpu = trainer.device.type == "cuda"
    return Trial(
        stretches=stretches,
        check_seconds=time.perf_counter() - started if check else 0.0,
        checkpoint_bytes=sum(_bytes(tensors) for tensors in snapshot.values()),
        weights_bytes=_bytes(snapshot["model"]),
        memory_bytes=peak_memory(),
        gpu_bytes=torch.cuda.max_memory_allocated(trainer.device) if gpu else None,
    )


def _timed(trainer: Trainer, stretch: Stretch) -> Stretch:
    times: list[float] = []
    progress = (stretch.start + stretch.stop) / 2
    while len(times) < 1 + _STEPS or sum(times[1:]) < _ENOUGH:
        started = time.perf_counter()
        trainer.stepper(trainer.place, progress)
        times.append(time.perf_counter() - started)
        trainer.place.step += 1
    seconds = statistics.median(times[1:])
    return Stretch(stretch.phases, stretch.start, stretch.stop, seconds)


def _bytes(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())


def peak_memory() -> int | None:
    """The most memory that this process has had so far (bytes); None where nobody tells."""
    if _STATUS.exists():  # in getrusage, Linux counts what was before this program was loaded, too
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def foreseen(config: TrainingConfig, trial: Trial) -> tuple[int, float]:
    """The steps and the seconds that a training will take, its live verifications included.

    As in the loop the progress is that of the steps or that of the time, whichever is further.
    """
    steps = seconds = 0.0
    for stretch in trial.stretches:
        each = stretch.seconds
        if config.evaluate_every:
            each += trial.check_seconds / config.evaluate_every
        more = stretch.stop * config.steps - steps
        if config.minutes:
            more = min(more, (stretch.stop * 60 * config.minutes - seconds) / each)
        steps += max(more, 0.0)
        seconds += max(more, 0.0) * each
    return round(steps), seconds
