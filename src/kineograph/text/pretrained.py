"""A frozen pretrained language model, from a folder on disk, in the place of words that
are random or learned.

What it has read of the world comes with it: "disc" is near "circle" before any training. Nothing of
it is learned here, nothing is downloaded, and no code in its folder is run. `transformers`, an
extra, is imported only where such a model is named.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.core.errors import RequestError
from kineograph.text.tokenizer import CaptionTokenizer

_REMEMBERED = 2**26  # numbers of hidden states, 256 MiB; captions repeat, and reading takes long
_LONGEST = 4096  # tokens, where a model sets no limit; a prompt has at most 1,000 characters
SHIFT = 1
"""From a language model's token ids to ours: 0 is a word to some, and padding to us."""


@dataclass(frozen=True)
class ReaderConfig:
    """What a family lets one set about who reads the captions."""

    text_features: int = 128
    """Numbers that describe a caption."""
    language_model: str = ""
    """Folder of a pretrained language model that reads the captions, frozen, such as BERT, or the
    encoder of T5 (`pip install kineograph[transformers]`); empty for the built-in text."""


def tokenizer_for(captions: Iterable[str], language_model: str) -> CaptionTokenizer:
    """The tokenizer of the language model in a folder, or one that is trained on the captions."""
    if not language_model:
        return CaptionTokenizer.train(captions)
    with _reading(language_model) as transformers:
        opened = transformers.AutoTokenizer.from_pretrained(language_model, local_files_only=True)
        settings = _settings(transformers, language_model)
    tokenizer = getattr(opened, "backend_tokenizer", None)
    if tokenizer is None:
        raise RequestError(
            f"The tokenizer in {language_model} is none that tokenizer.json can hold.",
            "Choose a language model with a fast tokenizer.",
        )
    size = tokenizer.get_vocab_size()
    if not settings.vocab_size / 2 < size <= settings.vocab_size:  # 5 where its files are missing
        raise RequestError(
            f"The tokenizer in {language_model} has {size} tokens, its model "
            f"{settings.vocab_size}.",
            "Save the model's own tokenizer into that folder (save_pretrained).",
        )
    tokenizer.no_padding()
    # Of a longer caption the rest is cut off. RoBERTa's positions start at 2; XLNet has -1 of them.
    places = max(getattr(settings, "max_position_embeddings", None) or 0, 0) or _LONGEST
    tokenizer.enable_truncation(min(places, opened.model_max_length, _LONGEST) - 2)
    return CaptionTokenizer(tokenizer, SHIFT)


class LanguageModel:
    """An encoder that only reads, and what it has read.

    It is no Module, and so no part of the model whose captions it reads: it is in no optimiser, no
    average and no checkpoint, and nothing sets it to train. Copies of that model share it.
    """

    def __init__(self, folder: str) -> None:
        """Open a folder. Raises RequestError where it holds none, or the extra is missing."""
        self.folder = folder
        self._device = torch.device("cpu")
        self._read: dict[tuple[int, ...], Tensor] = {}
        self._room = _REMEMBERED
        with _reading(folder) as transformers:
            self._whole = _opened(transformers, folder)
            decodes = self._whole.config.is_encoder_decoder
            self._encoder = self._whole.get_encoder() if decodes else self._whole
            self.features: int = self._hidden((SHIFT,)).shape[-1]

    def __deepcopy__(self, memo: object) -> LanguageModel:
        return self

    def __call__(self, tokens: Tensor) -> Tensor:
        """Token ids (B, L), 0 for padding => last hidden states (B, L, H), 0 for padding."""
        if tokens.device != self._device:
            self._encoder.to(tokens.device)
            self._device = tokens.device
            self._read, self._room = {}, _REMEMBERED
        out = torch.zeros(*tokens.shape, self.features, device=tokens.device)
        for row, ids in zip(out, tokens.tolist(), strict=True):
            caption = tuple(i for i in ids if i != 0)
            if caption:
                row[: len(caption)] = self._hidden(caption)
        return out

    def _hidden(self, caption: tuple[int, ...]) -> Tensor:
        """One caption's hidden states (L, H), read once."""
        if caption not in self._read:
            found = self._look(caption)
            while self._read and self._room < found.numel():
                self._room += self._read.pop(next(iter(self._read))).numel()  # the oldest
            self._read[caption] = found
            self._room -= found.numel()
        return self._read[caption]

    def _look(self, caption: tuple[int, ...]) -> Tensor:
        """Alone, and in full precision, so that a caption is the same in any company."""
        ids = torch.tensor([caption], device=self._device) - SHIFT
        with torch.autocast(self._device.type, enabled=False):
            found = self._encoder(input_ids=ids, attention_mask=torch.ones_like(ids))
        hidden: Tensor = found.last_hidden_state[0]
        return hidden

    @functools.cached_property
    def digest(self) -> Tensor:
        """SHA-256 (32,) of the weights that read, however they are stored."""
        sha = hashlib.sha256()
        for name, weights in sorted(self._encoder.state_dict().items()):
            if "pooler" not in name:
                sha.update(name.encode() + weights.cpu().contiguous().numpy().tobytes())
        return torch.tensor(list(sha.digest()), dtype=torch.uint8)

    def save(self, folder: Path) -> None:
        """Write it into a folder that `LanguageModel` opens: safetensors and JSON."""
        with _quiet(_transformers()):
            self._whole.save_pretrained(folder)


