"""Codes of regions: each square of a picture by itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kineograph.core.errors import RequestError
from kineograph.models.autoencoder import AutoencoderConfig, FrameAutoencoder
from kineograph.models.base import TensorBatch, VideoShape
from kineograph.models.flow import Config, Model

SHAPE = VideoShape(4, 32, 48)
SETTINGS: dict[str, Any] = {"objects": 0, "appearance": 6, "detail": 16, "drawing_width": 8}


def fresh(shape: VideoShape = SHAPE) -> FrameAutoencoder:
    torch.manual_seed(0)
    return FrameAutoencoder("flow", shape, AutoencoderConfig(**SETTINGS))


def test_a_region_is_told_by_its_own_numbers_alone() -> None:
    model = fresh()
    frames = torch.rand(2, 3, 32, 48) * 2 - 1
    other = frames.clone()
    other[:, :, 16:, 32:] += 1  # the last of two rows by three columns
    with torch.no_grad():
        codes, changed = model.encoder(frames), model.encoder(other)
        assert codes.shape == (2, 36)
        assert torch.equal(codes[:, :30], changed[:, :30])
        assert not torch.equal(codes[:, 30:], changed[:, 30:])
        drawn, redrawn = model.decoder(codes), model.decoder(changed)
    assert drawn.shape == frames.shape
    differs = (drawn != redrawn).any(1)
    assert differs[:, 16:, 32:].float().mean() > 0.9
    differs[:, 16:, 32:] = False
    assert not differs.any()


def test_it_learns_to_draw_what_it_sees() -> None:
    """Stripes of a few widths and colours, as no two regions have them."""
    model = fresh()
    across = torch.arange(48)
    stripes = torch.stack([torch.sin(across / k) * c for k in (2, 3, 5) for c in (-1, 0.5, 1)])
    frames = stripes[:, None, None, None].expand(9, 1, 3, 32, 48)
    batch = TensorBatch(frames, torch.ones(9, 1, dtype=torch.int64), 0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(200):
        loss = model.losses(batch)["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    with torch.no_grad():
        drawn = model.clips(model.codes(batch))
    assert (drawn - frames).square().mean() < 0.1 * frames.var()


def test_the_flow_makes_clips_of_them() -> None:
    torch.manual_seed(0)
    model = Model(Config(**SETTINGS, width=16, depth=1, text_features=8), SHAPE, 5)
    tokens = torch.tensor([[1, 2], [3, 0]])
    clips = model.generate(tokens, torch.randn(2, *model.noise_shape), steps=2)
    assert clips.shape == (2, 4, 3, 32, 48)
    batch = TensorBatch(clips, tokens, 0.5)
    losses = model.denoiser_losses(batch)
    losses["total"].backward()
    assert losses["total"].isfinite()


def test_a_picture_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(RequestError, match="multiples of 16"):
        fresh(VideoShape(4, 32, 40))
