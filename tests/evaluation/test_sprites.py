from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from kineograph.data.clip import Clip
from kineograph.data.sources.sprites import Config, Source
from kineograph.evaluation.corruptions import CORRUPTIONS, MILD
from kineograph.evaluation.judges import judge_of
from kineograph.evaluation.own_error import own_error
from kineograph.evaluation.sprites import breaks, judge, see, verify, wrong_captions

Dataset = Callable[[str], Path]

SIZE = 32
LAYOUT = {
    "frame_size": SIZE,
    "order": ["body", "badge", "coat", "hat"],
    "body": ["pale skin", "dark skin", "green skin"],
    "badge": ["a star", "a moon"],
    "coat": ["a red coat", "a grey coat", "mail"],
    "hat": ["a straw hat", "a tall hat", "an old crown"],
    "actions": {
        "walk": {"left": [0, 4], "right": [1, 4]},
        "wave": {"left": [2, 6], "right": [3, 6]},
        "stand": {"left": [4, 1]},
    },
}
PLACES = {
    "body": (4, 30, 10, 20),
    "badge": (16, 19, 13, 16),
    "coat": (15, 26, 9, 21),
    "hat": (2, 8, 8, 22),
}


def write_sheets(folder: Path) -> str:
    """Coloured blocks: the body sways, its arm goes up, and the coat hides the badge."""
    rng = np.random.default_rng(3)
    for layer, (top, bottom, left, right) in PLACES.items():
        (folder / layer).mkdir()
        for item in range(len(LAYOUT[layer])):  # type: ignore[arg-type]
            sheet = np.zeros((5, SIZE, 6, SIZE, 4), np.uint8)
            blocks = rng.integers(0, 200, (8, 8, 3)).repeat(4, 0).repeat(4, 1)
            for row, column in product(range(5), range(6)):
                shift = (0, 2, 3, 1, -1, -3)[column] * (-1 if row in (0, 2) else 1)
                part = sheet[row, :, column]
                part[top:bottom, left + shift : right + shift, :3] = blocks[top:bottom, left:right]
                part[top:bottom, left + shift : right + shift, 3] = 255
                if layer == "body":
                    arm = slice(20, 27) if row % 2 == 0 else slice(5, 12)
                    high = 18 - 2 * column if row in (2, 3) else 18 + column % 2
                    part[high : high + 4, arm] = (*blocks[0, 0], 255)
            pixels = sheet.reshape(5 * SIZE, 6 * SIZE, 4)
            Image.fromarray(pixels).save(folder / layer / f"{item}.png")
    (folder / "layers.json").write_text(json.dumps(LAYOUT))
    return str(folder)


