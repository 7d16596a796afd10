"""Facts and captions, both ways: ``describe`` speaks, ``parse`` understands.

The judge asks of a video what ``parse`` makes of its prompt; a source writes its captions with
``describe``. The two are inverse: ``parse(describe(d, phrasing)) == d`` for every phrasing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from kineograph.core.conventions import BLACK, MAX_PROMPT_CHARACTERS, RGB, WHITE
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

_AXES = ("vertically", "horizontally")
_SENSES = ("clockwise", "counter-clockwise")

MANNERS: dict[str, tuple[str, ...]] = {
    "moving": tuple(DIRECTIONS),
    "rotating": _SENSES,
    "spinning": _SENSES,
    "orbiting": _SENSES,
    "bouncing": _AXES,
    "zigzagging": _AXES,
    "shrinking": ("",),
    "expanding": ("",),
    "standing": ("still",),
}
"""What an object can do, and the ways of doing it.

"orbiting" goes around the picture's centre, "spinning" turns in place; "rotating" is the
tutorial's word for either.
"""

SHAPES = ("circle", "square", "triangle", "star", "ring")
SIZES = ("", "small", "large")
SPEEDS = ("", "slowly", "quickly")

COLORS: dict[str, RGB] = {
    "red": (220, 40, 40),
    "orange": (245, 140, 20),
    "yellow": (245, 220, 40),
    "green": (40, 160, 60),
    "cyan": (50, 200, 215),
    "blue": (45, 85, 225),
    "purple": (140, 50, 190),
    "pink": (255, 130, 185),
    "white": WHITE,
    "black": BLACK,
    "grey": (128, 128, 128),
    "brown": (115, 70, 35),
    "navy": (20, 30, 85),
}
"""Names of colours => what they look like."""

MAX_OBJECTS = 2

# The first phrasing of each is the plainest; ``describe`` uses them all, ``parse`` knows more.
# Verbs come in two forms, one after the other: "drifting", "drifts".
_SAID: dict[str, dict[str, tuple[str, ...]]] = {
    "shape": {
        "circle": ("circle", "disc", "ball"),
        "square": ("square", "box"),
        "triangle": ("triangle",),
        "star": ("star",),
        "ring": ("ring", "hoop"),
    },
    "color": {
        "red": ("red", "crimson"),
        "orange": ("orange",),
        "yellow": ("yellow", "golden"),
        "green": ("green", "emerald"),
        "cyan": ("cyan", "turquoise"),
        "blue": ("blue", "azure"),
        "purple": ("purple", "violet"),
        "pink": ("pink", "rosy"),
        "white": ("white",),
        "black": ("black",),
        "grey": ("grey", "gray"),
        "brown": ("brown",),
        "navy": ("navy", "dark blue"),
    },
    "size": {"small": ("small", "little", "tiny"), "large": ("large", "big", "huge")},
    "speed": {"slowly": ("slowly", "gently"), "quickly": ("quickly", "rapidly")},
    "verb": {
        "moving": ("moving", "moves", "drifting", "drifts", "gliding", "glides"),
        "rotating": ("rotating", "rotates"),
        "spinning": ("spinning", "spins", "twirling", "twirls"),
        "orbiting": ("orbiting", "orbits", "going around the centre", "goes around the centre"),
        "bouncing": ("bouncing", "bounces"),
        "zigzagging": ("zigzagging", "zigzags"),
        "shrinking": ("shrinking", "shrinks", "getting smaller", "gets smaller"),
        "expanding": ("expanding", "expands", "growing", "grows"),
        "standing": ("standing", "stands", "staying", "stays"),
    },
    "manner": {
        "up": ("up", "upwards"),
        "down": ("down", "downwards"),
        "left": ("left", "to the left"),
        "right": ("right", "to the right"),
        "up-left": ("up-left", "up and to the left", "toward the top left"),
        "up-right": ("up-right", "up and to the right", "toward the top right"),
        "down-left": ("down-left", "down and to the left", "toward the bottom left"),
        "down-right": ("down-right", "down and to the right", "toward the bottom right"),
        "vertically": ("vertically", "up and down"),
        "horizontally": ("horizontally", "left and right", "from side to side"),
        "clockwise": ("clockwise",),
        "counter-clockwise": ("counter-clockwise", "anticlockwise"),
        "still": ("still",),
    },
    "on": {"on": ("on", "against", "over")},
    "while": {"and": ("and", "while")},
}

_ALSO: dict[str, dict[str, tuple[str, ...]]] = {
    "shape": {"circle": ("disk", "dot"), "ring": ("donut", "doughnut")},
    "color": {"red": ("scarlet",), "cyan": ("aqua",), "green": ("lime",), "yellow": ("gold",)},
    "speed": {"slowly": ("slow",), "quickly": ("fast", "swiftly")},
    "verb": {
        "moving": ("move", "going", "goes", "travelling", "travels", "sliding", "slides", "flies"),
        "orbiting": ("circling", "revolving", "revolves"),
        "shrinking": ("contracting", "contracts", "getting smaller", "becoming smaller"),
        "expanding": ("getting larger", "gets larger", "getting bigger", "gets bigger"),
    },
    "motion": {"standing still": ("not moving", "does not move", "motionless", "at rest")},
    "manner": {
        "up": ("upward", "top", "upper"),
        "down": ("downward", "bottom", "lower"),
        "left": ("leftward", "leftwards"),
        "right": ("rightward", "rightwards"),
        "counter-clockwise": ("counterclockwise", "anti-clockwise"),
        "horizontally": ("side to side",),
    },
    "diagonally": {"diagonally": ("diagonally",)},
    "ground": {"background": ("background", "backdrop")},
    "": {"": ("a", "an", "the", "is", "to", "toward", "towards", "that", "corner", "in", "place")},
}

Word = tuple[str, str]  # its kind and what it means: ("color", "red")

_VOCABULARY: dict[tuple[str, ...], Word] = {
    tuple(phrase.split()): (kind, meaning)
    for table in (_SAID, _ALSO)
    for kind, meanings in table.items()
    for meaning, phrases in meanings.items()
    for phrase in phrases
    if not (kind == "manner" and (" and " in phrase or "toward" in phrase or "to the" in phrase))
}
_LONGEST = max(map(len, _VOCABULARY))


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
class ObjectDescription:
    """What a caption says of one object; "" where it says nothing.

    ``diagonally`` only spells "diagonally" out; "moving diagonally up-right" and "moving
    up-right" ask for the same video.
    """

    shape: str
    motion: Motion
    color: str = ""
    size: str = ""
    speed: str = ""
    diagonally: bool = False


@dataclass(frozen=True)
class Description:
    """What a caption says: of one object or two, and of the background ("" for nothing)."""

    objects: tuple[ObjectDescription, ...]
    background: str = ""


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


# ---- facts => caption -----------------------------------------------------------------------


def spoken(kind: str, meaning: str) -> tuple[str, ...]:
    """The words that ``describe`` has for "shape", "circle" and the like, the plainest first."""
    return _SAID[kind][meaning]


Pair = tuple[str, str]  # a noun and a verb: ("disc", "drifts")


@functools.cache
def pairs(shape: str, verb: str) -> tuple[Pair, ...]:
    """Every noun for a shape with every verb for what it does, the plainest first."""
    return tuple((n, v) for v in spoken("verb", verb) for n in spoken("shape", shape))


def describe(
    description: Description,
    phrasing: int = 0,
    allowed: Callable[[str, str], Sequence[Pair]] = pairs,
) -> str:
    """Facts => caption, such as "a small red circle moving up-right quickly on a white background".

    ``phrasing`` 0 is the plainest; any other number from 0 picks among synonyms and word orders.
    ``allowed`` gives the pairs of ``pairs`` that may be said, one or more.
    """
    choose = _Chooser(phrasing)
    objects = [
        _describe_object(o, choose, allowed(o.shape, o.motion.verb)) for o in description.objects
    ]
    said = f" {choose.word('while', 'and')} ".join(objects)
    if not description.background:
        return said
    color = choose.word("color", description.background)
    ground = f"{choose.word('on', 'on')} {_article(color)} {color} background"
    return choose(f"{said} {ground}", f"{ground}, {said}")


def _describe_object(o: ObjectDescription, choose: _Chooser, allowed: Sequence[Pair]) -> str:
    kinds = (("size", o.size), ("color", o.color))
    adjectives = [choose.word(kind, meaning) for kind, meaning in kinds if meaning]
    noun, verb = choose(*allowed)
    if adjectives:  # the tutorial's bare "circle" has no article
        noun = " ".join([_article(adjectives[0]), *adjectives, noun])
    manner = choose.word("manner", o.motion.manner) if o.motion.manner else ""
    if o.diagonally:
        manner = f"diagonally {manner}"
    speed = choose.word("speed", o.speed) if o.speed else ""
    orders = ((noun, verb, manner, speed), (noun, speed, verb, manner))
    return choose(*(" ".join(word for word in order if word) for order in orders))


_Option = TypeVar("_Option")


class _Chooser:
    """Options by the digits of a number: 0 always takes the first."""

    def __init__(self, phrasing: int) -> None:
        self.left = phrasing

    def __call__(self, *options: _Option) -> _Option:
        self.left, digit = divmod(self.left, len(options))
        return options[digit]

    def word(self, kind: str, meaning: str) -> str:
        return self(*_SAID[kind][meaning])


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


# ---- caption => facts -----------------------------------------------------------------------


def parse(caption: str) -> Description:
    """Caption => facts.

    Upper case, articles, punctuation, synonyms and other orders of the words are understood
    ("On white, a crimson ball quickly drifts to the left."). Raises CannotParse, naming the word
    that is unknown or what is missing, otherwise.
    """
    words = _words(caption)
    background, words = _take_background(words, caption)
    starts = _starts(words)
    if not starts:
        raise _cannot(caption, 'it needs an object and a motion, like "circle moving left"')
    if len(starts) > MAX_OBJECTS:
        raise _cannot(caption, f"it names {len(starts)} objects; {MAX_OBJECTS} are allowed")
    if starts[0]:
        raise _cannot(caption, f'it begins with "{words[0][1]}", not with an object')
    clauses = [words[a:b] for a, b in zip(starts, [*starts[1:], len(words)], strict=True)]
    return Description(tuple(_object(clause, caption) for clause in clauses), background)


def _words(caption: str) -> list[Word]:
    """The caption's words and phrases, the longest first, without those that say nothing."""
    text = re.findall(r"[^\s,.!;]+", caption.lower())
    split = [w if (w,) in _VOCABULARY else w.split("-") for w in text]
    tokens = [t for w in split for t in ([w] if isinstance(w, str) else w)]
    words: list[Word] = []
    while tokens:
        for length in range(min(_LONGEST, len(tokens)), 0, -1):
            known = _VOCABULARY.get(tuple(tokens[:length]))
            if known:
                words.append(known)
                del tokens[:length]
                break
        else:
            guess = nearest(tokens[0], [w for phrase in _VOCABULARY for w in phrase])
            hint = f' (did you mean "{guess}"?)' if guess else ""
            raise _cannot(caption, f'"{tokens[0]}" is not a word it knows{hint}')
    return [word for word in words if word[0]]


