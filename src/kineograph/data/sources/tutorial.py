"""The tutorial's world: one circle on white and eighteen captions.

``variation=0`` is the tutorial to the letter, with the circle actually drawn (the printed recipe
computes a position and never draws anything). Its formulas give, for frame f, the displacement
from the centre; several draw what nobody could call that motion, and are kept all the same:

- left, and every diagonal with "left" or "up": Python's -5f mod 64 starts at 59, so the circle
  jumps out of the picture after frame 0 and comes back in from the far edge;
- rotating: the picture turns about its centre, where the disc is, so nothing changes;
- zigzagging vertically: even frames come up from the bottom edge, odd ones lie below the picture;
- zigzagging horizontally: y is at the bottom edge, and x outside it on odd frames.

With any other ``variation`` start, speed, size and phase vary from clip to clip, and each motion
is one that a person would name the same way:

- moving: steady and straight, diagonals at 45 degrees; the circle may be cut by the edge where it
  enters or leaves, its centre stays inside;
- rotating: an orbit about the picture's centre, 108 to 216 degrees in all;
- bouncing: to a wall along the axis and back, once;
- zigzagging: from side to side along the axis, changing direction with every frame;
- shrinking, expanding: in place, to or from about a third of the diameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kineograph.core import seeds
from kineograph.core.conventions import (
    BLACK,
    DEFAULT_HEIGHT,
    DEFAULT_NUM_FRAMES,
    DEFAULT_WIDTH,
    WHITE,
)
from kineograph.core.errors import RequestError
from kineograph.data import motion, raster
from kineograph.data.clip import Batch, Clip, Facts, ObjectFacts
from kineograph.data.grammar import DIRECTIONS, Motion, parse

CAPTIONS = (
    "circle moving down",
    "circle moving left",
    "circle moving right",
    "circle moving diagonally up-right",
    "circle moving diagonally down-left",
    "circle moving diagonally up-left",
    "circle moving diagonally down-right",
    "circle rotating clockwise",
    "circle rotating counter-clockwise",
    "circle shrinking",
    "circle expanding",
    "circle bouncing vertically",
    "circle bouncing horizontally",
    "circle zigzagging vertically",
    "circle zigzagging horizontally",
    "circle moving up-left",
    "circle moving down-right",
    "circle moving down-left",
)
"""The tutorial's captions, in its order and spelling."""

UNSEEN_PROMPTS = ("circle moving up-right", "circle moving up")
"""In no caption: the tutorial's own test, and a word that occurs in training only inside others."""

_UNIFORMS = 4  # random numbers a clip: size, pace, and two for where


@dataclass(frozen=True)
class Config:
    """The tutorial's eighteen captions."""

    num_clips: int = 100_000
    """Number of clips; the captions take turns."""
    num_frames: int = DEFAULT_NUM_FRAMES
    """Frames a clip."""
    height: int = DEFAULT_HEIGHT
    """Height of the picture in pixels."""
    width: int = DEFAULT_WIDTH
    """Width of the picture in pixels."""
    variation: float = 1.0
    """0 is the tutorial to the letter, 1 the full spread of start, speed, size and phase."""


class Source:
    """Clip i shows caption i mod 18."""

    def __init__(self, config: Config) -> None:
        if min(config.num_clips, config.num_frames) < 1 or min(config.height, config.width) < 16:
            raise RequestError(
                "The tutorial source needs at least 1 clip, 1 frame and 16×16 pixels.",
                f"It was given {config}.",
            )
        if not 0 <= config.variation <= 1:
            raise RequestError(f"data.variation is {config.variation}.", "Choose 0 to 1.")
        self.config = config

    def __len__(self) -> int:
        return self.config.num_clips

    @property
    def captions(self) -> Sequence[str]:
        """The eighteen, in the tutorial's order."""
        return CAPTIONS

    def clip(self, index: int, seed: int) -> Clip:
        """Clip ``index`` of ``seed``."""
        batch = self.batch(np.array([index]), seed)
        return Clip(batch.frames[0], batch.captions[0], batch.facts[0])

    def batch(self, indices: np.ndarray, seed: int) -> Batch:
        """Clips ``indices`` (B,) of ``seed``, rendered together."""
        indices = np.asarray(indices, np.int64)
        c = self.config
        position = np.empty((len(indices), c.num_frames, 2))
        size = np.empty((len(indices), c.num_frames))
        u = seeds.uniform(seed, indices, _UNIFORMS)
        u = 0.5 + c.variation * (u - 0.5)
        which = indices % len(CAPTIONS)
        for k in np.unique(which):
            chosen = which == k
            if c.variation == 0:
                position[chosen], size[chosen] = _to_the_letter(_MOTIONS[k], c.num_frames)
            else:
                position[chosen], size[chosen] = _varied(_MOTIONS[k], u[chosen], c)
        frames = raster.render_discs(
            position, size, color=BLACK, background=WHITE, height=c.height, width=c.width
        )
        facts: list[Facts | None] = [
            Facts((ObjectFacts("circle", BLACK, _MOTIONS[k], position[i], size[i]),), WHITE)
            for i, k in enumerate(which)
        ]
        return Batch(frames, [CAPTIONS[k] for k in which], facts)


