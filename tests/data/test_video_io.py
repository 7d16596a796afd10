"""What is written comes back, plays anywhere, and what cannot be read says why."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from kineograph.core.errors import MachineError, RequestError
from kineograph.data import media
from kineograph.data.clip import Clip
from kineograph.data.sources.tutorial import Config, Source
from kineograph.data.video_io import animation_bytes, read_video, video_bytes

CLIP = Source(Config()).clip(3, 0)  # a black circle on white, moving up-right
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (20, 200, 120), (128, 128, 128)]


def coloured(num_frames: int = 10) -> Clip:
    """Flat squares of several colours, moving down on white."""
    frames = np.full((num_frames, 64, 64, 3), 255, np.uint8)
    for t in range(num_frames):
        for k, colour in enumerate(COLOURS):
            frames[t, 8 + 2 * t : 18 + 2 * t, 2 + 10 * k : 10 + 10 * k] = colour
    return Clip(frames, "squares moving down")


def noisy() -> Clip:
    noise = np.random.default_rng(0).normal(0, 6, CLIP.frames.shape)
    return Clip((CLIP.frames + noise).clip(0, 255).astype(np.uint8), "noise")


def encode(clip: Clip, kind: str, **more: Any) -> bytes:
    write: Callable[..., bytes] = video_bytes if kind in ("mp4", "webm") else animation_bytes
    return write(clip, kind, **more)


def saved(folder: Path, kind: str, content: bytes) -> Path:
    path = folder / f"clip.{kind}"
    path.write_bytes(content)
    return path


def reduced(frames: np.ndarray, scale: int) -> np.ndarray:
    """The mean of each square of scale×scale pixels."""
    t, h, w, c = frames.shape
    return frames.reshape(t, h // scale, scale, w // scale, scale, c).mean(axis=(2, 4))


def write_raw(path: Path, picture: np.ndarray, pix_fmt: str, turn: int = 0, **tags: int) -> Path:
    """Two frames of one picture through libx264 without loss, as other programs might write it."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=Fraction(10), options={"qp": "0"})
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = pix_fmt
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        if turn:
            stream.set_display_rotation(turn)
        for index in range(2):
            frame = av.VideoFrame.from_ndarray(picture).reformat(
                format=pix_fmt, dst_colorspace=tags.get("colorspace", 5)
            )
            frame.pts = index
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def atoms(content: bytes) -> list[str]:
    """The names of an MP4's outermost boxes, in order."""
    names, place = [], 0
    while place < len(content):
        names.append(content[place + 4 : place + 8].decode("latin-1"))
        place += int.from_bytes(content[place : place + 4], "big")
    return names


# ---- what is written comes back ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_a_video_comes_back_within_a_few_grey_levels(kind: str, tmp_path: Path) -> None:
    back = read_video(saved(tmp_path, kind, encode(CLIP, kind, scale=8)))
    assert back.frames.shape == (10, 512, 512, 3)
    assert back.frames.dtype == np.uint8
    assert back.fps == 10
    assert np.abs(reduced(back.frames, 8) - CLIP.frames).max() <= 4
    assert (back.frames[:, :8, :8] == 255).all(), "white stays white"


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_flat_colours_stay_clean(kind: str, tmp_path: Path) -> None:
    clip = coloured()
    back = read_video(saved(tmp_path, kind, encode(clip, kind, scale=8))).frames
    middles = back[:, 4::8, 4::8].astype(int)  # edges share their colour with the neighbour: 4:2:0
    assert np.abs(middles - clip.frames).max() <= 6


@pytest.mark.parametrize("kind", ["gif", "webp"])
@pytest.mark.parametrize("scale", [1, 3])
def test_an_animation_of_few_colours_comes_back_exactly(
    kind: str, scale: int, tmp_path: Path
) -> None:
    for clip in (CLIP, coloured()):
        back = read_video(saved(tmp_path, kind, encode(clip, kind, scale=scale)))
        assert np.array_equal(back.frames[:, ::scale, ::scale], clip.frames)
        assert back.frames.shape == (10, 64 * scale, 64 * scale, 3)
        assert back.fps == 10


