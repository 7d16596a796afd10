"""Tokens => vectors, by small encoders that belong to the model that reads them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_HURRY = 10.0  # how much faster gates learn than weights
_ODDS_AT_FIRST = 1.0  # log of those that a gate is open
_MOST_ODDS = 3.0  # that are kept: a gate with more would be sure of itself and learn no more
_HARDNESS = 0.66  # temperature of what is drawn (2/3 in Louizos et al. 2018, as is the stretch)
_STRETCH = (-0.1, 1.1)
_SILENCE = 1e-3  # mean square of what counts as nothing heard
_PLACES = 128  # tokens whose places are told apart
_READER, _HEADS, _BLOCKS = 64, 4, 2  # features, heads and blocks of who reads whose word it is


class MeanOfWords(nn.Module):
    """The text of the GANs: the mean of the words, deaf to their order.

    ``embedding`` maps token ids (B, L) => vectors (B, L, D), 0 for padding: `torch.nn.Embedding`,
    which learns them, or those of a language model (`pretrained.py`).
    """

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        self.embedding = embedding

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


class Phrases(nn.Module):
    """Words, each with what it is together with the one after it: "brown shoes" and "brown skin".

    A pair is the product of both, the second one's numbers moved on by one so that their order
    counts (Gayler 2003); of random signs it is like no word and no other pair.
    """

    def __init__(self, words: nn.Module) -> None:
        super().__init__()
        self.words = words

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (B, L), 0 for padding => phrases (B, L, D), 0 for padding."""
        words: Tensor = self.words(tokens)
        following = F.pad(words[:, 1:], (0, 0, 0, 1)).roll(1, -1)
        return words + words * following


