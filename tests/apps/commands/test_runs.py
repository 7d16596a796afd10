"""The list of runs tells how far each has come and how it goes on; the newest model is found."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from kineograph.apps.commands.runs import newest_model
from kineograph.core.files import locked, new_folder


def make_run(name: str, age: int, *, steps: int = 0, model: bool = False, ends: str = "") -> Path:
    """A run with a checkpoint of its last step and, if asked for, the model of it."""
    run = Path("runs", name)
    (run / "model").mkdir(parents=True)
    (run / "config.toml").write_text(f"[training]\nsteps = 4000\n{ends}\n")
    rows = [{"step": step, "elapsed": step / 2} for step in range(1, steps + 1)]
    for row in rows[1::2]:
        row["accuracy"] = row["step"] / 100
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"st')
    place = {"step": steps, "seconds": steps / 2, "accuracy": {"up": 0.5, "down": 0.7}}
    with new_folder(run / "checkpoints" / f"step-{steps:06d}") as folder:
        (folder / "state.json").write_text(json.dumps(place))
    files = [run / "config.toml"]
    if model:
        info = {"info": {"steps": steps, "seconds": steps / 2}}
        (run / "model" / "config.json").write_text(json.dumps(info))
        files.append(run / "model" / "config.json")
    for file in files:
        os.utime(file, (1_700_000_000 - age, 1_700_000_000 - age))
    return run


def damage(run: Path) -> None:
    for path in run.glob("checkpoints/*/state.json"):
        path.write_text("{")


def test_runs_are_listed_oldest_first(call: Any) -> None:
    make_run("b", age=1)
    make_run("a", age=2, steps=83, model=True)
    Path("runs/no-run").mkdir()
    told = call("runs", "--json").json["runs"]
    assert [run["folder"] for run in told] == ["runs/a", "runs/b"]
    assert told[0] == {
        "folder": "runs/a",
        "state": "unfinished",
        "fault": None,
        "steps": 83,
        "of_steps": 4000,
        "seconds": 41.5,
        "of_seconds": None,
        "accuracy": 0.82,
        "has_model": True,
        "resume": "kineograph train runs/a/config.toml --out runs/a --resume",
    }
    out = call("runs").out
    assert "unfinished, 83 of 4,000 steps in 0:41, verified 82%" in out
    assert "no model yet" in out
    assert "\nkineograph train runs/a/config.toml --out runs/a --resume\n" in out


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        ("", "unfinished"),
        ("minutes = 0.5", "finished"),
        ("minutes = 2", "unfinished"),
        ("stop_at = 0.6", "finished"),
        ("stop_at = 0.65", "unfinished"),
    ],
)
def test_a_run_is_finished_by_what_its_settings_say(call: Any, ends: str, state: str) -> None:
    make_run("a", age=1, steps=83, model=True, ends=ends)
    told = call("runs", "--json").json["runs"][0]
    assert told["state"] == state
    assert bool(told["resume"]) == (state == "unfinished")


def test_a_run_whose_steps_are_done_is_finished_once_its_model_is_of_them(call: Any) -> None:
    run = make_run("a", age=1, steps=4000, model=True)
    assert "finished, 4,000 of 4,000 steps" in call("runs").out
    assert "Go on" not in call("runs").out
    (run / "model" / "config.json").write_text('{"info": {"steps": 10}}')
    assert call("runs", "--json").json["runs"][0]["state"] == "unfinished"


def test_a_model_that_was_kept_without_its_checkpoints_is_finished(call: Any) -> None:
    run = make_run("a", age=1, steps=4000, model=True)
    damage(run)
    assert call("runs", "--json").json["runs"][0]["state"] == "finished"


def test_a_run_is_running_while_somebody_has_its_folder(call: Any) -> None:
    with locked(make_run("a", age=1, steps=3)):
        told = call("runs", "--json").json["runs"][0]
        assert (told["state"], told["resume"]) == ("running", None)
    assert call("runs", "--json").json["runs"][0]["state"] == "unfinished"


def test_a_damaged_run_is_listed_too_and_says_why(call: Any) -> None:
    damage(make_run("a", age=2, steps=3))
    (make_run("b", age=1) / "config.toml").write_text("[")
    os.utime("runs/a/config.toml", (1, 1))
    one, other = call("runs", "--json").json["runs"]
    assert (one["state"], one["fault"]) == ("damaged", "it has no whole checkpoint")
    assert (other["state"], other["fault"]) == ("damaged", "its config.toml cannot be read")
    assert other["of_steps"] is None
    assert one["resume"] is other["resume"] is None


def test_the_command_that_goes_on_is_one_line_in_any_terminal(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    make_run("a run with a long name", age=1, steps=3)
    *lines, command = call("runs").out.splitlines()
    assert shlex.split(command)[2] == "runs/a run with a long name/config.toml"
    assert all(len(line) <= 30 for line in lines)


def test_where_there_are_none_it_says_how_to_begin(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "kineograph demo" in call("runs").out
    assert call("runs", "elsewhere", "--json").json == {"runs": []}
    monkeypatch.setenv("COLUMNS", "30")
    assert all(len(line) <= 30 for line in call("runs").out.splitlines())


def test_the_newest_model_counts_not_the_newest_run(call: Any) -> None:
    make_run("old", age=5, model=True)
    wanted = make_run("new", age=3, model=True)
    make_run("unfinished", age=1)
    assert newest_model(Path("runs")) == wanted
    assert newest_model(Path("elsewhere")) is None
