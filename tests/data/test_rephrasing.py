from __future__ import annotations

import re

import numpy as np
import pytest

from kineograph.core.errors import RequestError
from kineograph.data import raster
from kineograph.data.grammar import MANNERS, SHAPES, Motion, pairs, parse, spoken
from kineograph.data.rephrasing import can_rephrase, rephrased, said, unsaid
from kineograph.data.sources.shapes import SPLITS, Config, Source, combinations

VERBS = [verb for verb in MANNERS if verb != "rotating"]
NOUNS_SAID = {noun for shape in SHAPES for noun in spoken("shape", shape)}
VERBS_SAID = {form for verb in VERBS for form in spoken("verb", verb)}
WORDS = re.compile(rf"\b({'|'.join(sorted(NOUNS_SAID | VERBS_SAID))})\b")
SEEN = [
    (shape, verb)
    for shape in SHAPES
    for verb in VERBS
    if raster.SYMMETRY[shape] or verb != "spinning"
]  # a circle that spins is not to be seen


def captions(split: str, count: int = 6000, seed: int = 1, **settings: float) -> list[str]:
    told = {"two_objects": 0.3} | settings
    source = Source(Config(split=split, num_frames=6, height=32, width=32, **told))  # type: ignore[arg-type]
    batches = [
        source.batch(np.arange(first, min(first + 500, count)), seed).captions
        for first in range(0, count, 500)
    ]
    return [caption for batch in batches for caption in batch]


def told(caption: str) -> list[tuple[str, str]]:
    """Noun and verb of each object, without the grammar: they take turns in a caption."""
    words = WORDS.findall(caption)
    found = list(zip(words[::2], words[1::2], strict=True))
    assert {noun for noun, _ in found} <= NOUNS_SAID
    assert {verb for _, verb in found} <= VERBS_SAID
    return found


def plainest(shape: str, noun: str, verb: str) -> bool:
    return noun == shape and any(verb in spoken("verb", name)[:2] for name in VERBS)


@pytest.fixture(scope="module")
def trained() -> list[str]:
    return captions("train", 12_000, rewording=0.9)


# ---- the rule -------------------------------------------------------------------------------


def test_a_fifth_of_the_pairs_is_kept_from_training() -> None:
    every = [pair for shape, verb in SEEN for pair in pairs(shape, verb)]
    plain = [pair for shape, verb in SEEN for pair in pairs(shape, verb) if plainest(shape, *pair)]
    kept = [pair for pair in every if unsaid(*pair)]
    assert not set(kept) & set(plain)
    assert (len(kept) / 2, (len(every) - len(plain)) / 2) == (17, 87)  # in two forms each


@pytest.mark.parametrize("form", ["drifting", "drifts"])
def test_a_disc_that_drifts_is_kept_from_training(form: str) -> None:
    assert unsaid("disc", form)
    assert not unsaid("ball", form)
    assert not unsaid("disc", "glides")


def test_a_prompt_like_none_in_training_is_understood() -> None:
    prompt = "the disc drifts toward the top right corner"
    (asked,) = parse(prompt).objects
    assert (asked.shape, asked.motion) == ("circle", Motion("moving", "up-right"))
    assert unsaid(*told(prompt)[0])


def test_both_forms_of_a_verb_go_the_same_way() -> None:
    for verb in VERBS:
        forms = spoken("verb", verb)
        for one, other in zip(forms[::2], forms[1::2], strict=True):
            assert (one[:2], one != other) == (other[:2], True)
            assert [unsaid(n, one) for n in NOUNS_SAID] == [unsaid(n, other) for n in NOUNS_SAID]


def test_training_can_say_everything_the_plainest_way() -> None:
    for shape, verb in SEEN:
        assert said(shape, verb)[0] == pairs(shape, verb)[0] == (shape, verb)


def test_each_shape_and_each_verb_is_rephrased_somewhere() -> None:
    can = [pair for pair in SEEN if can_rephrase(*pair)]
    assert {shape for shape, _ in can} == set(SHAPES)
    assert {verb for _, verb in can} == set(VERBS)
    for shape, verb in SEEN:
        assert all(unsaid(*pair) == ((shape, verb) in can) for pair in rephrased(shape, verb))


# ---- the captions ---------------------------------------------------------------------------


def test_training_says_no_pair_that_it_should_not(trained: list[str]) -> None:
    for caption in (*trained, *Source(Config()).captions):
        assert not any(unsaid(*pair) for pair in told(caption)), caption


