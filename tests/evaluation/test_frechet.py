from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kineograph.core.errors import RequestError
from kineograph.data.sources.tutorial import Config, Source
from kineograph.evaluation.frechet import FrechetOptions, distance, frechet

ANYWAY = FrechetOptions(anyway=True)
RNG = np.random.default_rng(0)


def test_it_is_the_closed_form_for_gaussians() -> None:
    a, b = RNG.normal(0, 1, (200_000, 2)), RNG.normal([3, 0], [2, 1], (200_000, 2))
    assert distance(a, b) == pytest.approx(9 + (2 - 1) ** 2, rel=0.02)
    assert distance(a, a) == pytest.approx(0, abs=1e-9)


def test_it_grows_as_clips_get_worse() -> None:
    source = Source(Config())
    real = source.batch(np.arange(300), 0).frames
    again = source.batch(np.arange(300), 1).frames
    frozen = np.repeat(again[:, :1], 10, axis=1)
    noise = RNG.integers(0, 256, again.shape).astype(np.uint8)
    near, far, farthest = (
        frechet(real, clips, ANYWAY).distance for clips in (again, frozen, noise)
    )
    assert near < far < farthest


def test_few_clips_are_refused_and_the_name_tells_the_protocol() -> None:
    clips = Source(Config()).batch(np.arange(40), 0).frames
    with pytest.raises(RequestError, match=r"2,048.*--anyway"):
        frechet(clips, clips, FrechetOptions())
    found = frechet(clips, clips, ANYWAY)
    assert found.distance == pytest.approx(0, abs=1e-6)
    for part in ("8×8", "40 and 40", "10×64×64"):
        assert part in found.name
    assert "FVD" not in found.name


class FakeI3D(torch.nn.Module):
    """Takes what the real one takes."""

    def forward(
        self, x: torch.Tensor, rescale: bool, resize: bool, return_features: bool
    ) -> torch.Tensor:
        return x.mean(dim=(2, 3, 4)) + x.std(dim=(2, 3, 4))


def test_only_i3d_is_called_fvd(tmp_path: Path) -> None:
    clips = Source(Config(num_frames=4)).batch(np.arange(8), 0).frames
    torch.jit.script(FakeI3D()).save(tmp_path / "i3d.pt")
    found = frechet(clips, clips, FrechetOptions(tmp_path / "i3d.pt", anyway=True))
    assert found.name.startswith("FVD")
    (tmp_path / "none.pt").write_bytes(b"not a network")
    for bad in ("none.pt", "missing.pt"):
        with pytest.raises(RequestError):
            frechet(clips, clips, FrechetOptions(tmp_path / bad, anyway=True))
