from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kineograph.core.errors import RequestError
from kineograph.data.digit_images import SIDE, load, part
from kineograph.data.grammar import CannotParse, Motion
from kineograph.data.sources.digits import (
    AXES,
    LEFT_AND_RIGHT,
    UP_AND_DOWN,
    Config,
    Moving,
    Source,
    about_digits,
    captions,
    describe,
    parse,
)

SPLITS = ("train", "held-out")
MOVINGS = st.builds(Moving, st.integers(0, 9), st.sampled_from(AXES))


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder like MNIST's: digit d is a grey block d + 8 pixels high, its shade its number."""
    labels = np.random.default_rng(0).permutation(np.arange(700) % 10).astype(np.uint8)
    pixels = np.zeros((len(labels), SIDE, SIDE), np.uint8)
    for k, label in enumerate(labels):
        top = 10 - label // 2
        pixels[k, top : top + label + 8, 10 : 18 + k % 3] = 100 + k % 156
    folder = tmp_path_factory.mktemp("blocks")
    for name, array in (("images", pixels), ("labels", labels)):
        head = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        file = folder / f"train-{name}-idx{array.ndim}-ubyte"
        file.write_bytes(head + array.tobytes())
    return str(folder)


@pytest.fixture(scope="module")
def alone(blocks: str) -> Source:
    return Source(Config(path=blocks, two_digits=0))


@pytest.fixture(scope="module")
def paired(blocks: str) -> Source:
    return Source(Config(path=blocks, two_digits=1))


# ---- captions -------------------------------------------------------------------------------


def test_captions_are_those_of_the_literature(blocks: str) -> None:
    trained = Source(Config(path=blocks)).captions
    held_out = Source(Config(path=blocks, split="held-out")).captions
    assert "digit 7 is moving up and down" in trained
    assert "digit 3 is moving left and right" in held_out
    assert "digit 1 is moving left and right and digit 8 is moving up and down" in held_out
    assert len(set(trained)) == len(set(held_out)) == 10 + 90


def test_no_held_out_caption_occurs_in_training(blocks: str) -> None:
    drawn = {
        split: set(Source(Config(path=blocks, split=split)).batch(np.arange(800), 0).captions)
        for split in SPLITS
    }
    assert all(len(found) == 100 for found in drawn.values())
    assert not drawn["train"] & drawn["held-out"]


def test_each_digit_is_trained_on_one_axis_and_tested_on_the_other() -> None:
    facts = {
        split: {m for two in (False, True) for said in captions(split, two) for m in said}
        for split in SPLITS
    }
    assert not facts["train"] & facts["held-out"]
    assert facts["train"] | facts["held-out"] == set(itertools.starmap(Moving, _everything()))
    for found in facts.values():
        assert sorted(m.digit for m in found) == list(range(10))
        assert {m.axis for m in found} == set(AXES)
        assert all([m.axis for m in found].count(axis) == 5 for axis in AXES)


def _everything() -> list[tuple[int, str]]:
    return list(itertools.product(range(10), AXES))


@given(st.lists(MOVINGS, min_size=1, max_size=2))
def test_parse_undoes_describe(movings: list[Moving]) -> None:
    assert parse(describe(movings)) == tuple(movings)


@pytest.mark.parametrize(
    ("caption", "movings"),
    [
        ("Digit 3 is moving up and down.", [(3, UP_AND_DOWN)]),
        ("the digit 3 moves down and up", [(3, UP_AND_DOWN)]),
        ("the digits 3 is moving left and right .", [(3, LEFT_AND_RIGHT)]),  # as Sync-DRAW has it
        ("digit 5 is going from side to side", [(5, LEFT_AND_RIGHT)]),
        ("A number three bounces vertically", [(3, UP_AND_DOWN)]),
        ("a 4 is bouncing horizontally", [(4, LEFT_AND_RIGHT)]),
        (
            "digit 1 is left and right and digit 8 is up and down .",  # Sync-DRAW's for two
            [(1, LEFT_AND_RIGHT), (8, UP_AND_DOWN)],
        ),
        (
            "the digit 8 moves up and down, and the digit 8 moves left and right",
            [(8, UP_AND_DOWN), (8, LEFT_AND_RIGHT)],
        ),
    ],
)
def test_other_words_say_the_same(caption: str, movings: list[tuple[int, str]]) -> None:
    assert parse(caption) == tuple(itertools.starmap(Moving, movings))
    assert about_digits(caption)


@pytest.mark.parametrize(
    ("caption", "why"),
    [
        ("", "no digit"),
        ("and", "no digit"),
        ("circle moving left and right", "no digit"),
        ("digit 12 is moving up and down", "12 is no digit"),
        ("digit 3 is moving", "neither left and right nor up and down"),
        ("digit 3 is moving up", "neither left and right nor up and down"),
        ("digit 3 is moving up then down", "neither left and right nor up and down"),
        ("digit 3 is shrinking up and down", "not understood"),
        ("digit 3 is moving up and down and", "not understood"),
        ("digit 3 is moving up and down and left", "no digit"),
        ("digit 3 is moving up and down digit 4 is moving up and down", "not understood"),
        (" and ".join(["digit 3 is moving up and down"] * 3), "3 digits"),
    ],
)
def test_what_is_not_understood_is_explained(caption: str, why: str) -> None:
    with pytest.raises(CannotParse, match=why) as error:
        parse(caption)
    assert "digit 3 is moving up and down" in error.value.remedy


