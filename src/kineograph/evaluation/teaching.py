"""The judge as teacher: a part of it chooses what a model learns from, the rest is held out.

A model that is rewarded by a judge may learn to please the judge instead of doing what it is
asked. What teaches is therefore only a part of the checks, and what the others say, before and
after, shows whether it was so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kineograph.core import registry, seeds
from kineograph.core.errors import RequestError, unknown
from kineograph.data.clip import Clip, Source
from kineograph.evaluation.accuracy import accepted, numbers, with_interval
from kineograph.evaluation.best_of import best_of
from kineograph.evaluation.by_fact import real_clips
from kineograph.evaluation.statistics import Share
from kineograph.evaluation.verifier import Judge, Verdict

TEACHERS = ("motion", "speed", "axis", "action", "direction")
"""What teaches unless one says otherwise: where things go. How evenly, and looks, are held out."""

_REAL_CLIPS = 48
_LESSONS, _TRAINING, _UNSEEN = 1, 2, 3  # streams of seeds, so that no clip is tried twice

Generate = Callable[[Sequence[str], Sequence[int], int], list[Clip]]
"""Prompts, items and a seed => a clip for each: ``Pipeline.batch``."""


def divided(verdict: Verdict, taught: Sequence[str]) -> tuple[Verdict, Verdict]:
    """What a judge says by the parts ``taught`` alone, and what by all the others.

    Neither can be told from the other: a part that fails is no reason in the other's verdict.
    """
    if verdict.verdict == "cannot judge":
        return verdict, verdict
    mine, others = dict[str, bool](), dict[str, bool]()
    for name, holds in verdict.parts.items():
        (mine if _plain(name) in taught else others)[name] = holds
    beside = bool(verdict) or not all(verdict.parts.values())
    return _by(mine), _by(others if beside else others | {"what has no name": False})


def _plain(name: str) -> str:
    return name.removeprefix("second ")


def _by(parts: Mapping[str, bool]) -> Verdict:
    if not parts:
        return Verdict("cannot judge", ["The prompt asks for nothing of the kind."])
    wrong = [f"What is wrong: {name}." for name, holds in parts.items() if not holds]
    return Verdict("no" if wrong else "yes", wrong, {"facts": dict(parts)})


@dataclass(frozen=True)
class Parts:
    """How many of some clips pass each part of the judge."""

    taught: Share
    held_out: Share
    whole: Share

    def as_json(self) -> dict[str, Any]:
        """Numbers for a file."""
        return {name: numbers(share) for name, share in vars(self).items()}


class Teacher:
    """A source's captions and its judge, of which the parts ``taught`` choose.

    ``unseen`` are captions that no training clip has, where there are any. Raises RequestError
    where nobody can judge, nothing would teach, or nothing would be held out.
    """

    def __init__(
        self,
        source: Source,
        judge: Judge,
        taught: Sequence[str],
        seed: int,
        unseen: Sequence[str] = (),
    ) -> None:
        self.source, self.judge, self.seed, self.unseen = source, judge, seed, unseen
        verdicts = [judge(c.frames, c.caption, c.fps) for c in real_clips(source, _REAL_CLIPS, 0)]
        known = list(dict.fromkeys(_plain(name) for v in verdicts for name in v.parts))
        if not known:
            raise RequestError(
                f"There is no judge that could teach: {verdicts[0].reasons[0]}",
                "Refine a model of a source with exact facts, such as tutorial or shapes.",
            )
        for name in taught:
            if name not in known:
                raise unknown("part of the judge", name, known)
        self.taught = [name for name in known if name in (taught or TEACHERS)]
        self.held_out = [name for name in known if name not in self.taught]
        if not self.taught or not self.held_out:
            raise RequestError(
                f"The judge has the parts {', '.join(known)}; all or none of them would teach.",
                "Name some of them: --teach PART ...",
            )

    def chosen(self, generate: Generate, count: int, attempts: int) -> list[Clip]:
        """A clip for each of ``count`` training captions, of those that pass what teaches.

        Up to ``attempts`` are made for each, so that what is hard is not left out for what is easy.
        """
        prompts, seed = _prompts(self.source, count, self.seed, _LESSONS)

        def make(items: Sequence[int], attempt: int) -> list[Clip]:
            return generate([prompts[i] for i in items], items, seeds.seed_for(seed, attempt))

        def decide(frames: np.ndarray, prompt: str, fps: float) -> Verdict:
            return divided(self.judge(frames, prompt, fps), self.taught)[0]

        tried = best_of(attempts, make, count, decide)
        chosen = [clip for clip, verdict in tried if verdict]
        if not chosen:
            raise RequestError(
                f"None of {count * attempts:,} clips passes what teaches, "
                f"{' and '.join(self.taught)}: there is nothing to learn from.",
                "Train the model for longer first, or choose what teaches with --teach.",
            )
        return chosen

    def measure(self, generate: Generate, count: int) -> dict[str, Parts]:
        """The parts of the judge on fresh clips: of ``count`` training captions, and of unseen."""
        asked = before_and_after(self.source, count, self.seed, self.unseen)
        return {
            name: self._measured(generate(prompts, range(len(prompts)), seed))
            for name, (prompts, seed) in asked.items()
        }

    def _measured(self, clips: Sequence[Clip]) -> Parts:
        verdicts = [self.judge(clip.frames, clip.caption, clip.fps) for clip in clips]
        taught, held_out = zip(*(divided(v, self.taught) for v in verdicts), strict=True)
        return Parts(accepted(taught), accepted(held_out), accepted(verdicts))


def before_and_after(
    source: Source, count: int, seed: int, unseen: Sequence[str]
) -> dict[str, tuple[Sequence[str], int]]:
    """What is tried before and after a training: of which captions => they, and a seed for them."""
    asked = {"training captions": _prompts(source, count, seed, _TRAINING)}
    if unseen:
        asked["captions never seen"] = unseen, seeds.seed_for(seed, _UNSEEN)
    return asked


def _prompts(source: Source, count: int, seed: int, stream: int) -> tuple[Sequence[str], int]:
    """Captions of training clips, and the seed of what is generated for them."""
    own = seeds.seed_for(seed, stream)
    return [clip.caption for clip in real_clips(source, count, own)], own


def captions_never_seen(name: str, settings: Any, count: int, seed: int) -> list[str]:
    """``count`` captions that a source keeps from training; [] where it keeps none."""
    if not count:
        return []
    module = registry.load("kineograph.data.sources", name)
    if getattr(settings, "split", None) == "train":
        held_out = module.Source(replace(settings, split="held-out"))
        return [clip.caption for clip in real_clips(held_out, count, seed)]
    prompts = getattr(module, "UNSEEN_PROMPTS", ())
    return [prompts[i % len(prompts)] for i in range(count)] if prompts else []


@dataclass(frozen=True)
class Refinement:
    """What a part of the judge has taught, and what the rest of it says of that."""

    run: str
    """The run that was refined."""
    taught: Sequence[str]
    held_out: Sequence[str]
    asked: int
    """Captions that clips were made for."""
    chosen: int
    """Those of which one passed what teaches."""
    before: Mapping[str, Parts]
    after: Mapping[str, Parts]

    def as_json(self) -> dict[str, Any]:
        """Numbers and words for a file."""
        return {
            "run": self.run,
            "taught": list(self.taught),
            "held_out": list(self.held_out),
            "clips": {"asked": self.asked, "chosen": self.chosen},
            "before": {name: parts.as_json() for name, parts in self.before.items()},
            "after": {name: parts.as_json() for name, parts in self.after.items()},
        }

    def format(self) -> str:
        """A table for a terminal of 80 columns."""
        lines = [
            f"Refined from {self.run} by {self.chosen:,} clips of its own, for {self.asked:,} "
            "captions.",
            f"  taught:   {', '.join(self.taught)}",
            f"  held out: {', '.join(self.held_out)}",
        ]
        for name, before in self.before.items():
            lines += ["", f"{name:<26}{'before':>27}{'after':>27}"]
            for part, title in (("taught", "taught"), ("held_out", "held out"), ("whole", "all")):
                shares = [getattr(parts, part) for parts in (before, self.after[name])]
                lines.append(
                    f"  {title:<24}" + "".join(f"{with_interval(share):>27}" for share in shares)
                )
        return "\n".join(lines)
