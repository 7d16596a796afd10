"""How a run folder begins, and what a run is made with: versions, commit, machine, command."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kineograph.core.errors import MachineError, RequestError
from kineograph.core.files import translate_os_errors, write_atomically
from kineograph.training.settings import TrainingConfig


def version() -> str:
    """The installed version of Kineograph."""
    return importlib.metadata.version("kineograph")


def open_run(folder: Path) -> None:
    """Make a run folder, or see that it is whole."""
    with translate_os_errors(folder):
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        (folder / "checkpoints").mkdir(exist_ok=True)


def describe_run(folder: Path, settings: str) -> None:
    """Begin a run: the settings (TOML) that repeat it, and what it is run with."""
    write_atomically(folder / "config.toml", settings.encode())
    told = json.dumps(environment(), indent=2) + "\n"
    write_atomically(folder / "environment.json", told.encode())


def environment() -> dict[str, Any]:
    """Versions, commit, machine and command line, as kept with every run."""
    return {
        "kineograph": version(),
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": torch.cpu.get_capabilities().get("cpu_name", platform.processor()),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "command": shlex.join(sys.argv),
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def matrix_rates(device: torch.device | str = "cpu") -> dict[str, float]:
    """Precision ("fp32", "bf16") => FLOP/s of products of 512×512 matrices here, a small trial.

    Not every processor with instructions for bf16 is faster with them.
    """
    side, rates = 512, {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a = torch.ones(side, side, dtype=dtype, device=device)
        best = min(_seconds_of_products(a) for _ in range(4))
        rates[name] = 2 * side**3 / best
    return rates


def _seconds_of_products(a: torch.Tensor, count: int = 8) -> float:
    started = time.perf_counter()
    for _ in range(count):
        product = a @ a
    product[0, 0].item()  # a GPU is waited for
    return (time.perf_counter() - started) / count


def choose_device(name: str) -> torch.device:
    """Auto => cuda where there is one, else cpu; of several GPUs the one that torchrun says.

    Raises for a device that is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RequestError(f'There is no device "{name}".', "Choose cpu, cuda or auto.") from error
    if device.type not in ("cpu", "cuda"):
        raise RequestError(f'Nothing here runs on "{name}".', "Choose cpu, cuda or auto.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise MachineError("This machine has no CUDA device that torch can use.", "Choose cpu.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise MachineError(
            f"This machine has {torch.cuda.device_count()} CUDA devices, and no {name}.",
            "Choose another; or begin as many processes as there are devices.",
        )
    return device


def with_precision(config: TrainingConfig) -> TrainingConfig:
    """The same settings, with "auto" for the precision replaced by the faster one here."""
    if config.precision != "auto":
        return config
    rates = matrix_rates(choose_device(config.device))
    return replace(config, precision="bf16" if rates["bf16"] > rates["fp32"] else "fp32")


def _commit() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    here = Path(__file__).parent
    done = subprocess.run([git, "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True)
    return done.stdout.strip() or None