def test_webp_is_lossless_whatever_the_colours(tmp_path: Path) -> None:
    back = read_video(saved(tmp_path, "webp", animation_bytes(noisy(), "webp")))
    assert np.array_equal(back.frames, noisy().frames)


def test_a_gif_of_many_colours_is_near_and_keeps_the_common_ones(tmp_path: Path) -> None:
    clip = noisy()
    assert len(np.unique(clip.frames.reshape(-1, 3), axis=0)) > 256
    back = read_video(saved(tmp_path, "gif", animation_bytes(clip, "gif"))).frames
    error = np.abs(back.astype(int) - clip.frames)
    assert error.max() <= 24
    assert error.mean() <= 1.5
    white = (clip.frames == 255).all(axis=-1)
    assert (back[white] == 255).all()


@pytest.mark.parametrize("kind", ["mp4", "webm", "gif", "webp"])
@pytest.mark.parametrize("fps", [0.5, 12.5, 24, 29.97, 30])
def test_the_speed_comes_back(kind: str, fps: float, tmp_path: Path) -> None:
    clip = Clip(coloured(7).frames, "x", fps=fps)
    back = read_video(saved(tmp_path, kind, encode(clip, kind)))
    assert back.fps == pytest.approx(fps, rel=1e-4)
    assert len(back.frames) == 7


@pytest.mark.parametrize("kind", ["mp4", "webm", "gif", "webp"])
def test_frames_that_are_all_alike_are_all_there(kind: str, tmp_path: Path) -> None:
    frozen = Clip(np.repeat(CLIP.frames[:1], 10, axis=0), "frozen")
    back = read_video(saved(tmp_path, kind, encode(frozen, kind)))
    assert back.frames.shape == frozen.frames.shape
    assert back.fps == 10


@pytest.mark.parametrize("kind", ["mp4", "webm", "gif", "webp"])
def test_one_frame_is_a_video(kind: str, tmp_path: Path) -> None:
    back = read_video(saved(tmp_path, kind, encode(Clip(CLIP.frames[:1], ""), kind)))
    assert back.frames.shape == (1, 64, 64, 3)


TOLD = {
    "prompt": '圆圈 moving "up" <&> \N{SLIGHTLY SMILING FACE}\nsecond line',
    "seed": "7",
    "model": "runs/tutorial",
    "version": "0.1.0",
}


@pytest.mark.parametrize("kind", ["mp4", "webm", "gif", "webp"])
def test_metadata_comes_back(kind: str, tmp_path: Path) -> None:
    back = read_video(saved(tmp_path, kind, encode(CLIP, kind, metadata=TOLD))).metadata
    assert {key: back.get(key) for key in TOLD} == TOLD
    assert back["title"] == CLIP.caption
    assert "seed: 7" in back["comment"]


@pytest.mark.parametrize("kind", ["mp4", "webm", "gif", "webp"])
def test_metadata_that_no_format_can_hold_is_made_harmless(kind: str, tmp_path: Path) -> None:
    told = {"prompt": "a\0b\x1b\ud800c", "Odd key!": "v"}
    back = read_video(saved(tmp_path, kind, encode(CLIP, kind, metadata=told))).metadata
    assert back["prompt"] == "a b ?c"
    assert back["odd_key_"] == "v"


# ---- what is written plays anywhere ------------------------------------------------------------


def test_mp4_begins_with_its_index_even_with_metadata() -> None:
    order = atoms(video_bytes(CLIP, "mp4", scale=8, metadata=TOLD))
    assert order.index("moov") < order.index("mdat")


@pytest.mark.parametrize(("kind", "codec"), [("mp4", "h264"), ("webm", "vp9")])
def test_a_video_is_420_with_even_sides_and_tagged_colours(kind: str, codec: str) -> None:
    odd = Clip(coloured().frames[:, :63, :61], "odd")
    with av.open(io.BytesIO(encode(odd, kind, scale=3))) as container:
        (stream,) = container.streams
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        assert context.codec.canonical_name == codec
        assert context.pix_fmt == "yuv420p"
        assert (stream.height, stream.width) == (190, 184)
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
        assert context.color_range == 1
        assert stream.average_rate == 10
        assert container.duration == av.time_base, "10 frames at 10 frames/s last one second"


