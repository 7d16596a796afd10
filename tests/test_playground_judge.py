"""The playground's judge, in JavaScript, says what the judge in Python says of the same clips."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kineograph.data import grammar, motion, raster
from kineograph.data.clip import Clip
from kineograph.data.grammar import CannotParse, parse
from kineograph.data.sources import shapes, tutorial
from kineograph.evaluation import (
    criteria,
    findings,
    geometry,
    shape,
    templates,
    to_and_fro,
    tracker,
    verifier,
)
from kineograph.evaluation.corruptions import CORRUPTIONS, MILD, wrong_captions
from kineograph.evaluation.novelty import paths
from kineograph.evaluation.verifier import Verdict, verify

NODE = shutil.which("node")
PLAYGROUND = Path(__file__).resolve().parent.parent / "docs" / "playground"
FOLLOWED = {  # file => what it follows
    "judge.js": (verifier, motion),
    "criteria.js": (criteria, motion),
    "to_and_fro.js": (to_and_fro,),
    "templates.js": (templates, raster),
    "tracker.js": (tracker,),
    "shape.js": (shape,),
    "grammar.js": (grammar,),
    "findings.js": (findings,),
    "geometry.js": (geometry,),
}
MOST_DIFFERENT = 0.01  # of the clips: a measure on a limit, or half-way between two last digits

SCRIPT = """
import { readFileSync, writeFileSync } from "node:fs";
import { parse } from "./grammar.js";
import { verify } from "./judge.js";
const { cases, prompts } = JSON.parse(readFileSync("asked.json"));
const data = new Uint8ClampedArray(readFileSync("frames.bin"));
const judged = cases.map(({ first, size, prompt, fps, ...shape }) =>
  verify({ data: data.subarray(first, first + size), ...shape }, prompt, fps));
