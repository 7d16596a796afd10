from __future__ import annotations

import numpy as np
import pytest

from kineograph.core.errors import RequestError
from kineograph.data import raster
from kineograph.data.clip import Facts
from kineograph.data.grammar import COLORS, MANNERS, Motion, parse
from kineograph.data.sources.shapes import (
    BACKGROUNDS,
    OBJECT_COLORS,
    SPLITS,
    Config,
    Source,
    combinations,
    held_out,
)

SOME = np.arange(400)


def facts_of(split: str, two_objects: float = 0.5) -> list[Facts]:
    found = Source(Config(split=split, two_objects=two_objects)).batch(SOME, seed=3).facts
    return [facts for facts in found if facts is not None]


def pairs(facts: Facts) -> set[tuple[str, str]]:
    """Every colour × shape, shape × motion and motion × speed of a clip."""
    found = set()
    for prefix in ("", "second "):
        a = {name: facts.attributes.get(prefix + name, "") for name in ("color", "shape", "motion")}
        if a["shape"]:
            speed = facts.attributes.get(prefix + "speed", "")
            found |= {(a["color"], a["shape"]), (a["shape"], a["motion"])}
            found.add((a["motion"], f"speed {speed}"))
    return found


@pytest.mark.parametrize("split", SPLITS)
def test_captions_say_what_the_facts_hold(split: str) -> None:
    batch = Source(Config(split=split, two_objects=0.5)).batch(SOME, seed=1)
    assert len(set(batch.captions)) > 390
    for caption, facts in zip(batch.captions, batch.facts, strict=True):
        assert facts is not None
        told = parse(caption)
        assert len(told.objects) == len(facts.objects)
        assert COLORS[told.background] == facts.background
        for said, shown in zip(told.objects, facts.objects, strict=True):
            assert (said.shape, said.motion) == (shown.shape, shown.motion)
            assert COLORS[said.color] == shown.color


def test_a_clip_is_the_same_alone_and_in_any_batch() -> None:
    source = Source(Config(two_objects=0.5))
    batch = source.batch(np.array([7, 3, 11, 3]), seed=5)
    for place, index in enumerate((7, 3, 11, 3)):
        clip = source.clip(index, seed=5)
        assert (clip.frames == batch.frames[place]).all()
        assert clip.caption == batch.captions[place]
    assert (source.clip(3, seed=6).frames != batch.frames[1]).any()


def test_pixels_are_where_the_facts_say() -> None:
    batch = Source(Config(two_objects=0)).batch(SOME, seed=2)
    for frames, facts in zip(batch.frames[:100], batch.facts, strict=False):
        assert facts is not None
        drawn = (frames != np.array(facts.background)).any(axis=3)
        (shown,) = facts.objects
        for mask, centre, size in zip(drawn, shown.position, shown.size, strict=True):
            ys, xs = np.nonzero(mask)
            reach = raster.REACH[shown.shape] * size / 2 + 1.5
            assert np.hypot(xs + 0.5 - centre[0], ys + 0.5 - centre[1]).max() <= reach
            middle = [(xs.min() + xs.max() + 1) / 2, (ys.min() + ys.max() + 1) / 2]
            assert np.abs(middle - centre).max() <= 0.3 * size


def test_objects_are_whole_and_apart() -> None:
    close = 0
    for split in ("train", "held-out"):
        for facts in facts_of(split, two_objects=1.0):
            a, b = facts.objects
            for o in (a, b):
                left, top, right, bottom = (e * o.size / 2 for e in raster.EXTENTS[o.shape])
                assert (o.position[:, 0] - left).min() >= 0.4
                assert (o.position[:, 1] - top).min() >= 0.4
                assert (o.position[:, 0] + right).max() <= 63.6
                assert (o.position[:, 1] + bottom).max() <= 63.6
            reach = (raster.REACH[a.shape] * a.size + raster.REACH[b.shape] * b.size) / 2
            gap = np.linalg.norm(a.position - b.position, axis=1) - reach
            close += gap.min() < 1.99
            assert a.color != b.color
    assert close <= 8  # of 800


# ---- splits ---------------------------------------------------------------------------------


def test_training_and_held_out_share_no_combination() -> None:
    train, held = combinations("train"), combinations("held-out")
    assert len(np.intersect1d(train, held)) == 0
    assert len(train) > 10_000
    assert len(held) > 10_000


