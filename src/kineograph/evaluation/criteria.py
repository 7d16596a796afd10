"""What each motion asks of a path: one function a verb, each limit with its reason in words.

Lengths are those of a 64-pixel picture (units, see ``tracker``), times are frames, angles degrees
clockwise as seen on the screen. No path satisfies two different motions, save "rotating", which
is an orbit or a spin.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kineograph.data.grammar import DIRECTIONS, Motion, ObjectDescription
from kineograph.data.motion import PACES
from kineograph.evaluation.findings import STEADINESS, Findings
from kineograph.evaluation.geometry import (
    Path,
    angle_between,
    circle_centre,
    line,
    slope,
    turning,
)
from kineograph.evaluation.to_and_fro import MAX_DRIFT, bouncing, zigzagging, zigzags

# moving
MIN_TRAVEL = 8.0
GOES = 0.5  # below, a direction is rounding
MAX_ANGLE = 15.0

# rotating
MIN_RADIUS = 4.0
MAX_RADIUS = 64.0
MIN_TURN = 45.0
MAX_TURN_STEP = 150.0

# shrinking, expanding
MIN_GROWTH = 4 / 3

# spinning, standing still
MIN_SPIN = 30.0
MAX_STILL_DRIFT = 2.0
MAX_STILL_GROWTH = 1.25


# ---- moving ---------------------------------------------------------------------------------


def _straight(centre: np.ndarray) -> tuple[bool, str]:
    """Whether a path (n, 2) is straight and steady, and the measure in words.

    A shallow but clean arc is none, though it strays little: so that no path is both straight
    and an orbit.
    """
    velocity, ahead, aside = line(centre)
    speed = float(np.linalg.norm(velocity))
    for error, share, word in ((ahead, 0.35, "ahead or behind"), (aside, 0.25, "sideways")):
        worst, limit = float(np.abs(error).max()), max(1.5, share * speed)
        if worst > limit:
            return False, f"{worst:.1f} pixels off {word}; the limit is {limit:.1f}"
    arm = centre - circle_centre(centre)
    radii = np.linalg.norm(arm, axis=1)
    wobble, turn = float(np.abs(radii - radii.mean()).max()), abs(float(turning(arm).sum()))
    stray = float(np.hypot(ahead, aside).max())
    arc = turn >= MIN_TURN and stray >= 0.8 and wobble <= 0.4 * stray
    return not arc, f"an arc of {turn:.0f}°" if arc else f"only {stray:.1f} pixels off a line"


def _moving(findings: Findings, path: Path, motion: Motion) -> None:
    velocity, ahead, aside = line(path.centre)
    straight, said = _straight(path.centre)
    speed = float(np.linalg.norm(velocity))
    travel = speed * (len(path.centre) - 1)
    wanted = np.array(DIRECTIONS[motion.manner], float)
    angle = angle_between(velocity, wanted)
    findings.note("velocity", velocity)
    findings.note("travel", travel)
    findings.note("pace", travel)
    findings.note("angle_off", angle)
    findings.note("off_line", [float(np.abs(e).max().round(2)) for e in (ahead, aside)])
    findings.check(
        travel >= MIN_TRAVEL, f"It travels {travel:.1f} pixels; at least {MIN_TRAVEL} needed."
    )
    if travel >= GOES:
        findings.check(
            angle <= MAX_ANGLE,
            f"It moves {angle:.0f}° off {motion.manner}; the limit is {MAX_ANGLE:.0f}°.",
        )
    findings.check(straight, f"It does not move straight and steadily: {said}.")
    findings.check(not zigzags(path), "It zigzags on its way.")
    along = path.steps @ velocity / max(speed, 1e-9)
    low, high = min(0.25 * speed, speed - 0.5), max(2 * speed, speed + 1)
    findings.check(
        along.min() >= low,
        f"It halts or turns back: a step of {along.min():.1f} pixels; at least {low:.1f} needed.",
        part=STEADINESS,
    )
    findings.check(
        along.max() <= high,
        f"It jumps: a step of {along.max():.1f} pixels; the limit is {high:.1f}.",
        part=STEADINESS,
    )


# ---- rotating -------------------------------------------------------------------------------


def _rotating(findings: Findings, path: Path, motion: Motion) -> None:
    """The tutorial's word: an orbit, or, of what can be seen to turn, a spin."""
    attempts = [Findings({}) for _ in range(2 if path.period else 1)]
    for attempt, reading in zip(attempts, (_orbiting, _spinning), strict=False):
        reading(attempt, path, motion)
    findings.absorb(min(attempts, key=lambda a: len(a.reasons)))


