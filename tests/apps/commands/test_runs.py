"""The list of runs tells how far each has come; the newest model is found."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kineograph.apps.commands.runs import newest_model
from kineograph.core.errors import RequestError


def make_run(name: str, age: int, *, steps: int = 0, model: bool = False) -> Path:
    run = Path("runs", name)
    (run / "model").mkdir(parents=True)
    (run / "config.toml").write_text("[training]\nsteps = 4000\n")
    rows = [{"step": step, "elapsed": step / 2} for step in range(1, steps + 1)]
    for row in rows[1::2]:
        row["accuracy"] = row["step"] / 100
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"st')
    files = [run / "config.toml"]
    if model:
        (run / "model" / "config.json").write_text("{}")
        files.append(run / "model" / "config.json")
    for file in files:
        os.utime(file, (1_700_000_000 - age, 1_700_000_000 - age))
    return run


def test_runs_are_listed_oldest_first(call: Any) -> None:
    make_run("b", age=1)
    make_run("a", age=2, steps=83, model=True)
    Path("runs/no-run").mkdir()
    told = call("runs", "--json").json["runs"]
    assert [run["folder"] for run in told] == ["runs/a", "runs/b"]
    assert told[0] == {
        "folder": "runs/a",
        "steps": 83,
        "of_steps": 4000,
        "seconds": 41.5,
        "accuracy": 0.82,
        "has_model": True,
    }
    out = call("runs").out
    assert "83 of 4,000 steps in 0:41, verified 82%" in out
    assert "no model yet" in out


def test_a_damaged_run_is_listed_too(call: Any) -> None:
    (make_run("a", age=1) / "config.toml").write_text("[")
    assert call("runs", "--json").json["runs"][0]["of_steps"] is None


def test_where_there_are_none_it_says_how_to_begin(call: Any) -> None:
    assert "kineograph demo" in call("runs").out
    assert call("runs", "elsewhere", "--json").json == {"runs": []}


def test_the_newest_model_counts_not_the_newest_run(call: Any) -> None:
    make_run("old", age=5, model=True)
    wanted = make_run("new", age=3, model=True)
    make_run("unfinished", age=1)
    assert newest_model(Path("runs")) == wanted
    with pytest.raises(RequestError, match="kineograph demo"):
        newest_model(Path("elsewhere"))
