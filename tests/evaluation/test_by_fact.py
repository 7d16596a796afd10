from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from kineograph.data.clip import Batch, Clip
from kineograph.data.sources import digits
from kineograph.data.sources.shapes import PAIRS, Config, Source
from kineograph.evaluation import judges
from kineograph.evaluation.by_fact import (
    Split,
    SplitEvaluation,
    evaluate_split,
    real_clips,
    score,
    shuffled,
)
from kineograph.evaluation.corruptions import CORRUPTIONS, MILD, WRONG_CAPTION
from kineograph.evaluation.frechet import FrechetOptions
from kineograph.evaluation.own_error import BROKEN, RIGHT, own_error
from kineograph.evaluation.split_report import SplitReport, render
from kineograph.evaluation.verifier import Verdict, verify

TRAIN, HELD = (Source(Config(split=split, two_objects=0.3)) for split in ("train", "held-out"))


class Copycat:
    """A model that shows real clips: those of its own seed, and right for half of the prompts."""

    def __init__(self) -> None:
        self.real = real_clips(HELD, 40, seed=9)

    def __call__(self, prompts: Sequence[str]) -> list[Clip]:
        by_caption = {clip.caption: clip.frames for clip in self.real}
        blank = np.zeros_like(self.real[0].frames)
        return [
            Clip(by_caption[prompt] if k % 2 == 0 else blank, prompt)
            for k, prompt in enumerate(prompts)
        ]


class Unknown:
    """A source of somebody's own clips."""

    def clip(self, index: int, seed: int) -> Clip:
        return Clip(np.zeros((4, 16, 16, 3), np.uint8), "my cat")


@pytest.fixture(scope="module")
def found() -> SplitEvaluation:
    data = Split("shapes", "held-out", HELD, TRAIN, PAIRS)
    return evaluate_split(Copycat(), data, verify, count=40, seed=9)


def test_the_model_stands_between_ceiling_and_floor(found: SplitEvaluation) -> None:
    assert found.model.joint.of == found.ceiling.joint.of == 40
    assert found.ceiling.joint.share >= 0.97
    assert found.floor.joint.share <= 0.05
    assert found.model.joint.share == pytest.approx(0.5, abs=0.03)


def test_facts_are_counted_where_they_are_asked(found: SplitEvaluation) -> None:
    facts = found.model.facts
    assert {"shape", "color", "motion", "background", "objects"} <= set(facts)
    assert facts["shape"].of >= 40  # of two objects either
    assert 0 < facts["speed"].of < facts["shape"].of
    assert found.model.product <= min(share.share for share in facts.values())
    values = found.model.values["color"]
    assert sum(share.of for share in values.values()) == facts["color"].of
    pairs = found.model.pairs("color", "shape")
    assert all("," in asked for asked in pairs)
    assert sum(share.of for share in pairs.values()) == facts["color"].of


def test_it_measures_velocity_and_memory(found: SplitEvaluation) -> None:
    own = found.measures["velocity error of the judge itself, px/frame"]
    assert own < 0.05
    nearest = next(v for name, v in found.measures.items() if "nearest" in name)
    assert nearest > 0


def test_how_near_clips_are_to_their_rendering_is_averaged_where_a_judge_knows(
    found: SplitEvaluation,
) -> None:
    """Half of Copycat's clips are blank."""

    def judge(frames: np.ndarray, prompt: str, fps: float) -> Verdict:
        return Verdict("yes", [], {"psnr": 30.0 if frames.any() else 10.0})

    name = "PSNR to the true rendering, dB"
    told = evaluate_split(
        Copycat(), Split("shapes", "held-out", HELD, TRAIN), judge, count=40, seed=9
    )
    assert told.measures[name] == pytest.approx(20)
    assert name not in found.measures


class Repeating:
    """A model that shows one and the same real clip of a prompt, however often it is asked."""

    def __init__(self, source: Source, seed: int) -> None:
        self.real = {clip.caption: clip for clip in real_clips(source, 40, seed)}

    def __call__(self, prompts: Sequence[str]) -> list[Clip]:
        return [self.real[prompt] for prompt in prompts]


class Varied(Repeating):
    """A model that draws from its source."""

    def __init__(self, source: Source, seed: int) -> None:
        super().__init__(source, seed)
        self.more = real_clips(source, 2048, seed + 2)

    def __call__(self, prompts: Sequence[str]) -> list[Clip]:
        made = []
        for k, prompt in enumerate(prompts):
            facts = self.real[prompt].facts
            assert facts is not None
            alike = [c for c in self.more if c.facts and c.facts.attributes == facts.attributes]
            clip = alike[k % len(alike)]
            made.append(Clip(clip.frames, prompt))
        return made


@pytest.mark.parametrize(("model", "least", "most"), [(Repeating, 0, 0.01), (Varied, 0.7, 1.4)])
def test_samples_of_a_prompt_are_compared_with_real_clips_in_how_much_they_differ(
    model: type[Repeating], least: float, most: float
) -> None:
    source = digits.Source(digits.Config(two_digits=0.0))
    data = Split("digits", "train", source, source)
    found = evaluate_split(model(source, 3), data, judges.judge_of(source), count=20, seed=3)
    for what in ("start", "speed", "phase"):
        name = f"spread of the {what} among samples of a prompt, times the source's"
        assert least <= found.measures[name] <= most


