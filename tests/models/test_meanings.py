"""What clips mean: read from captions, and drawn from there."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from kineograph.core.errors import RequestError
from kineograph.models import gan
from kineograph.models.base import Phase, TensorBatch, VideoShape
from kineograph.models.flow import Config, Model
from kineograph.models.meanings import MeaningAutoencoder

SHAPE = VideoShape(4, 16, 16)
SETTINGS: dict[str, Any] = {
    "objects": 0,
    "appearance": 12,
    "drawing_width": 64,
    "width": 64,
    "depth": 1,
    "text_features": 64,
}
COLORS = torch.tensor([[-1.0, -1, 1], [-1, 1, -1], [1, -1, -1], [1, 1, -1]])
TOP, BOTTOM = 5, 6  # the words for where a colour is; colours are 1 to 4
WORN = list(itertools.product(range(4), range(4)))


def clips(pairs: list[tuple[int, int]]) -> Tensor:
    """Above one colour, below another: (B, T, 3, H, W)."""
    which = torch.tensor(pairs)
    frames = COLORS[which][:, None, :, :, None, None].expand(-1, 4, 2, 3, 8, 16)
    return frames.permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 3, 16, 16)


def said(pairs: list[tuple[int, int]], mention: float = 1.0) -> Tensor:
    """Captions such as "red top green bottom" as tokens (B, 4); one half may be left out."""
    tokens = []
    for a, b in pairs:
        halves = [[a + 1, TOP], [b + 1, BOTTOM]]
        first, alone = torch.rand(2).tolist()
        kept = halves if alone < mention else [halves[first < 0.5]]
        tokens.append([word for half in kept for word in half] + (2 - len(kept)) * [0, 0])
    return torch.tensor(tokens)


def fresh() -> Model:
    torch.manual_seed(0)
    return Model(Config(**SETTINGS), SHAPE, 7)


def learn(phase: Phase, turns: int, rate: float = 3e-3) -> None:
    optimizer = torch.optim.Adam(phase.parameters, lr=rate)
    for turn in range(turns):
        optimizer.param_groups[0]["lr"] = rate * min(1, 2 - 2 * turn / turns)
        pairs = [WORN[k] for k in torch.randint(len(WORN), (64,)).tolist()]
        batch = TensorBatch(clips(pairs), said(pairs, 0.6), turn / turns)
        loss = phase.losses(batch)["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.fixture(scope="module")
def trained() -> Model:
    model = fresh()
    for name, turns in (("reader", 200), ("drawer", 200), ("denoiser", 800)):
        learn(next(phase for phase in model.phases if phase.name == name), turns)
    return model.eval()


def test_a_clip_is_what_its_caption_says(trained: Model) -> None:
    with torch.no_grad():
        made = trained.generate(said(4 * WORN), torch.randn(4 * len(WORN), *trained.noise_shape))
    off = (made - clips(4 * WORN)).abs().amax((1, 2, 3, 4))
    assert (off < 0.25).float().mean() > 0.9


def test_what_a_caption_leaves_open_is_chosen_and_not_averaged(trained: Model) -> None:
    with torch.no_grad():
        tokens = torch.tensor([[2, TOP, 0, 0]]).expand(128, -1)
        made = trained.generate(tokens, torch.randn(128, *trained.noise_shape))
    below = made[:, :, :, 8:].mean((1, 3, 4))
    apart = torch.cdist(below, COLORS)
    assert (apart.min(1).values < 0.6).float().mean() > 0.6  # their mean is 1.5 or more from each
    counts = torch.bincount(apart.argmin(1), minlength=4)
    assert (counts >= 8).all(), counts
    above = (made[:, :, :, :8] - COLORS[1][:, None, None]).abs().amax((1, 2, 3, 4))
    assert (above < 0.25).float().mean() > 0.9


def test_the_meaning_says_what_captions_leave_out(trained: Model) -> None:
    """All clips of a pair mean the same, whatever was said of them."""
    assert isinstance(trained.autoencoder, MeaningAutoencoder)
    batch = [TensorBatch(clips(WORN), said(WORN, mention), 1.0) for mention in (0.0, 1.0)]
    some, all_of_it = (trained.autoencoder.codes(each) for each in batch)
    assert torch.equal(some, all_of_it)
    assert some.shape == (len(WORN), 1, 12)
    spread = some.std(0)[0]  # three colours of four, in two places, and which stand together
    assert (spread[:6] > 0.7).all()
    assert (spread[8:] < 0.6).all()


def test_phases_follow_each_other() -> None:
    model = fresh()
    stretches = {phase.name: (phase.start, phase.stop) for phase in model.phases}
    assert list(stretches) == ["reader", "drawer", "denoiser"]
    reader, drawer, denoiser = stretches.values()
    assert reader[0] == 0 < reader[1] == drawer[0] < drawer[1] == denoiser[0] < denoiser[1] == 1


def test_a_model_that_is_saved_and_read_again_means_the_same(trained: Model) -> None:
    again = fresh()
    again.load_state_dict(trained.state_dict())
    again.eval()
    batch = [TensorBatch(clips(WORN), said(WORN), 1.0) for _ in range(2)]
    assert torch.equal(trained.autoencoder.codes(batch[0]), again.autoencoder.codes(batch[1]))


def test_what_it_cannot_make_is_refused() -> None:
    with pytest.raises(RequestError, match="multiples of 8"):
        Model(Config(**SETTINGS), VideoShape(4, 16, 20), 7)
    with pytest.raises(RequestError, match=r"model\.objects is 0"):
        gan.Model(gan.Config(**SETTINGS), SHAPE, 7)
