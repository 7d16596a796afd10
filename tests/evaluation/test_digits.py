from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from kineograph.core.conventions import MAX_PROMPT_CHARACTERS
from kineograph.data.clip import Clip
from kineograph.data.digit_images import SIDE, load
from kineograph.data.sources.digits import (
    AXES,
    LEFT_AND_RIGHT,
    UP_AND_DOWN,
    Config,
    Moving,
    Source,
    describe,
    parse,
)
from kineograph.evaluation import digits
from kineograph.evaluation.corruptions import CORRUPTIONS, MILD
from kineograph.evaluation.digit_classifier import Classifier, classifier_for, train
from kineograph.evaluation.digit_tracker import see
from kineograph.evaluation.verifier import Verdict

Judge = Callable[..., Verdict]


@pytest.fixture(scope="module")
def printed_digits(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder like MNIST's, with digits from a printer: 600, each turned by some degrees."""
    rng, font = np.random.default_rng(0), ImageFont.load_default(24)
    pixels = np.zeros((600, SIDE, SIDE), np.uint8)
    for k in range(len(pixels)):
        image = Image.new("L", (SIDE, SIDE))
        ImageDraw.Draw(image).text((14, 14), str(k % 10), 255, font, anchor="mm")
        pixels[k] = image.rotate(rng.uniform(-12, 12), Image.Resampling.BICUBIC)
    labels = (np.arange(len(pixels)) % 10).astype(np.uint8)
    folder = tmp_path_factory.mktemp("printed")
    for name, array in (("images", pixels), ("labels", labels)):
        head = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        file = folder / f"t10k-{name}-idx{array.ndim}-ubyte"
        file.write_bytes(head + array.tobytes())
    return str(folder)


@pytest.fixture(scope="module")
def classifier(printed_digits: str) -> Classifier:
    return train(load(printed_digits))


@pytest.fixture(scope="module")
def judge(classifier: Classifier) -> Judge:
    def _judge(frames: np.ndarray, *wanted: Moving) -> Verdict:
        return digits.judge(see(frames), wanted, classifier)

    return _judge


@pytest.fixture(scope="module")
def clips(printed_digits: str) -> dict[int, list[Clip]]:
    """Clips of one and of two digits."""
    sources = {n: Source(Config(path=printed_digits, two_digits=n - 1)) for n in (1, 2)}
    return {n: [source.clip(7 * i, 3) for i in range(20)] for n, source in sources.items()}


@pytest.fixture(scope="module")
def rightward(printed_digits: str) -> Clip:
    """A 4 that moves left and right."""
    return Source(Config(path=printed_digits, two_digits=0)).clip(4, 0)


def why(verdict: Verdict) -> str:
    assert verdict.verdict == "no"
    return " ".join(verdict.reasons)


# ---- right clips ----------------------------------------------------------------------------


def test_a_right_clip_shows_its_digit_on_its_axis_and_no_other(
    clips: dict[int, list[Clip]], classifier: Classifier
) -> None:
    for clip in clips[1]:
        seen = see(clip.frames)
        done = [
            Moving(digit, axis)
            for digit, axis in itertools.product(range(10), AXES)
            if digits.judge(seen, [Moving(digit, axis)], classifier)
        ]
        assert done == [*parse(clip.caption)], digits.judge(seen, parse(clip.caption), classifier)


def test_two_digits_may_be_named_in_either_order(
    clips: dict[int, list[Clip]], classifier: Classifier
) -> None:
    for clip in clips[2]:
        seen, wanted = see(clip.frames), parse(clip.caption)
        for order in (wanted, wanted[::-1]):
            verdict = digits.judge(seen, order, classifier)
            assert verdict.reasons == [], clip.caption
            assert all(verdict.facts.values())
            assert list(verdict.facts) == [
                "objects",
                "digit",
                "axis",
                "second digit",
                "second axis",
            ]


@pytest.mark.parametrize(
    "settings",
    [
        {"height": 256, "width": 256},
        {"height": 96, "width": 128},
        {"height": 48, "width": 48},
        {"num_frames": 6},
        {"num_frames": 30},
    ],
    ids=str,
)
def test_other_sizes_and_lengths(
    printed_digits: str, judge: Judge, settings: dict[str, int]
) -> None:
    source = Source(Config(path=printed_digits, two_digits=0.3, **settings))  # type: ignore[arg-type]
    for index in range(20):
        clip = source.clip(index, 1)
        assert judge(clip.frames, *parse(clip.caption)).reasons == []


@pytest.mark.parametrize("name", [*MILD, "reversed", "recolored"])
def test_what_leaves_the_caption_true_is_accepted(
    clips: dict[int, list[Clip]], judge: Judge, name: str
) -> None:
    assert not digits.broken(name)
    for index, clip in enumerate(clips[1] + clips[2]):
        frames = (CORRUPTIONS | MILD)[name](clip.frames, index)
        assert judge(frames, *parse(clip.caption)).reasons == []


def test_any_colours_will_do(rightward: Clip, judge: Judge) -> None:
    share = rightward.frames / 255
    for ink, paper in (((0, 0, 0), (255,) * 3), ((250, 60, 20), (20, 40, 90))):
        frames = np.rint(paper + share * (np.array(ink) - paper)).astype(np.uint8)
        assert judge(frames, *parse(rightward.caption)).reasons == []


def test_the_same_digit_twice(judge: Judge, printed_digits: str) -> None:
    source = Source(Config(path=printed_digits, two_digits=0, num_frames=9))
    upper, lower = source.clip(4, 0).frames, source.clip(14, 1).frames
    frames = np.maximum(_in_row(upper, 4), _in_row(lower, 38))
    four = Moving(4, LEFT_AND_RIGHT)
    assert judge(frames, four, four).reasons == []
    verdict = judge(frames, four, Moving(4, UP_AND_DOWN))
    assert "The second 4 travels" in why(verdict)
    assert verdict.facts["axis"]
    assert not verdict.facts["second axis"]


def _in_row(frames: np.ndarray, top: int) -> np.ndarray:
    rows = np.flatnonzero(frames.any(axis=(0, 2, 3)))
    return np.roll(frames, top - rows[0], axis=1)


# ---- wrong ones -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if digits.broken(name)])
@pytest.mark.parametrize("number", [1, 2])
def test_a_broken_clip_is_refused(
    clips: dict[int, list[Clip]], judge: Judge, name: str, number: int
) -> None:
    for index, clip in enumerate(clips[number]):
        frames = CORRUPTIONS[name](clip.frames, index)
        verdict = judge(frames, *parse(clip.caption))
        assert not verdict, (name, clip.caption, index)
        assert verdict.reasons
        assert not all(verdict.facts.values())


def test_facts_tell_what_is_wrong(rightward: Clip, judge: Judge) -> None:
    wrong_digit = judge(rightward.frames, Moving(7, LEFT_AND_RIGHT))
    assert wrong_digit.facts == {"objects": True, "digit": False, "axis": True}
    assert "reads as a 4" in why(wrong_digit)
    wrong_axis = judge(rightward.frames, Moving(4, UP_AND_DOWN))
    assert wrong_axis.facts == {"objects": True, "digit": True, "axis": False}
    assert "sways" in why(wrong_axis)


def test_axes_that_have_changed_places_are_noticed(
    clips: dict[int, list[Clip]], judge: Judge
) -> None:
    crossing = [c for c in clips[2] if len({m.axis for m in parse(c.caption)}) == 2]
    assert len(crossing) > 5
    for clip in crossing:
        first, second = parse(clip.caption)
        swapped = Moving(first.digit, second.axis), Moving(second.digit, first.axis)
        assert not judge(clip.frames, *swapped)


def test_too_many_and_too_few_are_refused(clips: dict[int, list[Clip]], judge: Judge) -> None:
    for clip in clips[2]:
        for wanted in parse(clip.caption):
            verdict = judge(clip.frames, wanted)
            assert "2 objects" in why(verdict)
            assert not verdict.facts["objects"]
    for clip in clips[1]:
        (wanted,) = parse(clip.caption)
        verdict = judge(clip.frames, wanted, Moving((wanted.digit + 1) % 10, UP_AND_DOWN))
        assert "is not there" in why(verdict)
        assert verdict.facts["digit"]
        assert not verdict.facts["second digit"]


def test_one_of_two_must_not_vanish(
    printed_digits: str, judge: Judge, clips: dict[int, list[Clip]]
) -> None:
    """Not where they are apart, and not where they touch."""
    for clip in clips[2]:
        assert clip.facts is not None
        first, second = (thing.position for thing in clip.facts.objects)
        apart = np.abs(first - second).max(axis=1)
        for frame in (int(apart.argmax()), int(apart.argmin())):
            frames = clip.frames.copy()
            x, y = np.rint(second[frame]).astype(int)
            frames[frame, max(y - 14, 0) : y + 14, max(x - 14, 0) : x + 14] = 0
            assert not judge(frames, *parse(clip.caption)), (clip.caption, frame)


def test_a_digit_that_becomes_another_is_refused(printed_digits: str, judge: Judge) -> None:
    source = Source(Config(path=printed_digits, two_digits=0))
    four, eight = source.clip(4, 0), source.clip(8, 0)
    assert four.facts is not None
    assert eight.facts is not None
    move = np.rint(four.facts.objects[0].position - eight.facts.objects[0].position).astype(int)
    frames = four.frames.copy()
    for t in range(5, 10):
        frames[t] = np.roll(eight.frames[t], (move[t, 1], move[t, 0]), axis=(0, 1))
    for digit in (4, 8):
        assert "changes its shape at once" in why(judge(frames, Moving(digit, LEFT_AND_RIGHT)))


def drawn(rightward: Clip, along: list[float]) -> np.ndarray:
    """The 4 with its middle at these places, whole pixels, in its row."""
    assert rightward.facts is not None
    at = rightward.facts.objects[0].position[0, 0]
    return np.stack([np.roll(rightward.frames[0], round(x - at), axis=1) for x in along])


def test_how_it_may_move(rightward: Clip, judge: Judge) -> None:
    four = Moving(4, LEFT_AND_RIGHT)

    def said(along: list[float]) -> str:
        return " ".join(judge(drawn(rightward, along), four).reasons)

    assert said([20, 27, 34, 41, 48, 46, 39, 32, 25, 18]) == ""
    assert said([22, 15, 16, 23, 30, 37, 44, 49, 44, 37]) == ""
    assert "does not turn back" in said([15, 19, 23, 27, 31, 35, 39, 43, 47, 50])
    assert "travels 0.0" in said([30] * 10)
    assert "before the border" in said([14, 19, 24, 29, 34, 29, 24, 19, 14, 19])
    assert "jumps" in said([20, 23, 26, 29, 44, 47, 50, 47, 44, 41])
    assert "halts" in said([15, 22, 29, 29, 29, 36, 43, 50, 43, 36])
    # orders of the frames that look like a faster digit, but for a turn and a step
    assert "before the border" in said([37, 36, 15, 25, 31, 41, 20, 19, 26, 30])
    assert "jumps" in said([40, 44, 31, 17, 17, 26, 49, 35, 26, 22])
    assert "turns back 8 times" in said([14, 48, 15, 50, 14, 49, 16, 48, 15, 50])


@pytest.mark.parametrize(("level", "says"), [(0, "Nothing is visible"), (25, "Nothing is visible")])
def test_nothing_and_next_to_nothing_are_refused(
    rightward: Clip, judge: Judge, level: int, says: str
) -> None:
    frames = (rightward.frames / 255 * level).astype(np.uint8)
    verdict = judge(frames, *parse(rightward.caption))
    assert says in why(verdict)
    assert not any(verdict.facts.values())


def test_what_is_no_digit_is_refused(rightward: Clip, judge: Judge) -> None:
    disc = np.hypot(*(np.indices((SIDE, SIDE)) - 13.5)) < 6
    assert rightward.facts is not None
    frames = np.zeros_like(rightward.frames)
    for t, (x, y) in enumerate(np.rint(rightward.facts.objects[0].position - 14).astype(int)):
        frames[t, y : y + SIDE, x : x + SIDE] = disc[..., None] * 255
    verdicts = [judge(frames, Moving(digit, LEFT_AND_RIGHT)) for digit in range(10)]
    assert sum(map(bool, verdicts)) <= 1  # a full disc is like no digit, or a thick one at most
    assert all(v.facts["axis"] for v in verdicts)
    large = frames.repeat(2, axis=1).repeat(2, axis=2)[:, :64, :64]
    assert not judge(large, Moving(4, LEFT_AND_RIGHT))


# ---- the verdict ----------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    classifier_for.cache_clear()


@pytest.mark.usefixtures("cache")
def test_verify_takes_a_prompt_and_tells_the_classifiers_own_error(
    printed_digits: str, rightward: Clip
) -> None:
    right = digits.verify(rightward.frames, rightward.caption, 12.0, printed_digits)
    assert right.verdict == "yes"
    assert json.loads(json.dumps(right.measured)) == right.measured
    assert right.measured["classifier_error"] <= 0.02
    assert right.measured["classifier_tested"] > 300
    assert right.measured["fps"] == 12.0
    (told,) = right.measured["digits"]
    assert told["digit"] == 4
    assert told["axis"] == LEFT_AND_RIGHT
    assert len(told["scores"]) == len(told["centre"]) == 10
    wrong = digits.verify(rightward.frames, "The 4 moves vertically.", path=printed_digits)
    assert wrong.verdict == "no"


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("circle moving left", "names no digit"),
        ("digit 3 is moving up", "neither"),
        ("digit 3 is moving up and down " * 100, str(MAX_PROMPT_CHARACTERS)),
    ],
)
def test_other_prompts_cannot_be_judged(rightward: Clip, prompt: str, says: str) -> None:
    verdict = digits.verify(rightward.frames, prompt)
    assert verdict.verdict == "cannot judge"
    assert says in verdict.reasons[0]


