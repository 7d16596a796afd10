"""Real clips, with chosen ones in the place of some."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kineograph.core import seeds
from kineograph.data.clip import Batch, Clip, Source

_STREAM = 7  # of random numbers, apart from those that the sources draw


class Mixture:
    """A source of whose clips a ``share`` is replaced, each by any of ``chosen``."""

    def __init__(self, source: Source, chosen: Sequence[Clip], share: float) -> None:
        self.source, self.chosen, self.share = source, chosen, share

    def __len__(self) -> int:
        return len(self.source)

    @property
    def captions(self) -> Sequence[str]:
        """Those of the source."""
        return self.source.captions

    def clip(self, index: int, seed: int) -> Clip:
        """Clip ``index`` of ``seed``."""
        batch = self.batch(np.array([index]), seed)
        return Clip(batch.frames[0], batch.captions[0], batch.facts[0])

    def batch(self, indices: np.ndarray, seed: int) -> Batch:
        """Clips ``indices`` (B,) of ``seed``; of those that are chosen nobody knows the facts."""
        real = self.source.batch(indices, seed)
        u = seeds.uniform(seeds.seed_for(seed, _STREAM), indices, 2)
        frames, captions, facts = real.frames.copy(), list(real.captions), list(real.facts)
        for row in np.flatnonzero(u[:, 0] < self.share):
            clip = self.chosen[int(u[row, 1] * len(self.chosen))]
            frames[row], captions[row], facts[row] = clip.frames, clip.caption, None
        return Batch(frames, captions, facts)