@pytest.fixture(scope="session")
def drawn_here(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_sheets(tmp_path_factory.mktemp("judged"))


@lru_cache
def opened(path: str) -> Source:
    return Source(Config(path=path, split="all", backgrounds=("white", "#e0f0d0")))


@pytest.fixture
def small(drawn_here: str) -> Source:
    return opened(drawn_here)


@pytest.fixture(params=["drawn here", "real"])
def source(request: pytest.FixtureRequest, drawn_here: str, dataset: Dataset) -> Source:
    return opened(drawn_here if request.param == "drawn here" else str(dataset("sprites")))


def clips(source: Source, count: int = 8) -> list[Clip]:
    return [source.clip(index, 1) for index in range(count)]


def named(clip: Clip) -> dict[str, str]:
    assert clip.facts is not None
    return dict(clip.facts.attributes)


def made(source: Source, action: str, direction: str, **worn: int) -> np.ndarray:
    """A character of item 0 of each layer, or what is said, as a clip on white."""
    rows = [(row.action, row.direction) for row in source.layout.rows]
    row = rows.index((action, direction))
    items = np.array([[worn.get(layer, 0) for layer in source.layout.layers]])
    frames = source.sheets.compose(row, items, np.full((1, 3), 255, np.uint8))[0]
    return np.asarray(frames[source.layout.columns(source.layout.rows[row], 10)])


# ---- what is accepted, and what not -------------------------------------------------------------


def test_real_clips_do_what_their_captions_say(source: Source) -> None:
    for clip in clips(source, 15):
        verdict = verify(clip.frames, clip.caption, source)
        assert verdict.verdict == "yes", verdict.reasons
        facts, unknown = verdict.measured["facts"], verdict.measured["not_judged"]
        assert all(facts.values())
        assert {*facts, *unknown} == set(named(clip))
        assert json.loads(json.dumps(verdict.measured)) == verdict.measured


def test_clips_broken_on_purpose_do_not(source: Source) -> None:
    real = [c for c in clips(source, 4) if named(c)["action"] != "stand"]
    found = own_error(real, judge_of(source), most_wrong=4).totals
    for name in CORRUPTIONS:
        assert found[name].accepted == 0, name
    for name in ("true", *MILD):
        assert found[name].accepted == len(real), name


def test_colours_exchanged_make_no_grey_character_wrong(source: Source) -> None:
    clip = clips(source, 1)[0]
    assert breaks("recolored", clip)
    grey = np.repeat(clip.frames.mean(axis=-1, keepdims=True), 3, axis=-1).astype(np.uint8)
    assert not breaks("recolored", replace(clip, frames=grey))
    assert breaks("reversed", replace(clip, frames=grey))
    assert clip.facts is not None
    acts = {"action": clip.facts.attributes["action"]}
    assert not breaks("recolored", replace(clip, facts=replace(clip.facts, attributes=acts)))


def test_every_caption_that_differs_in_one_fact_is_refused_for_that_fact(source: Source) -> None:
    for clip in clips(source, 6):
        seen = see(clip.frames, source)
        for fact, captions in wrong_captions(named(clip), source).items():
            for caption in captions:
                asked = source.parse(caption)
                verdict = judge(seen, asked)
                if fact in verdict.measured["not_judged"]:
                    assert fact == "badge"  # below the coat
                    continue
                assert verdict.verdict == "no"
                facts = verdict.measured["facts"]
                assert [f for f, holds in facts.items() if not holds] == [fact]
                assert f'not "{asked[fact]}"' in verdict.reasons[0]


def test_a_model_may_be_a_little_soft_and_off_in_colour_but_not_much(source: Source) -> None:
    for clip in clips(source, 5):

        def soft(blur: float, clip: Clip = clip) -> np.ndarray:
            picture = ndimage.gaussian_filter(clip.frames.astype(float), (0, blur, blur, 0))
            return np.rint(picture).astype(np.uint8)

        assert verify(soft(0.5), clip.caption, source)
        assert verify(soft(1.0), clip.caption, source)
        verdict = verify(soft(2.0), clip.caption, source)
        assert any("blurred" in reason for reason in verdict.reasons)
        tinted = np.clip(clip.frames + np.array([8, -8, 6]), 0, 255).astype(np.uint8)
        assert verify(tinted, clip.caption, source)


def test_a_video_may_be_enlarged(source: Source) -> None:
    clip = source.clip(2, 1)
    large = clip.frames.repeat(4, axis=1).repeat(4, axis=2)
    assert verify(large, clip.caption, source)
    assert not verify(large[::-1].copy(), clip.caption, source)


def test_another_length_is_judged_by_the_same_rule(source: Source) -> None:
    longer = Source(Config(path=source.config.path, split="all", num_frames=16))
    for clip in (longer.clip(index, 0) for index in range(3)):
        assert verify(clip.frames, clip.caption, source)


# ---- what is asked ------------------------------------------------------------------------------


def test_what_is_not_asked_may_be_anything(small: Source) -> None:
    frames = made(small, "wave", "left", hat=1)
    assert verify(frames, "a character with a tall hat", small)
    assert verify(frames, "a character wave", small)
    assert verify(frames, "a character facing left", small)
    assert not verify(frames, "a character facing right", small)
    assert not verify(frames, "a character walks", small)
    assert verify(frames, "a character with an old crown", small).measured["seen"] == {
        "body": "pale skin",
        "badge": "a star",
        "coat": "a red coat",
        "hat": "a tall hat",
        "action": "wave",
        "direction": "left",
    }


def test_what_another_layer_hides_is_not_judged(small: Source) -> None:
    frames = made(small, "walk", "left")
    for badge in ("a star", "a moon"):
        verdict = verify(frames, f"a character with {badge} and pale skin", small)
        assert verdict.verdict == "yes"
        assert verdict.measured["facts"] == {"body": True}
        assert "nothing of it can be seen" in verdict.measured["not_judged"]["badge"]
        alone = verify(frames, f"a character with {badge}", small)
        assert alone.verdict == "cannot judge"
        assert badge in alone.reasons[0]


def test_an_action_of_one_frame_may_stand_still(small: Source) -> None:
    assert verify(made(small, "stand", "left"), "a character stand", small)
    assert not verify(made(small, "stand", "left"), "a character walks left", small)


@pytest.mark.parametrize("prompt", ["a character with a wig", "circle moving left", "", "x" * 2000])
def test_a_prompt_that_the_sheets_do_not_know_is_not_judged(small: Source, prompt: str) -> None:
    verdict = verify(made(small, "walk", "left"), prompt, small)
    assert verdict.verdict == "cannot judge"
    assert verdict.reasons


@pytest.mark.parametrize(
    "shape", [(3, 32, 32), (10, 40, 40), (10, 32, 64), (10, 16, 16), (0, 0, 0)]
)
def test_other_sizes_and_too_few_frames_are_not_judged(
    small: Source, shape: tuple[int, int, int]
) -> None:
    verdict = verify(np.zeros((*shape, 3), np.uint8), "a character walks left", small)
    assert verdict.verdict == "cannot judge"


def test_what_is_no_video_is_an_error(small: Source) -> None:
    with pytest.raises(ValueError, match="uint8"):
        verify(np.zeros((10, 32, 32, 3)), "a character walks left", small)


# ---- what is wrong is said ----------------------------------------------------------------------


def test_how_near_a_video_is_to_the_true_rendering_is_measured(small: Source) -> None:
    """In dB against what was asked, not against what is seen."""
    frames = made(small, "walk", "left").astype(int)
    off = np.where(frames == 255, 255, np.where(frames > 127, frames - 5, frames + 5))
    off = off.astype(np.uint8)
    right = verify(off, "a character with a straw hat walks left", small)
    assert right.measured["psnr"] == pytest.approx(
        10 * np.log10(255**2 / 25 / (frames != 255).mean()), abs=0.01
    )
    exact = verify(frames.astype(np.uint8), "a character with a straw hat walks left", small)
    assert exact.measured["psnr"] > 60
    wrong = verify(off, "a character walks right", small)
    assert wrong.measured["psnr"] < 30


def test_nothing_at_all_is_told(small: Source) -> None:
    verdict = verify(np.full((10, 32, 32, 3), 255, np.uint8), "a character walks left", small)
    assert any("far from everything" in reason for reason in verdict.reasons)


def test_a_still_picture_is_told(small: Source) -> None:
    frozen = made(small, "walk", "left")[[2] * 10]
    verdict = verify(frozen, "a character with pale skin walks left", small)
    assert any("stands still" in reason for reason in verdict.reasons)
    assert verdict.measured["facts"] == {"body": True, "action": False, "direction": True}


def test_one_frame_in_ten_may_be_early_but_none_in_the_wrong_place(small: Source) -> None:
    frames = made(small, "wave", "left")
    late = frames.copy()
    late[3] = frames[2]
    assert verify(late, "a character wave left", small)
    late[2], late[3] = frames[3], frames[2]
    verdict = verify(late, "a character wave left", small)
    assert any("2 frames are out of order: frame 2" in reason for reason in verdict.reasons)
    late = frames.copy()
    late[4] = frames[0]
    assert not verify(late, "a character wave left", small)


def test_something_else_in_the_picture_is_told(small: Source) -> None:
    frames = made(small, "walk", "left")
    frames[4, 26:31, 26:31] = 0
    verdict = verify(frames, "a character walks left", small)
    assert any("Something else" in reason and "frame 4" in reason for reason in verdict.reasons)


def test_a_colour_that_no_item_has_is_told(small: Source) -> None:
    frames = made(small, "stand", "left")
    plain = made(small, "stand", "left", hat=1)
    where = (frames != plain).any(-1, keepdims=True)  # where the hat is
    off = np.clip(frames.astype(int) + np.array([45, 0, 0]), 0, 255).astype(np.uint8)
    for prompt in ("a character with a straw hat", "a character stand"):
        verdict = verify(np.where(where, off, frames), prompt, small)
        assert any("no hat that the sheets have" in reason for reason in verdict.reasons)
