"""How many clips are right by the number of steps: what a distilled model is measured by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kineograph.data.clip import Clip, Source
from kineograph.evaluation.accuracy import accepted, numbers, with_interval
from kineograph.evaluation.statistics import Share
from kineograph.evaluation.teaching import before_and_after
from kineograph.evaluation.verifier import Judge

STEPS = (1, 2, 4)
"""Few, as they are measured."""

Generate = Callable[[Sequence[str], Sequence[int], int, int], list[Clip]]
"""Prompts, items, a seed and steps => a clip for each: ``Pipeline.batch``."""

BySteps = Mapping[str, Mapping[int, Share]]
"""Which captions => steps => how many clips of them are right."""


def by_steps(
    generate: Generate,
    source: Source,
    judge: Judge,
    *,
    steps: Sequence[int],
    count: int,
    seed: int,
    unseen: Sequence[str] = (),
) -> BySteps:
    """``count`` clips of training captions, and one of each of ``unseen``, made in each number of
    steps from the same noise, and judged."""
    asked = before_and_after(source, count, seed, unseen) if count else {}
    found: dict[str, dict[int, Share]] = {}
    for name, (prompts, own) in asked.items():
        for number in steps:
            clips = generate(prompts, range(len(prompts)), own, number)
            share = accepted([judge(clip.frames, clip.caption, clip.fps) for clip in clips])
            if share.of:
                found.setdefault(name, {})[number] = share
    return found


@dataclass(frozen=True)
class Distillation:
    """What a model makes in few steps, before and after it learned to."""

    run: str
    """The run that was distilled."""
    before: BySteps
    after: BySteps

    def as_json(self) -> dict[str, Any]:
        """Numbers and words for a file."""
        return {"run": self.run, "before": _numbers(self.before), "after": _numbers(self.after)}

    def format(self) -> str:
        """A table for a terminal of 80 columns."""
        lines = [f"Distilled from {self.run}."]
        for name, before in self.before.items():
            lines += ["", f"{name:<26}{'before':>27}{'after':>27}"]
            for steps, share in before.items():
                title = f"{steps} step{'s' if steps > 1 else ''}"
                cells = [with_interval(share), with_interval(self.after[name][steps])]
                lines.append(f"  {title:<24}" + "".join(f"{cell:>27}" for cell in cells))
        return "\n".join(lines)


def _numbers(found: BySteps) -> dict[str, dict[str, Any]]:
    return {
        name: {str(steps): numbers(share) for steps, share in shares.items()}
        for name, shares in found.items()
    }
