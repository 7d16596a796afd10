"""What every family promises; a new file in models/ is tested here without another line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from kineograph.core import registry
from kineograph.core.errors import RequestError
from kineograph.core.files import seal
from kineograph.data.sources import tutorial
from kineograph.models import checkpoint
from kineograph.models.base import (
    TensorBatch,
    VideoModel,
    VideoShape,
    noise_for,
    to_frames,
    to_model,
)
from kineograph.text.tokenizer import CaptionTokenizer

FAMILIES = registry.names("kineograph.models")
TOKENIZER = CaptionTokenizer.train(tutorial.CAPTIONS)
SHAPE = VideoShape(4, 64, 64)


def fresh(family: str, shape: VideoShape = SHAPE) -> VideoModel:
    torch.manual_seed(0)
    config = registry.load("kineograph.models", family).Config()
    return checkpoint.make(family, config, shape, TOKENIZER.vocabulary_size)


def some_batch(count: int = 6) -> TensorBatch:
    source = tutorial.Source(tutorial.Config(num_frames=SHAPE.num_frames))
    clips = source.batch(np.arange(count), 0)
    tokens = torch.from_numpy(TOKENIZER.encode(clips.captions))
    return TensorBatch(to_model(clips.frames), tokens, 0.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_generates_clips_of_its_shape_in_range(family: str) -> None:
    model = fresh(family)
    tokens = torch.from_numpy(TOKENIZER.encode(["circle moving up-right", "圓形"]))
    clips = model.generate(
        tokens, noise_for(0, range(2), model.noise_shape), steps=2, guidance_scale=1.0
    )
    assert clips.shape == (2, 4, 3, 64, 64)
    assert clips.abs().max() <= 1
    assert to_frames(clips).shape == (2, 4, 64, 64, 3)


@pytest.mark.parametrize("family", FAMILIES)
def test_noise_and_nothing_else_makes_two_clips_of_a_prompt_differ(family: str) -> None:
    model = fresh(family)
    tokens = torch.from_numpy(TOKENIZER.encode(["circle moving left"] * 2))
    noise = noise_for(0, range(2), model.noise_shape)
    first = model.generate(tokens, noise, steps=2, guidance_scale=1.0)
    again = model.generate(tokens, noise, steps=2, guidance_scale=1.0)
    assert torch.equal(first, again)
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_phase_gives_a_finite_total_that_moves_its_own_parameters(family: str) -> None:
    model = fresh(family)
    batch = some_batch()
    for phase in model.phases:
        model.zero_grad(set_to_none=True)
        losses = phase.losses(batch)
        assert all(torch.isfinite(value).all() for value in losses.values()), phase.name
        losses["total"].backward()
        moved = [p for p in phase.parameters if p.grad is not None and p.grad.abs().sum() > 0]
        assert moved, phase.name


@pytest.mark.parametrize("family", FAMILIES)
def test_phases_of_different_names_share_no_parameter(family: str) -> None:
    owners: dict[int, str] = {}
    for phase in fresh(family).phases:
        for parameter in phase.parameters:
            assert owners.setdefault(id(parameter), phase.name) == phase.name


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_gives_the_same_model_back(family: str, tmp_path: Path) -> None:
    model = fresh(family)
    config = registry.load("kineograph.models", family).Config()
    written(model, family, tmp_path / "model")
    opened = checkpoint.load(tmp_path / "model")
    tokens = torch.from_numpy(opened.tokenizer.encode(["circle bouncing vertically"]))
    noise = noise_for(1, range(1), model.noise_shape)
    assert torch.equal(
        opened.model.generate(tokens, noise, steps=2, guidance_scale=1.0),
        model.generate(tokens, noise, steps=2, guidance_scale=1.0),
    )
    assert opened.info == {"captions": ["circle"]}
    assert (opened.settings, opened.card) == (config, "# A model")
    assert opened.family == family


@pytest.mark.parametrize("family", FAMILIES)
def test_without_what_only_training_needs_a_model_generates_the_same(
    family: str, tmp_path: Path
) -> None:
    model = fresh(family).eval()
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.bfloat16())  # so that rounding changes nothing
    tokens = torch.from_numpy(TOKENIZER.encode(["circle bouncing vertically"]))
    noise = noise_for(1, range(1), model.noise_shape)
    made = model.generate(tokens, noise, steps=2, guidance_scale=1.0)
    written(model, family, tmp_path / "whole")
    model.without_training()
    written(model, family, tmp_path / "bare")
    bare = checkpoint.load(tmp_path / "bare").model
    assert torch.equal(bare.generate(tokens, noise, steps=2, guidance_scale=1.0), made)
    assert bare.phases == []
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("bare", "whole")]
    assert sizes[0] < 0.5 * sizes[1]
    again = tmp_path / "bare/config.json"
    again.write_text(again.read_text().replace('"inference_only": true', '"inference_only": false'))
    seal(tmp_path / "bare")
    with pytest.raises(RequestError, match="missing"):
        checkpoint.load(tmp_path / "bare")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_size_that_a_family_cannot_make_is_refused(family: str) -> None:
    with pytest.raises(RequestError, match=r"cannot make|only"):
        fresh(family, VideoShape(4, 50, 50))


def test_pixels_survive_the_way_into_a_model_and_back() -> None:
    frames = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16, 1).repeat(3, axis=-1)
    tensor = to_model(frames)
    assert tensor.shape == (1, 1, 3, 16, 16)
    assert (tensor.min(), tensor.max()) == (-1, 1)
    assert np.array_equal(to_frames(tensor), frames)


def test_noise_of_an_item_does_not_depend_on_its_batch() -> None:
    assert torch.equal(noise_for(3, range(5), (7,))[2:4], noise_for(3, range(2, 4), (7,)))
    assert not torch.equal(noise_for(3, range(1), (7,)), noise_for(4, range(1), (7,)))


def test_a_model_folder_runs_no_code_that_it_names(tmp_path: Path) -> None:
    save_model(tmp_path / "model", family=str(tmp_path / "evil.py"))
    (tmp_path / "evil.py").write_text("import pathlib; pathlib.Path('ran').touch()")
    with pytest.raises(RequestError, match="asks to run the code"):
        checkpoint.load(tmp_path)
    assert not Path("ran").exists()


def test_of_a_newer_format_it_is_said_which_version_opens_it(tmp_path: Path) -> None:
    save_model(tmp_path / "model")
    described = tmp_path / "model/config.json"
    told = json.loads(described.read_text())
    for info, version in (({"version": "7.1.0"}, r"newer kineograph: 7\.1\.0\."), (None, "newer")):
        described.write_text(json.dumps(told | {"format": 2, "info": info}))
        seal(tmp_path / "model")
        with pytest.raises(RequestError, match=version):
            checkpoint.load(tmp_path)


def test_a_model_is_refused_before_there_is_memory_for_what_it_claims_to_be(tmp_path: Path) -> None:
    huge = VideoShape(10**6, 64, 64)
    save_model(tmp_path / "model", shape=huge)
    with pytest.raises(RequestError, match="do not fit together"):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors", "MODEL_CARD.md"])
def test_a_model_whose_manifest_leaves_a_file_out_is_refused(name: str, tmp_path: Path) -> None:
    save_model(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    del manifest["files"][name]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RequestError, match=f"{name} is not sealed"):
        checkpoint.load(tmp_path)


def written(model: VideoModel, family: str, folder: Path) -> None:
    """A folder of the model, which has the usual settings."""
    checkpoint.save(
        folder,
        model,
        TOKENIZER,
        family=family,
        model_config=registry.load("kineograph.models", family).Config(),
        info={"captions": ["circle"]},
        card="# A model",
    )


def save_model(folder: Path, family: str = "flow", shape: VideoShape = SHAPE) -> None:
    """A flow, which its folder says to be something else."""
    model = fresh("flow")
    model.shape = shape
    settings = registry.load("kineograph.models", "flow").Config()
    told = {"family": family, "model_config": settings, "info": {}, "card": ""}
    checkpoint.save(folder, model, TOKENIZER, **told)  # type: ignore[arg-type]  # of many types
