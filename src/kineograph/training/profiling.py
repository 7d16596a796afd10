"""Where the time of a step goes: a trace of a few steps, for the tracer of a browser."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from kineograph.core.files import write_atomically
from kineograph.training.loop import Hooks, Status

FILE = "trace.json.gz"
_WAIT, _WARM_UP, _TRACED = 2, 1, 3  # steps; what comes before the first one counts as its part


@contextlib.contextmanager
def traced(folder: Path, hooks: Hooks) -> Iterator[Hooks]:
    """=> hooks for a training in ``folder`` of which the fourth to the sixth step are traced.

    The trace is written there after the sixth; ``hooks.say`` is told where it is.
    """
    path = folder / FILE
    written = False

    def write(profiler: profile) -> None:
        nonlocal written
        with tempfile.TemporaryDirectory() as place:
            whole = Path(place, FILE)
            profiler.export_chrome_trace(str(whole))
            write_atomically(path, whole.read_bytes())
        written = True
        hooks.say(
            f"The trace of {_TRACED} steps is {path}. Open it at https://ui.perfetto.dev or, in "
            "Chrome, at chrome://tracing."
        )

    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    plan = schedule(wait=_WAIT, warmup=_WARM_UP, active=_TRACED, repeat=1)
    with profile(activities=activities, schedule=plan, on_trace_ready=write) as profiler:

        def progress(status: Status) -> None:
            hooks.progress(status)
            profiler.step()

        yield replace(hooks, progress=progress)
    if not written:
        hooks.say(f"There is no trace: that takes {_WAIT + _WARM_UP + 1} steps.")
