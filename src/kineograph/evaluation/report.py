"""One self-contained HTML page: what a model was asked, what it drew, how often it was right.

The page needs no other file, no network and no script, and refuses all three by a content
security policy of its own. Its words are in ``report.html``, its look is in ``report.css``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kineograph.core.files import read_json
from kineograph.evaluation.accuracy import (
    Evaluation,
    PromptScore,
    between,
    duration,
)
from kineograph.evaluation.charts import curves
from kineograph.evaluation.page import (
    Html,
    bar,
    clip_figure,
    file_text,
    fill,
    join,
    judge_table,
    repeat,
    share_text,
)
from kineograph.evaluation.statistics import Share

CLIPS_OF_UNSEEN = 16
CLIPS_OF_SEEN = 3
MAX_CLIP_CHARACTERS = 5_500_000
"""What the clips of a page may take; the rest of it is far below a million."""

_MOST_NUMBERS = 5  # unseen prompts that get a headline number of their own


@dataclass(frozen=True)
class Baseline:
    """What another model reached in a recorded benchmark; shares are 0 to 1."""

    training: float | None
    """Over the training captions."""
    prompts: Mapping[str, float]
    """Prompt => share, for the unseen ones."""
    date: str
    machine: str
    seconds: float | None = None
    """How long it was trained."""
    name: str = "The tutorial's own model"


def recorded_baseline() -> Baseline | None:
    """What the tutorial's own model reached in the last recorded benchmark, if there is one."""
    found = _recorded()
    if found is None:
        return None
    model = found["models"]["tutorial_gan"]
    return Baseline(
        training=model["training_prompts"],
        prompts={prompt: model["prompts"][prompt] for prompt in found["unseen_prompts"]},
        date=found["date"],
        machine=found["machine"],
        seconds=found["seconds"],
    )


def recorded_speed() -> dict[str, Any] | None:
    """Of the flow's training in that benchmark: "machine", "date", "steps", "seconds"."""
    found = _recorded()
    if found is None:
        return None
    told = found["models"]["flow"]
    return {
        "machine": found["gpu"] or found["machine"],
        "date": found["date"],
        "steps": told["steps"],
        "seconds": told["seconds"],
    }


def _recorded() -> dict[str, Any] | None:
    path = Path(__file__).parents[3] / "benchmarks/results/time_to_accuracy.json"
    return dict(read_json(path)) if path.is_file() else None


@dataclass(frozen=True)
class ReportData:
    """All that a report tells. What is left out is left out of the page."""

    evaluation: Evaluation
    command: str
    """What repeats it, to be typed as it stands."""
    version: str
    training_seconds: float | None = None
    times: Mapping[str, float] = field(default_factory=dict)
    """Part of the work => seconds, in order."""
    settings: str = ""
    """The whole TOML file."""
    environment: Mapping[str, object] = field(default_factory=dict)
    metrics: Sequence[Mapping[str, Any]] = ()
    """Rows of metrics.jsonl: "elapsed" (seconds), "accuracy", "generator.total", …"""
    baseline: Baseline | None = None
    judge: Mapping[str, Share] = field(default_factory=dict)
    """What was done to real clips => how many of them the judge accepts."""
    title: str = "Does the video do what the prompt says?"
    date: str = ""
    notes: Sequence[str] = ()
    """Sentences that a reader should know, shown below the headline numbers."""


def render(data: ReportData) -> str:
    """The whole page."""
    seen, unseen = data.evaluation.of(seen=True), data.evaluation.of(seen=False)
    clips = _clips([*unseen, *seen])
    sections = (
        _headline(data),
        _walls("unseen", unseen, clips, switch=True),
        _walls("seen", seen, clips, switch=not unseen),
        _accuracy(data.evaluation),
        curves(data.metrics),
        judge_table(data.judge),
        repeat(data.command, data.environment, data.settings, data.times),
    )
    brand = " · ".join(filter(None, ("Kineograph report", data.date)))
    words = {"title": data.title, "brand": brand, "version": data.version}
    style = Html(file_text("report.css"))
    return fill("page", style=style, story=_story(data), sections=join(sections), **words)


# ---- the top ----------------------------------------------------------------------------------


def _story(data: ReportData) -> Html:
    """What happened here, in plain words."""
    scores = data.evaluation.scores
    counts = {len(score.clips) for score in scores}
    same = len(counts) == 1
    new = len(data.evaluation.of(seen=False))
    prompts = "each of " * same + _prompts(scores)
    if 0 < new < len(scores):
        prompts += f", {new} of which it had never seen"
    begin = Html("A text-to-video model")
    if data.training_seconds is not None:
        begin = fill("trained", time=duration(data.training_seconds))
    clips = min(counts) if same else sum(len(score.clips) for score in scores)
    return fill("story", begin=begin, clips=f"{clips:,}", prompts=prompts)


