"""Facts and captions, both ways: ``describe`` speaks, ``parse`` understands.

The judge asks of a video what ``parse`` makes of its prompt; a source writes its captions with
``describe``. The two are inverse: ``parse(describe(d)) == d``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kineograph.core.conventions import MAX_PROMPT_CHARACTERS
from kineograph.core.errors import RequestError, nearest

DIRECTIONS: dict[str, tuple[int, int]] = {
    "up": (0, -1),
    "down": (0, 1),
    "left": (-1, 0),
    "right": (1, 0),
    "up-left": (-1, -1),
    "up-right": (1, -1),
    "down-left": (-1, 1),
    "down-right": (1, 1),
}
"""Names of directions => steps in x (rightward) and y (downward)."""

MANNERS: dict[str, tuple[str, ...]] = {
    "moving": tuple(DIRECTIONS),
    "rotating": ("clockwise", "counter-clockwise"),
    "bouncing": ("vertically", "horizontally"),
    "zigzagging": ("vertically", "horizontally"),
    "shrinking": ("",),
    "expanding": ("",),
}
"""What an object can do, and the ways of doing it."""

SHAPES = ("circle",)

_SAME_WORDS = {
    "counterclockwise": "counter-clockwise",
    "anticlockwise": "counter-clockwise",
    "anti-clockwise": "counter-clockwise",
    "upward": "up",
    "upwards": "up",
    "downward": "down",
    "downwards": "down",
    "leftward": "left",
    "leftwards": "left",
    "rightward": "right",
    "rightwards": "right",
}
_ARTICLES = {"a", "an", "the"}


class CannotParse(RequestError):
    """The prompt says something that the grammar does not know."""


@dataclass(frozen=True)
class Motion:
    """What an object does, and in which way: ("moving", "up-right"), ("shrinking", "")."""

    verb: str
    manner: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.manner}".strip()


@dataclass(frozen=True)
class Description:
    """What a caption says of its one object.

    ``diagonally`` only spells "diagonally" out; "moving diagonally up-right" and "moving
    up-right" ask for the same video.
    """

    shape: str
    motion: Motion
    diagonally: bool = False


def check_prompt(prompt: str) -> str:
    """The prompt, stripped. Raises RequestError where it is empty or over 1,000 characters."""
    if not prompt.strip():
        raise RequestError("The prompt is empty.", 'Say what to show, like "circle moving left".')
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise RequestError(
            f"The prompt has {len(prompt):,} characters; the limit is {MAX_PROMPT_CHARACTERS:,}.",
            "Shorten it.",
        )
    return prompt.strip()


def describe(description: Description) -> str:
    """Facts => caption, such as "circle moving diagonally up-right"."""
    motion = description.motion
    manner = f"diagonally {motion.manner}" if description.diagonally else motion.manner
    return f"{description.shape} {motion.verb} {manner}".strip()


def parse(caption: str) -> Description:
    """Caption => facts.

    Upper case, articles, a full stop and the other spellings of a direction ("up right",
    "anticlockwise", "upwards") are understood. Raises CannotParse, naming the word, otherwise.
    """
    words = [_SAME_WORDS.get(w, w) for w in re.findall(r"[^\s,.!]+", caption.lower())]
    words = [w for w in words if w not in _ARTICLES and w != "is"]
    if len(words) < 2:
        raise _cannot(caption, 'it needs an object and a motion, like "circle moving left"')
    shape, verb, *rest = words
    if shape not in SHAPES:
        raise _cannot(caption, f'"{shape}" is not an object it knows ({", ".join(SHAPES)})')
    if verb not in MANNERS:
        guess = nearest(verb, MANNERS)
        hint = f'; did you mean "{guess}"?' if guess else f" ({', '.join(MANNERS)})"
        raise _cannot(caption, f'"{verb}" is not a motion it knows{hint}')
    diagonally = verb == "moving" and rest[:1] == ["diagonally"]
    manner = _manner(caption, verb, rest[1:] if diagonally else rest)
    if diagonally and "-" not in manner:
        raise _cannot(caption, f'"{manner}" is not a diagonal')
    return Description(shape, Motion(verb, manner), diagonally)


def _manner(caption: str, verb: str, words: list[str]) -> str:
    known = MANNERS[verb]
    manner = "-".join(w for w in words if w not in ("and", "to"))
    if verb == "moving" and manner not in known:  # "right and up" => "up-right"
        manner = "-".join(reversed(manner.split("-")))
    if manner in known:
        return manner
    guess = nearest(" ".join(words), known)
    hint = f'; did you mean "{guess}"?' if guess else ""
    said = f'"{" ".join(words)}" is not' if words else "without a direction is not"
    raise _cannot(caption, f'"{verb}" {said} a way it knows ({", ".join(known) or "none"}){hint}')


def _cannot(caption: str, why: str) -> CannotParse:
    return CannotParse(
        f'Cannot judge "{caption}": {why}.', "Run `kineograph sources` for examples."
    )
