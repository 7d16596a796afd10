from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from kineograph.evaluation.shape import measure

Draw = Callable[..., np.ndarray]


def covered(frames: np.ndarray) -> np.ndarray:
    return (255 - frames[..., 0]).astype(np.float32) / 255


def test_two_cores_under_one_faint_bridge_are_counted(draw: Draw) -> None:
    cover = covered(draw([[20.0, 32.0]])) + covered(draw([[40.0, 32.0]]))
    cover[:, 30:34, 20:40] = np.maximum(cover[:, 30:34, 20:40], 0.3)
    assert measure(cover, cover > 0.12, 1.0).cores.tolist() == [2]


def test_a_highlight_is_filled_in(draw: Draw) -> None:
    whole = covered(draw([[32.0, 32.0]], 14.0))
    holed = whole.copy()
    holed[:, 30:33, 30:33] = 0
    assert measure(holed, holed > 0.12, 1.0).size == pytest.approx(
        measure(whole, whole > 0.12, 1.0).size, abs=0.05
    )


def test_a_square_bite_lowers_the_overlap(draw: Draw) -> None:
    cover = covered(draw([[32.0, 32.0]], 16.0))
    cover[:, 32:, 32:] = 0
    assert measure(cover, cover > 0.12, 1.0).overlap[0] < 0.8


def test_a_sliver_at_the_edge_takes_its_size_from_the_frame_that_shows_it_whole(
    draw: Draw,
) -> None:
    path = np.array([[40.0, 30.0], [54.0, 30.0], [68.0, 30.0]])
    cover = covered(draw(path, 12.0))
    seen = measure(cover, cover > 0.12, 1.0)
    assert seen.centre[2] == pytest.approx([68, 30], abs=0.5)
    assert seen.size == pytest.approx(12, abs=0.5)
