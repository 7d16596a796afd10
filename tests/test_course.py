"""The course: its notebooks run from top to bottom, and say the same in two languages."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
COURSE = sorted((ROOT / "examples").glob("*.ipynb"))
CHINESE = ROOT / "examples" / "zh-TW"
ALL = [*COURSE, *sorted(CHINESE.glob("*.ipynb"))]
_TINY = "0.005"  # of the steps


def cells(notebook: Path, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in told(notebook) if cell["cell_type"] == kind]


def told(notebook: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(notebook.read_text("utf-8"))["cells"]
    return found


def name(notebook: Path) -> str:
    return str(notebook.relative_to(ROOT / "examples"))


def test_there_are_five_and_each_is_there_in_chinese() -> None:
    assert len(COURSE) == 5
    assert {each.name for each in CHINESE.glob("*.ipynb")} == {each.name for each in COURSE}


@pytest.mark.parametrize("notebook", COURSE, ids=name)
def test_both_languages_have_the_same_code(notebook: Path) -> None:
    other = CHINESE / notebook.name
    assert cells(notebook, "code") == cells(other, "code")
    assert len(cells(notebook, "markdown")) == len(cells(other, "markdown"))
    for text in cells(other, "markdown"):
        assert re.search("[\u4e00-\u9fff]", text), text


@pytest.mark.parametrize("notebook", COURSE, ids=name)
def test_what_it_says_was_kept_from_a_whole_run_in_both_languages(notebook: Path) -> None:
    ran = [cell for cell in told(notebook) if cell["cell_type"] == "code"]
    others = [cell for cell in told(CHINESE / notebook.name) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in ran] == [*range(1, len(ran) + 1)]
    assert [cell["outputs"] for cell in ran] == [cell["outputs"] for cell in others]
    outputs = [output for cell in ran for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    said = json.dumps(outputs)
    assert "image/png" in said
    assert not re.search(r"/(home|root|tmp|work)/|Traceback \(most recent", said)


@pytest.mark.parametrize("notebook", ALL, ids=name)
def test_it_opens_in_colab_where_nothing_is_installed(notebook: Path) -> None:
    assert told(notebook)[0]["cell_type"] == "markdown"
    code = cells(notebook, "code")
    if any("kineograph" in cell for cell in code[1:]):
        assert "except ImportError:\n    %pip install" in code[0]


@pytest.mark.parametrize("notebook", ALL, ids=name)
def test_links_lead_somewhere(notebook: Path) -> None:
    for text in cells(notebook, "markdown"):
        for place in re.findall(r"\]\(([^)#]+)\)", text):
            if "://" not in place:
                assert (notebook.parent / place).exists(), place


@pytest.mark.slow
def test_it_runs_from_top_to_bottom(tmp_path: Path) -> None:
    for notebook in COURSE:
        shutil.copy(notebook, tmp_path)
    there = Path(sys.executable).parent
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbmake", "--nbmake-timeout=600", "-q", "."],
        cwd=tmp_path,
        env=os.environ
        | {"KINEOGRAPH_COURSE": _TINY, "PATH": f"{there}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
