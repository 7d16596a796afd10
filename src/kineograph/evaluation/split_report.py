"""The page of a split: what a model made, fact by fact, between the judge's ceiling and floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kineograph.evaluation.accuracy import between
from kineograph.evaluation.by_fact import FactScore, SplitEvaluation, Trial, measure_text
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

_SHOWN = 12  # clips that are right, and as many that are not
_WORST = 30  # captions


@dataclass(frozen=True)
class SplitReport:
    """All that the page tells."""

    evaluation: SplitEvaluation
    command: str
    """What repeats it, to be typed as it stands."""
    version: str
    judge: Mapping[str, Share] = field(default_factory=dict)
    """What was done to real clips => how many of them the judge still accepts."""
    settings: str = ""
    """The whole TOML file of the model."""
    environment: Mapping[str, object] = field(default_factory=dict)
    metrics: Sequence[Mapping[str, Any]] = ()
    """Rows of the training's metrics.jsonl, where that is known."""
    date: str = ""


def render(data: SplitReport) -> str:
    """The whole page."""
    found = data.evaluation
    declined = _declined(found)
    sections = (
        Html() if declined else _headline(found),
        _clips(found.model),
        _facts(found),
        _pairs(found),
    )
    rest = (_captions(found.model), _measures(found), curves(data.metrics))
    last = (judge_table(data.judge), repeat(data.command, data.environment, data.settings))
    names = {"clips": f"{len(found.model.trials):,}", "split": found.split, "source": found.source}
    names["about"] = found.about
    story = fill("split-story", **names)
    if declined:
        story = fill("declined-story", why=declined, **names)
    brand = " · ".join(filter(None, ("Kineograph report", data.date)))
    words = {"title": "Does the video do what the prompt says?", "brand": brand}
    style = Html(file_text("report.css"))
    body = join((*sections, *rest, *last))
    return fill("page", style=style, story=story, sections=body, version=data.version, **words)


def _declined(found: SplitEvaluation) -> str:
    """Why no clip could be judged, not even a real one; "" where one could."""
    verdicts = [trial.verdict for trial in (*found.ceiling.trials, *found.model.trials)]
    if any(verdict.verdict != "cannot judge" for verdict in verdicts):
        return ""
    return next((reason for verdict in verdicts for reason in verdict.reasons), "")


def _headline(found: SplitEvaluation) -> Html:
    tiles = (
        ("The model", "every fact right", found.model.joint),
        ("Ceiling", "real clips under their own captions", found.ceiling.joint),
        ("Floor", "real clips under others' captions", found.floor.joint),
    )
    numbers = join(_tile(*tile) for tile in tiles)
    product = found.model.product
    notes = Html()
    if found.model.facts:
        told = f"The product of the single facts' shares is {share_text(product, 1000)}"
        told += ": so often would all be right if each failed independently of the others."
        notes = fill("note", note=told)
    return fill("headline", numbers=numbers, notes=notes)


def _tile(kind: str, label: str, result: Share) -> Html:
    yes, trials = f"{result.accepted:,}", f"{result.of:,}"
    words = {"kind": kind, "label": label, "yes": yes, "trials": trials, "baseline": Html()}
    share = share_text(result.share, result.of)
    return fill("number", share=share, interval=between(result), bar=bar(result), **words)


def _clips(model: FactScore) -> Html:
    groups: dict[str, list[Trial]] = {"yes": [], "no": [], "cannot judge": []}
    for trial in model.trials:
        groups[trial.verdict.verdict].append(trial)
    titles = {"yes": "They do what the prompt says", "no": "They do not"}
    titles["cannot judge"] = "They cannot be judged"
    walls = join(_wall(titles[kind], trials) for kind, trials in groups.items() if trials)
    return fill("split-clips", walls=walls, switch=fill("switch")) if walls else Html()


def _wall(title: str, trials: Sequence[Trial]) -> Html:
    clips = [
        fill(
            "captioned",
            caption=t.clip.caption,
            figure=clip_figure(t.clip, t.verdict, t.clip.caption),
        )
        for t in trials[:_SHOWN]
    ]
    counted = f"The first {len(clips)} of {len(trials):,}, not the best."
    if any('class="path"' in clip for clip in clips):
        counted += " The line is the path that the judge saw, from the dot on."
    return fill("split-wall", title=title, counted=counted, clips=join(clips))


