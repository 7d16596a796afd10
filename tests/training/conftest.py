from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from kineograph.data.sources import tutorial
from kineograph.models import checkpoint, flow, gan, tutorial_gan
from kineograph.models.base import VideoShape
from kineograph.text.tokenizer import CaptionTokenizer
from kineograph.training.loop import Hooks, Trainer
from kineograph.training.settings import TrainingConfig

SMALL: dict[str, Any] = {
    "steps": 6,
    "batch_size": 4,
    "precision": "fp32",
    "checkpoint_every": 2,
    "evaluate_every": 0,
    "warmup": 0.0,
    "cooldown": 0.0,
}
FAMILIES: dict[str, Any] = {
    "gan": gan.Config(width=16, depth=1, turns_a_step=2, autoencoder_share=0.5),
    "flow": flow.Config(
        width=16,
        depth=1,
        turns_a_step=2,
        autoencoder_share=0.5,
        word_price=1e-3,
        clips_a_turn=2,
    ),
    "flow, nothing moves": flow.Config(
        objects=0, width=16, depth=1, drawing_width=16, autoencoder_share=0.5
    ),
    "tutorial_gan": tutorial_gan.Config(),
}


@pytest.fixture(scope="session")
def tokenizer() -> CaptionTokenizer:
    return CaptionTokenizer.train(tutorial.CAPTIONS)


@pytest.fixture
def trainer(tokenizer: CaptionTokenizer) -> Callable[..., Trainer]:
    """A small training of a family in a folder; the other settings are the training's."""

    def make(
        folder: Path, hooks: Hooks | None = None, *, family: str = "gan", **settings: Any
    ) -> Trainer:
        side = 64 if family == "tutorial_gan" else 16
        data = tutorial.Config(num_clips=10, num_frames=4, height=side, width=side)
        torch.manual_seed(7)
        model = checkpoint.make(
            family.split(",")[0],
            FAMILIES[family],
            VideoShape(4, side, side),
            tokenizer.vocabulary_size,
        )
        folder.mkdir(parents=True, exist_ok=True)
        config = TrainingConfig(**{**SMALL, **settings})
        source = tutorial.Source(data)
        return Trainer(model, source, tokenizer, config, seed=1, folder=folder, hooks=hooks)

    return make
