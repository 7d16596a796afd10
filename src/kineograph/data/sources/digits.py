"""Handwritten digits that move: captions and protocol of Sync-DRAW (2017) and MAGE (2022).

"digit 3 is moving up and down", and for two "digit 1 is moving up and down and digit 8 is moving
left and right". White on black; a digit is a 28×28 patch of a 64×64 picture, starts anywhere, and
bounces where its patch meets the border, as everywhere in the literature. (The ink of an MNIST
digit keeps about four pixels from the patch's edge, that of a 1 more at its sides.)

Split. Every digit is trained on one axis and tested on the other: in training the even digits
move left and right and the odd ones up and down, held out it is the other way round, alone or in
a pair. So no (digit, axis) of a held-out caption occurs in training. The literature draws which
digit gets which axis; here it is a rule, so that results compare. In pairs the literature lets
the first digit move along both axes; here neither does.

Images. Six in ten of the images are drawn in training, one in ten held out, and three in ten
belong to the judge's classifier: parts with nothing in common, by a hash of an image's place in
the files (``data.digit_images``).

Motion. With each frame a digit crosses 14 to 26 % of its free path, 5.0 to 9.4 pixels (20 % in
the literature). It turns at a border at least once, between a quarter and three quarters of the
clip, or of its first ten frames where it has more. With fewer than ten it is faster, so that it
shows as much.

Two digits. Where they overlap the brighter pixel counts. Each keeps to an outer fifth of the
picture, opposite ones where both move along one axis; where their ways cross, the pair of paths
shown is that of 32 in which they meet in the fewest frames.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from kineograph.core import seeds
from kineograph.core.conventions import (
    BLACK,
    DEFAULT_HEIGHT,
    DEFAULT_NUM_FRAMES,
    DEFAULT_WIDTH,
    WHITE,
)
from kineograph.core.errors import RequestError
from kineograph.data.clip import Batch, Clip, Facts, ObjectFacts
from kineograph.data.digit_images import SIDE, Digits, load, part
from kineograph.data.grammar import CannotParse, Motion

LEFT_AND_RIGHT = "left and right"
UP_AND_DOWN = "up and down"
AXES = (LEFT_AND_RIGHT, UP_AND_DOWN)

_MOTIONS = {
    LEFT_AND_RIGHT: Motion("bouncing", "horizontally"),
    UP_AND_DOWN: Motion("bouncing", "vertically"),
}
_CANDIDATES = 32  # pairs of paths
_NUMBERS = 4  # random ones a path: speed, time of the turn, which border, place across
_MARGIN = 3.0  # 64ths of the shorter side; two digits meet where their ink comes nearer
_CLIPS_AT_ONCE = 32  # keeps what is being worked on in the processor's cache


@dataclass(frozen=True)
class Config:
    """Handwritten digits that move along one axis."""

    path: str = ""
    """Folder of MNIST's IDX files (train-*, t10k-* or both, gzip or not). Empty: the small digits
    that come with scikit-learn, scaled up (`pip install kineograph[digits]`)."""
    split: Literal["train", "held-out"] = "train"
    """"train": even digits move left and right, odd ones up and down; "held-out": the other way
    round, drawn with images that training never shows."""
    two_digits: float = 0.25
    """Share of the clips that show two different digits, 0 to 1."""
    num_clips: int = 100_000
    """Number of clips; the captions take turns."""
    num_frames: int = DEFAULT_NUM_FRAMES
    """Frames a clip."""
    height: int = DEFAULT_HEIGHT
    """Height of the picture in pixels."""
    width: int = DEFAULT_WIDTH
    """Width of the picture in pixels."""


# ---- captions -----------------------------------------------------------------------------------


class Moving(NamedTuple):
    """What a caption says of one digit: which it is, 0 to 9, and along which of ``AXES``."""

    digit: int
    axis: str


def describe(movings: Sequence[Moving]) -> str:
    """One or two digits => "digit 1 is moving left and right and digit 8 is moving up and down"."""
    return " and ".join(f"digit {m.digit} is moving {m.axis}" for m in movings)


_DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_AXIS_WORDS = {
    LEFT_AND_RIGHT: ("left and right", "right and left", "horizontally", "from side to side"),
    UP_AND_DOWN: ("up and down", "down and up", "vertically"),
}
_AXIS_OF = {words: axis for axis, several in _AXIS_WORDS.items() for words in several}
_ONE = (
    r"(?:(?:the|a|an) )?(?:(?:digits?|numbers?) )?(?P<digit>\d+|" + "|".join(_DIGIT_WORDS) + ") "
    r"(?:(?:is )?(?:moving|going|bouncing)|moves|goes|bounces|is) "
    r"(?P<axis>" + "|".join(_AXIS_OF) + ")"
)
_EXAMPLE = 'Say it like "digit 3 is moving up and down".'


def about_digits(caption: str) -> bool:
    """Whether a caption speaks of digits at all, so that it is this grammar's to understand."""
    return bool(re.search(r"\b(digits?|numbers?|\d)\b", caption.lower()))


