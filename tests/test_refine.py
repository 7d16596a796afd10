"""A trained model goes on with what a part of the judge chose among its own clips, in a new run."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kineograph import api, lessons, recipes
from kineograph.apps.cli import main
from kineograph.core.errors import RequestError
from kineograph.evaluation.judges import SourceJudge
from kineograph.evaluation.verifier import Verdict
from kineograph.models import checkpoint
from kineograph.recipes import Recipe
from kineograph.training.loop import Hooks, Status

TOY: dict[str, Any] = {
    "data": {"num_frames": 4, "height": 16, "width": 16},
    "model": {"width": 16, "drawing_width": 8},
    "training": {"steps": 3, "batch_size": 4, "evaluate_every": 0, "precision": "fp32"},
}


def by_a_whim(frames: np.ndarray, prompt: str, fps: float = 10.0) -> Verdict:
    """A judge that a model of three steps pleases in part: it goes by sums of pixels."""
    total = int(frames.sum())
    facts = {"motion": total % 2 == 0, "shape": total % 3 == 0}
    return Verdict("yes" if all(facts.values()) else "no", [], {"facts": facts})


@pytest.fixture(scope="module", params=["tutorial", "tutorial-gan"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "toy"
    api.train(recipes.resolve(request.param, TOY), folder)
    return folder


@pytest.fixture
def whim(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = SourceJudge(
        lambda frames, prompts, fps: [by_a_whim(frames, prompt, fps) for prompt in prompts],
        lambda name, clip: False,
        lambda clip: [],
    )
    monkeypatch.setattr(lessons, "judge_of", lambda source: judge)


def small(run: Path, **training: Any) -> Recipe:
    recipe = api.refinement_of(run)
    assert recipe.refine is not None
    few = replace(recipe.refine, clips=12, attempts=2, measured=6)
    return replace(recipe, refine=few, training=replace(recipe.training, **training))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(checkpoint.load(folder).model.state_dict())


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_it_becomes_a_run_of_its_own_that_generates(
    run: Path, tmp_path: Path, whim: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, learned = contents(run), []
    mixture = lessons.Mixture

    def spy(source: Any, chosen: Any, share: float) -> Any:
        learned.extend(chosen)
        return mixture(source, chosen, share)

    monkeypatch.setattr(lessons, "Mixture", spy)
    result = api.train(small(run), tmp_path / "better")
    assert contents(run) == before
    assert learned
    assert all(by_a_whim(clip.frames, clip.caption).facts["motion"] for clip in learned)
    assert not all(by_a_whim(clip.frames, clip.caption).facts["shape"] for clip in learned)
    assert api.generate("circle moving up", model=tmp_path / "better")[0].frames.shape[0] == 4
    told = json.loads((tmp_path / "better" / "refinement.json").read_text())
    assert result.effect is not None
    assert told == result.effect.as_json()
    assert (told["taught"], told["held_out"]) == (["motion"], ["shape"])
    assert told["clips"] == {"asked": 12, "chosen": len(learned)}
    for when in ("before", "after"):
        assert told[when].keys() == {"training captions", "captions never seen"}
    card = (tmp_path / "better" / "model" / "MODEL_CARD.md").read_text()
    assert f"refined from `{run}`" in card


def test_the_autoencoder_stays_as_it_is_and_the_rest_goes_on(
    run: Path, tmp_path: Path, whim: None
) -> None:
    api.train(small(run), tmp_path / "better")
    old, new = weights(run), weights(tmp_path / "better")
    changed = {name.split(".")[0] for name in old if not torch.equal(old[name], new[name])}
    assert changed
    assert "autoencoder" not in changed
    rows = (tmp_path / "better" / "metrics.jsonl").read_text()
    assert len(rows.splitlines()) == 3
    assert "autoencoder" not in rows


def test_its_config_repeats_it(run: Path, tmp_path: Path, whim: None) -> None:
    api.train(small(run, minutes=None), tmp_path / "one")  # time would decide on schedules
    again = recipes.resolve(str(tmp_path / "one" / "config.toml"))
    api.train(again, tmp_path / "other")
    one, other = weights(tmp_path / "one"), weights(tmp_path / "other")
    assert all(torch.equal(one[name], other[name]) for name in one)
    told = [(tmp_path / name / "refinement.json").read_text() for name in ("one", "other")]
    assert told[0] == told[1]


def test_an_interrupted_one_is_saved_and_goes_on(run: Path, tmp_path: Path, whim: None) -> None:
    def stop_at_once(status: Status) -> None:
        signal.raise_signal(signal.SIGINT)

    folder = tmp_path / "better"
    result = api.train(small(run), folder, hooks=Hooks(progress=stop_at_once))
    assert (result.ended, result.steps, result.effect) == ("interrupted", 1, None)
    assert api.load(folder).model
    recipe = recipes.resolve(str(folder / "config.toml"))
    result = api.train(recipe, folder, resume=True)
    assert (result.ended, result.steps) == ("finished", 3)
    assert result.effect is not None


def test_a_refined_run_is_refined_again(
    run: Path, tmp_path: Path, whim: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small(run)
    with monkeypatch.context() as patched:
        patched.setattr(api, "refinement_of", lambda run, **_: recipe)
        assert api.refine(run, tmp_path / "once").steps == 3
    recipe = small(tmp_path / "once")
    assert recipe.name == small(run).name
    assert api.train(recipe, tmp_path / "twice").effect is not None


@pytest.mark.parametrize(
    ("section", "key", "value", "why"),
    [
        ("refine", "share", 1.5, "refine.share is 1.5"),
        ("refine", "clips", 0, "refine.clips is 0"),
        ("refine", "run", "nowhere", "no folder nowhere"),
        ("refine", "teach", ("color",), 'no part of the judge "color"'),
        ("training", "stop_at", 0.9, "cannot end"),
        ("training", "keep", "best", "cannot end"),
        ("training", "minutes", -1.0, "minutes is -1"),
        ("model", "width", 24, "other settings"),
        ("data", "height", 24, "other settings"),
    ],
)
def test_what_cannot_be_refined_is_refused_before_anything_is_written(
    run: Path, tmp_path: Path, whim: None, section: str, key: str, value: Any, why: str
) -> None:
    recipe = small(run)
    changed = replace(recipe, **{section: replace(getattr(recipe, section), **{key: value})})
    with pytest.raises(RequestError, match=why):
        api.train(changed, tmp_path / "better")
    assert not (tmp_path / "better").exists()


def test_a_model_that_never_passes_is_told_so(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="None of 24 clips passes what teaches, motion"):
        api.train(small(run), tmp_path / "better")
    assert not (tmp_path / "better").exists()


# ---- the command -------------------------------------------------------------------------------


def test_the_command_shows_both_parts(
    run: Path, tmp_path: Path, whim: None, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    recipe = small(run)
    monkeypatch.setattr(api, "refinement_of", lambda run, **_: recipe)
    monkeypatch.chdir(tmp_path)
    assert main(["refine", str(run), "--out", "better"]) == 0
    out = capsys.readouterr().out
    assert "taught:   motion" in out
    assert "held out: shape" in out
    assert "captions never seen" in out
    assert "--model better" in out
    assert main(["refine", str(run), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["effect"]["taught"] == ["motion"]
    assert told["folder"].startswith("runs/tutorial")
    assert main(["refine", str(run), "--out", "better"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["train", "better/config.toml", "--help"]) == 0
    assert "--refine.share" in capsys.readouterr().out


def test_a_source_without_a_judge_cannot_teach(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "export", "tutorial", "mine", "--count", "36"]) == 0
    recipe = recipes.resolve(
        "tutorial", {**TOY, "data": {"source": "folder", "path": "mine", **TOY["data"]}}
    )
    api.train(recipe, "toy")
    assert main(["refine", "toy", "--out", "better"]) == 2
    assert "no judge that could teach" in capsys.readouterr().err
    assert not Path("better").exists()
