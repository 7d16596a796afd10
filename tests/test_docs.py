"""The documentation tells the truth: pages are found, commands exist, numbers are recorded."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

import kineograph

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SETTINGS = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
PAGES = {str(page.relative_to(DOCS)): page.read_text("utf-8") for page in DOCS.rglob("*.md")}


@pytest.fixture(scope="module")
def hooks() -> Any:
    """What is done to pages before they are built."""
    spec = importlib.util.spec_from_file_location("hooks", DOCS / "hooks.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entries(part: Any) -> Iterator[str]:
    """The pages that a part of the navigation leads to."""
    if isinstance(part, str):
        yield part
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from entries(each)


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page(hooks: Any) -> None:
    told = list(entries(SETTINGS["nav"]))
    assert len(told) == len(set(told))
    assert set(told) == {*PAGES, *hooks.PAGES.values()}
    assert all((ROOT / name).is_file() for name in hooks.PAGES)


@pytest.mark.parametrize("name", kineograph.__all__)
def test_every_public_name_is_explained_and_stands_on_the_page_of_python(name: str) -> None:
    assert (getattr(kineograph, name).__doc__ or "").strip()
    assert re.search(rf"^::: kineograph\.{name}$", PAGES["api.md"], flags=re.M)


def test_every_recorded_benchmark_is_on_its_page_with_its_commit() -> None:
    for file in sorted((ROOT / "benchmarks" / "results").glob("*.json")):
        found = json.loads(file.read_text(encoding="utf-8"))
        commits = set(re.findall(r'"commit": "(\w{7})', json.dumps(found)))
        assert commits
        assert f"`python benchmarks/{file.stem}.py`" in PAGES["benchmarks.md"], file.name
        for commit in commits:
            assert commit in PAGES["benchmarks.md"], f"{file.name}, {commit}"


def test_a_page_that_has_lost_its_marks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    tables = importlib.import_module("tables")
    assert tables.filled("<!-- a:begin -->\n1\n<!-- a:end -->", "a", "2\n").splitlines()[1] == "2"
    with pytest.raises(ValueError, match="'b' are there 0 times"):
        tables.filled("<!-- a:begin -->\n<!-- a:end -->", "b", "2\n")


@pytest.mark.parametrize(
    ("page", "link", "built"),
    [
        ("data.md", "[how](scale.md#a)", "[how](scale.md#a)"),
        ("data.md", "[how](#a)", "[how](#a)"),
        ("data.md", "[what](https://a.example)", "[what](https://a.example)"),
        ("data.md", "[README](../README.md)", "[README](index.md)"),
        ("how-to/serve.md", "[Security](../../SECURITY.md)", "[Security](../security.md)"),
        ("changelog.md", "[how](docs/scale.md#a)", "[how](scale.md#a)"),
        ("data.md", "[`models/gan.py`](../src/models/gan.py)", "`src/models/gan.py`"),
        ("data.md", "[`evaluation/`](../src/evaluation)", "`src/evaluation`"),
        ("data.md", "[`a.py`](../results/a.json)", "`a.py`"),
        ("data.md", "[a test](../tests/a.py)", "a test (`tests/a.py`)"),
        ("data.md", "![a picture](../a.png)", "![a picture](../a.png)"),
    ],
)
def test_a_link_that_leaves_the_documentation_becomes_the_name_of_its_file(
    hooks: Any, page: str, link: str, built: str
) -> None:
    assert hooks.linked(link, page) == built


def test_formulas_are_set_in_letters(hooks: Any) -> None:
    assert hooks.plain(r"\frac{2(N-1)}{N}\,\text{latency}") == (
        "(2(<i>N</i> − 1) / <i>N</i>) latency"
    )


# ---- the site --------------------------------------------------------------------------------


class Loaded(HTMLParser):
    """Collects what a page loads by itself, which a link is not."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.classes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self.classes |= {*told.get("class", "").split()}
        names = ("src", "srcset", "poster", "data", "action")
        self.found += [told[name] for name in names if name in told]
        if tag == "link" and told.get("rel") not in ("canonical", "next", "prev"):
            self.found.append(told.get("href", ""))
        self.found += outside_urls(told.get("style", ""))


def outside_urls(style: str) -> list[str]:
    """What a style sheet loads from another host."""
    return re.findall(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')]+)""", style)


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing_from_another_host(
    tmp_path: Path,
) -> None:
    pytest.importorskip("material", reason="the extra is not installed")
    pytest.importorskip("mkdocstrings", reason="the extra is not installed")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        [*words, "--config-file", str(ROOT / "mkdocs.yml")],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        loaded = Loaded()
        loaded.feed(page.read_text(encoding="utf-8"))
        outside = [place for place in loaded.found if re.match(r"(https?:)?//", place)]
        assert not outside, page.name
        assert "mermaid" not in loaded.classes, "its script comes from elsewhere"
    for sheet in tmp_path.rglob("*.css"):
        assert not outside_urls(sheet.read_text(encoding="utf-8")), sheet.name
    python = (tmp_path / "api.html").read_text(encoding="utf-8")
    for name in kineograph.__all__:
        assert f'id="kineograph.{name}"' in python
    assert not list(tmp_path.rglob("*.py"))
