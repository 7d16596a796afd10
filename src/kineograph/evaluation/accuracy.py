"""How many generated clips do what their prompts say.

A clip is one trial and the judge decides it. Trials of several prompts are pooled, so a prompt
with more clips weighs more. What the judge cannot judge is listed, and counts for nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median_low
from typing import Any

from kineograph.core.sharing import each
from kineograph.data.clip import Clip
from kineograph.evaluation.statistics import Share
from kineograph.evaluation.verifier import Judge, Verdict, verify

WIDTH = 80
"""Columns of a terminal that ``Evaluation.format`` fills at most."""

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_WEAK = 0.9  # below this share the terminal says why, too


@dataclass(frozen=True)
class PromptScore:
    """The clips of one prompt and what the judge said of each.

    ``seen`` tells whether the prompt is a training caption.
    """

    prompt: str
    verdicts: list[Verdict]
    clips: list[Clip]
    seen: bool

    @property
    def result(self) -> Share:
        """Clips that do what the prompt says, of those that could be judged."""
        return accepted(self.verdicts)

    @property
    def yes(self) -> int:
        """Number of clips that do what the prompt says."""
        return sum(map(bool, self.verdicts))

    @property
    def trials(self) -> int:
        """Number of clips that could be judged."""
        return sum(verdict.verdict != "cannot judge" for verdict in self.verdicts)

    @property
    def share(self) -> float:
        """0 to 1; NaN where nothing could be judged."""
        return self.result.share

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval (Wilson)."""
        return self.result.interval

    @property
    def failures(self) -> list[tuple[int, str]]:
        """How many clips fail for which reason, the commonest first.

        A clip counts for its first reason, since the later ones often follow from it. Reasons
        that differ in their numbers only are one; it is shown with the numbers of a typical clip.
        """
        kinds: dict[str, list[str]] = {}
        for verdict in self.verdicts:
            if verdict.verdict == "no":
                reason = brief(verdict.reasons[0] if verdict.reasons else "")
                kinds.setdefault(_NUMBER.sub("#", reason), []).append(reason)
        groups = sorted(kinds.values(), key=len, reverse=True)
        return [(len(group), _typical(group)) for group in groups]

    @property
    def why_not_judged(self) -> str:
        """What kept the judge from judging; empty where it judged at least one clip."""
        if self.trials:
            return ""
        reasons = (reason for verdict in self.verdicts for reason in verdict.reasons)
        return next(reasons, "There is no clip to judge.")

    def as_json(self) -> dict[str, Any]:
        """Numbers and words for a file; no frames."""
        told = {"prompt": self.prompt, "seen": self.seen, **numbers(self.result)}
        failures = [{"clips": count, "reason": reason} for count, reason in self.failures]
        why = {"cannot_judge": self.why_not_judged} if self.why_not_judged else {}
        return told | {"failures": failures} | why


@dataclass(frozen=True)
class Evaluation:
    """What a model reached, prompt by prompt."""

    scores: list[PromptScore]
    judge: Mapping[str, Share] = field(default_factory=dict)
    """What else the judge was asked => how often it said yes: its ceiling and its floor."""

    def of(self, seen: bool) -> list[PromptScore]:
        """The training captions, or the prompts that are none."""
        return [score for score in self.scores if score.seen == seen]

    def total(self, seen: bool) -> Share:
        """The same together."""
        return sum((score.result for score in self.of(seen)), Share(0, 0))

    def as_json(self) -> dict[str, Any]:
        """Numbers and words for a file; no frames."""
        return {
            "training": numbers(self.total(seen=True)),
            "unseen": numbers(self.total(seen=False)),
            "prompts": [score.as_json() for score in self.scores],
            "judge": {name: numbers(result) for name, result in self.judge.items()},
        }

    def format(self) -> str:
        """A table for a terminal, at most ``WIDTH`` columns wide."""
        lines = [_row("", "verified", "share", "95 % interval")]
        for seen, title in ((False, "Never seen in training"), (True, "Training captions")):
            scores = self.of(seen)
            if scores:
                lines += ["", title, *(line for score in scores for line in _lines(score))]
            if len(scores) > 1:
                lines.append(_row("  together", *_cells(self.total(seen))))
        known = {name: result for name, result in self.judge.items() if result.of}
        if known:
            lines += ["", "The judge itself"]
            lines += [_row(f"  {name}", *_cells(result)) for name, result in known.items()]
        return "\n".join(lines)


