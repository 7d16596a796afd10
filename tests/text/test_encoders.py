from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.data.grammar import DIRECTIONS
from kineograph.data.sources import tutorial
from kineograph.text.encoders import BagOfWords, HeardWords, MeanOfWords, Phrases, Signs
from kineograph.text.tokenizer import CaptionTokenizer

ABC, CAB = [1, 2, 3], [3, 1, 2]
WAYS = (11, 12)  # after ten digits, of which the even ones go one way


def test_the_tutorials_text_is_deaf_to_the_order_of_words() -> None:
    torch.manual_seed(0)
    one, other = MeanOfWords(nn.Embedding(10, 4, padding_idx=0))(torch.tensor([ABC, CAB]))
    assert torch.allclose(one, other)


def test_every_caption_is_as_long_a_vector() -> None:
    found = BagOfWords(Signs(10, 64))(torch.tensor([[1, 0, 0, 0], [1, 2, 3, 4]]))
    assert torch.allclose(found.square().mean(1), torch.ones(2))


@pytest.mark.parametrize("price", [0.0, 1e-3])
def test_what_is_heard_is_that_of_the_captions_at_hand(price: float) -> None:
    encoder = HeardWords(Signs(10, 32), 10, 32, listeners=2, objects=1, price=price).eval()
    first, other = torch.tensor([[1, 2]]), torch.tensor([[3, 0]])
    heard = [encoder(tokens) for tokens in (first, first, other, first)]
    assert heard[0].shape == (1, 1, 2, 32)
    assert all(torch.equal(heard[0], heard[k]) for k in (1, 3))
    assert not torch.equal(heard[0], heard[2])


def test_phrases_tell_whose_word_it_is() -> None:
    """Brown shoes and grey skin, or grey shoes and brown skin."""
    torch.manual_seed(0)
    brown, shoes, grey, skin = 1, 2, 3, 4
    one = torch.tensor([[brown, shoes, grey, skin, 0]])
    other, moved = one[:, [2, 1, 0, 3, 4]], one[:, [2, 3, 0, 1, 4]]
    words = Signs(10, 4096)
    assert torch.allclose(BagOfWords(words)(one), BagOfWords(words)(other))
    phrases = BagOfWords(Phrases(words))
    told, of_other, of_moved = (phrases(tokens)[0] for tokens in (one, other, moved))
    assert F.cosine_similarity(told, of_other, 0) < 0.7  # 4 words of 7 words and pairs
    assert F.cosine_similarity(told, of_moved, 0) > 0.8  # and both pairs that count


def test_a_phrase_ends_with_its_caption() -> None:
    words = Signs(10, 64)
    vectors = Phrases(words)(torch.tensor([[1, 2, 0, 0]]))
    assert torch.equal(vectors[:, 1:], words(torch.tensor([[2, 0, 0]])))
    assert not torch.equal(vectors[:, 0], words(torch.tensor([[1]]))[:, 0])
    assert torch.equal(Phrases(words)(torch.tensor([[1, 2]])), vectors[:, :2])


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
    for encoder in (
        MeanOfWords(nn.Embedding(10, 4, padding_idx=0)),
        BagOfWords(Signs(10, 4)),
        HeardWords(Signs(10, 6), 10, 6, 3, 2, 0.1).eval(),  # of any number of features
    ):
        short = encoder(torch.tensor([[1, 2]]))
        assert torch.allclose(short, encoder(torch.tensor([[1, 2, 0, 0]])), atol=1e-5)
        assert torch.isfinite(encoder(torch.zeros(1, 3, dtype=torch.int64))).all()


def test_for_nothing_every_listener_hears_all_of_one_object() -> None:
    torch.manual_seed(0)
    encoder = HeardWords(Signs(10, 64), 10, 64, listeners=3, objects=1, price=0.0)
    tokens = torch.tensor([ABC, [4, 5, 0]])
    words = encoder.words(tokens).sum(1)
    heard = encoder(tokens)
    assert heard.shape == (2, 1, 3, 64)
    assert torch.allclose(heard[:, 0, 2], F.rms_norm(words, (64,)), rtol=1e-2)
    assert encoder.cost() == 0


@pytest.mark.parametrize(("price", "apart"), [(0.0, False), (1e-2, True)])
def test_what_costs_something_is_heard_by_whom_it_matters_to(price: float, apart: bool) -> None:
    """One listener tells the way, one the digit, from captions in which each tells the other."""
    torch.manual_seed(0)
    encoder = HeardWords(Signs(13, 32), 13, 32, listeners=2, objects=1, price=price)
    way, digit = torch.nn.Linear(32, 2), torch.nn.Linear(32, 10)
    parameters = [*encoder.parameters(), *way.parameters(), *digit.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    digits = torch.arange(10)

    def told(ways: Tensor) -> tuple[Tensor, Tensor]:
        captions = torch.stack([1 + digits, WAYS[0] + ways], 1)
        heard = encoder(captions)[:, 0]
        return way(heard[:, 0]), digit(heard[:, 1])

    for _ in range(400):
        said_way, said_digit = told(digits % 2)
        loss = F.cross_entropy(said_way, digits % 2) + F.cross_entropy(said_digit, digits)
        optimizer.zero_grad()
        (loss + encoder.cost()).backward()
        optimizer.step()
    encoder.eval()
    said_way, said_digit = told(1 - digits % 2)  # which no digit went
    right = (said_way.argmax(1) == 1 - digits % 2).all() and (said_digit.argmax(1) == digits).all()
    if apart:
        assert right
        gates = encoder._gates(torch.arange(1, 13)[None])[0]
        assert gates[:10, 0].sum() == 0
        assert gates[10:, 1].sum() == 0
    else:
        assert not torch.allclose(told(digits % 2)[1], said_digit, atol=0.1), "deaf to the ways"


def test_of_two_objects_each_hears_its_own_words() -> None:
    """Learned from which of two colours each is: "1 moves 3, 2 moves 4", in any order."""
    torch.manual_seed(0)
    encoder = HeardWords(Signs(10, 32), 10, 32, listeners=1, objects=2, price=0.0)
    reader = torch.nn.Linear(32, 2)
    parameters = [*encoder.parameters(), *reader.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    # Tokens 1 and 2 are colours, 3 and 4 ways, 5 is "and"; an object goes the way said beside it.
    captions = torch.tensor([[a, m, 5, 3 - a, n] for a in (1, 2) for m in (3, 4) for n in (3, 4)])
    ways = (
        torch.tensor(
            [[row[1], row[4]] if row[0] == 1 else [row[4], row[1]] for row in captions.tolist()]
        )
        - 3
    )
    for _ in range(300):
        loss = F.cross_entropy(reader(encoder(captions)[:, :, 0]).flatten(0, 1), ways.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (reader(encoder(captions)[:, :, 0]).argmax(-1) == ways).all()
