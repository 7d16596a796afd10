from __future__ import annotations

import pytest

from kineograph.core.errors import RequestError
from kineograph.data.grammar import (
    DIRECTIONS,
    MANNERS,
    CannotParse,
    Description,
    Motion,
    check_prompt,
    describe,
    parse,
)
from kineograph.data.sources.tutorial import CAPTIONS

EVERYTHING = [
    Description("circle", Motion(verb, manner), diagonally)
    for verb, manners in MANNERS.items()
    for manner in manners
    for diagonally in (False, True)
    if not diagonally or (verb == "moving" and "-" in manner)
]


@pytest.mark.parametrize("description", EVERYTHING, ids=describe)
def test_facts_survive_the_way_through_a_caption(description: Description) -> None:
    assert parse(describe(description)) == description


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
    ],
)
def test_other_ways_to_say_it(said: str, meant: str) -> None:
    assert parse(said).motion == parse(meant).motion


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ("", "needs an object"),
        ("circle", "needs an object"),
        ("dragon moving left", "dragon"),
        ("circle shrinkng", 'did you mean "shrinking"'),
        ("circle moving", "without a direction"),
        ("circle moving sideways", "sideways"),
        ("circle moving up-down", "up down|up-down"),
        ("circle moving diagonally left", "diagonal"),
        ("circle rotating clockwise slowly", "slowly"),
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
