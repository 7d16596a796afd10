"""Every criterion both ways, on paths: what is asked for, and what only looks like it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kineograph.data.grammar import DIRECTIONS, MANNERS, Motion
from kineograph.evaluation.criteria import MOTIONS
from kineograph.evaluation.findings import Findings
from kineograph.evaluation.geometry import Path

ALL = [  # of a circle, orbiting is the same as rotating
    Motion(verb, manner) for verb in MANNERS if verb != "orbiting" for manner in MANNERS[verb]
]
FRAMES = 10


def failed(path: Path, verb: str, manner: str = "") -> str:
    """The reasons, joined; empty where the motion is there."""
    findings = Findings({})
    MOTIONS[verb](findings, path, Motion(verb, manner))
    return " ".join(findings.reasons)


def going(points: np.ndarray, size: np.ndarray | float = 10.0) -> Path:
    sizes = np.broadcast_to(np.asarray(size, float), len(points))
    return Path(
        np.asarray(points, float), sizes, np.zeros(len(points), bool), np.array([64.0, 64.0])
    )


def straight(way: tuple[float, float], travel: float = 36.0, frames: int = FRAMES) -> np.ndarray:
    ahead = np.array(way) / np.hypot(*way)
    return 32 + np.linspace(-travel / 2, travel / 2, frames)[:, None] * ahead


def orbit(turn: float, radius: float = 16.0, frames: int = FRAMES) -> np.ndarray:
    angle = 0.7 + np.radians(np.linspace(0, turn, frames))
    return 32 + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def along(coordinate: np.ndarray, axis: int = 1) -> np.ndarray:
    points = np.full((len(coordinate), 2), 30.0)
    points[:, axis] = coordinate
    return points


def bounce(frames: int = FRAMES, speed: float = 6.0, hit: float = 4.3) -> np.ndarray:
    return 58 - speed * np.abs(np.arange(frames) - hit)


def zigzag(frames: int = FRAMES, swing: float = 10.0) -> np.ndarray:
    return 32 + swing / 2 * (1 - 2 * (np.arange(frames) % 2))


# ---- moving ---------------------------------------------------------------------------------


@pytest.mark.parametrize("manner", DIRECTIONS)
def test_moving_is_told_from_every_other_direction(manner: str) -> None:
    path = going(straight(DIRECTIONS[manner]))
    assert not failed(path, "moving", manner)
    for other in set(DIRECTIONS) - {manner}:
        assert "off" in failed(path, "moving", other)


@pytest.mark.parametrize(("degrees", "right"), [(0, True), (13, True), (-13, True), (17, False)])
def test_moving_may_be_15_degrees_off(degrees: float, right: bool) -> None:
    angle = np.radians(degrees)
    path = going(straight((np.cos(angle), np.sin(angle))))
    assert (failed(path, "moving", "right") == "") is right


def test_moving_must_get_somewhere() -> None:
    assert "travels" in failed(going(straight((1, 0), travel=6.0)), "moving", "right")
    assert not failed(going(straight((1, 0), travel=10.0)), "moving", "right")


def test_moving_must_neither_halt_nor_turn_nor_jump() -> None:
    steady = straight((1, 0))
    paused = steady[[0, 1, 2, 3, 3, 3, 6, 7, 8, 9]]
    assert "halts" in failed(going(paused), "moving", "right")
    swapped = steady[[0, 1, 2, 4, 3, 5, 6, 7, 8, 9]]
    assert "turns back" in failed(going(swapped), "moving", "right")
    leaping = steady.copy()
    leaping[5:, 0] += 12
    assert "jumps" in failed(going(leaping), "moving", "right")
    sideways = steady.copy()
    sideways[5, 1] += 3
    assert "sideways" in failed(going(sideways), "moving", "right")


def test_moving_forgives_a_pixel_of_wobble() -> None:
    wobble = np.random.default_rng(0).uniform(-0.7, 0.7, (FRAMES, 2))
    assert not failed(going(straight((1, 1)) + wobble), "moving", "down-right")


# ---- rotating -------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [60, 120, 360, 800])
def test_rotating_has_a_sense(turn: float) -> None:
    path = going(orbit(turn))
    assert not failed(path, "rotating", "clockwise")
    assert "turns" in failed(path, "rotating", "counter-clockwise")
    back = going(orbit(-turn))
    assert not failed(back, "rotating", "counter-clockwise")
    assert "turns" in failed(back, "rotating", "clockwise")


def test_rotating_need_not_be_about_the_centre_of_the_picture() -> None:
    assert not failed(going(orbit(200, 9.0) + np.array([-15, 12])), "rotating", "clockwise")


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (orbit(30, 20.0), "straight"),
        (orbit(200, 2.0), "radius"),
        (orbit(200) + np.linspace(0, 40, FRAMES)[:, None] * [1, 0], "circle"),
        (orbit(200)[[0, 1, 2, 2, 2, 5, 6, 7, 8, 9]], "halts"),
        (orbit(200)[[0, 1, 2, 5, 4, 3, 6, 7, 8, 9]], "turns back"),
        (orbit(360)[[0, 1, 2, 3, 4, 4, 5, 6, 7, 9]], "halts"),
        (straight((1, 0)) + np.array([0.0, -20.0]), "straight"),
    ],
)
def test_rotating_is_a_steady_turn(points: np.ndarray, why: str) -> None:
    assert why in failed(going(points), "rotating", "clockwise")


def test_a_clean_shallow_arc_is_not_straight() -> None:
    arc = orbit(75, 9.0)
    assert not failed(going(arc), "rotating", "clockwise")
    assert all(failed(going(arc), "moving", manner) for manner in DIRECTIONS)


# ---- shrinking, expanding -------------------------------------------------------------------

IN_PLACE = np.full((FRAMES, 2), 30.0)


def test_shrinking_and_expanding_are_each_others_reverse() -> None:
    sizes = np.linspace(24, 8, FRAMES)
    assert not failed(going(IN_PLACE, sizes), "shrinking")
    assert "factor" in failed(going(IN_PLACE, sizes), "expanding")
    assert not failed(going(IN_PLACE, sizes[::-1]), "expanding")
    assert "factor" in failed(going(IN_PLACE, sizes[::-1]), "shrinking")


def test_shrinking_by_a_constant_factor_is_shrinking() -> None:
    assert not failed(going(IN_PLACE, 26 * 0.85 ** np.arange(FRAMES)), "shrinking")


def test_shrinking_stays_in_place_and_is_gradual() -> None:
    sizes = np.linspace(24, 8, FRAMES)
    drifting = IN_PLACE + np.linspace(0, 5, FRAMES)[:, None]
    assert "drifts" in failed(going(drifting, sizes), "shrinking")
    assert "wrong way" in failed(
        going(IN_PLACE, sizes[[0, 1, 2, 4, 3, 5, 6, 7, 8, 9]]), "shrinking"
    )
    sudden = np.where(np.arange(FRAMES) < 5, 20.0, 10.0)
    assert "jumps" in failed(going(IN_PLACE, sudden), "shrinking")
    assert "factor" in failed(going(IN_PLACE, np.linspace(10, 8, FRAMES)), "shrinking")


# ---- bouncing, zigzagging -------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
def test_bouncing_and_zigzagging_have_an_axis(axis: int) -> None:
    manners = ("horizontally", "vertically")
    for verb, path in (("bouncing", bounce()), ("zigzagging", zigzag())):
        assert not failed(going(along(path, axis)), verb, manners[axis])
        assert failed(going(along(path, axis)), verb, manners[1 - axis])


@pytest.mark.parametrize("hit", [2.0, 2.5, 3.5, 5.0, 6.7])
def test_bouncing_may_turn_between_frames(hit: float) -> None:
    assert not failed(going(along(bounce(hit=hit))), "bouncing", "vertically")


@pytest.mark.parametrize(("frames", "hops"), [(10, 1.1), (16, 1.6), (30, 1.0), (30, 3.2)])
def test_bouncing_under_gravity_is_bouncing(frames: int, hops: float) -> None:
    phase = (np.arange(frames) * hops / frames + 0.3) % 1
    height = 44 * 4 * phase * (1 - phase)
    assert not failed(going(along(58 - height)), "bouncing", "vertically")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (32 + 3.0 * np.arange(FRAMES), "turns back 0"),
        (bounce()[[0, 1, 2, 3, 4, 4, 4, 4, 8, 9]], "halts"),
        (bounce() - 25 * (np.arange(FRAMES) == 7), "jitters"),
        (bounce()[[3, 7, 1, 9, 0, 5, 2, 8, 4, 6]], "turns back"),
        (bounce(hit=8.3), "flies only"),
        (zigzag(), "turns back 8"),
    ],
)
def test_bouncing_is_a_flight_to_and_fro(path: np.ndarray, why: str) -> None:
    assert why in failed(going(along(path)), "bouncing", "vertically")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (bounce(), "turns back 1"),
        (zigzag(swing=2.0), "step"),
        (zigzag()[[0, 1, 2, 2, 2, 3, 4, 5, 6, 7]], "step"),
        (zigzag() + 12 * (np.arange(FRAMES) == 5), "step"),
        (zigzag() - 20 * (np.arange(FRAMES) == 5), "turning points"),
        (zigzag() + 3 * np.arange(FRAMES), "not steady"),
    ],
)
def test_zigzagging_is_regular(path: np.ndarray, why: str) -> None:
    assert why in failed(going(along(path)), "zigzagging", "vertically")


def test_zigzagging_onward_is_the_other_reading() -> None:
    swing = 8 * np.abs((np.arange(12) / 2 + 0.2) % 2 - 1)
    points = np.stack([30 + swing, np.linspace(10, 54, 12)], axis=1)
    assert not failed(going(points), "zigzagging", "vertically")
    assert failed(going(points), "zigzagging", "horizontally")
    assert failed(going(points), "moving", "down")
    assert not failed(going(points[:, ::-1]), "zigzagging", "horizontally")
    paused = points.copy()
    paused[4:8, 1] = points[4, 1]
    assert failed(going(paused), "zigzagging", "vertically")


# ---- all of them ----------------------------------------------------------------------------


@settings(max_examples=300)
@given(
    st.integers(4, 30), st.integers(0, 2**32 - 1), st.integers(0, 2), st.sampled_from([0, 0.3, 1.0])
)
def test_no_path_satisfies_two_motions(frames: int, seed: int, kind: int, wobble: float) -> None:
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 1, frames)
    points = time[:, None] * rng.normal(0, rng.choice([0.0, 3.0, 20.0]), 2)
    for axis in range(2):
        wave = (rng.uniform(0.2, frames / 2) * time + rng.uniform()) % 1
        points[:, axis] += rng.choice([0.0, 4.0, 12.0]) * (np.abs(2 * wave - 1) if kind else 0)
    if kind != 1:
        angle = rng.uniform(0, 7) + rng.uniform(-13, 13) * time
        arm = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        points = 0.2 * points + rng.uniform(2, 25) * arm
    points += 32 + rng.normal(0, wobble, points.shape) if wobble else 32
    sizes = 10 * np.exp(rng.choice([0.0, 1.0]) * rng.normal() * time)
    path = going(points, sizes)
    done = [motion for motion in ALL if not failed(path, motion.verb, motion.manner)]
    if sizes.max() > 1.5 * sizes.min():  # the verifier asks this of all but these two
        done = [motion for motion in done if motion.verb in ("shrinking", "expanding")]
    assume(done)
    assert len(done) == 1


def test_every_verb_of_the_grammar_has_a_criterion() -> None:
    assert set(MOTIONS) == set(MANNERS)
