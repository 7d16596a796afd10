"""Numbers that are none, memory that does not do, disks that are full, and others at work."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from kineograph.core.errors import DiskFullError, MachineError, RequestError
from kineograph.core.files import locked, seal
from kineograph.models.base import TensorBatch
from kineograph.training import resume
from kineograph.training.distributed import World
from kineograph.training.loop import Hooks, Trainer
from kineograph.training.metrics_log import read_metrics

Make = Callable[..., Trainer]


def altered(run: Trainer, name: str, alter: Callable[[TensorBatch, Any], Any]) -> Trainer:
    """The same training, in which a phase's losses are what ``alter`` makes of them."""
    for phase in {id(p): p for p in run.model.phases if p.name == name}.values():
        losses = phase.losses
        object.__setattr__(
            phase, "losses", lambda batch, losses=losses: alter(batch, losses(batch))
        )
    return run


def breaking(steps: range, run: Trainer) -> Callable[[TensorBatch, Any], Any]:
    def alter(batch: TensorBatch, found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        bad = float("nan") if run.step in steps else 1.0
        return found | {"total": bad * found["total"]}

    return alter


def weights(run: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.model.state_dict().items()}


def test_a_turn_that_is_not_finite_teaches_nothing_and_is_counted(
    trainer: Make, tmp_path: Path
) -> None:
    run = trainer(tmp_path, family="flow")
    altered(run, "autoencoder", breaking(range(1, 2), run))
    seen: list[dict[str, torch.Tensor]] = [weights(run)]
    run.hooks = Hooks(progress=lambda status: seen.append(weights(run)))
    run.run()
    same = [
        all(torch.equal(a[name], b[name]) for name in a if "autoencoder" in name)
        for a, b in itertools.pairwise(seen)
    ]
    assert same == [False, True, False, False, True, True]
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row.get("skipped") for row in rows] == [None, 2, None, None, None, None]


