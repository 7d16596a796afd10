from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from kineograph.core.errors import RequestError
from kineograph.models.base import TensorBatch, VideoShape, lasting
from kineograph.models.gan import Config, Model

SHAPE = VideoShape(4, 16, 16)


def model(**settings: Any) -> Model:
    torch.manual_seed(0)
    return Model(
        Config(**{"width": 16, "appearance": 4, "drawing_width": 8, **settings}), SHAPE, 30
    )


def batch(tokens: torch.Tensor) -> TensorBatch:
    return TensorBatch(torch.rand(len(tokens), 4, 3, 16, 16) * 2 - 1, tokens, 1.0)


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
    fresh = model()
    codes = torch.randn(1, 4, 16)
    told = fresh.layout.told(codes)
    one, other = fresh.discriminator(told.repeat(2, 1), torch.tensor([[1, 2], [1, 3]]))
    assert one != other
    swapped = fresh.layout.told(codes[:, [1, 0, 2, 3]])
    assert fresh.discriminator(swapped, torch.tensor([[1, 2]]))[0] != one


def test_what_codes_tell_leads_back_to_them() -> None:
    fresh = model(objects=2)
    codes = torch.randn(3, 4, fresh.layout.features)
    moves = len(fresh.layout.spread)
    codes[..., moves:] = codes[:, :1, moves:]  # turns and looks stay as they are through a clip
    codes = fresh.layout.settle(codes)
    told = fresh.layout.told(codes)
    assert told.shape == (3, 4 * moves + fresh.layout.features - moves)
    assert torch.allclose(fresh.layout.retold(told, 4), codes, atol=1e-4)


def test_the_penalty_is_the_squared_slope_of_the_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a score that is w·x everywhere it is 2 |w|²."""
    fresh = model(penalty=1.0)
    given = batch(torch.ones(3, 2, dtype=torch.int64))
    weights = torch.randn(fresh.layout.told(fresh.autoencoder.codes(given)).shape[1])
    monkeypatch.setattr(fresh.discriminator, "forward", lambda told, tokens: told @ weights)
    losses = fresh.discriminator_losses(given)
    steep = losses["total"] - losses["duel"] - 0.2 * losses["match"]
    assert steep.item() == pytest.approx(2 * float(weights.square().sum()), rel=1e-4)


def test_the_penalty_is_strict_at_first() -> None:
    fresh = model(autoencoder_share=0.1, penalty=0.02)
    found = [fresh._penalty(progress) for progress in (0.0, 0.1, 0.28, 0.46, 1.0)]
    assert found == pytest.approx([6.0, 6.0, 0.02 * 300**0.5, 0.02, 0.02])


def test_a_trained_one_goes_on_with_the_penalty_of_its_end() -> None:
    fresh = model(penalty=0.02)
    given = batch(torch.ones(3, 2, dtype=torch.int64))
    (phase,) = {each.name: each for each in lasting(fresh.phases) if "disc" in each.name}.values()

    def loss(losses: Callable[..., dict[str, torch.Tensor]], progress: float) -> float:
        torch.manual_seed(0)
        return losses(replace(given, progress=progress))["total"].item()

    of_its_end = loss(fresh.discriminator_losses, 1.0)
    assert loss(phase.losses, 0.0) == of_its_end
    assert loss(fresh.discriminator_losses, 0.0) > of_its_end


def test_a_coin_shows_one_side_or_the_other() -> None:
    """So clips to either side may be far apart while their noise is next to each other."""
    fresh = model()
    noise = torch.randn(1, 16).repeat(3, 1)
    noise[:, 0] = torch.tensor([-1e-3, 1e-3, 2e-3])
    left, right, further = fresh.generator(noise, torch.tensor([[1, 2]]).expand(3, -1))
    assert (left - right).norm() > 100 * (right - further).norm()


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
        assert torch.equal(real[:, -1], own[:, 0].float())
    assert not torch.equal(turns[0][1], turns[1][1])
