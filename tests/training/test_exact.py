"""In pieces or at once: the same files, to the byte."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from kineograph.core.errors import MachineError, RequestError
from kineograph.models.base import Phase, VideoModel
from kineograph.training import resume
from kineograph.training.ema import EMA
from kineograph.training.loop import Hooks, Status, Trainer
from kineograph.training.muon import Muon

Make = Callable[..., Trainer]


def told(signals: dict[int, int]) -> Callable[[Status], None]:
    """Step => the signal that comes after it."""

    def progress(status: Status) -> None:
        if status.step in signals:
            signal.raise_signal(signals[status.step])

    return progress


def files(folder: Path, step: int) -> dict[str, bytes]:
    """What has to be the same: the checkpoint of a step, and what was logged."""
    place = folder / "checkpoints" / f"step-{step:06d}"
    tensors = sorted(place.glob("*.safetensors"))
    assert [path.stem for path in tensors] == ["ema", "model", "optimizer"]
    return {path.name: path.read_bytes() for path in [*tensors, folder / "metrics.jsonl"]}


def accuracy(model: VideoModel, step: int) -> dict[str, float]:
    return {"a": step / 10}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", ["gan", "flow", "flow, nothing moves", "tutorial_gan"])
def test_training_in_pieces_is_training_at_once(
    trainer: Make, tmp_path: Path, family: str, precision: str
) -> None:
    """Ten clips in batches of four: an epoch ends within a batch."""
    settings = {"family": family, "precision": precision, "evaluate_every": 2, "ema": 0.2}
    trainer(tmp_path / "whole", Hooks(check=accuracy), **settings).run()
    stops = {1: signal.SIGINT, 3: signal.SIGTERM, 4: signal.SIGINT}
    for _ in stops:
        piece = trainer(tmp_path / "pieces", Hooks(told(stops), accuracy), **settings)
        if (tmp_path / "pieces" / "checkpoints").exists():
            piece.resume()
        assert piece.run() == "interrupted"
    last = trainer(tmp_path / "pieces", Hooks(check=accuracy), **settings)
    last.resume()
    assert last.step == 4
    assert last.run() == "finished"
    assert files(tmp_path / "whole", 6) == files(tmp_path / "pieces", 6)


def test_who_renders_the_clips_does_not_matter(trainer: Make, tmp_path: Path) -> None:
    trainer(tmp_path / "alone", loader_workers=0).run()
    first = trainer(tmp_path / "two", Hooks(told({3: signal.SIGINT})), loader_workers=2)
    assert first.run() == "interrupted"
    second = trainer(tmp_path / "two", loader_workers=2)
    second.resume()
    second.run()
    assert files(tmp_path / "alone", 6) == files(tmp_path / "two", 6)


def test_a_signal_to_the_whole_job_leaves_those_who_render(trainer: Make, tmp_path: Path) -> None:
    """As torchrun and a cluster send it: the training itself says when they end."""

    before = multiprocessing.active_children()  # of other tests, perhaps

    def progress(status: Status) -> None:
        if status.step == 2:
            workers = [each for each in multiprocessing.active_children() if each not in before]
            assert len(workers) == 2
            for worker in workers:
                os.kill(worker.pid, signal.SIGTERM)
            time.sleep(0.2)
            assert all(worker.is_alive() for worker in workers)

    assert trainer(tmp_path, Hooks(progress), loader_workers=2).run() == "finished"


class Tiny(nn.Linear):
    """A model of one phase, with a matrix that Muon moves and a bias that Adam does."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        parameters = [*self.parameters()]
        self.phases = [Phase("all", parameters, lambda batch: {}, matrices=parameters[:1])]


def state_of(model: Any) -> resume.State:
    return resume.State(model, EMA(model, 0.0), {"all": Muon(*model.phases, "fp32")})


