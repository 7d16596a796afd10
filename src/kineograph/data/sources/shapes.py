"""A compositional world with exact ground truth: one or two objects, every fact in the caption.

A caption names size (small, unsaid, large), colour (8), shape (5), motion, speed (slowly, unsaid,
quickly), and the background (5): "a small red star moving up-right quickly on a grey background".
What is unsaid lies between the extremes. All lengths below are units, 64ths of the picture's
shorter side; ``motion.PACES`` says how far each verb goes in a clip.

Objects stay whole: no edge of the picture cuts them, and two objects never touch.

- moving: steady and straight, diagonals at 45 degrees;
- spinning: in place (a circle or a ring does not: nobody could see it);
- orbiting: about the picture's centre;
- bouncing: to a wall along the axis and back, once;
- zigzagging: onward along the axis, swinging across it in straight legs;
- shrinking, expanding: in place; no size is said of them;
- standing still.

Splits are made by a rule over facts (``held_out``), not by a list. About a fifth of the pairs
colour × shape, shape × motion and motion × speed, and "up-right" without "diagonally", never occur
in ``split="train"``; every clip of "held-out" has at least one of them. "out-of-range" says nothing
that "train" does not, but shows what lies beyond its ranges: a clip is larger, or faster, or
starts at the very edge. "rephrased" shows nothing that "train" does not, but says it in words that
"train" never says together (``rephrasing.unsaid``): "disc drifts". No other split says those.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kineograph.core import seeds
from kineograph.core.conventions import DEFAULT_HEIGHT, DEFAULT_NUM_FRAMES, DEFAULT_WIDTH
from kineograph.core.errors import RequestError, unknown
from kineograph.data import motion, raster
from kineograph.data.clip import Batch, Clip, Facts, ObjectFacts
from kineograph.data.grammar import (
    COLORS,
    DIRECTIONS,
    MANNERS,
    SHAPES,
    SIZES,
    SPEEDS,
    Description,
    Motion,
    ObjectDescription,
    describe,
)
from kineograph.data.rephrasing import can_rephrase, rephrased, said

OBJECT_COLORS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
BACKGROUNDS = ("white", "black", "grey", "brown", "navy")
SPLITS = {
    "train": "Facts and words as in training.",
    "held-out": "Each clip has a pair of facts that training never shows.",
    "out-of-range": "Objects are larger, faster or nearer to the edge than in training.",
    "rephrased": "Facts of training; each caption has a noun with a verb that training never says"
    " together, though it says both with others.",
}
"""Parts of the source => what sets them apart."""
PAIRS = (("color", "shape"), ("shape", "motion"), ("motion", "speed"))
"""Pairs of facts of which some are held out; their scores are told one by one."""

_MOTIONS = tuple(
    Motion(verb, manner)
    for verb, manners in MANNERS.items()
    if verb != "rotating"  # the tutorial's word, for either of two motions
    for manner in manners
)
_DIAGONALS = tuple(name for name in DIRECTIONS if "-" in name)
_UNSPUN = [SHAPES.index(shape) for shape in SHAPES if not raster.SYMMETRY[shape]]
_BEYOND = (_LARGER, _FASTER, _AT_THE_EDGE) = ("larger", "faster", "at the edge")
_GAP = 2.0  # between two objects
_TRIALS = 32  # places tried for two objects
_UNIFORMS = 8  # random numbers an object and trial


@dataclass(frozen=True)
class Config:
    """One or two objects of many shapes, colours and motions, with held-out combinations."""

    num_clips: int = 1_000_000
    """Number of clips."""
    num_frames: int = DEFAULT_NUM_FRAMES
    """Frames a clip, 6 or more."""
    height: int = DEFAULT_HEIGHT
    """Height of the picture in pixels."""
    width: int = DEFAULT_WIDTH
    """Width of the picture in pixels."""
    split: str = "train"
    """"train", "held-out" (combinations that "train" never shows), "out-of-range", or "rephrased"
    (words that "train" never says together)."""
    two_objects: float = 0.25
    """Share of the clips with two objects."""
    rewording: float = 0.5
    """Share of the captions in other words than the plainest."""


class Source:
    """Clip i's facts, words and places are all drawn from (seed, i)."""

    def __init__(self, config: Config) -> None:
        if config.split not in SPLITS:
            raise unknown("split", config.split, SPLITS)
        if config.num_clips < 1 or config.num_frames < 6 or min(config.height, config.width) < 32:
            raise RequestError(
                "The shapes source needs at least 1 clip, 6 frames and 32×32 pixels.",
                f"It was given {config}.",
            )
        for name in ("two_objects", "rewording"):
            if not 0 <= getattr(config, name) <= 1:
                raise RequestError(f"data.{name} is {getattr(config, name)}.", "Choose 0 to 1.")
        if config.split == "rephrased" and not config.rewording:
            raise RequestError(
                'The split "rephrased" has words that training with data.rewording 0 never says.',
                "Train with a data.rewording above 0.",
            )
        self.config = config

    def __len__(self) -> int:
        return self.config.num_clips

    @property
    def captions(self) -> Sequence[str]:
        """Some of the captions, which together spell every word."""
        return _spelled(self.config.split, self.config.two_objects)

    def clip(self, index: int, seed: int) -> Clip:
        """Clip ``index`` of ``seed``."""
        batch = self.batch(np.array([index]), seed)
        return Clip(batch.frames[0], batch.captions[0], batch.facts[0])

    def batch(self, indices: np.ndarray, seed: int) -> Batch:
        """Clips ``indices`` (B,) of ``seed``, rendered together."""
        c = self.config
        u = seeds.uniform(seed, np.asarray(indices, np.int64), 7 + 2 * _TRIALS * _UNIFORMS)
        trials = u[:, 7:].reshape(len(u), 2, _TRIALS, _UNIFORMS)
        objects = _placed(*self._drawn(u, trials[:, 1, :, -1]), trials, c)
        phrasing = np.where(u[:, 5] < c.rewording, u[:, 6] * 2**53, 0).astype(np.int64)
        ends = np.searchsorted(objects.clip, np.arange(len(u) + 1))
        allowed = rephrased if c.split == "rephrased" else said
        captions, facts = [], []
        for first, end, words in zip(ends[:-1], ends[1:], phrasing.tolist(), strict=True):
            codes = objects.code[first:end].tolist()
            told = Description(tuple(map(_description, codes)), _background(codes[0]))
            captions.append(describe(told, words, allowed))
            facts.append(_facts(told, [objects.facts(k) for k in range(first, end)]))
        return Batch(_rendered(objects, len(u), c), captions, list(facts))

    def _drawn(
        self, u: np.ndarray, trials: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Numbers (B, n) and (B, trials) => what is shown, and how it is out of range (0: not).

        Codes (B, 2, trials), of which the second is another in each trial, ways (B, 2), and
        whether the first is alone, (B,).
        """
        split = self.config.split
        beyond = np.zeros((len(u), 2), int)
        if split == "out-of-range":
            beyond[:, 0] = 1 + (len(_BEYOND) * u[:, 4]).astype(int)
            tables = [combinations(way) for way in _BEYOND]
            first = np.choose(beyond[:, 0] - 1, [_pick(table, u[:, 0]) for table in tables])
        else:
            first = _pick(combinations(split), u[:, 0])
        first = np.repeat(first[:, None], _TRIALS, axis=1)
        codes = np.stack([first, _partner(first, trials)], axis=1)
        alone = u[:, 3] >= self.config.two_objects
        swap = (u[:, 2] < 0.5) & ~alone  # so that the odd one is not always the first
        codes[swap], beyond[swap] = codes[swap, ::-1], beyond[swap, ::-1]
        return codes, beyond, alone


# ---- combinations of facts ------------------------------------------------------------------

# (motion, speed, diagonally) that can be said together.
_DEEDS = tuple(
    (what, speed, diagonally)
    for what in _MOTIONS
    for speed in (SPEEDS if what.verb != "standing" else ("",))
    for diagonally in ((False, True) if what.manner in _DIAGONALS else (False,))
)
_RADICES = (len(BACKGROUNDS), len(SIZES), len(OBJECT_COLORS), len(SHAPES), len(_DEEDS))


def held_out(color: str, shape: str, what: Motion, speed: str, diagonally: bool) -> str:
    """Which pair of facts keeps a combination out of training; "" if none does.

    A rule of remainders: of every five neighbours in a table of pairs one is held out, so that
    each colour, shape, motion and speed occurs in training, with others.
    """
    c, s = OBJECT_COLORS.index(color), SHAPES.index(shape)
    m, v = _MOTIONS.index(what), SPEEDS.index(speed)
    if (c - s) % 5 == 0:
        return "color × shape"
    if (m + s) % 5 == 1:
        return "shape × motion"
    if (m + v) % 5 == 2 and what.verb != "standing":
        return "motion × speed"
    if what == Motion("moving", "up-right") and not diagonally:
        return "diagonally"
    return ""


@functools.cache
def combinations(kind: str) -> np.ndarray:
    """Codes of what one object and its background can be.

    ``kind`` is "train" or "held-out", or "rephrased" or one of the ways to be out of range, whose
    combinations are those of "train" that can be so.
    """
    codes = np.arange(int(np.prod(_RADICES)))
    _, size, color, shape, deed = np.unravel_index(codes, _RADICES)
    verb = np.array([what.verb for what, _, _ in _DEEDS])[deed]
    speed = np.array([speed for _, speed, _ in _DEEDS])[deed]
    scales = np.isin(verb, ("shrinking", "expanding"))
    table = [
        [[bool(held_out(c, s, *deed)) for deed in _DEEDS] for s in SHAPES] for c in OBJECT_COLORS
    ]
    chosen = np.array(table)[color, shape, deed] == (kind == "held-out")
    chosen &= ~((verb == "spinning") & np.isin(shape, _UNSPUN)) & ~(scales & (size > 0))
    if kind == "rephrased":
        sayable = [[can_rephrase(s, what.verb) for what, _, _ in _DEEDS] for s in SHAPES]
        chosen &= np.array(sayable)[shape, deed]
    elif kind == _LARGER:
        chosen &= scales | (size == SIZES.index("large"))
    elif kind == _FASTER:
        chosen &= speed == "quickly"
    elif kind == _AT_THE_EDGE:
        chosen &= ~np.isin(verb, ("orbiting", "bouncing"))  # whose places are given
    found: np.ndarray = codes[chosen]
    return found


def _pick(allowed: np.ndarray, u: np.ndarray) -> np.ndarray:
    chosen: np.ndarray = allowed[(u * len(allowed)).astype(np.int64)]
    return chosen


def _partner(first: np.ndarray, u: np.ndarray) -> np.ndarray:
    """A second object of training, of another colour, on the first one's background."""
    facts = np.stack(np.unravel_index(_pick(combinations("train"), u), _RADICES))
    ground, size, color, _, _ = np.unravel_index(first, _RADICES)
    facts[0] = ground
    small, large = SIZES.index("small"), SIZES.index("large")
    scales = np.array([d[0].verb in ("shrinking", "expanding") for d in _DEEDS])[facts[4]]
    facts[1] = np.where((size == large) & ~scales, small, facts[1])  # for want of room
    for _ in range(len(OBJECT_COLORS)):  # the next colour that differs and may go with its shape
        bad = (facts[2] == color) | ((facts[2] - facts[3]) % 5 == 0)
        facts[2] = np.where(bad, (facts[2] + 1) % len(OBJECT_COLORS), facts[2])
    code: np.ndarray = np.ravel_multi_index(tuple(facts), _RADICES)
    return code


@functools.lru_cache(maxsize=1 << 17)
def _description(code: int) -> ObjectDescription:
    _, size, color, shape, deed = np.unravel_index(code, _RADICES)
    what, speed, diagonally = _DEEDS[deed]
    return ObjectDescription(
        SHAPES[shape], what, OBJECT_COLORS[color], SIZES[size], speed, diagonally
    )


def _background(code: int) -> str:
    return BACKGROUNDS[np.unravel_index(code, _RADICES)[0]]


@functools.cache
def _spelled(split: str, two_objects: float) -> tuple[str, ...]:
    """256 captions of the split in all phrasings, and as many more as bring new words."""
    u = seeds.uniform(0, np.arange(8192), 4)
    first = _pick(combinations("train" if split == "out-of-range" else split), u[:, 0])
    second = _partner(first[:, None], u[:, 1:2])[:, 0]
    allowed = rephrased if split == "rephrased" else said
    spelled: set[str] = set()
    captions = []
    for k in range(len(u)):
        codes = (first[k], second[k])[: 1 + int(u[k, 2] < two_objects)]
        told = Description(tuple(_description(int(c)) for c in codes), _background(codes[0]))
        caption = describe(told, int(u[k, 3] * 2**53), allowed)
        words = set(caption.replace(",", "").split())
        if k < 256 or words - spelled:
            captions.append(caption)
            spelled |= words
    return tuple(captions)


def _facts(told: Description, objects: list[ObjectFacts]) -> Facts:
    attributes: dict[str, str] = {}
    for prefix, o in zip(("", "second "), told.objects, strict=False):
        said = {"shape": o.shape, "color": o.color, "motion": str(o.motion)}
        said |= {"size": o.size, "speed": o.speed}
        attributes |= {prefix + name: value for name, value in said.items() if value}
    attributes["background"] = told.background
    attributes["objects"] = str(len(objects))
    return Facts(tuple(objects), COLORS[told.background], attributes)


# ---- places and pixels ----------------------------------------------------------------------

_EXTENTS = np.array([raster.EXTENTS[shape] for shape in SHAPES]) / 2
_REACH = np.array([raster.REACH[shape] for shape in SHAPES]) / 2


@dataclass(frozen=True)
class _Objects:
    """N objects, those of a clip in the caption's order. Pixels and degrees."""

    clip: np.ndarray  # (N,)
    code: np.ndarray  # (N,)
    position: np.ndarray  # (N, T, 2)
    size: np.ndarray  # (N, T)
    angle: np.ndarray  # (N, T)

    def facts(self, k: int) -> ObjectFacts:
        told = _description(int(self.code[k]))
        color = COLORS[told.color]
        return ObjectFacts(told.shape, color, told.motion, self.position[k], self.size[k])


def _rendered(objects: _Objects, clips: int, c: Config) -> np.ndarray:
    """Objects => (B, T, H, W, 3) uint8."""
    ground, _, color, shape, _ = np.unravel_index(objects.code, _RADICES)
    colors = np.array([COLORS[name] for name in OBJECT_COLORS])[color]
    grounds = np.array([COLORS[name] for name in BACKGROUNDS])[ground]
    second = np.append(False, objects.clip[1:] == objects.clip[:-1])
    frames = raster.blank(grounds[~second], c.num_frames, c.height, c.width)
    for s, name in enumerate(SHAPES):
        for turn in (False, True):  # a clip may show two of a shape
            k = np.flatnonzero((shape == s) & (second == turn))
            raster.draw(
                *(frames, name, objects.position[k], objects.size[k]),
                *(colors[k], grounds[k], objects.angle[k], objects.clip[k]),
            )
    return frames


def _placed(
    codes: np.ndarray, beyond: np.ndarray, alone: np.ndarray, u: np.ndarray, c: Config
) -> _Objects:
    """What ``Source._drawn`` gives and numbers (B, 2, trials, n) => objects.

    Of several trials for two objects the first is taken in which they keep apart, else the one
    in which they come least close.
    """
    single, pair = np.flatnonzero(alone), np.flatnonzero(~alone)
    one = _moved(codes[single, 0, 0], u[single, 0, 0], beyond[single, 0], c)
    both = codes[pair]
    many = _moved(
        both.reshape(-1),
        u[pair].reshape(-1, _UNIFORMS),
        np.repeat(beyond[pair].reshape(-1), _TRIALS),
        c,
    )
    position, size, angle = (a.reshape(len(pair), 2, _TRIALS, *a.shape[1:]) for a in many)
    reach = _REACH[np.unravel_index(both, _RADICES)[3]]
    apart = np.linalg.norm(position[:, 0] - position[:, 1], axis=-1)
    gap = (apart - (reach[..., None] * size).sum(axis=1)).min(axis=-1)  # (B, trials)
    fits = gap >= _GAP * min(c.height, c.width) / 64
    best = np.where(fits.any(axis=1), fits.argmax(axis=1), gap.argmax(axis=1))
    rows = np.arange(len(pair))
    two = [a[rows, :, best].reshape(-1, *a.shape[3:]) for a in (both, position, size, angle)]
    clip = np.concatenate([single, np.repeat(pair, 2)])
    order = np.argsort(clip, kind="stable")
    parts = zip((codes[single, 0, 0], *one), two, strict=True)
    return _Objects(clip[order], *(np.concatenate(part)[order] for part in parts))


def _moved(
    code: np.ndarray, u: np.ndarray, beyond: np.ndarray, c: Config
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes (N,), numbers (N, 8) => positions (N, T, 2), sizes (N, T), angles (N, T)."""
    _, size, _, shape, deed = np.unravel_index(code, _RADICES)
    unit = min(c.height, c.width) / 64
    extent = np.array([c.width, c.height]) / unit
    low, high = np.array([motion.DIAMETERS[s] for s in SIZES])[size].T
    diameter = low + u[:, 0] * (high - low)
    larger, faster, at_edge = (beyond == 1 + k for k in range(len(_BEYOND)))
    diameter = np.where(larger, 22 + 3 * u[:, 0], diameter)
    sizes = np.repeat(diameter[:, None], c.num_frames, axis=1)
    angle = np.zeros_like(sizes)
    position = np.empty((len(code), c.num_frames, 2))
    for k in np.unique(deed):
        some = np.flatnonzero(deed == k)
        what, speed, _ = _DEEDS[k]
        pace = _pace(what.verb, speed, u[some, 1], faster[some])
        box = _EXTENTS[shape[some]]
        if what.verb in ("shrinking", "expanding"):
            large = np.where(larger[some], 25, 18) + 2 * u[some, 0]
            ends = (large, large / pace) if what.verb == "shrinking" else (large / pace, large)
            sizes[some] = motion.ramp(*ends, c.num_frames)
        elif what.verb == "spinning":
            sense = 1 if what.manner == "clockwise" else -1
            angle[some] = motion.ramp(0 * pace, sense * pace, c.num_frames)
            box = np.repeat(_REACH[shape[some], None], 4, axis=1)
        box = box * sizes[some].max(axis=1, keepdims=True)
        position[some] = motion.inside(
            what, pace, box, at_edge[some], u[some], extent, c.num_frames
        )
    return position * unit, sizes * unit, angle


def _pace(verb: str, speed: str, u: np.ndarray, faster: np.ndarray) -> np.ndarray:
    """How far it goes in the clip, (N,): see ``motion.PACES``."""
    if verb not in motion.PACES:
        return np.zeros(len(u))
    least, most = motion.PACES[verb][speed]
    fastest = motion.PACES[verb]["quickly"][1]
    pace: np.ndarray = np.where(faster, fastest * (1.1 + 0.1 * u), least + u * (most - least))
    return pace
