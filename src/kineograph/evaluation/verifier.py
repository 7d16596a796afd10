"""Does the video do what the prompt says? Yes or no, why, and what was measured.

Lengths are those of a 64-pixel picture (units, see ``tracker``), times are frames, angles degrees
clockwise as seen on the screen. The limits leave room for a learned model's small wobble, about
a pixel of the centre, and for nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from kineograph.core.conventions import DEFAULT_FPS, MAX_PROMPT_CHARACTERS
from kineograph.data.clip import Clip
from kineograph.data.grammar import CannotParse, Description, ObjectDescription, parse
from kineograph.data.motion import DIAMETERS
from kineograph.data.raster import SYMMETRY
from kineograph.evaluation.criteria import MOTIONS, check_speed
from kineograph.evaluation.findings import Findings
from kineograph.evaluation.geometry import Path
from kineograph.evaluation.templates import color_names, likeness, orientation
from kineograph.evaluation.tracker import Track, separate, track

MIN_FRAMES = 4

# every frame
MIN_CONTRAST = 40.0  # of 255
MIN_CONTRAST_SHARE = 0.4  # of the clip's typical contrast
MAX_ELONGATION = 1.35
MIN_OVERLAP = 0.75
MAX_SKIRT = 4.0
MAX_RESIDUE = 0.15  # of the object's area, within 4 and 12 square pixels
VANISHED = 4.0  # below this diameter it may be gone with the next frame
MAX_SIZE_RATIO = 1.5

# what it looks like
MIN_AGREEMENT = 0.55
MIN_LEAD = 0.02  # as much better may another shape agree, by chance
RING_HOLE = (0.12, 0.45)  # share of the area; a thin outline has more
_SMALL, _MEDIUM, _LARGE = (DIAMETERS[word] for word in ("small", "", "large"))
SIZES = {
    "small": (0.0, (_SMALL[1] + _MEDIUM[0]) / 2),
    "large": ((_MEDIUM[1] + _LARGE[0]) / 2, np.inf),
}
"""The word for a size => diameters of the disc of the same area; half-way between the ranges."""


@dataclass(frozen=True)
class Verdict:
    """What the judge says of one video and one prompt.

    ``reasons`` is empty for "yes"; for "no" each sentence is a check that failed, with what was
    measured and the limit. ``measured`` fits in JSON.
    """

    verdict: Literal["yes", "no", "cannot judge"]
    reasons: list[str] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, bool]:
        """Each fact that the prompt asks for => whether the video shows it."""
        return dict(self.measured.get("facts", {}))

    @property
    def parts(self) -> dict[str, bool]:
        """The same, where the judge tells parts of a fact with each on its own."""
        return dict(self.measured.get("parts", self.facts))

    def __bool__(self) -> bool:
        return self.verdict == "yes"


Judge = Callable[[np.ndarray, str, float], Verdict]
"""(frames, prompt, fps) => verdict: ``verify``, and what a source has of its own."""


def verify_clip(clip: Clip, prompt: str | None = None) -> Verdict:
    """Judge a clip by ``prompt``, or by its own caption."""
    return verify(clip.frames, clip.caption if prompt is None else prompt, clip.fps)


def verify(frames: np.ndarray, prompt: str, fps: float = DEFAULT_FPS) -> Verdict:
    """Does ``frames``, (T, H, W, 3) uint8 RGB, do what ``prompt`` says?

    "cannot judge" where the prompt is none that the grammar knows, or there are fewer than four
    frames or sixteen pixels. Raises ValueError where ``frames`` is not such an array.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"verify wants uint8 (T, H, W, 3), not {frames.dtype} {frames.shape}")
    why = cannot_judge(frames, prompt, parse)
    if why:
        return Verdict("cannot judge", [why])
    asked = parse(prompt)
    if len(asked.objects) == 1:
        return judge(track(frames), asked, fps)
    return _judge_two(frames, asked, fps)


