from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from kineograph.core.errors import MachineError, RequestError
from kineograph.training.environment import choose_device
from kineograph.training.loop import Hooks, Status, Trainer
from kineograph.training.metrics_log import read_metrics

Make = Callable[..., Trainer]


def test_every_step_is_a_line_and_the_last_ones_are_kept(trainer: Make, tmp_path: Path) -> None:
    assert trainer(tmp_path, keep_checkpoints=2).run() == "finished"
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert "autoencoder.total" in rows[0]
    assert {"discriminator.total", "generator.total"} <= set(rows[-1])
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-000004", "step-000006"]


def _interrupt_at(step: int) -> Callable[[Status], None]:
    def progress(status: Status) -> None:
        if status.step == step:
            signal.raise_signal(signal.SIGINT)

    return progress


def test_a_damaged_checkpoint_is_named_and_passed_over(trainer: Make, tmp_path: Path) -> None:
    trainer(tmp_path).run()
    newest = tmp_path / "checkpoints" / "step-000006" / "ema.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    again = trainer(tmp_path)
    again.resume()
    assert again.step == 4
    assert "step-000006" in again.notes[0]


def test_without_a_whole_checkpoint_there_is_nothing_to_resume(
    trainer: Make, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match="no whole checkpoint"):
        trainer(tmp_path).resume()


def test_it_ends_early_at_the_accuracy_that_was_asked_for(trainer: Make, tmp_path: Path) -> None:
    hooks = Hooks(check=lambda model, step: {"a": step / 4, "b": 0.5})
    run = trainer(tmp_path, hooks, stop_at=0.75, evaluate_every=2)
    assert run.run() == "stop_at"
    assert run.step == 4
    assert run.result()[1] == 0.75
    checked = [row for row in read_metrics(tmp_path / "metrics.jsonl") if "accuracy" in row]
    assert [row["accuracy"] for row in checked] == [0.5, 0.75]


def test_it_ends_with_its_time(trainer: Make, tmp_path: Path) -> None:
    run = trainer(tmp_path, steps=100_000, minutes=0.005)
    assert run.run() == "finished"
    assert 0 < run.step < 100_000


def test_the_average_is_what_is_checked(trainer: Make, tmp_path: Path) -> None:
    seen: list[torch.nn.Module] = []

    def check(model: torch.nn.Module, step: int) -> dict[str, float]:
        seen.append(model)
        return {}

    hooks = Hooks(check=check)
    run = trainer(tmp_path, hooks, evaluate_every=3, ema=0.2)
    run.run()
    assert all(model is run.ema.model for model in seen)
    ours, theirs = (list(each.parameters())[-1] for each in (run.model, run.ema.model))
    assert not torch.equal(ours, theirs)


def test_the_best_may_be_kept_instead_of_the_last(trainer: Make, tmp_path: Path) -> None:
    """Also over an interruption, after which nothing is as good."""
    seen: dict[int, dict[str, torch.Tensor]] = {}

    def check(model: torch.nn.Module, step: int) -> dict[str, float]:
        seen[step] = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        return {"a": 0.5, "b": {1: 0.2, 2: 0.8, 3: 0.8}.get(step, 0.1)}

    settings: dict[str, Any] = {"evaluate_every": 1, "ema": 0.2, "keep": "best"}
    first = trainer(tmp_path, Hooks(_interrupt_at(4), check), **settings)
    assert first.run() == "interrupted"
    run = trainer(tmp_path, Hooks(check=check), **settings)
    run.resume()
    run.run()
    model, accuracy = run.result()
    assert accuracy == pytest.approx(0.65)  # of two that are as good, the later one
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, seen[3][name]), name
    assert not all(torch.equal(seen[6][name], seen[3][name]) for name in seen[3])
    assert all(torch.equal(seen[6][n], t) for n, t in run.ema.model.state_dict().items())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("steps", 0),
        ("batch_size", -1),
        ("learning_rate", 0.0),
        ("minutes", 0.0),
        ("stop_at", 95),
        ("ema", 0.995),
        ("gradient_clip", -1.0),
        ("warmup", 1.5),
        ("cooldown", -1.0),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(
    trainer: Make, tmp_path: Path, setting: str, value: float
) -> None:
    with pytest.raises(RequestError, match=f"training.{setting}"):
        trainer(tmp_path, **{setting: value})


@pytest.mark.parametrize("faster", ["bf16", "fp32"])
def test_it_trains_in_the_precision_that_is_faster_here(
    trainer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faster: str
) -> None:
    rates = {"bf16": 1.0, "fp32": 1.0} | {faster: 2.0}
    monkeypatch.setattr("kineograph.training.environment.matrix_rates", lambda device: rates)
    assert trainer(tmp_path, precision="auto").config.precision == faster


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(RequestError, match="no device"):
        choose_device("abacus")
    with pytest.raises(RequestError, match='Nothing here runs on "meta"'):
        choose_device("meta")


def test_a_gpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(MachineError, match="2 CUDA devices, and no cuda:2"):
        choose_device("auto")