def test_odd_sides_repeat_the_last_row_and_column(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 1, 3, 1)).astype(np.uint8).repeat(3, 3)
    back = read_video(saved(tmp_path, "mp4", video_bytes(Clip(frames, "grey"), "mp4", scale=5)))
    assert back.frames.shape == (2, 6, 16, 3)
    assert np.abs(back.frames[:, 5].astype(int) - back.frames[:, 4]).max() <= 4
    assert np.abs(back.frames[:, :, 15].astype(int) - back.frames[:, :, 14]).max() <= 4


@pytest.mark.parametrize("kind", ["mp4", "webm"])
@pytest.mark.parametrize("scale", [1, 3])
def test_colours_stay_in_their_places_at_odd_sides_and_scales(
    kind: str, scale: int, tmp_path: Path
) -> None:
    whole = coloured()
    clip = Clip(whole.frames[:, :63, :61], whole.caption)
    back = read_video(saved(tmp_path, kind, encode(clip, kind, scale=scale))).frames
    middles = back[:, scale // 2 :: scale, scale // 2 :: scale][:, :63, :61].astype(int)
    for t in range(len(middles)):
        for k, colour in enumerate(COLOURS[:5]):
            square = middles[t, 11 + 2 * t : 15 + 2 * t, 5 + 10 * k : 8 + 10 * k]
            assert np.abs(square - np.array(colour)).max() <= 8


def test_pixels_are_enlarged_to_squares(tmp_path: Path) -> None:
    back = read_video(saved(tmp_path, "webp", animation_bytes(CLIP, "webp", scale=4))).frames
    assert np.array_equal(back, CLIP.frames.repeat(4, axis=1).repeat(4, axis=2))


@pytest.mark.parametrize("kind", ["gif", "webp"])
@pytest.mark.parametrize("fps", [10, 30])
def test_an_animation_loops_for_ever_and_lasts_as_long_as_the_clip(kind: str, fps: float) -> None:
    with Image.open(io.BytesIO(encode(Clip(CLIP.frames, "", fps=fps), kind))) as image:
        total = 0.0
        for index in range(image.n_frames):
            image.seek(index)
            image.load()
            total += image.info["duration"]
        assert image.info["loop"] == 0
        assert image.n_frames == 10
        assert total == pytest.approx(10_000 / fps, abs=5)


@pytest.mark.parametrize("kind", ["mp4", "webm", "gif", "webp"])
@pytest.mark.parametrize(
    ("shape", "fps", "scale"),
    [
        ((0, 64, 64, 3), 10, 1),
        ((2, 0, 64, 3), 10, 1),
        ((2, 64, 64, 3), 0, 1),
        ((2, 64, 64, 3), float("nan"), 1),
        ((2, 64, 64, 3), 1e6, 1),
        ((2, 64, 64, 3), 10, 0),
        ((2, 64, 64, 3), 10, 1000),
    ],
)
def test_what_no_file_can_hold_is_refused(
    kind: str, shape: tuple[int, ...], fps: float, scale: int
) -> None:
    with pytest.raises(RequestError):
        encode(Clip(np.zeros(shape, np.uint8), "", fps=fps), kind, scale=scale)


@pytest.mark.parametrize(("kind", "fps"), [("gif", 60), ("webp", 120)])
def test_a_speed_that_browsers_would_slow_down_is_refused(kind: str, fps: float) -> None:
    with pytest.raises(RequestError, match="MP4"):
        encode(Clip(CLIP.frames, "", fps=fps), kind)


def test_a_full_temporary_disk_is_the_machines_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(av, "open", full)
    with pytest.raises(MachineError, match="full"):
        video_bytes(CLIP, "mp4")


# ---- what others write is read -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape", "fps"),
    [
        ("nasa_13013.mp4", (390, 270, 480, 3), 29.97),  # the larger of two streams
        ("h265_video.mp4", (10, 128, 128, 3), 10),
        ("h264_10bits.mp4", (30, 200, 200, 3), 30),
        ("av1_video.mkv", (125, 360, 640, 3), 25),
        ("bt709_full_range.mp4", (30, 720, 1280, 3), 30),
    ],
)
def test_real_videos_are_decoded(
    name: str, shape: tuple[int, ...], fps: float, dataset: Callable[[str], Path]
) -> None:
    video = read_video(dataset("clips") / name)
    assert video.frames.shape == shape
    assert video.fps == pytest.approx(fps, abs=0.01)
    assert video.frames.std() > 5, "there is a picture"


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le", "yuv444p10le"])
@pytest.mark.parametrize("colorspace", [1, 5])
@pytest.mark.parametrize("color_range", [1, 2])
def test_depth_matrix_and_range_are_honoured(
    pix_fmt: str, colorspace: int, color_range: int, tmp_path: Path
) -> None:
    picture = np.repeat(np.array([[*COLOURS, (255, 255, 255), (0, 0, 0)]], np.uint8), 16, axis=0)
    picture = picture.repeat(16, axis=1)
    y, cb, cr = yuv(picture, 0.2126 if colorspace == 1 else 0.299, colorspace, color_range, pix_fmt)
    path = tmp_path / "raw.mp4"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=10, options={"qp": "0"})
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.colorspace, stream.codec_context.color_range = colorspace, color_range
        frame = av.VideoFrame(picture.shape[1], picture.shape[0], pix_fmt)
        for plane, values in zip(frame.planes, (y, cb, cr), strict=True):
            rows = np.zeros((plane.height, plane.line_size), np.uint8)
            rows[:, : values.shape[1] * values.itemsize] = values.view(np.uint8)
            plane.update(rows.tobytes()[: plane.buffer_size])
        frame.colorspace, frame.color_range, frame.pts = colorspace, color_range, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    back = read_video(path).frames[0, 8::16, 8::16].astype(int)
    assert np.abs(back - picture[8::16, 8::16]).max() <= 2


