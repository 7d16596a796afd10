"""Which nouns and verbs training says together, and which it never does.

The source ``shapes`` keeps some pairs of words for its split "rephrased": no other says "disc" with
"drifts". Whoever then does as "the disc drifts toward the top right corner" says has put together
words that it knows from elsewhere.
"""

from __future__ import annotations

import functools

from kineograph.data.grammar import MANNERS, SHAPES, Pair, pairs, spoken

_NAMES = tuple(verb for verb in MANNERS if verb != "rotating")  # the tutorial's own word
_NOUNS = tuple(noun for shape in SHAPES for noun in spoken("shape", shape))
_VERBS = tuple(form for name in _NAMES for form in spoken("verb", name))


def unsaid(noun: str, verb: str) -> bool:
    """Whether training never says a noun with a verb.

    A rule of remainders: of every five neighbours in the table of nouns and verbs one is left out,
    so that training says each word, with others. The two forms of a verb ("drifting", "drifts")
    are one. The plainest noun with the plainest verb is always said.
    """
    n, v = _NOUNS.index(noun), _VERBS.index(verb) // 2
    plainest = noun in SHAPES and _VERBS[2 * v] in _NAMES
    return (n + 2 * v) % 5 == 3 and not plainest


@functools.cache
def said(shape: str, verb: str) -> tuple[Pair, ...]:
    """What training says of a shape that does something, the plainest first."""
    return tuple(pair for pair in pairs(shape, verb) if not unsaid(*pair))


@functools.cache
def can_rephrase(shape: str, verb: str) -> bool:
    """Whether there are words for it that training never says."""
    return said(shape, verb) != pairs(shape, verb)


@functools.cache
def rephrased(shape: str, verb: str) -> tuple[Pair, ...]:
    """Words for it that training never says; what training says where there are none."""
    if not can_rephrase(shape, verb):
        return said(shape, verb)
    return tuple(pair for pair in pairs(shape, verb) if unsaid(*pair))
