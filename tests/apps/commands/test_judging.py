"""`verify` says yes, no or cannot judge, and a batch never ends before its last line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kineograph.apps.commands import judging
from kineograph.data.clip import Clip
from kineograph.evaluation.accuracy import Evaluation, judged
from kineograph.evaluation.by_fact import SplitEvaluation, score
from kineograph.evaluation.frechet import FrechetOptions
from kineograph.evaluation.verifier import verify


@pytest.mark.parametrize(
    ("prompt", "verdict", "code"),
    [
        ("circle moving left", "yes", 0),
        ("circle moving right", "no", 1),
        ("a dog on a bicycle", "cannot judge", 2),
        ("", "cannot judge", 2),
        ("circle " * 200, "cannot judge", 2),
    ],
)
def test_a_verdict_in_both_forms(
    prompt: str, verdict: str, code: int, left: Path, call: Any
) -> None:
    done = call("verify", str(left), prompt)
    assert done.code == code
    assert done.out.startswith(verdict)
    told = call("verify", str(left), prompt, "--json")
    assert told.code == code
    assert told.json["verdict"] == verdict
    assert told.json["prompt"] == prompt
    assert bool(told.json["reasons"]) == (verdict != "yes")
    for reason in told.json["reasons"]:
        assert reason.split()[0] in done.out


def test_a_verdict_shows_what_was_measured(left: Path, call: Any) -> None:
    out = call("verify", str(left), "circle moving right").out
    assert "- It moves 180° off right" in out
    assert "angle off" in out
    assert "centre" not in out, "a list per frame belongs in the JSON"


@pytest.mark.parametrize("columns", ["40", "60", "200"])
def test_a_verdict_fits_the_terminal(
    columns: str, left: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.chdir(left.parent)
    out = call("verify", left.name, "a dog that is running after its own tail").out
    assert max(map(len, out.splitlines())) <= int(columns) + 20  # the prompt itself may be longer


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ((), "The video is missing."),
        (("left.mp4",), "The prompt is missing."),
        (("nothing.mp4", "circle moving left"), "nothing.mp4"),
        (("empty.mp4", "circle moving left"), "empty.mp4 is empty."),
        (("words.mp4", "circle moving left"), "words.mp4 is damaged"),
        (("cut.mp4", "circle moving left"), "cut.mp4 is damaged"),
        ((".", "circle moving left"), "folder"),
        (("left.mp4", "--batch", "pairs.jsonl"), "--batch"),
        (("--batch", "nothing.jsonl"), "nothing.jsonl"),
        (("--batch", "."), "folder"),
    ],
)
def test_what_cannot_be_read_is_refused(
    words: tuple[str, ...], cause: str, left: Path, call: Any
) -> None:
    Path("empty.mp4").touch()
    Path("words.mp4").write_text("no video")
    Path("cut.mp4").write_bytes(left.read_bytes()[:-500])
    done = call("verify", *words)
    assert done.code == 2
    assert cause in done.err
    assert call("verify", *words, "--json").json["error"]["remedy"]


def test_a_batch_answers_every_line_whatever_is_in_it(left: Path, call: Any) -> None:
    good = {"video": str(left), "prompt": "circle moving left", "id": 7}
    Path("bad.mp4").write_text("no video")
    lines = [
        json.dumps(good),
        json.dumps({**good, "prompt": "circle moving right"}),
        "nonsense",
        "",
        "[1, 2]",
        json.dumps({"video": str(left)}),
        json.dumps({**good, "video": 5}),
        json.dumps({**good, "video": "bad.mp4"}),
        json.dumps({**good, "video": "nothing.mp4"}),
        json.dumps({**good, "video": "a\0b"}),
        json.dumps({**good, "video": "x" * 5000}),
        json.dumps({**good, "prompt": "[bold]dog\ud800"}),
        "[" * 100_000,
        json.dumps(good),
    ]
    content = "\ufeff" + "\r\n".join(lines)
    Path("pairs.jsonl").write_bytes(content.encode("utf-8", "surrogatepass") + b"\n\xff\n")
    done = call("verify", "--batch", "pairs.jsonl")
    assert done.code == 0
    found = [json.loads(line) for line in done.out.splitlines()]
    verdicts = [each["verdict"] for each in found]
    assert verdicts == ["yes", "no", *["cannot judge"] * 10, "yes", "cannot judge"]
    for each in found:
        assert list(each) == ["video", "prompt", "verdict", "reasons", "measured"]
        assert bool(each["reasons"]) == (each["verdict"] != "yes")
    assert found[0]["measured"]["motion"] == "moving left"
    assert "Line 3 is not JSON" in found[2]["reasons"][0]
    assert "Line 6 has no prompt" in found[4]["reasons"][0]
    assert "bad.mp4" in found[6]["reasons"][0]
    assert done.out == call("verify", "--batch", "pairs.jsonl", "--json").out


def test_a_batch_survives_a_fault_of_the_judge(
    left: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("gone")

    monkeypatch.setattr(judging, "_judge", fail)
    Path("pairs.jsonl").write_text(json.dumps({"video": str(left), "prompt": "circle moving left"}))
    done = call("verify", "--batch", "pairs.jsonl")
    assert done.code == 0
    assert json.loads(done.out)["reasons"] == ["Unexpected MemoryError: gone"]


def test_videos_of_a_batch_are_looked_for_beside_its_file_too(left: Path, call: Any) -> None:
    pairs = left.parent / "pairs.jsonl"
    pairs.write_text(json.dumps({"video": left.name, "prompt": "circle moving left"}))
    done = call("verify", "--batch", str(pairs))
    assert json.loads(done.out)["verdict"] == "yes"
    assert json.loads(done.out)["video"] == left.name


# ---- as a source judges ------------------------------------------------------------------------


@pytest.fixture
def character(tmp_path: Path) -> tuple[Path, Path, str]:
    """A video of a sprite, the folder of its sheets, and what it does."""
    import numpy as np
    from PIL import Image

    from kineograph.data.clip import Clip
    from kineograph.data.sources.sprites import Config, Source
    from kineograph.data.video_io import animation_bytes

    sheets, rng = tmp_path / "sheets", np.random.default_rng(5)
    layers = {"body": ["pale skin", "dark skin"], "hat": ["a tall hat", "a crown"]}
    for layer, words in layers.items():
        (sheets / layer).mkdir(parents=True)
        for item in range(len(words)):
            sheet = np.zeros((2, 32, 6, 32, 4), np.uint8)
            color = (*rng.integers(30, 220, 3), 255)
            for row, column in np.ndindex(2, 6):
                top, left = (12 if layer == "body" else 4), 6 + (2 * column if row else -column)
                sheet[row, top + column % 3 : top + 8, column, left : left + 9] = color
            Image.fromarray(sheet.reshape(64, 192, 4)).save(sheets / layer / f"{item}.png")
    actions = {"walk": {"left": [0, 6], "right": [1, 6]}}
    told = {"frame_size": 32, "order": list(layers), **layers, "actions": actions}
    (sheets / "layers.json").write_text(json.dumps(told))
    source = Source(Config(path=str(sheets), split="all"))
    clip = source.clip(0, 0)
    video = tmp_path / "character.webp"
    video.write_bytes(animation_bytes(Clip(clip.frames, clip.caption), "webp"))
    return video, sheets, clip.caption


def test_a_character_is_judged_beside_its_sheets(
    character: tuple[Path, Path, str], call: Any
) -> None:
    video, sheets, caption = character
    as_sprites = ("--source", "sprites", "--path", str(sheets))
    assert call("verify", str(video), caption, *as_sprites).code == 0
    wrong = caption.replace("left", "*").replace("right", "left").replace("*", "right")
    told = call("verify", str(video), wrong, *as_sprites, "--json")
    assert (told.code, told.json["verdict"]) == (1, "no")
    pairs = video.parent / "pairs.jsonl"
    lines = [json.dumps({"video": video.name, "prompt": p}) for p in (caption, wrong, "a dog")]
    pairs.write_text("\n".join(lines))
    done = call("verify", "--batch", str(pairs), *as_sprites)
    verdicts = [json.loads(line)["verdict"] for line in done.out.splitlines()]
    assert (done.code, verdicts) == (0, ["yes", "no", "cannot judge"])


def test_a_prompt_of_a_character_says_what_to_add(left: Path, call: Any) -> None:
    done = call("verify", str(left), "a character with brown shoes walks left")
    assert done.code == 2
    assert "Add --source sprites --path FOLDER." in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--source", "sprites"), "Add --path FOLDER."),
        (("--source", "sprits", "--path", "."), 'Did you mean "sprites"?'),
        (("--source", "sprites", "--path", "nowhere"), "There is no folder nowhere."),
        (("--source", "sprites", "--path", "."), "layers.json"),
        (("--source", "digits", "--path", "."), "handwritten digits"),
        (("--source", "shapes", "--path", "."), "The source shapes reads no folder."),
        (("--path", "."), "Add --source NAME."),
    ],
)
def test_a_source_that_cannot_be_opened_is_refused(
    words: tuple[str, ...], why: str, left: Path, call: Any
) -> None:
    Path("pairs.jsonl").write_text("")
    for question in ((str(left), "circle moving left"), ("--batch", "pairs.jsonl")):
        done = call("verify", *question, *words)
        assert done.code == 2
        assert why in " ".join(done.err.split())


# ---- evaluate ----------------------------------------------------------------------------------


def test_evaluating_asks_the_api(call: Any, monkeypatch: pytest.MonkeyPatch, still: Clip) -> None:
    asked: dict[str, Any] = {}

    def evaluate(model: Path, **told: Any) -> Evaluation:
        asked.update(told, model=model)
        return Evaluation([judged("circle moving left", [still] * 2, seen=True)])

    monkeypatch.setattr("kineograph.api.evaluate", evaluate)
    done = call("evaluate", "runs/a", "--count", "2")
    assert done.code == 0
    assert "circle moving left" in done.out
    plain = {"num_inference_steps": None, "guidance_scale": None}
    expected = {"model": Path("runs/a"), "prompts": None, "count": 2, "path": None}
    assert asked == expected | plain
    call("evaluate", "runs/a", "--num-inference-steps", "2", "--guidance-scale", "1.5")
    assert (asked["num_inference_steps"], asked["guidance_scale"]) == (2, 1.5)
    told = call("evaluate", "runs/a", "--seed", "3", "--prompts", "a b", "c", "--json").json
    assert told["model"] == "runs/a"
    assert told["training"]["trials"] == 2
    assert asked["prompts"] == ["a b", "c"]
    assert asked["seed"] == 3


def test_a_split_is_asked_of_the_api(
    call: Any, monkeypatch: pytest.MonkeyPatch, still: Clip
) -> None:
    asked: dict[str, Any] = {}

    def evaluate_split(model: Path, **told: Any) -> SplitEvaluation:
        asked.update(told, model=model)
        none = score([still], [None], verify)
        return SplitEvaluation("shapes", "held-out", none, none, none, {"a measure": 0.5})

    monkeypatch.setattr("kineograph.api.evaluate_split", evaluate_split)
    done = call("evaluate", "runs/a", "--split", "held-out", "--out", "r.html")
    assert done.code == 0
    assert "a measure" in done.out
    assert (asked["split"], asked["source"], asked["report_to"]) == (
        "held-out",
        None,
        Path("r.html"),
    )
    told = call("evaluate", "runs/a", "--source", "shapes", "--count", "9", "--json").json
    assert (asked["split"], asked["count"], told["split"]) == (None, 9, "held-out")
    call("evaluate", "runs/a", "--source", "sprites", "--path", "sheets")
    assert (asked["source"], asked["path"]) == ("sprites", Path("sheets"))
    call("evaluate", "runs/a", "--frechet", "--anyway")
    assert asked["frechet"] == FrechetOptions(None, anyway=True)


@pytest.mark.parametrize(
    "words",
    [
        ("nowhere",),
        ("nowhere", "--count", "0"),
        ("nowhere", "--prompts", "a", ""),
        (),
        ("nowhere", "--split", "train"),
        ("nowhere", "--prompts", "a", "--split", "train"),
        ("nowhere", "--out", "r.html"),
        ("nowhere", "--frechet"),
        ("nowhere", "--anyway"),
        ("nowhere", "--prompts", "a", "--out", "r.html"),
        ("nowhere", "--split", "train", "--out", "."),
    ],
)
def test_a_wrong_evaluation_is_refused(words: tuple[str, ...], call: Any) -> None:
    assert call("evaluate", *words).code == 2


@pytest.fixture
def still() -> Clip:
    """A clip in which nothing is to be seen."""
    import numpy as np

    return Clip(np.full((10, 64, 64, 3), 255, np.uint8), "circle moving left")
