"""(seed, step) => batch: the order of the data is a function, so a resume is one integer."""

from __future__ import annotations

import functools

import numpy as np

from kineograph.core import seeds
from kineograph.data.clip import Batch, Source


class Loader:
    """Batches of a source, every clip once an epoch, in an order that (seed, epoch) decides."""

    def __init__(self, source: Source, batch_size: int, seed: int) -> None:
        self.source, self.batch_size, self.seed = source, batch_size, seed

    def indices(self, step: int) -> np.ndarray:
        """The clips of a step (B,); an epoch may end in the middle of a batch."""
        count = len(self.source)
        places = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        found = [_order(self.seed, int(place // count), count)[place % count] for place in places]
        return np.array(found, np.int64)

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """The clips of a step, from 0 on, or those ``rows`` of them."""
        return self.source.batch(self.indices(step)[rows], self.seed)


@functools.lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng(seeds.seed_for(seed, epoch)).permutation(count)