@pytest.mark.parametrize("split", ["held-out", "out-of-range"])
def test_other_splits_do_not_either(split: str) -> None:
    for caption in (*captions(split, 3000), *Source(Config(split=split)).captions):
        assert not any(unsaid(*pair) for pair in told(caption)), caption


def test_training_says_every_word_and_every_other_pair(trained: list[str]) -> None:
    found = {pair for caption in trained for pair in told(caption)}
    assert {noun for noun, _ in found} == NOUNS_SAID
    assert {verb for _, verb in found} == VERBS_SAID
    facts = {(o.shape, o.motion.verb) for caption in trained for o in parse(caption).objects}
    assert found == {pair for each in facts for pair in said(*each)}


@pytest.mark.parametrize("two_objects", [0.0, 1.0])
@pytest.mark.parametrize("rewording", [0.01, 0.5, 1.0])
def test_each_caption_of_the_split_has_a_pair_that_training_never_says(
    two_objects: float, rewording: float
) -> None:
    some = captions("rephrased", 1500, two_objects=two_objects, rewording=rewording)
    assert all(any(unsaid(*pair) for pair in told(caption)) for caption in some)
    assert all(len(told(caption)) == 1 + two_objects for caption in some)
    for caption in Source(Config(split="rephrased")).captions:
        assert any(unsaid(*pair) for pair in told(caption)), caption


def test_the_split_says_every_pair_that_training_does_not_where_facts_allow() -> None:
    some = captions("rephrased")
    found = {pair for caption in some for pair in told(caption) if unsaid(*pair)}
    facts = {(o.shape, o.motion.verb) for caption in some for o in parse(caption).objects}
    assert found == {pair for each in facts for pair in pairs(*each) if unsaid(*pair)}
    assert len(found) >= 25
    assert any("disc drifts" in c and "toward the top right" in c for c in some)


def test_facts_of_the_split_are_those_of_training() -> None:
    some, train = combinations("rephrased"), combinations("train")
    assert set(some) < set(train)
    assert len(some) > len(train) / 2


def test_captions_of_the_split_say_what_its_facts_hold() -> None:
    source = Source(Config(split="rephrased", two_objects=0.5))
    batch = source.batch(np.arange(1000), seed=4)
    for caption, facts in zip(batch.captions, batch.facts, strict=True):
        assert facts is not None
        read = parse(caption)
        said = {"background": read.background, "objects": str(len(read.objects))}
        for prefix, o in zip(("", "second "), read.objects, strict=False):
            both = {"shape": o.shape, "color": o.color, "motion": str(o.motion)}
            both |= {"size": o.size, "speed": o.speed}
            said |= {prefix + name: value for name, value in both.items() if value}
        assert said == facts.attributes


def test_a_clip_of_the_split_is_the_same_alone_and_in_any_batch() -> None:
    source = Source(Config(split="rephrased", two_objects=0.5))
    batch = source.batch(np.array([7, 3, 11, 3]), seed=5)
    again = Source(Config(split="rephrased", two_objects=0.5)).batch(np.array([3, 11]), seed=5)
    assert batch.captions[1] == batch.captions[3] == again.captions[0]
    assert batch.captions[2] == again.captions[1] == source.clip(11, seed=5).caption
    assert (source.clip(11, seed=5).frames == batch.frames[2]).all()


def test_the_frames_of_training_do_not_depend_on_its_words() -> None:
    plain, other = (
        Source(Config(rewording=share, two_objects=0.5)).batch(np.arange(20), 3)
        for share in (0.0, 1.0)
    )
    assert (plain.frames == other.frames).all()
    assert plain.captions != other.captions


def test_the_split_is_refused_where_training_knows_the_plainest_words_only() -> None:
    with pytest.raises(RequestError, match="rewording above 0"):
        Source(Config(split="rephrased", rewording=0.0))
    assert Source(Config(split="held-out", rewording=0.0)).clip(0, 0).caption


@pytest.mark.parametrize("typed", ["rephrase", "Rephrased", "re-phrased"])
def test_a_slip_of_the_pen_is_told_the_splits_name(typed: str) -> None:
    with pytest.raises(RequestError, match='Did you mean "rephrased"') as caught:
        Source(Config(split=typed))
    assert all(name in str(caught.value) for name in SPLITS)