def test_clips_of_another_source_are_as_new_as_clips_of_the_training_are() -> None:
    """A model of shapes that is asked for digits, and shows shapes."""
    other = digits.Source(digits.Config(two_digits=0.0))
    data = Split("digits", "train", other, TRAIN)
    shown = real_clips(TRAIN, 64, seed=5)

    def generate(prompts: Sequence[str]) -> list[Clip]:
        return [Clip(shown[k].frames, prompt) for k, prompt in enumerate(prompts)]

    found = evaluate_split(generate, data, judges.judge_of(other), count=30, seed=3)
    nearest = next(v for name, v in found.measures.items() if "nearest" in name)
    assert 0.8 < nearest < 1.25


def test_the_table_is_for_people_and_for_machines(found: SplitEvaluation) -> None:
    assert all(len(line) <= 80 for line in found.format().splitlines())
    assert "real clips, shuffled captions" in found.format()
    told = found.as_json()
    assert told["model"]["joint"]["trials"] == 40
    assert set(told["model"]["pairs"]) == {
        "color × shape",
        "shape × motion",
        "motion × speed",
    }


def test_no_shuffled_clip_keeps_its_caption() -> None:
    clips = real_clips(TRAIN, 30, seed=1)
    for clip, wrong in zip(clips, shuffled(clips), strict=True):
        assert wrong.caption != clip.caption
        assert (wrong.frames == clip.frames).all()
    assert shuffled([clips[0], clips[0]]) == []


def test_captions_of_ones_own_are_declined() -> None:
    clips = real_clips(TRAIN, 3, seed=1)
    declined = score(clips, [None] * 3, judges.judge_of(Unknown()))
    assert declined.joint.of == 0
    assert {t.verdict.verdict for t in declined.trials} == {"cannot judge"}


def test_the_judge_knows_broken_clips_of_shapes() -> None:
    clips = real_clips(TRAIN, 24, seed=4)
    table = own_error(clips, judges.judge_of(TRAIN), most_wrong=8).totals
    assert set(table) == {"true", WRONG_CAPTION, *CORRUPTIONS, *MILD}
    assert table["true"].share == 1
    assert sum(table[name].accepted for name in (*CORRUPTIONS, WRONG_CAPTION)) <= 1
    assert table["blurred"].share >= 0.85
    assert table["compressed"].share >= 0.6


def test_the_page_shows_clips_with_paths_and_says_how_to_repeat_it(found: SplitEvaluation) -> None:
    table = own_error(found_clips(found), judges.judge_of(TRAIN), most_wrong=2).totals
    page = render(SplitReport(found, "kineograph evaluate MODEL --split held-out", "1.2.3", table))
    assert page.count("<polyline") >= 10
    assert "kineograph evaluate MODEL --split held-out" in page
    assert "held-out" in page
    assert page.count("data:image/webp") >= 20
    assert "$" not in page.replace("$schema", "")
    for name in (*RIGHT, *BROKEN):
        assert f'<th scope="row">{name}</th>' in page


def test_the_page_draws_the_paths_of_digits_and_how_training_went() -> None:
    source = digits.Source(digits.Config(two_digits=1.0))
    data = Split("digits", "train", source, source)
    judge = judges.judge_of(source)
    found = evaluate_split(Repeating(source, 3), data, judge, count=6, seed=3)
    rows = [{"elapsed": t, "generator.total": 1 / t} for t in range(1, 9)]
    page = render(SplitReport(found, "c", "1", metrics=rows))
    assert page.count("<polyline") == 2 * 6
    assert "How training went" in page
    assert "About 1: as new as real clips" in page
    assert "How training went" not in render(SplitReport(found, "c", "1"))


class Own:
    """A source of somebody's own clips, which differ."""

    captions = ("my cat", "my dog")

    def __len__(self) -> int:
        return 4

    def batch(self, indices: np.ndarray, seed: int) -> Batch:
        frames = np.zeros((len(indices), 4, 16, 16, 3), np.uint8) + np.uint8(seed % 200)
        return Batch(frames, [self.captions[k % 2] for k in indices], [None] * len(indices))

    def clip(self, index: int, seed: int) -> Clip:
        batch = self.batch(np.array([index]), seed)
        return Clip(batch.frames[0], batch.captions[0])


def test_where_nobody_knows_the_facts_the_page_declines_and_tells_the_rest() -> None:
    source = Own()
    real = real_clips(source, 2, seed=7)
    found = evaluate_split(
        lambda prompts: [Clip(real[0].frames, prompt) for prompt in prompts],
        Split("folder", "all", source, source),
        judges.judge_of(source),
        count=4,
        seed=7,
        frechet=FrechetOptions(anyway=True),
    )
    page = render(SplitReport(found, "c", "1"))
    assert "Nothing was judged. Its captions are a person&#x27;s own" in page
    assert "Ceiling" not in page
    assert "distance to the nearest" in page
    assert "Fréchet video distance" in page


def test_where_real_clips_are_those_of_the_training_there_is_no_distance_to_compare() -> None:
    class Folder(Own):
        def batch(self, indices: np.ndarray, seed: int) -> Batch:
            return super().batch(indices, 5)

    found = [
        evaluate_split(
            lambda prompts: [Clip(np.full((4, 16, 16, 3), 9, np.uint8), p) for p in prompts],
            Split("folder", "all", source, source),
            judges.judge_of(source),
            count=4,
            seed=7,
        )
        for source in (Own(), Folder())
    ]
    measured = [any("distance to the nearest" in name for name in f.measures) for f in found]
    assert measured == [True, False]


def found_clips(found: SplitEvaluation) -> list[Clip]:
    return [trial.clip for trial in found.ceiling.trials[:3]]
