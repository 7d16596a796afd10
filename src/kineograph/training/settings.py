"""What can be set about a training, whatever the model, and about one that goes on from another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kineograph.core.errors import RequestError
from kineograph.training.trackers import check_trackers

_WIDEST_EMA = 0.25  # beyond it no power averages (Karras et al. 2024, §3.1)


@dataclass(frozen=True)
class TrainingConfig:
    """How long, how fast, how often."""

    steps: int = 4000
    """Steps of every phase; fewer if ``minutes`` or ``stop_at`` ends it first."""
    minutes: float | None = None
    """Time limit of the training; the schedules end with it."""
    stop_at: float | None = None
    """End at this verified accuracy over the training captions, 0 to 1."""
    batch_size: int = 128
    """Clips a step."""
    learning_rate: float = 1e-3
    """Peak learning rate; a model's phases may scale it."""
    warmup: float = 0.01
    """Share of the training in which the learning rate rises to its peak."""
    cooldown: float = 0.5
    """Share of the training, at its end, in which the learning rate falls to nothing."""
    gradient_clip: float = 1.0
    """Largest norm of a phase's gradient; 0 does not clip."""
    ema: float = 0.05
    """Share of the training so far over which the weights that generate are averaged; 0 takes the
    last ones."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Of matrix products and convolutions (autocast); auto is the faster one on this device."""
    compile: bool = False
    """Turn the denoiser into code for this machine (torch.compile): the first steps take a minute,
    or some seconds where such code was made before, and all others less."""
    device: str = "auto"
    """cpu, cuda, or auto: cuda where there is one."""
    loader_workers: int | None = None
    """Processes that render the next clips; by default none on a processor, which the training
    keeps busy, and up to 8 beside a GPU."""
    weights: Literal["replicate", "shard"] = "replicate"
    """Where several processes train together: each has all weights, or holds a part of them
    (FSDP2), which takes less memory and more traffic."""
    timeout: float = 600.0
    """Seconds for which a process waits for the others, where several train together; then it gives
    up, and the job with it."""
    checkpoint_every: int = 500
    """Steps between checkpoints; 0 writes those of the beginning, the best check and the end only.
    """
    keep_checkpoints: int = 3
    """Checkpoints kept: the newest ones, and that of the best live verification."""
    evaluate_every: int = 100
    """Steps between live verifications of a few clips a caption, with a sheet; 0 never."""
    keep: Literal["last", "best"] = "last"
    """Weights that the model ends with: the last ones, or those of the best live verification, for
    what loses in the end what it knew, as a GAN may."""
    trackers: tuple[str, ...] = ()
    """Where else to follow the training, beside metrics.jsonl: tensorboard, trackio, wandb. Each is
    an extra, such as kineograph[wandb]. TensorBoard and Weights & Biases write into the run folder,
    the latter offline unless WANDB_MODE is set; trackio writes into its own store."""

    def check(self) -> None:
        """Raise RequestError, naming the setting, for one that is out of range."""
        positive = {
            "steps": self.steps,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "timeout": self.timeout,
            "minutes": 1 if self.minutes is None else self.minutes,
            "loader_workers": 1 + (self.loader_workers or 0),
        }
        for name, value in positive.items():
            if value <= 0:
                raise RequestError(f"training.{name} is {getattr(self, name)}.", "It is too small.")
        if not self.gradient_clip >= 0:
            raise RequestError(
                f"training.gradient_clip is {self.gradient_clip}.",
                "It is a length; 0 does not clip.",
            )
        for name in ("warmup", "cooldown"):
            if not 0 <= getattr(self, name) <= 1:
                raise RequestError(
                    f"training.{name} is {getattr(self, name)}.",
                    "It is a share of the training, 0 to 1.",
                )
        if not 0 <= self.ema <= _WIDEST_EMA:
            raise RequestError(
                f"training.ema is {self.ema}.",
                f"It is a share of the training, 0 to {_WIDEST_EMA}.",
            )
        if self.stop_at is not None and not 0 < self.stop_at <= 1:
            raise RequestError(f"training.stop_at is {self.stop_at}.", "It is a share, like 0.95.")
        if self.compile and self.weights == "shard":
            raise RequestError(
                "training.compile is for networks that each process has whole.",
                "Set training.weights to replicate, or leave training.compile away.",
            )
        check_trackers(self.trackers)


@dataclass(frozen=True)
class RefineConfig:
    """How a trained model goes on with what a part of the judge chose among its own clips."""

    run: str
    """The run or model folder to start from; it stays as it is."""
    teach: tuple[str, ...] = ()
    """Parts of the judge that choose; by default those that say where things go. The others are
    held out."""
    share: float = 0.5
    """Share of the chosen clips in what it learns from; the others are real."""
    clips: int = 1024
    """Training captions that it makes clips for, before it learns."""
    attempts: int = 4
    """Clips that it makes for each of them at most, until one passes."""
    learning_rate: float = 0.1
    """Times ``training.learning_rate``."""
    measured: int = 512
    """Fresh clips of training captions that are judged before and after, and as many of captions
    never seen."""

    def check(self) -> None:
        """Raise RequestError, naming the setting, for one that is out of range."""
        for name in ("clips", "attempts", "learning_rate", "measured"):
            if getattr(self, name) <= 0:
                raise RequestError(
                    f"refine.{name} is {getattr(self, name)}.", "It must be above 0."
                )
        if not 0 <= self.share <= 1:
            raise RequestError(f"refine.share is {self.share}.", "It is a share, like 0.5.")


@dataclass(frozen=True)
class DistillConfig:
    """How a model learns to make in few steps what a trained one makes in many."""

    run: str
    """The run or model folder to start from, which is the teacher; it stays as it is."""
    steps: int = 8
    """Steps that the teacher takes."""
    start_share: float = 0.5
    """Share of what it learns that is to make a clip in one step."""
    learning_rate: float = 0.25
    """Times ``training.learning_rate``."""
    measured: int = 256
    """Fresh clips of training captions that are judged before and after, for each number of steps,
    and as many of captions never seen; 0 for none."""

    def check(self) -> None:
        """Raise RequestError, naming the setting, for one that is out of range."""
        if self.steps < 1 or self.learning_rate <= 0:
            name = "steps" if self.steps < 1 else "learning_rate"
            raise RequestError(f"distill.{name} is {getattr(self, name)}.", "It must be above 0.")
        if self.measured < 0:
            raise RequestError(f"distill.measured is {self.measured}.", "It must be 0 or more.")
        if not 0 <= self.start_share <= 1:
            raise RequestError(
                f"distill.start_share is {self.start_share}.", "It is a share, like 0.5."
            )
