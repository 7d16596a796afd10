"""A part of the judge chooses, the rest of it has no say; both are told before and after."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from kineograph.core.errors import RequestError
from kineograph.data.clip import Clip
from kineograph.data.sources import shapes, tutorial
from kineograph.evaluation.statistics import Share
from kineograph.evaluation.teaching import (
    Parts,
    Refinement,
    Teacher,
    captions_never_seen,
    divided,
)
from kineograph.evaluation.verifier import Judge, Verdict, verify

SOURCE = tutorial.Source(tutorial.Config())
TURNING = tutorial.CAPTIONS.index("circle rotating clockwise")


def said(**parts: bool) -> Verdict:
    return Verdict("yes" if all(parts.values()) else "no", [], {"facts": parts})


# ---- the two parts -----------------------------------------------------------------------------


def test_a_part_that_fails_says_nothing_of_the_other() -> None:
    verdict = said(motion=False, shape=True, **{"second motion": True, "second shape": False})
    taught, held_out = divided(verdict, ["motion"])
    assert taught.facts == {"motion": False, "second motion": True}
    assert held_out.facts == {"shape": True, "second shape": False}
    taught, held_out = divided(said(motion=True, shape=False), ["motion"])
    assert (bool(taught), bool(held_out)) == (True, False)


def test_what_a_judge_rejects_beside_its_facts_is_held_out() -> None:
    taught, held_out = divided(
        Verdict("no", ["It is broken."], {"facts": {"motion": True}}), ["motion"]
    )
    assert (taught.verdict, held_out.verdict) == ("yes", "no")


def test_what_cannot_be_judged_cannot_be_in_part() -> None:
    for part in divided(Verdict("cannot judge", ["No."]), ["motion"]):
        assert part.verdict == "cannot judge"
    taught, _ = divided(said(shape=True), ["motion"])
    assert taught.verdict == "cannot judge"


@pytest.mark.parametrize(
    ("caption", "order"),
    [
        ("circle rotating clockwise", [0, 1, 2, 3, 4, 4, 6, 7, 8, 9]),  # halts, then jumps
        ("circle expanding", [0, 1, 2, 3, 3, 2, 6, 7, 8, 9]),  # turns back
    ],
)
def test_a_motion_that_goes_the_right_way_unevenly_fails_in_steadiness_alone(
    caption: str, order: list[int]
) -> None:
    clip = SOURCE.clip(tutorial.CAPTIONS.index(caption), 0)
    assert all(divided(verify(clip.frames, caption), ["motion"]))
    verdict = verify(clip.frames[order], caption)
    assert verdict.parts == {"objects": True, "shape": True, "motion": True, "steadiness": False}
    assert verdict.facts == {"objects": True, "shape": True, "motion": False}
    assert [bool(part) for part in divided(verdict, ["motion"])] == [True, False]


def test_of_two_objects_each_has_parts() -> None:
    source = shapes.Source(shapes.Config(two_objects=1.0))
    clip = source.clip(0, 0)
    names = verify(clip.frames, clip.caption).parts.keys()
    assert {"objects", "motion", "second motion", "second shape"} <= names
    assert "second objects" not in names


# ---- what is chosen ----------------------------------------------------------------------------


def some_clips(prompts: Sequence[str], items: Sequence[int], seed: int) -> list[Clip]:
    """Of each three the first is right, the second goes wrong, the third unevenly."""
    orders = [np.arange(10), np.arange(10)[::-1], np.array([0, 1, 2, 3, 4, 4, 6, 7, 8, 9])]
    indices = np.array([tutorial.CAPTIONS.index(prompt) for prompt in prompts])
    real = SOURCE.batch(indices + 18 * (seed % 1000), 1)
    rows = zip(real.frames, prompts, items, strict=True)
    return [Clip(frames[orders[(item + seed) % 3]], prompt) for frames, prompt, item in rows]


class Turning:
    """The tutorial's clips that turn clockwise, which no order of frames but theirs does."""

    captions = (tutorial.CAPTIONS[TURNING],)

    def __len__(self) -> int:
        return 1000

    def clip(self, index: int, seed: int) -> Clip:
        return SOURCE.clip(TURNING + 18 * index, seed)

    def batch(self, indices: np.ndarray, seed: int) -> object:
        return SOURCE.batch(TURNING + 18 * indices, seed)


def teacher(judge: Judge = verify, taught: Sequence[str] = (), **more: object) -> Teacher:
    return Teacher(Turning(), judge, taught, 0, **more)  # type: ignore[arg-type]  # Turning is enough