def parse(caption: str) -> tuple[Moving, ...]:
    """Caption => one or two digits, the inverse of :func:`describe`.

    Other words for the same are understood: "The number three moves vertically.", "digit 5 is
    going from side to side". Raises CannotParse, saying why, otherwise.
    """
    rest = " ".join(re.findall(r"[^\s,.!]+", caption.lower()))
    found: list[Moving] = []
    while match := re.match(_ONE + r"(?: and (?=\S)|$)", rest):
        name = match["digit"]
        digit = _DIGIT_WORDS.index(name) if name in _DIGIT_WORDS else int(name)
        found.append(Moving(digit, _AXIS_OF[match["axis"]]))
        rest = rest[match.end() :]
    if rest or not 1 <= len(found) <= 2 or max(found).digit > 9:
        raise CannotParse(f'Cannot judge "{caption}": {_why(rest, found)}.', _EXAMPLE)
    return tuple(found)


def _why(rest: str, found: list[Moving]) -> str:
    if found and max(found).digit > 9:
        return f"{max(found).digit} is no digit"
    if not rest and found:
        return f"it names {len(found)} digits, and two are the most"
    if not re.search(r"\d|" + "|".join(_DIGIT_WORDS), rest):
        return "it names no digit from 0 to 9"
    if not re.search("|".join(_AXIS_OF), rest):
        return f"it says neither {' nor '.join(AXES)}"
    return f'"{rest}" is not understood'


# ---- the source ---------------------------------------------------------------------------------


def captions(split: str, two_digits: bool) -> list[tuple[Moving, ...]]:
    """What the captions of a split say: ten of one digit, or ninety of two."""
    swap = split != "train"
    alone = [Moving(digit, AXES[(digit + swap) % 2]) for digit in range(10)]
    if not two_digits:
        return [(moving,) for moving in alone]
    return [(first, second) for first in alone for second in alone if first != second]


