from __future__ import annotations

import torch

from kineograph.models.layers import pyramid_loss


def test_the_pyramid_tells_near_from_far() -> None:
    """Plain mean squares do not: one point in the wrong place is two wrong points wherever."""

    def off_by(distance: int) -> torch.Tensor:
        difference = torch.zeros(1, 1, 64, 64)
        difference[0, 0, 32, 8], difference[0, 0, 32, 8 + distance] = 1.0, -1.0
        return difference

    near, far = off_by(2), off_by(40)
    assert near.square().mean() == far.square().mean()
    assert pyramid_loss(near, halvings=5) < 0.5 * pyramid_loss(far, halvings=5)
    assert pyramid_loss(near, halvings=0) == pyramid_loss(far, halvings=0)
