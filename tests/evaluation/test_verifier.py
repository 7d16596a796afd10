from __future__ import annotations

import io
import json
from collections.abc import Callable

import av
import numpy as np
import pytest

from kineograph.core.conventions import MAX_PROMPT_CHARACTERS
from kineograph.data.clip import Clip
from kineograph.data.grammar import MANNERS, Description, Motion, ObjectDescription, parse
from kineograph.data.sources.tutorial import CAPTIONS, Config, Source
from kineograph.evaluation.tracker import track
from kineograph.evaluation.verifier import judge, verify, verify_clip

Draw = Callable[..., np.ndarray]
ALL = {
    Motion(verb, manner): Description((ObjectDescription("circle", Motion(verb, manner)),))
    for verb in MANNERS
    if verb != "orbiting"  # of a circle the same as rotating
    for manner in MANNERS[verb]
}
RIGHTWARD = np.stack([np.linspace(12, 52, 10), np.full(10, 30.0)], axis=1)


def compressed(frames: np.ndarray, quality: int = 24) -> np.ndarray:
    """Through H.264 and back, colours at half the resolution."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream(
            "libx264", rate=10, options={"crf": str(quality), "threads": "1", "preset": "fast"}
        )
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])


# ---- right clips ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(num_frames=5),
        Config(num_frames=17),
        Config(num_frames=30),
        Config(height=96, width=128),
        Config(height=256, width=256),
    ],
    ids=["default", "5 frames", "17 frames", "30 frames", "128×96", "256×256"],
)
def test_a_right_clip_does_what_its_caption_says_and_nothing_else(config: Config) -> None:
    batch = Source(config).batch(np.arange(3 * len(CAPTIONS)), seed=11)
    for frames, caption in zip(batch.frames, batch.captions, strict=True):
        seen = track(frames)
        done = [motion for motion, asked in ALL.items() if judge(seen, asked)]
        wanted = parse(caption)
        assert done == [wanted.objects[0].motion], judge(seen, wanted).reasons


@pytest.mark.parametrize("scale", [1, 8])
def test_compression_changes_no_verdict(scale: int) -> None:
    batch = Source(Config()).batch(np.arange(len(CAPTIONS)), seed=5)
    for index, (frames, caption) in enumerate(zip(batch.frames, batch.captions, strict=True)):
        quality = 18 + index % 3 * (6 if scale == 8 else 3)
        again = compressed(frames.repeat(scale, axis=1).repeat(scale, axis=2), quality)
        seen = track(again)
        done = [motion for motion, asked in ALL.items() if judge(seen, asked)]
        wanted = parse(caption)
        assert done == [wanted.objects[0].motion], judge(seen, wanted).reasons


@pytest.mark.parametrize(
    ("color", "background"),
    [
        ((255, 0, 0), (0, 0, 0)),
        ((255, 255, 255), (0, 0, 0)),
        ((255, 255, 0), (255, 255, 255)),
        ((200, 30, 30), (60, 160, 60)),
        ((90, 90, 90), (160, 160, 160)),
    ],
)
def test_any_colours_will_do(
    draw: Draw, color: tuple[int, int, int], background: tuple[int, int, int]
) -> None:
    frames = draw(RIGHTWARD, color=color, background=background)
    assert verify(frames, "circle moving right")
    assert not verify(frames, "circle moving left")
    assert not verify(frames, "circle rotating clockwise")


def test_pixels_need_not_be_smooth(draw: Draw) -> None:
    rough = np.where(draw(RIGHTWARD) < 128, 0, 255).astype(np.uint8)
    assert verify(rough, "circle moving right").reasons == []


# ---- leaving and entering -------------------------------------------------------------------


def test_it_may_leave_and_enter_over_an_edge(draw: Draw) -> None:
    leaving = np.stack([30 + 6.0 * np.arange(10), np.full(10, 30.0)], axis=1)
    frames = draw(leaving)
    assert frames[-1].min() == 255  # it is gone
    assert verify(frames, "circle moving right").reasons == []
    assert verify(frames[::-1], "circle moving left").reasons == []
    assert not verify(frames, "circle moving left")


def test_it_may_not_vanish_inside_the_picture(draw: Draw) -> None:
    for gone in ([0], [4], [5, 6], [8, 9], [9]):
        frames = draw(RIGHTWARD)
        frames[gone] = 255
        verdict = verify(frames, "circle moving right")
        assert "vanishes" in " ".join(verdict.reasons)


def test_it_must_be_seen_in_half_of_the_frames(draw: Draw) -> None:
    fast = np.stack([40 + 9.0 * np.arange(10), np.full(10, 30.0)], axis=1)
    assert "visible in 4 frames" in " ".join(verify(draw(fast), "circle moving right").reasons)


def test_it_may_shrink_to_nothing(draw: Draw) -> None:
    place = np.full((10, 2), 30.0)
    sizes = np.maximum(np.linspace(20, -3, 10), -1)
    assert verify(draw(place, sizes), "circle shrinking").reasons == []
    assert verify(draw(place, sizes[::-1]), "circle expanding").reasons == []
    cut_off = np.where(np.arange(10) < 7, np.linspace(24, 6, 10), -1)
    assert "vanishes" in " ".join(verify(draw(place, cut_off), "circle shrinking").reasons)


@pytest.mark.parametrize("centre", [(32, 32), (20, 32), (24, 40)])
@pytest.mark.parametrize("largest", [50, 64, 80])
def test_it_may_grow_beyond_the_picture(
    draw: Draw, centre: tuple[int, int], largest: float
) -> None:
    frames = draw(np.repeat([centre], 10, axis=0), np.linspace(10, largest, 10))
    assert verify(frames, "circle expanding").reasons == []
    assert verify(frames[::-1], "circle shrinking").reasons == []


# ---- one disc, and nothing but a disc -------------------------------------------------------


def test_a_second_object_is_refused_in_a_single_frame(draw: Draw) -> None:
    for diameter, color in ((10.0, 0), (10.0, 190), (4.5, 0)):
        frames = draw(RIGHTWARD)
        other = draw([[30.0, 52.0]], diameter, color=(color,) * 3)
        frames[6] = np.minimum(frames[6], other[0])
        assert "more than one object" in " ".join(verify(frames, "circle moving right").reasons)


def test_a_few_specks_are_forgiven_and_many_are_not(draw: Draw) -> None:
    frames = draw(RIGHTWARD)
    frames[3, 50, 50] = frames[7, 5, 40] = 0
    assert verify(frames, "circle moving right")
    frames[3, 8:16:2, 8:24:2] = 0
    assert "Specks" in " ".join(verify(frames, "circle moving right").reasons)


def test_a_square_bar_is_no_circle(draw: Draw) -> None:
    frames = np.full((10, 64, 64, 3), 255, np.uint8)
    for index, x in enumerate(range(8, 48, 4)):
        frames[index, 26:32, x : x + 14] = 0
    assert "no circle" in " ".join(verify(frames, "circle moving right").reasons)


def test_a_smear_is_refused(draw: Draw) -> None:
    frames = draw(RIGHTWARD)
    trail = np.minimum(frames, np.roll(frames, 1, axis=0) // 2 + 128)
    trail[0] = frames[0]
    reasons = " ".join(verify(trail, "circle moving right").reasons)
    assert "no circle" in reasons or "smeared" in reasons


def test_a_changing_size_is_refused_where_none_was_asked_for(draw: Draw) -> None:
    sizes = np.linspace(6, 14, 10)
    assert "size changes" in " ".join(verify(draw(RIGHTWARD, sizes), "circle moving right").reasons)


def test_fading_away_is_refused(draw: Draw) -> None:
    frames = draw(RIGHTWARD)
    frames[7:] = (255 - 0.25 * (255.0 - frames[7:])).astype(np.uint8)
    assert not verify(frames, "circle moving right")


def test_nothing_and_next_to_nothing_are_refused(draw: Draw) -> None:
    blank = np.full((10, 64, 64, 3), 255, np.uint8)
    faint = draw(RIGHTWARD, color=(225, 225, 225))
    for frames in (blank, faint):
        verdict = verify(frames, "circle moving right")
        assert verdict.verdict == "no"
        assert "Nothing is visible" in verdict.reasons[0]


def test_noise_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3)).astype(np.uint8)
    assert verify(noise, "circle shrinking").verdict == "no"


# ---- the verdict ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "why"),
    [
        ("", "object and a motion"),
        ("   ", "object and a motion"),
        ("dragon moving left", "dragon"),
        ("circle jumping", "jumping"),
        ("circle moving sideways", "sideways"),
        ("circle moving left " * 100, str(MAX_PROMPT_CHARACTERS)),
    ],
)
def test_an_unknown_prompt_cannot_be_judged(draw: Draw, prompt: str, why: str) -> None:
    verdict = verify(draw(RIGHTWARD), prompt)
    assert verdict.verdict == "cannot judge"
    assert why in verdict.reasons[0]
    assert not verdict


def test_too_short_or_too_small_cannot_be_judged(draw: Draw) -> None:
    assert verify(draw(RIGHTWARD[:3]), "circle moving right").verdict == "cannot judge"
    assert verify(draw(RIGHTWARD[::3]), "circle moving right").verdict == "yes"
    small = draw(RIGHTWARD)[:, :12, :12]
    assert verify(small, "circle moving right").verdict == "cannot judge"


@pytest.mark.parametrize("frames", [np.zeros((10, 64, 64)), np.zeros((10, 64, 64, 3))])
def test_what_is_no_video_is_an_error(frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match="verify wants"):
        verify(frames, "circle moving left")


def test_other_spellings_ask_for_the_same(draw: Draw) -> None:
    frames = draw(RIGHTWARD[:, ::-1])
    for prompt in ("circle moving down", "A circle is moving downwards.", "Circle moving DOWN"):
        assert verify(frames, prompt).verdict == "yes"


def test_what_was_measured_fits_in_json_and_says_why(draw: Draw) -> None:
    frames = draw(RIGHTWARD)
    right, wrong = verify(frames, "circle moving right"), verify(frames, "circle moving up")
    assert json.loads(json.dumps(right.measured)) == right.measured
    assert right.measured["velocity"] == pytest.approx([40 / 9, 0], abs=0.02)
    assert right.measured["object_color"] == [0, 0, 0]
    assert len(right.measured["centre"]) == 10
    assert wrong.reasons == ["It moves 90° off up; the limit is 15°."]


def test_of_what_stands_still_no_direction_is_told(draw: Draw) -> None:
    still = verify(draw(np.repeat(RIGHTWARD[:1], len(RIGHTWARD), axis=0)), "circle moving left")
    assert any(reason.startswith("It travels 0.0 pixels") for reason in still.reasons)
    assert not any("off left" in reason for reason in still.reasons)


def test_a_clip_is_judged_by_its_own_caption_or_another(draw: Draw) -> None:
    clip = Clip(draw(RIGHTWARD), "circle moving right", fps=12.0)
    assert verify_clip(clip).verdict == "yes"
    assert verify_clip(clip, "circle expanding").verdict == "no"
    assert verify_clip(clip).measured["fps"] == 12.0