def yuv(
    picture: np.ndarray, red: float, colorspace: int, color_range: int, pix_fmt: str
) -> Iterator[np.ndarray]:
    """RGB => planes by the definition (ITU-R BT.709, BT.601), chroma halved for 4:2:0."""
    blue = 0.0722 if colorspace == 1 else 0.114
    r, g, b = np.moveaxis(picture / 255, -1, 0)
    luma = red * r + (1 - red - blue) * g + blue * b
    chroma = ((b - luma) / (2 - 2 * blue), (r - luma) / (2 - 2 * red))
    bits = 10 if "10le" in pix_fmt else 8
    unit, most = 2 ** (bits - 8), 2**bits - 1
    full = color_range == 2
    step = 2 if "420" in pix_fmt else 1
    kind = np.uint16 if bits > 8 else np.uint8
    planes = [luma * most if full else (16 + 219 * luma) * unit]
    planes += [128 * unit + c[::step, ::step] * (most if full else 224 * unit) for c in chroma]
    return (np.rint(plane).clip(0, most).astype(kind) for plane in planes)


@pytest.mark.parametrize(("turn", "quarters"), [(90, 1), (180, 2), (-90, 3)])
def test_a_turned_video_is_set_upright(turn: int, quarters: int, tmp_path: Path) -> None:
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:16, :16] = 255  # a white corner at the top left
    plain = read_video(write_raw(tmp_path / "a.mp4", picture, "yuv444p")).frames[0]
    turned = read_video(write_raw(tmp_path / "b.mp4", picture, "yuv444p", turn)).frames[0]
    assert np.array_equal(turned, np.rot90(plain, quarters))


