"""What this machine has of what Kineograph needs."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from kineograph.apps import terminal
from kineograph.apps.commands.making import DEMO_MINUTES
from kineograph.apps.speed import measure_speed
from kineograph.apps.terminal import Answer
from kineograph.core import machine

_GIGABYTE = 10**9
_LEAST_DISK = 2 * _GIGABYTE
_LEAST_MEMORY = 1.5 * _GIGABYTE  # the training of the demo was seen to peak at 1.4 GB
_TRIAL = 10.0  # seconds of the speed test
_FEATURES = {
    "AMX": "amx_bf16",
    "AVX-512": "avx512_f",
    "AVX-512 for bf16": "avx512_bf16",
    "AVX2": "avx2",
    "SVE": "sve",
    "NEON": "neon",
}
"""What makes matrix products fast, and what torch calls it."""

_READ = {"H.264": ("h264",), "HEVC": ("hevc",), "AV1": ("libdav1d", "libaom-av1"), "VP9": ("vp9",)}
"""Codecs that clips come in, and who reads each; FFmpeg's own av1 needs a graphics card."""

_WRITTEN = {"MP4": "libx264", "WebM": "libvpx-vp9"}
Finding = tuple[str, str, str]
"""What was looked at, what is there, and what to do if that is not enough ("" if it is)."""


def version() -> Answer:
    """The installed version."""
    from importlib import metadata

    installed = metadata.version("kineograph")
    return Answer({"version": installed}, lambda: print(f"kineograph {installed}"))


def doctor(*, quick: bool = False) -> Answer:
    """Say what this machine has of what is needed, and how fast it trains.

    Exit code 1 where something is not well.

    Args:
        quick: Leave out the speed test, which takes 10 seconds.
    """
    found = [*_packages(), *_processor(), *_threads(), *_codecs(), *_places()]
    if not quick and not any(name == "torch works" for name, *_ in found):
        found += _speed()
    faults = [finding for finding in found if finding[2]]
    data = {name: {"found": value, "remedy": remedy or None} for name, value, remedy in found}

    def show() -> None:
        terminal.print_columns([(name, value) for name, value, _ in found], indent=0)
        for name, _, remedy in faults:
            print("\n" + terminal.wrapped(f"{name}: {remedy}"))
        print("" if faults else "\nAll is well.")

    return Answer({"ok": not faults, "findings": data}, show, code=1 if faults else 0)


def _packages() -> Iterator[Finding]:
    from importlib import metadata

    yield "python", platform.python_version(), ""
    for name in ("kineograph", "torch", "numpy", "av", "pillow"):
        try:
            yield name, metadata.version(name), ""
        except metadata.PackageNotFoundError:
            yield name, "missing", "Install it: pip install kineograph"


def _processor() -> Iterator[Finding]:
    try:
        import torch

        from kineograph.training.environment import matrix_rates
    except (ImportError, OSError) as error:  # a broken wheel may fail to load a library
        yield "torch works", f"no: {error}", "Reinstall torch."
        return
    has: Mapping[str, Any] = torch.cpu.get_capabilities()
    yield "processor", str(has.get("cpu_name") or platform.processor() or "unknown"), ""
    features = [name for name, key in _FEATURES.items() if has.get(key) is True]
    yield "processor has", ", ".join(features) or f"none of {', '.join(_FEATURES)}", ""
    rates = matrix_rates()
    faster = max(rates, key=lambda name: rates[name])
    said = ", ".join(f"{rate / 1e12:.2f} TFLOP/s in {name}" for name, rate in rates.items())
    yield "matrix products", f"{said}: trainings here use {faster}", ""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none; none is needed"
    yield "gpu", gpu, ""


def _threads() -> Iterator[Finding]:
    """As many as there are processors are best: fewer leave some idle, more wait for each other."""
    try:
        import torch
    except (ImportError, OSError):  # said already
        return
    threads, usable = torch.get_num_threads(), machine.processors()
    cores = torch.cpu.get_capabilities().get("num_physical_cores")  # of which each may count twice
    fewest = min(usable, cores) if isinstance(cores, int) and cores > 0 else 1
    remedy = ""
    if threads > usable:
        remedy = f"They are more than processors, and wait for each other: OMP_NUM_THREADS={usable}"
    elif threads < fewest:
        unset = "unset OMP_NUM_THREADS" if "OMP_NUM_THREADS" in os.environ else "set it anew:"
        remedy = f"Some processors are idle: {unset} or use OMP_NUM_THREADS={fewest}"
    of = f"{usable} processors" + f", of {os.cpu_count()} there are" * (usable != os.cpu_count())
    yield "threads", f"{threads} for {of}", remedy


def _codecs() -> Iterator[Finding]:
    try:
        import av
    except (ImportError, OSError) as error:
        yield "av works", f"no: {error}", "Reinstall PyAV (pip install av)."
        return
    there = av.codec.codecs_available
    missing = [what for what, names in _READ.items() if not there.intersection(names)]
    remedy = f"Clips in {', '.join(missing)} cannot be read: reinstall PyAV (pip install av)."
    readers = ", ".join(what for what in _READ if what not in missing)
    yield "video read", readers or "none", remedy * bool(missing)
    for what, name in _WRITTEN.items():
        remedy = f"Without it no {what} can be written: reinstall PyAV (pip install av)."
        yield f"{what} encoder", name if name in there else "missing", remedy * (name not in there)


def _places() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free
    remedy = "A run takes up to some hundred megabytes: free some space." * (free < _LEAST_DISK)
    yield "free disk here", f"{free / _GIGABYTE:,.1f} GB", remedy
    memory = machine.free_memory()
    if memory is None:
        yield "free memory", "unknown", ""
        return
    remedy = "Close other programs, or train with a smaller --training.batch-size."
    yield "free memory", f"{memory / _GIGABYTE:,.1f} GB", remedy * (memory < _LEAST_MEMORY)


def _speed() -> Iterator[Finding]:
    """Of a short training, and what that means for the demo; a machine is slow beside the one of
    the benchmark where the demo would not come to half of its steps."""
    terminal.say(f"A training of {_TRIAL:.0f} seconds, to see how fast it goes ...")
    speed = measure_speed(_TRIAL)
    if speed is None:
        yield (
            "speed",
            "not a step",
            "Something keeps this machine busy, or it is too slow to train.",
        )
        return
    limit, usual = 60 * DEMO_MINUTES, speed.recorded
    told = f"{60 / speed.step:,.1f} steps a minute, each of {speed.batch_size:,} clips"
    if usual:
        recorded = f"{60 * usual['steps'] / usual['seconds']:,.1f} on {usual['machine']}"
        told += f"; {recorded} ({usual['date']})"
    yield "speed", told, ""
    whole = min(speed.steps * speed.step, limit)
    steps = round(whole / speed.step)
    said = (
        f"trains for about {terminal.duration(whole)}, {steps:,} steps, then generates and judges"
    )
    remedy = ""
    if usual:
        needed = usual["steps"] * speed.step
        said += f"; the {usual['steps']:,} of the benchmark take {terminal.duration(needed)}"
        if needed > 2 * limit:
            minutes = round(needed / 60)
            remedy = f"This machine is slow; give it time: kineograph demo --minutes {minutes}"
    yield "demo here", said, remedy