def _orbiting(findings: Findings, path: Path, motion: Motion) -> None:
    sense = 1 if motion.manner == "clockwise" else -1
    straight, said = _straight(path.centre)
    findings.check(not straight, f"It moves straight: {said}.")
    attempts = []
    for pivot in (circle_centre(path.centre), path.extent / 2):
        attempt = Findings({})
        _orbit(attempt, path, pivot, sense)
        attempts.append(attempt)
    best = min(attempts, key=lambda a: len(a.reasons))
    findings.absorb(best)


def _orbit(findings: Findings, path: Path, pivot: np.ndarray, sense: int) -> None:
    arm = path.centre - pivot
    radii = np.linalg.norm(arm, axis=1)
    radius = float(radii.mean())
    wobble = float(np.abs(radii - radius).max())
    steps = sense * turning(arm)
    total, mean = float(steps.sum()), float(steps.mean())
    findings.note("pivot", pivot)
    findings.note("radius", radius)
    findings.note("turn", sense * total)
    findings.note("pace", total)
    findings.check(
        MIN_RADIUS <= radius <= MAX_RADIUS,
        f"Its orbit has a radius of {radius:.1f} pixels; {MIN_RADIUS:.0f} to {MAX_RADIUS:.0f} "
        "are right.",
    )
    limit = max(2.0, 0.12 * radius)
    findings.check(
        wobble <= limit, f"It strays {wobble:.1f} pixels from a circle; the limit is {limit:.1f}."
    )
    findings.check(
        total >= MIN_TURN,
        f"It turns {total:.0f}° in the asked sense; at least {MIN_TURN:.0f}° needed.",
    )
    slack = np.degrees(0.5 / max(radius, 1.0))  # half a pixel of wobble
    findings.check(
        steps.min() >= min(0.3 * mean, mean - slack),
        f"It halts or turns back: a step of {steps.min():.0f}° where {mean:.0f}° is the mean.",
        part=STEADINESS,
    )
    findings.check(
        steps.max() <= min(max(2.2 * mean, mean + 2 * slack), MAX_TURN_STEP),
        f"It jumps: a step of {steps.max():.0f}° where {mean:.0f}° is the mean.",
        part=STEADINESS,
    )
    angle = np.append(0.0, np.cumsum(steps))
    time = np.arange(len(angle)) - (len(angle) - 1) / 2
    uneven = float(np.abs(angle - angle.mean() - slope(angle) * time).max())
    limit = max(0.4 * mean, 4 * slack)
    findings.check(
        uneven <= limit,
        f"It does not turn steadily: {uneven:.0f}° ahead or behind; the limit is {limit:.0f}°.",
        part=STEADINESS,
    )


# ---- spinning, standing still ---------------------------------------------------------------


def _spins(path: Path) -> np.ndarray:
    """Degrees clockwise from each frame to the next in which the object is seen whole."""
    angle = path.angle[np.isfinite(path.angle)]
    half = path.period / 2
    steps: np.ndarray = (np.diff(angle) + half) % path.period - half
    return steps


def _spinning(findings: Findings, path: Path, motion: Motion) -> None:
    if np.isfinite(path.angle).sum() < 4:
        findings.check(False, "It cannot be seen to spin: it is round, or cut by the edge.")
        return
    drift = float(np.ptp(path.centre, axis=0).max())
    findings.note("drift", drift)
    findings.check(
        drift <= MAX_DRIFT, f"It drifts by {drift:.1f} pixels; the limit is {MAX_DRIFT}."
    )
    steps = _spins(path) * (1 if motion.manner == "clockwise" else -1)
    total, mean = float(steps.sum()), float(steps.mean())
    findings.note("spin", total)
    findings.note("pace", total)
    findings.check(
        total >= MIN_SPIN,
        f"It spins {total:.0f}° in the asked sense; at least {MIN_SPIN:.0f}° needed.",
    )
    slack = np.degrees(1.0 / max(float(np.median(path.size)) / 2, 1.0))  # of a pixel at its rim
    findings.check(
        steps.min() >= min(0.3 * mean, mean - slack),
        f"It halts or turns back: a step of {steps.min():.0f}° where {mean:.0f}° is the mean.",
        part=STEADINESS,
    )
    limit = max(2.2 * mean, mean + 2 * slack)
    findings.check(
        steps.max() <= limit,
        f"It jumps: a step of {steps.max():.0f}° where {mean:.0f}° is the mean.",
        part=STEADINESS,
    )


