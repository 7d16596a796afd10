from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kineograph.data.clip import Clip
from kineograph.data.sources.tutorial import CAPTIONS, Config, Source
from kineograph.evaluation.accuracy import (
    WIDTH,
    Evaluation,
    PromptScore,
    between,
    duration,
    evaluate,
    percent,
)
from kineograph.evaluation.corruptions import frozen
from kineograph.evaluation.statistics import Share, wilson
from kineograph.evaluation.verifier import Verdict

SOURCE = Source(Config())
STILL = Clip(np.full((5, 64, 64, 3), 255, np.uint8), "nothing")


def score(prompt: str, *verdicts: Verdict, seen: bool = True) -> PromptScore:
    return PromptScore(prompt, list(verdicts), [STILL] * len(verdicts), seen)


def no(*reasons: str) -> Verdict:
    return Verdict("no", list(reasons))


YES = Verdict("yes")
UNKNOWN = Verdict("cannot judge", ['Cannot judge "a dog": "a dog" is not an object it knows.'])


# ---- judging --------------------------------------------------------------------------------


def good_and_bad(prompt: str, count: int) -> list[Clip]:
    """Half of the clips do what a training caption says; the others stand still."""
    index = CAPTIONS.index(prompt)
    clips = [SOURCE.clip(index + len(CAPTIONS) * k, seed=1) for k in range(count)]
    return [Clip(frozen(c.frames, 0), "?") if k % 2 else c for k, c in enumerate(clips)]


def test_every_clip_is_judged_by_its_prompt() -> None:
    asked = []

    def generate(prompt: str, count: int) -> list[Clip]:
        asked.append((prompt, count))
        return good_and_bad("circle moving down", count)

    prompts = [("circle moving down", True), ("circle moving up", False)]
    evaluation = evaluate(generate, prompts, 4)
    assert asked == [("circle moving down", 4), ("circle moving up", 4)]
    down, up = evaluation.scores
    assert [bool(verdict) for verdict in down.verdicts] == [True, False, True, False]
    assert (down.yes, down.trials, down.share) == (2, 4, 0.5)
    assert "travels" in down.failures[0][1]
    assert (up.yes, up.trials, len(up.clips)) == (0, 4, 4)


def test_a_prompt_that_cannot_be_judged_is_listed_and_counts_for_nothing() -> None:
    prompts = [("a dog barks", False), ("circle moving down", False)]
    evaluation = evaluate(lambda *_: good_and_bad("circle moving down", 2), prompts, 2)
    dog = evaluation.scores[0]
    assert (dog.trials, len(dog.clips)) == (0, 2)
    assert np.isnan(dog.share)
    assert dog.interval == (0.0, 1.0)
    assert "dog" in dog.why_not_judged
    assert dog.failures == []
    assert evaluation.total(seen=False) == Share(1, 2)
    assert "a dog barks" in evaluation.format()
    assert "cannot judge" in evaluation.format()


def test_a_prompt_without_clips_cannot_be_judged() -> None:
    assert score("circle moving up").why_not_judged == "There is no clip to judge."


# ---- arithmetic -----------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans()), max_size=6))
def test_totals_pool_the_trials_of_seen_and_unseen_prompts_apart(
    counts: list[tuple[int, int, bool]],
) -> None:
    scores = [score("p", *[YES] * y, *[no("x")] * n, UNKNOWN, seen=s) for y, n, s in counts]
    evaluation = Evaluation(scores)
    for seen in (True, False):
        yes = sum(y for y, _, s in counts if s == seen)
        trials = sum(y + n for y, n, s in counts if s == seen)
        assert evaluation.total(seen) == Share(yes, trials)
        assert evaluation.total(seen).interval == wilson(yes, trials)
    assert [s.interval for s in scores] == [wilson(y, y + n) for y, n, _ in counts]


def test_reasons_that_differ_in_numbers_only_are_one_shown_by_the_typical_clip() -> None:
    failing = [no(f"It travels {n} pixels; at least 8.0 needed.", "It zigzags.") for n in (1, 7, 3)]
    found = score("p", no("It vanishes: 2 frames (frame 3) are empty."), *failing, YES)
    assert found.failures == [
        (3, "It travels 3 pixels; at least 8.0 needed"),
        (1, "It vanishes: 2 frames are empty"),
    ]
    assert score("p", YES).failures == []


def test_the_numbers_fit_in_json() -> None:
    scores = [score("a", YES, no("It jumps.")), score("a dog", UNKNOWN, seen=False)]
    told = json.loads(json.dumps(Evaluation(scores).as_json(), allow_nan=False))
    assert told["training"]["yes"] == 1
    assert told["training"]["share"] == 0.5
    assert told["training"]["interval"] == list(wilson(1, 2))
    assert told["unseen"] == {"yes": 0, "trials": 0, "share": None, "interval": [0.0, 1.0]}
    assert told["prompts"][0]["failures"] == [{"clips": 1, "reason": "It jumps"}]
    assert told["prompts"][1]["cannot_judge"] == UNKNOWN.reasons[0]


# ---- words ----------------------------------------------------------------------------------


def test_the_table_fits_a_terminal_and_names_every_prompt() -> None:
    scores = [
        score("circle moving up-right", *[YES] * 63, no("It jumps."), seen=False),
        score("circle moving up", YES, *[no("It moves 41° off " + "up" * 50)] * 3, seen=False),
        *(score(caption, *[YES] * 600, no("It jumps.")) for caption in CAPTIONS),
        score("x\n\x1b[31m" * 40, UNKNOWN),
    ]
    table = Evaluation(scores).format()
    assert all(len(line) <= WIDTH for line in table.splitlines())
    assert all(caption in table for caption in CAPTIONS)
    assert "3 of 3 that fail: It moves 41° off up" in table
    assert "\x1b" not in table
    assert table.index("Never seen") < table.index("circle moving up") < table.index("Training")
    up_right = next(line for line in table.splitlines() if "moving up-right" in line)
    assert up_right.split()[3:] == ["63", "of", "64", "98", "%", "92", "to", "99.7", "%"]


def test_nothing_evaluated_is_no_error() -> None:
    assert Evaluation([]).format()
    assert Evaluation([]).as_json()["prompts"] == []


@pytest.mark.parametrize(
    ("share", "of", "text"),
    [
        (0.947, 64, "95 %"),
        (0.947, 1152, "94.7 %"),
        (1.0, 64, "100 %"),
        (1.0, 1152, "100.0 %"),
        (0.0, 64, "0 %"),
        (0.997, 64, "99.7 %"),
        (0.003, 64, "0.3 %"),
        (0.99999, 100_000, ">99.9 %"),
        (0.00001, 100_000, "<0.1 %"),
        (float("nan"), 0, "-"),
    ],
)
def test_shares_are_never_rounded_to_all_or_nothing(share: float, of: int, text: str) -> None:
    assert percent(share, of) == text


def test_intervals_in_words() -> None:
    assert between(Share(32, 64)) == "38 to 62 %"
    assert between(Share(0, 0)) == "-"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (250.4, "4 min 10 s"),
        (3599.9, "1 h"),
        (3840, "1 h 4 min"),
    ],
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
