"""Models for other runtimes than PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kineograph.apps import terminal
from kineograph.apps.terminal import Answer
from kineograph.core.errors import RequestError

if TYPE_CHECKING:
    from kineograph.evaluation.statistics import Share
    from kineograph.sampling.pipeline import Pipeline


def export_onnx(
    model: Path,
    /,
    *,
    out: Path = Path("onnx"),
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
    count: int = 256,
    force: bool = False,
) -> Answer:
    """Write a model as ONNX files, for other runtimes, and measure what they make.

    They are compared with PyTorch, and their clips judged as PyTorch's are. Beside them lie the
    tokenizer, and a config.json that tells what goes in and comes out.

    Args:
        model: A run or model folder, the name of a model that comes with Kineograph, or of one on
            the Hugging Face Hub.
        out: The folder for the files.
        precision: Of the weights: fp16 halves the files, int8 makes most of them a quarter.
        count: Clips that are made and judged; 0 leaves it out.
        force: Replace what is in that folder.
    """
    from kineograph.core.files import check_free

    if count < 0:
        raise RequestError(f"--count is {count}.", "It must be 0 or more.")
    check_free(out, force)
    from kineograph import api
    from kineograph.sampling import onnx_export

    pipeline = api.load(model)
    terminal.say(f"Exporting {model} ...")
    done = onnx_export.export(pipeline, out, precision=precision, force=force)
    data: dict[str, Any] = {
        "folder": out,
        "files": done.files,
        "bytes": sum(file.stat().st_size for file in done.files),
        "precision": precision,
        "largest_difference": done.apart,
    }
    rows = [
        ("files", ", ".join(file.name for file in done.files)),
        ("size", f"{data['bytes'] / 1e6:.1f} MB"),
        ("largest difference of a pixel", f"{done.apart:.2g} of 2"),
    ]
    if count:
        terminal.say(f"Judging {count} of its clips, and as many of PyTorch's ...")
        before, after = _accuracy(pipeline, count), _accuracy(done.pipeline, count)
        if before.of:
            from kineograph.evaluation.accuracy import numbers, with_interval

            data |= {"accuracy": numbers(after), "accuracy_of_pytorch": numbers(before)}
            rows += [
                ("verified", with_interval(after)),
                ("verified of PyTorch's", with_interval(before)),
            ]

    def show() -> None:
        terminal.print_columns(rows, indent=0)
        print(f"Wrote {out}.")

    return Answer(data, show)


def _accuracy(pipeline: Pipeline, count: int) -> Share:
    """How many clips of the model's captions, and of prompts it never saw, do what they say."""
    from kineograph import api
    from kineograph.evaluation.accuracy import accepted

    info = pipeline.info
    prompts = [*info.get("captions", ()), *info.get("unseen_prompts", ())]
    asked = [
        prompts[i * len(prompts) // count % len(prompts)] for i in range(count * bool(prompts))
    ]
    clips = pipeline.batch(asked, range(len(asked)), api.EVALUATION_SEED)
    judge = api.judge_of_model(pipeline)
    return accepted([judge(clip.frames, clip.caption, clip.fps) for clip in clips])
