from __future__ import annotations

import numpy as np
import pytest
import torch

from kineograph.core.errors import RequestError
from kineograph.data.sources.tutorial import CAPTIONS
from kineograph.models import gan
from kineograph.models.base import VideoShape
from kineograph.sampling.pipeline import Pipeline
from kineograph.text.tokenizer import CaptionTokenizer


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    torch.manual_seed(0)
    tokenizer = CaptionTokenizer.train(CAPTIONS)
    model = gan.Model(gan.Config(width=16), VideoShape(4, 16, 24), tokenizer.vocabulary_size)
    return Pipeline(model.eval(), tokenizer, {"fps": 8.0})


def test_a_prompt_becomes_clips_that_carry_it(pipeline: Pipeline) -> None:
    clips = pipeline(" circle moving up ", 3)
    assert len(clips) == 3
    assert clips[0].frames.shape == (4, 16, 24, 3)
    assert {clip.caption for clip in clips} == {"circle moving up"}
    assert clips[0].fps == 8.0


def test_clip_i_of_a_seed_is_the_same_whatever_the_count(pipeline: Pipeline) -> None:
    few, many = pipeline("circle moving up", 2, seed=5), pipeline("circle moving up", 70, seed=5)
    for one, other in zip(few, many, strict=False):
        # Matrix products of another size may round another way: by a grey level, no more.
        difference = one.frames.astype(int) - other.frames
        assert abs(difference).max() <= 1
    assert not np.array_equal(few[0].frames, few[1].frames)
    assert not np.array_equal(few[0].frames, pipeline("circle moving up", seed=6)[0].frames)


@pytest.mark.parametrize("prompt", ["", "   ", "x" * 1001])
def test_no_prompt_and_an_endless_one_are_refused(pipeline: Pipeline, prompt: str) -> None:
    with pytest.raises(RequestError, match="prompt"):
        pipeline(prompt)


def test_no_clips_are_refused(pipeline: Pipeline) -> None:
    with pytest.raises(RequestError, match="at least one"):
        pipeline("circle moving up", 0)
