from __future__ import annotations

import numpy as np
import pytest

from kineograph.data.grammar import MANNERS, SHAPES, parse
from kineograph.data.sources.tutorial import Config, Source
from kineograph.evaluation.corruptions import CORRUPTIONS, MILD, broken, wrong_captions

RIGHT = Source(Config()).clip(2, seed=3)


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
    wrong = [parse(caption) for caption in wrong_captions(description)]
    motions, shapes = wrong[:-4], wrong[-4:]
    assert len(motions) == sum(map(len, MANNERS.values())) - 1
    asked = description.objects[0].motion
    assert all(other.objects[0].motion != asked for other in motions)
    assert {other.objects[0].shape for other in shapes} == set(SHAPES) - {"circle"}


def test_every_fact_that_a_caption_states_is_said_wrongly() -> None:
    said = (
        "a small red star moving left slowly and a blue ring standing still on a white background"
    )
    description = parse(said)
    first, second = description.objects
    wrong = [parse(caption) for caption in wrong_captions(description)]
    assert len({*wrong}) == len(wrong)
    assert description not in wrong
    assert all(other.objects[1] == second for other in wrong)
    for fact in ("shape", "motion", "color", "size", "speed"):
        others = [o for o in wrong if getattr(o.objects[0], fact) != getattr(first, fact)]
        assert others, fact
    assert any(other.background not in ("", "white") for other in wrong)