class Source:
    """The captions of a split take turns; a clip's image, speed and start depend on its seed."""

    def __init__(self, config: Config) -> None:
        _check(config)
        self.config = config
        self._singles, self._pairs = (captions(config.split, two) for two in (False, True))
        side = round(SIDE * min(config.height, config.width) / 64)
        self._glyphs = _Glyphs(part(load(config.path), config.split), side)

    def __len__(self) -> int:
        return self.config.num_clips

    @property
    def captions(self) -> Sequence[str]:
        """Every caption of the split: those of one digit, then those of two."""
        share = self.config.two_digits
        singles, pairs = self._singles * (share < 1), self._pairs * (share > 0)
        return [describe(movings) for movings in [*singles, *pairs]]

    def clip(self, index: int, seed: int) -> Clip:
        """Clip ``index`` of ``seed``."""
        batch = self.batch(np.array([index]), seed)
        return Clip(batch.frames[0], batch.captions[0], batch.facts[0])

    def batch(self, indices: np.ndarray, seed: int) -> Batch:
        """Clips ``indices`` (B,) of ``seed``, rendered together."""
        indices = np.asarray(indices, np.int64)
        c = self.config
        said = [self._said(int(index)) for index in indices]
        counts = np.array([len(movings) for movings in said], np.int64)
        frames = np.zeros((len(indices), c.num_frames, c.height, c.width, 3), np.uint8)
        facts: list[Facts | None] = [None] * len(indices)
        for count in (1, 2):
            alike = np.flatnonzero(counts == count)
            for first in range(0, len(alike), _CLIPS_AT_ONCE):
                rows = alike[first : first + _CLIPS_AT_ONCE]
                movings = [said[row] for row in rows]
                glyphs, corners = self._chosen(movings, indices[rows], seed)
                self._draw(frames, rows, glyphs, corners)
                for row, *which in zip(rows, movings, glyphs, corners, strict=True):
                    facts[row] = self._facts(*which)
        return Batch(frames, [describe(movings) for movings in said], facts)

    def _said(self, index: int) -> tuple[Moving, ...]:
        """Clips of two digits come as often as they should, and evenly spread."""
        share = self.config.two_digits
        before, after = int(index * share), int((index + 1) * share)
        if after > before:
            return self._pairs[before % len(self._pairs)]
        return self._singles[(index - before) % len(self._singles)]

    def _chosen(
        self, said: list[tuple[Moving, ...]], indices: np.ndarray, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """=> numbers of the glyphs (B, K) for K digits, their corners (B, K, T, 2)."""
        digit = np.array([[m.digit for m in movings] for movings in said])
        axis = np.array([[AXES.index(m.axis) for m in movings] for movings in said])
        count = digit.shape[1]
        paths = _CANDIDATES if count == 2 else 1
        u = seeds.uniform(seed, indices, count * (1 + paths * _NUMBERS))
        glyphs = self._glyphs.pick(digit, u[:, :count])
        u = u[:, count:].reshape(len(indices), paths, count, _NUMBERS)
        free = np.array([self.config.width, self.config.height]) - self._glyphs.side
        corners = _paths(u, axis[:, None, :], self.config.num_frames) * free
        if count == 1:
            return glyphs, corners[:, 0]
        box = self._glyphs.box[glyphs]
        meeting = _frames_meeting(corners, box, _MARGIN * self._glyphs.side / SIDE)
        return glyphs, corners[np.arange(len(indices)), meeting.argmin(axis=1)]

    def _draw(
        self, frames: np.ndarray, rows: np.ndarray, glyphs: np.ndarray, corners: np.ndarray
    ) -> None:
        """Digits (B, K) with corners (B, K, T, 2) into the black clips ``rows`` (B,)."""
        side = self._glyphs.side
        last = np.array(frames.shape[3:1:-1]) - side - 1
        whole = np.clip(np.floor(corners).astype(np.int64), 0, last)
        patches = _shifted(self._glyphs.pixels[glyphs], corners - whole)
        for b, row in enumerate(rows):
            for k, places in enumerate(whole[b].tolist()):
                for frame, (x, y), patch in zip(frames[row], places, patches[b, k], strict=True):
                    window = frame[y : y + side + 1, x : x + side + 1]
                    np.maximum(window, patch[..., None], out=window)

    def _facts(self, movings: tuple[Moving, ...], glyphs: np.ndarray, corners: np.ndarray) -> Facts:
        objects: list[ObjectFacts] = []
        attributes: dict[str, str] = {}
        for moving, glyph, corner, word in zip(
            movings, glyphs, corners, ("", "second "), strict=False
        ):
            objects.append(
                ObjectFacts(
                    f"digit {moving.digit}",
                    WHITE,
                    _MOTIONS[moving.axis],
                    corner + self._glyphs.centre[glyph],
                    np.full(len(corner), self._glyphs.size[glyph]),
                )
            )
            attributes |= {f"{word}digit": str(moving.digit), f"{word}axis": moving.axis}
        return Facts(tuple(objects), BLACK, attributes)


def _check(config: Config) -> None:
    given = f"It was given {config}."
    if min(config.num_clips, config.num_frames) < 1 or min(config.height, config.width) < 32:
        raise RequestError(
            "The digits source needs at least 1 clip, 1 frame and 32×32 pixels.", given
        )
    if not 0 <= config.two_digits <= 1:
        raise RequestError(f"data.two_digits is {config.two_digits}.", "Choose 0 to 1.")
    if config.split not in ("train", "held-out"):
        raise RequestError(f'There is no split "{config.split}".', "Known: train, held-out.")


class _Glyphs:
    """N digits at the size they are drawn; x before y, lengths in pixels.

    ``pixels`` (N, side, side) uint8; ``centre`` (N, 2), of the mass, and ``box`` (N, 4), left,
    top, right, bottom of the ink, from the corner; ``size`` (N,), the box's longer side.
    """

    def __init__(self, digits: Digits, side: int) -> None:
        order = np.argsort(digits.labels, kind="stable")
        self.side = side
        self.pixels = _resized(digits.pixels[order], side)
        self._first = np.searchsorted(digits.labels[order], np.arange(11))
        mass = self.pixels.sum(axis=(1, 2), dtype=np.float64)
        spots = np.arange(side) + 0.5
        sums = [self.pixels.sum(axis=axis, dtype=np.float64) for axis in (1, 2)]
        self.centre = np.stack([along @ spots / mass for along in sums], axis=1)
        ink = np.asarray(self.pixels) >= 64
        used = [ink.any(axis=axis) for axis in (1, 2)]
        starts = [along.argmax(axis=1) for along in used]
        ends = [side - np.flip(along, 1).argmax(axis=1) for along in used]
        self.box = np.stack([*starts, *ends], axis=1)
        self.size = (self.box[:, 2:] - self.box[:, :2]).max(axis=1).astype(float)

    def pick(self, digit: np.ndarray, u: np.ndarray) -> np.ndarray:
        """A glyph of each digit (...) by a random number (...) from 0 to 1 => its number (...)."""
        first, end = self._first[digit], self._first[digit + 1]
        chosen: np.ndarray = first + (u * (end - first)).astype(np.int64)
        return chosen


def _resized(pixels: np.ndarray, side: int) -> np.ndarray:
    if side == SIDE:
        return pixels
    cubic = Image.Resampling.BICUBIC
    return np.stack([np.asarray(Image.fromarray(p).resize((side, side), cubic)) for p in pixels])


# ---- paths and pixels ---------------------------------------------------------------------------


def _paths(u: np.ndarray, axis: np.ndarray, num_frames: int) -> np.ndarray:
    """Random numbers (B, P, K, 4), axes (B, 1, K) => P times K corners, (B, P, K, T, 2).

    x and y are shares of the free path, 0 to 1.
    """
    span = min(max(num_frames - 1, 1), 9)
    speed = (0.14 + 0.12 * u[..., 0, None]) * 9 / span
    turn = span * (0.25 + 0.5 * u[..., 1, None])
    away = np.mod(speed * np.abs(np.arange(num_frames) - turn), 2)
    away = np.minimum(away, 2 - away)  # from the border where it turns
    along = np.where(u[..., 2, None] < 0.5, away, 1 - away)
    across = u[..., 3]
    if across.shape[-1] == 2:
        across = _outer_fifths(across, axis)
    upright = np.broadcast_to(axis[..., None] == 1, along.shape)
    across = np.broadcast_to(across[..., None], along.shape)
    x, y = np.where(upright, across, along), np.where(upright, along, across)
    return np.stack([x, y], axis=-1)


def _outer_fifths(u: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Places across for two digits (B, P, 2): opposite sides where both move along one axis."""
    first, second = u[..., 0] >= 0.5, u[..., 1] >= 0.5
    second = np.where(axis[..., 0] == axis[..., 1], ~first, second)
    far = np.stack([first, second], axis=-1)
    inward = 0.2 * np.mod(2 * u, 1)
    places: np.ndarray = np.where(far, 1 - inward, inward)
    return places


def _frames_meeting(corners: np.ndarray, box: np.ndarray, margin: float) -> np.ndarray:
    """Of P pairs of paths (B, P, 2, T, 2) with ink boxes (B, 2, 4): frames in which they meet."""
    low = corners + box[:, None, :, None, :2]
    high = corners + box[:, None, :, None, 2:]
    gap = np.maximum(low[:, :, 0] - high[:, :, 1], low[:, :, 1] - high[:, :, 0])
    meeting: np.ndarray = (gap < margin).all(axis=-1).sum(axis=-1)
    return meeting


def _shifted(pixels: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    """Move glyphs (B, K, S, S) right and down by parts of a pixel (B, K, T, 2), bilinearly.

    => (B, K, T, S + 1, S + 1) uint8
    """
    fraction = fraction.astype(np.float32)
    x, y = fraction[..., 0, None, None], fraction[..., 1, None, None]
    glyph = np.pad(pixels.astype(np.float32), ((0, 0), (0, 0), (1, 1), (1, 1)))[:, :, None]
    tall = glyph[..., 1:, :] + y * (glyph[..., :-1, :] - glyph[..., 1:, :])
    moved = tall[..., 1:] + x * (tall[..., :-1] - tall[..., 1:])
    moved += 0.5
    shifted: np.ndarray = moved.astype(np.uint8)
    return shifted
