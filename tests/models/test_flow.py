from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from kineograph.core.errors import RequestError
from kineograph.models.base import TensorBatch, VideoShape, noise_for
from kineograph.models.denoiser import cosines, time_features
from kineograph.models.flow import Config, Model, followed
from kineograph.models.objects import Codes

SHAPE = VideoShape(4, 16, 16)
TOKENS = torch.tensor([[1, 2], [1, 3]])


def model(**settings: Any) -> Model:
    torch.manual_seed(0)
    return Model(
        Config(**{"width": 32, "appearance": 4, "drawing_width": 8, **settings}), SHAPE, 30
    )


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("width", 0),
        ("turns_a_step", 0),
        ("autoencoder_share", 0),
        ("unprompted", 1.0),
        ("word_price", -0.5),
        ("logit_std", -1.0),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(setting: str, value: float) -> None:
    with pytest.raises(RequestError, match=f"model.{setting}"):
        model(**{setting: value})


def test_a_denoiser_that_has_learned_nothing_guesses_linearly() -> None:
    """At t = 1 nearly the clip itself; at t = 0, where there is only noise, the mean of all."""
    fresh = model()
    denoiser = fresh.denoiser
    codes, yes = torch.randn(2, *fresh.noise_shape), torch.ones(2, dtype=torch.bool)
    kept = torch.sigmoid(torch.tensor(3.0))
    assert torch.allclose(denoiser(codes, torch.ones(2), TOKENS, yes), kept * codes, atol=2e-6)
    assert torch.equal(denoiser(codes, torch.zeros(2), TOKENS, yes), torch.zeros_like(codes))


def test_noise_in_what_stays_is_known_before_anything_is_learned() -> None:
    """Clips whose codes stay as they are: half noise, and yet the guess hardly moves."""
    fresh = model()
    codes = torch.randn(64, 1, fresh.noise_shape[1]).expand(64, *fresh.noise_shape)
    fresh.denoiser.measure(codes)
    noisy = 0.5 * codes[:2] + 0.5 * torch.randn(2, *fresh.noise_shape)
    guess = fresh.denoiser(noisy, torch.full((2,), 0.5), TOKENS, torch.ones(2, dtype=torch.bool))
    assert noisy.std(1).mean() > 0.3
    looks = guess[..., 4:]  # all but what moves
    assert looks.std(1).mean() < 0.02
    assert (looks - codes[:2, :, 4:]).square().mean() < 0.3


def test_deviations_are_found_in_the_first_turns_and_stay() -> None:
    fresh = model()
    for k in range(150):
        fresh.denoiser.measure((2.0 if k < 100 else 9.0) * torch.randn(64, *fresh.noise_shape))
    assert fresh.denoiser.spread[0, :4].tolist() == [4, 4, 1, 2]  # what moves is left alone
    assert torch.allclose(fresh.denoiser.spread[:, 4:], torch.tensor(2.0), rtol=0.05)


@pytest.mark.parametrize("frames", [3, 10])
def test_the_cosine_transform_is_orthogonal_and_starts_with_the_mean(frames: int) -> None:
    waves = cosines(frames)
    assert torch.allclose(waves @ waves.T, torch.eye(frames), atol=1e-6)
    assert torch.allclose(waves[0], torch.full((frames,), frames**-0.5))


@pytest.mark.parametrize("width", [4, 100, 200])
def test_any_width_will_do(width: int) -> None:
    fresh = model(width=width)
    noise = noise_for(0, range(2), fresh.noise_shape)
    assert fresh.generate(TOKENS, noise, steps=2).shape == (2, 4, 3, 16, 16)


def exact(fresh: Model, mean: torch.Tensor) -> Model:
    """A model whose denoiser knows that every clip of either caption is N(mean, 1)."""

    def denoiser(x: Any, t: Any, tokens: Any, prompted: Any) -> torch.Tensor:
        t = t[:, None, None]
        own = mean * prompted[:, None, None]
        return own + t * (x - t * own) / (t.square() + (1 - t).square())

    fresh.denoiser.forward = denoiser  # type: ignore[method-assign]  # of this one alone
    return fresh