def test_a_mirrored_video_is_set_right(tmp_path: Path) -> None:
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:16, :16] = 255
    content = write_raw(tmp_path / "a.mp4", picture, "yuv444p").read_bytes()
    one, zero = (1 << 16).to_bytes(4, "big"), bytes(4)
    matrix = one + zero * 3 + one + zero * 3 + (1 << 30).to_bytes(4, "big")
    start = content.index(matrix, content.index(b"tkhd"))
    mirrored = (-(1 << 16)).to_bytes(4, "big", signed=True) + matrix[4:]
    path = saved(tmp_path, "mp4", content[:start] + mirrored + content[start + 36 :])
    assert (read_video(path).frames[0, :16, -16:] > 250).all()


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    seen = Image.new("RGBA", (16, 16), (255, 0, 0, 255))
    seen.paste((0, 0, 0, 0), (0, 0, 8, 16))
    half = Image.new("RGBA", (16, 16), (0, 0, 0, 128))
    for kind in ("png", "webp"):
        path = tmp_path / f"a.{kind}"
        seen.save(path, save_all=True, append_images=[half], duration=100, lossless=True)
        frames = read_video(path).frames
        assert frames[0, 0, 0].tolist() == [255, 255, 255]
        assert frames[0, 0, 15].tolist() == [255, 0, 0]
        assert frames[1, 0, 0].tolist() == [127, 127, 127]


def test_an_animated_png_is_read(tmp_path: Path) -> None:
    frames = [Image.fromarray(frame) for frame in CLIP.frames]
    path = tmp_path / "a.png"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40)
    video = read_video(path)
    assert np.array_equal(video.frames, CLIP.frames)
    assert video.fps == pytest.approx(25)


def test_the_picture_for_those_who_cannot_play_is_no_frame(tmp_path: Path) -> None:
    frames = [Image.fromarray(frame) for frame in CLIP.frames]
    path = tmp_path / "a.png"
    Image.new("RGB", (64, 64)).save(path, save_all=True, append_images=frames, default_image=True)
    assert np.array_equal(read_video(path).frames, CLIP.frames)


def test_a_frame_that_stays_is_repeated_and_no_delay_is_a_tenth_of_a_second(tmp_path: Path) -> None:
    a, b = (Image.fromarray(frame) for frame in CLIP.frames[:2])
    path = tmp_path / "a.gif"
    a.save(path, save_all=True, append_images=[b], duration=[50, 150])
    video = read_video(path)
    assert len(video.frames) == 4
    assert video.fps == pytest.approx(20)
    assert np.array_equal(video.frames[1], video.frames[3])
    a.save(path, save_all=True, append_images=[b], duration=0)
    assert read_video(path).fps == 10


def test_a_comment_that_is_not_ours_is_kept(tmp_path: Path) -> None:
    for comment in ("made by hand", "[1]", "{"):
        path = tmp_path / "a.gif"
        Image.fromarray(CLIP.frames[0]).save(path, comment=comment)
        assert read_video(path).metadata["comment"] == comment


# ---- what cannot be read says why --------------------------------------------------------------


def refusal(path: Path, **more: Any) -> str:
    with pytest.raises(RequestError) as caught:
        read_video(path, **more)
    assert caught.value.exit_code == 2
    assert path.name in caught.value.cause
    assert caught.value.remedy
    return caught.value.cause


def test_missing_folder_and_empty_are_told_apart(tmp_path: Path) -> None:
    assert "no file" in refusal(tmp_path / "missing.mp4")
    assert "folder" in refusal(tmp_path)
    assert "empty" in refusal(saved(tmp_path, "mp4", b""))
    assert "device" in refusal(Path("/dev/null"))


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("mp4", b"this is text, whatever its name says\n" * 20),
        ("txt", b"text that FFmpeg would draw as a terminal\n" * 20),
        ("mp4", bytes(5000)),
        ("mp4", b"\x00\x00\x00\x18ftypisom" + bytes(100)),
        ("m3u8", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"),
        ("ffconcat", b"ffconcat version 1.0\nfile '/etc/passwd'\n"),
        ("avi", b"RIFF\x00\x00\x00\x00AVI LIST"),
        ("gif", b"GIF89a"),
        ("png", b"\x89PNG\r\n\x1a\n"),
        ("webp", b"RIFF\x00\x00\x00\x00WEBP"),
    ],
)
def test_what_is_no_video_is_refused(kind: str, content: bytes, tmp_path: Path) -> None:
    assert "damaged or no video" in refusal(saved(tmp_path, kind, content))


