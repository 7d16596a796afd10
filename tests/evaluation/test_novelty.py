from __future__ import annotations

import numpy as np
import pytest

from kineograph.data.clip import Clip
from kineograph.data.sources.tutorial import Config, Source
from kineograph.evaluation.novelty import nearest, spread, spread_of_facts
from kineograph.evaluation.verifier import verify_clip

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
    assert spread([verdict] * 10) == {"start": 0.0, "speed": pytest.approx(0, abs=1e-9)}
    assert spread([verdict]) == {}


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
