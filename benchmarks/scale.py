"""What several processes make of a training: a model of its cost, and beside it what is measured.

    python benchmarks/scale.py [--recipes tutorial tutorial-gan] [--processes 1 2 4] [--batch 256]

The model, for N processes that share batches of B clips, G bytes of gradients in a turn:

    seconds of a step = compute(B / N) + sum over its turns of all_reduce(G)
    all_reduce(G)     = 2 (N - 1) latency + 2 (N - 1) / N · G / bandwidth
    bytes on the wire = 2 (N - 1) · G, all processes together
    memory of each    = what a process takes that exchanges nothing, and 2 G

(the ring of Patarasuk and Yuan, 2009, with Hockney's two constants). ``compute`` is measured with N
processes that do their shares at the same time and exchange nothing, since those of one machine are
in each other's way; the two constants by averaging gradients of two sizes. Then the N train
together, and the bytes are those that the loopback counts. Every process has one thread, so that up
to as many as there are cores each has a machine of its own, so to speak. Writes
``benchmarks/results/scale.json``, with what the model says of many machines, for ``docs/scale.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from kineograph import recipes
from kineograph.lessons import begin
from kineograph.models.base import Phase
from kineograph.training.distributed import World, joined
from kineograph.training.environment import environment
from kineograph.training.loop import Trainer
from kineograph.training.trial import Stretch, peak_memory, stretches_of

T = TypeVar("T")
RESULTS = Path(__file__).resolve().parent / "results" / "scale.json"
RECIPES = ("tutorial", "tutorial-gan")
WARM_UP = 1  # steps of each stretch that do not count
SMALL, LARGE = 1, 2**22  # numbers in the gradients that the two constants come from
ROUNDS = 10
PATIENCE = 300.0  # seconds that the processes wait for each other
LOOPBACK = Path("/sys/class/net/lo/statistics/tx_bytes")


@dataclass(frozen=True)
class Network:
    """Hockney's two constants."""

    latency: float
    """Seconds of a message of next to nothing."""
    bandwidth: float
    """Bytes a second that a process sends, while it receives as many."""

    @classmethod
    def of(cls, processes: int, small: float, large: float) -> Network:
        """From the seconds until SMALL and LARGE numbers are averaged."""
        hops = 2 * (processes - 1)
        sent = hops / processes * 4 * (LARGE - SMALL)
        return cls(small / hops, sent / max(large - small, 1e-9))


NETWORKS = {
    "1 Gbit/s Ethernet": Network(50e-6, 0.118e9),
    "10 Gbit/s Ethernet": Network(30e-6, 1.18e9),
    "100 Gbit/s": Network(10e-6, 11.8e9),
    "400 Gbit/s InfiniBand": Network(3e-6, 48e9),
}
"""What such networks usually give; nobody has measured them here."""
DEVICES = {"one such core": 1.0, "a device 100 times as fast": 100.0}
MANY = (2, 8, 64)


def all_reduce(size: float, processes: int, network: Network) -> float:
    """Seconds until every process has the sum of ``size`` bytes of each."""
    hops = 2 * (processes - 1)
    return hops * network.latency + hops / processes * size / network.bandwidth


def step(compute: float, turns: Sequence[int], processes: int, network: Network) -> float:
    """Seconds of a step that computes so long and whose turns have so many bytes of gradients."""
    return compute + sum(all_reduce(size, processes, network) for size in turns)


def traffic(turns: Sequence[int], processes: int) -> int:
    """Bytes that all processes together send in a step."""
    return 2 * (processes - 1) * sum(turns)


def memory(alone: int, turns: Sequence[int], processes: int) -> int:
    """Bytes that each process takes, where one that exchanges nothing takes ``alone``.

    To average, the gradients of a turn are put in a row, and a second row is their mean.
    """
    return alone + (2 * max(turns) if processes > 1 else 0)


def efficiencies(compute: float, turns: Sequence[int]) -> list[dict[str, Any]]:
    """What share of the time many devices compute, each with as many clips as one has by itself."""
    return [
        {
            "network": name,
            "device": device,
            "efficiency": {
                str(count): compute / faster / step(compute / faster, turns, count, network)
                for count in MANY
            },
        }
        for device, faster in DEVICES.items()
        for name, network in NETWORKS.items()
    ]


