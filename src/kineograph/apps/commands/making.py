"""Making models and videos: demo, train, refine, distill, generate."""

from __future__ import annotations

import contextlib
import difflib
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kineograph.apps import terminal
from kineograph.apps.commands.judging import verdict_data
from kineograph.apps.commands.runs import RUNS, free_folder, newest_model, run_folders
from kineograph.apps.commands.trying import tried
from kineograph.apps.terminal import Answer
from kineograph.core.errors import RequestError
from kineograph.core.sharing import leads, together

DEMO_MINUTES = 5.5
"""Of the demo's training, unless others are asked for."""

if TYPE_CHECKING:
    from kineograph.api import TrainResult
    from kineograph.apps.demo import DemoResult
    from kineograph.evaluation.report import Baseline
    from kineograph.recipes import Recipe


def demo(
    *,
    minutes: float = DEMO_MINUTES,
    stop_at: float | None = None,
    seed: int = 0,
    out: Path | None = None,
    force: bool = False,
) -> Answer:
    """Train a small model here, generate prompts it never saw, verify them, write a report.

    First, what models that come with Kineograph make is there to be looked at.

    Args:
        minutes: Time limit of the training; generating and judging come after it.
        stop_at: End the training at this verified accuracy, such as 0.95.
        seed: One number for everything that is left to chance.
        out: Folder for the run and the report; by default runs/demo, or the next that is free.
        force: Replace what is in that folder.
    """
    from kineograph.core.files import check_free

    _alone("The demo")
    folder = out or free_folder(RUNS / "demo")
    check_free(folder, force)
    from kineograph.apps import demo as whole_path
    from kineograph.training.loop import Hooks

    with terminal.TrainingProgress() as progress:
        result = whole_path.demo(
            minutes=minutes,
            stop_at=stop_at,
            seed=seed,
            out=folder,
            force=force,
            hooks=Hooks(progress=progress, say=progress.note),
            say=progress.say,
        )
    return Answer(result.as_json(), lambda: _show_demo(result))


def _show_demo(result: DemoResult) -> None:
    training = result.training
    after = f"{training.steps:,} steps in {terminal.duration(training.seconds)}"
    if result.evaluation is None:
        print(f"Interrupted after {after}. Go on with:\n{training.resume_command}")
        return
    print(result.evaluation.format() + "\n")
    if result.baseline:
        print(_beside(result.baseline) + "\n")
    print(f"Trained for {after}. The report, with playing clips: {result.report}")
    print(f"Try next:\n{_try_next('circle moving up-right', training.folder)}")


def _beside(baseline: Baseline) -> str:
    """What the tutorial's own model reached, in a line."""
    shares = {"the training prompts": baseline.training, **baseline.prompts}
    told = ", ".join(
        f"{share:.0%} on {what}" for what, share in shares.items() if share is not None
    )
    return f"{baseline.name} reached {told} (recorded {baseline.date}, {baseline.machine})."


def train(
    recipe: str,
    /,
    *,
    out: Path | None = None,
    seed: int | None = None,
    minutes: float | None = None,
    stop_at: float | None = None,
    resume: bool = False,
    dry_run: bool = False,
    profile: bool = False,
    settings: dict[str, Any],
) -> Answer:
    """Train a model by a recipe, into a run folder.

    Every setting can be changed by its name, such as --training.batch-size 32. Ctrl-C ends with a
    checkpoint and says how to go on; torchrun trains in many processes.

    Args:
        recipe: The name of a recipe (see `kineograph recipes`) or a TOML file.
        out: The run folder; by default runs/RECIPE-1, or the next number that is free.
        seed: One number for everything that is left to chance.
        minutes: Time limit; short for --training.minutes.
        stop_at: End at this verified accuracy, such as 0.95; short for --training.stop-at.
        resume: Go on with the run in the folder --out.
        dry_run: Say how long it would take, and how much memory and disk, after a few steps of
            trial, and write nothing.
        profile: Write a trace of a few early steps, trace.json.gz, into the run folder.
    """
    from kineograph import recipes
    from kineograph.core.config import merge
    from kineograph.core.files import check_free

    if together() and not out:
        raise RequestError(
            "Several processes train one run, and it has no name.", "Add --out FOLDER."
        )
    if dry_run and (resume or profile or together()):
        raise RequestError(
            "A dry run tells of a training from its start, in one process, and writes nothing.",
            "Leave out --resume and --profile, and start it without torchrun.",
        )
    if resume:
        out = _run_to_resume(recipe, out)
    elif out and out.exists() and not together():
        raise RequestError(f"{out} exists already.", "Add --resume, or choose another folder.")
    chosen = recipes.resolve(recipe, merge(settings, _training(seed, minutes, stop_at)))
    folder = out or free_folder(RUNS / f"{_as_name(chosen.name)}-1")
    check_free(folder, force=resume or together())
    if dry_run:
        return tried(chosen, folder)
    from kineograph import api
    from kineograph.training.loop import Hooks

    if not leads():
        api.train(chosen, folder, resume=resume)
        return Answer(None, lambda: None)
    terminal.say(f"Training {chosen.name} (family {chosen.family}) into {folder}.")
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(terminal.TrainingProgress())
        hooks = Hooks(progress=progress, say=progress.note)
        if profile:
            from kineograph.training.profiling import traced

            hooks = stack.enter_context(traced(folder, hooks))
        result = api.train(chosen, folder, resume=resume, hooks=hooks)
    for note in result.notes:
        terminal.say(f"note: {note}")
    return _trained(result, _example(chosen))


