"""Tokens => vectors. Both encoders are small and trained with the model that reads them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

_USUAL_LENGTH = 3  # words; keeps a caption's vector about as long as a word's


class MeanOfEmbeddings(nn.Module):
    """The tutorial's text: the mean of the words' embeddings, deaf to their order."""

    def __init__(self, vocabulary_size: int, features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, features, padding_idx=0)

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (B, L), 0 for padding => vectors (B, D)."""
        return _sum_of_words(self.embedding(tokens), tokens) / _count(tokens)


class OrderedWords(nn.Module):
    """Words in their order: embeddings, each mixed with its two neighbours, then their sum.

    The sum lets a word that is met only inside others ("up" in "up-right") bring the same with it
    when it stands alone, where a mean would weigh it by the caption's length; the mixing keeps the
    order.
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
        return _sum_of_words(x + self.mix(F.silu(near)), tokens) / _USUAL_LENGTH


def _sum_of_words(x: Tensor, tokens: Tensor) -> Tensor:
    """Vectors (B, L, D) => their sum over what is no padding (B, D); nothing at all is 0."""
    return (x * (tokens != 0).unsqueeze(-1)).sum(1)


def _count(tokens: Tensor) -> Tensor:
    """Words of each caption (B, 1), at least 1."""
    return (tokens != 0).sum(1, keepdim=True).clamp(min=1)
