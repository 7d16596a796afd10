"""Which frames are taken is what the setting's name promises."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kineograph.data.folder.extraction import Extraction, FrameExtraction


def taken(
    how: FrameExtraction, length: int, num_frames: int, stride: int = 1, **where: float
) -> list[list[int]]:
    extraction = Extraction(num_frames, stride, how)
    every = list(range(length))
    found = []
    for piece in range(extraction.pieces(length)):
        chosen = extraction.frames(length, piece, where.get("u", 0.0))
        found.append(every[chosen] if isinstance(chosen, slice) else [every[k] for k in chosen])
    return found


def test_head_takes_the_first() -> None:
    assert taken("head", 9, 4) == [[0, 1, 2, 3]]
    assert taken("head", 9, 4, stride=2) == [[0, 2, 4, 6]]
    assert taken("head", 3, 4) == []
    assert taken("head", 7, 4, stride=2) == [[0, 2, 4, 6]]
    assert taken("head", 6, 4, stride=2) == []


def test_uniform_spreads_over_the_whole() -> None:
    assert taken("uniform", 10, 4) == [[0, 3, 6, 9]]
    assert taken("uniform", 9, 3) == [[0, 4, 8]]
    assert taken("uniform", 4, 4) == [[0, 1, 2, 3]]
    assert taken("uniform", 12, 3, stride=3) == [[0, 6, 9]]
    assert taken("uniform", 5, 1) == [[0]]


def test_chunks_take_piece_after_piece() -> None:
    assert taken("chunks", 9, 4) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert taken("chunks", 9, 2, stride=2) == [[0, 2], [4, 6]]
    assert taken("chunks", 3, 4) == []


def test_random_takes_any_place() -> None:
    starts = [taken("random", 9, 4, u=k / 60)[0][0] for k in range(60)]
    assert starts == [k // 10 for k in range(60)]


@pytest.mark.parametrize("how", ["head", "uniform", "random", "chunks"])
@given(
    length=st.integers(0, 300),
    num_frames=st.integers(1, 40),
    stride=st.integers(1, 9),
    u=st.floats(0, 1, exclude_max=True),
)
def test_frames_are_as_many_as_asked_in_order_and_inside(
    how: FrameExtraction, length: int, num_frames: int, stride: int, u: float
) -> None:
    pieces = taken(how, length, num_frames, stride, u=u)
    assert bool(pieces) == (length >= (num_frames - 1) * stride + 1)
    everything = [frame for piece in pieces for frame in piece]
    assert len(everything) == len(set(everything)), "no frame comes twice"
    for piece in pieces:
        assert len(piece) == num_frames
        assert piece == sorted(piece)
        assert piece[0] >= 0
        assert piece[-1] < length
        steps = {after - before for before, after in itertools.pairwise(piece)}
        assert how == "uniform" or steps <= {stride}
        assert all(step % stride == 0 for step in steps)


def test_the_speed_that_is_told_is_the_one_that_is_shown() -> None:
    assert Extraction(4, 1, "head").fps(9, 12.0) == 12
    assert Extraction(4, 3, "chunks").fps(90, 12.0) == 4
    assert Extraction(4, 1, "uniform").fps(10, 12.0) == 4
    assert Extraction(1, 1, "uniform").fps(10, 12.0) == 12