def test_no_pair_that_is_held_out_occurs_in_training() -> None:
    def out(facts: Facts) -> list[str]:
        told = facts.attributes
        return [
            held_out(
                *(told[p + "color"], told[p + "shape"], _motion(told[p + "motion"])),
                *(told.get(p + "speed", ""), True),
            )
            for p in ("", "second ")
            if p + "shape" in told
        ]

    assert all(
        not any(out(facts))
        for split in ("train", "out-of-range", "rephrased")
        for facts in facts_of(split)
    )
    seen = set().union(*(pairs(facts) for facts in facts_of("train")))
    new = [pairs(facts) - seen for facts in facts_of("held-out")]
    assert sum(map(bool, new)) >= 0.85 * len(new)  # the others drop "diagonally"


def _motion(words: str) -> Motion:
    verb, _, manner = words.partition(" ")
    return Motion(verb, manner)


def test_up_right_is_bare_only_where_it_is_held_out() -> None:
    def bare(split: str) -> bool:
        batch = Source(Config(split=split, two_objects=0)).batch(np.arange(3000), seed=1)
        told = [parse(caption).objects[0] for caption in batch.captions]
        return any(t.motion == Motion("moving", "up-right") and not t.diagonally for t in told)

    assert not bare("train")
    assert bare("held-out")


def test_every_single_fact_occurs_in_training() -> None:
    facts = [f.attributes for f in facts_of("train")]
    assert {f["background"] for f in facts} == set(BACKGROUNDS)
    assert {f["color"] for f in facts} == set(OBJECT_COLORS)
    assert {f["shape"] for f in facts} == {"circle", "square", "triangle", "star", "ring"}
    assert {f["motion"].split()[0] for f in facts} == set(MANNERS) - {"rotating"}


def test_out_of_range_lies_beyond_training() -> None:
    def largest(facts: Facts) -> float:
        return max(float(o.size.max()) for o in facts.objects)

    def at_edge(facts: Facts) -> bool:
        o = facts.objects[0]
        reach = np.array(raster.EXTENTS[o.shape]) / 2 * o.size.max()
        low, high = o.position - reach[:2], 64 - o.position - reach[2:]
        return bool(min(low.min(), high.min()) < 1.6) and o.motion.verb in ("moving", "standing")

    def travel(facts: Facts) -> float:
        o = facts.objects[0]
        return float(np.linalg.norm(o.position[-1] - o.position[0])) * (o.motion.verb == "moving")

    train, beyond = facts_of("train", 0), facts_of("out-of-range", 0)
    larger = [largest(f) > max(map(largest, train)) for f in beyond]
    faster = [travel(f) > max(map(travel, train)) for f in beyond]
    edge = [at_edge(f) for f in beyond]
    assert not any(map(at_edge, train))
    assert 0.25 < np.mean(larger) < 0.45
    assert np.mean(faster) > 0.1
    assert np.mean(edge) > 0.1


# ---- words ----------------------------------------------------------------------------------


def test_the_captions_spell_every_word_that_a_clip_may_use() -> None:
    for split in SPLITS:
        source = Source(Config(split=split, two_objects=0.5))
        spelled = {w for c in source.captions for w in c.replace(",", "").split()}
        used = {w for c in source.batch(SOME, 9).captions for w in c.replace(",", "").split()}
        assert used <= spelled


@pytest.mark.parametrize(("two_objects", "counts"), [(0.0, {1}), (0.5, {1, 2}), (1.0, {2})])
def test_the_captions_tell_of_as_many_objects_as_clips_have(
    two_objects: float, counts: set[int]
) -> None:
    captions = Source(Config(two_objects=two_objects)).captions
    assert {len(parse(caption).objects) for caption in captions} == counts


def test_without_rewording_captions_are_the_plainest() -> None:
    captions = Source(Config(rewording=0)).batch(SOME, 1).captions
    words = {w for caption in captions for w in caption.split()}
    assert not words & {"crimson", "ball", "box", "drifts", "gently", "while", "against"}


@pytest.mark.parametrize(
    "config",
    [
        Config(split="test"),
        Config(num_clips=0),
        Config(num_frames=3),
        Config(width=20),
        Config(two_objects=1.5),
        Config(rewording=-0.1),
    ],
    ids=lambda config: str(config)[7:60],
)
def test_bad_settings_are_refused(config: Config) -> None:
    with pytest.raises(RequestError):
        Source(config)


@pytest.mark.parametrize("shape", [(6, 32, 32), (10, 48, 96), (33, 128, 128)])
def test_any_size_will_do(shape: tuple[int, int, int]) -> None:
    frames, height, width = shape
    source = Source(Config(num_frames=frames, height=height, width=width))
    assert source.batch(np.arange(20), 0).frames.shape == (20, *shape, 3)