def cannot_judge(
    frames: np.ndarray, prompt: str, understand: Callable[[str], object], side: int = 16
) -> str:
    """Why a video of this size and length cannot be judged by a prompt; "" where it can.

    ``understand`` raises CannotParse for a prompt that it does not know.
    """
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        return f"The prompt has {len(prompt)} characters; the limit is {MAX_PROMPT_CHARACTERS}."
    try:
        understand(prompt)
    except CannotParse as error:
        return str(error)
    if len(frames) < MIN_FRAMES:
        return f"The video has {len(frames)} frames; a motion needs at least {MIN_FRAMES}."
    height, width = frames.shape[1:3]
    if min(height, width) < side:
        return f"The video is {width}×{height} pixels; it needs at least {side}×{side}."
    return ""


def judge(seen: Track, asked: Description, fps: float = DEFAULT_FPS) -> Verdict:
    """Judge what was seen by a description of one object."""
    return _verdict(_examined(seen, asked.objects[0], asked.background, fps))


_PREFIXES = ("", "second ")  # of the facts of two objects


def _judge_two(frames: np.ndarray, asked: Description, fps: float) -> Verdict:
    """Each object on its own; which one is meant by which words is what fits best."""
    clips = separate(frames)
    if len(clips) == 1:
        findings = Findings({"fps": fps, "frames": len(frames)})
        findings.check(False, "There is one object in most frames; two were asked for.", "objects")
        for prefix, o in zip(_PREFIXES, asked.objects, strict=True):
            findings.facts |= {prefix + fact: False for fact in _facts(o)}
        return _verdict(findings)
    tracks = [track(clip) for clip in clips]
    orders = [
        [
            _examined(seen, o, asked.background, fps)
            for seen, o in zip(order, asked.objects, strict=True)
        ]
        for order in (tracks, tracks[::-1])
    ]
    both = min(orders, key=lambda found: sum(len(f.reasons) for f in found))
    findings = Findings({"fps": fps, "frames": len(frames)})
    names = _names(asked.objects)
    for prefix, name, found in zip(_PREFIXES, names, both, strict=True):
        findings.reasons += [f"The {name}: {reason}" for reason in found.reasons]
        for known, told in ((findings.facts, found.facts), (findings.parts, found.parts)):
            known |= {
                (fact if fact in ("objects", "background") else prefix + fact): holds
                for fact, holds in told.items()
                if fact not in ("objects", "background") or known.get(fact, True)
            }
        findings.measured[f"{prefix or 'first '}object"] = found.measured
    return _verdict(findings)


def _names(objects: Sequence[ObjectDescription]) -> list[str]:
    """How sentences call the objects: by shape and colour, and by number where those agree."""
    names = [f"{o.color} {o.shape}".strip() for o in objects]
    alike = len(set(names)) < len(names)
    return (
        [f"{place} {n}" for place, n in zip(("first", "second"), names, strict=True)]
        if alike
        else names
    )


def _verdict(findings: Findings) -> Verdict:
    parts = findings.facts | findings.parts
    measured = findings.measured | {"facts": findings.facts, "parts": parts}
    return Verdict("no" if findings.reasons else "yes", findings.reasons, measured)


def _examined(seen: Track, asked: ObjectDescription, background: str, fps: float) -> Findings:
    """Every check of one object, and of the background."""
    findings = Findings({"fps": fps, "frames": len(seen.visible), "motion": str(asked.motion)})
    findings.note("background", list(seen.background))
    if background:
        names = color_names(seen.background)
        findings.check(
            background in names,
            f"The background is {names[0]}, not {background}.",
            "background",
        )
    if not seen.visible.any() or np.nanmax(seen.contrast) < MIN_CONTRAST:
        findings.check(
            False, "Nothing is visible: no object stands out from the background.", "objects"
        )
        findings.facts |= dict.fromkeys(_facts(asked), False)
        return findings
    path = _look(findings, seen, asked)
    if path is None:
        findings.facts |= {"motion": False} | ({"speed": False} if asked.speed else {})
        return findings
    MOTIONS[asked.motion.verb](findings, path, asked.motion)
    if asked.speed:
        check_speed(findings, path, len(seen.visible), asked)
    return findings


