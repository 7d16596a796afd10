"""Tiny language models with random weights, made here; real ones differ in size alone."""

from __future__ import annotations

import copy
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from kineograph.core.errors import RequestError
from kineograph.text.encoders import BagOfWords
from kineograph.text.pretrained import LanguageModel, WordsInContext, tokenizer_for
from kineograph.text.tokenizer import CaptionTokenizer

Make = Callable[..., Path]
CAPTIONS = ["circle moving up-right", "disc drifts", "circle circle"]


@pytest.fixture(scope="module")
def bert(language_model: Make) -> Path:
    return language_model()


def encoded(folder: Path, captions: list[str] = CAPTIONS) -> Tensor:
    return torch.from_numpy(tokenizer_for([], str(folder)).encode(captions))


def test_tokens_are_those_of_the_language_model_and_padding_is_zero(bert: Path) -> None:
    tokenizer = tokenizer_for([], str(bert))
    assert tokenizer.tokens("disc drifts zebra") == ["[CLS]", "disc", "drifts", "[UNK]", "[SEP]"]
    ids = tokenizer.encode(["disc drifts zebra", "circle"])
    assert ids.tolist() == [[2, 12, 13, 1, 3], [2, 4, 3, 0, 0]]  # one more than its own
    assert ids.max() < tokenizer.vocabulary_size
    again = CaptionTokenizer.from_json(tokenizer.to_json(), shift=1)
    assert (again.encode(CAPTIONS) == tokenizer.encode(CAPTIONS)).all()


@pytest.mark.parametrize("kind", ["bert", "t5", "clip", "bart"])
def test_words_are_its_last_hidden_states_whatever_it_is(language_model: Make, kind: str) -> None:
    import transformers

    folder = language_model(kind)
    inputs = transformers.AutoTokenizer.from_pretrained(folder)(CAPTIONS[0], return_tensors="pt")
    ids = inputs["input_ids"][:, :7]  # without padding
    whole = transformers.AutoModel.from_pretrained(folder).eval()
    whole = {"clip": lambda: whole.text_model, "bert": lambda: whole}.get(kind, whole.get_encoder)()
    with torch.no_grad():
        wanted = whole(input_ids=ids).last_hidden_state[0]
    found = LanguageModel(str(folder))(encoded(folder))
    assert torch.allclose(found[0], wanted, atol=1e-5)
    assert not torch.allclose(found[2, 1], found[2, 2], atol=1e-3), "the same word, elsewhere"


@pytest.mark.parametrize("kind", ["bert", "t5", "clip", "bart"])
def test_it_comes_back_from_where_it_was_saved(
    language_model: Make, kind: str, tmp_path: Path
) -> None:
    folder = language_model(kind)
    one = LanguageModel(str(folder))
    one.save(tmp_path / "copy")
    other = LanguageModel(str(tmp_path / "copy"))
    assert torch.equal(one(encoded(folder)), other(encoded(folder)))
    assert torch.equal(one.digest, other.digest)
    assert not torch.equal(one.digest, LanguageModel(str(language_model(kind, 1))).digest)
    assert {path.suffix for path in (tmp_path / "copy").iterdir()} == {".json", ".safetensors"}


def test_a_caption_is_the_same_in_any_company(bert: Path) -> None:
    torch.manual_seed(0)
    words = WordsInContext(LanguageModel(str(bert)), 32)
    tokens = encoded(bert)
    together = words(tokens)
    assert together.shape == (*tokens.shape, 32)
    assert (together[tokens == 0] == 0).all()
    assert torch.allclose(together[tokens != 0].square().mean(1), torch.ones(1), atol=1e-4)
    for i, caption in enumerate(CAPTIONS):
        own = encoded(bert, [caption])
        alone = WordsInContext(LanguageModel(str(bert)), 32)
        alone.load_state_dict(words.state_dict())
        assert torch.allclose(alone(own)[0], together[i, : own.shape[1]], atol=1e-6)
    bag = BagOfWords(words)
    longer = torch.nn.functional.pad(tokens, (0, 3))
    assert torch.allclose(bag(longer), bag(tokens), atol=1e-6)
    assert (bag(torch.zeros(2, 3, dtype=torch.int64)) == 0).all()


