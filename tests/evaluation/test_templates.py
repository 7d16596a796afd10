from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.data import raster
from kineograph.data.grammar import COLORS, SHAPES
from kineograph.evaluation.templates import color_names, likeness, orientation
from kineograph.evaluation.tracker import Track, separate, track


def drawn(shape: str, size: float, angle: float = 0.0, turn: float = 0.0, blur: float = 0) -> Track:
    frames = raster.blank(np.array([[255, 255, 255]]), 6, 64, 64)
    centre = np.array([30.3, 33.7]) + 0.37 * np.arange(6)[:, None]
    raster.draw(
        *(frames, shape, centre[None], np.full((1, 6), size), np.array([[200, 30, 30]])),
        *(np.array([[255, 255, 255]]), (angle + turn * np.arange(6))[None]),
    )
    clip = frames[0]
    if blur:
        from scipy import ndimage

        clip = ndimage.gaussian_filter(clip.astype(float), (0, blur, blur, 0)).astype(np.uint8)
    return track(clip)


@settings(max_examples=60)
@given(
    st.sampled_from(SHAPES), st.floats(7, 22), st.floats(0, 360), st.sampled_from([0.0, 0.5, 0.8])
)
def test_every_shape_is_told_whatever_its_size_and_angle(
    shape: str, size: float, angle: float, blur: float
) -> None:
    if blur and size < 10:
        return  # nothing is left of its corners
    found = likeness(drawn(shape, size, angle, blur=blur))
    assert found is not None
    assert found.best == ("circle" if shape == "ring" else shape)
    assert (found.hole > 0.1) == (shape == "ring")


@settings(max_examples=40)
@given(st.sampled_from(["square", "triangle", "star"]), st.floats(7, 22), st.floats(-25, 25))
def test_turning_is_measured(shape: str, size: float, turn: float) -> None:
    period = raster.SYMMETRY[shape]
    angle = orientation(drawn(shape, size, 13.0, turn), shape)
    steps = (np.diff(angle) + period / 2) % period - period / 2
    assert steps == pytest.approx(turn, abs=60 / size)


def test_round_things_have_no_orientation() -> None:
    assert np.isnan(orientation(drawn("ring", 12), "ring")).all()


@pytest.mark.parametrize("name", COLORS)
def test_every_colour_has_its_name(name: str) -> None:
    assert color_names(COLORS[name])[0] == name


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((255, 0, 0), "red"),
        ((0, 0, 255), "blue"),
        ((0, 128, 0), "green"),
        ((250, 250, 250), "white"),
    ],
)
def test_other_palettes_have_names_too(rgb: tuple[int, int, int], name: str) -> None:
    assert color_names(rgb)[0] == name


# ---- two objects ----------------------------------------------------------------------------


@pytest.mark.parametrize("second", ["blue", "red"], ids=["another colour", "the same colour"])
def test_two_objects_are_parted(second: str) -> None:
    along = np.linspace(12, 52, 10)
    paths = [np.stack([along, np.full(10, 16.0)], 1), np.stack([64 - along, np.full(10, 44.0)], 1)]
    frames = raster.blank(np.array([[255, 255, 255]]), 10, 64, 64)
    for path, shape, color in zip(paths, ("square", "star"), ("red", second), strict=True):
        raster.draw(
            *(frames, shape, path[None], np.full((1, 10), 12.0), np.array([COLORS[color]])),
            np.array([[255, 255, 255]]),
        )
    seen = [track(clip) for clip in separate(frames[0])]
    assert len(seen) == 2
    for track_of, path in zip(sorted(seen, key=lambda t: t.centre[0, 0]), paths, strict=True):
        assert (track_of.objects == 1).all()
        assert track_of.centre == pytest.approx(path, abs=0.3)


def test_one_object_is_not_parted() -> None:
    frames = raster.blank(np.array([[0, 0, 0]]), 5, 64, 64)
    assert len(separate(frames[0])) == 1