def _facts(asked: ObjectDescription) -> list[str]:
    """The facts that are asked of an object."""
    said = {"shape": asked.shape, "motion": asked.motion.verb, "color": asked.color}
    said |= {"size": asked.size, "speed": asked.speed}
    return [fact for fact, value in said.items() if value]


# ---- what must hold whatever the motion -----------------------------------------------------


def _look(findings: Findings, seen: Track, asked: ObjectDescription) -> Path | None:
    """One whole object throughout; => its path, or None where there is none to speak of."""
    grows = asked.motion.verb in ("shrinking", "expanding")
    shown = np.flatnonzero(seen.visible)
    first, last = int(shown[0]), int(shown[-1])
    run = slice(first, last + 1)
    findings.note("object_color", list(seen.color))
    findings.note("visible_frames", len(shown))
    findings.note("centre", seen.centre)
    findings.note("diameter", seen.size)
    _one_object(findings, seen)
    _right_shape(findings, seen, asked.shape)
    _right_color(findings, seen, asked.color)
    _right_size(findings, seen, asked.size)
    missing = last - first + 1 - len(shown)
    findings.check(
        missing == 0, f"It vanishes: {missing} frames between sightings are empty.", "objects"
    )
    least = max(MIN_FRAMES, -(-len(seen.visible) // 2))
    findings.check(
        len(shown) >= least,
        f"It is visible in {len(shown)} frames only; at least {least} needed.",
        "objects",
    )
    if missing or len(shown) < MIN_FRAMES:
        return None
    path = Path(
        *(seen.centre[run], seen.size[run], seen.cut[run], np.array(seen.extent)),
        *(orientation(seen, asked.shape)[run], SYMMETRY[asked.shape]),
    )
    _comes_and_goes(findings, path, first, len(seen.visible) - 1 - last, grows)
    if not grows:
        _steady_size(findings, path)
    return path


def _one_object(findings: Findings, seen: Track) -> None:
    findings.note("most_objects", int(seen.objects.max()))
    several = np.flatnonzero(seen.objects > 1)
    findings.check(
        len(several) == 0,
        f"There is more than one object in {len(several)} frames (first in frame "
        f"{several[0] if len(several) else 0}: {seen.objects.max()} at most); one is allowed.",
        "objects",
    )
    area = np.pi * np.nan_to_num(seen.size) ** 2 / 4
    allowed = np.clip(MAX_RESIDUE * area, 4.0, 12.0)
    worst = int((seen.residue - allowed).argmax())
    findings.note("residue", float(seen.residue[worst]))
    findings.check(
        seen.residue[worst] <= allowed[worst],
        f"Specks cover {seen.residue[worst]:.1f} square pixels besides it (frame {worst}); "
        f"the limit is {allowed[worst]:.1f}.",
        "objects",
    )
    contrast = seen.contrast[seen.visible]
    findings.note("contrast", float(contrast.min()))
    faint = max(MIN_CONTRAST / 2, MIN_CONTRAST_SHARE * float(np.median(contrast)))
    findings.check(
        contrast.min() >= faint,
        f"It fades: its contrast falls to {contrast.min():.0f} of 255; the limit is {faint:.0f}.",
        "objects",
    )


def _right_shape(findings: Findings, seen: Track, shape: str) -> None:
    """No other shape agrees with it better; a disc must be one in every frame."""
    if shape in ("circle", "ring"):
        _a_disc(findings, seen)
    found = likeness(seen)
    if found is None:
        return
    findings.note("agreement", {name: round(v, 3) for name, v in found.agreement.items()})
    findings.note("hole", found.hole)
    silhouette = "circle" if shape == "ring" else shape
    share, best = found.agreement[silhouette], found.best
    findings.check(
        share >= found.agreement[best] - MIN_LEAD,
        f"It looks like a {best} ({found.agreement[best]:.0%}), not a {shape} ({share:.0%}).",
        "shape",
    )
    findings.check(
        share >= MIN_AGREEMENT,
        f"It agrees with a {shape} by {share:.0%}; the limit is {MIN_AGREEMENT:.0%}.",
        "shape",
    )
    if shape == "ring":
        findings.check(found.hole >= RING_HOLE[0], "It is no ring: it has no hole.", "shape")
    if shape == "circle":  # drawn as an outline it still is one
        low, high = RING_HOLE
        findings.check(not low <= found.hole <= high, "It is a ring rather than a circle.", "shape")


def _right_color(findings: Findings, seen: Track, color: str) -> None:
    if color:
        names = color_names(seen.color)
        findings.note("color_name", names[0])
        findings.check(color in names, f"It is {names[0]}, not {color}.", "color")


def _right_size(findings: Findings, seen: Track, word: str) -> None:
    if not word:
        return
    whole = seen.size[seen.visible & ~seen.cut]
    size = float(np.median(whole if len(whole) else seen.size[seen.visible]))
    least, most = SIZES[word]
    findings.check(
        least <= size <= most, f"It is {size:.1f} pixels wide, which is not {word}.", "size"
    )


def _a_disc(findings: Findings, seen: Track) -> None:
    pixels = np.nan_to_num(seen.size) / max(seen.grain, 1.0)  # the fewer, the more luck in shape
    most = MAX_ELONGATION + 0.15 * np.clip(8 - pixels, 0, 3) + 0.1 * np.clip(5 - pixels, 0, 5)
    long = np.where(seen.visible & ~seen.cut, seen.elongation, 1.0)
    worst = int((long - most).argmax())
    findings.note("elongation", float(long.max()))
    findings.check(
        long[worst] <= most[worst],
        f"It is no circle: {long[worst]:.2f} times as long as wide (frame {worst}); "
        f"the limit is {most[worst]:.2f}.",
        "shape",
    )
    least = MIN_OVERLAP - 0.08 * np.clip(6 - pixels, 0, 3)
    overlap = np.where(seen.visible, seen.overlap, 1.0)
    worst = int((overlap - least).argmin())
    findings.note("overlap_with_disc", float(overlap.min()))
    findings.check(
        overlap[worst] >= least[worst],
        f"It is no circle: it agrees with a disc by {overlap[worst]:.0%} (frame {worst}); "
        f"the limit is {least[worst]:.0%}.",
        "shape",
    )
    limits = np.maximum(MAX_SKIRT * max(seen.grain, 1.0), 0.35 * seen.size)
    excess = np.where(seen.visible, seen.skirt - limits, -np.inf)
    worst = int(excess.argmax())
    findings.note("skirt", float(seen.skirt[worst]))
    findings.check(
        excess[worst] <= 0,
        f"It is smeared: a faint rim makes it {seen.skirt[worst]:.1f} wider (frame {worst}); "
        f"the limit is {limits[worst]:.1f}.",
        "shape",
    )


def _comes_and_goes(findings: Findings, path: Path, before: int, after: int, grows: bool) -> None:
    """Empty frames at the ends are right only where it went over the edge, or shrank away."""
    for empty, end, inward, word in ((before, 0, 1, "enters"), (after, -1, -2, "leaves")):
        if not empty:
            continue
        size_ahead = 2 * path.size[end] - path.size[inward]
        tiny = grows and min(path.size[end], size_ahead + 1) < VANISHED
        outward = path.centre[end] - path.centre[inward]
        ahead = path.centre[end] + outward
        radius = path.size[end] / 2
        far = (ahead < radius) & (outward < -0.5)
        far |= (ahead > path.extent - radius) & (outward > 0.5)
        near = path.cut[end] or np.any((ahead < 0) | (ahead > path.extent))
        findings.check(
            tiny or (near and far.any()),
            f"It vanishes: {empty} empty frames, though it never {word} at an edge.",
            "objects",
        )


def _steady_size(findings: Findings, path: Path) -> None:
    size = path.size[~path.cut] if (~path.cut).sum() >= 2 else path.size
    ratio = float(size.max() / max(size.min(), 0.1))
    findings.note("size_ratio", ratio)
    findings.check(
        ratio <= MAX_SIZE_RATIO,
        f"Its size changes by a factor of {ratio:.2f}; the limit is {MAX_SIZE_RATIO}.",
    )
