"""Tokens => vectors, by small encoders that belong to the model that reads them."""

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
        return _sum_of_words(self.embedding(tokens), tokens) / _count(tokens)


class OrderedWords(nn.Module):
    """Words in their order: a vector each, mixed with its neighbours; of their sum the direction.

    A word that is met only inside others ("up" in "up-left") should bring the same with it when it
    stands alone. So the words' vectors, nearly orthogonal, are drawn once and stay; the mixing,
    which keeps the order, starts from nothing; and all captions are vectors of one length. If
    "up-left" is as fast as "left", then so is "up", which it would not be if words merely added up.
    """

    words: Tensor

    def __init__(self, vocabulary_size: int, features: int) -> None:
        super().__init__()
        words = torch.randn(vocabulary_size, features)
        words[0] = 0  # padding
        self.register_buffer("words", words)
        self.neighbours = nn.Conv1d(features, features, 3, padding=1)
        self.mix = nn.Linear(features, features, bias=False)
        nn.init.zeros_(self.mix.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (B, L), 0 for padding => vectors (B, D) of mean square 1."""
        x = F.embedding(tokens, self.words)
        near = self.neighbours(x.transpose(1, 2)).transpose(1, 2)
        whole = _sum_of_words(x + self.mix(F.silu(near)), tokens).float()
        return F.rms_norm(whole, whole.shape[-1:])


def _sum_of_words(x: Tensor, tokens: Tensor) -> Tensor:
    """Vectors (B, L, D) => their sum over what is no padding (B, D); nothing at all is 0."""
    return (x * (tokens != 0).unsqueeze(-1)).sum(1)


def _count(tokens: Tensor) -> Tensor:
    """Words of each caption (B, 1), at least 1."""
    return (tokens != 0).sum(1, keepdim=True).clamp(min=1)