def _facts(found: SplitEvaluation) -> Html:
    model, real = found.model, found.ceiling.facts
    if not model.facts:
        return Html()
    rows = [_row(fact, share, real.get(fact)) for fact, share in model.facts.items()]
    rows.append(_row("all of them", model.joint, found.ceiling.joint, "total"))
    more = []
    for fact, values in model.values.items():
        worst_first = sorted(values.items(), key=lambda item: item[1].share)
        lines = join(_row(value, share, None) for value, share in worst_first)
        table = fill("value-table", first=fact, rows=lines)
        more.append(
            fill("more", title=f"{fact}: {len(values)} values, the worst first", table=table)
        )
    caption = "How often each fact of the prompts is right, in the clips of which it was asked."
    title = "Fact by fact"
    words = {"title": title, "caption": caption, "first": "Fact"}
    return fill("facts", rows=join(rows), more=join(more), **words)


def _row(name: str, share: Share, real: Share | None, css: str = "prompt") -> Html:
    told = share_text(real.share, real.of) if real and real.of else ""
    numbers = {"share": share_text(share.share, share.of), "trials": f"{share.of:,}"}
    drawn = bar(share, real.share if real and real.of else None)
    return fill("row", css=css, name=name, bar=drawn, interval=between(share), why=told, **numbers)


def _pairs(found: SplitEvaluation) -> Html:
    tables = []
    for first, second in found.pairs:
        shares = found.model.pairs(first, second)
        if shares:
            title = f"{first} × {second}: both right"
            tables.append(fill("more", title=title, table=_matrix(shares)))
    if not tables:
        return Html()
    caption = "Per cent of the clips in which both facts are right; some pairs are held out."
    return fill("folded", title="Pair by pair", caption=caption, more=join(tables))


def _matrix(shares: Mapping[str, Share]) -> Html:
    named = {tuple(name.split(", ", 1)): share for name, share in shares.items()}
    columns = sorted({second for _, second in named})
    rows = []
    for first in sorted({first for first, _ in named}):
        cells = [_cell(named.get((first, second))) for second in columns]
        rows.append(fill("matrix-row", name=first, cells=join(cells)))
    heads = join(fill("matrix-head", name=name) for name in columns)
    return fill("matrix", heads=heads, rows=join(rows))


def _cell(share: Share | None) -> Html:
    if share is None or not share.of:
        return fill("cell", share=0, tip="not asked", text="")
    tip = f"{share.accepted} of {share.of}"
    return fill("cell", share=f"{share.share:.3f}", tip=tip, text=f"{100 * share.share:.0f}")


def _captions(model: FactScore) -> Html:
    worst = list(model.captions.items())[:_WORST]
    if not worst or worst[0][1].share == 1:
        return Html()
    rows = join(_row(caption, share, None) for caption, share in worst)
    table = fill("value-table", first="Caption", rows=rows)
    more = fill("more", title=f"The {len(worst)} captions with the lowest share", table=table)
    caption = "Every fact right, the worst first."
    return fill("folded", title="Caption by caption", caption=caption, more=more)


def _measures(found: SplitEvaluation) -> Html:
    rows = [
        fill("measure", name=name, value=measure_text(value), meaning=_meaning(name))
        for name, value in found.measures.items()
    ]
    return fill("measures", rows=join(rows)) if rows else Html()


def _meaning(measure: str) -> str:
    """How to read a measure, by the beginning of its name."""
    return next((text for begin, text in _READ_AS.items() if measure.startswith(begin)), "")


_READ_AS = {
    "velocity error of the judge": "What it measures of real clips: less cannot be seen.",
    "velocity error": "How far from the nearest velocity that the prompt allows; 0 is best.",
    "spread": "Of the right ones of 64. 1: they differ as real clips do. 0: they are all the same.",
    "distance to the nearest": "About 1: as new as real clips. Near 0: copies of the training.",
    "Fréchet": "0 is best. Compare only what has the same name.",
    "FVD": "0 is best. Compare only what has the same name.",
}
