from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kineograph.core.errors import RequestError
from kineograph.data.sources.tutorial import CAPTIONS
from kineograph.text.tokenizer import CaptionTokenizer

TOKENIZER = CaptionTokenizer.train(CAPTIONS)


@pytest.mark.parametrize("caption", CAPTIONS)
def test_every_word_of_a_caption_is_one_token(caption: str) -> None:
    words = caption.replace("-", " - ").split()
    assert TOKENIZER.tokens(caption) == words


def test_up_alone_is_the_token_that_it_is_in_up_right() -> None:
    assert TOKENIZER.tokens("circle moving up")[-1] in TOKENIZER.tokens("up-right")


@given(st.text(max_size=60))
def test_no_text_is_unknown(text: str) -> None:
    ids = TOKENIZER.encode([text])
    assert ids.dtype == np.int64
    assert ids.shape[1] >= 1
    assert ids.max() < TOKENIZER.vocabulary_size


def test_shorter_captions_are_padded_with_zero_at_the_end() -> None:
    ids = TOKENIZER.encode(["circle shrinking", "circle moving up-left"])
    assert ids.shape == (2, 5)
    assert (ids[0, 2:] == 0).all()
    assert (ids[0, :2] > 0).all()
    assert (ids[1] > 0).all()


def test_json_gives_the_same_tokenizer_back() -> None:
    again = CaptionTokenizer.from_json(TOKENIZER.to_json())
    assert np.array_equal(again.encode(CAPTIONS), TOKENIZER.encode(CAPTIONS))


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"model": 3}'])
def test_a_damaged_file_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"tokenizer\.json"):
        CaptionTokenizer.from_json(text)
