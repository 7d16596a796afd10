"""The demo: the whole path, from nothing to verified videos and a report."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kineograph import api
from kineograph.core import config, registry
from kineograph.core.errors import RequestError
from kineograph.core.files import check_free, is_locked, write_atomically
from kineograph.data.clip import Source
from kineograph.data.video_io import animation_bytes
from kineograph.evaluation import report
from kineograph.evaluation.accuracy import Evaluation
from kineograph.evaluation.by_fact import real_clips
from kineograph.evaluation.judges import judge_of
from kineograph.evaluation.own_error import own_error
from kineograph.evaluation.page import command_line
from kineograph.evaluation.report import Baseline, recorded_baseline
from kineograph.models import bundled
from kineograph.recipes import SOURCES, resolve
from kineograph.sampling.export import wall
from kineograph.training.environment import environment, version
from kineograph.training.loop import Hooks
from kineograph.training.metrics_log import read_metrics

_CLIPS_A_CAPTION = 12  # on which the judge itself is measured
_FIRST = (
    "circle moving up-right",
    "circle bouncing vertically",
    "a large red star spins clockwise over a white background",
    "a small blue ring moving up-left quickly on a grey background",
)


@dataclass(frozen=True)
class DemoResult:
    """What the demo made."""

    training: api.TrainResult
    times: dict[str, float]
    """Part of the work => seconds."""
    evaluation: Evaluation | None = None
    """None, like what follows, where the training was interrupted."""
    report: Path | None = None
    baseline: Baseline | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values, for machines."""
        told: dict[str, Any] = {
            "model": str(self.training.folder / "model"),
            "ended": self.training.ended,
            "steps": self.training.steps,
            "times": self.times,
        }
        if self.evaluation is None:
            return told | {"resume": self.training.resume_command}
        seen = self.evaluation.total(seen=True)
        return told | {
            "report": str(self.report),
            "training_prompts": {"share": seen.share, "interval": list(seen.interval)},
            "evaluation": self.evaluation.as_json(),
            "baseline": self.baseline and asdict(self.baseline),
        }


def first_look(folder: Path) -> str:
    """Let the models that come with the package make a few clips, in a picture that plays, beside
    the ``folder`` of the demo; => what is to be said of it."""
    made = [api.generate_verified(prompt, model=bundled.that_knows(prompt))[0] for prompt in _FIRST]
    folder.parent.mkdir(parents=True, exist_ok=True)
    picture = folder.with_name(f"{folder.name}-first.webp")
    write_atomically(picture, animation_bytes(wall([clip for clip, _ in made]), "webp"))
    right = sum(bool(verdict) for _, verdict in made)
    return (
        f"{picture} shows what models that come with Kineograph make of {len(made)} prompts; "
        f"{right} do what theirs says. Now one is trained, from nothing."
    )


def demo(
    *,
    minutes: float,
    stop_at: float | None = None,
    seed: int = 0,
    out: str | Path,
    force: bool = False,
    hooks: Hooks | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> DemoResult:
    """The whole path: train the recipe "tutorial" here, generate, verify, report.

    ``out`` becomes a run folder with ``report.html`` in it; ``force`` replaces a run that is there.
    First, what models that come with the package make is put beside it, for the time until then.
    Training is limited by ``minutes``; generating and judging come after it, unless it was
    interrupted. ``say`` is told what is done after the training.
    """
    folder = Path(out)
    limits = {"minutes": minutes} | ({} if stop_at is None else {"stop_at": stop_at})
    recipe = resolve("tutorial", {"seed": seed, "training": limits})
    check_free(folder, force)
    recipe.training.check()
    if folder.exists():
        _remove_run(folder)
    (hooks or Hooks()).say(first_look(folder))
    clock = time.monotonic()
    trained = api.train(recipe, folder, hooks=hooks)
    times = {"training": time.monotonic() - clock}
    if trained.ended == "interrupted":
        return DemoResult(trained, times)
    clock = time.monotonic()
    say("Generating and judging ...")
    evaluation = api.evaluate(folder)
    times["generating and judging"] = time.monotonic() - clock
    clock = time.monotonic()
    say("Measuring the judge's own error, writing the report ...")
    source: Source = registry.load(SOURCES, recipe.source).Source(recipe.data)
    clips = real_clips(source, _CLIPS_A_CAPTION * len(source.captions), api.EVALUATION_SEED)
    error = own_error(clips, judge_of(source))
    times["judging the judge"] = time.monotonic() - clock
    baseline = recorded_baseline()
    command = command_line("demo", minutes=minutes, seed=seed, stop_at=stop_at)
    page = report.render(
        report.ReportData(
            evaluation=evaluation,
            command=command,
            version=version(),
            training_seconds=trained.seconds,
            times=times,
            settings=config.to_toml(recipe.to_dict()),
            environment=environment(),
            metrics=read_metrics(folder / "metrics.jsonl"),
            baseline=baseline,
            judge=error.totals,
            date=time.strftime("%Y-%m-%d"),
        )
    )
    write_atomically(folder / "report.html", page.encode())
    return DemoResult(trained, times, evaluation, folder / "report.html", baseline)


def _remove_run(folder: Path) -> None:
    """Make room for a run, but never at the cost of something that is none."""
    if any(folder.iterdir()) and not (folder / "config.toml").is_file():
        raise RequestError(f"{folder} is not a run folder.", "Choose another place.")
    if is_locked(folder):
        raise RequestError(
            f"A training is running in {folder}.", "Choose another place, or stop it."
        )
    shutil.rmtree(folder)
