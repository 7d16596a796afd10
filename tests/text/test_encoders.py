from __future__ import annotations

import torch

from kineograph.text.encoders import BagOfWords, MeanOfEmbeddings

ABC, CAB = [1, 2, 3], [3, 1, 2]


def test_the_tutorials_text_is_deaf_to_the_order_of_words() -> None:
    torch.manual_seed(0)
    one, other = MeanOfEmbeddings(10, 4)(torch.tensor([ABC, CAB]))
    assert torch.allclose(one, other)


def test_ours_hears_it_if_told_to() -> None:
    torch.manual_seed(0)
    for order, alike in ((0.0, True), (0.5, False)):
        one, other = BagOfWords(10, 64, order)(torch.tensor([ABC, CAB]))
        assert torch.allclose(one, other) == alike


def test_every_caption_is_as_long_a_vector() -> None:
    found = BagOfWords(10, 64, 0.5)(torch.tensor([[1, 0, 0, 0], [1, 2, 3, 4]]))
    assert torch.allclose(found.square().mean(1), torch.ones(2))


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    for encoder in (MeanOfEmbeddings(10, 4), BagOfWords(10, 4, 0.5)):
        short = encoder(torch.tensor([[1, 2]]))
        assert torch.allclose(short, encoder(torch.tensor([[1, 2, 0, 0]])))
        assert torch.isfinite(encoder(torch.zeros(1, 3, dtype=torch.int64))).all()
