"""What chance and what the others have: for a clip the same, however many share the step's batch.

The clips of a step may be split among processes, or learned from in parts for want of memory. A
model is then given some rows of them (B, ...). What it draws here it draws for all and takes its
own rows of, and what it counts here it counts over all. So the parts together learn what one
process would that has all of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Part:
    """Rows ``index`` of ``of`` parts, all as many, of what a step has."""

    index: int = 0
    of: int = 1


_here = Part()


@contextlib.contextmanager
def part(index: int, of: int) -> Iterator[None]:
    """Within, all rows are those of this part."""
    global _here
    before, _here = _here, Part(index, of)
    try:
        yield
    finally:
        _here = before


def randn(rows: int, *shape: int, device: torch.device | None = None) -> Tensor:
    """Standard normal (rows, *shape)."""
    return _mine(torch.randn(rows * _here.of, *shape, device=device))


def rand(rows: int, *shape: int, device: torch.device | None = None) -> Tensor:
    """Uniform in [0, 1), (rows, *shape)."""
    return _mine(torch.rand(rows * _here.of, *shape, device=device))


def some(rows: int, most: int, device: torch.device | None = None) -> Tensor:
    """Which of ``rows`` to take, in their order, so that it is ``most`` over all parts, or all.

    One of each neighbourhood: so every part has as many of them.
    """
    count = -(-most // _here.of)
    if count >= rows:
        return torch.arange(rows, device=device)
    edges = torch.arange(count + 1, device=device) * rows // count
    wide = edges.diff()
    return edges[:-1] + (rand(count, device=device) * wide).long().clamp(max=wide - 1)


def shuffled(rows: Tensor) -> Tensor:
    """Rows (B, ...) => as many of all, in an order that is drawn."""
    every = all_rows(rows)
    order = torch.randperm(len(every), device=rows.device)
    mine = _mine(order) if len(every) == len(rows) * _here.of else order[: len(rows)]
    return every[mine]


def all_rows(rows: Tensor) -> Tensor:
    """Rows (B, ...) => those of all processes (B · processes, ...), without a gradient."""
    if not _many():
        return rows
    every = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(every, rows.contiguous())
    return torch.cat(every)


def mean_of_all(mean: Tensor) -> Tensor:
    """A mean over the rows here => that over all processes, without a gradient."""
    if _many():
        dist.all_reduce(mean := mean / dist.get_world_size())
    return mean


def _mine(drawn: Tensor) -> Tensor:
    return drawn.chunk(_here.of)[_here.index]


def _many() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
