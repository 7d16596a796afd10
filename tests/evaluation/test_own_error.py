from __future__ import annotations

import json

import numpy as np
import pytest

from kineograph.data.clip import Clip, Source
from kineograph.data.sources import digits, shapes
from kineograph.data.sources.tutorial import CAPTIONS, Config
from kineograph.data.sources.tutorial import Source as Tutorial
from kineograph.evaluation.corruptions import CORRUPTIONS, MILD, WRONG_CAPTION, Corruption
from kineograph.evaluation.judges import SourceJudge, judge_of
from kineograph.evaluation.own_error import RIGHT, OwnError, own_error
from kineograph.evaluation.statistics import Share
from kineograph.evaluation.verifier import Verdict

TUTORIAL = Tutorial(Config())
BROKEN = [name for name in (*CORRUPTIONS, WRONG_CAPTION) if name != "recolored"]


def tried(source: Source, each: int, seed: int, alter: Corruption | None = None) -> OwnError:
    """The judge of a source on so many clips of each of its captions."""
    clips = [source.clip(index, seed) for index in range(each * len(source.captions))]
    return own_error(clips, judge_of(source), alter=alter)


@pytest.fixture(scope="module")
def small_trial() -> OwnError:
    return tried(TUTORIAL, 8, seed=21)


def test_right_clips_are_accepted(small_trial: OwnError) -> None:
    assert set(small_trial.table) == set(CAPTIONS)
    assert small_trial.total("true") == Share(8 * len(CAPTIONS), 8 * len(CAPTIONS))


@pytest.mark.parametrize("name", BROKEN)
def test_broken_clips_are_refused(small_trial: OwnError, name: str) -> None:
    total = small_trial.total(name)
    assert total.of >= 8 * 14
    assert total.accepted <= 1


@pytest.mark.parametrize("name", MILD)
def test_clips_that_are_a_little_worse_are_tried_with_every_caption(
    small_trial: OwnError, name: str
) -> None:
    assert small_trial.total(name).of == 8 * len(CAPTIONS)
    assert small_trial.total(name).share >= 0.9


def test_only_what_is_broken_is_counted(small_trial: OwnError) -> None:
    assert "reversed" not in small_trial.table["circle bouncing vertically"]
    assert small_trial.table["circle moving left"]["reversed"].of == 8


def test_the_versions_that_should_be_accepted_come_first(small_trial: OwnError) -> None:
    assert small_trial.versions[:3] == [*RIGHT] == ["true", *MILD]
    assert list(small_trial.totals) == small_trial.versions


def test_the_table_is_for_people_and_for_machines(small_trial: OwnError) -> None:
    text = small_trial.format()
    assert len(text.splitlines()) == len(CAPTIONS) + 2
    assert "wrong-caption" in text
    figures = json.loads(json.dumps(small_trial.as_json()))
    assert figures["all"]["true"]["accepted"] == 8 * len(CAPTIONS)
    assert figures["all"]["true"]["interval"][0] > 0.95


def test_alter_is_applied_to_whatever_is_judged() -> None:
    def blank(frames: np.ndarray, seed: int) -> np.ndarray:
        return np.full_like(frames, 255)

    trial = tried(TUTORIAL, 1, seed=0, alter=blank)
    assert {share.accepted for share in trial.totals.values()} == {0}


def test_wrong_captions_take_turns_where_there_are_many() -> None:
    clip, asked = TUTORIAL.clip(0, 0), list[str]()

    def listen(frames: np.ndarray, prompts: object, fps: float) -> list[Verdict]:
        said = [str(prompt) for prompt in prompts]  # type: ignore[attr-defined]
        asked.extend(said[1:])
        return [Verdict("yes")] * len(said)

    wrong = [f"caption {k}" for k in range(10)]
    judge = SourceJudge(listen, lambda name, clip: False, lambda clip: wrong)
    trial = own_error([clip] * 4, judge, most_wrong=3)
    assert trial.total(WRONG_CAPTION).of == len(asked) == 10
    assert set(asked) == set(wrong)


def test_what_the_judge_declines_counts_for_nothing() -> None:
    own = Clip(np.zeros((4, 16, 16, 3), np.uint8), "my cat")

    class Folder:
        captions = ("my cat",)

        def clip(self, index: int, seed: int) -> Clip:
            return own

    trial = own_error([own], judge_of(Folder()))  # type: ignore[arg-type]
    assert trial.totals == {}


@pytest.mark.parametrize(
    "source",
    [
        shapes.Source(shapes.Config(two_objects=0.0)),
        shapes.Source(shapes.Config(two_objects=1.0)),
        digits.Source(digits.Config(two_digits=0.5)),
    ],
    ids=["one shape", "two shapes", "digits"],
)
def test_one_look_for_several_captions_finds_what_several_looks_do(source: Source) -> None:
    judge = judge_of(source)
    for clip in (source.clip(index, 3) for index in range(4)):
        prompts = [clip.caption, *judge.wrong_captions(clip)[::7], "a dog on a bicycle"]
        together = judge.by_each(clip.frames, prompts, clip.fps)
        assert together == [judge(clip.frames, prompt, clip.fps) for prompt in prompts]
        assert [v.verdict for v in (together[0], together[-1])] == ["yes", "cannot judge"]


@pytest.mark.slow
def test_the_floors_hold_on_many_clips() -> None:
    trial = tried(TUTORIAL, 100, seed=4)
    for caption, row in trial.table.items():
        assert row["true"].share >= 0.99, caption
        for version in row.keys() - {*RIGHT}:
            assert row[version].share <= 0.02, (caption, version)
    assert set(trial.versions) == {*RIGHT, *BROKEN}
    for version in BROKEN:
        assert trial.total(version).share <= 0.005
    assert trial.total("true").share >= 0.995
