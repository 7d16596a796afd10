from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kineograph.evaluation.geometry import (
    angle_between,
    circle_centre,
    line,
    slope,
    turning,
    turns,
)


def test_a_line_is_split_into_velocity_ahead_and_aside() -> None:
    path = np.arange(9)[:, None] * np.array([3.0, -4.0])
    velocity, ahead, aside = line(path)
    assert velocity == pytest.approx([3, -4])
    assert np.abs(ahead).max() == pytest.approx(0, abs=1e-9)
    bump = path.copy()
    bump[4] += np.array([4.0, 3.0])  # five to the right of its way
    _, ahead, aside = line(bump)
    assert np.abs(ahead).max() == pytest.approx(0, abs=1e-9)
    assert np.ptp(aside) == pytest.approx(5)


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(2, 40), st.floats(0.8, 6))
def test_the_circle_through_an_arc_is_found(x: float, y: float, radius: float, arc: float) -> None:
    angle = np.linspace(1, 1 + arc, 8)
    points = np.array([x, y]) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert circle_centre(points) == pytest.approx([x, y], abs=1e-5)


def test_turning_is_clockwise_on_the_screen() -> None:
    right_down_left = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -0.01]])
    assert turning(right_down_left)[0] == pytest.approx(90)
    assert turning(right_down_left[::-1])[1] == pytest.approx(-90)


def test_angle_between_is_never_negative() -> None:
    assert angle_between(np.array([1.0, 0.0]), np.array([0.0, -2.0])) == pytest.approx(90)
    assert angle_between(np.array([1.0, 0.0]), np.array([-3.0, 0.0])) == pytest.approx(180)


def test_turns_are_counted_only_beyond_the_threshold() -> None:
    there_and_back = np.array([0, 4, 8, 7.5, 8.2, 12, 9, 5, 1], float)
    assert turns(there_and_back, 1.5).tolist() == [0, 5, 8]
    assert turns(there_and_back, 0.25).tolist() == [0, 2, 3, 5, 8]
    assert len(turns(np.full(6, 3.0), 1.5)) == 2


def test_slope_is_the_change_per_frame() -> None:
    assert slope(3 - 2.5 * np.arange(7)) == pytest.approx(-2.5)
