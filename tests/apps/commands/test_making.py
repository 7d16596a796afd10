"""What is asked of the API, what is checked before it, and what is said after it."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kineograph import api
from kineograph.apps.commands import making
from kineograph.core.files import locked
from kineograph.data.clip import Clip
from kineograph.data.sources.tutorial import Config, Source
from kineograph.data.video_io import read_video
from kineograph.dry_run import DryRun
from kineograph.evaluation.accuracy import Evaluation, judged
from kineograph.evaluation.few_steps import Distillation
from kineograph.evaluation.report import Baseline
from kineograph.evaluation.statistics import Share
from kineograph.evaluation.verifier import Verdict, verify
from kineograph.recipes import Recipe
from kineograph.training.loop import Hooks, Status

SOURCE = Source(Config())


def everything(folder: Path = Path()) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


# ---- train -------------------------------------------------------------------------------------


class Trainings:
    """Stands for ``api.train`` and remembers what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[dict[str, Any]] = []
        self.ended = "finished"
        self.effect: Any = None
        monkeypatch.setattr(api, "train", self)

    def __call__(self, recipe: Recipe, out: Path, *, resume: bool, hooks: Hooks) -> Any:
        self.asked.append({"recipe": recipe, "out": out, "resume": resume})
        hooks.progress(Status(5, 10, 0.5, 3.0, 100.0, 3.0, {"generator.total": 0.5}))
        out.mkdir(parents=True, exist_ok=True)
        notes = ["A checkpoint was damaged."] if resume else []
        return api.TrainResult(out, 10, 6.0, 0.75, self.ended, notes, self.effect)  # type: ignore[arg-type]  # any str


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    return Trainings(monkeypatch)


def test_training_takes_a_recipe_with_changes(trainings: Trainings, call: Any) -> None:
    done = call(
        *("train", "tutorial", "--seed", "7", "--minutes", "2", "--stop-at", "0.9"),
        *("--training.batch-size", "32", "--data.num_clips=50"),
    )
    assert done.code == 0
    recipe = trainings.asked[0]["recipe"]
    assert recipe.seed == 7
    assert (recipe.training.minutes, recipe.training.stop_at) == (2.0, 0.9)
    assert recipe.training.batch_size == 32
    assert recipe.data.num_clips == 50
    assert "step 5/10" in done.err
    assert "generator 0.5" in done.err
    assert "Finished after 10 steps in 0:06, verified 75%." in done.out
    assert "--model runs/tutorial-1" in done.out.splitlines()[-1]


def test_what_was_distilled_is_tried_in_one_step(trainings: Trainings, call: Any) -> None:
    made = {"training captions": {1: Share(1, 2)}}
    trainings.effect = Distillation("runs/slow", made, made)
    done = call("train", "tutorial")
    assert done.out.splitlines()[-1].endswith("--out clips/ --num-inference-steps 1")


def test_a_run_gets_the_next_free_name(trainings: Trainings, call: Any) -> None:
    for _ in range(3):
        call("train", "tutorial")
    outs = [str(asked["out"]) for asked in trainings.asked]
    assert outs == ["runs/tutorial-1", "runs/tutorial-2", "runs/tutorial-3"]


def test_a_run_of_a_file_is_named_by_it(trainings: Trainings, call: Any) -> None:
    Path("mine.toml").write_text(
        'name = "my / own"\n[data]\nsource = "tutorial"\n[model]\nfamily = "gan"\n'
    )
    call("train", "mine.toml")
    assert str(trainings.asked[0]["out"]) == "runs/my-own-1"


def test_training_in_json_is_one_document(trainings: Trainings, call: Any) -> None:
    assert call("train", "tutorial", "--out", "x", "--json").json == {
        "folder": "x",
        "ended": "finished",
        "steps": 10,
        "seconds": 6.0,
        "accuracy": 0.75,
        "resume": None,
    }


def test_an_interrupted_training_says_how_to_go_on(trainings: Trainings, call: Any) -> None:
    trainings.ended = "interrupted"
    done = call("train", "tutorial", "--out", "my run")
    assert done.code == 0
    command = "kineograph train 'my run'/config.toml --out 'my run' --resume"
    assert done.out.splitlines()[-1] == command