const parsed = prompts.map((prompt) => {
  try {
    return parse(prompt);
  } catch (error) {
    return error.message;
  }
});
writeFileSync("told.json", JSON.stringify({ judged, parsed }));
"""


@pytest.fixture(scope="module", autouse=True)
def needs_node() -> None:
    found = NODE and subprocess.run([NODE, "--version"], capture_output=True, text=True).stdout
    if not found or int(found.removeprefix("v").split(".")[0]) < 20:
        pytest.skip("Node.js 20 or newer is not installed")


@dataclass(frozen=True)
class Case:
    frames: np.ndarray
    prompt: str
    what: str


def in_javascript(folder: Path, cases: list[Case], prompts: list[str]) -> dict[str, Any]:
    """What JavaScript makes of clips and of prompts."""
    asked, first = [], 0
    with (folder / "frames.bin").open("wb") as file:
        for case in cases:
            opaque = np.pad(case.frames, ((0, 0),) * 3 + ((0, 1),), constant_values=255)
            file.write(opaque.tobytes())
            sides = dict(zip(("num_frames", "height", "width"), opaque.shape[:3], strict=True))
            asked.append({"first": first, "size": opaque.size, "prompt": case.prompt, "fps": 10.0})
            asked[-1] |= sides
            first += opaque.size
    (folder / "asked.json").write_text(json.dumps({"cases": asked, "prompts": prompts}))
    for name in FOLLOWED:
        shutil.copy(PLAYGROUND / name, folder)
    (folder / "package.json").write_text('{"type": "module"}')  # a page need not say so
    (folder / "script.js").write_text(SCRIPT)
    subprocess.run([str(NODE), "script.js"], cwd=folder, check=True)
    told: dict[str, Any] = json.loads((folder / "told.json").read_text())
    return told


def compare(folder: Path, cases: list[Case]) -> list[Verdict]:
    """Hold each verdict of JavaScript against that of Python, which is returned."""
    ours = [verify(case.frames, case.prompt) for case in cases]
    theirs = in_javascript(folder, cases, [])["judged"]
    different = []
    for case, mine, other in zip(cases, ours, theirs, strict=True):
        told = f"{case.what}, {case.prompt}: {mine.reasons} and {other['reasons']}"
        assert mine.verdict == other["verdict"], told
        if mine.reasons != other["reasons"]:
            different.append(told)
        here, there = paths(mine.measured, *case.frames.shape[1:3]), other["paths"]
        assert [len(path) for path in here] == [len(path) for path in there], told
        for one, another in zip(here, there, strict=True):
            assert np.allclose(one, another, atol=0.11), told
    assert len(different) <= MOST_DIFFERENT * len(cases), "\n".join(different)
    return ours


def clips(two_objects: float = 0.0, num: int = 60, **size: Any) -> list[Clip]:
    """Clips of both sources in turn; none of the tutorial where there are two objects."""
    many = shapes.Source(shapes.Config(two_objects=two_objects, **size))
    few = tutorial.Source(tutorial.Config(**size))
    sources = (many,) if two_objects else (few, many)
    return [source.clip(k, seed=11) for k in range(num) for source in sources]


# ---- clips ----------------------------------------------------------------------------------


def test_true_clips_are_judged_alike(tmp_path: Path) -> None:
    verdicts = compare(tmp_path, [Case(c.frames, c.caption, "true") for c in clips()])
    assert len(verdicts) == 120
    assert all(verdict.verdict == "yes" for verdict in verdicts)


def test_broken_clips_are_judged_alike(tmp_path: Path) -> None:
    breaks = CORRUPTIONS | MILD
    cases = [
        Case(breaks[name](clip.frames, k), clip.caption, name)
        for k, clip in enumerate(clips(num=12))
        for name in list(breaks)[k % 3 :: 3]
    ]
    verdicts = compare(tmp_path, cases)
    assert {case.what for case in cases} == set(breaks)
    assert sum(verdict.verdict == "no" for verdict in verdicts) > 60


def test_wrong_captions_are_judged_alike(tmp_path: Path) -> None:
    cases = []
    for k, clip in enumerate(clips(num=12)):
        wrong = wrong_captions(parse(clip.caption))
        cases += [Case(clip.frames, prompt, "wrong caption") for prompt in wrong[k % 6 :: 6]]
    verdicts = compare(tmp_path, cases)
    assert len(verdicts) > 100
    assert all(verdict.verdict == "no" for verdict in verdicts)


def test_two_objects_are_judged_alike(tmp_path: Path) -> None:
    cases = [Case(c.frames, c.caption, "two objects") for c in clips(two_objects=1.0, num=16)]
    cases += [
        Case(clip.frames, f"{ours.caption} while {other}", "one object of two")
        for ours, clip in zip(clips(num=3), clips(num=3)[1:], strict=False)
        for other in ("a ring standing still", "circle shrinking quickly")
        if "background" not in ours.caption
    ]
    cases += [
        Case(c.frames, w, "wrong") for c in cases[:4] for w in wrong_captions(parse(c.prompt))[::9]
    ]
    verdicts = {verdict.verdict for verdict in compare(tmp_path, cases)}
    assert verdicts == {"yes", "no"}


@pytest.mark.parametrize(
    "size",
    [{"height": 96, "width": 128}, {"height": 200, "width": 136}, {"height": 32, "width": 40}],
    ids=str,
)
def test_other_sizes_and_lengths_are_judged_alike(tmp_path: Path, size: dict[str, int]) -> None:
    cases = [Case(c.frames, c.caption, "true") for c in clips(num=5, num_frames=17, **size)]
    cases += [Case(CORRUPTIONS["ghosted"](c.frames, 1), c.prompt, "ghosted") for c in cases]
    compare(tmp_path, cases)


def test_what_cannot_be_judged_is_said_alike(tmp_path: Path) -> None:
    frames = clips(num=1)[0].frames
    cases = [
        Case(frames, "a cat plays the piano", "unknown words"),
        Case(frames, "circle moving left " * 60, "too long"),
        Case(frames[:3], "circle moving left", "too short"),
        Case(frames[:, :12], "circle moving left", "too small"),
    ]
    verdicts = compare(tmp_path, cases)
    assert [verdict.verdict for verdict in verdicts] == ["cannot judge"] * len(cases)


# ---- prompts --------------------------------------------------------------------------------

PROMPTS = [
    *("", "!", "-", "circle", "up", "moving left", "a red ring", "Kreis moving left"),
    *("circle movin left", "cirle up", "circle rotatting clockwise", "ccircle shrinking"),
    *(
        "red circle blue moving left",
        "a small large circle shrinking",
        "circle moving and shrinking",
    ),
    *("circle bouncing left", "circle moving", "circle moving clockwise", "circle shrinking left"),
    *("circle moving up and down", "circle bouncing left and right", "ball moving right up"),
    *("circle moving diagonally left", "disc spinning diagonally clockwise"),
    *("circle standing still quickly", "dot that does not move", "star at rest", "a box in place"),
    *("circle moving left on white on black", "circle moving left on", "on white"),
    *("circle moving left white background", "circle moving left on white backdrop"),
    *("circle moving left, square moving right; star", "a ring, a star and a box moving up"),
    *(
        "On white, a CRIMSON ball quickly drifts to the left.",
        "moving left circle",
        "çircle ümoving",
    ),
    *("a dark blue disk on dark blue going around the centre anti-clockwise", "up-down circle"),
    *("circle moves toward the upper-left corner", "circle\u00a0moving\tleft", "x" * 300),
]


def test_prompts_are_understood_alike(tmp_path: Path) -> None:
    phrases = [" ".join(phrase) for phrase in grammar._VOCABULARY]
    said = [p for table in grammar._SAID.values() for known in table.values() for p in known]
    words = [f"circle moving {phrase}" for phrase in (*phrases, *said)]
    captions = shapes.Source(shapes.Config()).captions
    prompts = [*PROMPTS, *words, *tutorial.CAPTIONS, *tutorial.UNSEEN_PROMPTS, *captions]
    ours: list[Any] = []
    for prompt in prompts:
        try:
            ours.append(json.loads(json.dumps(asdict(parse(prompt)))))
        except CannotParse as error:
            ours.append(str(error))
    theirs = in_javascript(tmp_path, [], prompts)["parsed"]
    for prompt, mine, other in zip(prompts, ours, theirs, strict=True):
        assert mine == other, prompt
    assert sum(isinstance(mine, str) for mine in ours) > 20


# ---- constants ------------------------------------------------------------------------------


def numbers_in(value: object) -> list[float]:
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        return [number for part in value for number in numbers_in(part)]
    return [float(value)] if isinstance(value, (int, float)) else []


def test_constants_have_the_same_values() -> None:
    """Of those that stand there as plain numbers; a changed limit may pass by all clips above."""
    same = 0
    for file, modules in FOLLOWED.items():
        code = re.sub(r"//.*", "", (PLAYGROUND / file).read_text(encoding="utf-8"))
        for name, value in re.findall(r"^(?:export )?const ([A-Z_]+) = (.*?);", code, re.M | re.S):
            python = [vars(m)[n] for m in modules for n in (name, f"_{name}") if n in vars(m)]
            if python and not re.search(r"[(/A-Z]", value) and numbers_in(python[0]):
                found = [float(number) for number in re.findall(r"-?\d+\.?\d*", value)]
                assert found == numbers_in(python[0]), f"{file}: {name}"
                same += 1
    assert same > 40
