"""One self-contained HTML page: what a model was asked, what it drew, how often it was right.

The page needs no other file, no network and no script, and refuses all three by a content
security policy of its own. Its words are in ``report.html``, its look is in ``report.css``.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kineograph.evaluation.accuracy import (
    Evaluation,
    PromptScore,
    between,
    duration,
    percent,
)
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
        _curves(data.metrics),
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


# ---- curves -----------------------------------------------------------------------------------


def _curves(metrics: Sequence[Mapping[str, Any]]) -> Html:
    names = dict.fromkeys(key for row in metrics for key in row if key.endswith(".total"))
    charts = [_chart("Verified accuracy", "of a few clips, while it trained", "accuracy", metrics)]
    charts += [_chart("Loss", f"of the {n.removesuffix('.total')}", n, metrics) for n in names]
    return fill("curves", charts=join(charts)) if any(charts) else Html()


def _chart(title: str, subtitle: str, key: str, rows: Sequence[Mapping[str, Any]]) -> Html:
    rows = [row for row in rows if _is_number(row.get("elapsed"))]
    points = [(row["elapsed"], row[key]) for row in rows if _is_number(row.get(key))]
    end = max((row["elapsed"] for row in rows), default=0)  # the same for all charts
    if len(points) < 2 or end <= 0:
        return Html()
    x, y = np.array(points, float).T
    unit, seconds = ("minutes", 60.0) if end >= 120 else ("seconds", 1.0)
    shares = key == "accuracy"
    first, last = (percent(value, 0) if shares else f"{value:.3g}" for value in (y[0], y[-1]))
    label = f"{title} {subtitle}, over {end / seconds:.3g} {unit}: from {first} to {last}"
    svg = _svg(key, lambda axes: _draw(axes, x / seconds, y, shares), end / seconds, unit)
    return fill("chart", title=title, subtitle=subtitle, label=label, svg=svg)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))


def _draw(axes: Any, x: np.ndarray, y: np.ndarray, shares: bool) -> None:
    if shares:
        axes.plot(x, 100 * y, color=_ACCENT, marker="o", markersize=3.5, linewidth=1.8)
        axes.set(ylim=(0, 103), yticks=range(0, 101, 25))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
        return
    times, losses = (np.array_split(values, min(len(x), 80)) for values in (x, y))
    at, middle = ([part.mean() for part in parts] for parts in (times, losses))
    low, high = ([np.percentile(part, q) for part in losses] for q in (10, 90))
    axes.fill_between(at, low, high, color=_ACCENT, alpha=0.22, linewidth=0)
    axes.plot(at, middle, color=_ACCENT, linewidth=1.5)
    bottom, top = np.percentile(low, 1), np.percentile(high, 99)  # one leap would hide the rest
    room = 0.08 * (top - bottom) or 0.5
    axes.set_ylim(bottom - room, top + room)


_ACCENT, _MUTED, _RULE = "#010101", "#020202", "#030303"  # stand for the page's own colours
_COLORS = {_ACCENT: "var(--accent)", _MUTED: "var(--muted)", _RULE: "var(--rule)"}


def _svg(name: str, draw: Callable[[Any], None], end: float, unit: str) -> Html:
    """A chart from 0 to ``end``, with fonts and colours, light or dark, of the page around it."""
    import matplotlib
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": name, "grid.color": _RULE}
    style |= dict.fromkeys(("xtick.color", "ytick.color", "axes.labelcolor"), _MUTED)
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(4.6, 3.1))  # inches of 72 units
        axes = figure.add_axes((0.14, 0.18, 0.84, 0.78))
        axes.tick_params(length=0, labelsize=13, pad=5)
        axes.grid(axis="y", linewidth=1)
        axes.set_axisbelow(True)
        axes.spines[:].set_visible(False)
        draw(axes)
        axes.set_xlim(0, end)
        axes.set_xlabel(unit, fontsize=13)
        axes.locator_params(axis="x", nbins=5)
        out = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    return _at_home(out.getvalue(), re.sub(r"\W+", "-", name))


def _at_home(svg: str, prefix: str) -> Html:
    """An SVG file => an element of an HTML page: no prologue, its own ids, the page's style."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'(?<=<svg )[^>]*(viewBox="[^"]*")[^>]*', r'\1 aria-hidden="true"', svg, count=1)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-").replace('xlink:href="#', f'href="#{prefix}-')
    for color, variable in _COLORS.items():
        svg = svg.replace(color, variable)
    return Html(svg)
