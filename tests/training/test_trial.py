"""What a training is told to cost, from a few steps of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kineograph.models.base import Phase
from kineograph.training.loop import Trainer
from kineograph.training.settings import TrainingConfig
from kineograph.training.trial import Stretch, Trial, foreseen, measure, peak_memory, stretches_of

Make = Callable[..., Trainer]


def phase(name: str, start: float, stop: float) -> Phase:
    return Phase(name, [], lambda batch: {}, start=start, stop=stop)


def trial(*seconds: float, check: float = 0.0) -> Trial:
    """Of a training whose first tenth costs other steps than the rest."""
    edges = [(0.0, 0.1), (0.1, 1.0)]
    stretches = [Stretch((), *edge, each) for edge, each in zip(edges, seconds, strict=True)]
    return Trial(stretches, check, 0, 0, None, None)


def test_a_training_is_told_in_stretches_of_the_same_phases() -> None:
    found = stretches_of([phase("a", 0.0, 0.2), phase("b", 0.2, 1.0), phase("b", 0.2, 1.0)])
    assert found == [Stretch(("a",), 0.0, 0.2), Stretch(("b",), 0.2, 1.0)]
    found = stretches_of([phase("a", 0.0, 1.0), phase("b", 0.5, 0.75)])
    assert [each.phases for each in found] == [("a",), ("a", "b"), ("a",)]


def test_without_a_limit_every_stretch_takes_its_share_of_the_steps() -> None:
    config = TrainingConfig(steps=1000, evaluate_every=0)
    assert foreseen(config, trial(2.0, 1.0)) == (1000, pytest.approx(100 * 2 + 900 * 1))


def test_live_verifications_take_their_time() -> None:
    config = TrainingConfig(steps=1000, evaluate_every=50)
    steps, seconds = foreseen(config, trial(2.0, 1.0, check=5.0))
    assert (steps, seconds) == (1000, pytest.approx(1100 + 20 * 5))


def test_within_a_time_limit_every_stretch_takes_its_share_of_the_time() -> None:
    config = TrainingConfig(steps=1000, minutes=1.0, evaluate_every=0)
    steps, seconds = foreseen(config, trial(2.0, 1.0))
    assert (steps, seconds) == (3 + 54, pytest.approx(60))


def test_a_time_limit_that_is_never_reached_changes_nothing() -> None:
    config = TrainingConfig(steps=1000, minutes=100.0, evaluate_every=0)
    assert foreseen(config, trial(2.0, 1.0)) == (1000, pytest.approx(1100))


@pytest.mark.parametrize("family", ["gan", "flow", "tutorial_gan"])
def test_a_trial_measures_and_writes_nothing(trainer: Make, tmp_path: Path, family: str) -> None:
    checked: list[object] = []
    run = trainer(tmp_path, family=family)
    found = measure(run, checked.append)
    assert not list(tmp_path.iterdir())
    assert checked == [run.ema.model]
    names = {name for stretch in found.stretches for name in stretch.phases}
    assert names == {each.name for each in run.model.phases}
    assert all(stretch.seconds > 0 for stretch in found.stretches)
    weights = sum(tensor.nbytes for tensor in run.model.state_dict().values())
    assert found.weights_bytes == weights
    assert 3.5 * weights < found.checkpoint_bytes < 4.5 * weights, "average and two moments"
    if not torch.cuda.is_available():
        assert found.gpu_bytes is None


def test_the_peak_of_this_process_only_grows() -> None:
    before = peak_memory()
    if before is None:
        pytest.skip("this system does not tell")
    held = torch.ones(before // 4 + 2**26)  # as many bytes as the peak, and 256 MiB more
    assert peak_memory() >= before + 2**27, held.shape  # type: ignore[operator]  # not None now
