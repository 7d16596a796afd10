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
    assert asked == {"model": Path("runs/a"), "prompts": None, "count": 2}
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
    assert (asked["split"], asked["count"], told["split"]) == ("train", 9, "held-out")
    call("evaluate", "runs/a", "--split", "train", "--frechet", "--anyway")
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