class WordsInContext(nn.Module):
    """A language model's last hidden states, by a fixed random projection, each of one length.

    Random projections keep angles (Johnson and Lindenstrauss 1984), so words are as near to each
    other as the language model has them; and as signs are, they are vectors of mean square 1.
    """

    projection: Tensor

    def __init__(self, language_model: LanguageModel, features: int) -> None:
        super().__init__()
        self.language_model = language_model
        projection = torch.randn(language_model.features, features)
        self.register_buffer("projection", projection / language_model.features**0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (B, L), 0 for padding => words (B, L, D) of mean square 1, 0 for padding."""
        captions, whose = torch.unique(tokens, dim=0, return_inverse=True)
        with torch.autocast(tokens.device.type, enabled=False):
            words = self.language_model(captions) @ self.projection
            return F.rms_norm(words, words.shape[-1:])[whose]

    def get_extra_state(self) -> Tensor:
        """What a checkpoint holds of the language model: which one it is."""
        return self.language_model.digest.clone()  # safetensors refuses what two share

    def set_extra_state(self, state: Tensor) -> None:
        """Raise RequestError where a checkpoint was made with another language model."""
        if not torch.equal(state.cpu(), self.language_model.digest):
            raise RequestError(
                f"The language model in {self.language_model.folder} is not the one that this "
                "model was trained with.",
                "Name the folder of that one: --model.language-model FOLDER.",
            )


# ---- reading a folder ---------------------------------------------------------------------------


def _transformers() -> Any:
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise RequestError(
            "A pretrained language model takes transformers, which is not installed.",
            "Install it: pip install 'kineograph[transformers]'. Or leave model.language_model "
            "empty.",
        ) from error


@contextlib.contextmanager
def _reading(folder: str) -> Iterator[Any]:
    """Give transformers to read ``folder`` with; what it finds wrong becomes a RequestError."""
    if not (Path(folder) / "config.json").is_file():
        raise RequestError(
            f"{folder} is no folder with a language model (config.json is missing).",
            "Nothing is downloaded: save the model and its tokenizer to disk (save_pretrained), "
            "and name that folder.",
        )
    transformers = _transformers()
    try:
        with _quiet(transformers):
            yield transformers
    except RequestError:
        raise
    except Exception as error:  # of any kind, as folders of any kind are given to it
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RequestError(
            f"{folder} holds no language model that can be read: {said}",
            "It needs config.json, the weights and the tokenizer of a text encoder.",
        ) from error


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without its progress bars, and reports on weights that are not needed."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _settings(transformers: Any, folder: str) -> Any:
    """The language model's own config; of one that reads pictures, too, the part for text."""
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    return config.get_text_config()


def _opened(transformers: Any, folder: str) -> Any:
    """The model, frozen, without a decoder where it can be opened so (T5)."""
    settings = _settings(transformers, folder)
    known = transformers.MODEL_FOR_TEXT_ENCODING_MAPPING
    encodes = type(settings) in known
    kind = transformers.AutoModelForTextEncoding if encodes else transformers.AutoModel
    model, found = kind.from_pretrained(
        folder,
        config=settings,
        local_files_only=True,
        dtype=torch.float32,  # half of it overflows in some (T5), and is slow on a processor
        output_loading_info=True,
    )
    lacking = [name for name in found["missing_keys"] if "pooler" not in name]  # not read here
    if lacking:
        raise RequestError(
            f"The weights in {folder} lack {min(lacking)}.", "They belong to another model."
        )
    return model.eval().requires_grad_(False)
