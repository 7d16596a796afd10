"""What this process may use of the machine: processors and memory."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def processors() -> int:
    """How many processors this process may use; a container may grant fewer than there are."""
    affinity = getattr(os, "sched_getaffinity", None)  # not everywhere
    there = len(affinity(0)) if affinity else os.cpu_count() or 1
    for folder in _control_groups():
        with contextlib.suppress(OSError, ValueError):
            quota, period = (folder / "cpu.max").read_text().split()
            there = min(there, math.ceil(int(quota) / int(period)))  # "max" is no number
    return max(there, 1)


def free_memory() -> int | None:
    """Bytes that this process may still take; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
        free = sizes["MemAvailable"]
    except (OSError, ValueError, LookupError):
        return None
    for folder in _control_groups():
        with contextlib.suppress(OSError, ValueError):
            most, taken = (
                int((folder / f"memory.{name}").read_text()) for name in ("max", "current")
            )
            free = min(free, most - taken)
    return max(free, 0)


def _control_groups() -> list[Path]:
    """The folders in which Linux says what this process is granted (cgroup v2), if any."""
    folders = [_CGROUPS]
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            if line.startswith("0::/"):
                own = _CGROUPS / line[4:]
                folders += [own, *(each for each in own.parents if each.is_relative_to(_CGROUPS))]
    return folders
