"""What ONNX files make is what PyTorch makes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from kineograph.core import registry
from kineograph.core.errors import MachineError, RequestError
from kineograph.data.sources import tutorial
from kineograph.models import checkpoint
from kineograph.models.base import VideoShape
from kineograph.sampling.onnx_export import MOST_APART, Precision, export
from kineograph.sampling.pipeline import Pipeline
from kineograph.text.tokenizer import CaptionTokenizer

TOKENIZER = CaptionTokenizer.train(tutorial.CAPTIONS)
SMALL = {"width": 16, "drawing_width": 8, "detail": 8, "depth": 1}


def pipeline(family: str, **settings: Any) -> Pipeline:
    """A model whose random weights all have a say in its clips."""
    torch.manual_seed(0)
    config = registry.load("kineograph.models", family).Config(**settings)
    model = checkpoint.make(family, config, VideoShape(4, 64, 64), TOKENIZER.vocabulary_size)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear) and not module.weight.any():
                module.weight.normal_(std=0.1)
    return Pipeline(model.eval(), TOKENIZER, {"captions": list(tutorial.CAPTIONS)})


@pytest.mark.parametrize(
    ("family", "settings", "parts"),
    [
        ("gan", SMALL, {"model"}),
        ("tutorial_gan", {}, {"model"}),
        ("flow", SMALL, {"denoiser", "decoder"}),
        ("flow", SMALL | {"objects": 2, "word_price": 0.1}, {"denoiser", "decoder"}),
    ],
)
def test_every_family_makes_the_same_clips(
    family: str, settings: dict[str, Any], parts: set[str], tmp_path: Path
) -> None:
    made = pipeline(family, **settings)
    done = export(made, tmp_path / "onnx")
    assert done.apart <= MOST_APART
    told = json.loads((tmp_path / "onnx/config.json").read_text())
    assert set(told["graphs"]) == parts
    names = {f"{part}.onnx" for part in parts} | {"config.json", "tokenizer.json"}
    assert {file.name for file in done.files} == names
    assert (told["precision"], told["noise_shape"]) == ("fp32", list(made.model.noise_shape))
    prompts = ["circle moving up", "a circle that nobody has ever seen, moving up-right", "x"]
    for count in (1, 3):  # of prompts of different lengths
        asked = prompts[:count]
        here, there = (each.batch(asked, range(count), 1) for each in (made, done.pipeline))
        for one, other in zip(here, there, strict=True):
            apart = abs(one.frames.astype(int) - other.frames.astype(int)).max()
            assert apart <= 1, "of 255, by rounding"
    assert made.model.phases, "the model itself stays as it is"


@pytest.mark.parametrize(("precision", "share"), [("fp16", 0.65), ("int8", 0.6)])
def test_fewer_bits_make_smaller_files_and_clips_that_are_like_it(
    precision: Precision, share: float, tmp_path: Path
) -> None:
    made = pipeline("tutorial_gan")
    whole = export(made, tmp_path / "whole")
    small = export(made, tmp_path / "small", precision=precision)
    sizes = [(each.folder / "model.onnx").stat().st_size for each in (small, whole)]
    assert sizes[0] < share * sizes[1]
    assert 0 < small.apart < 0.1


def test_what_is_there_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx/mine.txt").write_text("mine")
    with pytest.raises(RequestError, match="exists already"):
        export(pipeline("tutorial_gan"), tmp_path / "onnx")
    assert (tmp_path / "onnx/mine.txt").read_text() == "mine"


def test_other_clips_than_those_of_pytorch_are_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kineograph.sampling.onnx_export.MOST_APART", -1.0)
    with pytest.raises(MachineError, match="other clips than PyTorch"):
        export(pipeline("tutorial_gan"), tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


@pytest.mark.parametrize("family", ["gan", "flow"])
def test_a_setting_that_has_no_graph_is_named(family: str, tmp_path: Path) -> None:
    made = pipeline(family, **SMALL)
    made.model.language_model = object()  # type: ignore[assignment]  # that it has one
    with pytest.raises(RequestError, match=r"model\.language_model"):
        export(made, tmp_path / "onnx")
    with pytest.raises(RequestError, match=r"model\.objects 0"):
        export(pipeline("flow", **SMALL | {"objects": 0}), tmp_path / "onnx")


def test_without_the_packages_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RequestError, match=r"onnxruntime is needed.*kineograph\[onnx\]"):
        export(pipeline("tutorial_gan"), tmp_path / "onnx")


def test_a_precision_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="fp32, fp16, int8"):
        export(pipeline("tutorial_gan"), tmp_path / "onnx", precision="int4")  # type: ignore[arg-type]  # wrong
