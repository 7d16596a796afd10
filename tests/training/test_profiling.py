"""The trace of a few steps."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

from kineograph.training.loop import Hooks, Trainer
from kineograph.training.profiling import FILE, traced

Make = Callable[..., Trainer]


def test_a_trace_of_three_steps_is_written_and_told_of(trainer: Make, tmp_path: Path) -> None:
    said: list[str] = []
    steps: list[int] = []
    hooks = Hooks(progress=lambda status: steps.append(status.step), say=said.append)
    with traced(tmp_path, hooks) as watched:
        assert trainer(tmp_path, watched, steps=8).run() == "finished"
    assert steps == list(range(1, 9))
    assert len(said) == 1
    assert str(tmp_path / FILE) in said[0]
    assert "ui.perfetto.dev" in said[0]
    told = json.loads(gzip.decompress((tmp_path / FILE).read_bytes()))
    names = {event.get("name", "") for event in told["traceEvents"]}
    assert {name for name in names if name.startswith("ProfilerStep")} == {
        "ProfilerStep#3",
        "ProfilerStep#4",
        "ProfilerStep#5",
    }
    assert any("Muon" in name for name in names)


def test_a_training_that_is_too_short_says_that_there_is_no_trace(
    trainer: Make, tmp_path: Path
) -> None:
    said: list[str] = []
    with traced(tmp_path, Hooks(say=said.append)) as watched:
        trainer(tmp_path, watched, steps=2).run()
    assert said == ["There is no trace: that takes 4 steps."]
    assert not (tmp_path / FILE).exists()
