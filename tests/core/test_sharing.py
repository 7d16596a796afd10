"""Who this process is among those that torchrun started."""

from __future__ import annotations

import pytest

from kineograph.core import sharing
from kineograph.core.errors import RequestError

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")


@pytest.fixture(autouse=True)
def _without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("values", "expected"), [([], (0, 1, 1)), (["0", "8", "4"], (0, 8, 4)), (["3", "8"], (3, 8, 1))]
)
def test_torchrun_says_who_is_who(
    values: list[str], expected: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in zip(VARIABLES, values, strict=False):
        monkeypatch.setenv(name, value)
    assert sharing.ranks() == expected
    assert sharing.leads() == (expected[0] == 0)
    assert sharing.together() == (expected[1] > 1)


@pytest.mark.parametrize("values", [["x", "2"], ["2", "2"], ["-1", "2"], ["0", "0"], ["3"]])
def test_ranks_that_cannot_be_are_refused(
    values: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in zip(VARIABLES, values, strict=False):
        monkeypatch.setenv(name, value)
    with pytest.raises(RequestError, match="RANK"):
        sharing.ranks()
