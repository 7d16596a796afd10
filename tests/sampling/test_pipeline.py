from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kineograph.core.errors import RequestError
from kineograph.data.sources.tutorial import CAPTIONS
from kineograph.models import checkpoint, flow, gan
from kineograph.models.base import VideoShape, to_frames
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


def test_a_pipeline_is_saved_with_the_weights_that_it_has_now(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    settings = gan.Config(width=16)
    told = {"family": "gan", "model_config": settings, "info": pipeline.info, "card": "# A card"}
    checkpoint.save(tmp_path / "one", pipeline.model, pipeline.tokenizer, **told)  # type: ignore[arg-type]  # of many types
    one = Pipeline.load(tmp_path / "one")
    with torch.no_grad():
        for parameter in one.model.parameters():
            parameter.mul_(0.9)
    one.save(tmp_path / "other" / "model")
    other = Pipeline.load(tmp_path / "other")
    changed, again = (each("circle moving up")[0].frames for each in (one, other))
    assert np.array_equal(changed, again)
    assert not np.array_equal(changed, pipeline("circle moving up")[0].frames)
    assert (tmp_path / "other" / "model" / "MODEL_CARD.md").read_text() == "# A card"
    with pytest.raises(RequestError, match="exists already"):
        one.save(tmp_path / "one")
    with pytest.raises(RequestError, match="not loaded"):
        pipeline.save(tmp_path / "third")


@pytest.mark.parametrize("prompt", ["", "   ", "x" * 1001])
def test_no_prompt_and_an_endless_one_are_refused(pipeline: Pipeline, prompt: str) -> None:
    with pytest.raises(RequestError, match="prompt"):
        pipeline(prompt)


def test_no_clips_are_refused(pipeline: Pipeline) -> None:
    with pytest.raises(RequestError, match="at least one"):
        pipeline("circle moving up", 0)


def test_each_clip_may_have_a_seed_of_its_own(pipeline: Pipeline) -> None:
    together = pipeline.batch(["circle moving up"] * 2, [0, 0], [5, 6])
    for clip, seed in zip(together, (5, 6), strict=True):
        alone = pipeline("circle moving up", seed=seed)[0]
        assert abs(clip.frames.astype(int) - alone.frames).max() <= 1


# ---- in steps ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def in_steps() -> Pipeline:
    torch.manual_seed(0)
    tokenizer = CaptionTokenizer.train(CAPTIONS)
    model = flow.Model(flow.Config(width=16), VideoShape(4, 16, 16), tokenizer.vocabulary_size)
    for parameter in model.denoiser.out.parameters():  # of zeros, no text would be heard
        torch.nn.init.normal_(parameter)
    return Pipeline(model.eval(), tokenizer, {})


def test_who_watches_sees_it_form(in_steps: Pipeline) -> None:
    seen: list[tuple[float, np.ndarray]] = []
    (clip,) = in_steps.batch(
        ["circle moving up"],
        [0],
        num_inference_steps=4,
        watch=lambda done, clips: seen.append((done, to_frames(clips())[0])),
    )
    assert [done for done, _ in seen] == [0.0, 0.25, 0.5, 0.75, 1.0]  # the noise comes first
    assert np.array_equal(seen[-1][1], clip.frames)
    assert not np.array_equal(seen[0][1], clip.frames)


def test_who_watches_may_end_it(in_steps: Pipeline) -> None:
    asked = 0

    def watch(done: float, clips: object) -> None:
        nonlocal asked
        asked += 1
        raise InterruptedError

    with pytest.raises(InterruptedError):
        in_steps.batch(["circle moving up"], [0], watch=watch)
    assert asked == 1


def test_guidance_leads_away_from_a_negative_prompt(in_steps: Pipeline) -> None:
    def made(guidance_scale: float, negative_prompt: str) -> np.ndarray:
        told = {"guidance_scale": guidance_scale, "negative_prompt": negative_prompt}
        return in_steps.batch(["circle moving up"], [0], **told)[0].frames

    assert np.array_equal(made(1.0, "circle moving left"), made(1.0, ""))
    assert not np.array_equal(made(3.0, "circle moving left"), made(3.0, ""))
    # Away from itself leads nowhere.
    difference = made(3.0, "circle moving up").astype(int) - made(1.0, "")
    assert abs(difference).max() <= 1


def test_guidance_is_the_models_own_unless_told(
    in_steps: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_steps.model, "default_guidance", 2.0)
    plain, asked, own = (
        in_steps("circle moving up", guidance_scale=scale)[0].frames for scale in (1.0, 2.0, None)
    )
    assert np.array_equal(own, asked)
    assert not np.array_equal(own, plain)
