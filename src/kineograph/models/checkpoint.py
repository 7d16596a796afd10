"""Folder <-> ready model: safetensors and JSON, nothing pickled, no code run."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from kineograph.core import config, registry
from kineograph.core.errors import RequestError, in_short
from kineograph.core.files import check_seal, new_folder, read_json, read_small
from kineograph.models import bundled
from kineograph.models.base import VideoModel, VideoShape
from kineograph.text.pretrained import SHIFT
from kineograph.text.tokenizer import CaptionTokenizer

FORMAT = 1
CONFIG, WEIGHTS, TOKENIZER, CARD = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "MODEL_CARD.md",
)
LANGUAGE_MODEL = "language_model"
"""The subfolder for a frozen language model, so that whoever gets the folder has all of it."""
_PACKAGE = "kineograph.models"
_MOST_BESIDE = 2**26  # numbers in a model's tables that are no weights, and so in no file


@dataclass(frozen=True)
class ModelFolder:
    """A model that is ready to generate, and what is known of it."""

    model: VideoModel
    tokenizer: CaptionTokenizer
    family: str
    info: dict[str, Any]
    """What ``save`` was given: recipe, captions, fps, version, accuracy, ..."""
    settings: Any
    """The family's Config, as ``save`` was given it."""
    card: str


def make(family: str, model_config: Any, shape: VideoShape, vocabulary_size: int) -> VideoModel:
    """A fresh model of a family, with random weights."""
    model: VideoModel = registry.load(_PACKAGE, family).Model(model_config, shape, vocabulary_size)
    return model


def save(
    folder: Path,
    model: VideoModel,
    tokenizer: CaptionTokenizer,
    *,
    family: str,
    model_config: Any,
    info: Mapping[str, Any],
    card: str,
) -> None:
    """Write a model folder, whole or not at all; one that is there is replaced.

    Of a model without what only training needs the weights are written in bfloat16, too: they are
    rounded to 8 bits, and take half the bytes.
    """
    described = {
        "format": FORMAT,
        "family": family,
        "model": config.to_dict(model_config),
        "shape": asdict(model.shape),
        "vocabulary_size": tokenizer.vocabulary_size,
        "num_inference_steps": model.default_steps,
        "guidance_scale": model.default_guidance,
        "inference_only": not model.phases,
        "info": dict(info),
    }
    weights = {name: value.detach().contiguous() for name, value in model.state_dict().items()}
    if not model.phases:
        weights = {
            name: value.bfloat16() if value.is_floating_point() else value
            for name, value in weights.items()
        }
    with new_folder(folder, replace=True) as temporary:
        (temporary / CONFIG).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
        (temporary / TOKENIZER).write_text(tokenizer.to_json(), encoding="utf-8")
        (temporary / CARD).write_text(card, encoding="utf-8")
        save_file(weights, temporary / WEIGHTS)
        shutil.copymode(temporary / CONFIG, temporary / WEIGHTS)  # else it is for its owner alone
        if model.language_model:
            model.language_model.save(temporary / LANGUAGE_MODEL)


def load(folder: Path) -> ModelFolder:
    """Open a model folder, or a run folder by its ``model``.

    Raises RequestError where it is missing, damaged, of a newer format or of another family.
    """
    place = find(folder)
    sealed(place)
    described = read_json(place / CONFIG)
    try:
        if described["format"] != FORMAT:
            told = described.get("info")
            version = told.get("version") if isinstance(told, Mapping) else None
            raise RequestError(
                f"{place} has format {in_short(described['format'])}, this version knows {FORMAT}.",
                "Install a newer kineograph" + (f": {in_short(version)}." if version else "."),
            )
        family = str(described["family"])
        registry.check_trusted(family, place)
        module = registry.load(_PACKAGE, family, "model family")
        shape = config.build(VideoShape, _mapping(described["shape"]), path="shape")
        settings = config.build(module.Config, _mapping(described["model"]), path="model")
        own, shift = settings, 0
        if getattr(settings, "language_model", ""):
            own, shift = replace(settings, language_model=str(place / LANGUAGE_MODEL)), SHIFT
        text = read_small(place / TOKENIZER).decode()
        tokenizer = CaptionTokenizer.from_json(text, shift)
        weights = load_file(place / WEIGHTS)
        bare = described.get("inference_only") is True
        make = partial(_made, module, own, shape, tokenizer.vocabulary_size, bare)
        if not shift:
            _check_sizes(make, weights)
        model = make()
        model.load_state_dict(weights)
        info = dict(_mapping(described["info"]))
        card = read_small(place / CARD).decode()
    except (KeyError, TypeError) as error:
        raise RequestError(
            f"{place / CONFIG} lacks {in_short(error)}.", "Train or fetch it again."
        ) from error
    except (SafetensorError, RuntimeError, UnicodeDecodeError) as error:
        raise RequestError(
            f"The files in {place} do not fit together: {in_short(error)}",
            "Train or fetch the model again.",
        ) from error
    model = model.eval().requires_grad_(False)
    return ModelFolder(model, tokenizer, family, info, settings, card)


def _made(module: Any, settings: Any, shape: VideoShape, words: int, bare: bool) -> VideoModel:
    """A model as it is when new, or ``bare``, without what only training needs."""
    model: VideoModel = module.Model(settings, shape, words)
    if bare:
        model.without_training()
    return model


def _check_sizes(make: Callable[[], VideoModel], weights: Mapping[str, Tensor]) -> None:
    """See, before there is any memory for it, that a model is as large as its weights.

    Raises RuntimeError, as PyTorch does for weights of another model.
    """
    with torch.device("meta"):
        sketch = make()
    for name, wanted in sketch.state_dict().items():
        if name not in weights or weights[name].shape != wanted.shape:
            there = list(weights[name].shape) if name in weights else "missing"
            raise RuntimeError(f"{name} is {there}, not {list(wanted.shape)}")
    if sum(buffer.numel() for buffer in sketch.buffers()) > _MOST_BESIDE + sum(
        tensor.numel() for tensor in weights.values()
    ):
        raise RuntimeError("the clips are larger than any that can be made")


def sealed(place: Path) -> list[str]:
    """The files of a model folder, all as they were. Raises RequestError where one is not."""
    files = check_seal(place)
    for name in (CONFIG, WEIGHTS, TOKENIZER, CARD):
        if name not in files:
            raise RequestError(f"{place / name} is not sealed.", "Train or fetch the model again.")
    return files


def find(folder: Path) -> Path:
    """The folder that holds ``config.json``: the one given, or ``model`` in a run folder."""
    for place in (folder, folder / "model"):
        if (place / CONFIG).is_file():
            return place
    if not folder.exists():
        raise RequestError(
            f"There is no folder {folder}.",
            f"Train one: `kineograph demo`. Kineograph comes with {' and '.join(bundled.NAMES)}.",
        )
    name = shlex.quote(str(folder))
    if (folder / "checkpoints").is_dir():
        raise RequestError(
            f"{folder} is a run without a finished model.",
            f"Finish it: `kineograph train {name}/config.toml --out {name} --resume`.",
        )
    raise RequestError(f"{folder} holds no model ({CONFIG} is missing).", "Name a model folder.")


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("a section")
    return value
