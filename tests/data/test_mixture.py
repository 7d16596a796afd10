"""Chosen clips stand in the place of some real ones; which, is a function of index and seed."""

from __future__ import annotations

import numpy as np

from kineograph.data.clip import Clip
from kineograph.data.mixture import Mixture
from kineograph.data.sources.tutorial import Config, Source

REAL = Source(Config(num_clips=400))
CHOSEN = [Clip(np.full((10, 64, 64, 3), k, np.uint8), f"chosen {k}") for k in range(5)]


def test_a_share_is_chosen_and_the_rest_is_real() -> None:
    indices = np.arange(400)
    mixed, real = Mixture(REAL, CHOSEN, 0.25).batch(indices, 3), REAL.batch(indices, 3)
    chosen = [row for row, caption in enumerate(mixed.captions) if caption.startswith("chosen")]
    assert 70 <= len(chosen) <= 130
    assert len({mixed.captions[row] for row in chosen}) == 5
    for row in range(400):
        if row in chosen:
            number = int(mixed.captions[row].split()[1])
            assert np.array_equal(mixed.frames[row], CHOSEN[number].frames)
            assert mixed.facts[row] is None
        else:
            assert np.array_equal(mixed.frames[row], real.frames[row])
            assert (mixed.captions[row], mixed.facts[row] is None) == (real.captions[row], False)


def test_a_clip_is_the_same_alone_and_in_a_batch() -> None:
    mixture = Mixture(REAL, CHOSEN, 0.5)
    batch = mixture.batch(np.array([7, 3, 11]), 5)
    for row, index in enumerate((7, 3, 11)):
        clip = mixture.clip(index, 5)
        assert np.array_equal(clip.frames, batch.frames[row])
        assert clip.caption == batch.captions[row]


def test_all_or_none_may_be_chosen() -> None:
    indices = np.arange(20)
    assert Mixture(REAL, CHOSEN, 0.0).batch(indices, 0).captions == REAL.batch(indices, 0).captions
    assert set(Mixture(REAL, CHOSEN, 1.0).batch(indices, 0).captions) <= {
        clip.caption for clip in CHOSEN
    }
