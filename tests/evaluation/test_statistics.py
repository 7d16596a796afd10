from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kineograph.evaluation.statistics import wilson


def test_agrees_with_published_values() -> None:
    low, high = wilson(8, 10)  # Newcombe 1998, table I's formula
    assert low == pytest.approx(0.4902, abs=1e-4)
    assert high == pytest.approx(0.9433, abs=1e-4)
    assert wilson(10, 10) == (pytest.approx(0.7225, abs=1e-4), 1.0)


def test_says_nothing_without_trials() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 5000), st.data())
def test_holds_the_share_and_is_symmetric(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    low, high = wilson(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    other_low, other_high = wilson(trials - successes, trials)
    assert (low, high) == (pytest.approx(1 - other_high), pytest.approx(1 - other_low))


def test_more_trials_and_less_confidence_narrow_it() -> None:
    def width(interval: tuple[float, float]) -> float:
        return interval[1] - interval[0]

    assert width(wilson(90, 100)) > width(wilson(900, 1000))
    assert width(wilson(90, 100, 0.99)) > width(wilson(90, 100, 0.9))


@pytest.mark.parametrize(
    ("successes", "trials", "confidence"), [(-1, 5, 0.95), (6, 5, 0.95), (1, 5, 1.0), (1, 5, 0.0)]
)
def test_refuses_what_is_no_share(successes: int, trials: int, confidence: float) -> None:
    with pytest.raises(ValueError, match="not a share"):
        wilson(successes, trials, confidence)
