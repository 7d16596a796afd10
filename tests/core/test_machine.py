"""What this process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kineograph.core import machine


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux")
@pytest.mark.parametrize(("granted", "usable"), [("max 100000", 8), ("150000 100000", 2), ("", 8)])
def test_a_container_may_grant_fewer_processors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, granted: str, usable: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    (tmp_path / "cpu.max").write_text(granted)
    assert machine.processors() == usable


def test_a_container_may_grant_less_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    free = machine.free_memory()
    if free is None:
        pytest.skip("this system does not say")
    (tmp_path / "memory.max").write_text("5000")
    (tmp_path / "memory.current").write_text("2000")
    assert machine.free_memory() == 3000
