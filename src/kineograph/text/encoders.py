"""Tokens => vectors. Both encoders are small and trained with the model that reads them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MeanOfEmbeddings(nn.Module):
    """The tutorial's text: the mean of the words' embeddings, deaf to their order."""

    def __init__(self, vocabulary_size: int, features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, features, padding_idx=0)

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (B, L), 0 for padding => vectors (B, D)."""
        return _mean_of_words(self.embedding(tokens), tokens)


class OrderedWords(nn.Module):
    """Words in their order: embeddings, each mixed with its two neighbours, then the mean.

    The mean keeps a caption nearly the sum of its words, so that a word met only inside others
    ("up" in "up-right") still means something by itself; the mixing keeps their order.
    """

    def __init__(self, vocabulary_size: int, features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, features, padding_idx=0)
        self.neighbours = nn.Conv1d(features, features, 3, padding=1)
        self.mix = nn.Linear(features, features)

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (B, L), 0 for padding => vectors (B, D)."""
        x = self.embedding(tokens)  # words => vectors
        near = self.neighbours(x.transpose(1, 2)).transpose(1, 2)
        return _mean_of_words(x + self.mix(F.silu(near)), tokens)


def _mean_of_words(x: Tensor, tokens: Tensor) -> Tensor:
    """Vectors (B, L, D) => their mean over what is no padding (B, D); nothing at all is 0."""
    real = (tokens != 0).unsqueeze(-1).to(x.dtype)
    return (x * real).sum(1) / torch.clamp(real.sum(1), min=1)
