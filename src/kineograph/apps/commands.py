"""The commands, one function each: what its arguments are, what it asks of the API, its answer.

A function's signature and docstring are all that `cli` needs to parse its words and to print its
help. Whatever takes time to import is imported inside, after the cheap checks.
"""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kineograph.apps import terminal
from kineograph.apps.terminal import Answer
from kineograph.core.errors import KineographError, RequestError

if TYPE_CHECKING:
    from kineograph.api import TrainResult
    from kineograph.data.clip import Clip
    from kineograph.evaluation.verifier import Verdict
    from kineograph.recipes import Recipe

RUNS = Path("runs")
_VERDICT_CODES = {"yes": 0, "no": 1, "cannot judge": 2}


# ---- making models -----------------------------------------------------------------------------


def demo(
    *,
    minutes: float = 6.0,
    stop_at: float | None = None,
    seed: int = 0,
    out: Path | None = None,
    force: bool = False,
) -> Answer:
    """Train a small model here, generate prompts it never saw, verify them, write a report.

    Args:
        minutes: Time limit of the training; generating and judging come after it.
        stop_at: End the training at this verified accuracy, such as 0.95.
        seed: One number for everything that is left to chance.
        out: Folder for the run and the report; by default runs/demo, or the next that is free.
        force: Replace what is in that folder.
    """
    from kineograph.core.files import check_free

    folder = out or _free(RUNS / "demo")
    check_free(folder, force)
    from kineograph import api
    from kineograph.training.loop import Hooks

    with terminal.TrainingProgress() as progress:
        result = api.demo(
            minutes=minutes,
            stop_at=stop_at,
            seed=seed,
            out=folder,
            force=force,
            hooks=Hooks(progress=progress),
        )
    data = result.as_json()

    def show() -> None:
        terminal.print_measures(data)
        print(f"\nThe report, with playing clips: {result.report}\nTry next:\n")
        print(_try_next("circle moving up-right", folder))

    return Answer(data, show)


def train(
    recipe: str,
    /,
    *,
    out: Path | None = None,
    seed: int | None = None,
    minutes: float | None = None,
    stop_at: float | None = None,
    resume: bool = False,
    settings: dict[str, Any],
) -> Answer:
    """Train a model by a recipe, into a run folder.

    Every setting can be changed by its name, such as --training.batch-size 32. Ctrl-C ends after
    the step, writes a checkpoint and says how to go on.

    Args:
        recipe: The name of a recipe (see `kineograph recipes`) or a TOML file.
        out: The run folder; by default runs/RECIPE-1, or the next number that is free.
        seed: One number for everything that is left to chance.
        minutes: Time limit; short for --training.minutes.
        stop_at: End at this verified accuracy, such as 0.95; short for --training.stop-at.
        resume: Go on with the run in the folder --out.
    """
    from kineograph import recipes
    from kineograph.core.config import merge
    from kineograph.core.files import check_free

    if resume:
        out = _run_to_resume(recipe, out)
    elif out:
        check_free(out)
    chosen = recipes.resolve(recipe, merge(settings, _training(seed, minutes, stop_at)))
    folder = out or _free(RUNS / f"{_as_name(chosen.name)}-1")
    check_free(folder, force=resume)
    from kineograph import api
    from kineograph.training.loop import Hooks

    terminal.say(f"Training {chosen.name} (family {chosen.family}) into {folder}.")
    with terminal.TrainingProgress() as progress:
        result = api.train(chosen, folder, resume=resume, hooks=Hooks(progress=progress))
    for note in result.notes:
        terminal.say(f"note: {note}")
    return _trained(result, _example(chosen))


def _training(seed: int | None, minutes: float | None, stop_at: float | None) -> dict[str, Any]:
    """The settings that have an option of their own, where they were given."""
    told = {"minutes": minutes, "stop_at": stop_at}
    training = {key: value for key, value in told.items() if value is not None}
    return {"training": training} | ({} if seed is None else {"seed": seed})


def _trained(result: TrainResult, prompt: str) -> Answer:
    interrupted = result.ended == "interrupted"
    data = {
        "folder": result.folder,
        "ended": result.ended,
        "steps": result.steps,
        "seconds": result.seconds,
        "accuracy": result.accuracy,
        "resume": result.resume_command if interrupted else None,
    }

    def show() -> None:
        how = {"interrupted": "Interrupted", "stop_at": "Good enough"}.get(result.ended, "Finished")
        reached = "" if result.accuracy is None else f", verified {result.accuracy:.0%}"
        after = f"{result.steps:,} steps in {terminal.duration(result.seconds)}"
        print(f"{how} after {after}{reached}.")
        if interrupted:
            print("Everything is saved. Go on with:")
        else:
            print(f"The model is in {result.folder}. Try next:")
        print(result.resume_command if interrupted else _try_next(prompt, result.folder))

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


