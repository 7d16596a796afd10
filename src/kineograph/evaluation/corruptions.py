"""Ways to break a clip on purpose, so that it does not do what its caption says any more.

A corruption is a pure function of (frames, seed): (T, H, W, 3) uint8 => the same shape. It breaks
nearly every caption, and ``broken`` says which it leaves true.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from scipy import ndimage

from kineograph.data.grammar import (
    COLORS,
    MANNERS,
    SHAPES,
    SIZES,
    SPEEDS,
    Description,
    Motion,
    describe,
)

Corruption = Callable[[np.ndarray, int], np.ndarray]


def frozen(frames: np.ndarray, seed: int) -> np.ndarray:
    """One frame from the middle half, all the time."""
    return np.repeat(frames[[_middle(frames, np.random.default_rng(seed))]], len(frames), axis=0)


def backwards(frames: np.ndarray, seed: int) -> np.ndarray:
    """Played from the end."""
    return np.ascontiguousarray(frames[::-1])


def shuffled(frames: np.ndarray, seed: int) -> np.ndarray:
    """The same frames in another order, one that no to-and-fro explains."""
    return np.asarray(frames[_disorder(len(frames), np.random.default_rng(seed))])


def teleporting(frames: np.ndarray, seed: int) -> np.ndarray:
    """One to three inner frames show the object somewhere else."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, min(3, max(1, len(frames) - 3)) + 1))
    result = frames.copy()
    for index in rng.choice(np.arange(1, len(frames) - 1), count, replace=False):
        result[index] = _moved_away(frames[index], _background(frames), rng)
    return result


def vanishing(frames: np.ndarray, seed: int) -> np.ndarray:
    """One to three neighbouring frames from the middle half are empty."""
    rng = np.random.default_rng(seed)
    result = frames.copy()
    first = _middle(frames, rng)
    result[first : min(first + int(rng.integers(1, 4)), len(frames) - 1)] = _background(frames)
    return result


def doubled(frames: np.ndarray, seed: int) -> np.ndarray:
    """A second copy of everything, about half a picture away (over the edge and round)."""
    return _with_copy(frames, np.random.default_rng(seed), 1.0)


def ghosted(frames: np.ndarray, seed: int) -> np.ndarray:
    """The same with a copy of a fifth to a half of the contrast."""
    rng = np.random.default_rng(seed)
    return _with_copy(frames, rng, rng.uniform(0.2, 0.5))


def averaged(frames: np.ndarray, seed: int) -> np.ndarray:
    """Every frame the mean of two moments: what a model draws that cannot choose."""
    shift = len(frames) // 2 - 1 + len(frames) // 2 % 2  # odd: both phases of a zigzag
    mean = (frames.astype(np.uint16) + np.roll(frames, shift, axis=0) + 1) // 2
    return np.asarray(mean, np.uint8)