def test_it_stays_frozen_and_outside_of_whoever_reads_with_it(bert: Path) -> None:
    reader = LanguageModel(str(bert))
    words = WordsInContext(reader, 32)
    before = {name: value.clone() for name, value in reader._encoder.state_dict().items()}
    words.train()
    assert list(words.parameters()) == []
    assert words.state_dict().keys() == {"projection", "_extra_state"}
    first = words(encoded(bert))
    assert not first.requires_grad
    reader._read.clear()
    with torch.autocast("cpu", torch.bfloat16):
        again = words(encoded(bert))  # with dropout it would differ; in bf16, too
    assert torch.equal(first, again)
    assert all(torch.equal(value, before[n]) for n, value in reader._encoder.state_dict().items())
    assert copy.deepcopy(words).language_model is reader


def test_what_was_read_while_generating_serves_a_training(bert: Path) -> None:
    words = WordsInContext(LanguageModel(str(bert)), 8)
    with torch.inference_mode():
        words(encoded(bert))
    weights = torch.nn.Parameter(torch.ones(8))
    (words(encoded(bert)) * weights).sum().backward()
    assert weights.grad is not None


def test_it_remembers_no_more_than_there_is_room_for(
    bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plenty = LanguageModel(str(bert))(encoded(bert))
    monkeypatch.setattr("kineograph.text.pretrained._REMEMBERED", 7 * 16)
    reader = LanguageModel(str(bert))
    assert torch.equal(reader(encoded(bert)), plenty)
    assert len(reader._read) == 1
    assert sum(hidden.numel() for hidden in reader._read.values()) + reader._room == 7 * 16


def test_of_a_caption_too_long_for_it_the_rest_is_cut_off(bert: Path) -> None:
    tokens = encoded(bert, ["circle moving " * 71])
    assert tokens.shape[1] == 62
    assert torch.isfinite(LanguageModel(str(bert))(tokens)).all()


def test_nothing_is_fetched(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("it asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    LanguageModel(str(bert))(encoded(bert))


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "transformers", None)
    says = r"pip install 'kineograph\[transformers\]'"
    for opens in (LanguageModel, lambda folder: tokenizer_for([], folder)):
        with pytest.raises(RequestError, match=says) as error:
            opens(str(tmp_path))
        assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("missing", "config.json is missing"),
        ("no tokenizer", r"has \d tokens, its model 13"),
        ("no weights", "no language model that can be read"),
        ("others' weights", "lack embeddings"),
        ("unknown kind", "no language model that can be read"),
    ],
)
def test_a_folder_that_holds_none_is_refused(
    bert: Path, language_model: Make, tmp_path: Path, damage: str, says: str
) -> None:
    folder = tmp_path / "lm"
    if damage != "missing":
        shutil.copytree(bert, folder)
    if damage == "no tokenizer":
        for file in folder.glob("*token*"):
            file.unlink()
    elif damage == "no weights":
        (folder / "model.safetensors").unlink()
    elif damage == "others' weights":
        shutil.copy(language_model("t5") / "model.safetensors", folder)
    elif damage == "unknown kind":
        (folder / "config.json").write_text('{"model_type": "abacus"}')
    opens = LanguageModel if "weights" in damage else lambda place: tokenizer_for([], place)
    with pytest.raises(RequestError, match=says):
        opens(str(folder))


def test_an_empty_setting_is_the_built_in_text() -> None:
    tokenizer = tokenizer_for(CAPTIONS, "")
    assert tokenizer.encode(CAPTIONS).shape == (3, 5), "words as they are"
