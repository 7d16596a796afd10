"""The judge's own error: clips that are right, and the same clips broken on purpose.

A corruption is a pure function of (frames, seed): (T, H, W, 3) uint8 => the same shape. It breaks
nearly every caption, and ``broken`` says which it leaves true.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from kineograph.data.clip import Clip, Source
from kineograph.data.grammar import MANNERS, Description, Motion, describe, parse
from kineograph.evaluation.statistics import wilson
from kineograph.evaluation.tracker import track
from kineograph.evaluation.verifier import Judge, judge, verify

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
    """Every caption that asks for another motion."""
    first, *rest = description.objects
    motions = [Motion(verb, manner) for verb in MANNERS for manner in MANNERS[verb]]
    others = [
        replace(first, motion=motion, diagonally=False, speed="")
        for motion in motions
        if not _alike(motion, first.motion)
    ]
    return [describe(replace(description, objects=(other, *rest))) for other in others]


def _alike(a: Motion, b: Motion) -> bool:
    """Whether one and the same video may show both: "rotating" is an orbit or a spin."""
    turn = {"rotating", "orbiting", "spinning"}
    both = {a.verb, b.verb}
    return a == b or (a.manner == b.manner and "rotating" in both and both <= turn)


# ---- how often the judge is wrong -----------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """How many of how many clips were accepted."""

    accepted: int
    of: int

    @property
    def share(self) -> float:
        """NaN without trials."""
        return self.accepted / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        return wilson(self.accepted, self.of)

    def __add__(self, other: Share) -> Share:
        return Share(self.accepted + other.accepted, self.of + other.of)


@dataclass(frozen=True)
class OwnError:
    """The judge's own error: per caption, and per version ("true", the corruptions, …).

    Only versions that really break the caption are counted.
    """

    table: dict[str, dict[str, Share]]

    def total(self, version: str) -> Share:
        """Over all captions."""
        rows = (row[version] for row in self.table.values() if version in row)
        return sum(rows, Share(0, 0))

    @property
    def versions(self) -> list[str]:
        """The columns, "true" first."""
        return list(dict.fromkeys(version for row in self.table.values() for version in row))

    def as_json(self) -> dict[str, dict[str, dict[str, float | int | list[float]]]]:
        """Numbers for a file: caption => version => accepted, of, and the 95 % interval."""
        rows = self.table | {"all": {v: self.total(v) for v in self.versions}}
        return {
            caption: {
                version: {"accepted": s.accepted, "of": s.of, "interval": list(s.interval)}
                for version, s in row.items()
            }
            for caption, row in rows.items()
        }

    def format(self) -> str:
        """A table for people: accepted clips in per cent, "-" where nothing is broken."""
        rows = self.table | {"all": {v: self.total(v) for v in self.versions}}
        wide = max(len(caption) for caption in rows)
        heads = [v.replace(" ", "-") for v in self.versions]
        lines = [" " * wide + "".join(f"{head:>{max(len(head), 6) + 2}}" for head in heads)]
        for caption, row in rows.items():
            cells = [
                f"{100 * row[v].share:.2f}" if v in row and row[v].of else "-"
                for v in self.versions
            ]
            pairs = zip(cells, heads, strict=True)
            line = "".join(f"{cell:>{max(len(head), 6) + 2}}" for cell, head in pairs)
            lines.append(f"{caption:<{wide}}{line}")
        return "\n".join(lines)


def own_error(
    source: Source,
    clips_per_caption: int,
    seed: int = 0,
    corruptions: Sequence[str] = tuple(CORRUPTIONS),
    alter: Corruption | None = None,
) -> OwnError:
    """Judge clips of ``source`` (whose captions take turns) as they are, and broken.

    ``alter`` is applied last to whatever is judged, such as a round trip through a codec.
    """
    captions = source.captions
    table: dict[str, dict[str, Share]] = {}
    for index in range(clips_per_caption * len(captions)):
        clip = source.clip(index, seed)
        row = table.setdefault(clip.caption, {})
        for version, share in _judge_one(clip.frames, clip.caption, index, corruptions, alter):
            row[version] = row.get(version, Share(0, 0)) + share
    return OwnError(table)


def _judge_one(
    frames: np.ndarray,
    caption: str,
    index: int,
    corruptions: Sequence[str],
    alter: Corruption | None,
) -> list[tuple[str, Share]]:
    description = parse(caption)
    last = alter or (lambda frames, seed: frames)
    whole = last(frames, index)
    wrong = _accepted(whole, wrong_captions(description))
    found = [
        ("true", Share(sum(_accepted(whole, [caption])), 1)),
        (WRONG_CAPTION, Share(sum(wrong), len(wrong))),
    ]
    for name in corruptions:
        if broken(name, description):
            altered = last(CORRUPTIONS[name](frames, index), index)
            found.append((name, Share(sum(_accepted(altered, [caption])), 1)))
    return found


def _accepted(frames: np.ndarray, captions: Sequence[str]) -> list[bool]:
    """Whether the judge accepts a clip by each of several captions; one object is tracked once."""
    asked = [parse(caption) for caption in captions]
    if any(len(a.objects) > 1 for a in asked):
        return [bool(verify(frames, caption)) for caption in captions]
    seen = track(frames)
    return [bool(judge(seen, a)) for a in asked]


def trial_by_corruption(
    clips: Sequence[Clip],
    judge: Judge,
    breaks: Callable[[str, Clip], bool],
) -> dict[str, Share]:
    """How often a judge accepts real clips, and each corruption of them that breaks the caption.

    ``breaks`` is asked (name, clip); the mild corruptions break none and are always tried.
    """
    found = {"true": _tally(judge, clips, lambda frames, seed: frames)}
    for name, corruption in CORRUPTIONS.items():
        some = [clip for clip in clips if breaks(name, clip)]
        if some:
            found[name] = _tally(judge, some, corruption)
    return found | {name: _tally(judge, clips, mild) for name, mild in MILD.items()}


def _tally(judge: Judge, clips: Sequence[Clip], corruption: Corruption) -> Share:
    verdicts = [
        judge(corruption(clip.frames, k), clip.caption, clip.fps) for k, clip in enumerate(clips)
    ]
    return Share(sum(map(bool, verdicts)), len(verdicts))


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
