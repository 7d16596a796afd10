"""The whole path at toy size: settings, training, a folder, clips, verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kineograph import api, recipes
from kineograph.core.errors import RequestError
from kineograph.data.clip import Clip
from kineograph.data.sources.tutorial import CAPTIONS, UNSEEN_PROMPTS, Config, Source
from kineograph.data.video_io import video_bytes
from kineograph.evaluation.frechet import FrechetOptions
from kineograph.models import checkpoint
from kineograph.training import run_folder
from kineograph.training.loop import Hooks, Status

TOY: dict[str, dict[str, int]] = {
    "data": {"num_frames": 4, "height": 16, "width": 16},
    "model": {"width": 16, "drawing_width": 8},
    "training": {"steps": 3, "batch_size": 4, "evaluate_every": 2, "checkpoint_every": 2},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "toy"
    result = api.train(recipes.resolve("tutorial", TOY), folder)
    assert (result.ended, result.steps) == ("finished", 3)
    return folder


def test_a_run_folder_holds_what_the_design_says(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert names == {
        "config.toml",
        "metrics.jsonl",
        "clock.jsonl",
        "environment.json",
        ".lock",
        "samples",
        "checkpoints",
        "model",
    }
    assert (run / "samples" / "step-000002.webp").stat().st_size > 100
    assert {p.name for p in (run / "model").iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "MODEL_CARD.md",
        "manifest.json",
    }
    assert json.loads((run / "environment.json").read_text())["torch"] == torch.__version__


def test_a_model_can_be_tried_while_it_learns(tmp_path: Path) -> None:
    seen: list[tuple[list[str], int]] = []

    def progress(status: Status) -> None:
        snapshots = run_folder.snapshots(tmp_path / "run")
        if snapshots:
            told = api.load(snapshots[-1])
            assert told("circle moving down")[0].frames.shape == (4, 16, 16, 3)
            seen.append(([path.name for path in snapshots], told.info["steps"]))

    often = {"training": {**TOY["training"], "evaluate_every": 1, "steps": 4}}
    recipe = recipes.resolve("tutorial", {**TOY, **often})
    api.train(recipe, tmp_path / "run", hooks=Hooks(progress=progress))
    assert seen[-1] == (["step-000002", "step-000003"], 3)
    assert run_folder.snapshots(tmp_path / "run") == []
    assert not (tmp_path / "run" / "snapshots").exists()


def test_its_config_repeats_the_run(run: Path, tmp_path: Path) -> None:
    again = recipes.resolve(str(run / "config.toml"))
    assert again.training.precision in ("bf16", "fp32")  # and no longer whatever is faster
    asked = replace(again.training, precision="auto")
    assert replace(again, training=asked) == recipes.resolve("tutorial", TOY)
    api.train(again, tmp_path / "again")
    one, other = (
        checkpoint.load(folder).model.state_dict() for folder in (run, tmp_path / "again")
    )
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_run_is_never_overwritten(run: Path) -> None:
    with pytest.raises(RequestError, match="exists already"):
        api.train(recipes.resolve("tutorial", TOY), run)


def test_a_resume_of_a_finished_run_goes_on_if_there_are_more_steps(
    run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "longer"
    api.train(recipes.resolve("tutorial", TOY), folder)
    asked = {"training": {**TOY["training"], "steps": 5}}
    longer = recipes.resolve("tutorial", {**TOY, **asked})
    assert longer.training.precision == "auto"  # and the run's own is kept
    assert api.train(longer, folder, resume=True).steps == 5
    with pytest.raises(RequestError, match="no run folder"):
        api.train(longer, tmp_path, resume=True)


def test_a_run_opens_as_a_model_and_generates(run: Path) -> None:
    clips = api.generate("circle moving up-right", model=run, count=2, seed=1)
    assert [clip.frames.shape for clip in clips] == [(4, 16, 16, 3)] * 2
    assert api.load(run).info["captions"] == list(CAPTIONS)


def test_the_first_attempt_is_what_the_seed_makes_and_best_of_tries_others(run: Path) -> None:
    prompt = "circle moving up-right"
    plain = api.generate(prompt, model=run, count=2, seed=1)
    first = api.generate_verified(prompt, model=run, count=2, seed=1)
    assert all(np.array_equal(a.frames, b.frames) for a, (b, _) in zip(plain, first, strict=True))
    best = api.generate_verified(prompt, model=run, count=2, seed=1, best_of=3)
    assert [clip.caption for clip, _ in best] == [prompt, prompt]
    with pytest.raises(RequestError, match="at least one"):
        api.generate_verified(prompt, model=run, best_of=0)


def test_evaluation_covers_the_training_captions_and_the_unseen_prompts(run: Path) -> None:
    evaluation = api.evaluate(run, count=2)
    assert [s.prompt for s in evaluation.scores if s.seen] == list(CAPTIONS)
    assert [s.prompt for s in evaluation.scores if not s.seen] == list(UNSEEN_PROMPTS)
    assert evaluation.total(seen=True).of == 36


def test_verify_takes_a_file_and_a_clip(tmp_path: Path) -> None:
    clip = Source(Config()).clip(2, 0)
    assert clip.caption == "circle moving right"
    (tmp_path / "clip.mp4").write_bytes(video_bytes(clip, "mp4", scale=8))
    for video in (clip, tmp_path / "clip.mp4"):
        assert api.verify(video, "circle moving right")
        assert not api.verify(video, "circle moving left")
        assert api.verify(video, "a dragon").verdict == "cannot judge"


def test_verify_judges_a_clip_by_what_is_asked_not_by_its_caption() -> None:
    clip = Source(Config()).clip(2, 0)
    assert not api.verify(Clip(clip.frames, "circle moving left"), "circle moving left")


@pytest.mark.parametrize(
    ("name", "overrides", "says"),
    [
        ("tutorail", {}, "tutorial"),
        ("tutorial", {"data": {"source": "tutorail"}}, "tutorial"),
        ("tutorial", {"model": {"family": "gna"}}, "gan"),
        ("tutorial", {"training": {"stepps": 3}}, "steps"),
        ("tutorial", {"data": {"hight": 3}}, "height"),
        ("tutorial", {"sead": 3}, "seed"),
        ("tutorial", {"training": {"steps": "many"}}, "training.steps"),
        ("tutorial", {"training": 3}, "section"),
        ("missing.toml", {}, "missing.toml"),
    ],
)
def test_what_a_recipe_gets_wrong_is_named(
    name: str, overrides: dict[str, object], says: str
) -> None:
    with pytest.raises(RequestError, match=says):
        recipes.resolve(name, overrides)


def test_a_recipe_on_another_source_keeps_what_that_one_knows_too() -> None:
    folder = recipes.resolve("digits", {"data": {"source": "folder", "path": "clips"}})
    assert folder.source == "folder"
    assert folder.model == recipes.resolve("digits").model
    large = recipes.resolve("shapes-128", {"data": {"source": "tutorial"}})
    assert (large.data.height, large.data.num_frames) == (128, 16)
    with pytest.raises(RequestError, match="two_digits"):  # which somebody did ask for
        recipes.resolve("digits", {"data": {"source": "folder", "two_digits": 0.5}})


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_every_recipe_is_complete_and_survives_toml(name: str, tmp_path: Path) -> None:
    from kineograph.core import config

    wanted = {"data": {"path": "my-sheets"}} if name == "sprites" else {}
    recipe = recipes.resolve(name, wanted)
    path = tmp_path / "recipe.toml"
    path.write_text(config.to_toml(recipe.to_dict()))
    assert recipes.resolve(str(path)) == recipe


def test_a_recipe_that_needs_a_folder_says_so() -> None:
    with pytest.raises(RequestError, match=r"data\.path"):
        recipes.resolve("sprites")


@pytest.mark.parametrize("name", ["shapes-128", "shapes-256"])
def test_recipes_for_a_gpu_run_on_a_processor_in_small(name: str, tmp_path: Path) -> None:
    """The pictures as large as they are; the networks narrow, and two clips."""
    small = {
        "model": {"width": 16, "drawing_width": 8, "turns_a_step": 1, "autoencoder_share": 0.5},
        "training": {"steps": 2, "batch_size": 2},
    }
    recipe = recipes.resolve(name, small)
    assert api.train(recipe, tmp_path / "run").steps == 2
    pipeline = api.load(tmp_path / "run")
    side = int(name.split("-")[1])
    assert pipeline("a small red circle moving up")[0].frames.shape == (16, side, side, 3)


@pytest.mark.parametrize(
    "damage", ["missing", "truncated", "no manifest", "of another family", "newer", "empty"]
)
def test_a_model_folder_that_is_not_whole_is_refused(
    run: Path, tmp_path: Path, damage: str
) -> None:
    import shutil

    folder = tmp_path / "model"
    if damage == "empty":
        folder.mkdir()
    elif damage != "missing":
        shutil.copytree(run / "model", folder)
    weights, described = folder / "model.safetensors", folder / "config.json"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "no manifest":
        (folder / "manifest.json").unlink()
    elif damage in ("of another family", "newer"):
        from kineograph.core.files import seal

        change = {"family": "tutorial_gan"} if damage == "of another family" else {"format": 99}
        described.write_text(json.dumps(json.loads(described.read_text()) | change))
        seal(folder)
    with pytest.raises(RequestError):
        api.load(folder)


# ---- by split ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shapes_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    toy = TOY | {"data": {"source": "shapes", "num_frames": 6, "height": 32, "width": 32}}
    folder = tmp_path_factory.mktemp("runs") / "shapes"
    api.train(recipes.resolve("tutorial", toy), folder)
    return folder


def test_a_model_is_tried_on_any_split_of_its_source(shapes_run: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    found = api.evaluate_split(shapes_run, split="held-out", count=12, report_to=page)
    assert (found.source, found.split) == ("shapes", "held-out")
    assert found.model.joint.of == 12
    assert found.ceiling.joint.share > found.floor.joint.share
    assert found.model.trials[0].clip.frames.shape == (6, 32, 32, 3)
    text = page.read_text()
    assert f"kineograph evaluate {shapes_run} --source shapes --split held-out --count 12" in text
    assert "recolored" in text
    assert "How training went" in text


def test_a_model_is_tried_on_phrasings_that_it_never_saw(shapes_run: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    found = api.evaluate_split(shapes_run, split="rephrased", count=12, report_to=page)
    assert (found.split, found.model.joint.of) == ("rephrased", 12)
    assert found.ceiling.joint.share > 0.8 > 0.2 > found.floor.joint.share
    for told in (" ".join(page.read_text().split()), " ".join(found.format().split())):
        assert "a noun with a verb that training never says together" in told
    assert max(map(len, found.format().splitlines())) <= 80
    assert found.as_json()["about"].startswith("Facts of training")


def test_a_model_is_tried_with_as_many_steps_as_asked(shapes_run: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    few = api.evaluate_split(shapes_run, count=12, num_inference_steps=1, report_to=page)
    some = api.evaluate_split(shapes_run, count=12)
    one, other = few.model.trials[0].clip.frames, some.model.trials[0].clip.frames
    assert (one != other).any()
    assert "--num-inference-steps 1 --out" in page.read_text()


def test_a_model_is_tried_on_another_source_in_its_own_size(
    shapes_run: Path, tmp_path: Path, dataset: Callable[[str], Path]
) -> None:
    digits, page = dataset("mnist"), tmp_path / "report.html"
    found = api.evaluate_split(
        shapes_run, source="digits", path=digits, count=6, split="held-out", report_to=page
    )
    assert found.ceiling.trials[0].clip.frames.shape == (6, 32, 32, 3)
    assert found.ceiling.joint.share >= 0.5
    assert f"--source digits --path {digits} --split held-out --count 6" in page.read_text()


def test_a_source_without_splits_is_tried_as_a_whole(shapes_run: Path) -> None:
    found = api.evaluate_split(shapes_run, source="tutorial", count=18)
    assert (found.split, found.ceiling.joint.of) == ("all", 18)


def test_an_evaluation_says_what_the_judge_says_of_real_clips(shapes_run: Path) -> None:
    found = api.evaluate(shapes_run, count=1, prompts=["circle moving left"])
    ceiling, floor = found.judge.values()
    assert ceiling.share > 0.8 > 0.2 > floor.share
    assert found.as_json()["judge"]["real clips"]["trials"] == ceiling.of == 96
    assert "real clips, others' captions" in found.format()


def test_a_folder_that_has_moved_since_the_training_is_asked_for(tmp_path: Path) -> None:
    toy = TOY | {"data": {"source": "digits", "path": str(tmp_path / "gone")}}
    recipe = recipes.resolve("tutorial", toy)
    with pytest.raises(RequestError, match=r"gone, is not there any more\. .*--path FOLDER"):
        api._trained_on(recipe, None)


def test_a_frechet_distance_of_few_clips_is_refused_before_the_work(shapes_run: Path) -> None:
    with pytest.raises(RequestError, match="--anyway"):
        api.evaluate_split(shapes_run, count=12, frechet=FrechetOptions())
    found = api.evaluate_split(shapes_run, count=12, frechet=FrechetOptions(anyway=True))
    assert any(name.startswith("Fréchet video distance") for name in found.measures)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"split": "no such"}, "no such"),
        ({"split": "rephrase"}, 'Did you mean "rephrased"'),
        ({"source": "tutorial", "split": "train"}, "no splits"),
        ({"source": "nowhere"}, "nowhere"),
        ({"source": "sprites"}, "Add --path FOLDER"),
        ({"source": "digits", "path": "nowhere"}, "nowhere"),
        ({"path": "."}, "reads no folder"),
    ],
)
def test_a_wrong_split_is_refused(shapes_run: Path, told: dict[str, str], why: str) -> None:
    with pytest.raises(RequestError, match=why):
        api.evaluate_split(shapes_run, count=4, **told)
