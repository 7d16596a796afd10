"""Clips and tokens for one step after the other, rendered beside the training where that pays."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from kineograph.data.loader import Loader
from kineograph.text.tokenizer import CaptionTokenizer

Rows = tuple[Tensor, Tensor]
"""Frames, uint8 (B, T, H, W, 3), and tokens (B, L)."""


class Feed(Dataset[Rows]):
    """What a step learns from. The order is the loader's: it does not know who asks, nor when.

    ``workers`` processes render the steps that come next; with 0, each is rendered as it is asked
    for, which is as fast where the training keeps all cores busy. ``rows`` are those of a step that
    are wanted.
    """

    def __init__(
        self, loader: Loader, tokenizer: CaptionTokenizer, workers: int, rows: slice
    ) -> None:
        self.loader, self.tokenizer, self.workers, self.rows = loader, tokenizer, workers, rows
        self._next = -1
        self._coming: Iterator[Rows] = iter(())

    def __getitem__(self, step: int) -> Rows:
        clips = self.loader.batch(step, self.rows)
        tokens = torch.from_numpy(self.tokenizer.encode(clips.captions))
        return torch.from_numpy(clips.frames), tokens

    def at(self, step: int) -> Rows:
        """What step ``step`` learns from; in their order they come fastest."""
        if not self.workers:
            return self[step]
        if step != self._next:
            self._coming = iter(())  # where processes are not forked, they get this object
            self._coming = self._from(step)
        self._next = step + 1
        return next(self._coming)

    def _from(self, step: int) -> Iterator[Rows]:
        ahead: DataLoader[Rows] = DataLoader(
            self,
            batch_size=None,
            sampler=itertools.count(step),
            num_workers=self.workers,
            collate_fn=_as_it_is,
            worker_init_fn=_deaf,
        )
        return iter(ahead)


def _as_it_is(rows: Any) -> Any:
    return rows


def _deaf(worker: int) -> None:
    """Ctrl-C reaches all processes of a terminal, and the SIGTERM of a job's end all of the job;
    the training tells its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