def test_a_training_is_resumed_in_its_folder(trainings: Trainings, call: Any) -> None:
    run = Path("runs/a")
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.toml").write_text('[data]\nsource = "tutorial"\n[model]\nfamily = "gan"\n')
    done = call("train", "runs/a/config.toml", "--out", "runs/a", "--resume")
    assert done.code == 0
    assert "note: A checkpoint was damaged." in done.err
    call("train", "runs/a/config.toml", "--resume")
    for asked in trainings.asked:
        assert asked["out"] == run
        assert asked["resume"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("tutoral",), 'Did you mean "tutorial"?'),
        (("nowhere.toml",), "nowhere.toml"),
        (("tutorial", "--data.source", "tutoril"), 'Did you mean "tutorial"?'),
        (("tutorial", "--model.family", "gun"), 'Did you mean "gan"?'),
        (("tutorial", "--training.stesp", "5"), 'Did you mean "training.steps"?'),
        (("tutorial", "--steps", "5"), 'Did you mean "training.steps"?'),
        (("tutorial", "--resum"), 'Did you mean "--resume"?'),
        (("tutorial", "--training.steps", "many"), "It must be a whole number"),
        (("tutorial", "--minutes", "nan"), "training.minutes"),
        (("tutorial", "--resume"), "--out runs/NAME"),
        (("tutorial", "--resume", "--out", "runs/nothing"), "no run runs/nothing"),
        (("tutorial", "--dry-run", "--resume"), "Leave out --resume"),
        (("tutorial", "--dry-run", "--profile"), "--profile"),
        (("tutorial", "--dry-run", "--out", "there"), "exists already"),
        (("tutorial", "--out", "there"), "--resume"),
        (("tutorial", "--out", "there/below"), "is a file"),
        (("tutorial", "--seed"), "needs a value"),
        ((), "RECIPE is missing"),
    ],
)
def test_a_wrong_training_is_refused_before_it_begins(
    words: tuple[str, ...], hint: str, trainings: Trainings, call: Any
) -> None:
    Path("there").write_text("mine")
    done = call("train", *words)
    assert done.code == 2
    assert hint in " ".join(done.err.split())
    assert not trainings.asked
    assert everything() == ["there"]


def told_before(**changed: Any) -> Any:
    """Stands for ``dry_run``."""

    def dry_run(recipe: Recipe) -> DryRun:
        stretch = {"phases": ["denoiser"], "start": 0.0, "stop": 1.0, "seconds": 0.5}
        found = DryRun(
            recipe=recipe.to_dict(),
            parameters=1234567,
            networks={"autoencoder": 34567, "denoiser": 1200000},
            steps=240,
            seconds=125.0,
            stretches=[stretch],
            check_seconds=1.5,
            memory_bytes=700 * 2**20,
            gpu_bytes=None,
            checkpoint_bytes=2**20,
            disk_bytes=3 * 2**30,
            notes=[],
        )
        return replace(found, **changed)

    return dry_run