def test_too_short_or_too_small_cannot_be_judged(rightward: Clip) -> None:
    for frames in (rightward.frames[:3], rightward.frames[:, :30, :30]):
        assert digits.verify(frames, rightward.caption).verdict == "cannot judge"


@pytest.mark.parametrize("frames", [np.zeros((10, 64, 64)), np.zeros((10, 64, 64, 3))])
def test_what_is_no_video_is_an_error(frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match="verify wants"):
        digits.verify(frames, "digit 3 is moving up and down")


# ---- real digits ----------------------------------------------------------------------------


@pytest.mark.parametrize("two", [0.0, 1.0])
def test_real_digits_are_judged_right(dataset: Callable[[str], Path], two: float) -> None:
    path = str(dataset("mnist"))
    source = Source(Config(path=path, split="held-out", two_digits=two))
    classifier = train(load(path))
    right, wrong = [], []
    for index in range(60):
        clip = source.clip(index, 1)
        seen, (first, *rest) = see(clip.frames), parse(clip.caption)
        right.append(bool(digits.judge(seen, [first, *rest], classifier)))
        other = Moving((first.digit + 1 + index % 9) % 10, first.axis)
        wrong.append(bool(digits.judge(seen, [other, *rest], classifier)))
        assert describe([first, *rest]) == clip.caption
    assert np.mean(right) >= 0.95
    assert np.mean(wrong) <= 0.04
