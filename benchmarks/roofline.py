"""What share of this machine's matrix rate do the models use, forward and in training?

    python benchmarks/roofline.py [--batch 256] [--device cuda]

The rate is that of products of large square matrices in the precision of the family, in the same
run, before and after. Counted are the products and convolutions of a model (two operations for
each multiplication with its addition); everything else is time lost. For each family the forward
pass of one evaluation of its network over codes, and a whole turn (forward, backward, optimiser).
Writes ``benchmarks/results/roofline.json``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from kineograph import recipes
from kineograph.lessons import begin
from kineograph.models.base import Phase, TensorBatch, VideoModel
from kineograph.training.environment import choose_device, environment, with_precision
from kineograph.training.muon import Muon

RESULTS = Path(__file__).resolve().parent / "results" / "roofline.json"
RECIPES = {"flow": "tutorial", "gan": "tutorial-gan"}
PRECISIONS = {"flow": "auto", "gan": "fp32"}  # a pixel would be lost in the GAN's few numbers
SIDE, ROUNDS = 4096, 15


class Machine:
    """A device, its precision, and how fast something runs on it."""

    def __init__(self, name: str, precision: str) -> None:
        self.device = choose_device(name)
        limits = {"device": name, "precision": precision}
        config = recipes.resolve("tutorial", {"training": limits}).training
        self.precision = with_precision(config).precision
        self.dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32

    def run(self, work: Callable[[], Any]) -> tuple[float, float]:
        """The FLOP of one run of ``work``, and its seconds: the median of a few."""
        with FlopCounterMode(display=False) as counter:
            work()
        times = []
        for _ in range(ROUNDS):
            self._wait()
            started = time.perf_counter()
            work()
            self._wait()
            times.append(time.perf_counter() - started)
        return float(counter.get_total_flops()), statistics.median(times)

    def rate(self) -> float:
        """FLOP/s of products of large matrices."""
        a = torch.ones(SIDE, SIDE, dtype=self.dtype, device=self.device)
        flop, seconds = self.run(lambda: a @ a)
        return flop / seconds

    def autocast(self) -> torch.autocast:
        """The precision of the training."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def turn(
    machine: Machine, model: VideoModel, phase: Phase, batch: TensorBatch
) -> Callable[[], None]:
    """One step of a phase's optimiser, as the training loop takes it."""
    optimizer = Muon(phase, machine.precision)
    for group in optimizer.param_groups:
        group["lr"] = 1e-6

    def work() -> None:
        model.requires_grad_(False)
        for parameter in phase.parameters:
            parameter.requires_grad_(True)
        with machine.autocast():
            losses = phase.losses(batch)
        optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()
        torch.nn.utils.clip_grad_norm_(phase.parameters, 1.0)
        optimizer.step()

    return work


def forward(machine: Machine, model: VideoModel, batch: TensorBatch) -> Callable[[], None]:
    """One evaluation of the network that makes codes."""
    count, device = len(batch.tokens), machine.device
    noise = torch.randn(count, *model.noise_shape, device=device)
    half, all_of_them = torch.full((count,), 0.5, device=device), torch.ones(count, device=device)

    def work() -> None:
        with torch.no_grad(), machine.autocast():
            if hasattr(model, "denoiser"):
                model.denoiser(noise, half, batch.tokens, all_of_them.bool())
            else:
                model.generator(noise, batch.tokens)

    return work


def measure(machine: Machine, name: str, size: int) -> dict[str, dict[str, float]]:
    """Work of a family => GFLOP, milliseconds and FLOP/s."""
    begun = begin(recipes.resolve(name))
    model = begun.model.to(machine.device).train()
    known = begun.source.captions
    captions = [known[k % len(known)] for k in range(size)]
    tokens = torch.from_numpy(begun.tokenizer.encode(captions)).to(machine.device)
    codes = torch.randn(size, model.shape.num_frames, model.autoencoder.layout.features)
    batch = TensorBatch(codes[:1], tokens, 0.5, {"codes": codes.to(machine.device)})
    work = {"forward": forward(machine, model, batch)}
    for phase in {p.name: p for p in model.phases if p.name != "autoencoder"}.values():
        work[f"turn of the {phase.name}"] = turn(machine, model, phase, batch)
    found = {}
    for what, one in work.items():
        flop, seconds = machine.run(one)
        found[what] = {"gflop": flop / 1e9, "ms": seconds * 1e3, "flop_per_second": flop / seconds}
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=256, help="clips at once")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    families: dict[str, Any] = {}
    for family, name in RECIPES.items():
        machine = Machine(asked.device, PRECISIONS[family])
        before = machine.rate()
        works = measure(machine, name, asked.batch)
        rate = (before + machine.rate()) / 2
        families[family] = {"precision": machine.precision, "matrix_rate": rate, "work": works}
        print(f"{machine.precision} products on {machine.device}: {rate / 1e12:.2f} TFLOP/s")
        for what, told in works.items():
            told["share"] = told["flop_per_second"] / rate
            print(
                f"{family}, {what}: {told['gflop']:.1f} GFLOP in {told['ms']:.1f} ms, "
                f"{told['share']:.0%} of that"
            )
    told = {
        "environment": environment(),
        "device": str(machine.device),
        "batch": asked.batch,
        "families": families,
    }
    asked.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
