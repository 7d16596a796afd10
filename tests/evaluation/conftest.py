"""What the judge's tests draw with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from kineograph.core.conventions import RGB
from kineograph.data.raster import render_discs

Draw = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def draw() -> Draw:
    """Centres (T, 2) and diameters, in units of a 64th of the shorter side => frames."""

    def _draw(
        position: np.ndarray,
        size: np.ndarray | float = 10.0,
        *,
        color: RGB = (0, 0, 0),
        background: RGB = (255, 255, 255),
        height: int = 64,
        width: int = 64,
    ) -> np.ndarray:
        unit = min(height, width) / 64
        position = np.asarray(position, float) * unit
        diameter = np.broadcast_to(np.asarray(size, float) * unit, len(position))
        return render_discs(
            position[None],
            diameter[None],
            color=color,
            background=background,
            height=height,
            width=width,
        )[0]

    return _draw