def noise(frames: np.ndarray, seed: int) -> np.ndarray:
    """Nothing but noise."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, frames.shape).astype(np.uint8)


def recolored(frames: np.ndarray, seed: int) -> np.ndarray:
    """Red for green, green for blue, blue for red."""
    return np.ascontiguousarray(frames[..., [1, 2, 0]])


def blurred(frames: np.ndarray, seed: int) -> np.ndarray:
    """Slightly out of focus: a Gaussian of 0.7 pixels."""
    soft = ndimage.gaussian_filter(frames.astype(np.float32), (0, 0.7, 0.7, 0))
    return np.asarray(np.rint(soft), np.uint8)


def compressed(frames: np.ndarray, seed: int) -> np.ndarray:
    """Through H.264 at CRF 30 and back, colours at half the resolution."""
    import av

    buffer = io.BytesIO()
    height, width = frames.shape[1:3]
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=10, options={"crf": "30", "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = *even.shape[1:3], "yuv420p"
        for frame in even:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer, "r") as file:
        again = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    return np.stack(again)[:, :height, :width]


CORRUPTIONS: dict[str, Corruption] = {
    "frozen": frozen,
    "reversed": backwards,
    "shuffled": shuffled,
    "teleporting": teleporting,
    "vanishing": vanishing,
    "doubled": doubled,
    "ghosted": ghosted,
    "averaged": averaged,
    "recolored": recolored,
    "noise": noise,
}
MILD: dict[str, Corruption] = {"blurred": blurred, "compressed": compressed}
"""What leaves every caption true, and should be accepted."""
WRONG_CAPTION = "wrong caption"


def broken(name: str, description: Description) -> bool:
    """Whether corruption ``name`` makes what ``description`` says false.

    Bouncing and zigzagging are the same played backwards, and the mean of two moments of
    something that grows or turns in place is again one that does.
    """
    verbs = {o.motion.verb for o in description.objects}
    if name == "reversed":
        return not verbs <= {"bouncing", "zigzagging", "standing"}
    if name == "recolored":
        return any(o.color and o.color not in _GREYS for o in description.objects)
    if name in ("frozen", "shuffled"):
        return verbs != {"standing"}
    return not (name == "averaged" and verbs <= {"shrinking", "expanding", "standing", "spinning"})


_GREYS = ("white", "black", "grey")


def wrong_captions(description: Description) -> list[str]:
    """Captions that say something else in one fact: every other motion of the first object, then
    every other value of all else that is said of it, and of the background."""
    first, *rest = description.objects
    motions = [Motion(verb, manner) for verb in MANNERS for manner in MANNERS[verb]]
    others = [
        replace(first, motion=motion, diagonally=False, speed="")
        for motion in motions
        if not _alike(motion, first.motion)
    ]
    others += [replace(first, shape=shape) for shape in _besides(first.shape, SHAPES)]
    others += [replace(first, color=color) for color in _besides(first.color, COLORS)]
    others += [replace(first, size=size) for size in _besides(first.size, SIZES[1:])]
    others += [replace(first, speed=speed) for speed in _besides(first.speed, SPEEDS[1:])]
    changed = [replace(description, objects=(other, *rest)) for other in others]
    grounds = _besides(description.background, COLORS)
    changed += [replace(description, background=color) for color in grounds]
    return [describe(wrong) for wrong in changed]


def _besides(said: str, known: Iterable[str]) -> list[str]:
    """The other values of a fact, of which nothing may be said."""
    return [value for value in known if said not in ("", value)]


def _alike(a: Motion, b: Motion) -> bool:
    """Whether one and the same video may show both: "rotating" is an orbit or a spin."""
    turn = {"rotating", "orbiting", "spinning"}
    both = {a.verb, b.verb}
    return a == b or (a.manner == b.manner and "rotating" in both and both <= turn)


# ---- tools ----------------------------------------------------------------------------------


def _middle(frames: np.ndarray, rng: np.random.Generator) -> int:
    quarter = max(1, len(frames) // 4)
    return int(rng.integers(quarter, max(quarter + 1, len(frames) - quarter)))


def _background(frames: np.ndarray) -> np.ndarray:
    colors, counts = np.unique(frames[:, :1].reshape(-1, 3), axis=0, return_counts=True)
    most: np.ndarray = colors[counts.argmax()]
    return most


def _disorder(num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """An order with few neighbours left, many turns, and odd after odd or even after even.

    The last spoils a zigzag, whose odd frames are all alike.
    """
    best, best_score = np.arange(num_frames)[::-1], -1.0
    for _ in range(50):
        order = rng.permutation(num_frames)
        step = np.diff(order)
        turns = (step[1:] * step[:-1] < 0).sum()
        score = float((np.abs(step) > 1).sum() + turns + 2 * min((step % 2 == 0).sum(), 3))
        if score > best_score:
            best, best_score = order, score
    return best


def _moved_away(frame: np.ndarray, background: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture moved by 12 to 28 units, so that the object stays in it if it can."""
    height, width = frame.shape[:2]
    unit = min(height, width) / 64
    rows, columns = np.nonzero((frame != background).any(axis=2))
    for _ in range(30):
        angle, far = rng.uniform(0, 2 * np.pi), unit * rng.uniform(12, 28)
        dx, dy = round(far * np.cos(angle)), round(far * np.sin(angle))
        if not len(rows):
            break
        inside = columns.min() + dx >= 0 and columns.max() + dx < width
        if inside and rows.min() + dy >= 0 and rows.max() + dy < height:
            break
    return np.roll(frame, (dy, dx), axis=(0, 1))


def _with_copy(frames: np.ndarray, rng: np.random.Generator, opacity: float) -> np.ndarray:
    """Lay the picture, moved by three to five eighths along x, y or both, over itself."""
    background = _background(frames).astype(float)
    shares = rng.uniform(0.375, 0.625, 2) * [(1, 0), (0, 1), (1, 1)][int(rng.integers(3))]
    dx, dy = (round(float(s) * n) for s, n in zip(shares, frames.shape[2:0:-1], strict=True))
    copy = opacity * (np.roll(frames, (dy, dx), axis=(1, 2)) - background)
    first = frames - background
    stronger = np.abs(copy).sum(axis=3) > np.abs(first).sum(axis=3)
    mixed = background + np.where(stronger[..., None], copy, first)
    result: np.ndarray = np.rint(mixed).astype(np.uint8)
    return result