def refine(
    run: Path,
    /,
    *,
    out: Path | None = None,
    minutes: float = 5.0,
    teach: tuple[str, ...] = (),
    seed: int = 0,
) -> Answer:
    """Let a trained model learn from those of its own clips that a part of the judge accepts.

    The run stays as it is; what comes of it is a new one. The rest of the judge is held out: what
    it says before and after shows whether the model does better, or only pleases its teacher.

    Args:
        run: The run or model folder to start from.
        out: The new run folder; by default runs/NAME-refined-1, or the next number that is free.
        minutes: Time limit of the training; choosing and judging clips come on top.
        teach: Parts of the judge that choose, such as motion speed; by default those that say
            where things go. How evenly they go there, and looks, are held out.
        seed: One number for everything that is left to chance.
    """
    from kineograph import api

    chosen = api.refinement_of(run, minutes=minutes, teach=teach, seed=seed)
    folder = _next(chosen, out)
    terminal.say(f"Refining {run} into {folder}. First its own clips are made and judged.")
    return _gone_on(chosen, folder)


def distill(
    run: Path, /, *, out: Path | None = None, minutes: float = 5.0, seed: int = 0
) -> Answer:
    """Let a trained flow learn to make a clip in one step, or in few.

    It learns the straight ways from noise to what it makes now in many steps (reflow). The run
    stays as it is; what comes of it is a new one. How many clips are right in 1, 2, 4 and those
    many steps is told, before and after. Generate with --num-inference-steps 1.

    Args:
        run: The run or model folder to start from.
        out: The new run folder; by default runs/NAME-distilled-1, or the next number that is free.
        minutes: Time limit of the training; judging clips before and after comes on top.
        seed: One number for everything that is left to chance.
    """
    from kineograph import api

    chosen = api.distillation_of(run, minutes=minutes, seed=seed)
    folder = _next(chosen, out)
    terminal.say(f"Distilling {run} into {folder}. First it is judged as it is.")
    return _gone_on(chosen, folder)


def _next(recipe: Recipe, out: Path | None) -> Path:
    """The folder of a run that goes on from another."""
    from kineograph.core.files import check_free

    _alone("A refinement or distillation")
    folder = out or free_folder(RUNS / f"{_as_name(recipe.name)}-1")
    check_free(folder)
    return folder


def _gone_on(recipe: Recipe, folder: Path) -> Answer:
    from kineograph import api
    from kineograph.training.loop import Hooks

    with terminal.TrainingProgress() as progress:
        result = api.train(recipe, folder, hooks=Hooks(progress=progress, say=progress.note))
    return _trained(result, _example(recipe))


def _alone(what: str) -> None:
    """Refuse many processes, of which each would make a run of its own."""
    if together():
        raise RequestError(f"{what} is the work of one process.", "Start it without torchrun.")


def _training(seed: int | None, minutes: float | None, stop_at: float | None) -> dict[str, Any]:
    """The settings that have an option of their own, where they were given."""
    told = {"minutes": minutes, "stop_at": stop_at}
    training = {key: value for key, value in told.items() if value is not None}
    return {"training": training} | ({} if seed is None else {"seed": seed})


def _trained(result: TrainResult, prompt: str) -> Answer:
    from kineograph.evaluation.few_steps import Distillation

    few = isinstance(result.effect, Distillation)
    interrupted = result.ended == "interrupted"
    data: dict[str, Any] = {
        "folder": result.folder,
        "ended": result.ended,
        "steps": result.steps,
        "seconds": result.seconds,
        "accuracy": result.accuracy,
        "resume": result.resume_command if interrupted else None,
    }
    if result.effect:
        data["effect"] = result.effect.as_json()

    def show() -> None:
        if result.effect:
            print(result.effect.format() + "\n")
        how = {"interrupted": "Interrupted", "stop_at": "Good enough"}.get(result.ended, "Finished")
        reached = "" if result.accuracy is None else f", verified {result.accuracy:.0%}"
        after = f"{result.steps:,} steps in {terminal.duration(result.seconds)}"
        print(f"{how} after {after}{reached}.")
        if interrupted:
            print("Everything is saved. Go on with:")
        else:
            print(f"The model is in {result.folder}. Try next:")
        print(result.resume_command if interrupted else _try_next(prompt, result.folder, few))

    return Answer(data, show)


