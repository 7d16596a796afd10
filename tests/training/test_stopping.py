"""Signals are heeded wherever they come, and nothing is lost by them."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kineograph.models.base import TensorBatch, VideoModel
from kineograph.training import loop
from kineograph.training.loop import Hooks, Trainer
from kineograph.training.metrics_log import read_metrics
from kineograph.training.stopping import Signals, Stopping

Make = Callable[..., Trainer]


def newest(folder: Path) -> Path:
    return sorted((folder / "checkpoints").iterdir())[-1]


def lasting(seconds: float) -> None:
    """Work of that many seconds, in the first of which the process is told to end."""
    if threading.current_thread() is threading.main_thread():
        signal.raise_signal(signal.SIGTERM)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.01)


def test_in_the_middle_of_a_long_step_it_ends_as_if_that_had_not_begun(
    trainer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_LONG", 0.0)
    whole = trainer(tmp_path / "whole")
    whole.run()
    run = trainer(tmp_path / "told")
    turns = iter(range(100))

    def slow(batch: TensorBatch) -> dict[str, object]:
        if next(turns) == 1:  # the autoencoder's second turn of the first step
            lasting(60)
        return losses(batch)

    phase = run.model.phases[0]
    losses = phase.losses
    object.__setattr__(phase, "losses", slow)
    started = time.monotonic()
    assert run.run() == "interrupted"
    assert time.monotonic() - started < 30, "it did not wait for the step"
    assert (run.step, read_metrics(tmp_path / "told" / "metrics.jsonl")) == (0, [])
    again = trainer(tmp_path / "told")
    again.resume()
    assert again.run() == "finished"
    names = ("model", "ema", "optimizer")
    for name in names:
        files = [newest(tmp_path / run) / f"{name}.safetensors" for run in ("whole", "told")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_in_the_middle_of_a_check_it_ends_and_checks_again_when_it_goes_on(
    trainer: Make, tmp_path: Path
) -> None:
    calls: list[int] = []

    def check(model: VideoModel, step: int) -> dict[str, float]:
        calls.append(step)
        if calls == [2, 4]:
            lasting(60)
        return {"a": step / 10}

    started = time.monotonic()
    run = trainer(tmp_path, Hooks(check=check), evaluate_every=2)
    assert run.run() == "interrupted"
    assert time.monotonic() - started < 30
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2, 3]
    again = trainer(tmp_path, Hooks(check=check), evaluate_every=2)
    again.resume()
    assert again.run() == "finished"
    assert calls == [2, 4, 4, 6]
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row.get("accuracy") for row in rows] == [None, 0.2, None, 0.4, None, 0.6]


def test_in_the_check_of_the_last_step_too(trainer: Make, tmp_path: Path) -> None:
    """Though all steps are done, the training is not: the last line is still to be logged."""
    calls: list[int] = []

    def check(model: VideoModel, step: int) -> dict[str, float]:
        calls.append(step)
        if len(calls) == 1:
            lasting(60)
        return {"a": 0.5}

    run = trainer(tmp_path, Hooks(check=check), evaluate_every=6)
    assert run.run() == "interrupted"
    again = trainer(tmp_path, Hooks(check=check), evaluate_every=6)
    again.resume()
    assert again.run() == "finished"
    assert calls == [6, 6]
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row.get("accuracy") for row in rows] == [None] * 5 + [0.5]


def test_a_second_signal_ends_at_once(trainer: Make, tmp_path: Path) -> None:
    def check(model: VideoModel, step: int) -> dict[str, float]:
        try:
            lasting(60)
        except Stopping:
            lasting(60)
        return {}

    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, Hooks(check=check), evaluate_every=1).run()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000000"]


def test_the_signal_of_a_page_may_come_twice(trainer: Make, tmp_path: Path) -> None:
    def progress(status: loop.Status) -> None:
        for _ in range(2):
            signal.raise_signal(signal.SIGUSR2)

    run = trainer(tmp_path, Hooks(progress=progress), checkpoint_every=0)
    assert run.run() == "interrupted"
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-000000", "step-000001"]


def test_slurms_warning_writes_a_checkpoint_and_the_training_goes_on(
    trainer: Make, tmp_path: Path
) -> None:
    def progress(status: loop.Status) -> None:
        if status.step == 3:
            signal.raise_signal(signal.SIGUSR1)

    run = trainer(tmp_path, Hooks(progress=progress), checkpoint_every=0)
    assert run.run() == "finished"
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-000000", "step-000003", "step-000006"]


def test_signals_are_given_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with Signals():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_nothing_is_taken() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def enter() -> None:
        with Signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]