def test_moments_go_where_their_weights_are() -> None:
    """On a GPU the optimisers look there for all of them; "meta" is what every machine has."""
    here = state_of(Tiny())
    here.model(torch.ones(1, 2)).sum().backward()
    here.optimizers["all"].step()
    with torch.device("meta"):
        there = state_of(Tiny())
    there.restore(here.snapshot())
    moments = [t for each in there.optimizers["all"].state.values() for t in each.values()]
    assert len(moments) == 1 + 3
    assert {tensor.device.type for tensor in moments} == {"meta"}


def test_a_checkpoint_from_before_muon_goes_on_and_one_without_moments_does_not() -> None:
    """Adam's first moment is the mean that Muon takes; a bias cannot do with that alone."""
    here = state_of(Tiny())
    here.model(torch.ones(1, 2)).sum().backward()
    here.optimizers["all"].step()
    told = here.snapshot()
    mean = told["optimizer"]["all/0/exp_avg"]
    older = {"all/0/exp_avg_sq": mean.square(), "all/0/step": torch.ones(())}
    here.restore(told | {"optimizer": {**told["optimizer"], **older}})
    here.model(torch.ones(1, 2)).sum().backward()
    here.optimizers["all"].step()
    assert here.not_finite() is None
    short = {name: each for name, each in told["optimizer"].items() if name != "all/1/step"}
    with pytest.raises(RequestError, match="another model"):
        here.restore(told | {"optimizer": short})


def test_the_newest_checkpoint_has_the_highest_number(tmp_path: Path) -> None:
    for step in (999_500, 1_000_000, 500):
        (tmp_path / f"step-{step:06d}").mkdir()
    names = [path.name for path in resume.checkpoints(tmp_path)]
    assert names == ["step-000500", "step-999500", "step-1000000"]


def test_the_best_checkpoint_stays_with_the_newest(trainer: Make, tmp_path: Path) -> None:
    def check(model: VideoModel, step: int) -> dict[str, float]:
        return {"a": {2: 0.9}.get(step, 0.1)}

    trainer(tmp_path, Hooks(check=check), evaluate_every=1, keep_checkpoints=2).run()
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-000002", "step-000004", "step-000006"]


# ---- compiled ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_compiled_in_pieces_is_compiled_at_once(
    trainer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    settings = {"family": "flow", "compile": True}
    trainer(tmp_path / "whole", **settings).run()
    torch._dynamo.reset()
    first = trainer(tmp_path / "pieces", Hooks(told({4: signal.SIGINT})), **settings)
    assert first.run() == "interrupted"
    torch._dynamo.reset()
    last = trainer(tmp_path / "pieces", **settings)
    last.resume()
    assert last.run() == "finished"
    assert files(tmp_path / "whole", 6) == files(tmp_path / "pieces", 6)
    trainer(tmp_path / "lines", family="flow").run()
    compiled, line_by_line = (losses(tmp_path / name) for name in ("whole", "lines"))
    assert compiled == pytest.approx(line_by_line, rel=1e-3)


def losses(folder: Path) -> dict[str, float]:
    """Of the last step."""
    row: dict[str, float] = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    return row


@pytest.mark.slow
def test_code_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the first of two trainings, each in a process of its own."""
    command = [sys.executable, "-m", "kineograph", "train", "tutorial", "--training.compile"]
    command += ["--training.steps", "3", "--training.batch-size", "4", "--model.width", "16"]
    command += ["--training.evaluate-every", "0", "--model.autoencoder-share", "0.3"]
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = []
    for name in ("first", "second"):
        subprocess.run([*command, "--out", str(tmp_path / name)], check=True)
        made.append(sorted((tmp_path / "cache/kineograph/compiled").rglob("*.so")))
    assert made[0]
    assert made[0] == made[1]
    assert files(tmp_path / "first", 3) == files(tmp_path / "second", 3)


def test_what_cannot_be_compiled(
    trainer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RequestError, match="no part that can be compiled"):
        trainer(tmp_path, family="tutorial_gan", compile=True)
    with pytest.raises(RequestError, match="each process has whole"):
        trainer(tmp_path, family="flow", compile=True, weights="shard")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(MachineError, match="no C\\+\\+ compiler"):
        trainer(tmp_path, family="flow", compile=True)
