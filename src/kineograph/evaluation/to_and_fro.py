"""What bouncing and zigzagging ask of a path, each limit with its reason in words.

Lengths are those of a 64-pixel picture (units, see ``tracker``), times are frames.
"""

from __future__ import annotations

import numpy as np

from kineograph.data.grammar import Motion
from kineograph.evaluation.findings import STEADINESS, Findings
from kineograph.evaluation.geometry import Path, slope, turns

MAX_DRIFT = 3.0  # of whatever stays on a line, or in place
MIN_LEG = 4.0
MIN_SWING = 3.0
MIN_ADVANCE = 12.0


def bouncing(findings: Findings, path: Path, motion: Motion) -> None:
    """Along the axis and back, in flights of steady or slowly changing speed."""
    axis = 0 if motion.manner == "horizontally" else 1
    along, across = path.centre[:, axis], path.centre[:, 1 - axis]
    _holds_its_line(findings, across, motion)
    corners = turns(along, 1.5)
    legs = np.abs(np.diff(along[corners]))
    reversals, most = len(corners) - 2, (len(along) - 1) // 3
    findings.note("reversals", reversals)
    findings.note("legs", legs)
    findings.note("pace", float(np.median(np.abs(np.diff(along)))) * (len(along) - 1))
    findings.check(
        1 <= reversals <= most,
        f"It turns back {max(reversals, 0)} times; bouncing does so 1 to {most} times.",
    )
    if reversals > 1:  # the first and the last may be cut short by the clip
        legs = legs[1:-1]
    findings.check(
        legs.min() >= MIN_LEG,
        f"It flies only {legs.min():.1f} pixels one way; at least {MIN_LEG} needed.",
    )
    _flies_smoothly(findings, along, corners)


def _flies_smoothly(findings: Findings, along: np.ndarray, corners: np.ndarray) -> None:
    """Speeds are alike, or change little by little as under gravity; no pause, no leap."""
    speeds = np.abs(np.diff(along))
    inner = np.diff(corners)[1:-1]
    findings.check(
        len(inner) == 0 or inner.min() >= 2,
        "It jitters: it turns back and back again within a single step.",
        part=STEADINESS,
    )
    if len(speeds) >= 3:  # at the top of a throw two steps are short, three are not
        slowest = float((speeds[2:] + speeds[1:-1] + speeds[:-2]).min())
        findings.check(
            slowest >= 0.3 * speeds.mean(),
            f"It halts: three steps on end move it {slowest:.1f} pixels in all.",
            part=STEADINESS,
        )
    # Turns fall between frames: the shorter step beside one may have any length, and so may the
    # clip's first and last, which a turn may have shortened just outside of it.
    turned = corners[1:-1]
    free = turned - (speeds[turned - 1] < speeds[turned])
    ends = [end for end, next_to in ((0, 1), (-1, -2)) if speeds[end] < speeds[next_to]]
    flight = np.delete(speeds, [*free, *ends])
    if len(flight) < 2:
        return
    typical = float(np.median(flight))
    most = max(2.25 * typical + 1, 2.0)
    findings.check(
        flight.max() <= most,
        f"It jumps: a step of {flight.max():.1f} pixels; the limit is {most:.1f}.",
        part=STEADINESS,
    )
    limit = max(2.0, 0.5 * typical + 1)
    change = float(np.abs(np.diff(flight)).max())
    findings.note("speed_change", change)
    findings.check(
        change <= limit,
        f"Its speed jumps by {change:.1f} pixels a frame; the limit is {limit:.1f}.",
        part=STEADINESS,
    )


def _holds_its_line(findings: Findings, across: np.ndarray, motion: Motion) -> None:
    sway = float(np.ptp(across))
    findings.note("sway", sway)
    findings.check(
        sway <= MAX_DRIFT,
        f"It sways by {sway:.1f} pixels while {motion}; the limit is {MAX_DRIFT}.",
    )


def zigzagging(findings: Findings, path: Path, motion: Motion) -> None:
    """Two readings, since people use both; the one that fits better is reported."""
    axis = 0 if motion.manner == "horizontally" else 1
    along, across = path.centre[:, axis], path.centre[:, 1 - axis]
    in_place, onward = Findings({}), Findings({})
    _alternating(in_place, along, across, motion)
    _advancing(onward, along, across, motion)
    best = min(in_place, onward, key=lambda f: len(f.reasons))
    findings.absorb(best)


