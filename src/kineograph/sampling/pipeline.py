"""Prompt => clips."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kineograph.core.conventions import DEFAULT_FPS
from kineograph.core.errors import RequestError
from kineograph.core.files import check_free
from kineograph.core.sharing import each
from kineograph.data.clip import Clip
from kineograph.data.grammar import check_prompt
from kineograph.models import checkpoint, hub
from kineograph.models.base import VideoModel, Watch, noise_for, to_frames
from kineograph.text.tokenizer import CaptionTokenizer

_AT_ONCE = 64  # clips in one forward pass


@dataclass(frozen=True)
class Pipeline:
    """A model that is ready to turn prompts into clips."""

    model: VideoModel
    tokenizer: CaptionTokenizer
    info: dict[str, Any]
    """What its folder says of it: recipe, captions, version, ..."""
    opened: checkpoint.ModelFolder | None = None
    """What it was loaded from, if it was."""

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> Pipeline:
        """Open a model folder, a run folder, or a model of the Hub by its name (`hub.local`).

        Raises RequestError where that cannot be done, MachineError where the Hub does not answer.
        """
        opened = checkpoint.load(hub.local(folder))
        return cls(opened.model.to(device), opened.tokenizer, opened.info, opened)

    def save(
        self, folder: str | Path, *, force: bool = False, inference_only: bool = False
    ) -> None:
        """Write it, with the weights that it has now, as a folder that `load` opens, or not at all.

        ``inference_only`` leaves out what only training needs and rounds the weights to bfloat16: a
        third of the bytes or less, for generating alone. This pipeline stays as it is.

        Raises RequestError where something is in the way and not ``force``, and for a pipeline that
        was not loaded.
        """
        if self.opened is None:
            raise RequestError(
                "This pipeline was not loaded from a folder.", "A training writes its model itself."
            )
        check_free(folder, force)
        model = self.model
        if inference_only:
            model = copy.deepcopy(model)
            model.without_training()
        checkpoint.save(
            Path(folder),
            model,
            self.tokenizer,
            family=self.opened.family,
            model_config=self.opened.settings,
            info=self.info,
            card=self.opened.card,
        )

    def __call__(
        self,
        prompt: str,
        count: int = 1,
        *,
        seed: int = 0,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
    ) -> list[Clip]:
        """``count`` clips of one prompt; clip i of a seed is the same whatever ``count`` is.

        Raises RequestError for an empty prompt, one of over 1,000 characters, or no clips at all.
        """
        if count < 1:
            raise RequestError(f"{count} clips were asked for.", "Ask for at least one.")
        prompts = [check_prompt(prompt)] * count
        return self.batch(prompts, range(count), seed, num_inference_steps, guidance_scale)

    @torch.inference_mode()
    def batch(
        self,
        prompts: Sequence[str],
        items: Sequence[int],
        seed: int | Sequence[int] = 0,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        negative_prompt: str = "",
        watch: Watch | None = None,
    ) -> list[Clip]:
        """A clip for each prompt, from the item of the seed's noise that stands beside it.

        A seed for each is as good as one for all. Steps and guidance are the model's own unless
        told. Guidance of more than 1 leads away from the
        ``negative_prompt``, where there is one, instead of from clips without a prompt. ``watch``
        is told of each step, where a model takes several; more than 64 clips are made in rounds,
        each of which is told from 0 to 1.

        Raises RequestError for less than one step, or a guidance scale that is no number.
        """
        if num_inference_steps is not None and num_inference_steps < 1:
            raise RequestError(f"{num_inference_steps} steps were asked for.", "Ask for 1 or more.")
        if guidance_scale is None:
            guidance_scale = self.model.default_guidance
        if not math.isfinite(guidance_scale):
            raise RequestError(f"guidance_scale is {guidance_scale}.", "1.0 is plain conditional.")
        device = next(self.model.parameters()).device
        tokens = torch.from_numpy(self.tokenizer.encode(prompts)).to(device)
        negative = None
        if negative_prompt:
            negative = torch.from_numpy(self.tokenizer.encode([negative_prompt])).to(device)
        fps = float(self.info.get("fps", DEFAULT_FPS))

        def some(first: int) -> list[Clip]:
            part = slice(first, first + _AT_ONCE)
            own = seed if isinstance(seed, int) else seed[part]
            noise = noise_for(own, items[part], self.model.noise_shape).to(device)
            made = self.model.generate(
                tokens[part],
                noise,
                steps=num_inference_steps,
                guidance_scale=guidance_scale,
                negative=None if negative is None else negative.expand(len(noise), -1),
                watch=watch,
            )
            pairs = zip(to_frames(made), prompts[part], strict=True)
            return [Clip(frames, prompt, fps=fps) for frames, prompt in pairs]

        return [clip for clips in each(some, range(0, len(prompts), _AT_ONCE)) for clip in clips]
