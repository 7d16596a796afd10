"""The loop over a model's phases. It knows `Phase`, never a family."""

from __future__ import annotations

import contextlib
import copy
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import torch
from torch import Tensor

from kineograph.core import seeds
from kineograph.core.errors import MachineError, RequestError
from kineograph.data.clip import Source
from kineograph.data.loader import Loader
from kineograph.models.base import Phase, TensorBatch, VideoModel, to_model
from kineograph.text.tokenizer import CaptionTokenizer
from kineograph.training import resume, schedules
from kineograph.training.ema import EMA
from kineograph.training.environment import matrix_rates
from kineograph.training.metrics_log import MetricsLog
from kineograph.training.settings import TrainingConfig

_WIDEST_EMA = 0.25  # beyond it no power averages (Karras et al. 2024, §3.1)

Ended = Literal["finished", "stop_at", "interrupted"]


@dataclass(frozen=True)
class Status:
    """Where a training stands, for whoever shows it."""

    step: int
    steps: int
    progress: float
    elapsed: float
    clips_per_second: float
    eta_seconds: float
    losses: dict[str, float]
    accuracy: float | None = None
    accuracy_per_prompt: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Hooks:
    """What the loop calls: ``progress`` after every step; ``check`` with the averaged model and the
    step, => verified accuracy by prompt (empty where nobody can judge)."""

    progress: Callable[[Status], None] = lambda status: None
    check: Callable[[VideoModel, int], dict[str, float]] = lambda model, step: {}