def _headline(data: ReportData) -> Html:
    base, total = data.baseline, data.evaluation.total
    seen, unseen = data.evaluation.of(seen=True), data.evaluation.of(seen=False)
    numbers: list[tuple[str, str, Share, float | None]] = []
    if seen:
        other = base.training if base else None
        numbers.append(("Training captions", _prompts(seen), total(seen=True), other))
    if len(unseen) > _MOST_NUMBERS:
        numbers.append(("Never seen in training", _prompts(unseen), total(seen=False), None))
    for score in unseen if len(unseen) <= _MOST_NUMBERS else ():
        other = base.prompts.get(score.prompt) if base else None
        numbers.append(("Never seen in training", score.prompt, score.result, other))
    notes = [fill("note", note=note) for note in data.notes]
    if base:
        trained = f", after {duration(base.seconds)} of training" if base.seconds else ""
        about = {"date": base.date, "machine": base.machine, "trained": trained}
        notes.insert(0, fill("recorded", name=base.name, **about))
    figures = join(_number(*number, base) for number in numbers)
    return fill("headline", numbers=figures, notes=join(notes))


def _prompts(scores: Sequence[PromptScore]) -> str:
    return f"{len(scores)} prompt{'s' * (len(scores) != 1)}"


def _number(
    kind: str, label: str, result: Share, other: float | None, base: Baseline | None
) -> Html:
    baseline = Html()
    if base and other is not None:
        baseline = fill("baseline", name=base.name, share=share_text(other, 0))
    yes, trials = f"{result.accepted:,}", f"{result.of:,}"
    words = {"kind": kind, "label": label, "yes": yes, "trials": trials}
    share, interval = share_text(result.share, result.of), between(result)
    drawn = bar(result, other)
    return fill("number", share=share, interval=interval, bar=drawn, baseline=baseline, **words)


# ---- clips ------------------------------------------------------------------------------------


Clips = Mapping[str, Sequence[Html]]  # prompt => those of its clips that are shown


def _walls(fragment: str, scores: Sequence[PromptScore], clips: Clips, switch: bool) -> Html:
    if not scores:
        return Html()
    walls = join(_wall(score, clips[score.prompt]) for score in scores)
    return fill(fragment, walls=walls, switch=fill("switch") if switch else Html())


def _wall(score: PromptScore, clips: Sequence[Html]) -> Html:
    counted = f"{score.yes:,} of {score.trials:,} do what it says."
    if score.why_not_judged:
        counted = f"Cannot be judged. {score.why_not_judged}"
    if not clips:
        counted += " There is none to show." if not score.clips else " Too large to show here."
    elif not score.seen and len(clips) < len(score.clips):
        counted += f" Here are the first {len(clips)}, not the best."
    return fill("wall", prompt=score.prompt, counted=counted, clips=join(clips))


def _clips(scores: Sequence[PromptScore]) -> dict[str, list[Html]]:
    """The first clips of every prompt; taking turns, so that a limit is felt by all alike."""
    shown: dict[str, list[Html]] = {score.prompt: [] for score in scores}
    left = MAX_CLIP_CHARACTERS
    for turn in range(CLIPS_OF_UNSEEN):
        for score in scores:
            most = CLIPS_OF_SEEN if score.seen else CLIPS_OF_UNSEEN
            if turn >= min(most, len(score.clips)) or len(shown[score.prompt]) < turn:
                continue  # those shown are the first ones, none picked
            figure = clip_figure(score.clips[turn], score.verdicts[turn], score.prompt)
            if len(figure) <= left:
                shown[score.prompt].append(figure)
                left -= len(figure)
    return shown


# ---- numbers ----------------------------------------------------------------------------------


def _accuracy(evaluation: Evaluation) -> Html:
    groups = []
    for seen, title in ((False, "Never seen in training"), (True, "Training captions")):
        scores = evaluation.of(seen)
        rows = [_row(score.prompt, score.result, _why(score)) for score in scores]
        if len(scores) > 1:
            rows.append(_row("Together", evaluation.total(seen), "", "total"))
        if scores:
            groups.append(fill("group", title=title, rows=join(rows)))
    return fill("accuracy", groups=join(groups)) if groups else Html()


def _row(name: str, result: Share, why: str, css: str = "prompt") -> Html:
    numbers = {"share": share_text(result.share, result.of), "trials": f"{result.of:,}"}
    drawn, interval = bar(result), between(result)
    return fill("row", css=css, name=name, bar=drawn, interval=interval, why=why, **numbers)


def _why(score: PromptScore) -> str:
    if score.why_not_judged:
        return f"Cannot be judged and is not counted. {score.why_not_judged}"
    if not score.failures:
        return ""
    count, reason = score.failures[0]
    return f"{count} of {score.trials - score.yes}: {reason}"
