"""The words that a model knows: for suggestions, and to say which of a prompt it does not."""

from __future__ import annotations

import itertools
import re
from collections import Counter

from pydantic import BaseModel

from kineograph.apps.service.models import Known
from kineograph.core.errors import nearest
from kineograph.data.grammar import COLORS, MANNERS, SHAPES, SIZES, SPEEDS

_WORD = re.compile(r"[^\W_]+")  # as the tokenizer hears them: "up-left" is two
_MOTIONS = [f"{verb} {manner}".strip() for verb, manners in MANNERS.items() for manner in manners]
_SLOTS = {
    "size": [size for size in SIZES if size],
    "color": list(COLORS),
    "shape": list(SHAPES),
    "motion": _MOTIONS,
    "speed": [speed for speed in SPEEDS if speed],
}
_MOST_WORDS = 40  # of a prompt that are looked up; what is like each takes milliseconds
_GRAMMATICAL = ("tutorial", "shapes")  # the sources that speak by the grammar


class Unknown(BaseModel):
    """A word of a prompt that was in no caption of the training."""

    word: str
    start: int
    """Where it begins in the prompt, in characters."""
    nearest: str | None
    """A known word that is like it."""


class Words(BaseModel):
    """What a model knows."""

    slots: dict[str, list[str]]
    """Words by what they tell, such as "color", in the order in which a caption says them; empty
    where captions have no grammar."""
    known: list[str]
    """All words of captions, the commonest first."""
    unknown: list[Unknown]
    """Of the prompt that was asked about."""


def words_of(model: Known, prompt: str = "") -> Words:
    """What a model knows, and what of a prompt it does not."""
    counts = Counter(word for caption in model.captions for word in _words(caption))
    known = set(counts)
    slots = {}
    if model.source in _GRAMMATICAL:
        slots = {
            slot: [said for said in every if known.issuperset(_words(said))]
            for slot, every in _SLOTS.items()
        }
    unknown = [
        Unknown(word=found[0], start=found.start(), nearest=nearest(found[0].lower(), known))
        for found in itertools.islice(_WORD.finditer(prompt), _MOST_WORDS)
        if found[0].lower() not in known
    ]
    return Words(
        slots={slot: said for slot, said in slots.items() if said},
        known=[word for word, _ in counts.most_common()],
        unknown=unknown,
    )


def _words(text: str) -> list[str]:
    return [found.lower() for found in _WORD.findall(text)]
