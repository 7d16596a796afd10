"""Several processes, by torchrun's own launcher and gloo on the loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from kineograph.core.errors import RequestError
from kineograph.training.distributed import World, check_batch, joined

SETTINGS = [
    *("--training.steps", "6", "--training.batch-size", "16", "--training.precision", "fp32"),
    *("--training.warmup", "0", "--training.cooldown", "0", "--training.timeout", "60"),
    *("--training.evaluate-every", "4", "--training.checkpoint-every", "2"),
    *("--model.width", "32", "--model.drawing-width", "16", "--model.turns-a-step", "2"),
    *("--model.autoencoder-share", "0.3", "--model.word-price", "1e-3"),
]


def kineograph(*words: object, processes: int = 1) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    launched = [*launcher, "-m"] if processes > 1 else ["-m"]
    return [sys.executable, *launched, "kineograph", *map(str, words)]


def command(recipe: str, out: Path, *more: str, processes: int = 1) -> list[str]:
    return kineograph("train", recipe, "--out", out, *more, processes=processes)


def run(words: list[str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_alike(one: Path, other: Path) -> None:
    """The same losses to 1e-5, and nearly the same weights."""
    for mine, theirs in zip(rows(one), rows(other), strict=True):
        assert mine.keys() == theirs.keys()
        for name in mine.keys() - {"accuracies"}:
            assert mine[name] == pytest.approx(theirs[name], rel=1e-5, abs=1e-5), name
    weights = [load_file(place / "model" / "model.safetensors") for place in (one, other)]
    for name, tensor in weights[0].items():
        assert torch.allclose(tensor.float(), weights[1][name].float(), atol=1e-3), name


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone") / "run"
    done = run(command("tutorial", folder, *SETTINGS))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "weights"), [(2, "replicate"), (4, "replicate"), (2, "shard")]
)
def test_many_learn_what_one_does(
    alone: Path, tmp_path: Path, processes: int, weights: str
) -> None:
    words = [*SETTINGS, "--training.weights", weights]
    done = run(command("tutorial", tmp_path / "many", *words, processes=processes))
    assert done.returncode == 0, done.stderr
    assert_alike(alone, tmp_path / "many")
    assert done.stdout.count("Finished after 6 steps") == 1, "one of them speaks"


@pytest.mark.slow
def test_the_duel_of_a_gan_is_the_same_for_many(tmp_path: Path) -> None:
    for name, processes, weights in (("one", 1, "replicate"), ("two", 2, "shard")):
        at = SETTINGS.index("--model.word-price")  # which it has not
        words = [*SETTINGS[:at], *SETTINGS[at + 2 :], "--training.weights", weights]
        done = run(command("tutorial-gan", tmp_path / name, *words, processes=processes))
        assert done.returncode == 0, done.stderr
    assert_alike(tmp_path / "one", tmp_path / "two")


def take_away(folder: Path) -> None:
    """As if the machine had been lost after 2 steps."""
    for newer in ("step-000004", "step-000006"):
        shutil.rmtree(folder / "checkpoints" / newer)


@pytest.mark.slow
def test_many_in_pieces_come_to_the_same_to_the_byte(tmp_path: Path) -> None:
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    for folder in (whole, pieces):
        done = run(command("tutorial", folder, *SETTINGS, processes=2))
        assert done.returncode == 0, done.stderr
    take_away(pieces)
    done = run(command(str(pieces / "config.toml"), pieces, "--resume", processes=2))
    assert done.returncode == 0, done.stderr
    last = Path("checkpoints", "step-000006")
    names = [Path("metrics.jsonl"), *(last / f"{n}.safetensors" for n in ("model", "ema"))]
    for name in [*names, last / "optimizer.safetensors"]:
        assert (whole / name).read_bytes() == (pieces / name).read_bytes(), name


@pytest.mark.slow
def test_what_many_began_one_can_go_on_with(alone: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = [*SETTINGS, "--training.weights", "shard"]
    done = run(command("tutorial", folder, *words, processes=2))
    assert done.returncode == 0, done.stderr
    take_away(folder)
    done = run(command(str(folder / "config.toml"), folder, "--resume"))
    assert done.returncode == 0, done.stderr
    assert_alike(alone, folder)


@pytest.mark.slow
def test_where_a_process_is_killed_the_others_end_and_torchrun_goes_on(
    alone: Path, tmp_path: Path
) -> None:
    folder, environment = tmp_path / "run", os.environ | {"OMP_NUM_THREADS": "1"}
    words = command("tutorial", folder, *SETTINGS, processes=2)
    words.insert(words.index("--standalone"), "--max-restarts=1")
    job = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    wait_for(folder / "checkpoints" / "step-000002")
    os.kill(_workers(job.pid)[-1], signal.SIGKILL)
    _, told = job.communicate(timeout=300)
    assert job.returncode == 0, told
    assert_alike(alone, folder)


def wait_for(path: Path) -> None:
    until = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def _workers(parent: int) -> list[int]:
    """The processes that a process has started."""
    told = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(pid) for pid in told.split()]


@pytest.fixture
def hosts() -> Iterator[list[list[str]]]:
    """Two network namespaces with a cable between them => what a command in each begins with."""
    names = [f"kineograph-{os.getpid()}-{k}" for k in range(2)]

    def ip(words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["ip", *words.split()], capture_output=True, text=True)

    if not shutil.which("ip") or ip(f"netns add {names[0]}").returncode:
        pytest.skip("this machine allows no network namespaces")
    try:
        ip(f"netns add {names[1]}")
        ip(f"-n {names[0]} link add eth0 type veth peer name eth0 netns {names[1]}")
        for number, name in enumerate(names, 1):
            ip(f"-n {name} addr add 10.77.0.{number}/24 dev eth0")
            for device in ("eth0", "lo"):
                done = ip(f"-n {name} link set {device} up")
                assert done.returncode == 0, done.stderr
        yield [["ip", "netns", "exec", name] for name in names]
    finally:
        for name in names:
            ip(f"netns del {name}")


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_two_hosts_learn_what_one_does(
    killed: bool, alone: Path, hosts: list[list[str]], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    told = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "eth0"}
    told["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    jobs = []
    for number, host in enumerate(hosts, 1):
        words = command("tutorial", folder, *SETTINGS, processes=1)
        launcher = f"--nnodes 2 --nproc-per-node 1 --max-restarts {int(killed)} --rdzv-backend c10d"
        launcher += f" --rdzv-endpoint 10.77.0.1:29400 --rdzv-conf is_host={int(number == 1)}"
        launcher += f" --local-addr 10.77.0.{number} -m"
        words[1:2] = ["-m", "torch.distributed.run", *launcher.split()]
        jobs.append(
            subprocess.Popen(
                [*host, *words], env=os.environ | told, stderr=subprocess.PIPE, text=True
            )
        )
    if killed:
        wait_for(folder / "checkpoints" / "step-000002")
        os.kill(_workers(jobs[1].pid)[-1], signal.SIGKILL)
    for job in jobs:
        _, said = job.communicate(timeout=300)
        assert job.returncode == 0, said
    assert_alike(alone, folder)


@pytest.mark.slow
def test_many_generate_and_evaluate_what_one_does(alone: Path, tmp_path: Path) -> None:
    told: list[list[Any]] = []
    for processes in (1, 2):
        out = tmp_path / f"clips{processes}"
        words = ("generate", "circle moving up", "--model", alone, "--count", 70, "--json")
        made = run(kineograph(*words, "--out", f"{out}/", processes=processes))
        assert made.returncode == 0, made.stderr
        clips = [path.read_bytes() for path in sorted(out.iterdir())]
        words = ("evaluate", alone, "--count", 2, "--json")
        judged = run(kineograph(*words, processes=processes))
        assert judged.returncode == 0, judged.stderr
        told.append([clips, json.loads(made.stdout)["clips"], json.loads(judged.stdout)])
    assert len(told[0][0]) == 70
    assert told[0] == told[1]


@pytest.mark.slow
def test_many_pack_what_one_does(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    words = ("data", "export", "tutorial", clips, "--layout", "videofolder", "--count", 24)
    assert run(kineograph(*words)).returncode == 0
    told, made = [], []
    for processes in (1, 2):
        out = tmp_path / f"pack{processes}"
        words = ("data", "pack", clips, "--out", out, "--json")
        done = run(kineograph(*words, processes=processes))
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout) | {"folder": ""})
        made.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert told[0] == told[1]
    assert told[0]["clips"] == 24
    assert made[0] == made[1]


@pytest.mark.slow
def test_clips_that_cannot_be_shared_out_are_refused(tmp_path: Path) -> None:
    odd = [*SETTINGS, "--training.batch-size", "15"]
    done = run(command("tutorial", tmp_path / "run", *odd, processes=2))
    assert done.returncode != 0
    assert "15, which 2 processes cannot share" in done.stderr


@pytest.mark.slow
def test_many_need_a_name_for_their_run() -> None:
    words = [*command("tutorial", Path("x"), processes=2)]
    del words[words.index("--out") :]
    assert "Add --out FOLDER" in run(words).stderr


def test_without_torchrun_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined(torch.device("cpu"), 1.0) as world:
        assert (world.rank, world.size, world.leads) == (0, 1, True)
    tensor = torch.ones(3)
    world.average([tensor])
    assert tensor.tolist() == [1, 1, 1]
    assert (world.largest(2.0), world.of_first("a"), world.gathered(1)) == ([2.0], "a", [1])


def test_rows_are_shared_out_evenly() -> None:
    shares = [World(rank, 4).rows(12) for rank in range(4)]
    assert [list(range(12))[share] for share in shares] == [
        [0, 1, 2],
        [3, 4, 5],
        [6, 7, 8],
        [9, 10, 11],
    ]
    with pytest.raises(RequestError, match="cannot share"):
        check_batch(10, World(0, 4))
