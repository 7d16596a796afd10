"""In pieces or at once: the same files, to the byte."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from kineograph.models.base import VideoModel
from kineograph.training.loop import Hooks, Status, Trainer

Make = Callable[..., Trainer]


def told(signals: dict[int, int]) -> Callable[[Status], None]:
    """Step => the signal that comes after it."""

    def progress(status: Status) -> None:
        if status.step in signals:
            os.kill(os.getpid(), signals[status.step])

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


def test_the_best_checkpoint_stays_with_the_newest(trainer: Make, tmp_path: Path) -> None:
    def check(model: VideoModel, step: int) -> dict[str, float]:
        return {"a": {2: 0.9}.get(step, 0.1)}

    trainer(tmp_path, Hooks(check=check), evaluate_every=1, keep_checkpoints=2).run()
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-000002", "step-000004", "step-000006"]
