from __future__ import annotations

import torch

from kineograph.models.base import TensorBatch, VideoShape
from kineograph.models.layers import (
    FrameAutoencoder,
    coordinate_features,
    normalised,
    pyramid_loss,
)


def test_the_decoder_starts_from_the_mean_colour_of_the_data() -> None:
    fresh = FrameAutoencoder("gan", VideoShape(4, 16, 16), 8, 4)
    white = TensorBatch(torch.ones(2, 4, 3, 16, 16), torch.ones(2, 1, dtype=torch.int64), 0.0)
    fresh.prepare(white)
    assert fresh.decoder(torch.zeros(1, 4)).mean() > 0.85


def test_codes_live_on_a_sphere() -> None:
    codes = normalised(torch.randn(5, 16) * 9 + 3)
    assert torch.allclose(codes.square().sum(-1), torch.full((5,), 16.0), atol=1e-2)


def test_the_pyramid_tells_near_from_far() -> None:
    """Plain mean squares do not: one point in the wrong place is two wrong points wherever."""

    def off_by(distance: int) -> torch.Tensor:
        difference = torch.zeros(1, 1, 64, 64)
        difference[0, 0, 32, 8], difference[0, 0, 32, 8 + distance] = 1.0, -1.0
        return difference

    near, far = off_by(2), off_by(40)
    assert near.square().mean() == far.square().mean()
    assert pyramid_loss(near) < 0.5 * pyramid_loss(far)


def test_every_cell_of_the_grid_has_features_of_its_own() -> None:
    where = coordinate_features(8, 8, 2)
    assert where.shape == (64, 10)
    assert len(torch.unique(where, dim=0)) == 64
