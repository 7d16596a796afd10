"""What a run was made with: versions, commit, machine, command line."""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch


def version() -> str:
    """The installed version of Kineograph."""
    return importlib.metadata.version("kineograph")


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


def _commit() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    here = Path(__file__).parent
    done = subprocess.run([git, "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True)
    return done.stdout.strip() or None
