"""One step of a training: each of the model's phases, once or more. It knows `Phase`, no family.

What makes a step one that can be trusted is here. It draws from (seed, step, turn) alone. A turn
whose numbers are not finite teaches nothing. And where memory does not do for all clips at once, it
learns from them in parts, which comes to the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from kineograph.core import config, seeds
from kineograph.core.errors import MachineError, RequestError
from kineograph.models import draws
from kineograph.models.base import Phase, TensorBatch, to_model
from kineograph.training import schedules, sharding
from kineograph.training.compiling import not_compiled
from kineograph.training.distributed import World
from kineograph.training.feed import Feed
from kineograph.training.resume import State
from kineograph.training.settings import TrainingConfig
from kineograph.training.trouble import NotFiniteError, bad_gradient, is_out_of_memory, watched

_MOST_BAD_STEPS = 3  # in a row, of which something was not finite


@dataclass
class Place:
    """Where a training stands, besides its tensors: what a checkpoint's state.json tells."""

    step: int = 0
    seconds: float = 0.0
    """Of training, until the checkpoint."""
    accuracy: dict[str, float] = field(default_factory=dict)
    """Of the last check, by prompt."""
    best_accuracy: dict[str, float] = field(default_factory=dict)
    best_step: int = -1
    """That of the best check, whose checkpoint stays; of two that are as good, the later one."""
    row: dict[str, Any] | None = None
    """What is to be logged of the last step, where its check is still to come."""
    bad_steps: int = 0
    """In a row, in which something was not finite."""
    rate: float = 1.0
    """What the learning rate is multiplied by, since the training went back."""
    parts: int = 1
    """In how many parts a step learns from its clips, for want of memory."""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Place:
        """What a state.json tells. Raises RequestError where that is no place of a training."""
        known = {each.name for each in fields(cls)}
        mine = {name: value for name, value in told.items() if name in known}
        place = config.build(cls, mine, path="state.json")
        if place.step < 0 or place.seconds < 0 or place.parts < 1 or not 0 < place.rate <= 1:
            raise RequestError(
                "The checkpoint's state.json tells of no step of a training.",
                "Restore it, or use another copy.",
            )
        return place


