"""How a training went, as charts that take the colours and fonts of the page around them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kineograph.evaluation.accuracy import percent
from kineograph.evaluation.page import Html, fill, join


def curves(metrics: Sequence[Mapping[str, Any]]) -> Html:
    """Charts of what was logged: rows of metrics.jsonl; nothing where there is nothing to draw."""
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
