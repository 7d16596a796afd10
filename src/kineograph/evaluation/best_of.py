"""Of several attempts at a clip, the one that the judge likes best."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kineograph.core.sharing import each
from kineograph.data.clip import Clip
from kineograph.evaluation.verifier import Judge, Verdict

Attempt = Callable[[Sequence[int], int], list[Clip]]
"""(which clips, number of the attempt, 0 and on) => a clip for each."""


def best_of(attempts: int, make: Attempt, count: int, judge: Judge) -> list[tuple[Clip, Verdict]]:
    """``count`` clips, judged by their captions, each the best of up to ``attempts``.

    What does what its caption says is kept, and no more is tried for it; nor where the caption
    cannot be judged. Clip i is the same whatever ``count`` is, if ``make`` sees to that.
    """
    best: dict[int, tuple[Clip, Verdict]] = {}
    wanted = list(range(count))
    for attempt in range(attempts):
        made = make(wanted, attempt)
        verdicts = each(lambda clip: judge(clip.frames, clip.caption, clip.fps), made)
        for index, clip, verdict in zip(wanted, made, verdicts, strict=True):
            if index not in best or _merit(verdict) > _merit(best[index][1]):
                best[index] = clip, verdict
        wanted = [index for index in wanted if best[index][1].verdict == "no"]
        if not wanted:
            break
    return [best[index] for index in range(count)]


def _merit(verdict: Verdict) -> tuple[bool, float, int]:
    """The greater, the better: right, then most facts right, then fewest faults."""
    facts = verdict.facts.values()
    return bool(verdict), sum(facts) / max(len(facts), 1), -len(verdict.reasons)
