"""The set-up installs one set of versions, wherever they are written."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PINS = dict(
    line.split("==")
    for line in (REPOSITORY / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
)
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


EXTRAS = PROJECT["optional-dependencies"]
OWN = re.compile(r"kineograph\[(.+)\]")  # the extras that the set-up installs
INSTALLED = [
    name for each in EXTRAS["dev"] if (own := OWN.match(each)) for name in own[1].split(",")
]
REQUIREMENTS = [
    *PROJECT["dependencies"],
    *(name for extra in ("dev", *INSTALLED) for name in EXTRAS[extra]),
]


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_every_requirement_is_pinned(requirement: str) -> None:
    name = re.split(r"[<>=\[;]", requirement)[0]
    assert normal(name) in map(normal, [*PINS, PROJECT["name"]])


def test_all_extras_are_installed_but_one_that_cannot_be() -> None:
    assert {*EXTRAS} - {*INSTALLED} == {"dev", "trackio"}


def test_the_makefile_installs_the_torch_that_is_pinned() -> None:
    assert PINS["torch"] == "2.13.0"
    assert set(re.findall(r"torch==(\S+)", (REPOSITORY / "Makefile").read_text())) == {"2.13.0"}
