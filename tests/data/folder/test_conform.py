"""Clips come to one speed by the clock and to one size; what cannot, says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from kineograph.core.errors import RequestError
from kineograph.data import media
from kineograph.data.clip import Clip
from kineograph.data.folder import conform as conforming
from kineograph.data.folder.conform import Conformed, Form, conform, fitted
from kineograph.data.folder.entry import Entry

WHITE = (255, 255, 255)


def read(path: Path, **wanted: Any) -> Conformed:
    values = {"height": 16, "width": 16, "fps": 10.0, "resize": "crop", "background": WHITE}
    return conform(Entry(path.name, path), Form(**values | wanted))


def refusal(path: Path, **wanted: Any) -> str:
    with pytest.raises(RequestError) as caught:
        read(path, **wanted)
    assert path.name in caught.value.cause
    assert caught.value.remedy
    return caught.value.cause


# ---- time --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mp4", "webm", "gif", "webp", "apng"])
def test_a_clip_of_the_wanted_speed_and_size_stays_as_it_is(
    kind: str, make: Any, tmp_path: Path
) -> None:
    found = read(make.put(tmp_path / f"a.{kind}"))
    assert make.numbers(found.frames) == list(range(12))
    assert (found.fps, found.retimed, found.resized) == (10, False, False)
    assert (found.original_frames, found.original_width, found.original_height) == (12, 16, 16)
    assert found.original_seconds == pytest.approx(1.2, abs=0.002)


@pytest.mark.parametrize("kind", ["mp4", "webm", "webp"])
@pytest.mark.parametrize(
    ("fps", "wanted", "shown"),
    [
        (20, 10, [0, 2, 4, 6, 8, 10]),
        (30, 10, [0, 3, 6, 9]),
        (60, 10, [0, 6]),
        (24, 10, [0, 2, 5, 7, 10]),
        (25, 10, [0, 2, 5, 7, 10]),
        (29.97, 10, [0, 3, 6, 9]),
        (5, 10, [i // 2 for i in range(24)]),
        (10, 30, [i // 3 for i in range(36)]),
        (10, 15, [0, 0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9, 10, 10, 11]),
    ],
)
def test_speed_is_brought_to_another_by_the_clock(
    kind: str, fps: float, wanted: float, shown: list[int], make: Any, tmp_path: Path
) -> None:
    found = read(make.put(tmp_path / f"a.{kind}", make.counting(12, fps)), fps=wanted)
    assert make.numbers(found.frames) == shown
    assert found.fps == wanted
    assert found.retimed


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_every_third_frame_is_taken_however_times_are_rounded(
    kind: str, make: Any, tmp_path: Path
) -> None:
    """Matroska holds whole milliseconds, so the frames of 30 a second come 33 or 34 ms apart."""
    clip = Clip(np.zeros((300, 16, 16, 3), np.uint8), "")
    clip.frames[:] = np.arange(300)[:, None, None, None] % 20 * 12
    found = read(make.put(tmp_path / f"a.{kind}", Clip(clip.frames, "", fps=30)))
    assert make.numbers(found.frames) == [3 * k % 20 for k in range(100)]


def test_a_variable_rate_is_followed(make: Any, tmp_path: Path) -> None:
    """A screen recording: nothing happens for a while, then much does."""
    path = make.put_at(tmp_path / "a.mp4", [0, 620, 700, 740, 790, 1500], 2000)
    found = read(path)
    assert make.numbers(found.frames) == [0] * 6 + [1, 2] + [4] * 7 + [5] * 5
    assert found.retimed


@pytest.mark.parametrize("end", [1200, 1094])  # many files do not know when the last frame ends
def test_a_rate_that_jitters_loses_and_doubles_nothing(end: int, make: Any, tmp_path: Path) -> None:
    times = [0, 107, 195, 304, 398, 501, 592, 708, 799, 905, 1001, 1093]
    found = read(make.put_at(tmp_path / "a.mp4", times, end))
    assert make.numbers(found.frames) == list(range(12))
    assert not found.retimed


def test_a_clip_that_does_not_begin_at_zero_begins_with_its_first_frame(
    make: Any, tmp_path: Path
) -> None:
    found = read(make.put_at(tmp_path / "a.mp4", [5000, 5100, 5200], 5300))
    assert make.numbers(found.frames) == [0, 1, 2]


def test_a_picture_that_stays_in_a_gif_is_repeated(make: Any, tmp_path: Path) -> None:
    pictures = [Image.fromarray(frame) for frame in make.counting(3).frames]
    path = tmp_path / "a.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[100, 300, 50])
    assert make.numbers(read(path).frames) == [0, 1, 1, 1, 2]
    assert make.numbers(read(path, fps=20).frames) == [0, 0, *[1] * 6, 2]


def test_without_a_speed_each_clip_keeps_its_own(make: Any, tmp_path: Path) -> None:
    for kind in ("mp4", "webm", "webp", "gif"):
        found = read(make.put(tmp_path / f"a.{kind}", make.counting(7, 12.5)), fps=None)
        assert make.numbers(found.frames) == list(range(7))
        assert found.fps == pytest.approx(12.5, rel=1e-3)
        assert not found.retimed


def test_one_frame_is_a_clip_of_one_frame(make: Any, tmp_path: Path) -> None:
    for kind in ("mp4", "webp"):
        found = read(make.put(tmp_path / f"a.{kind}", make.counting(1, 30)))
        assert len(found.frames) == 1


# ---- size --------------------------------------------------------------------------------------


def form(height: int, width: int, resize: str = "crop") -> Form:
    return Form(height, width, 10.0, resize, (9, 8, 7))  # type: ignore[arg-type]


def test_cropping_keeps_the_middle() -> None:
    picture = np.zeros((10, 30, 3), np.uint8)
    picture[:, 10:20] = 200
    assert (fitted(picture, form(10, 10)) == 200).all()
    assert (fitted(picture.swapaxes(0, 1), form(10, 10)) == 200).all()
    assert (fitted(picture, form(20, 20)) == 200).all()
    assert np.abs(fitted(picture, form(5, 5))[1:4, 1:4].astype(int) - 200).max() <= 3


def test_letterboxing_keeps_everything_between_bars() -> None:
    picture = np.full((10, 20, 3), 200, np.uint8)
    found = fitted(picture, form(40, 40, "letterbox"))
    assert (found[10:30] == 200).all()
    assert (found[:10] == (9, 8, 7)).all()
    assert (found[30:] == (9, 8, 7)).all()
    upright = fitted(picture.swapaxes(0, 1), form(40, 40, "letterbox"))
    assert np.array_equal(upright, found.swapaxes(0, 1))


def test_enlarging_by_a_whole_number_keeps_pixels_square() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    assert np.array_equal(fitted(picture, form(48, 48)), picture.repeat(3, 0).repeat(3, 1))


def test_reducing_takes_the_mean_of_what_falls_together() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(fitted(stripes, form(16, 16)).astype(int) - 100)[2:-2, 2:-2].max() <= 6


@pytest.mark.parametrize("resize", ["crop", "letterbox"])
@pytest.mark.parametrize("size", [(1, 4096), (4096, 1), (3, 5), (1000, 999)])
def test_any_shape_comes_out_in_the_wanted_one(size: tuple[int, int], resize: str) -> None:
    picture = np.full((*size, 3), 200, np.uint8)
    assert fitted(picture, form(16, 24, resize)).shape == (16, 24, 3)


def test_pixels_that_are_wider_than_high_are_shown_so(make: Any, tmp_path: Path) -> None:
    path = make.put_at(tmp_path / "a.mp4", [0, 100], 200, sample_aspect_ratio=2)
    found = read(path, resize="letterbox", background=(255, 0, 0))
    assert found.resized
    assert (found.frames[0, :3, :, 0] > 200).all(), "bars above"
    assert (found.frames[0, 5:11] < 50).all(), "twice as wide as high"


def test_a_turned_video_is_set_upright_before_it_is_cut(tmp_path: Path) -> None:
    """As a telephone that is held upright records: wide pictures, and a note to turn them."""
    path = tmp_path / "a.mp4"
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, 48:] = 255
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=10, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv444p"
        stream.set_display_rotation(90)
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        out.mux(stream.encode())
    found = read(path, height=64, width=32)
    assert (found.original_width, found.original_height) == (32, 64)
    assert not found.resized
    assert (found.frames[0, :16] > 250).all(), "what was at the right is at the top"
    assert (found.frames[0, 16:] < 5).all()


# ---- transparency ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_transparency_lies_on_the_chosen_background(kind: str, tmp_path: Path) -> None:
    seen = Image.new("RGBA", (16, 16), (255, 0, 0, 255))
    seen.paste((0, 0, 0, 0), (0, 0, 8, 16))
    other = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    path = tmp_path / f"a.{kind}"
    more: dict[str, Any] = {"lossless": True} if kind == "webp" else {}
    seen.save(path, save_all=True, append_images=[other], duration=100, disposal=2, **more)
    frames = read(path, background=(1, 200, 30)).frames
    assert frames[0, 8, 2].tolist() == [1, 200, 30]
    assert frames[0, 8, 12].tolist() == [255, 0, 0]
    assert (frames[1] == (1, 200, 30)).all()


# ---- what is refused ---------------------------------------------------------------------------


def test_8k_is_refused_by_its_declared_size_and_never_decoded(make: Any, tmp_path: Path) -> None:
    clip = Clip(np.zeros((2, 16, 4112, 3), np.uint8), "")
    path = make.put(tmp_path / "a.mp4", clip)
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    content[start:] = bytes(len(content) - start)  # decoding this would say that it is damaged
    path.write_bytes(content)
    assert "4112×16" in refusal(path)
    Image.new("RGB", (4100, 16)).save(tmp_path / "a.gif")
    assert "4100×16" in refusal(tmp_path / "a.gif")


def test_4k_is_read(make: Any, tmp_path: Path) -> None:
    clip = Clip(np.zeros((2, 16, 4096, 3), np.uint8), "")
    assert len(read(make.put(tmp_path / "a.mp4", clip)).frames) == 2


def test_a_clip_without_end_is_refused_before_it_fills_the_memory(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make.put_at(tmp_path / "a.mp4", [0, 100, 36_000_000], 36_000_100)
    assert "too long" in refusal(path)
    monkeypatch.setattr(media, "MAX_BYTES", 11 * 16 * 16 * 3)
    assert "too long" in refusal(make.put(tmp_path / "b.mp4"))
    assert len(read(make.put(tmp_path / "c.mp4", make.counting(11))).frames) == 11


def test_an_ending_that_lies_does_not_matter(make: Any, tmp_path: Path) -> None:
    make.put(tmp_path / "a.webm").rename(tmp_path / "a.gif")
    assert make.numbers(read(tmp_path / "a.gif").frames) == list(range(12))
    make.put(tmp_path / "b.gif").rename(tmp_path / "b.mp4")
    assert make.numbers(read(tmp_path / "b.mp4").frames) == list(range(12))


def test_a_file_that_is_gone_or_cut_short_says_so(make: Any, tmp_path: Path) -> None:
    path = make.put(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[:-40])
    assert "damaged" in refusal(path)
    path.unlink()
    assert "no file" in refusal(path)


# ---- folders of frames -------------------------------------------------------------------------


def frames_in(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for number, name in enumerate(names):
        Image.new("RGB", (16, 16), (number * 12,) * 3).save(folder / name)
    return folder


@pytest.mark.parametrize("first", [0, 1])
def test_frames_come_in_the_order_of_their_numbers(first: int, make: Any, tmp_path: Path) -> None:
    names = [f"frame_{k + first}.png" for k in range(12)]
    assert make.numbers(read(frames_in(tmp_path / "v", names)).frames) == list(range(12))
    assert conforming.frame_files(tmp_path / "v")[-1].name == names[-1]


def test_pictures_of_any_kind_are_frames(make: Any, tmp_path: Path) -> None:
    names = ["frame_0.png", "frame_1.jpg", "frame_2.webp", "frame_03.BMP"]
    assert make.numbers(read(frames_in(tmp_path / "v", names)).frames) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["frame_0.png", "frame_2.png"], "frame_1 is missing"),
        (["frame_2.png", "frame_3.png"], "frame_1 is missing"),
        (["frame_0.png", "frame_1.png", "frame_1.jpg"], "there twice"),
        ([], "no frames"),
    ],
)
def test_a_gap_in_the_numbers_is_refused(names: list[str], says: str, tmp_path: Path) -> None:
    assert says in refusal(frames_in(tmp_path / "v", names))


def test_a_picture_that_differs_or_is_broken_is_named(tmp_path: Path) -> None:
    folder = frames_in(tmp_path / "v", ["frame_0.png", "frame_1.png"])
    Image.new("RGB", (8, 8)).save(folder / "frame_1.png")
    assert "Frame 1 of v" in refusal(folder)
    (folder / "frame_1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "v/frame_1.png is damaged" in refusal(folder)
