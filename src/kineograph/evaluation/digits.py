"""Does a video show the digits of its prompt, moving as it says? Yes or no, why, what was measured.

Lengths are units, 64ths of the picture's shorter side; times are frames. Which digit it is says a
classifier whose own error stands beside every verdict. A few real digits can be read as either of
two: such a one is accepted as either, where the second reading is nearly as good as the first.
"Left and right" means both, so there must be a turn, and turns are at the picture's borders.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from kineograph.core.conventions import DEFAULT_FPS
from kineograph.data.sources.digits import AXES, Moving, describe, parse
from kineograph.evaluation.digit_classifier import Classifier, classifier_for
from kineograph.evaluation.digit_tracker import MIN_CONTRAST, DigitTrack, Seen, alike, see
from kineograph.evaluation.findings import Findings
from kineograph.evaluation.geometry import turns
from kineograph.evaluation.verifier import Verdict, cannot_judge

# which digit
MIN_SCORE = 0.2
MIN_SURE = 0.33  # the best score, where the second best will do, too
MAX_BEHIND = 0.3  # the best score
MAX_BEHIND_ONCE = 0.5  # the best score of a frame
MAX_OTHER = 0.2  # share of the frames

# every frame
MAX_RESIDUE = 0.07  # of the digits' ink, and at least 4 square units
SIZES = (10, 25)  # the longer side; MNIST's have 20
MAX_HAZE = 0.1  # of all ink
MIN_LIKENESS = 0.85  # to its own mean picture
MIN_LIKENESS_NEXT = 0.8  # to its picture in the next frame
MAX_MASS_RATIO = 1.75

# the way
MIN_TRAVEL = 8.0
MAX_SWAY = 3.0
MIN_LEG = 4.0
MAX_TURNS = 0.3  # a frame; three are always allowed
PATCH = 14.0  # from the border, where the middle of a 28×28 patch turns
MAX_OFF_BORDER = 3.0  # and a tenth of a step


def verify(frames: np.ndarray, prompt: str, fps: float = DEFAULT_FPS, path: str = "") -> Verdict:
    """Does ``frames``, (T, H, W, 3) uint8 RGB, do what ``prompt`` says?

    ``path`` is the folder of IDX files that the digits of the video are like, or empty for
    scikit-learn's. "cannot judge" where the prompt is none of digits, or there are fewer than
    four frames or 32 pixels. Raises ValueError where ``frames`` is not such an array, and
    RequestError where the classifier's digits cannot be read.
    """
    return verify_each(frames, [prompt], fps, path)[0]


def verify_each(
    frames: np.ndarray, prompts: Sequence[str], fps: float = DEFAULT_FPS, path: str = ""
) -> list[Verdict]:
    """The same by each of several prompts, from one look at the video."""
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"verify wants uint8 (T, H, W, 3), not {frames.dtype} {frames.shape}")
    whys = [cannot_judge(frames, prompt, parse, side=32) for prompt in prompts]
    if all(whys):
        return [Verdict("cannot judge", [why]) for why in whys]
    seen, classifier = see(frames), classifier_for(path)
    return [
        Verdict("cannot judge", [why]) if why else judge(seen, parse(prompt), classifier, fps)
        for prompt, why in zip(prompts, whys, strict=True)
    ]


def broken(corruption: str) -> bool:
    """Whether a corruption makes captions of digits false.

    There and back is the same played backwards, and white stays white with channels exchanged.
    """
    return corruption not in ("reversed", "recolored", "blurred", "compressed")


def wrong_captions(caption: str) -> list[str]:
    """Captions in which the first digit is every other one, or moves along the other axis."""
    first, *rest = parse(caption)
    digits = [first._replace(digit=other) for other in range(10) if other != first.digit]
    axes = [first._replace(axis=other) for other in AXES if other != first.axis]
    return [describe([wrong, *rest]) for wrong in [*digits, *axes]]


def judge(
    seen: Seen, wanted: Sequence[Moving], classifier: Classifier, fps: float = DEFAULT_FPS
) -> Verdict:
    """Judge what was seen by what one or two digits should do.

    ``measured["facts"]`` tells "objects" (as many as asked, and all the time), "digit" and "axis",
    for two also "second digit" and "second axis".
    """
    findings = Findings({"fps": fps, "frames": len(seen.number), "asked": describe(wanted)})
    findings.note("classifier_error", classifier.error)
    findings.note("classifier_tested", classifier.tested)
    findings.measured["digits"] = []
    words = _WORDS[: len(wanted)]
    if _anything(findings, seen):
        _right_number(findings, seen, len(wanted))
        for word, found in zip(words, _best_match(seen, wanted, classifier), strict=True):
            findings.measured["digits"].append(found.measured)
            findings.reasons.extend(found.reasons)
            for fact, holds in found.facts.items():
                name = fact if fact == "objects" else word + fact
                findings.facts[name] = findings.facts.get(name, True) and holds
    for name in (word + fact for word in words for fact in ("digit", "axis")):
        findings.facts.setdefault(name, False)
    measured = findings.measured | {"facts": findings.facts}
    return Verdict("no" if findings.reasons else "yes", findings.reasons, measured)


_WORDS = ("", "second ")  # before the facts of each digit


# ---- what must hold whatever the digits -----------------------------------------------------


def _anything(findings: Findings, seen: Seen) -> bool:
    contrast = float(np.median(seen.contrast))
    findings.note("contrast", contrast)
    why = ""
    if contrast < MIN_CONTRAST:
        why = "Nothing is visible: no digit stands out from the background."
    elif seen.noisy:
        why = "It is full of specks; no digit can be told from them."
    elif not seen.tracks:
        why = "Nothing in it is as large as a digit."
    findings.check(not why, why, "objects")
    return not why


def _right_number(findings: Findings, seen: Seen, asked: int) -> None:
    findings.note("most_objects", int(seen.number.max()))
    many = np.flatnonzero(seen.number > asked)
    findings.check(
        len(many) == 0,
        f"There are {seen.number.max()} objects (frame {many[0] if len(many) else 0}, and so in "
        f"{len(many)} frames); {asked} {'is' if asked == 1 else 'are'} right.",
        "objects",
    )
    ink = sum(float(np.median(track.mass)) for track in seen.tracks)
    worst, limit = int(seen.residue.argmax()), max(4.0, MAX_RESIDUE * ink)
    findings.note("residue", float(seen.residue[worst]))
    findings.check(
        seen.residue[worst] <= limit,
        f"Other things cover {seen.residue[worst]:.0f} square pixels (frame {worst}); the limit "
        f"is {limit:.0f}.",
        "objects",
    )
    findings.note("haze", seen.haze)
    findings.check(
        seen.haze <= MAX_HAZE,
        f"There are ghosts or smears: {seen.haze:.0%} of the ink is faint and beside the strokes; "
        f"the limit is {MAX_HAZE:.0%}.",
        "objects",
    )


def _best_match(seen: Seen, wanted: Sequence[Moving], classifier: Classifier) -> list[Findings]:
    """Which of the digits seen is which of those asked for, so that the least is wrong."""
    tracks: list[DigitTrack | None] = [*seen.tracks]
    tracks += [None] * (len(wanted) - len(tracks))
    scores = [classifier.scores(t.patches) if t else np.zeros((1, 10)) for t in tracks]
    names = [f"The {m.digit}" for m in wanted]
    if len(set(names)) < len(names):
        names = [
            f"The {word} {m.digit}" for word, m in zip(("first", "second"), wanted, strict=True)
        ]
    several = [
        [
            _examined(tracks[k], scores[k], moving, name, seen.extent)
            for k, moving, name in zip(order, wanted, names, strict=True)
        ]
        for order in itertools.permutations(range(len(tracks)), len(wanted))
    ]
    return min(several, key=lambda found: sum(len(f.reasons) for f in found))


def _examined(
    track: DigitTrack | None, scores: np.ndarray, asked: Moving, name: str, extent: np.ndarray
) -> Findings:
    """Every check of one digit."""
    findings = Findings({})
    if track is None:
        findings.check(False, f"{name} is not there.", "objects")
        findings.facts |= {"digit": False, "axis": False}
        return findings
    _never_gone(findings, track, name)
    _reads_as(findings, scores, asked.digit, name)
    _keeps_its_shape(findings, track, name)
    _there_and_back(findings, track, asked.axis, name)
    if not np.isnan(track.centre).any():
        _steadily(findings, track, asked.axis, name, extent)
    return findings


def _never_gone(findings: Findings, track: DigitTrack, name: str) -> None:
    findings.note("centre", track.centre)
    missing = np.flatnonzero(np.isnan(track.centre[:, 0]))
    findings.check(
        len(missing) == 0,
        f"{name} vanishes: it is not seen in {len(missing)} frames "
        f"(first in frame {missing[0] if len(missing) else 0}).",
        "objects",
    )


# ---- what it is -----------------------------------------------------------------------------


def _reads_as(findings: Findings, scores: np.ndarray, digit: int, name: str) -> None:
    """Scores (n, 10) of its pictures: by their mean, and nearly always by themselves."""
    mean = scores.mean(axis=0)
    best = int(mean.argmax())
    findings.note("digit", best)
    findings.note("scores", mean)
    said = f"{name} reads as a {best} (score {mean[best]:.2f}, as asked {mean[digit]:.2f})"
    if mean[best] < MIN_SCORE:
        said = f"{name} cannot be read: its best score, as a {best}, is {mean[best]:.2f}"
    behind = MAX_BEHIND if mean[best] >= MIN_SURE else 0.0
    findings.check(
        mean[digit] >= max(MIN_SCORE, mean[best] - behind),
        f"{said}; at least {MIN_SCORE}, and at most {behind} below the best, is needed.",
        "digit",
    )
    other = float((scores[:, digit] < scores.max(axis=1) - MAX_BEHIND_ONCE).mean())
    findings.note("read_as_another", other)
    findings.check(
        other <= MAX_OTHER,
        f"{name} reads as another digit in {other:.0%} of the frames; the limit is "
        f"{MAX_OTHER:.0%}.",
        "digit",
    )


def _keeps_its_shape(findings: Findings, track: DigitTrack, name: str) -> None:
    """As large as a digit, and of one weight and one shape."""
    side = 2 * float(track.half.max())
    findings.note("size", side)
    findings.check(
        SIZES[0] <= side <= SIZES[1],
        f"{name} is {side:.0f} pixels large; {SIZES[0]} to {SIZES[1]} are right.",
        "digit",
    )
    ratio = float(track.mass.max() / track.mass.min())
    findings.note("mass_ratio", ratio)
    findings.check(
        ratio <= MAX_MASS_RATIO,
        f"{name} grows or fades: its ink changes by a factor of {ratio:.2f}; the limit is "
        f"{MAX_MASS_RATIO}.",
        "digit",
    )
    _looks_alike(findings, track, name)


def _looks_alike(findings: Findings, track: DigitTrack, name: str) -> None:
    mean = track.patches.mean(axis=0)
    likeness = np.array([alike(patch, mean) for patch in track.patches])
    worst = int(likeness.argmin())
    findings.note("likeness", float(likeness[worst]))
    findings.check(
        likeness[worst] >= MIN_LIKENESS,
        f"{name} changes its shape: frame {track.frames[worst]} agrees with its mean by "
        f"{likeness[worst]:.0%}; the limit is {MIN_LIKENESS:.0%}.",
        "digit",
    )
    next_to = np.array([alike(a, b) for a, b in itertools.pairwise(track.patches)] or [1.0])
    worst = int(next_to.argmin())
    findings.note("likeness_next", float(next_to[worst]))
    findings.check(
        next_to[worst] >= MIN_LIKENESS_NEXT,
        f"{name} changes its shape at once: frame {track.frames[worst]} agrees with the next by "
        f"{next_to[worst]:.0%}; the limit is {MIN_LIKENESS_NEXT:.0%}.",
        "digit",
    )


# ---- where it goes --------------------------------------------------------------------------


def _there_and_back(findings: Findings, track: DigitTrack, axis: str, name: str) -> None:
    """Along the axis and no other, both ways."""
    path = track.centre[~np.isnan(track.centre[:, 0])]
    extent = np.ptp(path, axis=0)
    findings.note("axis", AXES[int(extent.argmax())] if extent.max() >= MIN_TRAVEL else "none")
    k = AXES.index(axis)
    travel, sway = float(extent[k]), float(extent[1 - k])
    legs = np.abs(np.diff(path[turns(path[:, k], 1.5), k]))
    findings.note("travel", travel)
    findings.note("sway", sway)
    findings.note("legs", legs)
    findings.check(
        travel >= MIN_TRAVEL,
        f"{name} travels {travel:.1f} pixels {axis}; at least {MIN_TRAVEL} needed.",
        "axis",
    )
    findings.check(
        sway <= MAX_SWAY,
        f"{name} sways by {sway:.1f} pixels off its way {axis}; the limit is {MAX_SWAY}.",
        "axis",
    )
    findings.check(
        len(legs) >= 2 and float(np.sort(legs)[-2]) >= MIN_LEG,
        f"{name} does not turn back: {axis} is there and back, at least {MIN_LEG} pixels each.",
        "axis",
    )


def _steadily(
    findings: Findings, track: DigitTrack, axis: str, name: str, extent: np.ndarray
) -> None:
    """Turns at the borders only, and not too often; no pause and no leap on the way."""
    k = AXES.index(axis)
    along = track.centre[:, k]
    speeds = np.abs(np.diff(along))
    turned = turns(along, 1.5)[1:-1]
    often = max(3, math.ceil(MAX_TURNS * len(speeds)))
    findings.check(
        len(turned) <= often,
        f"{name} turns back {len(turned)} times; the limit is {often}.",
        "axis",
    )
    flight = np.delete(speeds, _cut_short(speeds, turned))
    flight = flight if len(flight) else speeds
    typical = float(np.median(flight))
    findings.note("speed", typical)
    short = np.minimum(speeds[turned - 1], speeds[turned])
    beyond = np.maximum(typical - short, 0) / 2  # turns fall between frames: what is left of a step
    off = np.minimum(along[turned], float(extent[k]) - along[turned]) - beyond
    _turns_at_borders(findings, off - max(PATCH, track.half[k]), typical, name)
    most = 1.3 * typical + 2.0
    findings.check(
        speeds.max() <= most,
        f"{name} jumps: a step of {speeds.max():.1f} pixels; the limit is {most:.1f}.",
        "axis",
    )
    least = min(0.4 * typical, typical - 2)
    findings.check(
        flight.min() >= least,
        f"{name} halts on its way: a step of {flight.min():.1f} pixels; at least {least:.1f} "
        "needed.",
        "axis",
    )


def _cut_short(speeds: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """Steps that a turn may have shortened: one beside each, and the clip's first and last."""
    last = len(speeds) - 1
    beside = turned - (speeds[turned - 1] < speeds[turned])
    ends = [end for end, inner in ((0, 1), (last, last - 1)) if speeds[end] < speeds[inner]]
    return np.union1d(beside, np.array(ends, np.int64))


def _turns_at_borders(findings: Findings, off: np.ndarray, speed: float, name: str) -> None:
    """Where a 28×28 patch meets the border, as in the literature, or nearer to it: ``off`` ≤ 0."""
    if not len(off):
        return
    limit = MAX_OFF_BORDER + 0.1 * speed
    findings.note("turns_off_border", off)
    findings.check(
        off.max() <= limit,
        f"{name} turns back {off.max():.1f} pixels before the border; the limit is {limit:.1f}.",
        "axis",
    )
