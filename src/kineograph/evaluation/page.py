"""What the pages are made of: fragments of report.html, clips that play, bars and tables."""

from __future__ import annotations

import base64
import functools
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from html import escape
from importlib import resources
from string import Template
from typing import Any

import numpy as np

from kineograph.data.clip import Clip
from kineograph.data.video_io import animation_bytes
from kineograph.evaluation import novelty
from kineograph.evaluation.accuracy import between, brief, duration, percent
from kineograph.evaluation.corruptions import CORRUPTIONS, MILD, WRONG_CAPTION
from kineograph.evaluation.own_error import BROKEN, RIGHT, TRUE
from kineograph.evaluation.statistics import Share
from kineograph.evaluation.verifier import Verdict

_FASTEST = 50.0  # frames a second; browsers slow down faster animations


class Html(str):
    """Text that is markup already. Any other text is escaped where it enters the page."""


def fill(fragment: str, **values: object) -> Html:
    """A fragment of report.html with its places filled in."""
    text = {k: v if isinstance(v, Html) else escape(str(v)) for k, v in values.items()}
    return Html(_fragments()[fragment].substitute(text))


def join(parts: Iterable[Html]) -> Html:
    """Pieces of markup, one after the other."""
    return Html("".join(parts))


@functools.cache
def _fragments() -> dict[str, Template]:
    _, *parts = re.split(r"<!-- (\S+) -->\n", file_text("report.html"))
    return {name: Template(text) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def file_text(name: str) -> str:
    """A file beside this one."""
    return resources.files("kineograph.evaluation").joinpath(name).read_text("utf-8")


def bar(result: Share, other: float | None = None) -> Html:
    """A picture of what the text beside it says."""
    if not result.of:
        return Html()
    low, high = result.interval
    places = {"share": result.share, "low": low, "high": high}
    if other is not None:
        places["other"] = other
    style = ";".join(f"--{name}:{100 * place:.1f}%" for name, place in places.items())
    return fill("bar" if other is None else "bar-and-other", style=style)


_MARKS = {"yes": ("yes", "✓ yes"), "no": ("no", "✗ no"), "cannot judge": ("unknown", "not judged")}


def clip_figure(clip: Clip, verdict: Verdict, prompt: str) -> Html:
    """A clip that plays, the path that the tracker saw, and the verdict with its first reason."""
    _, height, width, _ = clip.frames.shape
    css, mark = _MARKS[verdict.verdict]
    tip = " ".join(verdict.reasons) or "It does what its prompt says."
    why = brief(verdict.reasons[0]) if css == "no" and verdict.reasons else ""
    if max(height, width) > 160:
        css += " large"
    words = {"prompt": prompt, "mark": mark, "tip": tip, "why": why}
    pictures = {"video": webp(clip), "still": webp(exposure(clip))}
    path = _path(verdict.measured, height, width)
    return fill("clip", css=css, width=width, height=height, path=path, **words, **pictures)


def _path(measured: Mapping[str, Any], height: int, width: int) -> Html:
    """Where the tracker saw each object go, over a clip of these sides."""
    lines = []
    for seen in novelty.paths(measured, height, width):
        if len(seen) > 1:
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in seen)
            (x, y), r = seen[0], 1.4 * min(height, width) / 64
            lines.append(fill("line", points=points, x=f"{x:.1f}", y=f"{y:.1f}", r=r))
    return fill("path", box=f"0 0 {width} {height}", lines=join(lines)) if lines else Html()


def webp(clip: Clip) -> str:
    """A clip as the address of an animation that holds it."""
    data = animation_bytes(replace(clip, fps=min(clip.fps, _FASTEST)), "webp")
    return "data:image/webp;base64," + base64.b64encode(data).decode()


def exposure(clip: Clip) -> Clip:
    """One frame that shows the whole motion, earlier moments fainter: what a still can tell."""
    frames = clip.frames.astype(np.float32)
    background = np.median(frames.reshape(-1, 3), axis=0)
    strength = np.linspace(0.2, 1.0, len(frames))[:, None, None, None]
    offset = (frames - background) * strength
    strongest = np.abs(offset).sum(axis=3).argmax(axis=0)
    picked = np.take_along_axis(offset, strongest[None, :, :, None], axis=0)
    exposed = np.rint(background + picked).clip(0, 255).astype(np.uint8)
    return replace(clip, frames=exposed)


def pairs(caption: str, values: Mapping[str, str]) -> Html:
    """A table of names and values; nothing where there are none."""
    rows = join(fill("pair", name=name, value=value) for name, value in values.items())
    return fill("pairs", caption=caption, rows=rows) if rows else Html()


def share_text(share: float, of: int) -> str:
    """Per cent, which no line break parts from its number."""
    return percent(share, of).replace(" ", "\N{NARROW NO-BREAK SPACE}")


_MEANINGS = {name: (f.__doc__ or "").partition("\n")[0] for name, f in (CORRUPTIONS | MILD).items()}
_MEANINGS |= {
    TRUE: "Nothing: they do what their caption says.",
    WRONG_CAPTION: "Judged by other captions, which say something else in one fact.",
}
_GROUPS = {
    "They still do what their caption says: 100 % should be accepted": RIGHT,
    "They do not: 0 % should be accepted": BROKEN,
}


def judge_table(accepted: Mapping[str, Share]) -> Html:
    """How often the judge is wrong: what was done to real clips => how many it accepts.

    What is not in ``accepted`` made no caption false, and is told as not tried.
    """
    if not accepted:
        return Html()
    groups = []
    for title, versions in _GROUPS.items():
        rows = [_trial_row(name, accepted.get(name, Share(0, 0))) for name in versions]
        groups.append(fill("judge-group", title=title, rows=join(rows)))
    return fill("judge", groups=join(groups))


def _trial_row(name: str, result: Share) -> Html:
    meaning, counted = _MEANINGS[name], f"{result.accepted:,} of {result.of:,}"
    if not result.of:
        meaning, counted = f"{meaning} Not tried: it makes none of the captions false.", "-"
    words = {"name": name, "meaning": meaning, "counted": counted}
    share = share_text(result.share, result.of)
    return fill("judge-row", share=share, interval=between(result), **words)


def command_line(*words: str, **options: object) -> str:
    """What to type for a command with these options, but for those that are None or False."""
    typed = ["kineograph", *words]
    for name, value in options.items():
        if value is not None and value is not False:
            text = f"{value:g}" if isinstance(value, float) else str(value)
            typed += [f"--{name.replace('_', '-')}", *([] if value is True else [text])]
    return shlex.join(typed)


def repeat(
    command: str,
    environment: Mapping[str, object],
    settings: str,
    times: Mapping[str, float] | None = None,
) -> Html:
    """The command that repeats it, where it ran, all settings (TOML), and part => seconds."""
    told = {name: duration(seconds) for name, seconds in (times or {}).items()}
    if times and len(times) > 1:
        told["all"] = duration(sum(times.values()))
    known = {name: value for name, value in environment.items() if value is not None}
    machine = {name.replace("_", " "): str(value) for name, value in known.items()}
    tables = join((pairs("Time taken", told), pairs("Machine and versions", machine)))
    toml = settings.strip()
    folded = fill("settings", toml=toml) if toml else Html()
    return fill("repeat", command=command, tables=tables, settings=folded)
