"""What every model family promises, and how pixels become tensors and return.

The training loop knows `Phase`, never a family; a family's file holds a ``Config`` and a
``Model(VideoModel)``, and nothing else has to change for it to be found.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from kineograph.core import seeds
from kineograph.core.errors import RequestError
from kineograph.text.pretrained import LanguageModel


@dataclass(frozen=True)
class VideoShape:
    """The size of every clip of a model: frames T, height H and width W in pixels."""

    num_frames: int
    height: int
    width: int


@dataclass(frozen=True)
class TensorBatch:
    """What a phase learns from in one step.

    ``frames`` (B, T, C, H, W) model pixels; ``tokens`` (B, L) ids, 0 for padding; ``progress``
    is how much of the training is over, 0 to 1, for what is annealed. What one phase of a step
    has computed and another can use without its gradient goes into ``shared``.
    """

    frames: Tensor
    tokens: Tensor
    progress: float
    shared: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Phase:
    """One optimiser step: a GAN has two, a flow has one.

    ``losses`` gives "total", which is minimised, and whatever else is worth logging. In every step
    between ``start`` and ``stop`` of the progress the model's phases run in their order; one that
    stands there several times runs as often. The learning rate's schedule spans that stretch.
    """

    name: str
    parameters: list[nn.Parameter]
    losses: Callable[[TensorBatch], dict[str, Tensor]]
    learning_rate: float = 1.0
    """Times ``training.learning_rate``."""
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    """Decoupled from the gradient (AdamW, Loshchilov and Hutter 2019)."""
    matrices: list[nn.Parameter] = field(default_factory=list)
    """Those of its parameters that step by Muon, without weight decay (`training/muon.py`)."""
    start: float = 0.0
    stop: float = 1.0


def lasting(phases: Sequence[Phase]) -> list[Phase]:
    """The phases that last to the end of a training, from its start on.

    With them a trained model goes on as it was at its end; what ended before, as an autoencoder,
    stays as it is.
    """

    def at_the_end(phase: Phase) -> Phase:
        return replace(
            phase, start=0.0, losses=lambda batch: phase.losses(replace(batch, progress=1.0))
        )

    return [at_the_end(phase) for phase in phases if phase.stop == 1.0]


@dataclass(frozen=True)
class Graph:
    """A part of generating that is a function of tensors alone, for runtimes other than PyTorch."""

    method: str
    """Where the model has it, such as "denoiser.forward"."""
    inputs: dict[str, Tensor]
    """Its arguments in their order, by the names they have there: examples of two clips."""
    output: str
    """The name of what it gives."""


Watch = Callable[[float, Callable[[], Tensor]], None]
"""Told before the first step of a generation, and after each, how much of it is done, 0 to 1, and
what gives the clips (B, T, C, H, W) as they look by then. What it raises ends the generation."""


class VideoModel(nn.Module, ABC):
    """Text and noise => clips.

    A part of it with an attribute ``compiled``, False at first, runs as compiled code once that is
    True (`training/compiling.py`). One with an attribute ``held_whole``, whose slope is in a loss,
    stays whole where the others are held in parts (`training/sharding.py`).
    """

    shape: VideoShape
    phases: list[Phase]
    noise_shape: tuple[int, ...]
    """The noise of one clip."""
    default_steps: int | None = None
    """Steps of a generation unless others are asked for; None where it takes none."""
    default_guidance: float = 1.0
    """Guidance of a generation unless another is asked for."""
    training_only: tuple[str, ...] = ()
    """Names of its parts that only a training needs. A model that was opened without them has no
    ``phases``."""
    language_model: LanguageModel | None = None
    """Who reads the captions, where that is a pretrained one. Its weights are no part of the model,
    and a model folder holds them beside it."""

    def without_training(self) -> None:
        """Let go of what only a training needs."""
        self.phases = []
        for name in self.training_only:
            whole, _, part = name.rpartition(".")
            setattr(self.get_submodule(whole), part, None)

    @abstractmethod
    def generate(
        self,
        tokens: Tensor,
        noise: Tensor,
        *,
        steps: int | None,
        guidance_scale: float,
        negative: Tensor | None = None,
        watch: Watch | None = None,
    ) -> Tensor:
        """Tokens (B, L) and noise (B, *noise_shape) => clips (B, T, C, H, W) in [-1, 1].

        ``steps`` and ``guidance_scale`` mean something to families that generate in steps, as do
        ``negative`` tokens (B, L), of what guidance leads away from; one that makes the whole clip
        in a single pass ignores them, and nobody can ``watch``.
        """

    def graphs(self, tokens: Tensor) -> dict[str, Graph]:
        """The parts of which generating consists, by their names, for two captions' ``tokens``.

        Raises RequestError for a setting with which that cannot be done.
        """
        raise RequestError("This family has no graphs.", "Export one of another family.")

    def distilled(self, steps: int, start_share: float) -> list[Phase]:
        """Phases in which it learns to make in few steps what it makes now in ``steps``.

        ``start_share`` of what it learns is to do it in one. Raises RequestError for a family that
        has no steps.
        """
        raise RequestError(
            "This model makes a clip in one step as it is.",
            "What can be distilled is a model that takes several, such as one of the flow.",
        )


def without_graphs(setting: str) -> RequestError:
    """That a model with this setting has no graphs."""
    return RequestError(f"A model with {setting} has no graphs.", "Export one without it.")


def to_model(frames: np.ndarray | Tensor, device: torch.device | str = "cpu") -> Tensor:
    """uint8 (B, T, H, W, 3) => model pixels, float32 (B, T, 3, H, W) in [-1, 1]."""
    moved = torch.as_tensor(frames).to(device, non_blocking=True)
    pixels = moved.movedim(-1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    return pixels.div_(127.5).sub_(1)


def to_frames(clips: Tensor) -> np.ndarray:
    """Model pixels (B, T, 3, H, W) => uint8 (B, T, H, W, 3); the inverse of ``to_model``."""
    pixels = clips.detach().float().add(1).mul(127.5).round().clamp(0, 255)
    return pixels.to(torch.uint8).movedim(2, -1).contiguous().cpu().numpy()


def noise_for(seed: int | Sequence[int], items: Sequence[int], shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise (len(items), *shape): item i of a seed has a stream of its own.

    One seed is for all, several are one for each.
    """
    each = [seed] * len(items) if isinstance(seed, int) else seed
    rows = []
    for seed, item in zip(each, items, strict=True):
        generator = torch.Generator().manual_seed(seeds.seed_for(seed, item))
        rows.append(torch.randn(shape, generator=generator))
    return torch.stack(rows)
