from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from kineograph.data.clip import Clip
from kineograph.data.sources.shapes import PAIRS, Config, Source
from kineograph.evaluation import judges
from kineograph.evaluation.by_fact import (
    Split,
    SplitEvaluation,
    evaluate_split,
    real_clips,
    score,
    shuffled,
)
from kineograph.evaluation.corruptions import CORRUPTIONS, MILD, WRONG_CAPTION
from kineograph.evaluation.own_error import BROKEN, RIGHT, own_error
from kineograph.evaluation.split_report import SplitReport, render
from kineograph.evaluation.verifier import verify

TRAIN, HELD = (Source(Config(split=split, two_objects=0.3)) for split in ("train", "held-out"))


class Copycat:
    """A model that shows real clips: those of its own seed, and right for half of the prompts."""

    def __init__(self) -> None:
        self.real = real_clips(HELD, 40, seed=9)

    def __call__(self, prompts: Sequence[str]) -> list[Clip]:
        by_caption = {clip.caption: clip.frames for clip in self.real}
        blank = np.zeros_like(self.real[0].frames)
        return [
            Clip(by_caption[prompt] if k % 2 == 0 else blank, prompt)
            for k, prompt in enumerate(prompts)
        ]


class Unknown:
    """A source of somebody's own clips."""

    def clip(self, index: int, seed: int) -> Clip:
        return Clip(np.zeros((4, 16, 16, 3), np.uint8), "my cat")


@pytest.fixture(scope="module")
def found() -> SplitEvaluation:
    data = Split("shapes", "held-out", HELD, TRAIN, PAIRS)
    return evaluate_split(Copycat(), data, verify, count=40, seed=9)


def test_the_model_stands_between_ceiling_and_floor(found: SplitEvaluation) -> None:
    assert found.model.joint.of == found.ceiling.joint.of == 40
    assert found.ceiling.joint.share >= 0.97
    assert found.floor.joint.share <= 0.05
    assert found.model.joint.share == pytest.approx(0.5, abs=0.03)


def test_facts_are_counted_where_they_are_asked(found: SplitEvaluation) -> None:
    facts = found.model.facts
    assert {"shape", "color", "motion", "background", "objects"} <= set(facts)
    assert facts["shape"].of >= 40  # of two objects either
    assert 0 < facts["speed"].of < facts["shape"].of
    assert found.model.product <= min(share.share for share in facts.values())
    values = found.model.values["color"]
    assert sum(share.of for share in values.values()) == facts["color"].of
    pairs = found.model.pairs("color", "shape")
    assert all("," in asked for asked in pairs)
    assert sum(share.of for share in pairs.values()) == facts["color"].of


def test_it_measures_velocity_and_memory(found: SplitEvaluation) -> None:
    own = found.measures["velocity error of the judge itself, px/frame"]
    assert own < 0.05
    nearest = next(v for name, v in found.measures.items() if name.startswith("nearest"))
    assert nearest > 0


def test_the_table_is_for_people_and_for_machines(found: SplitEvaluation) -> None:
    assert all(len(line) <= 80 for line in found.format().splitlines())
    assert "real clips, shuffled captions" in found.format()
    told = found.as_json()
    assert told["model"]["joint"]["trials"] == 40
    assert set(told["model"]["pairs"]) == {
        "color × shape",
        "shape × motion",
        "motion × speed",
    }


def test_no_shuffled_clip_keeps_its_caption() -> None:
    clips = real_clips(TRAIN, 30, seed=1)
    for clip, wrong in zip(clips, shuffled(clips), strict=True):
        assert wrong.caption != clip.caption
        assert (wrong.frames == clip.frames).all()
    assert shuffled([clips[0], clips[0]]) == []


def test_captions_of_ones_own_are_declined() -> None:
    clips = real_clips(TRAIN, 3, seed=1)
    declined = score(clips, [None] * 3, judges.judge_of(Unknown()))
    assert declined.joint.of == 0
    assert {t.verdict.verdict for t in declined.trials} == {"cannot judge"}


def test_the_judge_knows_broken_clips_of_shapes() -> None:
    clips = real_clips(TRAIN, 24, seed=4)
    table = own_error(clips, judges.judge_of(TRAIN), most_wrong=8).totals
    assert set(table) == {"true", WRONG_CAPTION, *CORRUPTIONS, *MILD}
    assert table["true"].share == 1
    assert sum(table[name].accepted for name in (*CORRUPTIONS, WRONG_CAPTION)) <= 1
    assert table["blurred"].share >= 0.85
    assert table["compressed"].share >= 0.6


def test_the_page_shows_clips_with_paths_and_says_how_to_repeat_it(found: SplitEvaluation) -> None:
    table = own_error(found_clips(found), judges.judge_of(TRAIN), most_wrong=2).totals
    page = render(SplitReport(found, "kineograph evaluate MODEL --split held-out", "1.2.3", table))
    assert page.count("<polyline") >= 10
    assert "kineograph evaluate MODEL --split held-out" in page
    assert "held-out" in page
    assert page.count("data:image/webp") >= 20
    assert "$" not in page.replace("$schema", "")
    for name in (*RIGHT, *BROKEN):
        assert f'<th scope="row">{name}</th>' in page


def found_clips(found: SplitEvaluation) -> list[Clip]:
    return [trial.clip for trial in found.ceiling.trials[:3]]
