from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.data.raster import render_discs
from kineograph.evaluation.tracker import track

Draw = Callable[..., np.ndarray]
COLORS = [
    ((0, 0, 0), (255, 255, 255)),
    ((255, 0, 0), (0, 0, 0)),
    ((255, 255, 0), (255, 255, 255)),
    ((200, 30, 30), (60, 160, 60)),
    ((90, 90, 90), (160, 160, 160)),
]


@settings(max_examples=40)
@given(
    place=st.tuples(st.floats(10, 54), st.floats(10, 54)),
    diameter=st.floats(6, 18),
    sides=st.sampled_from([(64, 64), (96, 128), (256, 256), (48, 64)]),
    colors=st.sampled_from(COLORS),
)
def test_a_whole_disc_is_found_to_a_fraction_of_a_pixel(
    place: tuple[float, float],
    diameter: float,
    sides: tuple[int, int],
    colors: tuple[tuple[int, int, int], tuple[int, int, int]],
) -> None:
    unit = min(sides) / 64
    frames = render_discs(
        np.array([[place]]) * unit,
        np.array([[diameter]]) * unit,
        color=colors[0],
        background=colors[1],
        height=sides[0],
        width=sides[1],
    )[0]
    seen = track(frames)
    assert seen.objects.tolist() == [1]
    assert seen.centre[0] == pytest.approx(place, abs=0.15)
    assert seen.size[0] == pytest.approx(diameter, abs=0.25)
    assert seen.elongation[0] < 1.25
    assert seen.overlap[0] > 0.95
    assert seen.residue[0] == 0
    assert seen.background == colors[1]
    assert np.abs(np.subtract(seen.color, colors[0])).max() <= 8


@pytest.mark.parametrize("corner", [(0, 0), (1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1)])
def test_a_disc_that_an_edge_cuts_is_placed_by_its_uncut_side(
    draw: Draw, corner: tuple[int, int]
) -> None:
    way = np.array(corner)
    path = 32 + way * np.linspace(10, 33, 10)[:, None]
    seen = track(draw(path, 12.0))
    assert seen.cut.tolist()[-1] == bool(way.any())
    assert np.abs(seen.centre - path).max() < 0.35
    assert np.abs(seen.size - 12).max() < 0.35
    assert seen.edges[-1].tolist() == [way[0] < 0, way[1] < 0, way[0] > 0, way[1] > 0]


def test_a_second_object_is_counted_even_faint_small_or_half_hidden(draw: Draw) -> None:
    path = np.repeat([[20.0, 20.0]], 4, axis=0)
    one = draw(path, 12.0).astype(int)
    for opacity, diameter in ((1.0, 12.0), (0.2, 12.0), (0.5, 8.0), (1.0, 4.2)):
        other = draw(path + np.array([25, 18]), diameter).astype(int)
        both = np.minimum(one, 255 - opacity * (255 - other)).astype(np.uint8)
        assert track(both).objects.tolist() == [2] * 4


def test_specks_are_residue_and_no_objects(draw: Draw) -> None:
    frames = draw(np.repeat([[20.0, 20.0]], 4, axis=0), 10.0)
    frames[:, 50, 50] = frames[:, 10, 55] = 0
    seen = track(frames)
    assert seen.objects.tolist() == [1] * 4
    assert seen.residue == pytest.approx(2, abs=0.1)


def test_nothing_is_seen_in_an_empty_picture(draw: Draw) -> None:
    seen = track(draw(np.repeat([[20.0, 20.0]], 4, axis=0), -1.0))
    assert not seen.visible.any()
    assert np.isnan(seen.centre).all()
    assert seen.objects.tolist() == [0] * 4


def test_an_ellipse_is_longer_than_wide(draw: Draw) -> None:
    wide = draw(np.repeat([[32.0, 32.0]], 4, axis=0), 12.0).repeat(2, axis=2)[:, :, 32:96]
    assert (track(wide).elongation > 1.8).all()


def test_a_smear_has_a_skirt(draw: Draw) -> None:
    path = np.repeat([[32.0, 32.0]], 4, axis=0)
    clean, halo = draw(path, 10.0), draw(path, 20.0)
    smeared = (0.7 * clean + 0.3 * halo).astype(np.uint8)
    assert (track(clean).skirt < 2).all()
    assert (track(smeared).skirt > 8).all()


@pytest.mark.parametrize("shift", [(0, 0), (26, 0), (26, 26)])
def test_an_outline_is_judged_by_its_silhouette(draw: Draw, shift: tuple[int, int]) -> None:
    path = np.array([[32.0, 32.0]] * 3 + [[32.0 + shift[0], 32.0 + shift[1]]])
    ring = np.maximum(draw(path, 14.0), 255 - draw(path, 10.0))
    seen = track(ring.astype(np.uint8))
    assert seen.objects.tolist() == [1] * 4
    assert np.abs(seen.size - 14).max() < 1
    assert np.abs(seen.centre - path).max() < 0.8
    assert seen.overlap.min() > 0.85


def test_upscaled_frames_measure_the_same(draw: Draw) -> None:
    path = np.stack([np.linspace(12, 60, 8), np.linspace(50, 20, 8)], axis=1)
    small = draw(path, 9.0)
    seen, again = track(small), track(small.repeat(8, axis=1).repeat(8, axis=2))
    assert again.centre == pytest.approx(seen.centre)
    assert again.size == pytest.approx(seen.size)
    assert (seen.unit, again.unit) == (1, 8)


def test_noise_of_a_camera_is_no_object(draw: Draw) -> None:
    frames = draw(np.repeat([[32.0, 32.0]], 6, axis=0), color=(90, 90, 90), background=(180,) * 3)
    grain = np.random.default_rng(0).normal(0, 6, frames.shape)
    seen = track(np.clip(frames + grain, 0, 255).astype(np.uint8))
    assert seen.objects.tolist() == [1] * 6
    assert seen.residue.max() < 4


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((4, 64, 64), np.uint8),
        np.zeros((4, 64, 64, 3), np.float32),
        np.zeros((0, 64, 64, 3), np.uint8),
        np.zeros((4, 8, 64, 3), np.uint8),
    ],
)
def test_refuses_what_is_no_video(frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match="track wants"):
        track(frames)