def test_other_captions_are_left_to_other_grammars() -> None:
    assert not about_digits("circle moving left")
    assert not about_digits("a small red star zigzagging horizontally")


# ---- clips ----------------------------------------------------------------------------------


def test_a_clip_is_the_same_whatever_its_batch(blocks: str) -> None:
    source = Source(Config(path=blocks, two_digits=0.4))
    indices = np.array([5, 40_000, 17, 5, *range(90)])
    batch = source.batch(indices, 3)
    for row, index in enumerate(indices[:30]):
        clip = source.clip(int(index), 3)
        assert np.array_equal(clip.frames, batch.frames[row])
        assert clip.caption == batch.captions[row]
    assert not np.array_equal(source.clip(5, 3).frames, source.clip(5, 4).frames)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 1 / 3, 1.0])
def test_clips_of_two_digits_come_as_often_as_asked(blocks: str, share: float) -> None:
    source = Source(Config(path=blocks, two_digits=share, num_frames=1))
    said = source.batch(np.arange(400), 0).captions
    pairs = sum(len(parse(caption)) == 2 for caption in said)
    assert pairs == pytest.approx(400 * share, abs=1)
    assert set(said) <= set(source.captions)
    shown = [caption for caption in said if len(parse(caption)) == (2 if share == 1 else 1)]
    times = [shown.count(caption) for caption in set(shown)]
    assert max(times) - min(times) <= 1  # they take turns


def test_facts_say_what_the_pixels_show(alone: Source, paired: Source) -> None:
    for source in (alone, paired):
        batch = source.batch(np.arange(60), 2)
        for frames, caption, facts in zip(batch.frames, batch.captions, batch.facts, strict=True):
            assert facts is not None
            said = parse(caption)
            told = facts.attributes
            assert (int(told["digit"]), told["axis"]) == said[0]
            assert [o.shape for o in facts.objects] == [f"digit {m.digit}" for m in said]
            if len(said) == 2:
                assert (int(told["second digit"]), told["second axis"]) == said[1]
                continue
            light = frames[..., 0].astype(float)
            ys, xs = np.indices(light.shape[1:]) + 0.5
            mass = light.sum(axis=(1, 2))
            centre = np.stack([(light * xs).sum((1, 2)), (light * ys).sum((1, 2))], axis=1)
            assert np.allclose(centre / mass[:, None], facts.objects[0].position, atol=0.05)
            rows = (light > 50).any(axis=2).sum(axis=1)  # the block of a digit d has d + 8
            assert np.abs(rows - (said[0].digit + 8)).max() <= 1
            assert said[0].digit + 8 <= facts.objects[0].size[0] <= 17


def test_it_moves_along_its_axis_there_and_back_and_turns_at_the_border(alone: Source) -> None:
    for facts in alone.batch(np.arange(200), 1).facts:
        assert facts is not None
        (thing,) = facts.objects
        k = AXES.index(facts.attributes["axis"])
        assert thing.motion == Motion("bouncing", ("horizontally", "vertically")[k])
        assert np.ptp(thing.position[:, 1 - k]) < 1e-6
        corner = thing.position[:, k] - thing.position[:, k].min()
        assert corner.max() > 18  # half the free path
        steps = np.diff(thing.position[:, k])
        turned = np.flatnonzero(steps[1:] * steps[:-1] < 0) + 1
        assert 1 <= len(turned) <= 3
        speed = np.abs(steps).max()
        assert 5 <= speed <= 9.4
        flight = np.delete(np.abs(steps), [0, *(turned - 1), *turned, len(steps) - 1])
        assert np.allclose(flight, speed)  # steady but for the turns
        near = np.minimum(thing.position[turned, k], 64 - thing.position[turned, k])
        assert (near <= 14 + 1.5 + speed / 2).all()


def test_it_stays_inside_and_touches_both_borders_now_and_then(alone: Source) -> None:
    frames = alone.batch(np.arange(100), 5).frames[..., 0]
    assert frames.reshape(100, -1, 64 * 64).sum(axis=2).min() > 0
    light = frames.astype(float).sum(axis=(2, 3))
    assert (np.ptp(light, axis=1) <= 0.02 * light.mean(axis=1)).all()  # nothing is cut off


def test_motion_is_finer_than_pixels(alone: Source) -> None:
    positions = np.concatenate(
        [f.objects[0].position for f in alone.batch(np.arange(50), 0).facts if f]
    )
    share = np.modf(positions)[0]
    assert np.histogram(share, 4, (0, 1))[0].min() > 0.1 * share.size


