from __future__ import annotations

from typing import Any

import pytest
import torch

from kineograph.core.errors import RequestError
from kineograph.models.base import TensorBatch, VideoShape
from kineograph.models.gan import Config, Model

SHAPE = VideoShape(4, 16, 16)


def model(**settings: Any) -> Model:
    torch.manual_seed(0)
    return Model(
        Config(**{"width": 16, "appearance": 4, "drawing_width": 8, **settings}), SHAPE, 30
    )


def batch(tokens: torch.Tensor) -> TensorBatch:
    return TensorBatch(torch.rand(len(tokens), 4, 3, 16, 16) * 2 - 1, tokens, 0.0)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("width", 0),
        ("depth", 0),
        ("turns_a_step", 0),
        ("penalty", -1.0),
        ("autoencoder_share", 0),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(setting: str, value: float) -> None:
    with pytest.raises(RequestError, match=f"model.{setting}"):
        model(**{setting: value})


def test_the_discriminator_reads_the_caption_and_the_order_of_frames() -> None:
    judge = model().discriminator
    codes = torch.randn(1, 4, 16).repeat(2, 1, 1)
    scores = judge(codes, torch.tensor([[1, 2], [1, 3]]))
    assert scores[0] != scores[1]
    swapped = judge(codes[:1, [1, 0, 2, 3]], torch.tensor([[1, 2]]))
    assert swapped[0] != scores[0]


def test_clips_that_all_have_one_caption_give_no_mismatch() -> None:
    losses = model().discriminator_losses(batch(torch.ones(3, 2, dtype=torch.int64)))
    assert losses["match"] == 0


def test_each_turn_takes_others_of_a_steps_clips_under_their_captions() -> None:
    fresh = model()
    tokens = torch.arange(1, 301)[:, None]
    given = TensorBatch(torch.zeros(0), tokens, 0.0)
    given.shared["codes"] = tokens[..., None].float().expand(300, 4, 16)
    turns = [fresh._some(given) for _ in range(2)]
    for real, own in turns:
        assert len(real) == len(own) == 128
        assert torch.equal(real[:, 0, 0], own[:, 0].float())
    assert not torch.equal(turns[0][1], turns[1][1])


def test_what_noise_varies_changes_slowly() -> None:
    """The network is given courses without quick waves."""
    fresh = model(depth=1)
    assert fresh.noise_shape[0] == 3
    clips = torch.zeros(5, 3, 16)
    clips[:, 2] = torch.randn(5, 16)
    seen: list[torch.Tensor] = []
    fresh.generator.denoiser.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    fresh.generator(clips, torch.ones(5, 2, dtype=torch.int64))
    waves = fresh.generator.denoiser.waves @ seen[0]
    assert waves[:, 2].std() > 0.5
    assert waves[:, 3].abs().max() < 1e-5