def _standing(findings: Findings, path: Path, motion: Motion) -> None:
    drift = float(np.ptp(path.centre, axis=0).max())
    findings.note("drift", drift)
    findings.check(
        drift <= MAX_STILL_DRIFT,
        f"It drifts by {drift:.1f} pixels; the limit is {MAX_STILL_DRIFT}.",
    )
    size = path.size[~path.cut] if (~path.cut).sum() >= 2 else path.size
    growth = float(size.max() / max(size.min(), 0.5))
    findings.check(
        growth <= MAX_STILL_GROWTH,
        f"Its size changes by a factor of {growth:.2f}; the limit is {MAX_STILL_GROWTH}.",
    )
    if np.isfinite(path.angle).sum() >= 4:
        spin = abs(float(_spins(path).sum()))
        findings.note("spin", spin)
        findings.check(spin <= MIN_SPIN, f"It spins by {spin:.0f}°; the limit is {MIN_SPIN:.0f}°.")


# ---- shrinking, expanding -------------------------------------------------------------------


def _scaling(findings: Findings, path: Path, motion: Motion) -> None:
    whole = path.centre[~path.cut] if (~path.cut).sum() >= 3 else path.centre
    drift = float(np.ptp(whole, axis=0).max())
    findings.note("drift", drift)
    findings.check(
        drift <= MAX_DRIFT, f"It drifts by {drift:.1f} pixels; the limit is {MAX_DRIFT}."
    )
    drift = float(np.ptp(path.centre, axis=0).max())
    limit = max(MAX_DRIFT, 0.25 * float(path.size.max()))  # far over the edge it is a guess
    findings.check(
        drift <= limit, f"It drifts by {drift:.1f} pixels at the edge; the limit is {limit:.1f}."
    )
    size = path.size if motion.verb == "expanding" else path.size[::-1]
    growth = float(size[-1] / max(size[0], 0.5))
    findings.note("size_ratio", growth)
    findings.note("pace", growth)
    findings.check(
        growth >= MIN_GROWTH,
        f"{motion.verb} changes its size by a factor of {growth:.2f}; {MIN_GROWTH:.2f} needed.",
    )
    steps = np.diff(size)
    findings.check(
        steps.min() >= -0.5,
        f"Its size goes the wrong way by {-steps.min():.1f} pixels in a step; the limit is 0.5.",
        part=STEADINESS,
    )
    limit = max(3 * float(steps.mean()), 2.0)
    findings.check(
        steps.max() <= limit,
        f"Its size jumps by {steps.max():.1f} pixels in a step; the limit is {limit:.1f}.",
        part=STEADINESS,
    )


def check_speed(findings: Findings, path: Path, num_frames: int, asked: ObjectDescription) -> None:
    """Check the word for the speed by how far the verb went, which its criterion noted.

    The limits lie half-way between the source's ranges (``motion.PACES``); what is seen in a part
    of the clip only would have gone further in all of it.
    """
    verb, pace = asked.motion.verb, findings.measured.get("pace")
    if verb == "rotating":
        verb = "spinning" if "spin" in findings.measured else "orbiting"
    if pace is None:  # to and fro in place: nothing says how fast that is
        return
    if verb not in ("shrinking", "expanding"):
        pace *= (num_frames - 1) / max(len(path.centre) - 1, 1)
    paces = PACES[verb]
    most = (paces["slowly"][1] + paces[""][0]) / 2
    least = (paces[""][1] + paces["quickly"][0]) / 2
    slow = asked.speed == "slowly"
    limit = f"at most {most:g}" if slow else f"at least {least:g}"
    findings.check(
        pace <= most if slow else pace >= least,
        f'Not "{asked.speed}": {verb}, it goes {pace:.1f} in the clip; {limit} is right.',
        "speed",
    )


MOTIONS: dict[str, Callable[[Findings, Path, Motion], None]] = {
    "moving": _moving,
    "rotating": _rotating,
    "orbiting": _orbiting,
    "spinning": _spinning,
    "standing": _standing,
    "shrinking": _scaling,
    "expanding": _scaling,
    "bouncing": bouncing,
    "zigzagging": zigzagging,
}