def test_the_sampler_follows_the_flow_to_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """From N(0, 1) to N(mean, 1) the flow is known: noise ε ends at mean + ε."""
    fresh = model()
    mean = torch.randn(1, *fresh.noise_shape, generator=torch.Generator().manual_seed(1))
    exact(fresh, mean)
    monkeypatch.setattr(fresh.autoencoder, "clips", lambda codes: codes)
    noise = noise_for(0, range(2), fresh.noise_shape)

    def ends(steps: int, scale: float = 1.0) -> torch.Tensor:
        return fresh.generate(TOKENS, noise, steps=steps, guidance_scale=scale)

    errors = [float((ends(n) - noise - mean).abs().max()) for n in (5, 10, 40)]
    assert errors[2] < 0.01
    assert errors[0] > errors[1] > errors[2]
    assert torch.allclose(ends(40, 3.0), noise + 3 * mean, atol=0.05), "guidance goes on as far"


def test_a_clip_whose_objects_come_too_close_is_made_of_another_noise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And nobody who watches is told of it, nor does the clip beside it change."""
    fresh = exact(model(objects=2), torch.zeros(()))
    monkeypatch.setattr(fresh.autoencoder, "clips", lambda codes: codes)
    noise = noise_for(0, range(2), fresh.noise_shape)
    told: list[float] = []

    def made() -> torch.Tensor:
        told.clear()
        return fresh.generate(TOKENS, noise, steps=4, watch=lambda done, clips: told.append(done))

    plain, other = made(), fresh.generate(TOKENS, noise.roll(2, -1), steps=4)
    answers = iter([[True, False], [True, False], [False, False]])
    monkeypatch.setattr(fresh.denoiser, "too_close", lambda codes: torch.tensor(next(answers)))
    again = made()
    assert torch.equal(again[1], plain[1])
    assert torch.allclose(again[0], other[0])
    assert told == [0.0, 0.25, 0.5, 0.75, 1.0]
    monkeypatch.setattr(
        fresh.denoiser, "too_close", lambda codes: torch.ones(len(codes), dtype=torch.bool)
    )
    assert torch.isfinite(made()).all(), "at some time it has to do"


def test_how_close_objects_may_come_is_found_in_the_first_turns() -> None:
    fresh = model(objects=2)
    layout = fresh.autoencoder.layout
    assert isinstance(layout, Codes)
    far = torch.linspace(1, 2, 101)  # in sums of sizes, from one clip to the next
    place = torch.stack([-far, torch.zeros(101), far, torch.zeros(101)], -1).view(101, 1, 2, 2) / 5
    size, angle = torch.full((101, 1, 2), 0.2), torch.zeros(101, 1, 2)
    turn, looks = torch.zeros(101, 1, 2, 8), torch.zeros(101, 1, 2, 4)
    codes = layout.join(place, size, angle, turn, looks).repeat(1, 4, 1)
    codes[:, :2, 0] -= 9  # only the nearest frames count
    fresh.denoiser.measure(codes)
    assert torch.allclose(layout.apart(codes), far)
    assert fresh.denoiser.close == pytest.approx(1.05)
    assert fresh.denoiser.too_close(codes).sum() == 5
    one = model()
    assert not one.denoiser.too_close(torch.zeros(3, *one.noise_shape)).any()


def test_without_its_caption_all_captions_are_one() -> None:
    fresh = model()
    denoiser = fresh.denoiser
    for parameter in denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    codes = torch.randn(1, *fresh.noise_shape).repeat(2, 1, 1)
    times, yes = torch.full((2,), 0.5), torch.ones(2, dtype=torch.bool)
    with_text, without = (denoiser(codes, times, TOKENS, said) for said in (yes, ~yes))
    assert not torch.allclose(with_text[0], with_text[1])
    assert torch.equal(without[0], without[1])


def test_the_loss_is_the_error_of_the_velocity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a denoiser that answers 0 the error is the clip itself, at every time."""
    fresh = model(unprompted=0.0)
    batch = TensorBatch(torch.rand(6, 4, 3, 16, 16) * 2 - 1, TOKENS.repeat(3, 1), 0.0)
    codes = fresh.autoencoder.codes(batch)
    monkeypatch.setattr(fresh.denoiser, "hearing", lambda x, *_: torch.zeros_like(x))
    losses = fresh.denoiser_losses(batch)
    assert torch.isclose(losses["error"], codes.square().mean())
    assert losses["total"] > losses["error"]


