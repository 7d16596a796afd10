"""Each family learns: it overfits a few clips, as no broken objective or cut gradient can."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kineograph.data.clip import Batch, Clip
from kineograph.data.sources import tutorial
from kineograph.models import flow, gan, tutorial_gan
from kineograph.models.base import VideoModel, VideoShape
from kineograph.sampling.pipeline import Pipeline
from kineograph.text.tokenizer import CaptionTokenizer
from kineograph.training.loop import Trainer
from kineograph.training.settings import TrainingConfig

PROMPTS = ("circle moving left", "circle moving right")
TOKENIZER = CaptionTokenizer.train(PROMPTS)


class FewClips:
    """Four clips of each of two captions, over and over."""

    def __init__(self, **settings: Any) -> None:
        whole = tutorial.Source(tutorial.Config(**settings))
        first = [tutorial.CAPTIONS.index(prompt) for prompt in PROMPTS]
        self.indices = np.array([i + 18 * n for n in range(4) for i in first])
        self.whole = whole

    captions: Sequence[str] = PROMPTS

    def __len__(self) -> int:
        return len(self.indices)

    def clip(self, index: int, seed: int) -> Clip:
        return self.whole.clip(int(self.indices[index]), 0)

    def batch(self, indices: np.ndarray, seed: int) -> Batch:
        return self.whole.batch(self.indices[indices], 0)


def train(model: VideoModel, source: FewClips, folder: Path, **settings: Any) -> Pipeline:
    config = TrainingConfig(evaluate_every=0, checkpoint_every=0, **settings)
    trainer = Trainer(model, source, TOKENIZER, config, seed=0, folder=folder)
    trainer.run()
    return Pipeline(trainer.ema.model, TOKENIZER, {})


def dark(clips: Sequence[Clip]) -> np.ndarray:
    """Coverage (B, T, H, W), 0 to 1."""
    return np.stack([1 - clip.frames.mean(-1) / 255 for clip in clips])


def rightward(clips: Sequence[Clip]) -> np.ndarray:
    """How far the centre of what is dark moves right from the first frame to the last (B,)."""
    cover = dark(clips)[:, [0, -1]]
    x = (cover * np.arange(cover.shape[-1])).sum((2, 3)) / cover.sum((2, 3)).clip(1e-6)
    return np.asarray(x[:, 1] - x[:, 0])


SMALL = {"num_frames": 4, "height": 32, "width": 32}


@pytest.mark.parametrize(
    ("family", "config"),
    [
        (gan, gan.Config(width=128, depth=2, appearance=5)),
        (flow, flow.Config(width=128, depth=2, appearance=5)),
    ],
    ids=["gan", "flow"],
)
def test_it_learns_which_way_to_move_and_to_draw_one_disc(
    family: Any, config: Any, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = family.Model(config, VideoShape(**SMALL), TOKENIZER.vocabulary_size)
    source = FewClips(**SMALL)
    pipeline = train(model, source, tmp_path, steps=200, batch_size=16)
    left, right = (pipeline(prompt, 32) for prompt in PROMPTS)
    assert (rightward(left) < -3).mean() > 0.8
    assert (rightward(right) > 3).mean() > 0.8
    real = dark([source.clip(i, 0) for i in range(len(source))])
    made = dark([*left, *right])
    nearest = np.square(made[:, None] - real[None]).mean((2, 3, 4)).min(1)
    assert np.median(nearest) < 0.3 * np.square(real).mean()  # an empty clip would reach 1


def test_the_tutorials_gan_learns_the_look_of_a_frame_and_nothing_of_its_caption(
    tmp_path: Path,
) -> None:
    source = FewClips(num_frames=4)
    torch.manual_seed(0)
    model = tutorial_gan.Model(
        tutorial_gan.Config(), VideoShape(4, 64, 64), TOKENIZER.vocabulary_size
    )
    pipeline = train(
        model,
        source,
        tmp_path,
        steps=150,
        batch_size=16,
        learning_rate=2e-4,
        ema=0.0,
        warmup=0.0,
        cooldown=0.0,
    )
    left, right = (pipeline(prompt, 32) for prompt in PROMPTS)
    made = dark([*left, *right])
    assert np.median(made) < 0.1  # white ground, where it began with grey noise
    assert abs(np.mean(rightward(left)) - np.mean(rightward(right))) < 6