def evaluate(
    generate: Callable[[str, int], list[Clip]],
    prompts: Sequence[tuple[str, bool]],
    count: int,
    judge: Judge = verify,
) -> Evaluation:
    """Generate ``count`` clips for each (prompt, seen) and judge every one by its prompt.

    ``generate`` is called as generate(prompt, count), once for each prompt and in their order.
    """
    return Evaluation(
        [judged(prompt, generate(prompt, count), seen, judge) for prompt, seen in prompts]
    )


def judged(prompt: str, clips: Iterable[Clip], seen: bool, judge: Judge = verify) -> PromptScore:
    """Judge clips by ``prompt``, whatever their own captions say."""
    clips = list(clips)
    verdicts = each(lambda clip: judge(clip.frames, prompt, clip.fps), clips)
    return PromptScore(prompt, verdicts, clips, seen)


def brief(reason: str) -> str:
    """A reason without its frame and its full stop."""
    return re.sub(r" \([^)]*\)", "", reason).removesuffix(".")


def percent(share: float, of: int) -> str:
    """0.947 => "95 %", with a decimal where ``of`` trials tell one; "-" for NaN.

    Neither 100 nor 0 is ever the result of rounding.
    """
    if math.isnan(share):
        return "-"
    for digits in (1 if of >= 500 else 0, 1):
        text = f"{100 * share:.{digits}f}"
        if share in (0.0, 1.0) or 0.0 < float(text) < 100.0:
            return f"{text} %"
    return "<0.1 %" if share < 0.5 else ">99.9 %"


def between(result: Share) -> str:
    """The 95 % interval in words: "87 to 98 %"; "-" without trials."""
    low, high = (percent(end, result.of) for end in result.interval)
    return f"{low.removesuffix(' %')} to {high}" if result.of else "-"


def with_interval(result: Share) -> str:
    """The share and its interval: "95 % (87 to 98 %)"; "-" without trials."""
    return f"{percent(result.share, result.of)} ({between(result)})" if result.of else "-"


def accepted(verdicts: Sequence[Verdict]) -> Share:
    """How many say yes, of those that could be said."""
    judged = [verdict for verdict in verdicts if verdict.verdict != "cannot judge"]
    return Share(sum(map(bool, judged)), len(judged))


def duration(seconds: float) -> str:
    """Seconds in words: "0.4 s", "38 s", "4 min 10 s", "1 h 4 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _typical(reasons: Sequence[str]) -> str:
    """Of sentences that differ in numbers only, the one with the median first number."""
    firsts = [float(m.group()) if (m := _NUMBER.search(r)) else 0.0 for r in reasons]
    return reasons[firsts.index(median_low(firsts))]


def numbers(result: Share) -> dict[str, Any]:
    """A share for a file."""
    share = result.share if result.of else None  # JSON knows no NaN
    return {
        "yes": result.accepted,
        "trials": result.of,
        "share": share,
        "interval": list(result.interval),
    }


# ---- the table for the terminal -------------------------------------------------------------


def _lines(score: PromptScore) -> list[str]:
    if score.why_not_judged:
        lines = [_row(f"  {score.prompt}", "-", "-", "cannot judge")]
        return [*lines, _shortened(f"      {score.why_not_judged}", WIDTH)]
    lines = [_row(f"  {score.prompt}", *_cells(score.result))]
    if score.share < _WEAK:
        count, reason = score.failures[0]
        failed = score.trials - score.yes
        lines.append(_shortened(f"      {count} of {failed} that fail: {reason}", WIDTH))
    return lines


def _cells(result: Share) -> tuple[str, str, str]:
    verified = f"{result.accepted} of {result.of}" if result.of else "-"
    return verified, percent(result.share, result.of), between(result)


def _row(prompt: str, verified: str, share: str, interval: str) -> str:
    name = _shortened(prompt, WIDTH - 41)
    return f"{name:<{WIDTH - 41}}{verified:>14}  {share:>8}  {interval:>15}"


def _shortened(text: str, width: int) -> str:
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= width else f"{text[: width - 1]}…"
