"""Judging videos and models: verify, evaluate. Verifying needs no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kineograph.apps import terminal
from kineograph.apps.terminal import Answer
from kineograph.core.errors import KineographError, RequestError
from kineograph.core.sharing import leads

if TYPE_CHECKING:
    from kineograph.evaluation.accuracy import Evaluation
    from kineograph.evaluation.by_fact import SplitEvaluation
    from kineograph.evaluation.verifier import Judge, Verdict

_EXIT_CODES = {"yes": 0, "no": 1, "cannot judge": 2}


def verify(
    video: str | None = None,
    prompt: str | None = None,
    /,
    *,
    batch: Path | None = None,
    source: str | None = None,
    path: Path | None = None,
) -> Answer | int:
    """Does a video do what a prompt says? Exit code 0 yes, 1 no, 2 cannot judge.

    With --batch it prints a line of JSON for each pair, and ends with 0 whatever they are. Videos
    that are not here are looked for beside that file.

    Args:
        video: A video file, or an animated GIF, WebP or PNG.
        prompt: What it should show, such as "circle moving left".
        batch: Instead, a file with a line {"video": ..., "prompt": ...} for each; prints as many.
        source: Judge as this source does, such as sprites; by default the prompt's words decide.
        path: With --source: the folder it reads, such as that of the sprites' sheets.
    """
    from kineograph.evaluation.judges import judge_by_name

    judge = judge_by_name(source, path)
    if batch is not None:
        if video is not None:
            raise RequestError("A video and --batch were given.", "Choose one of them.")
        return _verify_batch(batch, judge)
    if video is None or prompt is None:
        missing = "video" if video is None else "prompt"
        raise RequestError(f"The {missing} is missing.", 'Write: kineograph verify VIDEO "PROMPT".')
    verdict = _judge(Path(video), prompt, judge)
    data = {"video": video, "prompt": prompt, **verdict_data(verdict)}
    code = _EXIT_CODES[verdict.verdict]
    return Answer(data, lambda: terminal.show_verdict(video, prompt, verdict), code)


def _judge(video: Path, prompt: str, judge: Judge) -> Verdict:
    """What ``api.verify`` does, without torch."""
    from kineograph.data.video_io import read_video

    read = read_video(video)
    return judge(read.frames, prompt, read.fps)


def verdict_data(verdict: Verdict) -> dict[str, Any]:
    """A verdict for programs."""
    return {
        "verdict": verdict.verdict,
        "reasons": verdict.reasons,
        "measured": verdict.measured,
    }


def _verify_batch(path: Path, judge: Judge) -> int:
    """A line of JSON for each line that is not blank, whatever is wrong with it."""
    from kineograph.core.files import translate_os_errors

    with translate_os_errors(path):
        opened = path.open("rb")
    with opened as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                print(json.dumps(_verify_line(line, number, path.parent, judge)), flush=True)
    return 0


def _verify_line(line: bytes, number: int, home: Path, judge: Judge) -> dict[str, Any]:
    pair: dict[str, Any] = {"video": None, "prompt": None}
    verdict: dict[str, Any] = {"verdict": "cannot judge", "reasons": [], "measured": {}}
    try:
        pair |= _pair(line, number)
        video = Path(pair["video"])
        beside = home / video
        if not video.exists() and beside.exists():
            video = beside
        verdict = verdict_data(_judge(video, pair["prompt"], judge))
    except Exception as error:  # one bad line must not end the batch
        known = isinstance(error, KineographError)
        verdict["reasons"] = [
            str(error) if known else f"Unexpected {type(error).__name__}: {error}"
        ]
    return pair | verdict


def _pair(line: bytes, number: int) -> dict[str, str]:
    remedy = 'Write {"video": "...", "prompt": "..."}.'
    try:
        given = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"Line {number} is not JSON ({error}).", remedy) from None
    for key in ("video", "prompt"):
        if not isinstance(given, dict) or not isinstance(given.get(key), str):
            raise RequestError(f"Line {number} has no {key} in words.", remedy)
    return {"video": given["video"], "prompt": given["prompt"]}


def evaluate(
    model: Path,
    /,
    *,
    prompts: tuple[str, ...] = (),
    count: int | None = None,
    seed: int | None = None,
    source: str | None = None,
    path: Path | None = None,
    split: str | None = None,
    out: Path | None = None,
    force: bool = False,
    frechet: bool = False,
    i3d: Path | None = None,
    anyway: bool = False,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
) -> Answer:
    """Measure how many of a model's videos do what their prompts say.

    With --source, --split, --out or --frechet it takes many prompts from a split of a source, one
    video of each, and tells how often each fact is right, beside what the judge says of real clips.

    Args:
        model: A run or model folder, or a model's name on the Hugging Face Hub.
        prompts: Prompts to try; by default its training captions and some that it never saw.
        count: Videos of each prompt (64), or videos in all with a split (512).
        seed: One number for all noise; by default one that no training uses.
        source: Take the prompts from this source instead of the model's own.
        path: The folder that the source reads, where it is not the one of the training.
        split: "train" (by default), "held-out", ...: what part of the source.
        out: Write a page that tells it all, one HTML file.
        force: Replace that file.
        frechet: Measure the Fréchet video distance to real clips, too.
        i3d: With --frechet: the TorchScript file of I3D; then the distance is the FVD.
        anyway: With --frechet: even of fewer than 2,048 videos.
        num_inference_steps: Steps of the sampler, for models that take several.
        guidance_scale: How strongly to follow the prompt, if not as the model does; 1 is plain.
    """
    from kineograph.core.files import check_free
    from kineograph.data.grammar import check_prompt
    from kineograph.evaluation.frechet import FrechetOptions

    wanted = [check_prompt(prompt) for prompt in prompts]
    if count is not None and count < 1:
        raise RequestError(f"--count is {count}.", "Ask for at least one video.")
    by_split = bool(source or split or out or frechet)
    if wanted and by_split:
        raise RequestError(
            "Prompts were given, but --source, --split, --out and --frechet take a source's own.",
            "Leave the ones or the others out.",
        )
    if (anyway or i3d) and not frechet:
        raise RequestError("--anyway and --i3d are about a distance.", "Add --frechet.")
    if out is not None:
        check_free(out, force or not leads())
    from kineograph import api

    given: dict[str, Any] = {"path": path} | ({} if seed is None else {"seed": seed})
    given |= {"num_inference_steps": num_inference_steps, "guidance_scale": guidance_scale}
    if by_split:
        given |= {} if count is None else {"count": count}
        _say("Generating videos of a source's prompts and judging them ...")
        given |= {"source": source, "split": split, "report_to": out}
        given |= {"frechet": FrechetOptions(i3d, anyway)} if frechet else {}
        found = api.evaluate_split(model, **given)
        return _told(model, found)
    count = count or 64
    _say(f"Generating {count} videos of each prompt and judging them ...")
    result = api.evaluate(model, prompts=wanted or None, count=count, **given)
    return _told(model, result)


def _say(text: str) -> None:
    if leads():
        terminal.say(text)


def _told(model: Path, found: Evaluation | SplitEvaluation) -> Answer:
    if not leads():
        return Answer(None, lambda: None)
    return Answer({"model": model, **found.as_json()}, lambda: print(found.format()))
