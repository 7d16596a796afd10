"""The only composer: load, train, refine, generate, verify, evaluate.

The command line, the demo and notebooks are thin callers of what stands here.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from kineograph.core import config, registry, seeds, sharing
from kineograph.core.errors import MachineError, RequestError
from kineograph.core.files import check_free, locked, write_atomically
from kineograph.data.clip import Clip, Source
from kineograph.data.grammar import check_prompt
from kineograph.data.video_io import Video, read_video
from kineograph.evaluation import split_report
from kineograph.evaluation.accuracy import Evaluation
from kineograph.evaluation.accuracy import evaluate as judge
from kineograph.evaluation.best_of import best_of as best_of_attempts
from kineograph.evaluation.by_fact import Split, SplitEvaluation, ceiling_and_floor, real_clips
from kineograph.evaluation.by_fact import evaluate_split as by_split
from kineograph.evaluation.few_steps import Distillation
from kineograph.evaluation.frechet import FrechetOptions
from kineograph.evaluation.judges import judge_by_name, judge_of, source_by_name, verify_any
from kineograph.evaluation.live import MOST_CAPTIONS, LiveCheck
from kineograph.evaluation.own_error import own_error
from kineograph.evaluation.page import command_line
from kineograph.evaluation.teaching import Refinement
from kineograph.evaluation.verifier import Judge, Verdict
from kineograph.lessons import begin, recipe_of
from kineograph.models.base import VideoModel
from kineograph.recipes import SOURCES, Recipe, distilled, refined, resumed
from kineograph.sampling.pipeline import Pipeline
from kineograph.training.distributed import World, joined, restarts, shared_out
from kineograph.training.environment import (
    choose_device,
    describe_run,
    environment,
    open_run,
    version,
    with_precision,
)
from kineograph.training.loop import Ended, Hooks, Trainer, mean
from kineograph.training.metrics_log import logged
from kineograph.training.run_folder import (
    SNAPSHOTS,
    checkpoints,
    go_on,
    resume_command,
    snapshots,
)
from kineograph.training.stopping import Signals, Stopping

_CHECK_SEED = 20_000
_SNAPSHOTS = 2  # of a training, that are kept: who opens one has time to read it
EVALUATION_SEED = 10_000
"""Seed of evaluations, apart from those of the trainings."""
_REAL_CLIPS = 96
MOST_WRONG_CAPTIONS = 8
"""Wrong captions that each of the clips is tried with, of a source that has very many."""


@dataclass(frozen=True)
class TrainResult:
    """How a training ended."""

    folder: Path
    steps: int
    seconds: float
    accuracy: float | None
    ended: Ended
    notes: list[str]
    """What was passed over on a resume."""
    effect: Refinement | Distillation | None = None
    """What was learned from a trained model, where it was and the training came to its end."""

    @property
    def resume_command(self) -> str:
        """What to type to go on."""
        return resume_command(self.folder)


def load(folder: str | Path, device: str = "cpu") -> Pipeline:
    """Open a model folder, a run folder, or a model of the Hub; see `Pipeline.load`."""
    return Pipeline.load(folder, device)


def generate(
    prompt: str,
    *,
    model: str | Path,
    count: int = 1,
    seed: int = 0,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
) -> list[Clip]:
    """Clips of a prompt from a model folder; see `Pipeline`."""
    pipeline = load(model)
    return pipeline(
        prompt,
        count,
        seed=seed,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
    )


@shared_out
def generate_verified(
    prompt: str,
    *,
    model: str | Path,
    count: int = 1,
    seed: int = 0,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    best_of: int = 1,
) -> list[tuple[Clip, Verdict]]:
    """Clips of a prompt with the verdict of the judge of the model's source on each.

    Every clip is the best of up to ``best_of`` attempts by that judge; the first one is what
    `generate` makes of the seed.
    """
    if min(count, best_of) < 1:
        raise RequestError(
            f"{count} clips were asked for, each the best of {best_of}.", "Ask for at least one."
        )
    pipeline, prompt = load(model), check_prompt(prompt)
    decide = judge_of_model(pipeline, needed=best_of > 1)

    def make(items: Sequence[int], attempt: int) -> list[Clip]:
        own = seeds.seed_for(seed, attempt) if attempt else seed
        prompts = [prompt] * len(items)
        return pipeline.batch(prompts, items, own, num_inference_steps, guidance_scale)

    return best_of_attempts(best_of, make, count, decide)


def judge_of_model(pipeline: Pipeline, needed: bool = False) -> Judge:
    """The judge of the source that a model was trained on.

    Where that source cannot be opened, such as sheets that are not on this machine, RequestError is
    raised if it is ``needed``, and else the words of the prompt decide who judges.
    """
    if "recipe" not in pipeline.info:
        return verify_any
    try:
        return judge_of(_trained_on(recipe_of(pipeline), None))
    except RequestError:
        if needed:
            raise
        return verify_any


def verify(
    video: str | Path | Clip | Video,
    prompt: str,
    *,
    source: str | None = None,
    path: str | Path | None = None,
) -> Verdict:
    """Does the video, a file, a clip or what `read_video` gave, do what the prompt says?

    The words of the prompt decide who judges, unless a ``source`` and the folder ``path`` that it
    reads are named: sprites are compared with their sheets, digits read as those of a data set.
    """
    decide = judge_by_name(source, path)
    shown = video if isinstance(video, Clip | Video) else read_video(video)
    return decide(shown.frames, prompt, shown.fps)


@shared_out
def evaluate(
    model: str | Path,
    *,
    prompts: Sequence[str] | None = None,
    count: int = 64,
    seed: int = EVALUATION_SEED,
    path: str | Path | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
) -> Evaluation:
    """Generate ``count`` clips for each prompt and judge them.

    Without ``prompts``: the captions the model was trained on, and its source's unseen prompts.
    ``path`` is the folder that its source reads, where it is not the one of the training. The
    judge is told of, too: what it says of real clips of that source.
    """
    pipeline = load(model)
    asked = _prompts(pipeline.info, prompts)

    def make(prompt: str, count: int) -> list[Clip]:
        own = seeds.seed_for(seed, *prompt.encode())
        return pipeline.batch(
            [prompt] * count, range(count), own, num_inference_steps, guidance_scale
        )

    if "recipe" not in pipeline.info:
        return judge(make, asked, count, verify_any)
    source = _trained_on(recipe_of(pipeline), path)
    decide = judge_of(source)
    found = judge(make, asked, count, decide)
    return replace(found, judge=ceiling_and_floor(real_clips(source, _REAL_CLIPS, seed), decide))


def _trained_on(recipe: Recipe, path: str | Path | None) -> Source:
    """The source of a recipe; ``path`` is where its folder is now, if it has moved."""
    then = getattr(recipe.data, "path", None)
    if path is None and then and not Path(then).exists():
        raise RequestError(
            f"The folder that it was trained on, {then}, is not there any more.",
            "Say where it is now: --path FOLDER.",
        )
    return source_by_name(recipe.source, path, config.to_dict(recipe.data))


@shared_out
def evaluate_split(
    model: str | Path,
    *,
    source: str | None = None,
    path: str | Path | None = None,
    split: str | None = None,
    count: int = 512,
    seed: int = EVALUATION_SEED,
    frechet: FrechetOptions | None = None,
    report_to: str | Path | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
) -> SplitEvaluation:
    """Judge a clip for each of ``count`` prompts of a split ("train" by default), fact by fact.

    ``source`` is the model's own unless named, with the settings it was trained with, save for
    ``split``; another one draws clips of the model's size. ``path`` is the folder that it reads.
    ``frechet`` asks for the Fréchet video distance, too, and ``report_to`` is a file for the page
    that tells it all. Raises RequestError for a split of a source that has none.
    """
    pipeline = load(model)
    recipe = recipe_of(pipeline)
    name = source or recipe.source
    own = name == recipe.source
    module = registry.load(SOURCES, name)
    if "split" in {f.name for f in fields(module.Config)}:
        split = split or "train"
    elif split is not None:
        raise RequestError(f"The source {name} has no splits.", "Evaluate it without --split.")
    trained = _trained_on(recipe, path if own else None)
    data = config.to_dict(recipe.data) if own else asdict(pipeline.model.shape)
    asked = source_by_name(name, path, data | {"split": split})

    def generate(prompts: Sequence[str]) -> list[Clip]:
        items = range(len(prompts))
        return pipeline.batch(prompts, items, seed, num_inference_steps, guidance_scale)

    judge_clip, pairs = judge_of(asked), getattr(module, "PAIRS", ())
    about = getattr(module, "SPLITS", {}).get(split, "")
    data_of = Split(name, split or "all", asked, trained, pairs, about)
    found = by_split(generate, data_of, judge_clip, count=count, seed=seed, frechet=frechet)
    if report_to is not None and sharing.leads():
        told: dict[str, object] = {"source": name, "path": path, "split": split, "count": count}
        told |= {"seed": seed, "num_inference_steps": num_inference_steps}
        told |= {"guidance_scale": guidance_scale}
        if frechet is not None:
            told |= {"frechet": True, "anyway": frechet.anyway, "i3d": frechet.weights}
        some = real_clips(asked, min(_REAL_CLIPS, max(count, 24)), seed)
        error = own_error(some, judge_clip, most_wrong=MOST_WRONG_CAPTIONS)
        page = split_report.SplitReport(
            evaluation=found,
            command=command_line("evaluate", str(model), **told, out=report_to),
            version=version(),
            judge=error.totals,
            settings=config.to_toml(recipe.to_dict()),
            environment=environment(),
            metrics=logged(Path(model)),
            date=time.strftime("%Y-%m-%d"),
        )
        write_atomically(Path(report_to), split_report.render(page).encode())
    return found


def _prompts(info: dict[str, Any], wanted: Sequence[str] | None) -> list[tuple[str, bool]]:
    trained = list(info.get("captions", []))
    asked = list(wanted or trained[:MOST_CAPTIONS] + list(info.get("unseen_prompts", [])))
    if not asked:
        raise RequestError("This model does not say what it was trained on.", "Name prompts.")
    return [(prompt, prompt in trained) for prompt in asked]


def train(
    recipe: Recipe, out: str | Path, *, resume: bool = False, hooks: Hooks | None = None
) -> TrainResult:
    """Train a recipe into the run folder ``out``, and write its ``model`` folder.

    Ctrl-C and SIGTERM end it with a checkpoint, SIGUSR1 writes one and goes on. Of the processes
    that torchrun starts the first one writes; where it starts them again they go on by themselves.
    Raises RequestError where ``out`` is in the way or another training is at it, nothing is there
    to resume, or a recipe that refines finds nothing to learn from.
    """
    folder, device = Path(out), choose_device(recipe.training.device)
    with Signals() as signals, joined(device, recipe.training.timeout) as world:
        # Of many machines only that one counts a restart on which a process died.
        again = any(world.largest(restarts()))
        resume = world.of_first(resume or (again and any(checkpoints(folder / "checkpoints"))))
        recipe = world.of_first(_settled(recipe, folder, resume) if world.leads else recipe)
        try:
            return _train(recipe, folder, resume, hooks or Hooks(), signals, world)
        except Stopping:  # before there was anything to go on with
            raise KeyboardInterrupt from None


def _settled(recipe: Recipe, folder: Path, resume: bool) -> Recipe:
    """The recipe with all that this machine decides."""
    if resume:
        return resumed(recipe, folder)
    check_free(folder)
    recipe.training.check()
    return replace(recipe, training=with_precision(recipe.training))


def _train(
    recipe: Recipe, folder: Path, resume: bool, hooks: Hooks, signals: Signals, world: World
) -> TrainResult:
    with signals.at_once():
        begun = begin(recipe)
    source, tokenizer, lessons = begun.source, begun.tokenizer, begun.lessons
    captions = list(source.captions)

    def write(sheet: str, content: bytes) -> None:
        write_atomically(folder / "samples" / sheet, content)

    live = LiveCheck(captions, judge_of(source), write, hooks.say)
    # For weights that are held in parts all have to ask as often: so each makes all clips then.
    whole = recipe.training.weights == "replicate"
    making = world if whole else World()

    def check(model: VideoModel, step: int) -> dict[str, float]:
        before = model.training
        mine = range(making.rank, len(live.prompts), making.size)
        pipeline = Pipeline(model.eval(), tokenizer, {})
        clips = pipeline.batch([live.prompts[i] for i in mine], mine, _CHECK_SEED)
        model.train(before)
        shown = making.in_order(clips)
        found = live(shown, step) if world.leads else {}
        if world.leads and whole and not model.language_model:  # that it can be tried meanwhile
            try:
                keep(folder / SNAPSHOTS / f"step-{step:06d}", model, mean(found))
            except MachineError as error:
                hooks.say(f"The model of this check is not kept: {error}")
            for old in snapshots(folder)[:-_SNAPSHOTS]:
                shutil.rmtree(old, ignore_errors=True)
        return world.of_first(found)

    def keep(place: Path, model: VideoModel, accuracy: float | None) -> dict[str, Any]:
        seconds = round(trainer.elapsed, 1)
        told = {"steps": trainer.step, "seconds": seconds, "accuracy": accuracy}
        return begun.save(place, model, recipe, told)

    learned, training = (lessons.source, lessons.training) if lessons else (source, recipe.training)
    trainer = Trainer(
        begun.model,
        learned,
        tokenizer,
        training,
        seed=recipe.seed,
        folder=folder,
        hooks=replace(hooks, check=check),
        signals=signals,
        world=world,
    )
    with contextlib.ExitStack() as stack:
        if world.leads:
            open_run(folder)
            stack.enter_context(locked(folder))
            go_on(folder)
        if resume:
            trainer.resume()
        elif world.leads:
            describe_run(folder, config.to_toml(recipe.to_dict()))
        ended = trainer.run()
        seconds, (model, accuracy) = trainer.elapsed, trainer.result()
        told = TrainResult(folder, trainer.step, seconds, accuracy, ended, trainer.notes)
        if not world.leads:
            return told
        info = keep(folder / "model", model, accuracy)
        shutil.rmtree(folder / SNAPSHOTS, ignore_errors=True)
        if lessons and ended != "interrupted":
            try:
                with signals.at_once():
                    effect = lessons.effect(Pipeline(model, tokenizer, info))
            except Stopping:
                return replace(told, ended="interrupted")
            text = json.dumps(effect.as_json(), indent=2) + "\n"
            write_atomically(folder / lessons.file, text.encode())
            return replace(told, effect=effect)
    return told


def refine(
    run: str | Path,
    out: str | Path,
    *,
    minutes: float = 5.0,
    teach: Sequence[str] = (),
    seed: int = 0,
    hooks: Hooks | None = None,
) -> TrainResult:
    """Let the model in the folder ``run`` learn from what a part of the judge accepts of its clips.

    ``teach`` names the parts, see `RefineConfig`. ``out`` becomes a run folder of its own, and what
    the judge says before and after is in its ``refinement.json``. Raises RequestError as `train`
    does, and where nobody can judge, or no clip passes.
    """
    return train(refinement_of(run, minutes=minutes, teach=teach, seed=seed), out, hooks=hooks)


def refinement_of(
    run: str | Path, *, minutes: float = 5.0, teach: Sequence[str] = (), seed: int = 0
) -> Recipe:
    """The recipe of `refine`, for ``train``."""
    return refined(recipe_of(load(run)), str(run), minutes=minutes, teach=teach, seed=seed)


def distill(
    run: str | Path,
    out: str | Path,
    *,
    minutes: float = 5.0,
    seed: int = 0,
    hooks: Hooks | None = None,
) -> TrainResult:
    """Let the model in the folder ``run`` learn to make in few steps what it makes in many.

    ``out`` becomes a run folder of its own, and how many clips are right in 1, 2, 4 and those many
    steps, before and after, is in its ``distillation.json``. Raises RequestError as `train` does,
    and for a model that has no steps.
    """
    return train(distillation_of(run, minutes=minutes, seed=seed), out, hooks=hooks)


def distillation_of(run: str | Path, *, minutes: float = 5.0, seed: int = 0) -> Recipe:
    """The recipe of `distill`, for ``train``."""
    return distilled(recipe_of(load(run)), str(run), minutes=minutes, seed=seed)
