"""What a training would take, before anything of it is written: `kineograph train --dry-run`.

A few steps are tried in a process of its own, since a process cannot tell the peak of its memory
apart from what it needed before.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kineograph.core.errors import KineographError, MachineError, RequestError
from kineograph.evaluation.judges import judge_of
from kineograph.evaluation.live import LiveCheck
from kineograph.lessons import begin
from kineograph.recipes import Recipe, build
from kineograph.sampling.pipeline import Pipeline
from kineograph.training.environment import with_precision
from kineograph.training.loop import Hooks, Trainer
from kineograph.training.trial import foreseen, measure

_MORE_CHECKPOINTS = 2  # than are kept: that of the best check, and the one that is being written


@dataclass(frozen=True)
class DryRun:
    """What a training would take."""

    recipe: dict[str, Any]
    """As it would be trained with: what this machine decides is decided."""
    parameters: int
    networks: dict[str, int]
    """Parameters by the model's parts."""
    steps: int
    """Those that fit into the time limit, or all."""
    seconds: float
    """Of the training, live verifications included."""
    stretches: list[dict[str, Any]]
    """Which phases run from where to where of the progress, and the seconds of a step of theirs."""
    check_seconds: float
    """Of a live verification."""
    memory_bytes: int | None
    """Peak of the process; None where the system does not tell."""
    gpu_bytes: int | None
    """Peak on the GPU; None without one."""
    checkpoint_bytes: int
    disk_bytes: int
    """Of the run folder at its largest."""
    notes: list[str]
    """What a person should know of, such as that memory did not do for a whole batch."""


def dry_run(recipe: Recipe) -> DryRun:
    """Try a few steps of a recipe in another process, and say what its training would take.

    Nothing is written. Raises RequestError for a recipe that goes on from a trained model, and
    whatever the training would raise as it begins.
    """
    if recipe.refine or recipe.distill:
        raise RequestError(
            "What a refinement or a distillation would take cannot be told before.",
            "It begins with clips that it makes and judges. Train it without --dry-run.",
        )
    command = [sys.executable, "-P", "-m", "kineograph.dry_run"]
    asked = json.dumps(recipe.to_dict(), default=str)
    done = subprocess.run(command, input=asked, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise MachineError(
            f"The trial of a few steps did not come to its end: {last[0]}.",
            "If the system ended it, its memory does not do: choose a smaller "
            "training.batch_size or a smaller model.",
        )
    told = json.loads(done.stdout.splitlines()[-1])
    if "cause" in told:
        kind = RequestError if told["exit_code"] == RequestError.exit_code else MachineError
        raise kind(told["cause"], told["remedy"])
    return DryRun(**told)


def _tried(recipe: Recipe) -> DryRun:
    """Of a process that has done nothing else yet."""
    recipe.training.check()
    config = with_precision(recipe.training)
    begun = begin(recipe)
    notes: list[str] = []
    sheets: list[int] = []
    trainer = Trainer(
        begun.model,
        begun.source,
        begun.tokenizer,
        config,
        seed=recipe.seed,
        folder=Path(),
        hooks=Hooks(say=notes.append),
    )
    live = LiveCheck(
        list(begun.source.captions),
        judge_of(begun.source),
        write=lambda name, sheet: sheets.append(len(sheet)),
        say=lambda note: None,  # before it has learned anything, all clips may well be the same
    )

    def check(model: Any) -> None:
        pipeline = Pipeline(model.eval(), begun.tokenizer, {})
        live(pipeline.batch(live.prompts, range(len(live.prompts))), 0)

    checks = 0 < config.evaluate_every <= config.steps
    trial = measure(trainer, check if checks else None)
    steps, seconds = foreseen(config, trial)
    kept = max(config.keep_checkpoints, 1) + _MORE_CHECKPOINTS
    disk = kept * trial.checkpoint_bytes + trial.weights_bytes + _size_of_reader(recipe)
    disk += sum(sheets) * (steps // config.evaluate_every if checks else 0)
    networks = {
        name: sum(parameter.numel() for parameter in part.parameters())
        for name, part in begun.model.named_children()
    }
    return DryRun(
        recipe=replace(recipe, training=config).to_dict(),
        parameters=sum(parameter.numel() for parameter in begun.model.parameters()),
        networks={name: count for name, count in networks.items() if count},
        steps=steps,
        seconds=seconds,
        stretches=[asdict(each) for each in trial.stretches],
        check_seconds=trial.check_seconds,
        memory_bytes=trial.memory_bytes,
        gpu_bytes=trial.gpu_bytes,
        checkpoint_bytes=trial.checkpoint_bytes,
        disk_bytes=disk,
        notes=notes,
    )


def _size_of_reader(recipe: Recipe) -> int:
    """Bytes of a pretrained language model, of which the model's folder gets a copy."""
    folder = getattr(recipe.model, "language_model", "")
    files = Path(folder).rglob("*") if folder else ()
    return sum(file.stat().st_size for file in files if file.is_file())


def main() -> None:
    """Read a recipe (JSON) from stdin and write what it would take, or why not, to stdout."""
    try:
        told = asdict(_tried(build(json.load(sys.stdin))))
    except KineographError as error:
        told = {"cause": error.cause, "remedy": error.remedy, "exit_code": error.exit_code}
    print(json.dumps(told, default=str))


if __name__ == "__main__":
    main()
