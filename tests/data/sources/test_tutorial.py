from __future__ import annotations

import numpy as np
import pytest

from kineograph.core.errors import RequestError
from kineograph.data.grammar import Motion, parse
from kineograph.data.sources.tutorial import CAPTIONS, UNSEEN_PROMPTS, Config, Source

LETTER = Source(Config(variation=0))
VARIED = Source(Config())
EVERY = np.arange(len(CAPTIONS))


def positions(source: Source, caption: str, seed: int = 0) -> np.ndarray:
    facts = source.clip(CAPTIONS.index(caption), seed).facts
    assert facts is not None
    return facts.objects[0].position


def test_the_captions_are_the_tutorials_eighteen() -> None:
    assert len(set(CAPTIONS)) == 18
    assert not set(UNSEEN_PROMPTS) & set(CAPTIONS)
    assert VARIED.captions == CAPTIONS


def test_a_clip_is_what_the_tutorial_makes() -> None:
    clip = LETTER.clip(0, 0)
    assert clip.frames.shape == (10, 64, 64, 3)
    assert clip.frames.dtype == np.uint8
    assert (clip.frames[0, 0, 0] == 255).all()
    assert (clip.frames[0, 32, 32] == 0).all()
    drawn = (255 - clip.frames[0, :, :, 0].astype(float)).sum() / 255
    assert drawn == pytest.approx(np.pi * 25, rel=0.02)  # a disc of diameter 10


@pytest.mark.parametrize(
    ("caption", "dx", "dy"),
    [
        ("circle moving down", [0, 0, 0], [0, 5, 45]),
        ("circle moving left", [0, 59, 19], [0, 0, 0]),
        ("circle moving right", [0, 5, 45], [0, 0, 0]),
        ("circle moving diagonally up-right", [0, 5, 45], [0, 59, 19]),
        ("circle moving diagonally down-left", [0, 59, 19], [0, 5, 45]),
        ("circle moving up-left", [0, 59, 19], [0, 59, 19]),
        ("circle bouncing vertically", [0, 0, 0], [0, 5, 19]),
        ("circle bouncing horizontally", [0, 5, 19], [0, 0, 0]),
        ("circle zigzagging vertically", [0, 0, 0], [32, 37, 77]),
        ("circle zigzagging horizontally", [32, 37, 77], [32, 32, 32]),
        ("circle rotating clockwise", [0, 0, 0], [0, 0, 0]),
    ],
)
def test_without_variation_the_printed_formulas_hold(
    caption: str, dx: list[int], dy: list[int]
) -> None:
    offset = positions(LETTER, caption)[[0, 1, 9]] - 32
    assert offset[:, 0].tolist() == dx
    assert offset[:, 1].tolist() == dy


def test_without_variation_every_seed_is_the_same() -> None:
    assert np.array_equal(LETTER.batch(EVERY, 0).frames, LETTER.batch(EVERY, 9).frames)


def test_a_clip_is_the_same_whatever_its_batch() -> None:
    indices = np.array([5, 40_000, 17, 5])
    batch = VARIED.batch(indices, 3)
    for row, index in enumerate(indices):
        clip = VARIED.clip(int(index), 3)
        assert np.array_equal(clip.frames, batch.frames[row])
        assert clip.caption == batch.captions[row]
    assert not np.array_equal(VARIED.clip(5, 3).frames, VARIED.clip(5, 4).frames)


def test_each_caption_has_a_spread_of_start_speed_and_size() -> None:
    batch = VARIED.batch(np.arange(18 * 40), 0)
    for caption in CAPTIONS:
        facts = [f for f, c in zip(batch.facts, batch.captions, strict=True) if c == caption]
        objects = [f.objects[0] for f in facts if f]
        assert np.std([o.position[0] for o in objects], axis=0).max() > 4
        assert np.std([o.size[0] for o in objects]) > 0.5
        assert all(o.motion == parse(caption).objects[0].motion for o in objects)


def test_centres_stay_inside_and_some_circles_are_cut_by_the_edge() -> None:
    batch = VARIED.batch(np.arange(18 * 100), 1)
    objects = [f.objects[0] for f in batch.facts if f]
    position = np.stack([o.position for o in objects])
    radius = np.stack([o.size for o in objects])[..., None] / 2
    assert position.min() >= 0
    assert position.max() <= 64
    cut = ((position < radius) | (position > 64 - radius)).any((1, 2))
    assert 0.05 < cut.mean() < 0.6


@pytest.mark.parametrize(("manner", "sense"), [("clockwise", 1), ("counter-clockwise", -1)])
def test_clockwise_is_clockwise_on_the_screen(manner: str, sense: int) -> None:
    arm = positions(VARIED, f"circle rotating {manner}") - 32
    before, after = arm[:-1].T, arm[1:].T
    turn = before[0] * after[1] - before[1] * after[0]  # above 0: right to down, as y grows down
    assert (np.sign(turn) == sense).all()


def test_facts_say_what_the_pixels_show() -> None:
    batch = VARIED.batch(np.arange(360), 2)
    for frames, facts in zip(batch.frames, batch.facts, strict=True):
        assert facts is not None
        thing = facts.objects[0]
        dark = (255 - frames[..., 0].astype(float)) / 255
        inside = (thing.position > thing.size[:, None] / 2 + 1).all(1)
        inside &= (thing.position < 63 - thing.size[:, None] / 2).all(1)
        for f in np.flatnonzero(inside):
            ys, xs = np.indices(dark[f].shape) + 0.5
            area = dark[f].sum()
            assert area == pytest.approx(np.pi * thing.size[f] ** 2 / 4, rel=0.06)
            centre = (xs * dark[f]).sum() / area, (ys * dark[f]).sum() / area
            assert np.allclose(centre, thing.position[f], atol=0.1)


@pytest.mark.parametrize(("size", "frames"), [((32, 48), 5), ((128, 128), 20), ((64, 64), 1)])
def test_other_sizes_and_lengths(size: tuple[int, int], frames: int) -> None:
    source = Source(Config(height=size[0], width=size[1], num_frames=frames))
    batch = source.batch(EVERY, 0)
    assert batch.frames.shape == (18, frames, *size, 3)
    assert (batch.frames.min((1, 2, 3, 4)) < 40).all()


@pytest.mark.parametrize(
    "settings", [{"num_frames": 0}, {"height": 3}, {"num_clips": 0}, {"variation": 1.5}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(RequestError):
        Source(Config(**settings))  # type: ignore[arg-type]


def test_the_motion_of_facts_is_the_grammars() -> None:
    facts = VARIED.clip(9, 0).facts
    assert facts is not None
    assert facts.objects[0].motion == Motion("shrinking")