class Stepper:
    """Does the steps of a training, with the processes of its ``world``.

    ``say`` is told what a person should know of.
    """

    def __init__(
        self,
        state: State,
        feed: Feed,
        config: TrainingConfig,
        *,
        seed: int,
        device: torch.device,
        world: World,
        say: Callable[[str], None],
    ) -> None:
        self.state, self.feed, self.config, self.seed = state, feed, config, seed
        self.device, self.world, self.say = device, world, say

    def __call__(self, place: Place, progress: float) -> dict[str, Any]:
        """The next step => its losses, and how many of its turns were "skipped".

        Changes the tensors and, of ``place``, ``parts``. Raises NotFiniteError at the last of a few
        steps in a row of which turns were skipped, and MachineError where memory does not do.
        """
        batch = self._batch(place, progress)
        phases = [each for each in self.state.model.phases if each.start <= progress <= each.stop]
        losses: dict[str, Tensor] = {}
        skipped = torch.zeros((), device=self.device)
        for turn, phase in enumerate(phases):
            found, bad = self._turn(phase, batch, place, turn)
            losses |= {f"{phase.name}.{name}": value for name, value in found.items()}
            skipped += bad
        self.state.ema.update(self.state.model, place.step)
        values = {name: float(value) for name, value in losses.items()}
        count = int(skipped)
        if count and place.bad_steps + 1 >= _MOST_BAD_STEPS:
            raise NotFiniteError(self._first_not_finite(phases, batch, place))
        return {**values, "skipped": count} if count else values

    def _batch(self, place: Place, progress: float) -> list[TensorBatch]:
        """The clips of the step, in parts."""
        frames, tokens = self.feed.at(place.step)
        longest = int(self.world.largest(tokens.shape[1])[0])  # of a caption, padded alike by all
        tokens = F.pad(tokens, (0, longest - tokens.shape[1]))
        each = zip(frames.chunk(place.parts), tokens.chunk(place.parts), strict=True)
        return [
            TensorBatch(to_model(some, self.device), words.to(self.device), progress)
            for some, words in each
        ]

    def _turn(
        self, phase: Phase, batch: list[TensorBatch], place: Place, turn: int
    ) -> tuple[dict[str, Tensor], Tensor]:
        """=> the losses, and whether something was not finite, so that nothing was learned."""
        optimizer, config = self.state.optimizers[phase.name], self.config
        done = (batch[0].progress - phase.start) / (phase.stop - phase.start)
        rate = schedules.learning_rate(done, config.warmup, config.cooldown) * place.rate
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * phase.learning_rate * rate
        while True:
            try:
                losses = self._gradients(phase, batch, place, turn)
                break
            except RuntimeError as error:  # torch's own for a GPU is one of these
                if not is_out_of_memory(error):
                    raise
                self._halve(batch, place, error)
        norm = sharding.clip(phase.parameters, config.gradient_clip or math.inf)
        bad = ~(norm + losses["total"]).isfinite()
        # With this set it leaves all as it was, and nobody waits for a GPU.
        optimizer.found_inf = bad.float()
        optimizer.step()
        return losses, bad

    def _gradients(
        self, phase: Phase, batch: list[TensorBatch], place: Place, turn: int
    ) -> dict[str, Tensor]:
        """Those of the mean over all parts; => the mean losses."""
        self.state.model.requires_grad_(False)
        for parameter in phase.parameters:
            parameter.requires_grad_(True)
            parameter.grad = None
        losses: dict[str, Tensor] = {}
        for index, some in enumerate(batch):
            torch.manual_seed(seeds.seed_for(self.seed, place.step, turn))
            with (
                draws.part(self.world.rank * len(batch) + index, self.world.size * len(batch)),
                torch.autocast(
                    self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"
                ),
            ):
                found = phase.losses(some)
            (found["total"] / len(batch)).backward()  # type: ignore[no-untyped-call]  # torch's
            for name, value in found.items():
                losses[name] = losses.get(name, 0) + value.detach().float() / len(batch)
        # Those of weights that are held in parts are means over all processes already.
        gradients = [
            p.grad for p in phase.parameters if p.grad is not None and not sharding.is_part(p)
        ]
        self.world.average([*gradients, *losses.values()])
        return losses

    def _halve(self, batch: list[TensorBatch], place: Place, error: RuntimeError) -> None:
        """Learn from the clips of a step in twice as many parts, from now on."""
        rows = len(batch[0].tokens)
        if self.world.size > 1:  # others are not told, and would wait for what this one has done
            raise MachineError(
                f"There is not enough memory to learn from {rows} clips at once in this process.",
                "Choose a smaller training.batch_size, or more processes.",
            ) from error
        if rows < 2 or rows % 2:
            raise MachineError(
                f"There is not enough memory to learn from {rows} clips at once.",
                "Choose a smaller model or smaller clips"
                + (", or a training.batch_size that is a power of 2." if rows > 1 else "."),
            ) from error
        batch[:] = [
            TensorBatch(frames, tokens, some.progress)
            for some in batch
            for frames, tokens in zip(some.frames.chunk(2), some.tokens.chunk(2), strict=True)
        ]
        place.parts = len(batch)
        self.say(f"Memory does not do for {rows} clips at once: from now on {rows // 2}.")

    def _first_not_finite(self, phases: list[Phase], batch: list[TensorBatch], place: Place) -> str:
        """Once more, to see what is the first not to be finite."""
        for turn, phase in enumerate(phases):
            with not_compiled(self.config.compile), watched(self.state.model) as found:
                losses = self._gradients(phase, batch, place, turn)
            found = [name for some in self.world.gathered(found[:1]) for name in some]
            bad_losses = [name for name, value in losses.items() if not value.isfinite()]
            if found or bad_losses:
                return found[0] if found else f"the loss {phase.name}.{bad_losses[0]}"
            if name := bad_gradient(self.state.model, phase):
                return name
        return "something that is finite the second time"