class Trainer:
    """Trains one model on one source, in one run folder."""

    def __init__(
        self,
        model: VideoModel,
        source: Source,
        tokenizer: CaptionTokenizer,
        config: TrainingConfig,
        *,
        seed: int,
        folder: Path,
        hooks: Hooks | None = None,
    ) -> None:
        check(config)
        config = with_precision(config)
        self.config, self.seed, self.folder = config, seed, folder
        self.hooks = hooks or Hooks()
        self.tokenizer = tokenizer
        self.loader = Loader(source, config.batch_size, seed)
        self.device = choose_device(config.device)
        self.step = 0
        self.model = model.to(self.device).train()
        self.ema = EMA(self.model, config.ema)
        self.optimizers = {phase.name: self._optimizer(phase) for phase in model.phases}
        self.state = resume.State(self.model, self.ema, self.optimizers)
        self.earlier_seconds = 0.0
        self.accuracy: dict[str, float] = {}
        self.best_accuracy: dict[str, float] = {}
        self.notes: list[str] = []
        self._stopping = False

    def _optimizer(self, phase: Phase) -> torch.optim.Optimizer:
        return torch.optim.Adam(phase.parameters, lr=1.0, betas=phase.betas, fused=True)

    def resume(self) -> None:
        """Go on from the newest whole checkpoint; ``notes`` says what was passed over."""
        state, self.notes = resume.load_newest(self.folder / "checkpoints", self.state)
        self.step = int(state["step"])
        self.earlier_seconds = float(state["seconds"])
        self.accuracy = dict(state["accuracy"])
        self.best_accuracy = dict(state.get("best_accuracy", {}))

    def run(self) -> Ended:
        """Train to the end, the time limit, the wanted accuracy or Ctrl-C; then save."""
        self.started = time.monotonic()
        log = MetricsLog(self.folder / "metrics.jsonl", self.step)
        ended = self._ended()
        try:
            with self._interruptible():
                while ended is None:
                    row = self._train_one_step()
                    if self._due(self.config.evaluate_every):
                        self._check()
                        row |= {"accuracy": mean(self.accuracy), "accuracies": self.accuracy}
                    log.write(row)
                    ended = self._ended()
                    if ended or self._due(self.config.checkpoint_every):
                        self.save()
        finally:
            log.close()
        return ended

    def _ended(self) -> Ended | None:
        if self._stopping:
            return "interrupted"
        if self._good_enough():
            return "stop_at"
        return "finished" if self.progress >= 1 else None

    @property
    def elapsed(self) -> float:
        """Seconds of training, those before a resume included."""
        return self.earlier_seconds + time.monotonic() - self.started

    @property
    def progress(self) -> float:
        """0 to 1, by steps or by time, whichever is further."""
        by_steps = self.step / self.config.steps
        by_time = self.elapsed / (60 * self.config.minutes) if self.config.minutes else 0.0
        return min(max(by_steps, by_time), 1.0)

    def result(self) -> tuple[VideoModel, float | None]:
        """The model that the training ends with, and its accuracy at the last check or the best."""
        if not self.state.best:
            return self.ema.model, mean(self.accuracy)
        model = copy.deepcopy(self.ema.model)
        model.load_state_dict(self.state.best)
        return model, mean(self.best_accuracy)

    def _check(self) -> None:
        self.accuracy = self.hooks.check(self.ema.model, self.step)
        found, before = mean(self.accuracy), mean(self.best_accuracy)
        if self.config.keep == "best" and found is not None and found >= (before or 0):
            self.best_accuracy = self.accuracy
            self.state.best = copy.deepcopy(self.ema.model.state_dict())

    def save(self) -> Path:
        """Write a checkpoint of this step."""
        extra = {
            "seconds": self.elapsed,
            "accuracy": self.accuracy,
            "best_accuracy": self.best_accuracy,
        }
        place = self.folder / "checkpoints"
        return resume.save(place, self.step, self.state, extra, self.config.keep_checkpoints)

    def _train_one_step(self) -> dict[str, Any]:
        before, progress = time.monotonic(), self.progress
        torch.manual_seed(seeds.seed_for(self.seed, self.step))  # a resume is one integer
        batch = self._batch(progress)
        losses: dict[str, Tensor] = {}
        for phase in self.model.phases:
            if phase.start <= progress <= phase.stop:
                found = self._optimise(phase, batch)
                losses |= {f"{phase.name}.{name}": value for name, value in found.items()}
        self.ema.update(self.model, self.step)
        self.step += 1
        values = {name: float(value.detach()) for name, value in losses.items()}
        seconds = time.monotonic() - before
        self._report(values, seconds)
        return {"step": self.step, "elapsed": round(self.elapsed, 3), **values}

    def _batch(self, progress: float) -> TensorBatch:
        clips = self.loader.batch(self.step)
        tokens = torch.from_numpy(self.tokenizer.encode(clips.captions)).to(self.device)
        return TensorBatch(to_model(clips.frames, self.device), tokens, progress)

    def _optimise(self, phase: Phase, batch: TensorBatch) -> dict[str, Tensor]:
        optimizer = self.optimizers[phase.name]
        done = (batch.progress - phase.start) / (phase.stop - phase.start)
        rate = schedules.learning_rate(done, self.config.warmup, self.config.cooldown)
        for group in optimizer.param_groups:
            group["lr"] = self.config.learning_rate * phase.learning_rate * rate
        self.model.requires_grad_(False)
        for parameter in phase.parameters:
            parameter.requires_grad_(True)
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"
        ):
            losses = phase.losses(batch)
        optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        if self.config.gradient_clip:
            torch.nn.utils.clip_grad_norm_(phase.parameters, self.config.gradient_clip)
        optimizer.step()
        return losses

    def _report(self, losses: dict[str, float], seconds: float) -> None:
        done = self.progress
        self.hooks.progress(
            Status(
                step=self.step,
                steps=self.config.steps,
                progress=done,
                elapsed=self.elapsed,
                clips_per_second=self.config.batch_size / max(seconds, 1e-9),
                eta_seconds=self.elapsed * (1 - done) / max(done, 1e-9),
                losses=losses,
                accuracy=mean(self.accuracy),
                accuracy_per_prompt=self.accuracy,
            )
        )

    def _due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0

    def _good_enough(self) -> bool:
        wanted, reached = self.config.stop_at, mean(self.accuracy)
        return wanted is not None and reached is not None and reached >= wanted

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first Ctrl-C or SIGTERM ends after the step, with a checkpoint; a second at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: FrameType | None) -> None:
            if self._stopping:
                raise KeyboardInterrupt
            self._stopping = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def mean(accuracy: dict[str, float]) -> float | None:
    """Of a check, over all prompts alike."""
    return sum(accuracy.values()) / len(accuracy) if accuracy else None


def choose_device(name: str) -> torch.device:
    """Auto => cuda where there is one, else cpu. Raises for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RequestError(f'There is no device "{name}".', "Choose cpu, cuda or auto.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise MachineError("This machine has no CUDA device that torch can use.", "Choose cpu.")
    return device


def with_precision(config: TrainingConfig) -> TrainingConfig:
    """The same settings, with "auto" for the precision replaced by the faster one here."""
    if config.precision != "auto":
        return config
    rates = matrix_rates(choose_device(config.device))
    return replace(config, precision="bf16" if rates["bf16"] > rates["fp32"] else "fp32")


def check(config: TrainingConfig) -> None:
    """Raise RequestError, naming the setting, for one that is out of range."""
    positive = {
        "steps": config.steps,
        "batch_size": config.batch_size,
        "learning_rate": config.learning_rate,
        "minutes": 1 if config.minutes is None else config.minutes,
    }
    for name, value in positive.items():
        if value <= 0:
            raise RequestError(f"training.{name} is {value}.", "It must be above 0.")
    if not 0 <= config.ema <= _WIDEST_EMA:
        raise RequestError(
            f"training.ema is {config.ema}.", f"It is a share of the training, 0 to {_WIDEST_EMA}."
        )
    if config.stop_at is not None and not 0 < config.stop_at <= 1:
        raise RequestError(f"training.stop_at is {config.stop_at}.", "It is a share, like 0.95.")
