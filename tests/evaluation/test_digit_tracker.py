from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from kineograph.evaluation.digit_tracker import see

THERE_AND_BACK = 32 + 17 * np.array([0, 0.4, 0.8, 0.8, 0.4, 0, -0.4, -0.8, -0.6, -0.2])


def draw(*digits: tuple[str, np.ndarray], size: int = 64) -> np.ndarray:
    """Printed digits about their centres (T, 2), the brighter pixel wherever they overlap."""
    frames = np.zeros((len(digits[0][1]), 256, 256), np.uint8)
    font = ImageFont.load_default(96)
    for text, centres in digits:
        for frame, (x, y) in zip(frames, centres, strict=True):
            image = Image.new("L", (256, 256))
            ImageDraw.Draw(image).text((4 * x, 4 * y), text, 255, font, anchor="mm")
            np.maximum(frame, np.asarray(image), out=frame)
    small = [
        np.asarray(Image.fromarray(f).resize((size, size), Image.Resampling.BOX)) for f in frames
    ]
    return np.stack(small)[..., None].repeat(3, axis=3)


def across(y: float) -> np.ndarray:
    return np.stack([THERE_AND_BACK, np.full(10, y)], axis=1)


def upright(x: float) -> np.ndarray:
    return np.stack([np.full(10, x), THERE_AND_BACK[::-1]], axis=1)


@pytest.mark.parametrize("size", [64, 48, 128, 200])
def test_a_digit_is_followed_whatever_the_resolution(size: int) -> None:
    path = across(40)
    seen = see(draw(("3", path), size=size))
    (track,) = seen.tracks
    off = track.centre - path  # the middle of its mass is not that of its letter
    assert np.abs(off - off.mean(axis=0)).max() < 0.35
    assert np.abs(off).max() < 2.5
    assert seen.number.tolist() == [1] * 10
    assert 0 <= seen.residue.min() <= seen.residue.max() < 2
    assert track.patches.shape == (10, 28, 28)


def test_two_digits_are_told_apart_and_found_where_they_touch() -> None:
    paths = {"5": across(20), "8": upright(30)}
    seen = see(draw(*paths.items()))
    assert len(seen.tracks) == 2
    assert all(1 <= track.hidden.sum() <= 6 for track in seen.tracks)
    heavy = int(seen.tracks[0].mass.mean() < seen.tracks[1].mass.mean())
    for track, path in ((seen.tracks[heavy], paths["8"]), (seen.tracks[1 - heavy], paths["5"])):
        off = track.centre - path
        assert not np.isnan(off).any()
        assert np.abs(off - np.median(off, axis=0)).max() < 1.2


def test_a_digit_in_pieces_is_one() -> None:
    frames = draw(("0", across(32)))
    for frame, x in zip(frames, THERE_AND_BACK, strict=True):
        frame[30:34] = 0  # a slit through the middle
        frame[:, round(x) - 1 : round(x) + 2] = 0
    assert see(frames).number.tolist() == [1] * 10


def test_what_is_besides_is_counted_or_measured() -> None:
    frames = draw(("4", across(18)))
    frames[6, 50:60, 40:44] = 255
    frames[3, 52:54, 40:42] = 255
    seen = see(frames)
    assert seen.number.tolist() == [1, 1, 1, 1, 1, 1, 2, 1, 1, 1]
    assert seen.residue[3] == pytest.approx(4, abs=2.5)
    assert seen.residue.argmax() == 3


def test_haze_is_ink_beside_the_strokes() -> None:
    frames = draw(("3", across(32)))
    assert see(frames).haze < 0.02
    ghost = np.roll(frames, (6, 9), axis=(1, 2)) // 3
    assert see(np.maximum(frames, ghost)).haze > 0.1


def test_noise_and_nothing_show_no_digit() -> None:
    rng = np.random.default_rng(0)
    specks = np.where(rng.random((10, 64, 64, 1)) < 0.02, 255, 0).astype(np.uint8).repeat(3, 3)
    assert see(specks).noisy
    assert see(specks).tracks == []
    nothing = see(np.zeros((10, 64, 64, 3), np.uint8))
    assert nothing.tracks == []
    assert nothing.contrast.max() == 0


def test_a_gap_stays_a_gap() -> None:
    frames = draw(("7", across(32)))
    frames[4:6] = 0
    (track,) = see(frames).tracks
    assert np.flatnonzero(np.isnan(track.centre[:, 0])).tolist() == [4, 5]
    assert track.frames.tolist() == [0, 1, 2, 3, 6, 7, 8, 9]
