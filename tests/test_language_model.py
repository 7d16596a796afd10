"""The whole path with a pretrained language model: training, resume, a folder, clips."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from kineograph import api, recipes
from kineograph.apps.cli import main
from kineograph.core.errors import RequestError
from kineograph.text.pretrained import WordsInContext

PROMPTS = ["circle moving up-right", "disc drifts left"]


def toy(family: str, language_model: Path, **training: Any) -> recipes.Recipe:
    return recipes.resolve(
        "tutorial",
        {
            "data": {"num_frames": 4, "height": 16, "width": 16},
            "model": {
                "family": family,
                "width": 16,
                "drawing_width": 8,
                "turns_a_step": 2,
                "language_model": str(language_model),
            },
            "training": {
                "steps": 4,
                "batch_size": 4,
                "evaluate_every": 0,
                "checkpoint_every": 2,
                "precision": "fp32",
                **training,
            },
        },
    )


def frames(folder: Path) -> list[np.ndarray]:
    pipeline = api.load(folder)
    return [pipeline(prompt, seed=1, num_inference_steps=2)[0].frames for prompt in PROMPTS]


def weights(run: Path, step: int = 4) -> dict[str, torch.Tensor]:
    place = run / "checkpoints" / f"step-{step:06d}"
    names = ("model", "ema", "optimizer")
    return {
        f"{name} {key}": value
        for name in names
        for key, value in load_file(place / f"{name}.safetensors").items()
    }


@pytest.mark.parametrize("family", ["flow", "gan"])
def test_a_model_folder_has_all_that_it_takes(
    family: str, language_model: Callable[..., Path], tmp_path: Path
) -> None:
    reader = tmp_path / "reader"
    shutil.copytree(language_model(), reader)
    api.train(toy(family, reader), tmp_path / "run")
    before = frames(tmp_path / "run")
    assert not np.array_equal(*before), "it hears what is said"
    shutil.rmtree(reader)
    shutil.move(tmp_path / "run" / "model", tmp_path / "shared")
    for one, other in zip(before, frames(tmp_path / "shared"), strict=True):
        assert np.array_equal(one, other)
    (tmp_path / "shared" / "language_model" / "model.safetensors").write_bytes(b"")
    with pytest.raises(RequestError, match=r"language_model/model\.safetensors is damaged"):
        api.load(tmp_path / "shared")


@pytest.mark.parametrize("family", ["flow", "gan"])
def test_there_is_one_of_it_and_no_checkpoint_holds_it(
    family: str, language_model: Callable[..., Path], tmp_path: Path
) -> None:
    api.train(toy(family, language_model()), tmp_path / "run")
    assert not [key for key in weights(tmp_path / "run") if "encoder.layer" in key]
    model = api.load(tmp_path / "run").model
    words = [module for module in model.modules() if isinstance(module, WordsInContext)]
    assert len(words) == {"flow": 1, "gan": 2}[family]
    assert all(each.language_model is model.language_model for each in words)


def test_training_in_two_pieces_is_training_at_once(
    language_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Though the language model has moved, and reads the captions anew; but not with another."""
    api.train(toy("flow", language_model()), tmp_path / "whole")
    shutil.copytree(language_model(), tmp_path / "moved")
    run = tmp_path / "pieces"
    api.train(toy("flow", language_model()), run)
    shutil.rmtree(run / "checkpoints" / "step-000004")
    with pytest.raises(RequestError, match="not the one that this model was trained with"):
        api.train(toy("flow", language_model(seed=1)), run, resume=True)
    with pytest.raises(RequestError, match="other settings"):
        api.train(recipes.resolve("tutorial"), run, resume=True)
    api.train(toy("flow", tmp_path / "moved"), run, resume=True)
    whole, pieces = weights(tmp_path / "whole"), weights(run)
    assert whole.keys() == pieces.keys()
    assert all(torch.equal(value, pieces[key]) for key, value in whole.items())


def test_it_trains_in_bf16_as_well(language_model: Callable[..., Path], tmp_path: Path) -> None:
    assert api.train(toy("gan", language_model(), precision="bf16"), tmp_path / "run").steps == 4


def test_a_folder_without_one_ends_before_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "tutorial", "--out", str(tmp_path / "run"), "--model.language-model", "bert"]
    assert main(words) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "bert is no folder with a language model" in said
    assert "Nothing is downloaded" in said
    assert not (tmp_path / "run").exists()
