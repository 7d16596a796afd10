"""What varies in squares of clips: numbers that are found, not learned."""

from __future__ import annotations

import torch
from torch import Tensor

from kineograph.models.base import VideoShape
from kineograph.models.regions import Regions

SHAPE = VideoShape(4, 16, 24)


def stripes(count: int) -> Tensor:
    """Clips that differ in three ways, two of them in the first square alone."""
    torch.manual_seed(0)
    across, first = torch.arange(24.0), torch.zeros(16, 24)
    first[:8, :8] = 1
    ways = torch.stack([torch.sin(across).expand(16, 24), first, first * torch.cos(across)])
    amounts = torch.randn(count, 4, 3, 3)  # clips, frames, colours, ways
    amounts[:, 1:] = amounts[:, :1]
    return torch.einsum("ntck,kyx->ntcyx", amounts, ways)


def found() -> Regions:
    regions = Regions(SHAPE)
    regions.find(stripes(200))
    return regions


def test_what_varies_comes_back() -> None:
    regions, clips = found(), stripes(50)
    numbers = regions.read(clips)
    assert numbers.shape == (50, regions.numbers)
    assert (regions.draw(numbers) - clips).abs().max() < 1e-3
    told = numbers.abs().amax(0) > 0.01
    assert told.sum() == 3 * (3 + 5)  # colours, times ways, in one square and in five


def test_a_square_is_told_by_its_own_numbers_alone() -> None:
    regions, clips = found(), stripes(2)
    other = clips.clone()
    other[..., 8:, 16:] *= 0.5  # the last of two rows by three columns
    numbers, changed = regions.read(clips), regions.read(other)
    own = regions.region == 5
    assert torch.equal(numbers[:, ~own], changed[:, ~own])
    assert not torch.allclose(numbers[:, own], changed[:, own], atol=0.01)
    differs = (regions.draw(numbers) - regions.draw(changed)).abs() > 1e-4
    assert differs[..., 8:, 16:].any()
    differs[..., 8:, 16:] = False
    assert not differs.any()


def test_half_precision_around_it_changes_nothing_in_what_is_found() -> None:
    clips, regions, half = stripes(200), Regions(SHAPE), Regions(SHAPE)
    regions.find(clips)
    with torch.autocast("cpu", torch.bfloat16):
        half.find(clips)
    assert torch.allclose(regions.deviation, half.deviation, atol=1e-3)


def test_numbers_alike_are_as_loud_as_each_other() -> None:
    regions = found()
    alike = regions.alike(regions.read(stripes(500)))
    told = regions.deviation > 0.01
    assert torch.allclose(alike[:, told].std(0), torch.ones(int(told.sum())), atol=0.2)
    assert alike[:, ~told].abs().max() < 0.1


def test_clips_that_are_all_the_same_have_nothing_to_tell() -> None:
    regions = Regions(SHAPE)
    clips = torch.full((9, 4, 3, 16, 24), 0.5)
    regions.find(clips)
    numbers = regions.read(clips)
    assert torch.equal(numbers, torch.zeros_like(numbers))
    assert torch.equal(regions.alike(numbers), numbers)
    assert torch.equal(regions.draw(numbers), clips)
