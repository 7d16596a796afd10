"""A trained flow learns to make in few steps what it makes in many, in a new run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import kineograph
from kineograph import api, recipes
from kineograph.apps.cli import main
from kineograph.core.errors import RequestError
from kineograph.models import checkpoint
from kineograph.recipes import Recipe

TOY: dict[str, Any] = {
    "data": {"num_frames": 4, "height": 16, "width": 16},
    "model": {"width": 16, "drawing_width": 8},
    "training": {"steps": 2, "batch_size": 4, "evaluate_every": 0, "precision": "fp32"},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "toy"
    api.train(recipes.resolve("tutorial", TOY), folder)
    return folder


def small(run: Path, measured: int = 4, **training: Any) -> Recipe:
    recipe = api.distillation_of(run)
    assert recipe.distill is not None
    few = replace(recipe.distill, measured=measured)
    return replace(recipe, distill=few, training=replace(recipe.training, minutes=None, **training))


def test_the_teacher_stays_and_so_does_the_autoencoder(run: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
    api.train(small(run, measured=0, steps=1), tmp_path / "quick")
    assert all(path.read_bytes() == kept for path, kept in before.items())
    old, new = (checkpoint.load(each).model.state_dict() for each in (run, tmp_path / "quick"))
    changed = {name.split(".")[0] for name in old if not torch.equal(old[name], new[name])}
    assert changed == {"denoiser"}


def test_what_is_right_by_steps_is_told_before_and_after(run: Path, tmp_path: Path) -> None:
    result = api.train(small(run, steps=2), tmp_path / "quick")
    told = json.loads((tmp_path / "quick" / "distillation.json").read_text())
    assert result.effect is not None
    assert told == result.effect.as_json()
    for when in ("before", "after"):
        assert told[when].keys() == {"training captions", "captions never seen"}
        for shares in told[when].values():
            assert {steps: share["trials"] for steps, share in shares.items()} == dict.fromkeys(
                ("1", "2", "4", "8"), 4
            )
    card = (tmp_path / "quick" / "model" / "MODEL_CARD.md").read_text()
    assert f"distilled from `{run}`" in card


def test_its_config_repeats_it_and_it_is_distilled_again(run: Path, tmp_path: Path) -> None:
    api.train(small(run, measured=0, steps=2), tmp_path / "one")
    api.train(recipes.resolve(str(tmp_path / "one" / "config.toml")), tmp_path / "other")
    one, other = (checkpoint.load(tmp_path / name).model.state_dict() for name in ("one", "other"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert small(tmp_path / "one").name == small(run).name


@pytest.mark.parametrize(
    ("section", "key", "value", "why"),
    [
        ("distill", "steps", 0, "distill.steps is 0"),
        ("distill", "learning_rate", 0.0, "distill.learning_rate is 0"),
        ("distill", "measured", -1, "distill.measured is -1"),
        ("distill", "start_share", 1.5, "distill.start_share is 1.5"),
        ("distill", "run", "nowhere", "no folder nowhere"),
        ("model", "width", 24, "other settings"),
    ],
)
def test_what_cannot_be_distilled_is_refused_before_anything_is_written(
    run: Path, tmp_path: Path, section: str, key: str, value: Any, why: str
) -> None:
    recipe = small(run)
    changed = replace(recipe, **{section: replace(getattr(recipe, section), **{key: value})})
    with pytest.raises(RequestError, match=why):
        api.train(changed, tmp_path / "quick")
    assert not (tmp_path / "quick").exists()


def test_a_model_without_steps_is_told_so(tmp_path: Path) -> None:
    gan = recipes.resolve("tutorial-gan", {**TOY, "training": {**TOY["training"], "steps": 1}})
    api.train(gan, tmp_path / "gan")
    with pytest.raises(RequestError, match="one step as it is"):
        kineograph.distill(tmp_path / "gan", tmp_path / "quick")
    assert not (tmp_path / "quick").exists()


def test_it_is_not_refined_at_the_same_time(run: Path, tmp_path: Path) -> None:
    both = replace(small(run), refine=api.refinement_of(run).refine)
    with pytest.raises(RequestError, match="cannot both"):
        api.train(both, tmp_path / "quick")


def test_the_command_shows_steps(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small(run, steps=1)
    monkeypatch.setattr(api, "distillation_of", lambda run, **_: recipe)
    monkeypatch.chdir(tmp_path)
    assert main(["distill", str(run)]) == 0
    out = capsys.readouterr().out
    assert "1 step " in out
    assert "captions never seen" in out
    assert "--model runs/tutorial-distilled-1" in out
    assert main(["distill", str(run), "--out", "runs/tutorial-distilled-1"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["train", "runs/tutorial-distilled-1/config.toml", "--help"]) == 0
    assert "--distill.start-share" in capsys.readouterr().out