def test_start_speed_side_and_image_vary(alone: Source) -> None:
    batch = alone.batch(np.arange(0, 2000, 10), 0)
    assert len(set(batch.captions)) == 1
    position = np.stack([f.objects[0].position for f in batch.facts if f])
    assert np.std(position[:, 0], axis=0).min() > 7
    assert np.std(np.abs(np.diff(position, axis=1)).max(axis=(1, 2))) > 0.7
    assert 0.3 < (np.diff(position[:, :2, 0], axis=1) > 0).mean() < 0.7
    assert len(np.unique(batch.frames.reshape(200, -1).max(axis=1))) > 20


def test_a_split_draws_its_own_images_of_the_right_digit(blocks: str) -> None:
    digits = load(blocks)
    for split in SPLITS:
        own = part(digits, split)  # type: ignore[arg-type]
        source = Source(Config(path=blocks, split=split))  # type: ignore[arg-type]
        u = np.random.default_rng(0).random((10, 3000))
        chosen = source._glyphs.pick(np.repeat(np.arange(10)[:, None], 3000, axis=1), u)
        for digit in range(10):
            drawn = {image.tobytes() for image in source._glyphs.pixels[chosen[digit]]}
            assert drawn == {image.tobytes() for image in own.pixels[own.labels == digit]}


# ---- two digits -----------------------------------------------------------------------------


def meeting(facts: object, margin: float) -> np.ndarray:
    first, second = facts.objects  # type: ignore[attr-defined]
    apart = np.abs(first.position - second.position).max(axis=1)
    return apart < (first.size + second.size) / 2 + margin


def test_two_digits_are_legible_most_of_the_time(paired: Source) -> None:
    found = [f for f in paired.batch(np.arange(400), 4).facts if f]
    alike = [f for f in found if f.attributes["axis"] == f.attributes["second axis"]]
    crossing = [f for f in found if f.attributes["axis"] != f.attributes["second axis"]]
    assert min(len(alike), len(crossing)) > 100
    assert np.mean([meeting(f, 0).any() for f in alike]) < 0.05
    assert np.mean([meeting(f, 0).mean() for f in crossing]) < 0.25


def test_where_they_overlap_the_brighter_pixel_counts(paired: Source) -> None:
    rng, row = np.random.default_rng(0), np.array([0])
    for _ in range(20):
        glyphs = rng.integers(0, len(paired._glyphs.pixels), (1, 2))
        corners = 18 + rng.uniform(-4, 4, (1, 2, 10, 2))
        together, *apart = np.zeros((3, 1, 10, 64, 64, 3), np.uint8)
        paired._draw(together, row, glyphs, corners)
        for k in (0, 1):
            paired._draw(apart[k], row, glyphs[:, k : k + 1], corners[:, k : k + 1])
        assert ((apart[0] > 0) & (apart[1] > 0)).any()
        assert np.array_equal(together, np.maximum(*apart))


# ---- settings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "frames"), [((32, 48), 5), ((128, 128), 20), ((64, 64), 1), ((96, 64), 2)]
)
def test_other_sizes_and_lengths(blocks: str, size: tuple[int, int], frames: int) -> None:
    source = Source(Config(path=blocks, height=size[0], width=size[1], num_frames=frames))
    batch = source.batch(np.arange(40), 0)
    assert batch.frames.shape == (40, frames, *size, 3)
    unit = min(size) / 64
    for facts, clip in zip(batch.facts, batch.frames, strict=True):
        assert facts is not None
        assert clip.max(axis=(1, 2, 3)).min() > 60
        for thing in facts.objects:
            assert thing.position.min() > 10 * unit
            assert (thing.position < np.array(size[::-1]) - 10 * unit).all()
            if frames >= 5:
                k = AXES.index(facts.attributes["axis"])
                assert np.ptp(facts.objects[0].position[:, k]) > 12 * unit


@pytest.mark.parametrize(
    "settings",
    [
        {"num_frames": 0},
        {"num_clips": 0},
        {"height": 31},
        {"two_digits": 1.5},
        {"two_digits": -0.1},
        {"two_digits": float("nan")},
        {"split": "test"},
        {"path": "/nowhere/at/all"},
    ],
)
def test_settings_out_of_range_are_refused(blocks: str, settings: dict[str, object]) -> None:
    with pytest.raises(RequestError):
        Source(Config(**({"path": blocks} | settings)))  # type: ignore[arg-type]


# ---- real digits ----------------------------------------------------------------------------


def test_the_bundled_digits_make_clips() -> None:
    pytest.importorskip("sklearn")
    clip = Source(Config()).clip(1, 0)
    assert clip.caption == "digit 1 is moving up and down"
    assert clip.frames.max() > 200


def test_mnist_makes_clips(dataset: Callable[[str], Path]) -> None:
    source = Source(Config(path=str(dataset("mnist")), split="held-out"))
    batch = source.batch(np.arange(20), 0)
    assert (batch.frames.max(axis=(1, 2, 3, 4)) > 200).all()
    assert (batch.frames == 0).mean() > 0.9