def test_only_what_passes_the_teaching_part_is_chosen() -> None:
    chosen = teacher().chosen(some_clips, count=30, attempts=1)
    assert 0 < len(chosen) < 30
    for clip in chosen:
        assert verify(clip.frames, clip.caption).parts["motion"]
    steady = [verify(clip.frames, clip.caption).parts["steadiness"] for clip in chosen]
    assert not all(steady), "what is held out must not choose"
    assert any(steady)


def test_what_is_held_out_has_no_say_in_choosing() -> None:
    def judge_with(held_out: bool) -> Judge:
        def judge(frames: np.ndarray, prompt: str, fps: float) -> Verdict:
            motion = verify(frames, prompt, fps).parts["motion"]
            return said(motion=motion, steadiness=held_out, shape=not held_out)

        return judge

    one, other = (
        teacher(judge_with(held_out)).chosen(some_clips, count=12, attempts=3)
        for held_out in (True, False)
    )
    assert len(one) == len(other) > 0
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(one, other, strict=True))


def test_what_fails_is_tried_again() -> None:
    once = teacher().chosen(some_clips, count=12, attempts=1)
    assert len(teacher().chosen(some_clips, count=12, attempts=6)) > len(once)


def test_a_model_that_never_passes_is_told_so() -> None:
    def never(prompts: Sequence[str], items: Sequence[int], seed: int) -> list[Clip]:
        return [Clip(np.zeros((10, 64, 64, 3), np.uint8), prompt) for prompt in prompts]

    with pytest.raises(RequestError, match="None of 6 clips passes what teaches, motion"):
        teacher().chosen(never, count=3, attempts=2)


@pytest.mark.parametrize(
    ("judge", "taught", "why"),
    [
        (lambda *_: Verdict("cannot judge", ["Who knows."]), (), "no judge that could teach"),
        (verify, ("steadyness",), 'Did you mean "steadiness"'),
        (verify, ("motion", "steadiness", "shape", "objects"), "all or none"),
        (lambda *_: said(shape=True, color=True), (), "all or none"),
    ],
)
def test_what_cannot_teach_is_refused(judge: Judge, taught: Sequence[str], why: str) -> None:
    with pytest.raises(RequestError, match=why):
        teacher(judge, taught)


# ---- what is told ------------------------------------------------------------------------------


def test_both_parts_and_the_whole_are_measured_on_other_clips_than_the_chosen() -> None:
    asked: list[int] = []

    def make(prompts: Sequence[str], items: Sequence[int], seed: int) -> list[Clip]:
        asked.append(seed)
        return some_clips(prompts, items, 0)

    ours = teacher(unseen=["circle rotating counter-clockwise"] * 6)
    ours.chosen(make, count=6, attempts=1)
    found = ours.measure(make, 6)
    assert len(set(asked)) == 3
    parts = found["training captions"]
    assert (parts.taught, parts.held_out, parts.whole) == (Share(4, 6), Share(4, 6), Share(2, 6))
    assert found["captions never seen"].taught.of == 6
    assert teacher().measure(make, 3).keys() == {"training captions"}


def test_the_table_fits_a_terminal_and_tells_both() -> None:
    before = {"training captions": Parts(Share(480, 512), Share(450, 512), Share(440, 512))}
    after = {"training captions": Parts(Share(512, 512), Share(451, 512), Share(451, 512))}
    told = Refinement("runs/mine", ["motion"], ["shape"], 1024, 900, before, after)
    text = told.format()
    assert max(map(len, text.splitlines())) <= 80
    assert "taught:   motion" in text
    rows = {line.split("  ")[1]: line for line in text.splitlines() if line.startswith("  ")}
    assert "93.8 %" in rows["taught"]
    assert "100.0 %" in rows["taught"]
    assert told.as_json()["after"]["training captions"]["held_out"]["yes"] == 451


def test_captions_never_seen_are_a_split_or_a_few_or_none() -> None:
    few = captions_never_seen("tutorial", tutorial.Config(), 4, 0)
    assert few == [*tutorial.UNSEEN_PROMPTS] * 2
    split = captions_never_seen("shapes", shapes.Config(), 8, 0)
    held_out = shapes.Source(shapes.Config(split="held-out")).batch(np.arange(8), 0)
    assert split == held_out.captions
    assert captions_never_seen("shapes", shapes.Config(split="held-out"), 8, 0) == []
    assert captions_never_seen("shapes", shapes.Config(), 0, 0) == []
