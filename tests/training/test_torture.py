"""Trainings that are killed at any moment, and disks that end: nothing that was whole is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

TRAININGS = 40

# Forks its trainings, since to load PyTorch takes longer than such a training. Not before it has
# computed anything: its threads do not outlive a fork.
DRIVER = '''
import json, os, random, resource, signal, sys, time
from pathlib import Path

import torch
from kineograph.core.errors import KineographError
from kineograph.data.sources import tutorial
from kineograph.models import flow
from kineograph.models.base import VideoShape
from kineograph.text.tokenizer import CaptionTokenizer
from kineograph.training import resume
from kineograph.training.loop import Hooks, Trainer
from kineograph.training.metrics_log import read_metrics
from kineograph.training.settings import TrainingConfig

FOLDER, COUNT = Path(sys.argv[1]), int(sys.argv[2])
STEPS = 12


def train(folder, hooks=None):
    torch.set_num_threads(1)
    source = tutorial.Source(tutorial.Config(num_clips=50, num_frames=4, height=16, width=16))
    tokenizer = CaptionTokenizer.train(tutorial.CAPTIONS)
    torch.manual_seed(7)
    config = flow.Config(width=128, depth=2, turns_a_step=2, autoencoder_share=0.3)
    model = flow.Model(config, VideoShape(4, 16, 16), tokenizer.vocabulary_size)
    settings = TrainingConfig(
        steps=STEPS, batch_size=8, precision="fp32", checkpoint_every=1, evaluate_every=0
    )
    folder.mkdir(parents=True, exist_ok=True)
    run = Trainer(model, source, tokenizer, settings, seed=1, folder=folder, hooks=hooks)
    if any(resume.checkpoints(folder / "checkpoints")):
        run.resume()
    begun = run.step
    run.run()
    return begun


def forked(folder, seconds=None, hooks=None):
    """Train in a process of its own, killed after a time; => its exit status, or its signal."""
    child = os.fork()
    if not child:
        try:
            begun = train(folder, hooks)
            (folder / "begun").write_text(str(begun))
            os._exit(0)
        except KineographError as error:
            (folder / "error").write_text(str(error))
            os._exit(error.exit_code)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(99)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def files(folder):
    place = folder / "checkpoints" / f"step-{STEPS:06d}"
    paths = [*sorted(place.glob("*.safetensors")), folder / "metrics.jsonl"]
    return [path.read_bytes() for path in paths]


started = time.monotonic()
assert forked(FOLDER / "whole") == 0
whole_seconds = time.monotonic() - started
whole, chance = files(FOLDER / "whole"), random.Random(0)
told = {"in a save": 0, "killed": 0, "lost": [], "unequal": []}
for number in range(COUNT):
    folder = FOLDER / f"run-{number}"
    for attempt in range(4):
        status = forked(folder, chance.uniform(0.0, 1.1 * whole_seconds))
        if status == 0:
            break
        assert status == -signal.SIGKILL, status
        told["killed"] += 1
        told["in a save"] += any((folder / "checkpoints").glob(".tmp-*"))
    logged = [row["step"] for row in read_metrics(folder / "metrics.jsonl")]
    if status != 0:
        assert forked(folder) == 0
        begun = int((folder / "begun").read_text())
        told["lost"].append(max([0, *logged]) - begun)
    if files(folder) != whole:
        told["unequal"].append(number)


def fill(status):
    if status.step == 5:  # of a disk nothing larger than this is left
        while not (folder / "checkpoints" / "step-000004").exists():  # it may be under way
            time.sleep(0.01)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))


folder = FOLDER / "full"
told["full"] = [forked(folder, hooks=Hooks(progress=fill)), (folder / "error").read_text()]
told["kept"] = [path.name for path in resume.checkpoints(folder / "checkpoints")]
told["then"] = [forked(folder), files(folder) == whole]
print(json.dumps(told))
'''


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("torture")
    words = [sys.executable, "-c", DRIVER, str(folder), str(TRAININGS)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_trainings_that_are_killed_end_as_if_they_had_not_been(told: dict[str, Any]) -> None:
    assert told["killed"] >= TRAININGS
    assert told["in a save"] > 0, "some kills land in a save"
    assert told["unequal"] == []


@pytest.mark.slow
def test_no_more_is_lost_than_was_done_since_the_last_checkpoint(told: dict[str, Any]) -> None:
    """A checkpoint a step, of which the last may have been under way, and the next not begun."""
    assert max(told["lost"]) <= 2


@pytest.mark.slow
def test_a_disk_that_ends_leaves_what_is_whole(told: dict[str, Any]) -> None:
    status, error = told["full"]
    assert status == 2
    assert "largest file allowed" in error
    assert told["kept"][-1] == "step-000004"
    assert told["then"] == [0, True]