class BagOfWords(nn.Module):
    """Words, summed, of one length: deaf to their order.

    ``words`` are token ids (B, L) => vectors (B, L, D), 0 for padding: `Signs`, or those of a
    language model (`pretrained.py`).

    A word that is met only inside others ("up" in "up-left") should bring the same with it when it
    stands alone. So nothing here is learned, since what is learned fits captions of the training
    alone, and all captions are vectors of one length. If "up-left" is as fast as "left", then so is
    "up", which it would not be if words merely added up. Sums of random signs as representations of
    what consists of parts are from Gayler 2003.
    """

    def __init__(self, words: nn.Module) -> None:
        super().__init__()
        self.words = words

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (B, L), 0 for padding => vectors (B, D) of mean square 1, or 0."""
        whole: Tensor = self.words(tokens).sum(1)
        return F.rms_norm(whole, whole.shape[-1:])


class HeardWords(BagOfWords):
    """For each of N listeners and K objects, a bag of the words that it hears.

    Two questions are learned, of words and not of captions:

    - *Whose word is it?* A small transformer reads the caption and gives each word, in its place, a
      share for each object. Of one object all words are.
    - *Does it matter to this listener?* In training, all clips of a 7 may move up and down. Then
      "7" tells the way as well as "up" does, and who listens to both does not know what to do when
      they part. So with a ``price`` each word that a listener hears costs something: of the ways
      there are few words, of the digits ten, and what hears the ways lets the digits go. Gates that
      are open, closed or, in training, drawn are from Louizos et al. 2018 (hard concrete, L₀), one
      for each word of the vocabulary and listener. With price 0 all words are heard. ``rand`` draws
      for them, as torch.rand does.
    """

    def __init__(
        self,
        words: nn.Module,
        vocabulary_size: int,
        features: int,
        listeners: int,
        objects: int,
        price: float,
        rand: Callable[..., Tensor] = torch.rand,
    ) -> None:
        super().__init__(words)
        self.listeners, self.objects = listeners, objects
        self.price, self._rand = price, rand
        self.owner = _Owner(features, objects) if objects > 1 else None
        gates = torch.full((vocabulary_size, listeners), _ODDS_AT_FIRST / _HURRY)
        self.odds = nn.Parameter(gates) if price else None
        self._last: tuple[Tensor, Tensor] | None = None

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (B, L), 0 for padding => vectors (B, K, N, D) of mean square 1, or 0."""
        learns = self.owner is not None or self.odds is not None
        if learns or torch.compiler.is_exporting():
            return self._heard(tokens)
        # Nothing is learned here, and turns and the sampler ask for the same captions many times.
        if self._last is None or self._last[0] is not tokens:
            self._last = tokens, self._heard(tokens)
        return self._last[1]

    def _heard(self, tokens: Tensor) -> Tensor:
        words = self.words(tokens)
        with torch.autocast(tokens.device.type, enabled=False):
            gates = self._gates(tokens)  # (B, L, N)
            if self.owner is None:
                heard = (gates.transpose(1, 2) @ words)[:, None]
            else:
                mine = self.owner(words, tokens)[..., None] * gates[:, :, None]  # (B, L, K, N)
                heard = (mine.flatten(2).transpose(1, 2) @ words).unflatten(1, mine.shape[2:])
            return F.rms_norm(heard, heard.shape[-1:], eps=_SILENCE)

    def _gates(self, tokens: Tensor) -> Tensor:
        """How far each word is heard by each listener (B, L, N), 0 to 1."""
        if self.odds is None:
            return torch.ones(*tokens.shape, self.listeners, device=tokens.device)
        odds = _HURRY * F.embedding(tokens, self.odds).clamp(max=_MOST_ODDS / _HURRY)
        if not (self.training and torch.is_grad_enabled()):
            return (odds > 0).float()
        drawn = self._rand(*odds.shape, device=odds.device).clamp(1e-4, 1 - 1e-4).logit()
        low, high = _STRETCH
        return (low + (high - low) * torch.sigmoid((drawn + odds) / _HARDNESS)).clamp(0, 1)

    def in_order(self, tokens: Tensor) -> Tensor:
        """Token ids (B, L) => vectors (B, K, D): of what is said first, what is said next, ..."""
        words = self.words(tokens)
        with torch.autocast(tokens.device.type, enabled=False):
            said = torch.sigmoid(_by_place(tokens, self.objects)).transpose(1, 2) @ words.float()
            return F.rms_norm(said, said.shape[-1:], eps=_SILENCE)

    def cost(self) -> Tensor:
        """The price of all words that are expected to be heard (Louizos et al. 2018, eq. 12)."""
        if self.odds is None:
            return torch.zeros(())
        low, high = _STRETCH
        return (
            self.price * torch.sigmoid(_HURRY * self.odds - _HARDNESS * math.log(-low / high)).sum()
        )


class _Owner(nn.Module):
    """Words (B, L, D) and tokens (B, L) => each word's share for each object (B, L, K), 0 to 1.

    Before anything is learned, what is said first belongs to the first object, and so on.
    """

    def __init__(self, features: int, objects: int) -> None:
        super().__init__()
        self.places = nn.Parameter(0.5 * torch.randn(_PLACES, _READER))
        self.inp = nn.Linear(features, _READER)
        block = nn.TransformerEncoderLayer(
            _READER, _HEADS, 2 * _READER, dropout=0.0, batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(
            block, _BLOCKS, nn.LayerNorm(_READER), enable_nested_tensor=False
        )
        self.out = nn.Linear(_READER, objects)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, words: Tensor, tokens: Tensor) -> Tensor:
        place = torch.arange(tokens.shape[1], device=tokens.device).clamp(max=_PLACES - 1)
        padding = (tokens == 0) & (tokens != 0).any(1, keepdim=True)
        x = self.body(self.inp(words) + self.places[place], src_key_padding_mask=padding)
        return torch.sigmoid(2 * self.out(x) + _by_place(tokens, self.out.out_features))


def _by_place(tokens: Tensor, objects: int) -> Tensor:
    """Log odds of each word of captions (B, L) for each object (B, L, K), if all that one knows is
    that the first is spoken of first."""
    count = (tokens != 0).sum(1, keepdim=True).clamp(min=1)
    middle = (torch.arange(tokens.shape[1], device=tokens.device) + 0.5) / count * objects
    return 2 - 4 * (middle[..., None] - 0.5 - torch.arange(objects, device=tokens.device)).abs()
