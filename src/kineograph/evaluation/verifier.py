"""Does the video do what the prompt says? Yes or no, why, and what was measured.

Lengths are those of a 64-pixel picture (units, see ``tracker``), times are frames, angles degrees
clockwise as seen on the screen. The limits leave room for a learned model's small wobble, about
a pixel of the centre, and for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from kineograph.core.conventions import DEFAULT_FPS, MAX_PROMPT_CHARACTERS
from kineograph.data.clip import Clip
from kineograph.data.grammar import CannotParse, Motion, parse
from kineograph.evaluation.criteria import MOTIONS, Path
from kineograph.evaluation.findings import Findings
from kineograph.evaluation.tracker import Track, track

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


@dataclass(frozen=True)
class Verdict:
    """What the judge says of one video and one prompt.

    ``reasons`` is empty for "yes"; for "no" each sentence is a check that failed, with what was
    measured and the limit. ``measured`` fits in JSON.
    """

    verdict: Literal["yes", "no", "cannot judge"]
    reasons: list[str] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.verdict == "yes"


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
    why = _cannot_judge(frames, prompt)
    if why:
        return Verdict("cannot judge", [why])
    return judge(track(frames), parse(prompt).motion, fps)


def _cannot_judge(frames: np.ndarray, prompt: str) -> str:
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        return f"The prompt has {len(prompt)} characters; the limit is {MAX_PROMPT_CHARACTERS}."
    try:
        parse(prompt)
    except CannotParse as error:
        return str(error)
    if len(frames) < MIN_FRAMES:
        return f"The video has {len(frames)} frames; a motion needs at least {MIN_FRAMES}."
    if min(frames.shape[1:3]) < 16:
        return f"The video is {frames.shape[2]}×{frames.shape[1]} pixels; it needs at least 16×16."
    return ""


def judge(seen: Track, motion: Motion, fps: float = DEFAULT_FPS) -> Verdict:
    """Judge what was seen by the motion that was asked for."""
    findings = Findings({"fps": fps, "frames": len(seen.visible), "motion": str(motion)})
    findings.note("background", list(seen.background))
    if not seen.visible.any() or np.nanmax(seen.contrast) < MIN_CONTRAST:
        findings.check(False, "Nothing is visible: no object stands out from the background.")
        return _verdict(findings)
    path = _look(findings, seen, motion)
    if path is not None:
        MOTIONS[motion.verb](findings, path, motion)
    return _verdict(findings)


def _verdict(findings: Findings) -> Verdict:
    return Verdict("no" if findings.reasons else "yes", findings.reasons, findings.measured)


# ---- what must hold whatever the motion -----------------------------------------------------


def _look(findings: Findings, seen: Track, motion: Motion) -> Path | None:
    """One whole disc throughout; => its path, or None where there is none to speak of."""
    grows = motion.verb in ("shrinking", "expanding")
    shown = np.flatnonzero(seen.visible)
    first, last = int(shown[0]), int(shown[-1])
    run = slice(first, last + 1)
    findings.note("object_color", list(seen.color))
    findings.note("visible_frames", len(shown))
    findings.note("centre", seen.centre)
    findings.note("diameter", seen.size)
    _one_object(findings, seen)
    _a_disc(findings, seen)
    missing = last - first + 1 - len(shown)
    findings.check(missing == 0, f"It vanishes: {missing} frames between sightings are empty.")
    least = max(MIN_FRAMES, -(-len(seen.visible) // 2))
    findings.check(
        len(shown) >= least, f"It is visible in {len(shown)} frames only; at least {least} needed."
    )
    if missing or len(shown) < MIN_FRAMES:
        return None
    path = Path(seen.centre[run], seen.size[run], seen.cut[run], np.array(seen.extent))
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
    )
    area = np.pi * np.nan_to_num(seen.size) ** 2 / 4
    allowed = np.clip(MAX_RESIDUE * area, 4.0, 12.0)
    worst = int((seen.residue - allowed).argmax())
    findings.note("residue", float(seen.residue[worst]))
    findings.check(
        seen.residue[worst] <= allowed[worst],
        f"Specks cover {seen.residue[worst]:.1f} square pixels besides it (frame {worst}); "
        f"the limit is {allowed[worst]:.1f}.",
    )
    contrast = seen.contrast[seen.visible]
    findings.note("contrast", float(contrast.min()))
    faint = max(MIN_CONTRAST / 2, MIN_CONTRAST_SHARE * float(np.median(contrast)))
    findings.check(
        contrast.min() >= faint,
        f"It fades: its contrast falls to {contrast.min():.0f} of 255; the limit is {faint:.0f}.",
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
    )
    least = MIN_OVERLAP - 0.08 * np.clip(6 - pixels, 0, 3)
    overlap = np.where(seen.visible, seen.overlap, 1.0)
    worst = int((overlap - least).argmin())
    findings.note("overlap_with_disc", float(overlap.min()))
    findings.check(
        overlap[worst] >= least[worst],
        f"It is no circle: it agrees with a disc by {overlap[worst]:.0%} (frame {worst}); "
        f"the limit is {least[worst]:.0%}.",
    )
    limits = np.maximum(MAX_SKIRT * max(seen.grain, 1.0), 0.35 * seen.size)
    excess = np.where(seen.visible, seen.skirt - limits, -np.inf)
    worst = int(excess.argmax())
    findings.note("skirt", float(seen.skirt[worst]))
    findings.check(
        excess[worst] <= 0,
        f"It is smeared: a faint rim makes it {seen.skirt[worst]:.1f} wider (frame {worst}); "
        f"the limit is {limits[worst]:.1f}.",
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
        )


def _steady_size(findings: Findings, path: Path) -> None:
    size = path.size[~path.cut] if (~path.cut).sum() >= 2 else path.size
    ratio = float(size.max() / max(size.min(), 0.1))
    findings.note("size_ratio", ratio)
    findings.check(
        ratio <= MAX_SIZE_RATIO,
        f"Its size changes by a factor of {ratio:.2f}; the limit is {MAX_SIZE_RATIO}.",
    )