# ---- a process that learns ---------------------------------------------------------------------


class Apart(World):
    """One of several that each do a share of every step and exchange nothing."""

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Leave them."""

    def largest(self, *values: float) -> list[float]:
        """Its own."""
        return list(values)

    def of_first(self, value: T) -> T:
        """Its own."""
        return value

    def take_first(self, tensors: Sequence[Tensor]) -> None:
        """Leave them."""


class Learner:
    """The steps of a recipe, a few of each of its stretches."""

    def __init__(self, name: str, batch: int, world: World, folder: Path) -> None:
        quiet = {"evaluate_every": 0, "checkpoint_every": 0, "batch_size": batch}
        recipe = recipes.resolve(name, {"training": quiet})
        begun = begin(recipe)
        self.trainer = Trainer(
            begun.model,
            begun.source,
            begun.tokenizer,
            recipe.training,
            seed=recipe.seed,
            folder=folder,
            world=world,
        )
        self.phases = begun.model.phases

    def turns(self, stretch: Stretch) -> list[int]:
        """Bytes of the gradients of each turn of a step there."""
        return [
            size_of(phase)
            for phase in self.phases
            if phase.start <= stretch.start and stretch.stop <= phase.stop
        ]

    def try_(self, stretch: Stretch, steps: int) -> float:
        """Seconds of a step, the median of ``steps``."""
        times = []
        for _ in range(steps):
            started = time.perf_counter()
            self.trainer.stepper(self.trainer.place, (stretch.start + stretch.stop) / 2)
            times.append(time.perf_counter() - started)
            self.trainer.place.step += 1
        return statistics.median(times)


def size_of(phase: Phase) -> int:
    """Bytes of the gradients of all its parameters."""
    return sum(parameter.numel() * parameter.element_size() for parameter in phase.parameters)


def learn_apart(asked: argparse.Namespace) -> None:
    """One of several that do their shares at the same time.

    Says when it is ready for each stretch, and waits for a line before it begins.
    """
    with tempfile.TemporaryDirectory() as folder:
        world = Apart(0, asked.processes[0])
        learner = Learner(asked.recipes[0], asked.batch, world, Path(folder))
        seconds = []
        for stretch in stretches_of(learner.phases):
            learner.try_(stretch, WARM_UP)
            print("ready", flush=True)
            input()
            seconds.append(learner.try_(stretch, asked.steps))
        print(json.dumps({"seconds": seconds, "memory": peak_memory()}), flush=True)


def learn_together(asked: argparse.Namespace) -> None:
    """One of several that torchrun started; the first says what they came to."""
    with tempfile.TemporaryDirectory() as folder, joined(torch.device("cpu"), PATIENCE) as world:
        network = measured_network(world)
        learner = Learner(asked.recipes[0], asked.batch, world, Path(folder))
        found = []
        for stretch in stretches_of(learner.phases):
            learner.try_(stretch, WARM_UP)
            world.gathered(0)  # all are here
            before = sent()
            seconds = world.largest(learner.try_(stretch, asked.steps))[0]
            after = sent()
            found.append(
                {
                    "phases": stretch.phases,
                    "share": stretch.stop - stretch.start,
                    "turns": learner.turns(stretch),
                    "seconds": seconds,
                    "traffic": (after - before) / asked.steps,
                }
            )
        told = {"stretches": found, "memory": max(world.gathered(peak_memory() or 0))}
        if world.leads:
            print(json.dumps(told | {"network": network and asdict(network)}), flush=True)


def measured_network(world: World) -> Network | None:
    """The two constants of what these processes speak by."""
    if world.size == 1:
        return None
    seconds = []
    for count in (SMALL, LARGE):
        tensor, times = torch.ones(count), []
        for _ in range(ROUNDS):
            dist.barrier()
            started = time.perf_counter()
            world.average([tensor])
            times.append(time.perf_counter() - started)
        seconds.append(world.largest(statistics.median(times))[0])
    return Network.of(world.size, *seconds)


def sent() -> int:
    """Bytes that went over the loopback so far."""
    return int(LOOPBACK.read_text()) if LOOPBACK.exists() else 0


# ---- all of them -------------------------------------------------------------------------------


def words(role: str, recipe: str, processes: int, batch: int, steps: int) -> list[str]:
    """The arguments of a process that learns."""
    told = {"role": role, "recipes": recipe, "processes": processes, "batch": batch, "steps": steps}
    return [__file__, *(f"--{name}={value}" for name, value in told.items())]


def apart(recipe: str, processes: int, batch: int, steps: int) -> tuple[list[float], int]:
    """So many processes, each with its share => seconds of a step by stretch, bytes of memory."""
    command = [sys.executable, *words("apart", recipe, processes, batch, steps)]
    pipe = subprocess.PIPE
    running = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=one_thread())
        for _ in range(processes)
    ]
    while True:
        lines = [process.stdout.readline() for process in running if process.stdout]
        if not all(lines):
            raise SystemExit("One of the processes has ended; see what it says above.")
        if lines[0] != "ready\n":
            break
        for process in running:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
    for process in running:
        process.communicate()
    told: list[dict[str, Any]] = [json.loads(line) for line in lines]
    seconds = [max(each) for each in zip(*(found["seconds"] for found in told), strict=True)]
    return seconds, max(found["memory"] or 0 for found in told)


def together(recipe: str, processes: int, batch: int, steps: int) -> dict[str, Any]:
    """What so many processes come to that train together."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *launcher, *words("together", recipe, processes, batch, steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=one_thread())
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def one_thread() -> dict[str, str]:
    """The environment of the processes."""
    return os.environ | {"OMP_NUM_THREADS": "1"}


