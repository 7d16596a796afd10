"""What a training would take, tried in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kineograph import recipes
from kineograph.core.errors import MachineError, RequestError
from kineograph.dry_run import dry_run
from kineograph.training.settings import DistillConfig

TOY: dict[str, dict[str, int]] = {
    "data": {"num_frames": 4, "height": 16, "width": 16},
    "model": {"width": 16, "drawing_width": 8},
    "training": {"steps": 300, "batch_size": 4, "evaluate_every": 100},
}


def test_a_dry_run_tells_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = recipes.resolve("tutorial", TOY)
    found = dry_run(asked)
    assert not list(tmp_path.iterdir())
    told = recipes.build(found.recipe)
    assert told.training.precision in ("bf16", "fp32")
    assert replace(told, training=asked.training) == asked
    assert found.steps == 300
    assert found.parameters == sum(found.networks.values())
    assert [each["phases"] for each in found.stretches] == [["autoencoder"], ["denoiser"]]
    shares = [each["stop"] - each["start"] for each in found.stretches]
    steps = sum(300 * s * each["seconds"] for s, each in zip(shares, found.stretches, strict=True))
    assert found.seconds == pytest.approx(steps + 3 * found.check_seconds)
    assert found.check_seconds > 0
    assert found.disk_bytes > (3 + 2) * found.checkpoint_bytes
    if sys.platform == "linux":
        assert found.memory_bytes
        assert found.memory_bytes > 2**27


def test_what_the_training_would_refuse_is_refused() -> None:
    with pytest.raises(RequestError, match=r"training\.ema is 0\.9"):
        dry_run(recipes.resolve("tutorial", {"training": {"ema": 0.9}}))


def test_what_goes_on_from_a_trained_model_is_refused() -> None:
    recipe = replace(recipes.resolve("tutorial", TOY), distill=DistillConfig("runs/a"))
    with pytest.raises(RequestError, match="--dry-run"):
        dry_run(recipe)


def test_a_trial_that_the_system_ends_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    killed = subprocess.CompletedProcess([], -9, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: killed)
    with pytest.raises(MachineError, match=r"batch_size"):
        dry_run(recipes.resolve("tutorial", TOY))


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [8, 64])
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read as Linux tells it")
def test_the_memory_of_a_training_is_within_15_percent_of_what_was_told(
    tmp_path: Path, batch_size: int
) -> None:
    training: dict[str, Any] = {"steps": 24, "evaluate_every": 8, "checkpoint_every": 8}
    training |= {"batch_size": batch_size, "device": "cpu"}
    recipe = recipes.resolve("tutorial", {"training": training})
    words = [f"--training.{name}={value}" for name, value in training.items()]
    code = (
        "import sys; from kineograph.apps.cli import main; code = main(sys.argv[1:]);"
        "from kineograph.training.trial import peak_memory; print(peak_memory()); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "tutorial", "--out", str(tmp_path / "run"), *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    measured = int(done.stdout.splitlines()[-1])
    assert dry_run(recipe).memory_bytes == pytest.approx(measured, rel=0.15)
