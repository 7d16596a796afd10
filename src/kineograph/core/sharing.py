"""Work on many things that the processes of torchrun share: each does some, all have the results.

Who does such work calls ``each``, and need not know whether there is anybody to share it with.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

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


def leads() -> bool:
    """Whether this process is the one that writes and speaks, of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def together() -> bool:
    """Whether torchrun started several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