def test_two_objects_are_learned_in_the_order_that_is_matched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the matching learns in the same turn, while nothing of captions does from it."""
    fresh = model(objects=2, unprompted=0.0)
    assert fresh.matching is not None
    batch = TensorBatch(torch.rand(6, 4, 3, 16, 16) * 2 - 1, TOKENS.repeat(3, 1), 0.0)
    matched = torch.zeros(6, *fresh.noise_shape)
    fresh.matching.register_forward_hook(lambda module, given, found: (matched, found[1]))
    monkeypatch.setattr(fresh.denoiser, "hearing", lambda x, *_: torch.zeros_like(x))
    losses = fresh.denoiser_losses(batch)
    assert losses["error"] == 0
    losses["total"].backward()
    assert fresh.matching.guess.weight.grad is not None
    assert all(p.grad is None for p in fresh.denoiser.text.parameters())


def test_features_of_the_time_are_finite_at_both_ends_and_differ() -> None:
    features = time_features(torch.tensor([0.0, 0.3, 0.5, 1.0]))
    assert features.shape == (4, 64)
    assert torch.isfinite(features).all()
    assert len(torch.unique(features, dim=0)) == 4


def test_where_a_thing_goes_is_not_told_from_what_it_looks_like() -> None:
    torch.manual_seed(0)
    denoiser = model(objects=2).denoiser.eval()
    for parameter in denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    codes = torch.randn(1, SHAPE.num_frames, denoiser.spread.shape[1])
    told = (torch.tensor([0.5]), torch.tensor([[1, 2, 3]]), torch.tensor([True]))
    ways = [0, 1, 2, 3, 6, 7]  # x and y of both, and their angles; 4 and 5 are sizes
    before = denoiser(codes, *told)
    other = codes.clone()
    other[..., 8:] += 1
    looked = denoiser(other, *told)
    assert torch.allclose(looked[..., ways], before[..., ways], atol=1e-4)
    assert not torch.allclose(looked[..., 4], before[..., 4], atol=1e-2), "sizes see looks"
    other = codes.clone()
    other[..., 0] += 1
    moved = denoiser(other, *told)
    assert not torch.allclose(moved[..., 9], before[..., 9], atol=1e-2), "looks see places"


def test_a_distilled_one_makes_in_one_step_what_it_made_in_many() -> None:
    fresh = model(width=64, depth=1)
    for parameter in fresh.denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    batch = TensorBatch(torch.zeros(0), TOKENS.repeat(32, 1), 0.0)
    noise = torch.randn(64, *fresh.noise_shape)
    prompted = torch.ones(64, dtype=torch.bool)

    def made(steps: int) -> Tensor:
        def clean(x: Tensor, times: Tensor) -> Tensor:
            found: Tensor = fresh.denoiser(x, times, batch.tokens, prompted)
            return found

        with torch.no_grad():
            return fresh.autoencoder.layout.settle(followed(clean, noise, steps))

    many = made(8)
    before = (made(1) - many).square().mean()
    phase = fresh.distilled(8, 0.5)[0]
    optimizer = torch.optim.Adam(phase.parameters, lr=2e-3)
    for _ in range(80):
        loss = phase.losses(replace(batch, shared={}))["total"]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        optimizer.step()
    assert (made(1) - many).square().mean() < 0.3 * before
