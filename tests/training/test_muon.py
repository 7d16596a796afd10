from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from kineograph.models.base import Phase
from kineograph.training.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(8, 8), (8, 24), (24, 8)])
def test_what_is_orthogonal_keeps_its_directions_and_has_them_all_as_long(
    shape: tuple[int, int],
) -> None:
    given = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    made = orthogonal(1e-3 * given)
    for one, other in zip(given, made, strict=True):
        left, lengths, right = torch.linalg.svd(one, full_matrices=False)
        seen = left.T @ other @ right.T
        assert lengths.max() > 2 * lengths.min()
        assert torch.allclose(seen, torch.diag(seen.diag()), atol=1e-3)
        assert seen.diag().min() > 0.6
        assert seen.diag().max() < 1.3


def network() -> tuple[nn.Linear, Phase]:
    torch.manual_seed(0)
    layer = nn.Linear(16, 32)
    return layer, Phase("all", [*layer.parameters()], lambda batch: {}, matrices=[layer.weight])


def learned(layer: nn.Linear, *optimizers: torch.optim.Optimizer) -> Tensor:
    """Its matrix after three turns."""
    for turn in range(3):
        layer.zero_grad()
        seen = torch.randn(8, 16, generator=torch.Generator().manual_seed(turn))
        layer(seen).exp().sum().backward()
        for each in optimizers:
            each.step()
    return layer.weight.detach().clone()


def test_matrices_go_as_by_pytorchs_own_muon() -> None:
    layer, phase = network()
    start, optimizer = layer.weight.detach().clone(), Muon(phase, "bf16")
    for group in optimizer.param_groups:
        group["lr"] = 0.01
    own = learned(layer, optimizer)
    other, _ = network()
    pytorchs = learned(
        other,
        torch.optim.Muon([other.weight], lr=0.02, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW([other.bias], lr=0.01, betas=phase.betas, weight_decay=0.0),
    )
    assert (own - pytorchs).norm() < 0.02 * (own - start).norm()
    assert torch.allclose(layer.bias, other.bias, atol=1e-4)
    assert set(optimizer.state[layer.weight]) == {"exp_avg"}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_turn_that_is_not_finite_leaves_all_as_it_was(bad: float) -> None:
    layer, phase = network()
    optimizer = Muon(phase, "fp32")
    learned(layer, optimizer)
    held = [*layer.parameters(), optimizer.state[layer.weight]["exp_avg"]]
    before = [each.clone() for each in held]
    for parameter in layer.parameters():
        parameter.grad = torch.full_like(parameter, bad)
    optimizer.found_inf = torch.ones(())
    optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(before, held, strict=True))
