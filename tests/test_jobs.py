"""The job files in docs/jobs do what they say, in a cluster of one machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch.distributed.run import get_args_parser

from kineograph import recipes
from kineograph.core import config
from kineograph.training.run_folder import told

JOBS = Path(__file__).resolve().parent.parent / "docs" / "jobs"
STAND_INS = {
    "scontrol": 'if [ "$1" = show ]; then echo localhost; else echo "$*" >> "$TOLD"; fi',
    "srun": 'exec "$@"',
    "torchrun": f'exec {sys.executable} -m torch.distributed.run "$@"',
}
TINY = {
    "model": {"width": 32, "drawing_width": 16, "turns_a_step": 1},
    "training": {"minutes": 0.5, "batch_size": 8, "evaluate_every": 0, "checkpoint_every": 10},
}


def words(text: str, folder: Path, **told: str) -> list[str]:
    """What a script calls torchrun with."""
    (folder / "torchrun").write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    (folder / "torchrun").chmod(0o755)
    environment = os.environ | told | {"PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", text], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_the_kubernetes_file_starts_two_pods_that_find_each_other(tmp_path: Path) -> None:
    text = (JOBS / "kubernetes.yaml").read_text(encoding="utf-8")
    service, job = yaml.safe_load_all(text)
    spec = job["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"] == ["bash", "-c"]
    asked = get_args_parser().parse_args(words(container["args"][0], tmp_path))
    name = f"{job['metadata']['name']}-0.{pod['subdomain']}"
    assert asked.rdzv_endpoint == f"{name}:29400"
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == spec["template"]["metadata"]["labels"]
    assert int(asked.nnodes) == spec["completions"] == spec["parallelism"]
    assert int(asked.nproc_per_node) == container["resources"]["limits"]["nvidia.com/gpu"]
    assert (asked.module, asked.training_script) == (True, "kineograph")
    does, recipe, *rest = asked.training_script_args
    assert (does, rest[0]) == ("train", "--out")
    assert recipes.resolve(recipe).training.batch_size % 8 == 0
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert rest[1].startswith(mounts["runs"])
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}


def test_the_slurm_file_asks_for_what_it_uses() -> None:
    lines = (JOBS / "slurm.sh").read_text(encoding="utf-8").splitlines()
    asked = [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH ")]
    options = dict(option.partition("=")[::2] for option in asked)
    assert options["ntasks-per-node"] == "1", "torchrun starts the processes"
    target, name, seconds = options["signal"].replace("@", ":").split(":")
    assert (target, name) == ("B", "TERM")
    assert int(seconds) > 60
    assert "requeue" in options
    first_command = next(k for k, line in enumerate(lines) if line and not line.startswith("#"))
    assert all(not line.startswith("#SBATCH") for line in lines[first_command:])


@pytest.mark.slow
def test_the_slurm_file_trains_is_told_to_end_and_goes_on(tmp_path: Path) -> None:
    for name, does in STAND_INS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{does}\n")
        (tmp_path / name).chmod(0o755)
    recipe, run, requeued = tmp_path / "tiny.toml", tmp_path / "run", tmp_path / "requeued"
    recipe.write_text(config.to_toml(recipes.resolve("tutorial", TINY).to_dict()))
    environment: dict[str, Any] = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "RECIPE": str(recipe),
        "RUN": str(run),
        "TOLD": str(requeued),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "localhost",
        "SLURM_NNODES": "1",
        "SLURM_GPUS_ON_NODE": "2",
        "SLURM_SUBMIT_DIR": str(tmp_path),
    }
    script = ["bash", str(JOBS / "slurm.sh")]
    job = subprocess.Popen(script, env=environment)
    until = time.monotonic() + 120
    while not (run / "checkpoints" / "step-000010").exists():
        assert time.monotonic() < until
        assert job.poll() is None
        time.sleep(0.1)
    job.send_signal(signal.SIGTERM)
    assert job.wait(timeout=120) == 0
    assert requeued.read_text() == "requeue 7\n"
    before = told(run)
    assert (before.state, before.steps >= 10) == ("unfinished", True)
    done = subprocess.run(script, env=environment, timeout=300)
    assert done.returncode == 0
    after = told(run)
    assert (after.state, after.steps > before.steps) == ("finished", True)
    assert requeued.read_text() == "requeue 7\n", "and does not begin again"
