from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from kineograph.data.grammar import DIRECTIONS
from kineograph.data.sources import tutorial
from kineograph.text.encoders import BagOfWords, MeanOfEmbeddings, Signs
from kineograph.text.tokenizer import CaptionTokenizer

ABC, CAB = [1, 2, 3], [3, 1, 2]


def test_the_tutorials_text_is_deaf_to_the_order_of_words() -> None:
    torch.manual_seed(0)
    one, other = MeanOfEmbeddings(10, 4)(torch.tensor([ABC, CAB]))
    assert torch.allclose(one, other)


def test_ours_hears_it_if_told_to() -> None:
    torch.manual_seed(0)
    for order, alike in ((0.0, True), (0.5, False)):
        one, other = BagOfWords(Signs(10, 64), order)(torch.tensor([ABC, CAB]))
        assert torch.allclose(one, other) == alike


def test_where_a_word_stands_is_told_from_what_it_is() -> None:
    """Two captions of the same words differ by their places alone, and most by the outermost."""
    torch.manual_seed(0)
    encoder = BagOfWords(Signs(10, 512), 1.0)
    plain, outer, inner = encoder(torch.tensor([[1, 2, 3, 4], [4, 2, 3, 1], [1, 3, 2, 4]]))
    assert (plain - outer).norm() > 2 * (plain - inner).norm() > 0


def test_every_caption_is_as_long_a_vector() -> None:
    found = BagOfWords(Signs(10, 64), 0.5)(torch.tensor([[1, 0, 0, 0], [1, 2, 3, 4]]))
    assert torch.allclose(found.square().mean(1), torch.ones(2))


def velocity(caption: str) -> Tensor:
    """Of length 1, the same for all directions; nothing for what does not move straight."""
    step = torch.tensor(DIRECTIONS.get(caption.split()[-1], (0, 0)))
    return F.normalize(step.float(), dim=0)


def test_a_word_that_never_stood_alone_moves_as_fast_as_others() -> None:
    """The smallest linear map from the tutorial's captions to velocities, told "up"."""
    torch.manual_seed(0)
    tokenizer = CaptionTokenizer.train(tutorial.CAPTIONS)
    encoder = BagOfWords(Signs(tokenizer.vocabulary_size, 128))
    tokens = torch.from_numpy(tokenizer.encode([*tutorial.CAPTIONS, "circle moving up"]))
    wanted = torch.stack([velocity(caption) for caption in tutorial.CAPTIONS])
    sums = encoder.words(tokens).sum(1)
    found = {}
    for name, texts in {"sums": sums, "ours": encoder(tokens)}.items():
        found[name] = texts[-1] @ torch.linalg.pinv(texts[:-1]) @ wanted
    up = velocity("circle moving up")
    assert found["sums"].norm() < 0.6, "words that add up"
    assert found["ours"].norm() > 0.8
    assert found["ours"] @ up > found["ours"].norm() * math.cos(math.radians(10))


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    for encoder in (MeanOfEmbeddings(10, 4), BagOfWords(Signs(10, 4), 0.5)):
        short = encoder(torch.tensor([[1, 2]]))
        assert torch.allclose(short, encoder(torch.tensor([[1, 2, 0, 0]])))
        assert torch.isfinite(encoder(torch.zeros(1, 3, dtype=torch.int64))).all()