_MOTIONS = tuple(parse(caption).objects[0].motion for caption in CAPTIONS)


def _varied(what: Motion, u: np.ndarray, c: Config) -> tuple[np.ndarray, np.ndarray]:
    """Random numbers u (B, 4) => positions (B, T, 2), diameters (B, T)."""
    extent = np.array([c.width, c.height], float)
    unit = min(c.width, c.height) / 64  # all lengths below are those of a 64×64 picture
    frames = max(c.num_frames - 1, 1)
    diameter = unit * _between(u[:, 0], 8, 12)
    size = np.repeat(diameter[:, None], c.num_frames, axis=1)
    edge = diameter[:, None] / 2 + unit  # a centre this far inside keeps the circle whole
    somewhere = edge + u[:, 2:4] * (extent - 2 * edge)
    axis = 0 if what.manner == "horizontally" else 1
    position = np.repeat(somewhere[:, None, :], c.num_frames, axis=1)

    if what.verb == "moving":
        step = np.array(DIRECTIONS[what.manner], float)
        travel = unit * _between(u[:, 1], 27, 54)[:, None]
        if abs(step).sum() == 2:
            travel = travel * 0.85  # on each axis
        free = extent - 2 * unit - travel
        start = np.where(step > 0, unit + u[:, 2:4] * free, extent - unit - u[:, 2:4] * free)
        start = np.where(step == 0, somewhere, start)
        position = motion.straight(start, step * travel / frames, c.num_frames)
    elif what.verb == "rotating":
        centre = np.broadcast_to(extent / 2, somewhere.shape)
        sense = 1 if what.manner == "clockwise" else -1
        speed = sense * _between(u[:, 1], 108, 216) / frames
        radius = unit * _between(u[:, 2], 12, 22)
        position = motion.orbit(centre, radius, 360 * u[:, 3], speed, c.num_frames)
    elif what.verb == "bouncing":
        side = np.where(u[:, 2 + axis] < 0.5, -1.0, 1.0)
        hit = frames * _between(np.abs(2 * u[:, 2 + axis] - 1), 0.28, 0.72)
        wall = np.where(side > 0, extent[axis] - diameter / 2, diameter / 2)
        speed = unit * _between(u[:, 1], 45, 72) / frames
        position[:, :, axis] = motion.bounce(wall, speed, hit, side, c.num_frames)
    elif what.verb == "zigzagging":
        swing = unit * _between(u[:, 1], 8, 14)
        place = u[:, 2 + axis]  # which half of it decides the phase
        phase = np.where(place < 0.5, -1.0, 1.0)
        reach = edge[:, 0] + swing / 2
        middle = reach + np.abs(2 * place - 1) * (extent[axis] - 2 * reach)
        offset = motion.alternate(swing, phase, c.num_frames)
        position[:, :, axis] = middle[:, None] + offset
    else:  # shrinking, expanding
        small, large = unit * _between(u[:, 0], 6, 9), unit * _between(u[:, 1], 20, 28)
        edge = large[:, None] / 2 + unit
        position[:] = (edge + u[:, 2:4] * (extent - 2 * edge))[:, None, :]
        ends = (large, small) if what.verb == "shrinking" else (small, large)
        size = motion.ramp(*ends, c.num_frames)
    return position, size


def _between(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return low + u * (high - low)


def _to_the_letter(what: Motion, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """The tutorial's formulas => positions (T, 2), diameters (T,), on its 64×64 picture."""
    f = np.arange(num_frames, dtype=np.float64)
    far = 5 * f % 64
    x, y = np.zeros(num_frames), np.zeros(num_frames)
    size = np.full(num_frames, 10.0)
    if what.verb == "moving":
        dx, dy = DIRECTIONS[what.manner]
        x, y = dx * 5.0 * f % 64, dy * 5.0 * f % 64
    elif what.verb == "bouncing":
        along = 32 - np.abs(far - 32)
        x, y = (along, y) if what.manner == "horizontally" else (x, along)
    elif what.verb == "zigzagging":
        along = np.where(f % 2 == 0, 32 - far, 32 + far)
        x, y = (along, y + 32) if what.manner == "horizontally" else (x, along)
    elif what.verb in ("shrinking", "expanding"):  # no formula is printed: a pixel a frame
        size = np.maximum(size + (f if what.verb == "expanding" else -f), 0.0)
    return np.stack([32.0 + x, 32.0 + y], axis=1), size