def _take_background(words: list[Word], caption: str) -> tuple[str, list[Word]]:
    """Take "on white" or "on a white background" out of the words."""
    places = [k for k, (kind, _) in enumerate(words) if kind == "on"]
    if not places:
        return "", words
    at = places[0]
    kinds = [kind for kind, _ in words[at + 1 : at + 3]]
    if len(places) > 1 or kinds[:1] != ["color"]:
        raise _cannot(caption, 'a background is said once, like "on a white background"')
    end = at + 2 + (kinds[1:] == ["ground"])
    return words[at + 1][1], words[:at] + words[end:]


def _starts(words: Sequence[Word]) -> list[int]:
    """Where each object's noun phrase begins: its shape, or the adjectives before that."""
    starts = []
    for k, (kind, _) in enumerate(words):
        if kind == "shape":
            while k and words[k - 1][0] in ("size", "color"):
                k -= 1
            starts.append(k)
    return starts


def _object(clause: list[Word], caption: str) -> ObjectDescription:
    said: dict[str, list[str]] = {}
    for kind, meaning in clause:
        if kind == "motion":
            verb, manner = meaning.split()
            said.setdefault("verb", []).append(verb)
            said.setdefault("manner", []).append(manner)
        else:
            said.setdefault(kind, []).append(meaning)
    shape = said["shape"][0]
    for kind, word in (
        ("verb", "motion"),
        ("color", "colour"),
        ("size", "size"),
        ("speed", "speed"),
    ):
        if len(said.get(kind, [])) > 1:
            both = " and ".join(f'"{w}"' for w in said[kind])
            raise _cannot(caption, f"the {shape} has more than one {word}: {both}")
    if "ground" in said:
        raise _cannot(caption, 'a background is said like this: "on a white background"')
    if "verb" not in said:
        raise _cannot(caption, f'the {shape} needs a motion, like "moving left"')
    verb, speed = said["verb"][0], said.get("speed", [""])[0]
    if verb == "standing" and speed:
        raise _cannot(caption, f'nothing stands still "{speed}"')
    manner = _manner(verb, said.get("manner", []), caption)
    diagonally = "diagonally" in said
    if diagonally and (verb != "moving" or "-" not in manner):
        raise _cannot(caption, f'"{Motion(verb, manner)}" is not a diagonal')
    color, size = said.get("color", [""])[0], said.get("size", [""])[0]
    return ObjectDescription(shape, Motion(verb, manner), color, size, speed, diagonally)


def _manner(verb: str, words: list[str], caption: str) -> str:
    """What was said of the way, put together: right, up => "up-right"; up, down => both."""
    known = MANNERS[verb]
    manner = "-".join(words)
    if sorted(words) == ["down", "up"]:
        manner = "vertically"
    elif sorted(words) == ["left", "right"]:
        manner = "horizontally"
    elif verb == "moving" and manner not in known:
        manner = "-".join(reversed(words))
    if manner in known:
        return manner
    said = f'"{" ".join(words)}" is not' if words else "without a direction is not"
    raise _cannot(caption, f'"{verb}" {said} a way it knows ({", ".join(known).strip() or "none"})')


def _cannot(caption: str, why: str) -> CannotParse:
    return CannotParse(
        f'Cannot judge "{caption}": {why}.', "Run `kineograph sources` for examples."
    )