def test_a_dry_run_tells_what_a_training_would_take_and_writes_nothing(
    trainings: Trainings, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kineograph.dry_run.dry_run", told_before())
    words = ("train", "tutorial", "--dry-run", "--minutes", "2", "--training.steps", "900")
    done = call(*words)
    assert done.code == 0
    said = " ".join(done.out.split())
    assert "1,234,567: autoencoder 34,567, denoiser 1,200,000" in said
    assert "240 of 900, in the time limit" in said
    assert "2:05: 0.5 s a step of denoiser (100%), 1.5 s a live verification" in said
    assert "700 MiB" in said
    assert "3.0 GiB in runs/tutorial-1" in said
    settings = tomllib.loads(done.out.partition("The settings:")[2])
    assert settings["training"]["minutes"] == 2.0
    assert call(*words, "--json").json["memory_bytes"] == 700 * 2**20
    assert not trainings.asked
    assert not everything()


def test_a_dry_run_says_where_the_machine_does_not_do(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = {"disk_bytes": 2**60, "memory_bytes": None, "notes": ["From now on 8."]}
    monkeypatch.setattr("kineograph.dry_run.dry_run", told_before(**changed, gpu_bytes=2**31))
    said = call("train", "tutorial", "--dry-run").out
    assert "note: From now on 8." in said
    assert "note: The disk has not enough room for it." in said
    assert "unknown on this system" in said
    assert "2.0 GiB" in said


def test_a_profiled_training_is_watched(
    trainings: Trainings, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[Path] = []

    @contextlib.contextmanager
    def traced(folder: Path, hooks: Hooks) -> Iterator[Hooks]:
        watched.append(folder)
        yield hooks
        hooks.say("The trace is there.")

    monkeypatch.setattr("kineograph.training.profiling.traced", traced)
    done = call("train", "tutorial", "--profile")
    assert done.code == 0
    assert "note: The trace is there." in done.err
    assert [str(folder) for folder in watched] == ["runs/tutorial-1"]


# ---- generate ----------------------------------------------------------------------------------


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Lets the API make true clips of "circle moving left"; what it was asked."""
    asked: list[dict[str, Any]] = []

    def generate(prompt: str, **told: Any) -> list[tuple[Clip, Verdict]]:
        asked.append({"prompt": prompt, **told})
        clips = [SOURCE.clip(18 * index + 1, told["seed"]) for index in range(told["count"])]
        return [(Clip(c.frames, prompt), verify(c.frames, prompt)) for c in clips]

    monkeypatch.setattr(api, "generate_verified", generate)
    return asked


def test_videos_are_written_judged_and_told_of(generated: Sequence[Any], call: Any) -> None:
    words = ["generate", " circle moving left ", "--model", "m", "--count", "2", "--seed", "3"]
    done = call(*words, "--out", "new/", "--scale", "1")
    assert done.code == 0
    assert "new/clip-0000.mp4  yes\nnew/clip-0001.mp4  yes\n" in done.out
    assert "2 of 2 do what the prompt says." in done.out
    assert "seed 3" in done.out
    assert generated[0] == {
        "prompt": "circle moving left",
        "model": Path("m"),
        "count": 2,
        "seed": 3,
        "num_inference_steps": None,
        "guidance_scale": None,
        "best_of": 1,
    }
    video = read_video("new/clip-0001.mp4")
    assert video.frames.shape == (10, 64, 64, 3)
    told = {key: video.metadata[key] for key in ("prompt", "seed", "model", "clip")}
    assert told == {"prompt": "circle moving left", "seed": "3", "model": "m", "clip": "1"}
    assert video.metadata["version"].startswith("0.")


def test_a_wrong_video_is_said_to_be_wrong(generated: Sequence[Any], call: Any) -> None:
    done = call("generate", "circle moving up", "--model", "m", "--out", "a.gif")
    assert done.code == 0
    assert "a.gif  no\n  It moves 90° off up" in done.out
    assert "0 of 1" in done.out


def test_a_foreign_prompt_is_generated_and_not_judged(generated: Sequence[Any], call: Any) -> None:
    done = call("generate", "a dog", "--model", "m", "--count", "3", "--out", "a.png")
    assert done.code == 0
    assert done.out.count("cannot judge\n") == 3
    assert done.out.count("Cannot judge") == 1, "the reason is said once"
    assert "Wrote a.png" in done.out
    told = call("generate", "a dog", "--model", "m", "--out", "b.png", "--json").json
    assert told["files"] == ["b.png"]
    assert told["clips"][0]["verdict"] == "cannot judge"
    assert told["seed"] == 0


def test_the_newest_model_is_used_and_named(generated: Sequence[Any], call: Any) -> None:
    model = Path("runs/a/model")
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model.parent / "config.toml").write_text("")
    done = call("generate", "circle moving left", "--json")
    assert "Using runs/a" in done.err
    assert done.json["model"] == "runs/a"
    assert done.json["files"] == ["clips/clip-0000.mp4"]


def test_without_a_run_a_model_that_knows_the_prompt_is_used(
    generated: Sequence[Any], call: Any
) -> None:
    done = call("generate", "circle moving left", "--json")
    assert "Using tutorial-gan, a model that comes with Kineograph." in done.err
    assert done.json["model"] == "tutorial-gan"
    call("generate", "a red star moving left", "--out", "star.mp4")
    assert [each["model"] for each in generated] == ["tutorial-gan", "shapes"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ((), "PROMPT is missing"),
        (("",), "The prompt is empty"),
        (("  ",), "The prompt is empty"),
        (("a" * 1001,), "1,001 characters"),
        (("circle", "moving", "left"), "quotation marks"),
        (("a", "--count", "0"), "at least one"),
        (("a", "--count", "2", "--out", "a.mp4"), "holds one clip"),
        (("a", "--out", "a.mpg"), "Known: .mp4"),
        (("a", "--out", "there.gif"), "--force"),
        (("a", "--out", "there.gif/x/"), "file"),
    ],
)
def test_a_wrong_request_is_refused_before_any_model_is_opened(
    words: tuple[str, ...], hint: str, generated: Sequence[Any], call: Any
) -> None:
    Path("there.gif").write_text("mine")
    done = call("generate", *words)
    assert done.code == 2
    assert hint in " ".join(done.err.split())
    assert not generated
    assert everything() == ["there.gif"]


def test_a_folder_that_is_no_model_is_refused(call: Any) -> None:
    Path("empty").mkdir()
    for folder in ("nowhere", "empty"):
        done = call("generate", "circle moving left", "--model", folder)
        assert done.code == 2
        assert folder in done.err
    assert everything() == ["empty"]


# ---- demo --------------------------------------------------------------------------------------


@pytest.fixture
def demos(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = []

    def demo(*, out: Path, hooks: Hooks, say: Callable[[str], None], **told: Any) -> Any:
        asked.append({"out": out, **told})
        hooks.progress(Status(10, 10, 1.0, 6.0, 100.0, 0.0, {}, 0.75, {"circle shrinking": 0.75}))
        say("Judging ...")
        out.mkdir(parents=True, exist_ok=True)
        (out / "config.toml").touch()
        evaluation = Evaluation([judged("circle moving left", [SOURCE.clip(1, 0)], seen=True)])
        training = api.TrainResult(out, 10, 6.0, 0.75, "finished", [])
        return SimpleNamespace(
            training=training,
            evaluation=evaluation,
            report=out / "report.html",
            baseline=Baseline(0.01, {"circle moving up": 0.0}, "2026-11-22", "2 cores"),
            as_json=lambda: {"report": "r"},
        )

    monkeypatch.setattr("kineograph.apps.demo.demo", demo)
    return asked


def test_the_demo_ends_with_the_next_command(demos: Sequence[Any], call: Any) -> None:
    done = call("demo", "--minutes", "0.5", "--seed", "4")
    assert done.code == 0
    told = {"minutes": 0.5, "stop_at": None, "seed": 4, "force": False}
    assert demos[0] == {"out": Path("runs/demo"), **told}
    assert "circle moving left" in done.out
    assert "The tutorial's own model reached 1% on the training prompts, 0%" in done.out
    assert "runs/demo/report.html" in done.out
    assert done.out.splitlines()[-1] == (
        "kineograph generate 'circle moving up-right' --model runs/demo --count 8 --out clips/"
    )
    assert "verified 75%" in done.err
    assert "Judging ..." in done.err
    assert call("demo", "--json").json == {"report": "r"}
    assert demos[1]["out"] == Path("runs/demo-2")


def test_the_demo_replaces_only_what_it_may(call: Any) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").touch()
    assert call("demo", "--out", "mine").code == 2
    done = call("demo", "--out", "mine", "--force")
    assert done.code == 2
    assert "mine is not a run folder" in done.err
    assert Path("mine/thesis.txt").exists()
    assert call("demo", "--out", "mine", "--force", "--minutes", "nan").code == 2
    assert Path("mine/thesis.txt").exists()


@pytest.mark.parametrize("words", [("demo",), ("refine", "run"), ("distill", "run")])
def test_what_one_process_does_many_are_not_let_do(
    call: Any, monkeypatch: pytest.MonkeyPatch, words: Sequence[str]
) -> None:
    monkeypatch.setattr(making, "together", lambda: True)
    for name in ("refinement_of", "distillation_of"):
        monkeypatch.setattr(api, name, lambda *_, **__: Recipe("x", "x", None, "x", None))
    done = call(*words)
    assert done.code == 2
    assert "Start it without torchrun" in done.err
    assert not everything()


def test_the_demo_replaces_no_run_that_is_trained(call: Any) -> None:
    Path("mine").mkdir()
    Path("mine/config.toml").touch()
    with locked("mine"):
        done = call("demo", "--out", "mine", "--force")
    assert done.code == 2
    assert "A training is running in mine" in done.err
    assert Path("mine/config.toml").exists()
