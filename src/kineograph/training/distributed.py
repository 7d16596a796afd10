"""One training in many processes, which `torchrun` starts; each has some rows of every step.

All have the whole model. After each turn they average their gradients, so that they go on with the
same weights. PyTorch's own wrapper (DDP) does that while a backward pass is still under way, but it
wants one network that is called once; here several learn in turns, are called more than once for a
loss, and stand still for that of another. A few megabytes a turn need no such overlap.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from kineograph.core import sharing
from kineograph.core.errors import MachineError, RequestError

P = ParamSpec("P")
T = TypeVar("T")
_PATIENCE = 86_400.0  # seconds for others that have more to do; torchrun ends all if one dies


@dataclass(frozen=True)
class World:
    """The processes that train together; by default one, alone."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes, judges and speaks."""
        return self.rank == 0

    def rows(self, count: int) -> slice:
        """Which of ``count`` rows are its own: as many for all of them."""
        own = count // self.size
        return slice(self.rank * own, (self.rank + 1) * own)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Make tensors of one type the mean over all processes, in place and all at once."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        parts = torch.split(flat / self.size, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def largest(self, *values: float) -> list[float]:
        """Of each of some numbers the largest that any process has."""
        if self.size == 1:
            return list(values)
        told = torch.tensor(values, dtype=torch.float64, device=_device())
        dist.all_reduce(told, op=dist.ReduceOp.MAX)
        return told.tolist()

    def of_first(self, value: T) -> T:
        """What the first process has."""
        if self.size == 1:
            return value
        told = [value]
        dist.broadcast_object_list(told, src=0, device=_device())
        return told[0]

    def take_first(self, tensors: Sequence[Tensor]) -> None:
        """Make tensors those of the first process, in place."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def each(self, function: Callable[[Any], T], things: Sequence[Any]) -> list[T]:
        """What ``function`` makes of each thing, in their order; each process does some of them."""
        return self.in_order([function(thing) for thing in things[self.rank :: self.size]])

    def in_order(self, mine: Sequence[T]) -> list[T]:
        """Every ``size``-th of some things, from ``rank`` on => all of them, in their order."""
        every = self.gathered(mine)
        count = sum(len(each) for each in every)
        return [every[i % self.size][i // self.size] for i in range(count)]

    def gathered(self, value: T) -> list[T]:
        """What every process has, in their order."""
        every: list[Any] = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(every, value)
        return every


@contextlib.contextmanager
def joined(device: torch.device, timeout: float) -> Iterator[World]:
    """Join the processes that torchrun started; => where this one stands. Without torchrun: alone.

    One that waits for the others longer than ``timeout`` seconds gives up, and with it the job.
    """
    if not sharing.together():
        yield World()
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
    patience = timedelta(seconds=timeout)
    try:
        store, rank, size = next(rendezvous("env://", timeout=patience))
        if os.environ.get("LOCAL_WORLD_SIZE") == str(size):
            # On one machine torchrun keeps its store, with the addresses of processes that died.
            store = PrefixStore(f"attempt {restarts()}", store)
        dist.init_process_group(backend, timeout=patience, store=store, rank=rank, world_size=size)
        yield World(rank, size)
    except RuntimeError as error:
        if not _was_left_alone(error):
            raise
        raise MachineError(
            f"Process {os.environ['RANK']}: another one has ended, or did not answer for "
            f"{timeout:g} s.",
            "See what that one says. `torchrun --max-restarts 3` goes on from the last checkpoint.",
        ) from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def shared_out(do: Callable[P, T]) -> Callable[P, T]:
    """The same function, but the processes that torchrun started share the work that it does by
    `sharing.each`; all have what it gives."""

    @functools.wraps(do)
    def done(*args: P.args, **settings: P.kwargs) -> T:
        with joined(torch.device("cpu"), _PATIENCE) as world, sharing.shared(world.each):
            return do(*args, **settings)

    return done


def _was_left_alone(error: RuntimeError) -> bool:
    """Whether PyTorch says that another process does not answer."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def restarts() -> int:
    """How often torchrun has started this again, since a process died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def check_batch(batch_size: int, world: World) -> None:
    """Raise RequestError where the clips of a step cannot be shared out."""
    if batch_size % world.size:
        raise RequestError(
            f"training.batch_size is {batch_size}, which {world.size} processes cannot share.",
            f"Choose a multiple of {world.size}.",
        )


def _device() -> torch.device:
    """Where what is exchanged has to be."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
