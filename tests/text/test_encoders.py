from __future__ import annotations

import torch

from kineograph.text.encoders import MeanOfEmbeddings, OrderedWords


def test_the_tutorials_text_is_deaf_to_the_order_of_words() -> None:
    torch.manual_seed(0)
    encoder = MeanOfEmbeddings(10, 4)
    one, other = encoder(torch.tensor([[1, 2, 3], [3, 1, 2]]))
    assert torch.allclose(one, other)


def test_ours_hears_it() -> None:
    torch.manual_seed(0)
    encoder = OrderedWords(10, 4)
    torch.nn.init.ones_(encoder.mix.weight)  # as after some training
    one, other = encoder(torch.tensor([[1, 2, 3], [3, 1, 2]]))
    assert not torch.allclose(one, other)


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    for encoder in (MeanOfEmbeddings(10, 4), OrderedWords(10, 4)):
        short = encoder(torch.tensor([[1, 2]]))
        assert torch.allclose(short, encoder(torch.tensor([[1, 2, 0, 0]])))
        assert torch.isfinite(encoder(torch.zeros(1, 3, dtype=torch.int64))).all()