def test_after_three_in_a_row_it_goes_back_and_learns_more_slowly_once(
    trainer: Make, tmp_path: Path
) -> None:
    said: list[str] = []
    run = trainer(tmp_path, Hooks(say=said.append), steps=8, checkpoint_every=2)
    broken = {"on": True}

    def alter(batch: TensorBatch, found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if run.place.rate < 1:
            broken["on"] = False
        bad = float("inf") if broken["on"] and run.step >= 3 else 1.0
        return found | {"total": bad * found["total"]}

    altered(run, "generator", alter)
    assert run.run() == "finished"
    assert len(said) == 1
    assert "the loss generator.total" in said[0]
    assert "Back to step 4" in said[0]
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [*range(1, 9)]


def test_the_second_time_it_stops_and_names_what_went_first(trainer: Make, tmp_path: Path) -> None:
    run = trainer(tmp_path, family="flow")
    altered(run, "denoiser", breaking(range(2, 100), run))
    with pytest.raises(MachineError, match=r"broke down twice.*the loss denoiser.total"):
        run.run()
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    for tensor in load_file(newest / "model.safetensors").values():
        assert not tensor.is_floating_point() or tensor.isfinite().all()


def test_a_layer_that_gives_what_is_not_finite_is_named(trainer: Make, tmp_path: Path) -> None:
    run = trainer(tmp_path, family="flow", steps=100, checkpoint_every=0)
    encoder = run.model.autoencoder.encoder
    encoder.glance.register_forward_hook(lambda module, given, out: out * float("nan"))
    with pytest.raises(MachineError, match=r"what autoencoder\.encoder\.glance gives"):
        run.run()


@pytest.mark.parametrize("family", ["flow", "gan", "tutorial_gan"])
def test_where_memory_does_not_do_it_learns_the_same_in_parts(
    trainer: Make, tmp_path: Path, family: str
) -> None:
    said: list[str] = []
    whole = trainer(tmp_path / "whole", steps=4, family=family)
    whole.run()
    small = trainer(tmp_path / "small", Hooks(say=said.append), steps=4, family=family)

    def alter(batch: TensorBatch, found: Any) -> Any:
        if len(batch.tokens) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return found

    for name in small.state.optimizers:
        altered(small, name, alter)
    small.run()
    assert said == ["Memory does not do for 4 clips at once: from now on 2."]
    rows = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("whole", "small")]
    for one, other in zip(*rows, strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - {"elapsed"}:
            if family == "gan" and not name.startswith("autoencoder"):
                continue  # its wrong captions are those of the same part
            # The flow finds how much its codes deviate from one part after the other.
            assert one[name] == pytest.approx(other[name], rel=1e-3), name
    again = trainer(tmp_path / "small", steps=3, family=family)
    again.resume()
    assert again.place.parts == 2, "a resume remembers"


def test_where_memory_does_not_do_for_a_single_clip_it_says_so(
    trainer: Make, tmp_path: Path
) -> None:
    run = trainer(tmp_path)

    def alter(batch: TensorBatch, found: Any) -> Any:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    altered(run, "autoencoder", alter)
    with pytest.raises(MachineError, match="not enough memory to learn from 1 clips"):
        run.run()


def test_one_of_several_processes_does_not_divide_alone(
    trainer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others would wait for what it has done once more."""
    run = trainer(tmp_path)
    monkeypatch.setattr(World, "largest", lambda self, *values: [*values])
    run.stepper.world = World(1, 2)

    def alter(batch: TensorBatch, found: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    altered(run, "autoencoder", alter)
    with pytest.raises(MachineError, match="in this process"):
        run.stepper(run.place, 0.0)


def test_a_full_disk_leaves_the_checkpoints_that_are_there(
    trainer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kineograph.training import resume

    save = resume.save_file

    def full(tensors: Any, path: Path) -> None:
        if "step-000004" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        save(tensors, path)

    monkeypatch.setattr(resume, "save_file", full)
    with pytest.raises(DiskFullError, match="The disk is full"):
        trainer(tmp_path).run()
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-000000", "step-000002"]
    monkeypatch.undo()
    again = trainer(tmp_path)
    again.resume()
    assert (again.step, again.run()) == (2, "finished")


def test_what_a_killed_training_left_is_cleared_away(trainer: Make, tmp_path: Path) -> None:
    trainer(tmp_path, steps=2).run()
    (tmp_path / "checkpoints" / ".tmp-step-000004-abc").mkdir()
    again = trainer(tmp_path)
    again.resume()
    assert not list((tmp_path / "checkpoints").glob(".tmp-*"))


def test_a_folder_is_for_one_at_a_time(tmp_path: Path) -> None:
    refused = pytest.raises(RequestError, match="Another process is writing")
    with locked(tmp_path), refused, locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("state.json", '{"step": "many"}'),
        ("state.json", '{"step": -1}'),
        ("state.json", "[]"),
        ("optimizer.safetensors", "no tensors"),
    ],
)
def test_a_checkpoint_that_cannot_be_read_is_told(
    trainer: Make, tmp_path: Path, file: str, text: str
) -> None:
    trainer(tmp_path, steps=1).run()
    for folder in resume.checkpoints(tmp_path / "checkpoints"):
        (folder / file).write_text(text)
        seal(folder)
    with pytest.raises(RequestError, match=file if text != "no tensors" else "holds no tensors"):
        trainer(tmp_path).resume()


def test_moments_of_other_parameters_are_refused(trainer: Make, tmp_path: Path) -> None:
    trainer(tmp_path, steps=1).run()
    newest = resume.checkpoints(tmp_path / "checkpoints")[-1]
    moments = load_file(newest / "optimizer.safetensors")
    name = next(name for name in moments if name.endswith("exp_avg"))
    save_file(moments | {name: torch.zeros(3)}, newest / "optimizer.safetensors")
    seal(newest)
    with pytest.raises(RequestError, match="another model"):
        trainer(tmp_path).resume()
