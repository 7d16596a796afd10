"""The benchmarks' own logic; the races themselves take minutes, and one of them the network."""

from __future__ import annotations

import copy
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kineograph.data.sources.tutorial import CAPTIONS, UNSEEN_PROMPTS, Config, Source

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
SETTINGS = {"minutes": 5.0, "seed": 0, "timesteps": 50, "batch": 4}


@pytest.fixture
def time_to_accuracy(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("time_to_accuracy")


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("tables")


def reached(share: float, low: float, high: float) -> dict[str, Any]:
    return {"training_prompts": share, "training_prompts_interval": [low, high]}


def test_families_are_compared_with_each_baseline_and_at_its_upper_end_where_it_is_never_right(
    time_to_accuracy: Any,
) -> None:
    models = {
        "flow": reached(1.0, 0.96, 1.0),
        "gan": reached(0.8, 0.75, 0.85),
        "tutorial_gan": reached(0.0, 0.0, 0.003),
        "ddpm": reached(0.0, 0.0, 0.16),
    }
    found = time_to_accuracy.ratios(models, "ddpm")
    assert found["flow"] == {"times": pytest.approx(6.0), "is_lower_bound": True}
    assert time_to_accuracy.ratios(models, "tutorial_gan")["gan"]["times"] == pytest.approx(250)
    models["ddpm"] = reached(0.4, 0.2, 0.6)
    found = time_to_accuracy.ratios(models, "ddpm")
    assert found["gan"] == {"times": pytest.approx(2.0), "is_lower_bound": False}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--ddpm 0", "--ddpm: at least 1"),
        ("--ddpm 1 --ddpm-timesteps -3", "--ddpm-timesteps: at least 1"),
        ("--ddpm-batch 8", "without --ddpm"),
        ("--ddpm-timesteps 8", "without --ddpm"),
        ("--minutes 0", "more than 0"),
    ],
)
def test_a_race_that_cannot_be_run_is_refused_before_it_begins(
    time_to_accuracy: Any,
    words: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["time_to_accuracy.py", *words.split()])
    with pytest.raises(SystemExit) as ended:
        time_to_accuracy.arguments()
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_clips_of_the_ddpm_are_judged_by_their_own_prompts_and_count_as_few_as_they_are(
    time_to_accuracy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place of the DDPM stand real clips: two a caption, and those of "down" for the unseen."""

    def pretend(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        settings, output = json.loads(command[2]), Path(command[3])
        which = [k for k in (*range(len(CAPTIONS)), 0, 0) for _ in range(settings["clips"])]
        np.save(output, Source(Config()).batch(np.array(which), seed=1).frames)
        return subprocess.CompletedProcess(command, 0, "chatter\n" + json.dumps({"steps": 7}))

    monkeypatch.setattr(time_to_accuracy.ddpm.subprocess, "run", pretend)
    found = time_to_accuracy.race_ddpm(
        time_to_accuracy.ddpm.Settings(**SETTINGS, clips=2), tmp_path
    )
    assert (found["steps"], found["clips_judged"]) == (7, 40)
    assert found["training_prompts"] == 1.0
    assert found["training_prompts_interval"][0] == pytest.approx(0.904, abs=1e-3)  # 36 of 36
    assert list(found["prompts"]) == [*CAPTIONS, *UNSEEN_PROMPTS]
    assert [found["prompts"][prompt] for prompt in UNSEEN_PROMPTS] == [0.0, 0.0]
    assert found["intervals"][UNSEEN_PROMPTS[0]][1] == pytest.approx(0.658, abs=1e-3)  # 0 of 2


def test_checks_that_say_the_same_are_told_once(
    tables: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = [[14.2, 0.0], [20.0, 0.5], [30.0, 1.0], [40.0, 1.0], [50.4, 1.0]]
    race = {"models": {"gan": {"accuracy_over_time": checks}, "ddpm": {}}}
    monkeypatch.setattr(tables, "results", lambda name: race)
    (line,) = tables.live()
    assert line.endswith(": 0.0 % after 14 s, 50.0 % after 20 s, 100.0 % from 30 s to 50 s.")


def test_the_table_has_a_column_for_the_ddpm_with_its_clips_where_it_was_raced(
    tables: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = tables.results
    race = copy.deepcopy(recorded("time_to_accuracy"))
    few = {"clips": 1, "clips_judged": 20, "steps": 1234, "clips_per_second": 0.0934}
    figures = SETTINGS | few | {"parameters": 36_214_227}
    race["models"]["ddpm"] = race["models"]["tutorial_gan"] | figures
    race["gpu"] = "Some GPU"
    monkeypatch.setattr(
        tables, "results", lambda name: race if name == "time_to_accuracy" else recorded(name)
    )
    text = tables.readme()
    header, rule, *rows = text.split("\n\n")[0].splitlines()
    assert header.endswith("| the tutorial's model | a 3D U-Net DDPM (lucidrains) |")
    assert {line.count("|") for line in (header, rule, *rows)} == {6}
    assert "36 M parameters" in text
    assert "1,234 steps of 4 at 0.0934 clips a second" in text
    assert "judged by 20 clips, 1 a prompt, each sampled in 50 steps" in text
    assert "Some GPU" in text
    assert "without a GPU" not in text


def test_recipes_stand_in_a_table_by_seed_and_what_was_not_run_is_empty(
    tables: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = {"share": 0.5, "interval": [0.4, 0.6]}
    measures = {"PSNR to the true rendering, dB": 23.94, "something else": 1.0}
    split = {"all": half, "measures": measures}
    where = {"machine": "2 cores", "commit": "0123456789"}
    run = {"minutes": 40, **where, "splits": {"train": split, "held-out": split}}
    prompts = dict.fromkeys(UNSEEN_PROMPTS, half)
    own = {"minutes": 4, **where, "splits": {"all": split}}
    own |= {"training prompts": half, "prompts": prompts}
    recipes = {"sprites": {"0": run}, "tutorial": {"0": own, "1": own}}
    monkeypatch.setattr(tables, "results", lambda name: recipes)
    lines = tables.recipes_table()
    assert lines[-1].endswith("`sprites`, `tutorial` on 2 cores, at 0123456.")
    header, _, *rows = [line for line in lines if line.startswith("|")]
    assert header == "| recipe | tried on | seed 0 | seed 1 |"
    assert rows[0] == "| `sprites`, 40 min | training captions | 50.0 % (40.0–60.0) |  |"
    assert rows[2] == "|  | PSNR to the true rendering, dB | 23.9 |  |"
    assert f'"{UNSEEN_PROMPTS[0]}", never seen | 50.0 % (40.0–60.0) | 50.0 %' in rows[4]
    own |= {"gpu": "Some GPU"}
    assert tables.recipes_table()[-1].endswith(
        "`sprites` on 2 cores, at 0123456; `tutorial` on 2 cores, Some GPU, at 0123456."
    )


def test_the_plain_recipe_reads_captions_as_our_families_do(time_to_accuracy: Any) -> None:
    vectors = time_to_accuracy.ddpm.reader(torch.device("cpu"))(UNSEEN_PROMPTS)
    assert vectors.shape == (len(UNSEEN_PROMPTS), time_to_accuracy.ddpm.FEATURES)
    assert torch.allclose(vectors.square().mean(1), torch.ones(len(vectors)), atol=1e-3)
