"""What this machine has of what Kineograph needs."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from kineograph.apps import terminal
from kineograph.apps.terminal import Answer

_GIGABYTE = 10**9
_LEAST_DISK = 2 * _GIGABYTE
Finding = tuple[str, str, str]
"""What was looked at, what is there, and what to do if that is not enough ("" if it is)."""


def version() -> Answer:
    """The installed version."""
    from importlib import metadata

    installed = metadata.version("kineograph")
    return Answer({"version": installed}, lambda: print(f"kineograph {installed}"))


def doctor() -> Answer:
    """Say what this machine has of what is needed. Exit code 1 where something is missing."""
    found = [*_packages(), *_processor(), *_encoders(), *_places()]
    faults = [finding for finding in found if finding[2]]
    data = {name: {"found": value, "remedy": remedy or None} for name, value, remedy in found}

    def show() -> None:
        terminal.print_columns([(name, value) for name, value, _ in found], indent=0)
        for name, _, remedy in faults:
            print(f"\n{name}: {remedy}")
        print("" if faults else "\nAll is there.")

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
    yield "threads", f"{torch.get_num_threads()} of {os.cpu_count()} processors", ""
    rates = matrix_rates()
    faster = max(rates, key=lambda name: rates[name])
    said = ", ".join(f"{rate / 1e12:.2f} TFLOP/s in {name}" for name, rate in rates.items())
    yield "matrix products", f"{said}: trainings here use {faster}", ""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none; none is needed"
    yield "gpu", gpu, ""


def _encoders() -> Iterator[Finding]:
    import av

    for name, what in (("libx264", "MP4"), ("libvpx-vp9", "WebM")):
        there = name in av.codec.codecs_available
        remedy = f"Without it no {what} can be written: reinstall PyAV (pip install av)."
        yield f"{what} encoder", name if there else "missing", "" if there else remedy


def _places() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free
    remedy = "A run takes up to some hundred megabytes: free some space." * (free < _LEAST_DISK)
    yield "free disk here", f"{free / _GIGABYTE:,.1f} GB", remedy