def _example(recipe: Recipe) -> str:
    """A prompt for a model of this recipe: one that its source never shows, or else a caption."""
    from kineograph.core import registry
    from kineograph.recipes import SOURCES

    module = registry.load(SOURCES, recipe.source)
    prompts = getattr(module, "UNSEEN_PROMPTS", ()) or module.Source(recipe.data).captions
    return str(prompts[0])


def _as_name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text)


def _run_to_resume(recipe: str, out: Path | None) -> Path:
    """The folder to go on with: --out, or where the recipe's file lies if that is a run."""
    home = Path(recipe).parent
    if out is None and (home / "checkpoints").is_dir():
        out = home
    if out is None:
        raise RequestError("--resume does not know which run.", "Name it: --out runs/NAME.")
    if not (out / "config.toml").is_file():
        guess = difflib.get_close_matches(str(out), map(str, run_folders(out.parent)), 1)
        hint = f"Did you mean {guess[0]}? " if guess else ""
        raise RequestError(
            f"There is no run {out} to go on with.", f"{hint}Train without --resume."
        )
    return out


def _try_next(prompt: str, model: Path, in_one_step: bool = False) -> str:
    told = f"{shlex.quote(prompt)} --model {shlex.quote(str(model))} --count 8 --out clips/"
    return f"kineograph generate {told}{' --num-inference-steps 1' * in_one_step}"


def generate(
    prompt: str,
    /,
    *,
    model: Path | None = None,
    count: int = 1,
    seed: int = 0,
    out: str = "clips/",
    scale: int | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    best_of: int = 1,
    force: bool = False,
) -> Answer:
    """Generate videos of a prompt, and say of each whether it does what the prompt says.

    Args:
        prompt: What to show, such as "circle moving up-right".
        model: A run or model folder, the name of a model that comes with Kineograph, or of one on
            the Hugging Face Hub; by default the newest run that has a model, and before there is
            one, a model that comes with Kineograph.
        count: How many videos.
        seed: The same seed makes the same videos, whatever the count.
        out: A file (.mp4 .webm .gif .webp, or .png for a sheet of all) or a folder.
        scale: Pixels on a side that each pixel becomes; by default the video is near 512 wide.
        num_inference_steps: Steps of the sampler, for models that take several.
        guidance_scale: How strongly to follow the prompt, if not as the model does; 1 is plain.
        best_of: Attempts at each video, of which the judge chooses the best.
        force: Overwrite files that are there.
    """
    from kineograph.data.grammar import check_prompt
    from kineograph.sampling.export import export, plan

    prompt = check_prompt(prompt)
    plan(out, count, force or not leads())
    folder = model or _usual_model(prompt)
    from kineograph import api
    from kineograph.training.environment import version

    made = api.generate_verified(
        prompt,
        model=folder,
        count=count,
        seed=seed,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        best_of=best_of,
    )
    if not leads():
        return Answer(None, lambda: None)
    clips, verdicts = [clip for clip, _ in made], [verdict for _, verdict in made]
    common = {"prompt": prompt, "seed": str(seed), "model": str(folder), "version": version()}
    told = [{**common, "clip": str(index)} for index in range(len(clips))]
    files = export(clips, out, scale=scale, force=force, metadata=told)
    names = [str(f) for f in files]
    if len(files) != len(clips):  # all of them are in one
        names = [f"clip {index}" for index in range(len(clips))]
    data = common | {
        "seed": seed,
        "files": files,
        "clips": [{"clip": i, **verdict_data(v)} for i, v in enumerate(verdicts)],
    }

    def show() -> None:
        terminal.show_verdicts(names, verdicts)
        judged = [verdict for verdict in verdicts if verdict.verdict != "cannot judge"]
        if judged:
            print(f"{sum(map(bool, judged))} of {len(judged)} do what the prompt says.")
        what = files[0] if len(files) == 1 else f"{len(files)} videos"
        print(f"Wrote {what}, with seed {seed}.")

    return Answer(data, show)


def _usual_model(prompt: str) -> Path | str:
    """The newest run, or before there is one a model that comes with the package."""
    if newest := newest_model(RUNS):
        terminal.say(f"Using {newest}, the newest run.")
        return newest
    from kineograph.models import bundled

    name = bundled.that_knows(prompt)
    terminal.say(f"Using {name}, a model that comes with Kineograph.")
    return name
