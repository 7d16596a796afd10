"""Parts of a step draw what the whole would."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kineograph.models import draws


def in_parts(draw: Callable[[int], Tensor], rows: int, of: int) -> Tensor:
    drawn = []
    for index in range(of):
        torch.manual_seed(3)
        with draws.part(index, of):
            drawn.append(draw(rows // of))
    return torch.cat(drawn)


@pytest.mark.parametrize("of", [1, 2, 4])
@pytest.mark.parametrize("draw", [draws.randn, draws.rand])
def test_each_part_draws_its_own_rows_of_the_whole(draw: Callable[..., Tensor], of: int) -> None:
    torch.manual_seed(3)
    whole = draw(8, 5)
    assert torch.equal(in_parts(lambda rows: draw(rows, 5), 8, of), whole)


@pytest.mark.parametrize("of", [2, 4])
@pytest.mark.parametrize("most", [4, 16, 100])
def test_the_parts_take_the_rows_that_the_whole_would(most: int, of: int) -> None:
    torch.manual_seed(3)
    whole = draws.some(32, most)
    taken = []
    for index in range(of):
        torch.manual_seed(3)
        with draws.part(index, of):
            taken.append(draws.some(32 // of, most) + index * 32 // of)
    assert torch.equal(torch.cat(taken), whole)
    assert len(whole) == min(most, 32)


@pytest.mark.parametrize(("rows", "most"), [(300, 256), (10, 3), (7, 7)])
def test_all_rows_are_taken_in_the_long_run_and_none_twice_at_once(rows: int, most: int) -> None:
    seen = torch.zeros(rows)
    for _ in range(200):
        some = draws.some(rows, most)
        assert len(some.unique()) == len(some) == most
        seen[some] += 1
    assert seen.min() > 0


def test_alone_all_rows_are_its_own() -> None:
    rows = torch.arange(6).view(6, 1)
    assert torch.equal(draws.all_rows(rows), rows)
    assert sorted(draws.shuffled(rows).flatten().tolist()) == [*range(6)]
    assert torch.equal(draws.mean_of_all(rows.float()), rows.float())
