from __future__ import annotations

import json

import numpy as np
import pytest

from kineograph.data.grammar import MANNERS, parse
from kineograph.data.sources.tutorial import CAPTIONS, Config, Source
from kineograph.evaluation.corruptions import (
    CORRUPTIONS,
    MILD,
    WRONG_CAPTION,
    OwnError,
    Share,
    broken,
    own_error,
    wrong_captions,
)

RIGHT = Source(Config()).clip(2, seed=3)


@pytest.fixture(scope="module")
def small_trial() -> OwnError:
    return own_error(Source(Config()), clips_per_caption=8, seed=21)


@pytest.mark.parametrize("name", CORRUPTIONS | MILD)
def test_a_corruption_is_a_pure_function(name: str) -> None:
    frames = RIGHT.frames.copy()
    frames[..., 0] = 255  # red on white, so that colours can change, too
    before = frames.copy()
    first, again = ((CORRUPTIONS | MILD)[name](frames, 7) for _ in range(2))
    assert np.array_equal(frames, before)
    assert np.array_equal(first, again)
    assert (first.shape, first.dtype) == (before.shape, np.uint8)
    assert not np.array_equal(first, before)


@pytest.mark.parametrize("frames", [4, 5, 30])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_takes_any_length(name: str, frames: int) -> None:
    clip = Source(Config(num_frames=frames)).clip(0, seed=0)
    assert CORRUPTIONS[name](clip.frames, 1).shape == clip.frames.shape


def test_each_does_what_its_name_says() -> None:
    frames = RIGHT.frames
    frozen = CORRUPTIONS["frozen"](frames, 0)
    assert (frozen == frozen[0]).all()
    assert np.array_equal(CORRUPTIONS["reversed"](frames, 0), frames[::-1])
    shuffled = CORRUPTIONS["shuffled"](frames, 0)
    assert sorted(f.tobytes() for f in shuffled) == sorted(f.tobytes() for f in frames)
    vanished = CORRUPTIONS["vanishing"](frames, 0).min(axis=(1, 2, 3)) == 255
    assert 1 <= vanished.sum() <= 3
    assert not vanished[[0, -1]].any()
    moved = (CORRUPTIONS["teleporting"](frames, 0) != frames).any(axis=(1, 2, 3))
    assert 1 <= moved.sum() <= 3
    ink, twice = (255 - clip.astype(int) for clip in (frames, CORRUPTIONS["doubled"](frames, 0)))
    assert twice.sum() == pytest.approx(2 * ink.sum(), rel=0.1)


def test_backwards_a_bounce_is_a_bounce() -> None:
    assert not broken("reversed", parse("circle bouncing vertically"))
    assert not broken("reversed", parse("circle zigzagging horizontally"))
    assert broken("reversed", parse("circle moving left"))
    assert broken("reversed", parse("circle shrinking"))
    assert broken("frozen", parse("circle bouncing vertically"))


def test_a_wrong_caption_is_no_other_spelling() -> None:
    description = parse("circle moving diagonally up-left")
    captions = wrong_captions(description)
    assert len(captions) == sum(map(len, MANNERS.values())) - 1
    asked = description.objects[0].motion
    assert all(parse(caption).objects[0].motion != asked for caption in captions)


def test_right_clips_are_accepted(small_trial: OwnError) -> None:
    assert set(small_trial.table) == set(CAPTIONS)
    assert small_trial.total("true") == Share(8 * len(CAPTIONS), 8 * len(CAPTIONS))


@pytest.mark.parametrize("name", [*(set(CORRUPTIONS) - {"recolored"}), WRONG_CAPTION])
def test_broken_clips_are_refused(small_trial: OwnError, name: str) -> None:
    total = small_trial.total(name)
    assert total.of >= 8 * 14
    assert total.accepted <= 1


def test_only_what_is_broken_is_counted(small_trial: OwnError) -> None:
    assert "reversed" not in small_trial.table["circle bouncing vertically"]
    assert small_trial.table["circle moving left"]["reversed"].of == 8


def test_the_table_is_for_people_and_for_machines(small_trial: OwnError) -> None:
    text = small_trial.format()
    assert len(text.splitlines()) == len(CAPTIONS) + 2
    assert "wrong-caption" in text
    figures = json.loads(json.dumps(small_trial.as_json()))
    assert figures["all"]["true"]["accepted"] == 8 * len(CAPTIONS)
    assert figures["all"]["true"]["interval"][0] > 0.95


def test_alter_is_applied_to_whatever_is_judged() -> None:
    def blank(frames: np.ndarray, seed: int) -> np.ndarray:
        return np.full_like(frames, 255)

    trial = own_error(Source(Config()), 1, corruptions=["frozen"], alter=blank)
    assert trial.total("true").accepted == 0


@pytest.mark.slow
def test_the_floors_hold_on_many_clips() -> None:
    trial = own_error(Source(Config()), clips_per_caption=100, seed=4)
    for caption, row in trial.table.items():
        assert row["true"].share >= 0.99, caption
        for version in row.keys() - {"true"}:
            assert row[version].share <= 0.02, (caption, version)
    assert set(trial.versions) == {"true", WRONG_CAPTION, *CORRUPTIONS} - {"recolored"}
    for version in set(trial.versions) - {"true"}:
        assert trial.total(version).share <= 0.005
    assert trial.total("true").share >= 0.995
