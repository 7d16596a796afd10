"""Caption => tokens: a byte-level BPE, trained on the captions themselves.

Every byte is in the alphabet, so no word is ever unknown. Words are split at spaces and at
punctuation before they are merged: "up-right" is "up", "-", "right", with the same tokens as
"up" and "right" have alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from kineograph.core.errors import RequestError, in_short

PADDING = "[PAD]"  # token 0
VOCABULARY_SIZE = 1024
"""At most so many tokens: the 256 bytes, and what is merged from them."""


class CaptionTokenizer:
    """Captions => token ids; ids start at 0, which is padding.

    ``shift`` is what is added to each id of a tokenizer that was not made here, whose 0 may be any
    word.
    """

    def __init__(self, tokenizer: Tokenizer, shift: int = 0) -> None:
        self._tokenizer, self._shift = tokenizer, shift
        if not shift and tokenizer.token_to_id(PADDING) != 0:
            raise RequestError("The tokenizer has no padding token 0.", "It was not made here.")

    @classmethod
    def train(cls, captions: Iterable[str]) -> CaptionTokenizer:
        """Merge the captions' commonest byte pairs until every word is one token."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(r"\s+"), "removed"),
                pre_tokenizers.Punctuation("isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        trainer = trainers.BpeTrainer(
            vocab_size=VOCABULARY_SIZE,
            special_tokens=[PADDING],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(captions, trainer)
        return cls(tokenizer)

    @classmethod
    def from_json(cls, text: str, shift: int = 0) -> CaptionTokenizer:
        """The inverse of :meth:`to_json`. Raises RequestError if it is no tokenizer."""
        try:
            return cls(Tokenizer.from_str(text), shift)
        except RequestError:
            raise
        except BaseException as error:  # the Rust library raises bare Exception, or panics
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise RequestError(
                f"tokenizer.json cannot be read: {in_short(error)}.",
                "Train or fetch the model again.",
            ) from error

    def to_json(self) -> str:
        """The tokenizer in Hugging Face's tokenizer.json format."""
        return str(self._tokenizer.to_str(pretty=True))

    @property
    def vocabulary_size(self) -> int:
        """Number of different tokens, padding included."""
        return int(self._tokenizer.get_vocab_size()) + self._shift

    def tokens(self, caption: str) -> list[str]:
        """The pieces a caption is cut into, for people to look at."""
        return list(self._tokenizer.encode(caption).tokens)

    def encode(self, captions: Sequence[str]) -> np.ndarray:
        """Captions => ids (B, L) int64, padded with 0 to the longest; L ≥ 1."""
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch(list(captions))]
        ids = np.zeros((len(rows), max([1, *map(len, rows)])), np.int64)
        for row, found in zip(ids, rows, strict=True):
            row[: len(found)] = np.asarray(found, np.int64) + self._shift
        return ids
