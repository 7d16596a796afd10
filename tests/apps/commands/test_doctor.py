"""The doctor tells what this machine has."""

from __future__ import annotations

from typing import Any

import pytest


def test_the_doctor_says_what_there_is(call: Any) -> None:
    done = call("doctor", "--json")
    assert done.code == (0 if done.json["ok"] else 1)
    found = done.json["findings"]
    assert found["torch"]["found"]
    assert "TFLOP/s in fp32" in found["matrix products"]["found"]
    assert found["MP4 encoder"] == {"found": "libx264", "remedy": None}


def test_the_doctor_ends_with_1_where_something_is_missing(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kineograph.apps.commands.doctor._LEAST_DISK", 10**30)
    done = call("doctor")
    assert done.code == 1
    assert "free some space" in done.out