def _free(path: Path) -> Path:
    """``path`` or, where it is taken, the same with the next number that is not."""
    stem = re.sub(r"-\d+$", "", path.name)
    number = 1
    while path.exists():
        number += 1
        path = path.with_name(f"{stem}-{number}")
    return path


def _run_to_resume(recipe: str, out: Path | None) -> Path:
    """The folder to go on with: --out, or where the recipe's file lies if that is a run."""
    home = Path(recipe).parent
    if out is None and (home / "checkpoints").is_dir():
        out = home
    if out is None:
        raise RequestError("--resume does not know which run.", "Name it: --out runs/NAME.")
    if not (out / "config.toml").is_file():
        guess = difflib.get_close_matches(str(out), map(str, _run_folders(out.parent)), 1)
        hint = f"Did you mean {guess[0]}? " if guess else ""
        raise RequestError(
            f"There is no run {out} to go on with.", f"{hint}Train without --resume."
        )
    return out


def _try_next(prompt: str, model: Path) -> str:
    folder = shlex.quote(str(model))
    return f"kineograph generate {shlex.quote(prompt)} --model {folder} --count 8 --out clips/"


# ---- making and judging videos -----------------------------------------------------------------


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
    guidance_scale: float = 1.0,
    force: bool = False,
) -> Answer:
    """Generate videos of a prompt, and say of each whether it does what the prompt says.

    Args:
        prompt: What to show, such as "circle moving up-right".
        model: A run or model folder; by default the newest run that has a model.
        count: How many videos.
        seed: The same seed makes the same videos, whatever the count.
        out: A file (.mp4 .webm .gif .webp, or .png for a sheet of all) or a folder.
        scale: Pixels on a side that each pixel becomes; by default the video is near 512 wide.
        num_inference_steps: Steps of the sampler, for models that take several.
        guidance_scale: How strongly to follow the prompt; 1 is plain.
        force: Overwrite files that are there.
    """
    from kineograph.data.grammar import check_prompt
    from kineograph.sampling.export import export, plan

    prompt = check_prompt(prompt)
    plan(out, count, force)
    folder = model or _newest_model(RUNS)
    if model is None:
        terminal.say(f"Using {folder}, the newest run.")
    from kineograph import api
    from kineograph.evaluation.verifier import verify_clip

    clips = api.generate(
        prompt,
        model=folder,
        count=count,
        seed=seed,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
    )
    common = {"prompt": prompt, "seed": str(seed), "model": str(folder), "version": _version()}
    told = [{**common, "clip": str(index)} for index in range(len(clips))]
    files = export(clips, out, scale=scale, force=force, metadata=told)
    verdicts = [verify_clip(clip, prompt) for clip in clips]
    names = [str(f) for f in files] if len(files) == len(clips) else [f"clip {t['clip']}" for t in told]
    data = common | {
        "seed": seed,
        "files": files,
        "clips": [{"clip": i, **_verdict_data(v)} for i, v in enumerate(verdicts)],
    }

    def show() -> None:
        terminal.show_verdicts(names, verdicts)
        if len(files) != len(clips):
            print(f"wrote {files[0]}")
        judged = [v for v in verdicts if v.verdict != "cannot judge"]
        tally = f"{sum(map(bool, judged))} of {len(judged)} do what the prompt says, " * bool(judged)
        print(f"{tally}seed {seed}")

    return Answer(data, show)


def verify(
    video: str | None = None, prompt: str | None = None, /, *, batch: Path | None = None
) -> Answer | int:
    """Does a video do what a prompt says? Exit code 0 yes, 1 no, 2 cannot judge.

    Args:
        video: A video file, or an animated GIF, WebP or PNG.
        prompt: What it should show, such as "circle moving left".
        batch: Instead of both, a file with {"video": ..., "prompt": ...} in every line; prints a
            line of JSON for each. Videos are looked for here, then beside that file.
    """
    if batch is not None:
        if video is not None:
            raise RequestError("A video and --batch were given.", "Choose one of them.")
        return _verify_batch(batch)
    if video is None or prompt is None:
        missing = "video" if video is None else "prompt"
        raise RequestError(f"The {missing} is missing.", 'Write: kineograph verify VIDEO "PROMPT".')
    verdict = _judge(Path(video), prompt)
    data = {"video": video, "prompt": prompt, **_verdict_data(verdict)}
    code = _VERDICT_CODES[verdict.verdict]
    return Answer(data, lambda: terminal.show_verdict(video, prompt, verdict), code)


def _judge(video: Path, prompt: str) -> Verdict:
    """What ``api.verify`` does, without torch."""
    from kineograph.data.video_io import read_video
    from kineograph.evaluation import verifier

    read = read_video(video)
    return verifier.verify(read.frames, prompt, read.fps)


def _verdict_data(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": verdict.verdict,
        "reasons": verdict.reasons,
        "measured": verdict.measured,
    }


