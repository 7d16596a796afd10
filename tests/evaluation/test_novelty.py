from __future__ import annotations

import numpy as np
import pytest

from kineograph.data.clip import Clip
from kineograph.data.sources import digits
from kineograph.data.sources.tutorial import Config, Source
from kineograph.evaluation.judges import judge_of
from kineograph.evaluation.novelty import nearest, spread, spread_of_facts, variety
from kineograph.evaluation.verifier import Verdict, verify_clip

SOURCE = Source(Config())
LEFT = np.arange(40) * 18 + 1  # "circle moving left", again and again


def clips(indices: np.ndarray, seed: int) -> list[Clip]:
    return [SOURCE.clip(int(i), seed) for i in indices]


def test_what_the_judge_sees_varies_as_the_facts_do() -> None:
    some = clips(LEFT, 0)
    seen = spread([verify_clip(clip) for clip in some])
    known = spread_of_facts([clip.facts for clip in some if clip.facts], unit=1.0)
    assert seen["start"] == pytest.approx(known["start"], rel=0.05)
    assert seen["speed"] == pytest.approx(known["speed"], rel=0.1)
    assert known["start"] > 5


def test_one_clip_again_and_again_has_no_spread() -> None:
    verdict = verify_clip(SOURCE.clip(1, 0))
    assert spread([verdict] * 10) == dict.fromkeys(
        ("start", "speed", "phase"), pytest.approx(0, abs=1e-9)
    )
    assert spread([verdict]) == {}


@pytest.mark.parametrize(
    ("caption", "least", "most"),
    [
        ("circle bouncing vertically", 0.5, 1.0),
        ("circle zigzagging horizontally", 0.3, 1.0),
        ("circle rotating clockwise", 0.5, 1.0),
        ("circle moving left", 0.0, 0.01),
    ],
)
def test_what_goes_and_comes_back_begins_at_any_phase(
    caption: str, least: float, most: float
) -> None:
    some = clips(np.arange(40) * 18 + SOURCE.captions.index(caption), 0)
    seen = spread([verify_clip(clip) for clip in some])["phase"]
    known = spread_of_facts([clip.facts for clip in some if clip.facts], unit=1.0)["phase"]
    assert least <= known <= most
    assert seen == pytest.approx(known, abs=0.1)


def test_the_path_of_a_digit_varies_too() -> None:
    source = digits.Source(digits.Config(two_digits=0))
    some = [source.clip(10 * index, 2) for index in range(20)]
    judge = judge_of(source)
    seen = spread([judge(clip.frames, clip.caption, clip.fps) for clip in some])
    known = spread_of_facts([clip.facts for clip in some if clip.facts], unit=1.0)
    for what in ("start", "speed", "phase"):
        assert seen[what] == pytest.approx(known[what], rel=0.15)
        assert known[what] > 0.2


def test_variety_is_how_often_two_clips_differ() -> None:
    def of(*hats: str) -> list[Verdict]:
        return [Verdict("yes", [], {"seen": {"hat": hat, "action": "walk"}}) for hat in hats]

    assert variety(of("a", "b", "a", "b"), {"action"}) == {"hat": pytest.approx(2 / 3)}
    assert variety(of("a", "a")) == {"hat": 0.0, "action": 0.0}
    assert variety([Verdict("no")]) == {}


def test_a_copy_is_found_and_a_new_clip_is_none() -> None:
    training = [
        SOURCE.batch(np.arange(0, 90), 0).frames,
        SOURCE.batch(np.arange(90, 180), 0).frames,
    ]
    copies = nearest(clips(np.array([5, 100]), 0), training)
    fresh = nearest(clips(np.array([5, 100]), 1), training)
    assert copies == pytest.approx([0, 0], abs=0.1)
    assert (fresh > 1).all()


def test_any_size_will_do() -> None:
    odd = Source(Config(height=50, width=37))
    clip = odd.clip(0, 0)
    assert nearest([clip], [odd.batch(np.arange(3), 0).frames])[0] == pytest.approx(0, abs=0.1)
