from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.core.errors import RequestError
from kineograph.data.grammar import (
    COLORS,
    DIRECTIONS,
    MANNERS,
    SHAPES,
    SIZES,
    SPEEDS,
    CannotParse,
    Description,
    Motion,
    ObjectDescription,
    check_prompt,
    describe,
    parse,
)
from kineograph.data.sources.tutorial import CAPTIONS

DEEDS = [
    (Motion(verb, manner), speed, diagonally)
    for verb, manners in MANNERS.items()
    for manner in manners
    for speed in (SPEEDS if verb != "standing" else ("",))
    for diagonally in (False, True)
    if not diagonally or (verb == "moving" and "-" in manner)
]


@st.composite
def descriptions(draw: st.DrawFn) -> Description:
    names = ["", *COLORS]

    def one() -> ObjectDescription:
        motion, speed, diagonally = draw(st.sampled_from(DEEDS))
        shape, color = draw(st.sampled_from(SHAPES)), draw(st.sampled_from(names))
        size = draw(st.sampled_from(SIZES))
        return ObjectDescription(shape, motion, color, size, speed, diagonally)

    count = draw(st.integers(1, 2))
    return Description(tuple(one() for _ in range(count)), draw(st.sampled_from(names)))


@settings(max_examples=1500)
@given(descriptions(), st.integers(0, 2**63))
def test_facts_survive_the_way_through_every_caption(
    description: Description, phrasing: int
) -> None:
    assert parse(describe(description, phrasing)) == description


@pytest.mark.parametrize("deed", DEEDS, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_deed_of_every_shape_survives(shape: str, deed: tuple[Motion, str, bool]) -> None:
    motion, speed, diagonally = deed
    for phrasing in range(40):
        told = Description((ObjectDescription(shape, motion, "", "", speed, diagonally),))
        assert parse(describe(told, phrasing)) == told


@pytest.mark.parametrize("caption", CAPTIONS)
def test_the_tutorials_captions_are_understood_and_spelled_the_same(caption: str) -> None:
    assert describe(parse(caption)) == caption


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("A circle is moving up and to the right.", "circle moving up-right"),
        ("Circle moving up right", "circle moving up-right"),
        ("circle moving right-up", "circle moving up-right"),
        ("the circle rotating anticlockwise", "circle rotating counter-clockwise"),
        ("circle rotating counterclockwise!", "circle rotating counter-clockwise"),
        ("circle moving upwards", "circle moving up"),
        ("a disc drifts to the left", "circle moving left"),
        ("a crimson ball is moving to the left", "circle moving left"),
        ("the ball glides toward the top right corner", "circle moving up-right"),
        ("a dot bouncing up and down", "circle bouncing vertically"),
        ("a hoop bounces from side to side", "ring bouncing horizontally"),
        ("a box that is not moving", "square standing still"),
        ("a star twirls in place clockwise", "star spinning clockwise"),
        ("On a dark blue background, a ball grows quickly.", "circle expanding quickly"),
    ],
)
def test_other_ways_to_say_it(said: str, meant: str) -> None:
    assert parse(said).objects[0].motion == parse(meant).objects[0].motion


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ("", "needs an object"),
        ("circle", "needs a motion"),
        ("dragon moving left", "dragon"),
        ("circle shrinkng", r'knows \(did you mean "shrinking"\?\)\. '),
        ("circle moving", "without a direction"),
        ("circle moving sideways", "sideways"),
        ("circle moving up-down", "up down|up-down"),
        ("circle moving diagonally left", "diagonal"),
        ("circle standing still slowly", "slowly"),
        ("a red blue circle moving left", '"red" and "blue"'),
        ("a circle moving left bouncing vertically", "more than one motion"),
        ("moving left a circle", "begins with"),
        ("a red circle moving left on a fast background", "background is said"),
        ("a ring moving up, a ring moving up, a ring moving up", "3 objects"),
        ("圓形 向上", "圓形"),
    ],
)
def test_what_it_does_not_know_is_named(prompt: str, names: str) -> None:
    with pytest.raises(CannotParse, match=names):
        parse(prompt)


def test_up_is_against_y() -> None:
    assert DIRECTIONS["up"] == (0, -1)
    assert DIRECTIONS["down-right"] == (1, 1)


def test_a_prompt_is_stripped_and_bounded() -> None:
    assert check_prompt("  circle moving left \n") == "circle moving left"
    for bad in ("", " \n", "x" * 1001):
        with pytest.raises(RequestError):
            check_prompt(bad)
