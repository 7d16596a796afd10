from __future__ import annotations

import torch

from kineograph.models.base import VideoShape
from kineograph.models.tutorial_gan import Config, Model


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_it_is_the_printed_model_to_the_last_parameter() -> None:
    model = Model(Config(), VideoShape(10, 64, 64), vocabulary_size=30)
    linear = (100 + 10) * 16_384 + 16_384
    assert parameters(model.generator) == linear + 524_416 + 131_136 + 3_075 == 2_477_251
    assert parameters(model.discriminator) == 3_136 + 131_200 + 524_544 + 16_385 == 675_265
    assert parameters(model.embedding) == 30 * 10


def test_nobody_trains_its_embedding() -> None:
    model = Model(Config(), VideoShape(10, 64, 64), vocabulary_size=30)
    trained = {id(p) for phase in model.phases for p in phase.parameters}
    assert not trained & {id(p) for p in model.embedding.parameters()}


def test_its_discriminator_takes_no_text_and_its_frames_have_noise_of_their_own() -> None:
    model = Model(Config(), VideoShape(10, 64, 64), vocabulary_size=30)
    assert model.discriminator(torch.zeros(2, 3, 64, 64)).shape == (2,)
    assert model.noise_shape == (10, 100)


def test_it_trains_as_printed() -> None:
    model = Model(Config(), VideoShape(10, 64, 64), vocabulary_size=30)
    assert [phase.name for phase in model.phases] == ["discriminator", "generator"]
    assert {phase.betas for phase in model.phases} == {(0.5, 0.999)}
