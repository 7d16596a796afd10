"""The doctor tells what this machine has, and what to do where that is not enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from kineograph.apps import speed
from kineograph.apps.commands import doctor
from kineograph.apps.speed import Speed
from kineograph.core import machine

RECORDED = {"machine": "2 cores", "date": "2026-11-27", "steps": 175, "seconds": 300.0}


def test_the_doctor_says_what_there_is(call: Any) -> None:
    done = call("doctor", "--quick", "--json")
    assert done.code == (0 if done.json["ok"] else 1)
    found = done.json["findings"]
    assert found["torch"]["found"]
    assert "TFLOP/s in fp32" in found["matrix products"]["found"]
    assert found["processor has"]["found"]
    assert found["MP4 encoder"] == {"found": "libx264", "remedy": None}
    assert found["video read"] == {"found": "H.264, HEVC, AV1, VP9", "remedy": None}
    assert "GB" in found["free memory"]["found"] or found["free memory"]["found"] == "unknown"
    assert "speed" not in found


def test_the_doctor_ends_with_1_where_something_is_missing(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_LEAST_DISK", 10**30)
    monkeypatch.setattr(doctor, "_LEAST_MEMORY", 10**30)
    monkeypatch.setattr(doctor, "_READ", {"Theora 9": ("theora9",)})
    monkeypatch.setenv("COLUMNS", "40")
    done = call("doctor", "--quick")
    assert done.code == 1
    said = " ".join(done.out.split())
    assert "free some space" in said
    assert "Close other programs" in said
    assert "Clips in Theora 9 cannot be read" in said
    assert max(map(len, done.out.splitlines())) <= 40


@pytest.mark.parametrize(
    ("threads", "usable", "cores", "says"),
    [
        (1, 1, 4, ""),
        (4, 8, 4, ""),
        (8, 8, 4, ""),
        (1, 8, 4, "unset OMP_NUM_THREADS or use OMP_NUM_THREADS=4"),
        (8, 2, 8, "OMP_NUM_THREADS=2"),
        (1, 8, None, ""),
    ],
)
def test_threads_are_as_many_as_processors(
    monkeypatch: pytest.MonkeyPatch, threads: int, usable: int, cores: int | None, says: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"num_physical_cores": cores})
    monkeypatch.setattr(machine, "processors", lambda: usable)
    ((_, found, remedy),) = doctor._threads()
    assert found.startswith(f"{threads} for {usable} processors")
    assert says in remedy
    assert bool(says) == bool(remedy)


def test_the_speed_test_trains_the_recipe_of_the_demo(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_TRIAL", 1.0)
    done = call("doctor", "--json")
    found = done.json["findings"]
    assert "speed" in found
    if "a minute" in found["speed"]["found"]:  # where the machine is busy there may be no step
        assert "steps, then generates and judges" in found["demo here"]["found"]
    assert "to see how fast" in done.err
    assert not list(Path().iterdir())


def test_a_machine_that_does_no_step_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert speed.measure_speed(1e-6) is None
    monkeypatch.setattr(doctor, "measure_speed", lambda _: None)
    assert [name for name, _, remedy in doctor._speed() if remedy] == ["speed"]


@pytest.mark.parametrize(
    ("step", "recorded", "says", "remedy"),
    [
        (1.7, RECORDED, "trains for about 5:30, 194 steps, then", ""),
        (1.7, RECORDED, "the 175 of the benchmark take 4:57", ""),
        (0.02, RECORDED, "trains for about 0:20, 1,000 steps", ""),
        (17.0, RECORDED, "19 steps", "kineograph demo --minutes 50"),
        (17.0, None, "19 steps", ""),
    ],
)
def test_a_speed_is_told_beside_the_usual_one(
    monkeypatch: pytest.MonkeyPatch, step: float, recorded: Any, says: str, remedy: str
) -> None:
    monkeypatch.setattr(doctor, "measure_speed", lambda _: Speed(step, 1024, 1000, recorded))
    (_, speed, _), (_, demo, what_to_do) = doctor._speed()
    assert f"{60 / step:,.1f} steps a minute, each of 1,024 clips" in speed
    assert ("35.0 on 2 cores (2026-11-27)" in speed) == bool(recorded)
    assert says in demo
    assert remedy in what_to_do
    assert bool(remedy) == bool(what_to_do)