def test_a_still_photograph_is_refused(tmp_path: Path) -> None:
    Image.fromarray(CLIP.frames[0]).save(tmp_path / "a.jpg")
    assert "not a kind of file" in refusal(tmp_path / "a.jpg")


@pytest.mark.parametrize(("kind", "codec"), [("wav", "pcm_s16le"), ("mp4", "aac")])
def test_sound_alone_has_no_video_stream(kind: str, codec: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=8000)
        kind_of_sample = "s16" if codec == "pcm_s16le" else "fltp"
        silence = np.zeros((1, 4000), np.int16 if kind_of_sample == "s16" else np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format=kind_of_sample, layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    assert "no video stream" in refusal(path)


@pytest.mark.parametrize("kind", ["mp4", "webm", "gif", "webp", "png"])
def test_a_file_cut_short_anywhere_is_refused(kind: str, tmp_path: Path) -> None:
    if kind == "png":
        out = io.BytesIO()
        frames = [Image.fromarray(frame) for frame in coloured().frames]
        frames[0].save(out, "PNG", save_all=True, append_images=frames[1:], duration=100)
        content = out.getvalue()
    else:
        content = encode(coloured(), kind, scale=2)
    # the last bytes of a WebM (an index) and a PNG (check sums, end mark) hold no picture
    last = len(content) - {"webm": 60, "png": 24}.get(kind, 1)
    for length in np.linspace(1, last, 25).astype(int):
        refusal(saved(tmp_path, kind, content[:length]))


@pytest.mark.parametrize("kind", ["mp4", "webm", "gif", "webp"])
def test_damage_anywhere_is_an_error_for_people_or_harmless(kind: str, tmp_path: Path) -> None:
    content = encode(coloured(), kind, scale=2, metadata=TOLD)
    random = np.random.default_rng(0)
    for _ in range(25):
        damaged = bytearray(content)
        where = int(random.integers(len(content)))
        damaged[where : where + 8] = random.bytes(len(damaged[where : where + 8]))
        path = saved(tmp_path, kind, bytes(damaged))
        with contextlib.suppress(RequestError):  # any other error fails the test
            assert read_video(path).frames.ndim == 4


def test_zeros_from_the_middle_of_a_video_are_damage(tmp_path: Path) -> None:
    content = video_bytes(noisy(), "mp4")
    middle = (content.index(b"mdat") + len(content)) // 2
    refusal(saved(tmp_path, "mp4", content[:middle] + bytes(len(content) - middle)))


def test_absurd_sizes_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    Image.new("1", (9000, 4)).save(tmp_path / "wide.png")
    assert "9000×4" in refusal(tmp_path / "wide.png")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    refusal(tmp_path / "bomb.png")
    write_raw(tmp_path / "wide.mp4", np.zeros((16, 8320, 3), np.uint8), "yuv420p")
    assert "8320×16" in refusal(tmp_path / "wide.mp4")


@pytest.mark.parametrize("kind", ["mp4", "webm", "gif", "webp"])
def test_too_many_frames_are_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, kind, encode(CLIP, kind))
    assert len(read_video(path, max_frames=10).frames) == 10
    assert "too long" in refusal(path, max_frames=9)
    monkeypatch.setattr(media, "MAX_BYTES", 9 * 64 * 64 * 3)
    assert "too long" in refusal(path)


def test_a_gif_that_stays_for_ever_does_not_fill_the_memory(tmp_path: Path) -> None:
    a, b = (Image.new("P", (2000, 2000), index) for index in (0, 1))
    a.save(tmp_path / "a.gif", save_all=True, append_images=[b], duration=[20, 655_350])
    assert "too long" in refusal(tmp_path / "a.gif")