def zigzags(path: Path) -> bool:
    """Whether it advances along either axis while swinging across it."""
    for axis, manner in enumerate(("horizontally", "vertically")):
        attempt = Findings({})
        along, across = path.centre[:, axis], path.centre[:, 1 - axis]
        _advancing(attempt, along, across, Motion("zigzagging", manner))
        if not attempt.reasons:
            return True
    return False


def _alternating(findings: Findings, along: np.ndarray, across: np.ndarray, motion: Motion) -> None:
    """The tutorial's: to and fro along the named axis, without getting anywhere."""
    findings.note("reading", "to and fro along the axis")
    _holds_its_line(findings, across, motion)
    steps = np.diff(along)
    speeds = np.abs(steps)
    needed = 0.55 * (len(along) - 2)
    reversals = int((steps[1:] * steps[:-1] < 0).sum())
    findings.note("reversals", reversals)
    findings.note("swing", float(speeds.mean()))
    findings.check(
        reversals >= needed, f"It turns back {reversals} times; at least {needed:.1f} needed."
    )
    _regular(findings, speeds, "step")
    _two_sides(findings, along)
    drift = abs(slope(along)) * (len(along) - 1)
    limit = max(MAX_DRIFT, float(np.median(speeds)))
    findings.check(
        drift <= limit, f"It drifts by {drift:.1f} pixels along; the limit is {limit:.1f}."
    )


def _two_sides(findings: Findings, along: np.ndarray) -> None:
    """All turning points of one side lie together."""
    steps = np.diff(along)
    swing = float(np.median(np.abs(steps)))
    limit = max(MAX_DRIFT, 0.35 * swing)
    turned = steps[1:] * steps[:-1] < 0
    for side in (steps[:-1] > 0, steps[:-1] < 0):
        ends = along[1:-1][turned & side]
        spread = float(np.ptp(ends)) if len(ends) else 0.0
        findings.check(
            spread <= limit,
            f"Its turning points lie {spread:.1f} pixels apart; the limit is {limit:.1f}.",
        )


def _advancing(findings: Findings, along: np.ndarray, across: np.ndarray, motion: Motion) -> None:
    """The road sign's: onward along the named axis, swinging from side to side."""
    findings.note("reading", "onward along the axis, swinging across it")
    net = float(along[-1] - along[0])
    steps = np.diff(along) * np.sign(net)
    mean = float(steps.mean())
    findings.note("advance", net)
    findings.note("pace", abs(net))
    findings.check(
        abs(net) >= MIN_ADVANCE,
        f"It advances {abs(net):.1f} pixels {motion.manner}; at least {MIN_ADVANCE} needed.",
    )
    findings.check(
        steps.min() >= min(0.2 * mean, mean - 0.75) and steps.max() <= max(2.5 * mean, mean + 1),
        f"Its advance is not steady: {steps.min():.1f} to {steps.max():.1f} pixels a step.",
        part=STEADINESS,
    )
    corners = turns(across, 1.25)
    swings = np.abs(np.diff(across[corners]))
    findings.note("reversals", len(corners) - 2)
    findings.check(
        len(corners) - 2 >= 3,
        f"It turns back from side to side {max(len(corners) - 2, 0)} times; at least 3 needed.",
    )
    if len(swings) > 2:  # the first and the last may be cut short by the clip
        _regular(findings, swings[1:-1], "swing")


def _regular(findings: Findings, lengths: np.ndarray, word: str) -> None:
    """To-and-fro of one length throughout: no pauses, no leaps."""
    typical = float(np.median(lengths))
    low, high = max(MIN_SWING, 0.5 * typical), max(1.7 * typical, typical + 2)
    findings.check(
        lengths.min() >= low,
        f"A {word} is only {lengths.min():.1f} pixels; at least {low:.1f} needed.",
        part=STEADINESS,
    )
    findings.check(
        lengths.max() <= high,
        f"A {word} is {lengths.max():.1f} pixels; the limit is {high:.1f}.",
        part=STEADINESS,
    )
