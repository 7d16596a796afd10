"""Whatever a checkpoint, a config, a manifest or a shard holds: it loads, or one line says why not.

Five thousand damaged files, and more by ``make fuzz``; `fuzzing.py` makes, damages and loads them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FUZZING = Path(__file__).with_name("fuzzing.py")
CASES = int(os.environ.get("KINEOGRAPH_FUZZ", "5000"))
FIRST = int(os.environ.get("KINEOGRAPH_FUZZ_FIRST", "0"))
"""The number of the first case: a case is the same whenever its number is."""

SHARES = {
    "model": 0.25,
    "checkpoint": 0.2,
    "recipe": 0.15,
    "pack": 0.15,
    "tokenizer": 0.1,
    "run": 0.1,
    "seal": 0.05,
}


def fuzz(loader: str, count: int, first: int) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """How many cases loaded or were told, and what was wrong."""
    # With one heap, what the limit counts is what is taken, not what is put by for each thread.
    settings = os.environ | {"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, str(FUZZING), loader, str(count), str(first)]
    done = subprocess.run(words, capture_output=True, text=True, env=settings, errors="replace")
    last = done.stderr[-4000:]
    assert done.returncode == 0, f"it crashed or hung at the case told last:\n{last}"
    *found, seen = [json.loads(line) for line in done.stdout.splitlines()]
    return seen, found


@pytest.mark.parametrize("loader", SHARES)
def test_a_few_damaged_files_load_or_say_in_one_line_what_is_wrong(loader: str) -> None:
    seen, found = fuzz(loader, 25, 0)
    assert not found
    assert sum(seen.values()) == 25


@pytest.mark.slow
@pytest.mark.parametrize("loader", SHARES)
def test_every_damaged_file_loads_or_says_in_one_line_what_is_wrong(loader: str) -> None:
    count = round(CASES * SHARES[loader])
    seen, found = fuzz(loader, count, FIRST)
    assert not found, "\n".join(f"{each['case']} {each['file']}: {each['fault']}" for each in found)
    assert sum(seen.values()) == count
    if loader != "run":  # which tells of any
        assert min(seen["says"], seen["loads"]) > 0.02 * count, "damage is neither all nor nothing"
