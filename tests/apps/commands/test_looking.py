"""Sources can be looked at and written out; lists tell what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kineograph.data.sources.tutorial import CAPTIONS, Config, Source
from kineograph.data.video_io import read_frame_folders


def test_a_preview_is_a_sheet_of_the_first_clips(call: Any) -> None:
    done = call("data", "preview", "tutorial", "--count", "4")
    assert (done.code, done.out) == (0, "wrote tutorial.png\n")
    with Image.open("tutorial.png") as image:
        assert image.width > 500
    told = call("data", "preview", "tutorial", "--out", "b.png", "--json").json
    assert told == {"files": ["b.png"], "captions": list(CAPTIONS)}


def test_settings_reach_the_source(call: Any) -> None:
    words = ["data", "preview", "tutorial", "--count", "1", "--out"]
    call(*words, "plain.png")
    call(*words, "again.png")
    call(*words, "letter.png", "--data.variation", "0")
    plain, again, letter = (
        Path(f"{name}.png").read_bytes() for name in ("plain", "again", "letter")
    )
    assert plain == again
    assert plain != letter


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("tutoril",), 'Did you mean "tutorial"?'),
        (("tutorial", "--data.variaton", "0"), 'Did you mean "data.variation"?'),
        (("tutorial", "--variation", "0"), "--data.variation"),
        (("tutorial", "--data.variation", "much"), "It must be a number"),
        (("tutorial", "--data.variation", "7"), "Choose 0 to 1"),
        (("tutorial", "--count", "0"), "at least one"),
        (("tutorial", "--data.num-clips", "5"), "Ask for less"),
        (("tutorial", "--out", "x.bmp"), "Known: .mp4"),
        (("tutorial", "--out", "there.png"), "--force"),
        (("mine.py",), "spelling"),
    ],
)
def test_a_wrong_preview_is_refused_and_writes_nothing(
    words: tuple[str, ...], hint: str, call: Any
) -> None:
    Path("there.png").write_text("mine")
    done = call("data", "preview", *words)
    assert done.code == 2
    assert hint in " ".join(done.err.split())
    assert [path.name for path in Path().iterdir()] == ["there.png"]
    assert Path("there.png").read_text() == "mine"


def test_an_export_is_read_back_as_it_was(call: Any) -> None:
    told = call("data", "export", "tutorial", "out", "--count", "3", "--seed", "5", "--json").json
    assert told == {"folder": "out", "clips": 3, "seed": 5}
    source = Source(Config())
    for index, clip in enumerate(read_frame_folders("out")):
        assert clip.caption == CAPTIONS[index]
        assert np.array_equal(clip.frames, source.clip(index, 5).frames)
    again = call("data", "export", "tutorial", "out", "--count", "3")
    assert again.code == 2
    assert "holds videos already" in again.err


@pytest.mark.parametrize(
    "words",
    [(), ("tutorial",), ("tutorial", "x", "--count", "0"), ("tutoril", "x"), ("tutorial", "f/x")],
)
def test_a_wrong_export_is_refused(words: tuple[str, ...], call: Any) -> None:
    Path("f").touch()
    assert call("data", "export", *words).code == 2
    assert [path.name for path in Path().iterdir()] == ["f"]


def test_recipes_and_models_are_told_with_what_they_are(call: Any) -> None:
    recipes = {each["name"]: each for each in call("recipes", "--json").json["recipes"]}
    assert recipes["tutorial"]["source"] == "tutorial"
    assert recipes["tutorial"]["about"]
    models = [each["name"] for each in call("models", "--json").json["models"]]
    assert "gan" in models


def test_sources_give_examples_of_their_captions(call: Any) -> None:
    out = call("sources").out
    assert all(f"\n  {caption}" in out for caption in CAPTIONS)
