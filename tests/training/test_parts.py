"""Schedules, the average and the metrics file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from kineograph.data.loader import Loader
from kineograph.data.sources import tutorial
from kineograph.training.ema import EMA
from kineograph.training.metrics_log import MetricsLog, read_metrics
from kineograph.training.schedules import learning_rate


def test_the_learning_rate_rises_stays_and_falls() -> None:
    assert learning_rate(0.0, 0.1, 0.5) < 0.02
    assert learning_rate(0.3, 0.1, 0.5) == 1.0
    assert 0.4 < learning_rate(0.75, 0.1, 0.5) < 0.6
    assert learning_rate(1.0, 0.1, 0.5) == 0.0
    assert learning_rate(1.0, 0.0, 0.0) == 1.0


@pytest.mark.parametrize("width", [0.05, 0.1, 0.2])
def test_the_average_reaches_back_over_the_same_share_of_any_training(width: float) -> None:
    """The weights of all steps so far have the standard deviation that the setting says."""
    model = nn.Linear(400, 1, bias=False)
    nn.init.constant_(model.weight, 7.0)
    ema = EMA(model, width)
    for step in range(400):
        nn.init.zeros_(model.weight)
        model.weight.data[0, step] = 1.0
        ema.update(model, step)
    share = ema.model.weight[0]
    assert torch.isclose(share.sum(), torch.tensor(1.0))
    when = torch.arange(400) / 400
    mean = (share * when).sum()
    spread = (share * (when - mean).square()).sum().sqrt()
    assert abs(spread - width) < 0.1 * width
    assert not ema.model.weight.requires_grad


def test_a_width_of_zero_is_the_model_itself() -> None:
    model = nn.Linear(2, 2)
    ema = EMA(model, width=0.0)
    nn.init.constant_(model.weight, 3.0)
    for step in range(2):
        ema.update(model, step)
        assert torch.equal(ema.model.weight, model.weight)


def test_a_resume_drops_the_lines_of_the_lost_future_and_the_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path, 0) as log:
        for step in range(1, 5):
            log.write({"step": step}, elapsed=float(step))
    with path.open("a") as file:
        file.write('{"step": 5, "lo')
    with MetricsLog(path, 3) as log:
        log.write({"step": 4, "again": True}, elapsed=9.0)
    assert read_metrics(path) == [
        {"step": 1, "elapsed": 1.0},
        {"step": 2, "elapsed": 2.0},
        {"step": 3, "elapsed": 3.0},
        {"step": 4, "again": True, "elapsed": 9.0},
    ]
    assert "elapsed" not in path.read_text(), "it differs from run to run"


def test_every_clip_comes_once_an_epoch_in_an_order_of_the_seed() -> None:
    source = tutorial.Source(tutorial.Config(num_clips=30))
    loader = Loader(source, 6, seed=5)
    epochs = [np.concatenate([loader.indices(e * 5 + i) for i in range(5)]) for e in range(2)]
    assert all(sorted(epoch) == list(range(30)) for epoch in epochs)
    assert not np.array_equal(*epochs)
    assert np.array_equal(loader.indices(3), Loader(source, 6, seed=5).indices(3))
    assert not np.array_equal(loader.indices(3), Loader(source, 6, seed=6).indices(3))
