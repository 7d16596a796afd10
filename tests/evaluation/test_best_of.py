"""Of several attempts the judge takes the best, and no more than it needs are made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kineograph.data.clip import Clip
from kineograph.evaluation.best_of import best_of
from kineograph.evaluation.verifier import Verdict

# What the judge says of clip i in attempt k; more is not asked for.
SAID = [
    [Verdict("yes"), Verdict("no", ["a", "b"]), Verdict("no", ["a"])],
    [Verdict("yes"), Verdict("no", ["a"]), Verdict("no", ["a", "b"])],
    [Verdict("yes"), Verdict("yes"), Verdict("no", ["a"], {"facts": {"shape": True}})],
]


class Attempts:
    """Clips whose pixels tell which clip and attempt they are."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[int], int]] = []

    def __call__(self, items: Sequence[int], attempt: int) -> list[Clip]:
        self.asked.append((list(items), attempt))
        shape = (4, 16, 16, 3)
        return [Clip(np.full(shape, 16 * k + attempt, np.uint8), "") for k in items]


def judge(frames: np.ndarray, prompt: str, fps: float) -> Verdict:
    clip, attempt = divmod(int(frames[0, 0, 0, 0]), 16)
    return SAID[attempt][clip]


def test_only_what_fails_is_tried_again() -> None:
    attempts = Attempts()
    found = best_of(5, attempts, 2, judge)
    assert attempts.asked == [([0, 1], 0), ([1], 1), ([1], 2)]
    assert [bool(verdict) for _, verdict in found] == [True, True]
    assert [int(clip.frames[0, 0, 0, 0]) for clip, _ in found] == [0, 18]


def test_of_failures_the_one_with_most_facts_right_is_kept() -> None:
    found = best_of(3, Attempts(), 3, judge)
    assert found[2][1] is SAID[2][2]
    assert best_of(2, Attempts(), 3, judge)[2][1] is SAID[0][2], "the first of equals"
    assert best_of(2, Attempts(), 2, judge)[1][1] is SAID[1][1], "fewer faults"


def test_what_cannot_be_judged_is_tried_once() -> None:
    attempts = Attempts()
    found = best_of(8, attempts, 2, lambda *_: Verdict("cannot judge", ["No."]))
    assert attempts.asked == [([0, 1], 0)]
    assert len(found) == 2
