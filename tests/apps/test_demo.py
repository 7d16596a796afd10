"""The demo, shortened to seconds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kineograph.apps.demo import demo
from kineograph.core.errors import RequestError
from kineograph.data.sources.tutorial import CAPTIONS, UNSEEN_PROMPTS
from kineograph.evaluation.own_error import BROKEN, RIGHT
from kineograph.evaluation.report import recorded_baseline
from kineograph.training.loop import Hooks


@pytest.mark.slow
def test_the_demo_ends_in_a_report_of_every_prompt(tmp_path: Path) -> None:
    stages: list[str] = []
    said: list[str] = []
    hooks = Hooks(say=said.append)
    runs = tmp_path / "runs"  # which is not there yet, as in a new clone
    result = demo(minutes=0.05, out=runs / "demo", hooks=hooks, say=stages.append)
    assert (runs / "demo-first.webp").read_bytes()[8:12] == b"WEBP"
    assert "demo-first.webp shows what" in said[0]
    assert result.report is not None
    page = result.report.read_text(encoding="utf-8")
    for prompt in (*CAPTIONS, *UNSEEN_PROMPTS):
        assert prompt in page
    for name in (*RIGHT, *BROKEN):
        assert f'<th scope="row">{name}</th>' in page
    assert len(stages) == 2
    told = result.as_json()
    assert json.loads(json.dumps(told))["ended"] == "finished"
    assert set(result.times) == {"training", "generating and judging", "judging the judge"}
    with pytest.raises(RequestError, match="exists already"):
        demo(minutes=0.05, out=runs / "demo")


def test_the_recorded_baseline_is_read_as_it_was_written() -> None:
    baseline = recorded_baseline()
    assert baseline is not None
    assert baseline.training is not None
    assert 0 <= baseline.training <= 1
    assert set(baseline.prompts) == set(UNSEEN_PROMPTS)
