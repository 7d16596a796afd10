"""Work on many things that the processes of torchrun share: each does some, all have the results.

Who does such work calls ``each``, and need not know whether there is anybody to share it with.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from kineograph.core.errors import RequestError

T = TypeVar("T")
R = TypeVar("R")
Way = Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]


def _alone(function: Callable[[T], R], things: Sequence[T]) -> list[R]:
    return [function(thing) for thing in things]


_way: Way = _alone


def each(function: Callable[[T], R], things: Sequence[T]) -> list[R]:
    """What ``function`` makes of each thing, in their order."""
    return _way(function, things)


@contextlib.contextmanager
def shared(way: Way) -> Iterator[None]:
    """Within, ``each`` goes that way; all processes have to come to it alike."""
    global _way
    before, _way = _way, way
    try:
        yield
    finally:
        _way = before


class Ranks(NamedTuple):
    """Where this process stands among those that torchrun started; alone it is the first of one."""

    rank: int
    size: int
    on_this_machine: int


def ranks() -> Ranks:
    """As torchrun tells it. Raises RequestError where its variables do not fit together."""
    try:
        found = Ranks(
            int(os.environ.get("RANK", "0")),
            int(os.environ.get("WORLD_SIZE", "1")),
            int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        )
    except ValueError:
        found = Ranks(0, 0, 0)
    if not (0 <= found.rank < found.size and found.on_this_machine >= 1):
        raise RequestError(
            "RANK, WORLD_SIZE and LOCAL_WORLD_SIZE do not fit together.",
            "Unset them, or let torchrun set them.",
        )
    return found


def leads() -> bool:
    """Whether this process is the one that writes and speaks, of those that torchrun started."""
    return ranks().rank == 0


def together() -> bool:
    """Whether torchrun started several."""
    return ranks().size > 1
