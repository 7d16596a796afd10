"""The models that come with the package do what their cards say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kineograph import api
from kineograph.core.errors import RequestError
from kineograph.models import bundled, hub

MOST_BYTES = 6_000_000  # of all together
CLIPS = 256  # that are tried of each split; other ones than those that the card tells of
SEED = 20_000


def card(name: str) -> dict[str, float]:
    """What a card says was tried => the share that was right."""
    text = (bundled.FOLDER / name / "MODEL_CARD.md").read_text("utf-8")
    rows = re.findall(r"^\| (.+) \| (\d+) \| (\d+) \| .+ \|$", text, re.M)
    return {what: int(right) / int(of) for what, right, of in rows}


def test_they_are_small() -> None:
    files = [file for file in bundled.FOLDER.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES


def test_a_prompt_is_for_the_one_that_knows_its_words() -> None:
    assert bundled.that_knows("circle moving up-right") == "tutorial-gan"
    assert bundled.that_knows("Circle moving up") == "tutorial-gan"
    assert bundled.that_knows("a small red star moving up-right") == "shapes"
    assert bundled.that_knows("a dog") == "shapes"


def test_they_open_by_name_unless_a_folder_has_it(tmp_path: Path) -> None:
    for name in bundled.NAMES:
        pipeline = api.load(name)
        assert pipeline.info["recipe"]["name"] == name
        with pytest.raises(RequestError, match="for generating alone"):
            api.refine(name, tmp_path / "refined")
        with pytest.raises(RequestError, match="for generating alone"):
            api.distill(name, tmp_path / "distilled")
    Path("shapes").mkdir()
    try:
        assert hub.local("shapes") == Path("shapes")
    finally:
        Path("shapes").rmdir()


@pytest.mark.parametrize("name", bundled.NAMES)
def test_a_card_says_how_to_train_it_again(name: str) -> None:
    text = (bundled.FOLDER / name / "MODEL_CARD.md").read_text("utf-8")
    assert f"python benchmarks/bundle.py {name}" in text
    assert re.search(r"Seed \d+, on \d+ cores of .+, at commit [0-9a-f]{40}:", text)
    assert f"--model {name}" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", bundled.NAMES)
def test_they_reach_what_their_cards_say(name: str) -> None:
    said = card(name)
    if name == "shapes":
        assert set(said) == {"train", "held-out", "rephrased"}
        found = {
            split: api.evaluate_split(name, split=split, count=CLIPS, seed=SEED).model.joint
            for split in said
        }
    else:
        evaluation = api.evaluate(name, count=CLIPS // 8, seed=SEED)
        found = {f'"{each.prompt}", never seen': each.result for each in evaluation.of(seen=False)}
        found["training prompts"] = evaluation.total(seen=True)
        assert set(said) == set(found)
    for what, share in said.items():
        deviation = (share * (1 - share) / found[what].of) ** 0.5
        assert abs(found[what].share - share) < 4 * deviation + 0.01, what