def compared(recipe: str, processes: int, batch: int, steps: int) -> dict[str, Any]:
    """What the model says of so many processes, and what was measured."""
    compute, lone = apart(recipe, processes, batch, steps)
    found = together(recipe, processes, batch, steps)
    network = Network(**found["network"]) if found["network"] else Network(0.0, 1.0)
    stretches = []
    for seconds, measured in zip(compute, found["stretches"], strict=True):
        turns = measured["turns"]
        stretches.append(
            {
                **measured,
                "compute": seconds,
                "foreseen_seconds": step(seconds, turns, processes, network),
                "foreseen_traffic": traffic(turns, processes),
            }
        )
    turns = [size for measured in found["stretches"] for size in measured["turns"]]
    return {
        "stretches": stretches,
        "network": found["network"],
        "memory": found["memory"],
        "foreseen_memory": memory(lone, turns, processes),
    }


def tell(recipe: str, processes: int, found: dict[str, Any]) -> None:
    """A line for each stretch, and one of the memory."""
    for each in found["stretches"]:
        print(
            f"{recipe}, {' and '.join(each['phases'])}, {processes} processes: "
            f"{each['seconds']:.3f} s a step, foreseen {each['foreseen_seconds']:.3f}; "
            f"{each['traffic'] / 1e6:.1f} MB, foreseen {each['foreseen_traffic'] / 1e6:.1f}"
        )
    print(
        f"  {found['memory'] / 2**20:.0f} MiB each, foreseen "
        f"{found['foreseen_memory'] / 2**20:.0f}",
        flush=True,
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--batch", type=int, default=256, help="clips a step, of all together")
    parser.add_argument("--steps", type=int, default=8, help="of each stretch")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--role", choices=("apart", "together"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.role:
        return learn_apart(asked) if asked.role == "apart" else learn_together(asked)
    told: dict[str, Any] = {
        "environment": environment(),
        "cores": os.cpu_count(),
        "batch": asked.batch,
        "recipes": {},
    }
    for recipe in asked.recipes:
        runs = {}
        for count in asked.processes:
            runs[str(count)] = compared(recipe, count, asked.batch, asked.steps)
            tell(recipe, count, runs[str(count)])
        last = runs[str(min(asked.processes))]["stretches"][-1]
        many = efficiencies(last["compute"], last["turns"])
        told["recipes"][recipe] = {"processes": runs, "many": many}
    asked.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return None


if __name__ == "__main__":
    main()