def _verify_batch(path: Path) -> int:
    """A line of JSON for each line that is not blank, whatever is wrong with it."""
    from kineograph.core.files import translate_os_errors

    with translate_os_errors(path):
        opened = path.open("rb")
    with opened as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                print(json.dumps(_verify_line(line, number, path.parent)), flush=True)
    return 0


def _verify_line(line: bytes, number: int, home: Path) -> dict[str, Any]:
    pair: dict[str, Any] = {"video": None, "prompt": None}
    verdict: dict[str, Any] = {"verdict": "cannot judge", "reasons": [], "measured": {}}
    try:
        pair |= _pair(line, number)
        video = Path(pair["video"])
        beside = home / video
        if not video.exists() and beside.exists():
            video = beside
        verdict = _verdict_data(_judge(video, pair["prompt"]))
    except Exception as error:  # one bad line must not end the batch
        known = isinstance(error, KineographError)
        verdict["reasons"] = [str(error) if known else f"Unexpected {type(error).__name__}: {error}"]
    return pair | verdict


def _pair(line: bytes, number: int) -> dict[str, str]:
    remedy = 'Write {"video": "...", "prompt": "..."}.'
    try:
        given = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"Line {number} is not JSON ({error}).", remedy) from None
    pair = {key: given.get(key) if isinstance(given, dict) else None for key in ("video", "prompt")}
    for key, value in pair.items():
        if not isinstance(value, str):
            raise RequestError(f"Line {number} has no {key} in words.", remedy)
    return pair


def evaluate(
    model: Path, /, *, prompts: tuple[str, ...] = (), count: int = 64, seed: int | None = None
) -> Answer:
    """Measure how many of a model's videos do what their prompts say.

    Args:
        model: A run or model folder.
        prompts: Prompts to try; by default its training captions and some that it never saw.
        count: Videos of each prompt.
        seed: One number for all noise; by default one that no training uses.
    """
    from kineograph.data.grammar import check_prompt

    wanted = [check_prompt(prompt) for prompt in prompts]
    if count < 1:
        raise RequestError(f"--count is {count}.", "Ask for at least one video of each prompt.")
    from kineograph import api

    terminal.say(f"Generating {count} videos of each prompt and judging them ...")
    given = {} if seed is None else {"seed": seed}
    result = api.evaluate(model, prompts=wanted or None, count=count, **given)
    return Answer({"model": model, **result.as_json()}, lambda: print(result.format()))


# ---- looking at data ---------------------------------------------------------------------------


def data_preview(
    source: str,
    /,
    *,
    out: str | None = None,
    count: int = 18,
    seed: int = 0,
    force: bool = False,
    settings: dict[str, Any],
) -> Answer:
    """Draw the first clips of a source on a sheet.

    Args:
        source: The name of a source (see `kineograph sources`) or a Python file.
        out: Where to; by default SOURCE.png.
        count: How many clips.
        seed: Which clips.
        force: Overwrite a file that is there.
    """
    from kineograph.sampling.export import export, plan

    out = out or f"{Path(source).stem}.png"
    plan(out, count, force)
    clips = list(_clips(source, count, seed, settings))
    files = export(clips, out, force=force)
    data = {"files": files, "captions": [clip.caption for clip in clips]}
    return Answer(data, lambda: print(*(f"wrote {file}" for file in files), sep="\n"))


def data_export(
    source: str,
    out: Path,
    /,
    *,
    count: int = 100,
    seed: int = 0,
    settings: dict[str, Any],
) -> Answer:
    """Write clips of a source as folders of pictures, as the tutorial has them.

    Args:
        source: The name of a source (see `kineograph sources`) or a Python file.
        out: The folder that gets video_0/frame_0.png ... and video_0/prompt.txt.
        count: How many clips.
        seed: Which clips.
    """
    from kineograph.data.video_io import write_frame_folders

    if count < 1:
        raise RequestError(f"--count is {count}.", "Ask for at least one clip.")
    write_frame_folders(_clips(source, count, seed, settings), out)
    data = {"folder": out, "clips": count, "seed": seed}
    return Answer(data, lambda: print(f"wrote {count} clips into {out}"))


def _clips(source: str, count: int, seed: int, settings: dict[str, Any]) -> Iterator[Clip]:
    """The first clips of a source with the ``data`` settings; names are checked at once."""
    from kineograph.core import config, registry
    from kineograph.recipes import SOURCES

    for key in settings:
        if key != "data":
            raise RequestError(
                f'There is no setting "{key}" here.', f"Settings of a source: --data.{key}."
            )
    module = registry.load(SOURCES, source)
    chosen = module.Source(config.build(module.Config, settings.get("data", {}), path="data"))
    if count > len(chosen):
        raise RequestError(f"This source has {len(chosen):,} clips, not {count:,}.", "Ask for less.")
    return (chosen.clip(index, seed) for index in range(count))
