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
        count = (tokens != 0).sum(1, keepdim=True).clamp(min=1)
        mean: Tensor = self.embedding(tokens).sum(1) / count
        return mean


class Signs(nn.Module):
    """Words as fixed random signs: a word is the same in any company, and none is like another."""

    signs: Tensor

    def __init__(self, vocabulary_size: int, features: int) -> None:
        super().__init__()
        signs = 2.0 * torch.randint(2, (vocabulary_size, features)) - 1
        signs[0] = 0  # padding
        self.register_buffer("signs", signs)

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (B, L), 0 for padding => words (B, L, D), 0 for padding."""
        return F.embedding(tokens, self.signs)


class BagOfWords(nn.Module):
    """Words and, if order counts, where they stand: summed, of one length.

    ``words`` are token ids (B, L) => vectors (B, L, D), 0 for padding: `Signs`, or those of a
    language model (`pretrained.py`).

    A word that is met only inside others ("up" in "up-left") should bring the same with it when it
    stands alone. So nothing here is learned, since what is learned fits captions of the training
    alone, and all captions are vectors of one length. If "up-left" is as fast as "left", then so is
    "up", which it would not be if words merely added up. Sums of random signs as representations of
    what consists of parts are from Gayler 2003.

    ``order`` is the weight of the places, from -1 for the first word to 1 for the last, each times
    another sign vector of its word. Together they tell which of two colours came first. At 0 no
    order is heard. The more it is, the less a word in new company is what it was.
    """

    def __init__(self, words: nn.Module, order: float = 0.0) -> None:
        super().__init__()
        self.words, self.order = words, order

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (B, L), 0 for padding => vectors (B, D) of mean square 1, or 0."""
        x = self.words(tokens)
        last = (tokens != 0).sum(1, keepdim=True) - 1
        places = 2 * torch.arange(tokens.shape[1], device=x.device) / last.clamp(min=1) - 1
        placed = (x * places[..., None]).sum(1)
        whole = x.sum(1) + self.order * placed.roll(1, -1)  # rolled, signs are as good as others
        return F.rms_norm(whole, whole.shape[-1:])
